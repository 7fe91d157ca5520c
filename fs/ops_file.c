/* read, write and their family on open files.
 *
 * A stream's handle reads at the kernel's offsets plus stream_shift: if its first read lies below the oldest kept byte it starts
 * there, and the difference stays; a handle that falls behind the trimming later gets EIO. */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/counter.h"
#include "fs/invalidate.h"
#include "fs/magic.h"
#include "fs/wait.h"

#define COPY_MAX (1ULL << 30)     /* bytes copied in one request: the kernel asks again, and a signal is seen in between */

/* Counted before the answer, unlike the times of requests: whoever has it sees them. */
COUNTER(blob_reads, "dios_fs_blob_reads_total", "READ requests of blobs, which passthrough spares");
COUNTER(blob_writes, "dios_fs_blob_writes_total", "WRITE requests of blobs, which passthrough spares");

/* The handle of a request, or NULL with the request answered. */
static struct handle *handle_of(fuse_req_t req, const struct fuse_file_info *fi)
{
	struct handle *h = fi ? handle_get(fs_of(req)->handles, fi->fh) : NULL;

	if (h && !h->lost)
		return h;
	reply_error(req, h ? EIO : EBADF);
	return NULL;
}

/* ---- streams ---- */

struct stream_read_request { struct handle *h; size_t size; uint64_t offset; };

static int stream_read_attempt(void *arg, fuse_req_t req)
{
	struct stream_read_request *s = arg;
	struct handle *h = s->h;
	struct handle_entry *e = h->entry;
	bool consumes = reference_get_options(h->reference)->stream_mode == STREAM_CONSUME;
	uint8_t *out = consumes ? request_record_buffer(s->size) : request_scratch(s->size);
	size_t whole = 0;
	ssize_t n;

	if (!out)
		return -ENOMEM;
	if (consumes) {
		n = stream_consume(h->reference, out, s->size, &whole);
	} else {
		bool first = !e->stream_begun;
		uint64_t asked = s->offset + e->stream_shift, at = asked;
		n = stream_read(h->reference, &at, first, out, s->size);
		if (n >= 0) {
			/* stream_read leaves `at` behind the bytes. */
			e->stream_shift += at - (uint64_t)n - asked;
			e->stream_begun = 1;
			e->position = at;
		}
	}
	if (n < 0)
		return (int)n;
	fuse_reply_buf(req, (const char *)out, (size_t)n);
	return 0;
}

static void read_stream(fuse_req_t req, struct handle *h, size_t size, uint64_t offset, int flags)
{
	struct stream_read_request s = { .h = h, .size = size, .offset = offset }, *parked;
	int r = stream_read_attempt(&s, req);

	if (r == 0)
		return;
	if (r != -EAGAIN || (flags & O_NONBLOCK) || !(parked = malloc(sizeof(*parked)))) {
		reply_error(req, r);
		return;
	}
	*parked = s;
	wait_park(req, h->entry->ino, stream_read_attempt, free, parked);
}

struct stream_write_request { struct handle *h; const char *data; size_t size; bool durable; };

static int stream_write_attempt(void *arg, fuse_req_t req)
{
	struct stream_write_request *s = arg;
	ssize_t n = stream_append(s->h->reference, s->data, s->size, s->durable);

	if (n < 0)
		return (int)n;
	fuse_reply_write(req, s->size);
	return 0;
}

static void write_stream(fuse_req_t req, struct handle *h, const char *data, size_t size, int flags)
{
	struct stream_write_request s = { .h = h, .data = data, .size = size, .durable = (flags & O_DSYNC) && !h->fs->relaxed }, *parked;
	int r = stream_write_attempt(&s, req);

	if (r == 0)
		return;
	if (r != -EAGAIN || (flags & O_NONBLOCK) || !(parked = malloc(sizeof(*parked)))) {
		reply_error(req, r);
		return;
	}
	*parked = s;        /* the bytes stay in the request's slot */
	wait_park(req, h->entry->ino, stream_write_attempt, free, parked);
}

/* ---- blobs ---- */

/* Writes of mapped pages carry their place, also on a handle that appends. */
static struct reference *page_reference(struct handle *h)
{
	const struct reference_options *options = reference_get_options(h->reference);
	struct reference_options plain = *options;

	if (!options->append)
		return h->reference;
	LOCK_GUARD(&h->lock);
	plain.append = false;
	if (!h->page_reference && reference_open(h->fs->objects, h->entry->ino, &plain, &h->page_reference) < 0)
		h->page_reference = NULL;
	return h->page_reference;
}

static ssize_t write_blob(struct handle *h, const char *data, size_t size, uint64_t offset, const struct fuse_file_info *fi)
{
	struct reference *r = h->reference;
	bool append = !fi->writepage && (fi->flags & O_APPEND);

	if (fi->writepage) {
		r = page_reference(h);
		if (!r)
			return -EIO;
	} else if (append != reference_get_options(r)->append) {
		reference_set_append(r, append);        /* fcntl(F_SETFL) */
	}
	ssize_t n = reference_write(r, offset, data, size, request_kills_privilege());
	if (n < 0)
		return n;
	if (!fi->writepage && (fi->flags & O_DSYNC) && !reference_get_options(r)->sync && !h->fs->relaxed) {
		int e = reference_sync(r);
		if (e < 0)
			return e;
	}
	return n;
}

/* The kernel put appended bytes into its cache where it believed the end to be. If somebody (commit_write, a token) has moved it meanwhile,
 * those pages are wrong, and are dropped once the kernel has let go of them (P7). */
