/* Slots: where requests lie until they are answered (fs/region.h), and which one this thread works on. Internal to fs/. */
#ifndef DIOS_FS_SLOT_H
#define DIOS_FS_SLOT_H

#include <linux/fuse.h>
#include <sys/uio.h>
#include "fs/session.h"

/* What this thread serves. Workers have a slot of their own besides, to read the next request into. */
struct request {
	struct fs *fs;
	bool worker;
	uint32_t slot;                       /* the worker's own */
	uint32_t serving;                    /* SLOT_NONE: nothing */
	bool slot_taken;                     /* the request that it served has gone away with its slot */
	bool may_retry;                      /* it may be done once more for want of room */
	int retry;                           /* it has to be: what it was refused with; 0: nothing */
	uint64_t init_flags;                 /* of an INIT: what the kernel offers */
};
#define SLOT_NONE UINT32_MAX
extern _Thread_local struct request request;

struct slots;
int slots_new(struct fs *fs, struct slots **ret_slots);       /* those in use stay so */
void slots_free(struct slots *s);
int slot_get(struct slots *s, uint32_t *ret_slot);            /* -ENOBUFS */
void slot_put(struct slots *s, uint32_t slot);                /* its request has been answered, or it has none */
void slot_clear(struct slots *s, uint32_t slot);              /* the same, and the slot stays the caller's */
struct fuse_in_header *slot_header(const struct fs *fs, uint32_t slot);
/* The request of the slot has done all that it does; keeps the answer. */
void slot_keep_answer(struct fs *fs, uint32_t slot, const struct iovec *iov, int count);
void slot_interrupted(struct fs *fs, uint64_t unique);        /* the kernel says so of the request with that number */

#endif
