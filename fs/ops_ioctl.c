/* ioctls: who calls on what; what they mean is in ioctl.c and ioctl_*.c. */
#include "fs/ioctl.h"

static void op_ioctl(fuse_req_t req, fuse_ino_t node, unsigned command, void *arg, struct fuse_file_info *fi, unsigned flags,
	const void *in, size_t in_size, size_t out_size)
{
	struct fs *fs = fs_of(req);
	struct ioctl_call call = { .fs = fs, .req = req, .pid = fuse_req_ctx(req)->pid, .command = command, .in = in, .in_size = in_size,
		.out_size = out_size, .compat = (flags & FUSE_IOCTL_COMPAT) != 0, .directory = (flags & FUSE_IOCTL_DIR) != 0 };

	(void)arg;
	(void)node;
	call.handle = handle_get(fs->handles, fi->fh);
	if (!call.handle || call.handle->lost) {
		reply_error(req, call.handle ? EIO : EBADF);
		return;
	}
	call.ino = call.handle->entry->ino;
	fs_caller(req, &call.caller, &call.task_name);
	invalidate_hold(call.handle->entry->node == call.ino ? call.ino : 0);
	fs_ioctl(&call);
	invalidate_hold(0);
}

void ops_fill_ioctl(struct fuse_lowlevel_ops *ops) { ops->ioctl = op_ioctl; }
