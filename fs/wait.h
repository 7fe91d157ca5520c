/* Requests that wait: blocked reads of streams, opens of objects not yet produced, writes to full streams, acquires. A worker never
 * blocks: it parks the request and takes the next. Parked requests are tried again when their object has changed, and answered with
 * EINTR when the program got a signal (FUSE_INTERRUPT). Also here: poll. */
#ifndef DIOS_FS_WAIT_H
#define DIOS_FS_WAIT_H

#include "fs/session.h"

#define WAITERS_MAX (SLOT_COUNT - 300u)   /* the rest of the slots serves those who might end the waiting */

struct waiters;
int waiters_new(struct fs *fs, struct waiters **ret_waiters);
void waiters_free(struct waiters *w);     /* ends the thread; what is parked is dropped unanswered, done() is called */

/* Parks the request of the calling worker until the object `ino` changes. attempt(arg, req): 0 when it has answered the request; -EAGAIN
 * to go on waiting; any other negative errno is sent as the answer. done(arg) is called once, after the answer; it frees arg.
 * The first attempt comes at once: what changed before the parking is not missed. Answers by itself when parking fails. */
void wait_park(fuse_req_t req, uint64_t ino, int (*attempt)(void *arg, fuse_req_t req), void (*done)(void *arg), void *arg);

/* By each worker after each request, before it looks for the next: tries what is to be tried, if nobody is at it. */
void wait_run_ready(struct fs *fs);

/* poll(2): notifies ph (taken) once when one of `events` (READY_...) is there on the handle. */
int poll_watch(struct handle *h, struct fuse_pollhandle *ph, uint32_t events);
void poll_forget(struct handle *h);       /* at release */
uint32_t poll_ready(struct handle *h);    /* READY_... now */

#endif
