/* acquire_write and commit_write, and private buffers as such. */
#include <string.h>

#include "fs/ioctl_calls.h"
#include "libdios/dios.h"

#define ANSWER_HEADER offsetof(struct dios_ioctl_acquire, data)

/* ---- acquire ----------------------------------------------------------------------------------------------------- */

/* The base is read under the version it is called by, or a newer one: then the commit says ESTALE. */
static ssize_t read_base(struct ioctl_context *c, uint64_t offset, void *data, size_t size, uint64_t *ret_version)
{
	int r = reference_acquire_base(c->reference, ret_version);
	return r < 0 ? r : reference_read(c->reference, offset, data, size);
}

static int acquire_inline(struct ioctl_context *c, const struct dios_ioctl_acquire *in, struct dios_ioctl_acquire *answer, size_t *ret_size)
{
	uint64_t version;
	ssize_t n = read_base(c, in->offset, answer->data, (size_t)in->size, &version);

	if (n < 0)
		return (int)n;
	answer->object_version = version;
	answer->place = DIOS_PLACE_INLINE;
	*ret_size = ANSWER_HEADER + (size_t)n;   /* past the end there are zeros */
	ioctl_set_version(c, version);
	return 0;
}

static int acquire_buffer(struct ioctl_context *c, const struct dios_ioctl_acquire *in, struct dios_ioctl_acquire *answer, size_t *ret_size)
{
	struct private_buffer *b;
	uint64_t version;
	int r = ioctl_make_buffer(c, in->size, &b);

	if (r < 0)
		return r;
	ssize_t n = read_base(c, in->offset, private_buffer_data(b), (size_t)in->size, &version);
	if (n < 0) {
		private_buffer_free(b);
	} else {
		answer->object_version = version;
		answer->place = DIOS_PLACE_BUFFER;
		memcpy(answer->buffer, private_buffer_id(b), sizeof(answer->buffer));
		ioctl_set_version(c, version);
	}
	*ret_size = ANSWER_HEADER;
	private_buffer_put(b);
	return n < 0 ? (int)n : 0;
}

/* What will be appended has no base. */
static int acquire_zeros(struct ioctl_context *c, const struct dios_ioctl_acquire *in, struct dios_ioctl_acquire *answer, size_t *ret_size)
{
	struct private_buffer *b;

	answer->object_version = UINT64_MAX;
	*ret_size = ANSWER_HEADER;
	if (in->size <= DIOS_INLINE_MAX)
		return 0;
	if (in->size > STREAM_RECORD_MAX)
		return -EMSGSIZE;
	int r = ioctl_make_buffer(c, in->size, &b);
	if (r < 0)
		return r;
	answer->place = DIOS_PLACE_BUFFER;
	memcpy(answer->buffer, private_buffer_id(b), sizeof(answer->buffer));
	private_buffer_put(b);
	return 0;
}

static int acquire_blob(struct ioctl_context *c, const struct dios_ioctl_acquire *in, struct dios_ioctl_acquire *answer, size_t *ret_size)
{
	struct attributes a;
	int r = ioctl_record(c, &a);

	if (r < 0)
		return r;
	bool mutex = a.record.write_consistency == CONSISTENCY_MUTEX;
	if (mutex)
		r = ioctl_mutex_acquire(c, true);
	if (r < 0)
		return r == -EAGAIN ? ioctl_wait(c, in->flags) : r;
	r = in->size <= DIOS_INLINE_MAX ? acquire_inline(c, in, answer, ret_size) : acquire_buffer(c, in, answer, ret_size);
	if (mutex && r < 0)
		ioctl_mutex_release(c, true);
	else if (mutex)
		answer->place |= DIOS_PLACE_HELD;
	return r;
}

int ioctl_acquire_write(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_acquire *request = in;
	int r = ioctl_need_right(c, RIGHT_WRITE | RIGHT_APPEND);

	if (r < 0)
		return r;
	memcpy(out, in, ANSWER_HEADER);
	memset(((struct dios_ioctl_acquire *)out)->buffer, 0, DIOS_ID_SIZE);
	if (c->handle->object_kind == KIND_STREAM)
		return acquire_zeros(c, request, out, ret_size);
	if (c->handle->object_kind != KIND_BLOB || request->offset == UINT64_MAX)
		return -EINVAL;
	r = ioctl_need_right(c, RIGHT_WRITE);
	if (r == 0)
		r = ioctl_need_right(c, RIGHT_READ);   /* the base is read */
	return r < 0 ? r : acquire_blob(c, request, out, ret_size);
}

/* ---- commit ------------------------------------------------------------------------------------------------------ */

