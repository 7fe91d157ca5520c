/* Private buffers: memory that one user's program and this daemon share through the file .dios/buf/ID, for the bytes of an acquire that
 * do not fit into an ioctl. Not objects: they have no name and no version. Their bytes lie in a file of memory that outlives this daemon, each in a
 * place of its own there, and what is to be known of them in a book beside it, so that the next daemon goes on with them.
 *
 * A buffer belongs to the descriptor it was made through (`owner`, a number that means nothing here) and to a user; it goes with
 * private_buffer_free or when its owner goes, at the latest when nobody holds it any more. The sum of all sizes is bounded. Thread-safe. */
#ifndef DIOS_OBJECTS_PRIVATE_BUFFER_H
#define DIOS_OBJECTS_PRIVATE_BUFFER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/random.h"

#define PRIVATE_BUFFER_ID_SIZE 16
#define PRIVATE_BUFFER_MAX (256ull << 20)                    /* bytes of one */
#define PRIVATE_BUFFERS_USER_MAX (256ull << 20)              /* bytes of one user's: no user can take them all */
#define PRIVATE_BUFFERS_MAX (512ull << 20)                   /* bytes of all: memory that programs can make the daemon hold */
#define PRIVATE_BUFFERS_COUNT_MAX 4096u                      /* each costs a mapping */
#define PRIVATE_BUFFERS_FILE (PRIVATE_BUFFERS_COUNT_MAX * PRIVATE_BUFFER_MAX)    /* bytes of the file, all but those in use holes */

/* What the next daemon needs. Zeros: none has been made yet. */
struct private_buffer_saved {
	_Atomic uint64_t number;        /* 0: the place is free; written last */
	uint64_t size, owner, maker;
	uint32_t uid;
	_Atomic uint32_t freed;         /* 1: nobody finds it any more; who holds it still uses it */
	uint8_t id[PRIVATE_BUFFER_ID_SIZE];
};
struct private_buffer_book { _Atomic uint64_t last_number; struct private_buffer_saved saved[PRIVATE_BUFFERS_COUNT_MAX]; };

struct private_buffers;
struct private_buffer;

/* Takes over what the book has. The bytes are in fd from `offset` on. Both are borrowed. */
int private_buffers_new(struct random_source *random, struct private_buffer_book *book, int fd, uint64_t offset, struct private_buffers **ret_buffers);
void private_buffers_free(struct private_buffers *bs);       /* nobody may hold a buffer */
/* After an earlier daemon: that maker's are freed, for it makes them again. */
void private_buffers_free_made_by(struct private_buffers *bs, uint64_t maker);
/* Once all that held an earlier daemon's holds them again: those are freed whose owner is not known, and nobody else holds any. */
void private_buffers_restored(struct private_buffers *bs, bool (*owner_is_known)(void *arg, uint64_t owner), void *arg);

/* Zero bytes. maker: the request that asks for it. -ENOBUFS past a bound; -EINVAL: size 0. The caller holds it: private_buffer_put. */
int private_buffer_create(struct private_buffers *bs, uint64_t owner, uint64_t maker, uint32_t uid, size_t size, struct private_buffer **ret_buffer);
/* Held; NULL: no such, or another user's (root finds all). */
struct private_buffer *private_buffer_find(struct private_buffers *bs, uint32_t uid, const uint8_t id[PRIVATE_BUFFER_ID_SIZE]);
/* The same by its number, whoever asks. */
struct private_buffer *private_buffer_find_number(struct private_buffers *bs, uint64_t number);
/* The same for one that an earlier daemon held, though it may be freed. Before private_buffers_restored. */
struct private_buffer *private_buffer_hold_again(struct private_buffers *bs, uint64_t number);
void private_buffer_put(struct private_buffer *b);           /* NULL ok */
/* Nobody finds it any more; its memory goes when it is held no more. */
void private_buffer_free(struct private_buffer *b);
void private_buffers_free_owned(struct private_buffers *bs, uint64_t owner);

const uint8_t *private_buffer_id(const struct private_buffer *b);
size_t private_buffer_size(const struct private_buffer *b);
uint32_t private_buffer_uid(const struct private_buffer *b);
uint64_t private_buffer_number(const struct private_buffer *b);   /* from 1, below 2^32 for years, never used again: for its node id */
uint8_t *private_buffer_data(struct private_buffer *b);      /* mapped, size bytes; the program may change them until it is sealed */
/* While it is sealed writes are refused: what is checked and what is stored are the same bytes. -EBUSY: it is already. */
int private_buffer_seal(struct private_buffer *b);
void private_buffer_unseal(struct private_buffer *b);
/* File operations on it. Short at the end; writes past it: -EFBIG; while sealed: -EBUSY. */
ssize_t private_buffer_read(struct private_buffer *b, uint64_t offset, void *data, size_t size);
ssize_t private_buffer_write(struct private_buffer *b, uint64_t offset, const void *data, size_t size);

#endif
