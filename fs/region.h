/* The shared memory that the holder keeps while daemons come and go (RULES D1, D3): the mount's settings, the INIT
 * request, the request slots, the open table, the table of token look-ups, private buffers, and what the kernel is still to forget. A memfd, sparse: pages exist once touched.
 *
 * Invariants: an entry is valid only while its state says so, and its state is written last (release order). A slot's
 * request is complete if and only if its header's length is not 0: the kernel writes the header together with the rest,
 * and the daemon clears the length once it has answered. Nothing in the region points anywhere: it is mapped at another
 * address by the next daemon.
 *
 * What a slot says of its request, from its arrival on:
 *   length 0                       none, or it has been answered
 *   length, answer_size 0          it is to be done (again); its redo tells what has been done already
 *   length, answer_size            all has been done; the answer lies beside the request and is, or was, being sent
 * The last makes a difference to the second: a program may have its answer and go on, so that doing the request again would undo what it did next.
 *
 * A daemon of another REGION_VERSION is refused, and the holder goes on with the binary that it had (mount-tools/holder.c). */
#ifndef DIOS_FS_REGION_H
#define DIOS_FS_REGION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cluster/redo.h"
#include "objects/private_buffer.h"

#define REGION_MAGIC 0x6e6f69676572ULL
#define REGION_VERSION 6u
#define REGION_PATH_MAX 4096
#define REGION_WHY_MAX 256u

#define SLOT_COUNT 2048u                        /* requests under way, most of them waiting for a stream */
#define SLOT_SIZE ((1u << 20) + 8192u)          /* bytes: the largest write and its headers */
#define SLOT_ANSWER_SIZE ((1u << 20) + 4096u)   /* bytes: the largest read and its headers */
#define SLOT_RECORD_SIZE (1u << 20)             /* bytes: STREAM_RECORD_MAX; a record that the request has taken from a stream */
#define HANDLE_COUNT (1u << 20)                 /* open files, all programs together */
#define TOKEN_COUNT (1u << 16)                  /* token look-ups that the kernel remembers */
#define FORGET_COUNT (1u << 14)                   /* invalidations that the kernel has not been told of yet */
#define TOKEN_ENTRY_TEXT 1008                   /* bytes: the longest token, and its NUL */
#define INIT_SIZE 4096u
#define REGION_STARTS_KEPT 20u                  /* more than that within two minutes is a daemon that keeps dying */

enum slot_state { SLOT_FREE = 0, SLOT_USED };
struct slot_entry {
	_Atomic uint32_t state;
	_Atomic uint32_t flags;                 /* SLOT_... */
	_Atomic uint32_t answer_size;           /* bytes; SLOT_NO_ANSWER: it gets none */
	uint32_t attempts;                      /* daemons that have died doing it again */
	_Atomic uint64_t handle;                /* the fh that it opens, + 1; 0: none */
	_Atomic uint64_t unique;                /* the kernel's number of the request */
	struct redo redo;
};
enum { SLOT_KILL_PRIVILEGE = 1 /* libfuse takes it out of the request before handlers see it */, SLOT_INTERRUPTED = 2 /* the kernel has said so, once */ };
#define SLOT_NO_ANSWER UINT32_MAX

enum handle_kind { HANDLE_FREE = 0, HANDLE_OBJECT, HANDLE_DIRECTORY, HANDLE_TEXT, HANDLE_BUFFER, HANDLE_CONTROL,
	HANDLE_KEPT /* no handle: `ino` was made through the one whose fh is `node`, and is held by it */ };
