/* The threads that read requests from the device and serve them. Internal to fs/. */
#ifndef DIOS_FS_LOOP_H
#define DIOS_FS_LOOP_H

#include "fs/session.h"

struct loop;
int loop_new(struct fs *fs, struct loop **ret_loop);
int loop_start(struct loop *l, uint32_t workers);
void loop_stop(struct loop *l);       /* returns when no request is being served and none will be */
/* This thread becomes a worker, with a slot of its own; serves the request in a slot, which is cleared then, or has gone away with the request:
 * request.slot is the worker's own now. */
void loop_join(struct fs *fs);
void loop_serve(struct fs *fs, uint32_t slot, struct fuse_buf *buf);
void loop_free(struct loop *l);       /* once fs->ended_fd says that all threads are gone */

/* How libfuse reads and writes the device. */
ssize_t device_read(int fd, void *data, size_t size, void *userdata);
ssize_t device_writev(int fd, struct iovec *iov, int count, void *userdata);

#endif
