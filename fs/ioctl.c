/* Ioctls between FUSE and the calls (fs/ioctl_calls.h): who asks on what, how the answer goes out, and requests that wait. Also what
 * .dios/buf shows. */
#include "fs/ioctl.h"

#include <fcntl.h>
#include <string.h>

#include "fs/ioctl_calls.h"
#include "fs/magic.h"
#include "fs/magic_buffer.h"
#include "tasks/process.h"

union answer { struct dios_ioctl_run run; struct dios_ioctl_acquire acquire; struct dios_ioctl_commit_write commit; uint8_t bytes[DIOS_IOCTL_MAX]; };

/* Not fuse_req_getgroups: libfuse 3.14 looks for the line in bytes that it does not end. Who has more groups than are looked at is in none. */
static bool caller_in_group(const struct ioctl_context *c, uint32_t gid)
{
	const struct ioctl_call *call = c->in_group_arg;
	struct process_status status;

	if (process_get_status(call->pid, &status) < 0 || status.uid != call->caller.uid)
		return false;
	for (size_t i = 0; i < status.group_count; i++)
		if (status.groups[i] == gid)
			return true;
	return false;
}

/* Streams, and what was opened by a token, are direct I/O: the kernel would not map them. */
static bool direct_io(const struct handle *h)
{
	return h->object_kind != KIND_BLOB || h->entry->node != h->entry->ino;
}

static struct ioctl_context context_of(const struct ioctl_call *call, bool parked)
{
	struct handle *h = call->handle;

	return (struct ioctl_context){ .mount = call->fs->ioctls, .handle = h, .reference = h->reference,
		.directory = call->directory && !magic_is(call->ino) ? call->ino : 0,
		.from_token = magic_is(h->entry->node) && magic_class_of(h->entry->node) == MAGIC_CLASS_TOKEN,
		/* What waited is answered by another thread, which can't wait for invalidations too: it gets a copy. */
		.mappable = h->reference && !direct_io(h) && !parked, .nonblock = h->entry->flags & O_NONBLOCK, .caller = call->caller, .pid = call->pid,
		.in_group = caller_in_group, .in_group_arg = call };
}

/* ---- requests that wait ------------------------------------------------------------------------------------------ */

static int attempt(void *arg, fuse_req_t req)
{
	struct ioctl_call *call = arg;
	struct ioctl_context c = context_of(call, true);
	union answer answer;
	size_t size;
	int r = ioctl_dispatch(&c, call->command, call->in, call->in_size, &answer, &size);

	if (r == -EAGAIN && c.wait_ino)
		return r;
	if (r < 0)
		reply_error(req, r);
	else
		fuse_reply_ioctl(req, 0, &answer, size);
	return 0;
}

static void park(const struct ioctl_call *call, uint64_t ino)
{
	struct ioctl_call *copy = malloc(sizeof(*copy));

	if (!copy) {
		fuse_reply_err(call->req, ENOMEM);
		return;
	}
	*copy = *call;
	if (copy->caller.task)
		copy->caller.task = &copy->task_name;
	wait_park(call->req, ino, attempt, free, copy);
}

/* ---- answers that wait for the kernel to forget ------------------------------------------------------------------ */

struct settled { size_t size; uint8_t bytes[]; };

static void send_settled(void *arg, fuse_req_t req)
{
	struct settled *s = arg;
	fuse_reply_ioctl(req, 0, s->bytes, s->size);
	free(s);
}

static void reply_settled(fuse_req_t req, const void *bytes, size_t size)
{
	struct settled *s = malloc(sizeof(*s) + size);

	if (!s) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	s->size = size;
	memcpy(s->bytes, bytes, size);
	invalidate_then(req, send_settled, s);
}

void fs_ioctl(struct ioctl_call *call)
{
	struct ioctl_context c = context_of(call, false);
	union answer answer;
	size_t size;
	int r = ioctl_dispatch(&c, call->command, call->in, call->in_size, &answer, &size);

	if (r == -EAGAIN && c.wait_ino)
		park(call, c.wait_ino);
	else if (r < 0)
		reply_error(call->req, r);
	else if (c.settle)
		reply_settled(call->req, &answer, size);
	else
		fuse_reply_ioctl(call->req, 0, &answer, size);
}

/* ---- .dios/buf --------------------------------------------------------------------------------------------------- */

static int buffer_find(struct fs *fs, const uint8_t id[16], const struct caller *caller, uint64_t *ret_number)
{
	struct private_buffer *b = private_buffer_find(fs->ioctls->buffers, caller->uid, id);
	if (!b)
		return -ENOENT;
	*ret_number = private_buffer_number(b);
	private_buffer_put(b);
	return 0;
}

static int buffer_get(struct fs *fs, uint64_t number, uint64_t *ret_size, uint32_t *ret_uid)
{
	struct private_buffer *b = private_buffer_find_number(fs->ioctls->buffers, number);
	if (!b)
		return -ENOENT;
	*ret_size = private_buffer_size(b);
	*ret_uid = private_buffer_uid(b);
	private_buffer_put(b);
	return 0;
}

static int buffer_open(struct fs *fs, uint64_t number, void **ret_data)
{
	struct private_buffer *b = private_buffer_find_number(fs->ioctls->buffers, number);
	if (!b)
		return -ENOENT;
	*ret_data = b;
	return 0;
}

static int buffer_open_again(struct fs *fs, uint64_t number, void **ret_data)
{
	struct private_buffer *b = private_buffer_hold_again(fs->ioctls->buffers, number);
	if (!b)
		return -EIO;
	*ret_data = b;
	return 0;
}

static void buffer_release(struct fs *fs, void *data)
{
	(void)fs;
	private_buffer_put(data);
}

static ssize_t buffer_read(struct fs *fs, void *data, uint64_t offset, void *bytes, size_t size)
{
	(void)fs;
	return private_buffer_read(data, offset, bytes, size);
}

static ssize_t buffer_write(struct fs *fs, void *data, uint64_t offset, const void *bytes, size_t size)
{
	(void)fs;
	return private_buffer_write(data, offset, bytes, size);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

int ioctl_mount_new(struct fs *fs, const struct ioctl_tasks *tasks, struct ioctl_mount **ret_mount)
{
	static const struct magic_buffers shown = { buffer_find, buffer_get, buffer_open, buffer_open_again, buffer_release, buffer_read, buffer_write };
	struct ioctl_mount *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	*m = (struct ioctl_mount){ .fs = fs, .objects = fs->objects, .tasks = tasks, .relaxed = fs->relaxed };
	int r = private_buffers_new(cluster_random(objects_cluster(fs->objects)), fs->region->buffers, fs->region->fd, fs->region->size, &m->buffers);
	if (r == 0)
		r = ioctl_mutexes_new(&m->mutexes);
	if (r < 0) {
		ioctl_mount_free(m);
		return r;
	}
	magic_set_buffers(fs, &shown);
	*ret_mount = m;
	return 0;
}

void ioctl_mount_free(struct ioctl_mount *m)
{
	if (!m)
		return;
	ioctl_mutexes_free(m->mutexes);
	private_buffers_free(m->buffers);
	free(m);
}