static int commit_blob(struct ioctl_context *c, const struct dios_ioctl_commit_write *w, const void *data, uint64_t *ret_version)
{
	uint32_t flags = (w->flags & DIOS_FORCE ? COMMIT_FORCE : 0) | (w->flags & DIOS_AT_END ? COMMIT_APPEND : 0) |
		(w->flags & DIOS_RELAXED || c->mount->relaxed ? COMMIT_RELAXED : 0) | (w->flags & DIOS_TRUNCATE ? COMMIT_TRUNCATE : 0);
	int r = ioctl_need_right(c, w->flags & DIOS_AT_END ? RIGHT_WRITE | RIGHT_APPEND : RIGHT_WRITE);

	if (r == 0)
		r = reference_commit(c->reference, w->object_version, flags, w->offset, data, (size_t)w->size, ret_version);
	if (r < 0)
		return r;
	ioctl_set_version(c, *ret_version);
	c->settle = true;
	return 0;
}

static int commit_stream(struct ioctl_context *c, const struct dios_ioctl_commit_write *w, const void *data)
{
	int r = ioctl_need_right(c, RIGHT_WRITE | RIGHT_APPEND);

	if (r < 0)
		return r;
	if (w->flags & (DIOS_FORCE | DIOS_TRUNCATE))
		return -EINVAL;
	ssize_t n = stream_append(c->reference, data, (size_t)w->size, !(w->flags & DIOS_RELAXED) && !c->mount->relaxed);
	return n == -EAGAIN ? ioctl_wait(c, w->flags) : n < 0 ? (int)n : 0;
}

static int commit_once(struct ioctl_context *c, const struct dios_ioctl_commit_write *w, const void *data, uint64_t *ret_version)
{
	switch (c->handle->object_kind) {
	case KIND_BLOB:
		return commit_blob(c, w, data, ret_version);
	case KIND_STREAM:
		*ret_version = UINT64_MAX;
		return commit_stream(c, w, data);
	default:
		return -EINVAL;
	}
}

static int commit(struct ioctl_context *c, const struct dios_ioctl_commit_write *w, const void *data, uint64_t *ret_version)
{
	int r = commit_once(c, w, data, ret_version);

	return objects_make_room(c->mount->objects, r) ? commit_once(c, w, data, ret_version) : r;
}

/* Sealed meanwhile: what is checksummed and what is stored are the same bytes. */
static int commit_buffer(struct ioctl_context *c, const struct dios_ioctl_commit_write *w, uint64_t *ret_version)
{
	struct private_buffer *b;
	int r = ioctl_find_buffer(c, w->buffer, &b);

	if (r < 0) {
		c->settle = ioctl_was_spent(&r, ret_version) && r == 0;
		return r;
	}
	r = private_buffer_seal(b);
	if (r == 0) {
		r = w->flags & DIOS_DISCARD ? 0 : w->size > private_buffer_size(b) ? -EINVAL : commit(c, w, private_buffer_data(b), ret_version);
		private_buffer_unseal(b);
		if (r != -EAGAIN)
			ioctl_spend_buffer(b, r, *ret_version);
	}
	private_buffer_put(b);
	return r;
}

int ioctl_commit_write(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	static const uint8_t none[DIOS_ID_SIZE];
	const struct dios_ioctl_commit_write *w = in;
	struct dios_ioctl_commit_write *answer = out;
	uint64_t version = w->object_version;
	int r;

	if (memcmp(w->buffer, none, sizeof(none)) != 0)
		r = commit_buffer(c, w, &version);
	else
		r = w->flags & DIOS_DISCARD ? 0 : commit(c, w, w->data, &version);
	if (r != -EAGAIN)
		ioctl_mutex_release(c, true);
	if (r < 0)
		return r;
	memcpy(answer, w, offsetof(struct dios_ioctl_commit_write, data));
	answer->object_version = version;
	*ret_size = offsetof(struct dios_ioctl_commit_write, data);
	return 0;
}

/* ---- private buffers --------------------------------------------------------------------------------------------- */

int ioctl_buffer(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_buffer *request = in;
	struct dios_ioctl_buffer *answer = out;
	struct private_buffer *b;
	uint64_t no_version;
	int r = request->action == DIOS_BUFFER_NEW ? ioctl_make_buffer(c, request->size, &b) : ioctl_find_buffer(c, request->buffer, &b);

	(void)ret_size;
	if (r < 0) {
		ioctl_was_spent(&r, &no_version);
		return r;
	}
	if (request->action == DIOS_BUFFER_NEW)
		memcpy(answer->buffer, private_buffer_id(b), sizeof(answer->buffer));
	else
		ioctl_spend_buffer(b, 0, 0);
	private_buffer_put(b);
	return 0;
}
