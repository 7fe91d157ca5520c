/* Between the request loop (ops_ioctl.c), which knows files, and the ioctl handlers (ioctl_*.c), which know the calls. */
#ifndef DIOS_FS_IOCTL_H
#define DIOS_FS_IOCTL_H

#include "fs/handle.h"
#include "fs/invalidate.h"
#include "fs/session.h"
#include "fs/wait.h"

struct ioctl_call {
	struct fs *fs;
	fuse_req_t req;
	struct caller caller;            /* its user, group and task; task_name is where caller.task points */
	struct name task_name;
	pid_t pid;
	uint64_t ino;                    /* of the object, also through a token's node; of a magic file: its node id */
	struct handle *handle;           /* never NULL. handle->reference: NULL on directories and magic files */
	bool directory;
	unsigned command;
	const void *in;                  /* bytes of the argument; valid until the request is answered, also while it waits */
	size_t in_size, out_size;        /* as the command number says: in may be NULL when in_size is 0 */
	bool compat;                     /* the caller is a 32-bit program */
};

/* Answers exactly once: with fuse_reply_ioctl(req, 0, out, size), fuse_reply_err(req, positive errno), or by wait_park (fs/wait.h).
 * What it changed other than through the caller's own file operations it says to fs/invalidate.h, and where the caller must see it
 * at once (commit_write), it answers through invalidate_then. -ENOTTY for a number that is none. Linked in from ioctl.c. */
void fs_ioctl(struct ioctl_call *call);

#endif