/* What a daemon needs to go on with an open file. */
struct handle_entry {
	_Atomic uint32_t kind;                  /* enum handle_kind */
	uint32_t generation;                    /* grows each time the entry is used; the upper half of fuse_file_info.fh */
	uint64_t node;                          /* the node id by which it was opened */
	uint64_t ino;                           /* the object */
	uint32_t flags;                         /* of open(2) */
	uint32_t rights;
	uint64_t range_offset, range_length;    /* of a token; 0, 0: all */
	int64_t expiry_ns;
	uint32_t uid, gid;                      /* who opened it */
	uint32_t stream_mode;
	uint32_t stream_begun;                  /* 1: a read has been answered, so that later gaps are errors */
	uint64_t stream_shift;                  /* what is added to the kernel's offsets: bytes trimmed before the first read */
	_Atomic uint64_t position;              /* streams: behind the last byte read */
	_Atomic uint64_t version;               /* blobs: as of the last acquire or commit; poll compares with it */
	_Atomic uint64_t lock_owner;
	_Atomic uint64_t poll_handle;           /* the kernel's; 0: nobody has polled */
	uint32_t backing_id;                    /* fs/passthrough.c; 0: the kernel does not go past us */
	uint32_t poll_events;
	uint8_t reference_id[16];
	_Atomic uint32_t mutex_readers;         /* ioctl_mutex.c */
	_Atomic uint32_t mutex_writer;
	uint32_t object_kind;                   /* enum object_kind */
	uint32_t shared;                        /* 1: it counts among the opens of its node (fs/passthrough.c) */
	uint64_t reserved2[2];
};

/* A look-up of .dios/cap/TOKEN: a node id of its own (DESIGN section 4), with FORGET counts. */
struct token_entry {
	_Atomic uint32_t used;
	uint32_t generation;
	uint64_t lookups;                       /* FORGET takes them back */
	uint64_t ino;                           /* the object */
	uint32_t rights;
	uint32_t text_size;
	char text[TOKEN_ENTRY_TEXT];
	uint64_t opens;                         /* handles that came through it */
};

/* An invalidation that is queued (fs/forget.h). */
struct forget_entry {
	_Atomic uint64_t node;                  /* 0: none */
	_Atomic uint32_t pages;                 /* 0: attributes only */
	uint32_t reserved;
};

struct region_header {
	uint64_t magic;
	uint32_t version, header_size;
	uint64_t mount_id;                      /* random; command ids after a restart are made from it (D2) */
	int32_t holder_pid;
	uint32_t init_size;                     /* bytes of init; 0: the kernel has not spoken yet */
	uint64_t starts;                        /* daemons that have attached */
	int64_t starts_ns[REGION_STARTS_KEPT];  /* boot clock: when the last of them did, start number n at n modulo that many */
	_Atomic uint64_t given_up;              /* requests of which daemons died */
	int64_t died_ns;                        /* boot clock: when the holder saw the last one end; 0: none has */
	int64_t mounted_ns;                     /* wall clock */
	char stopped_why[REGION_WHY_MAX];       /* why the daemon before ended by itself, to begin again from disk; "": it did not */
	char mount[REGION_PATH_MAX], data[REGION_PATH_MAX];
	uint8_t init[INIT_SIZE];
	_Atomic uint32_t handles_touched;       /* entries below this have been used at some time */
	_Atomic uint32_t tokens_touched;
	_Atomic uint32_t forgets_touched;
};

struct region {
	struct region_header *header;
	struct slot_entry *slots;
	struct handle_entry *handles;
	struct token_entry *tokens;
	struct forget_entry *forgets;
	struct private_buffer_book *buffers;
	uint8_t *slot_data, *answer_data, *record_data;
	size_t size;                            /* of all this; behind it in the file, and not mapped, are the bytes of private buffers */
	int fd;                                 /* borrowed */
};

/* For the holder. The descriptor is the caller's; it survives exec only if the caller clears close-on-exec. */
int region_create(const char *mount, const char *data, uint64_t mount_id, int *ret_fd);
/* For the daemon; borrows fd. -EBADMSG: not a region; -ENOTSUP: of another version. */
int region_attach(int fd, struct region *ret_region);
void region_detach(struct region *region);
/* The kernel knows the mount already: an earlier daemon has served it. */
/* There is a whole request in the slot, which is not known to have been answered. */
bool region_slot_waits(const struct region *region, uint32_t slot);
static inline bool region_is_restart(const struct region *region) { return region->header->init_size != 0; }
static inline void *region_slot(const struct region *region, uint32_t slot) { return region->slot_data + (size_t)slot * SLOT_SIZE; }
static inline void *region_record(const struct region *region, uint32_t slot) { return region->record_data + (size_t)slot * SLOT_RECORD_SIZE; }
static inline void *region_answer(const struct region *region, uint32_t slot) { return region->answer_data + (size_t)slot * SLOT_ANSWER_SIZE; }

#endif