static void check_appended(struct fs *fs, uint64_t ino, uint64_t offset, size_t size)
{
	struct attributes a;

	if (object_get(fs->objects, ino, &a) == 0 && a.record.size != offset + size)
		invalidate_node(fs, ino, true);
}

static void reply_written(void *arg, fuse_req_t req) { fuse_reply_write(req, (size_t)(uintptr_t)arg); }
static void reply_done(void *arg, fuse_req_t req)
{
	(void)arg;
	reply_error(req, 0);
}

/* A change through a token: the pages of the object's own node are another cache, which is to be right when the change returns. */
static void reply_through_token(fuse_req_t req, uint64_t ino, void (*reply)(void *arg, fuse_req_t req), size_t n)
{
	invalidate_node(fs_of(req), ino, true);
	invalidate_then(req, reply, (void *)(uintptr_t)n);
}

static void op_write(fuse_req_t req, fuse_ino_t node, const char *data, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct handle *h = handle_of(req, fi);

	if (!h)
		return;
	if (h->entry->kind != HANDLE_OBJECT) {
		magic_write(req, h, data, size, (uint64_t)offset);
		return;
	}
	if (h->object_kind == KIND_STREAM) {
		write_stream(req, h, data, size, fi->flags);
		return;
	}
	counter_add(&blob_writes, 1);
	invalidate_pages_come(fs, node);
	ssize_t n = write_blob(h, data, size, (uint64_t)offset, fi);
	if (n < 0) {
		reply_error(req, (int)n);
		return;
	}
	if (node != h->entry->ino) {
		reply_through_token(req, h->entry->ino, reply_written, (size_t)n);
		return;
	}
	bool appended = !fi->writepage && (fi->flags & O_APPEND);
	/* After the answer the handle may be gone. */
	fuse_reply_write(req, (size_t)n);
	if (appended)
		check_appended(fs, node, (uint64_t)offset, (size_t)n);
}

static void op_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(req, fi);

	if (!h)
		return;
	if (h->entry->kind != HANDLE_OBJECT) {
		magic_read(req, h, size, (uint64_t)offset);
		return;
	}
	if (h->object_kind == KIND_STREAM) {
		read_stream(req, h, size, (uint64_t)offset, fi->flags);
		return;
	}
	counter_add(&blob_reads, 1);
	invalidate_pages_come(fs_of(req), node);
	uint8_t *out = request_scratch(size);
	ssize_t n = out ? reference_read(h->reference, (uint64_t)offset, out, size) : -ENOMEM;
	if (n < 0)
		reply_error(req, (int)n);
	else
		fuse_reply_buf(req, (const char *)out, (size_t)n);
}

static void op_flush(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(req, fi);

	(void)node;
	if (!h)
		return;
	h->entry->lock_owner = fi->lock_owner;
	reply_error(req, h->reference ? reference_flush(h->reference) : 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t node, int datasync, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(req, fi);

	(void)node;
	(void)datasync;
	if (!h)
		return;
	if (!h->reference)
		reply_error(req, 0);
	else if (fs_of(req)->relaxed)
		reply_error(req, reference_flush(h->reference));       /* errors so far; the disk follows within commit.interval */
	else
		reply_error(req, reference_sync(h->reference));
}

static void op_fallocate(fuse_req_t req, fuse_ino_t node, int mode, off_t offset, off_t length, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(req, fi);

	if (!h)
		return;
	int r = -EOPNOTSUPP;
	if (h->reference && h->object_kind == KIND_BLOB)
		r = reference_allocate(h->reference, mode, (uint64_t)offset, (uint64_t)length);
	if (r == 0 && node != h->entry->ino)
		reply_through_token(req, h->entry->ino, reply_done, 0);
	else
		reply_error(req, r);
}

static void op_lseek(fuse_req_t req, fuse_ino_t node, off_t offset, int whence, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(req, fi);
	uint64_t result = 0;

	(void)node;
	if (!h)
		return;
	int r = -EINVAL;
	if (offset < 0)
		r = -ENXIO;
	else if (h->reference && h->object_kind == KIND_BLOB)
		r = reference_seek(h->reference, (uint64_t)offset, whence == SEEK_HOLE, &result);
	if (r < 0)
		reply_error(req, r);
	else
		fuse_reply_lseek(req, (off_t)result);
}

static void op_copy_file_range(fuse_req_t req, fuse_ino_t node, off_t offset, struct fuse_file_info *fi, fuse_ino_t to_node,
	off_t to_offset, struct fuse_file_info *to_fi, size_t size, int flags)
{
	struct handle *from = handle_of(req, fi);
	struct handle *to = from ? handle_of(req, to_fi) : NULL;

	(void)node;
	if (!to)
		return;
	/* EINVAL, not EXDEV: the kernel would copy up to the size it knows, and end a copy of a growing stream there. */
	if (flags || from->object_kind != KIND_BLOB || to->object_kind != KIND_BLOB || !from->reference || !to->reference) {
		reply_error(req, EINVAL);
		return;
	}
	ssize_t n = reference_copy_range(from->reference, (uint64_t)offset, to->reference, (uint64_t)to_offset,
		size < COPY_MAX ? size : COPY_MAX);
	if (n < 0) {
		reply_error(req, (int)n);
		return;
	}
	if (to_node != to->entry->ino)
		reply_through_token(req, to->entry->ino, reply_written, (size_t)n);
	else
		fuse_reply_write(req, (size_t)n);
}

void ops_fill_file(struct fuse_lowlevel_ops *ops)
{
	ops->read = op_read;
	ops->write = op_write;
	ops->flush = op_flush;
	ops->fsync = op_fsync;
	ops->fallocate = op_fallocate;
	ops->lseek = op_lseek;
	ops->copy_file_range = op_copy_file_range;
}
