/* What the kernel caches and should not any more. Only the notifier thread calls the kernel for this (RULES P5): inval_entry takes the
 * directory's lock, which a LOOKUP or CREATE holds while it waits for us, and dropping pages waits for one under WRITE. Handlers queue, never
 * wait; but where attributes alone are to be forgotten, of a node that is held open, the kernel waits for nothing, and the handler says it. */
#ifndef DIOS_FS_INVALIDATE_H
#define DIOS_FS_INVALIDATE_H

#include "fs/session.h"

int notifier_new(struct fs *fs, struct notifier **ret_notifier);
void notifier_free(struct notifier *n);      /* ends the thread; what is queued is dropped, then() functions are still called */

/* The node's attributes, and with `content` its cached pages. */
void invalidate_node(struct fs *fs, uint64_t node, bool content);
/* A name in a directory, also one that the kernel remembers as missing: for whoever makes entries other than through the kernel. */
void invalidate_entry(struct fs *fs, uint64_t parent, const char *name, size_t size);
/* What an earlier daemon has not told the kernel any more. Before the first request; the kernel must have been given its INIT. */
void invalidate_restored(struct fs *fs);
/* This thread serves a request on an open descriptor of the node, until it says 0: an ioctl's. */
void invalidate_hold(uint64_t node);
/* The kernel gets pages of the node: before a READ or WRITE of it is carried out. */
void invalidate_pages_come(struct fs *fs, uint64_t node);
/* Calls then(arg), from the notifier thread or at once, when everything queued before has been done: for answers that promise it. The request
 * must hold no lock of the kernel that an invalidation needs: ioctls, and writes through tokens, qualify. Takes the worker's slot. */
void invalidate_then(fuse_req_t req, void (*then)(void *arg, fuse_req_t req), void *arg);

#endif
