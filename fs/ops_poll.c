/* poll, select and epoll on the mount. POLLIN and POLLOUT mean what they always do; POLLHUP: a stream or task has ended; POLLRDBAND: an object has
 * been produced; POLLPRI: it has another version than the handle last acquired, committed or was opened at; POLLERR: its producer failed. */
#include <poll.h>

#include "fs/session.h"
#include "fs/wait.h"

static const struct { uint32_t ready; unsigned poll; } map[] = {
	{ READY_READ, POLLIN | POLLRDNORM }, { READY_WRITE, POLLOUT | POLLWRNORM }, { READY_END, POLLHUP | POLLIN | POLLRDNORM },
	{ READY_PRODUCED, POLLRDBAND }, { READY_CHANGED, POLLPRI }, { READY_ERROR, POLLERR },
};

static void op_poll(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
	struct handle *h = handle_get(fs_of(req)->handles, fi->fh);
	unsigned revents = 0;
	uint32_t wanted = 0;

	(void)node;
	if (!h) {
		if (ph)
			fuse_pollhandle_destroy(ph);
		reply_error(req, EBADF);
		return;
	}
	uint32_t ready = poll_ready(h);
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		if (ready & map[i].ready)
			revents |= map[i].poll;
		if (fi->poll_events & map[i].poll)
			wanted |= map[i].ready;
	}
	if (ph && !h->reference)
		fuse_pollhandle_destroy(ph);       /* always ready: nothing to wait for */
	else if (ph)
		h->entry->poll_handle = request_poll_handle();
	if (ph && h->reference && poll_watch(h, ph, wanted) < 0)
		revents = POLLERR;
	fuse_reply_poll(req, revents);
}

void ops_fill_poll(struct fuse_lowlevel_ops *ops) { ops->poll = op_poll; }
