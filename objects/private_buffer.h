/* Private buffers: memory that one user's program and this daemon share through the file .dios/buf/ID, for the bytes of an acquire that
 * do not fit into an ioctl. Backed by a memfd, so that the program may map it. Not objects: they have no name, no version, and go with the
 * daemon.
 *
 * A buffer belongs to the descriptor it was made through (`owner`, an address that is never looked at) and to a user; it goes with
 * private_buffer_free or when its owner goes, at the latest when nobody holds it any more. The sum of all sizes is bounded. Thread-safe. */
#ifndef DIOS_OBJECTS_PRIVATE_BUFFER_H
#define DIOS_OBJECTS_PRIVATE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/random.h"

#define PRIVATE_BUFFER_ID_SIZE 16
#define PRIVATE_BUFFER_MAX (256ull << 20)                    /* bytes of one */
#define PRIVATE_BUFFERS_USER_MAX (256ull << 20)              /* bytes of one user's: no user can take them all */
#define PRIVATE_BUFFERS_MAX (512ull << 20)                   /* bytes of all: memory that programs can make the daemon hold */
#define PRIVATE_BUFFERS_COUNT_MAX 4096u                      /* each costs a descriptor */

struct private_buffers;
struct private_buffer;

int private_buffers_new(struct random_source *random, struct private_buffers **ret_buffers);
void private_buffers_free(struct private_buffers *bs);       /* nobody may hold a buffer */

/* Zero bytes. -ENOBUFS past a bound; -EINVAL: size 0. The caller holds it: private_buffer_put. */
int private_buffer_create(struct private_buffers *bs, const void *owner, uint32_t uid, size_t size, struct private_buffer **ret_buffer);
/* Held; NULL: no such, or another user's (root finds all). */
struct private_buffer *private_buffer_find(struct private_buffers *bs, uint32_t uid, const uint8_t id[PRIVATE_BUFFER_ID_SIZE]);
/* The same by its number, whoever asks. */
struct private_buffer *private_buffer_find_number(struct private_buffers *bs, uint64_t number);
void private_buffer_put(struct private_buffer *b);           /* NULL ok */
/* Nobody finds it any more; its memory goes when it is held no more. */
void private_buffer_free(struct private_buffer *b);
void private_buffers_free_owned(struct private_buffers *bs, const void *owner);

const uint8_t *private_buffer_id(const struct private_buffer *b);
size_t private_buffer_size(const struct private_buffer *b);
uint32_t private_buffer_uid(const struct private_buffer *b);
uint64_t private_buffer_number(const struct private_buffer *b);   /* from 1, below 2^32 for years, never used again: for its node id */
int private_buffer_fd(const struct private_buffer *b);       /* the memfd; borrowed */
uint8_t *private_buffer_data(struct private_buffer *b);      /* mapped, size bytes; the program may change them until it is sealed */
/* While it is sealed writes are refused: what is checked and what is stored are the same bytes. -EBUSY: it is already. */
int private_buffer_seal(struct private_buffer *b);
void private_buffer_unseal(struct private_buffer *b);
/* File operations on it. Short at the end; writes past it: -EFBIG; while sealed: -EBUSY. */
ssize_t private_buffer_read(struct private_buffer *b, uint64_t offset, void *data, size_t size);
ssize_t private_buffer_write(struct private_buffer *b, uint64_t offset, const void *data, size_t size);

#endif
