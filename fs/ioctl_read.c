/* acquire_read and commit_read.
 *
 * A blob's bytes come inside the answer if they are few; else the program maps the descriptor itself (its pages are the kernel's cache,
 * which the settled answer makes current), or, with PIN or where that can't be, a private copy. The version is taken before the
 * bytes: bytes newer than the version they are called by make commit_read say ESTALE, never the other way round. */
#include <string.h>

#include "fs/ioctl_calls.h"
#include "fs/session.h"
#include "libdios/dios.h"

#define SNAPSHOT_TRIES 8     /* a copy is tried so often before its version may be called older than it is */
#define CONSUME_TRIES 8      /* other consumers may take the record whose size was asked for */

#define ANSWER_HEADER offsetof(struct dios_ioctl_acquire, data)

static void answer_header(const struct dios_ioctl_acquire *in, uint64_t offset, uint64_t size, uint64_t version, enum dios_place place,
	struct dios_ioctl_acquire *answer)
{
	memset(answer, 0, ANSWER_HEADER);
	answer->version = DIOS_ABI_VERSION;
	answer->flags = in->flags;
	answer->offset = offset;
	answer->size = size;
	answer->object_version = version;
	answer->place = place;
}

/* ---- blobs ------------------------------------------------------------------------------------------------------- */

/* What is there of [offset, offset + size). */
static uint64_t available(const struct record *r, uint64_t offset, uint64_t size)
{
	if (offset >= r->size)
		return 0;
	return size < r->size - offset ? size : r->size - offset;
}

/* Bytes and the version they are of. */
static ssize_t snapshot(struct reference *r, uint64_t offset, void *data, size_t size, uint64_t *ret_version)
{
	ssize_t n = 0;

	for (int i = 0; i < SNAPSHOT_TRIES; i++) {
		int e = reference_acquire(r, ret_version);
		if (e < 0)
			return e;
		n = reference_read(r, offset, data, size);
		if (n < 0 || reference_check(r, *ret_version) == 0)
			break;
	}
	return n;
}

static int blob_inline(struct ioctl_context *c, const struct dios_ioctl_acquire *in, size_t size, struct dios_ioctl_acquire *answer, size_t *ret_size)
{
	uint64_t version;
	ssize_t n = snapshot(c->reference, in->offset, answer->data, size, &version);

	if (n < 0)
		return (int)n;
	answer_header(in, in->offset, (uint64_t)n, version, DIOS_PLACE_INLINE, answer);
	ioctl_set_version(c, version);
	*ret_size = ANSWER_HEADER + (size_t)n;
	return 0;
}

static int blob_map(struct ioctl_context *c, const struct dios_ioctl_acquire *in, uint64_t size, struct dios_ioctl_acquire *answer, size_t *ret_size)
{
	uint64_t version;
	int r = reference_acquire(c->reference, &version);

	if (r < 0)
		return r;
	answer_header(in, in->offset, size, version, DIOS_PLACE_MAP, answer);
	ioctl_set_version(c, version);
	*ret_size = ANSWER_HEADER;
	c->settle = true;
	return 0;
}

static int blob_copy(struct ioctl_context *c, const struct dios_ioctl_acquire *in, uint64_t size, struct dios_ioctl_acquire *answer, size_t *ret_size)
{
	struct private_buffer *b;
	uint64_t version;

	if (size > PRIVATE_BUFFER_MAX)
		size = PRIVATE_BUFFER_MAX;
	int r = ioctl_make_buffer(c, size, &b);
	if (r < 0)
		return r;
	ssize_t n = snapshot(c->reference, in->offset, private_buffer_data(b), size, &version);
	if (n <= 0) {
		private_buffer_free(b);
	} else {
		answer_header(in, in->offset, (uint64_t)n, version, DIOS_PLACE_BUFFER, answer);
		memcpy(answer->buffer, private_buffer_id(b), sizeof(answer->buffer));
		ioctl_set_version(c, version);
		*ret_size = ANSWER_HEADER;
	}
	private_buffer_put(b);
	if (n == 0)   /* it has been cut meanwhile */
		return blob_inline(c, in, 0, answer, ret_size);
	return n < 0 ? (int)n : 0;
}

static int acquire_bytes(struct ioctl_context *c, const struct dios_ioctl_acquire *in, uint64_t size, struct dios_ioctl_acquire *answer, size_t *ret_size)
{
	if (size <= DIOS_INLINE_MAX)
		return blob_inline(c, in, (size_t)size, answer, ret_size);
	if (c->mappable && !(in->flags & DIOS_PIN))
		return blob_map(c, in, size, answer, ret_size);
	return blob_copy(c, in, size, answer, ret_size);
}

static int acquire_blob(struct ioctl_context *c, const struct dios_ioctl_acquire *in, struct dios_ioctl_acquire *answer, size_t *ret_size)
{
	struct attributes a;
	int r = ioctl_record(c, &a);

	if (r < 0)
		return r;
	if (in->offset == UINT64_MAX || (in->flags & DIOS_RECORD))
		return -EINVAL;
	if (a.record.produced == PRODUCED_NOT_YET)
		return ioctl_wait(c, in->flags);
	if (a.record.produced == PRODUCED_FAILED)
		return -EIO;
	if (a.record.read_consistency != CONSISTENCY_MUTEX)
		return acquire_bytes(c, in, available(&a.record, in->offset, in->size), answer, ret_size);
	r = ioctl_mutex_acquire(c, false);
	if (r < 0)
		return r == -EAGAIN ? ioctl_wait(c, in->flags) : r;
	r = ioctl_record(c, &a);   /* who had it may have changed the size */
	if (r == 0)
		r = acquire_bytes(c, in, available(&a.record, in->offset, in->size), answer, ret_size);
	if (r < 0)
		ioctl_mutex_release(c, false);
	else
		answer->place |= DIOS_PLACE_HELD;
	return r;
}

/* ---- streams ----------------------------------------------------------------------------------------------------- */

struct stream_place { uint64_t position; bool begun; };

static struct stream_place stream_place_get(const struct ioctl_context *c, uint64_t offset)
{
	struct handle *h = c->handle;
	uint64_t position, begun;

	if (redo_take_place(&position, &begun))
		return (struct stream_place){ .position = position, .begun = begun };
	LOCK_GUARD(&h->lock);
	return (struct stream_place){ .position = offset == UINT64_MAX ? h->entry->position : offset,
		.begun = offset == UINT64_MAX && h->entry->stream_begun };
}

/* False if another thread has read through this descriptor meanwhile: what was read is its, and ours comes after it. */
static bool stream_place_move(const struct ioctl_context *c, uint64_t offset, const struct stream_place *from, uint64_t to)
{
	struct handle *h = c->handle;
	uint64_t position, begun;

	LOCK_GUARD(&h->lock);
	/* An earlier daemon may have moved it for this same request (D2). */
	bool again = redo_take_place(&position, &begun);
	if (!again && offset == UINT64_MAX && (h->entry->position != from->position || h->entry->stream_begun != from->begun))
		return false;
	if (!again)
		redo_put_place(from->position, from->begun);
	h->entry->position = to;
	h->entry->stream_begun = true;
	return true;
}

/* One read into data[size]: bytes, or a whole record. *ret_begin: where it starts. */
static ssize_t follow_once(struct ioctl_context *c, const struct dios_ioctl_acquire *in, void *data, size_t size, uint64_t *ret_begin, size_t *ret_needed)
{
	for (;;) {
		struct stream_place from = stream_place_get(c, in->offset);
		uint64_t at = from.position;
		ssize_t n = in->flags & DIOS_RECORD ? stream_next(c->reference, &at, data, size, ret_needed) :
			stream_read(c->reference, &at, !from.begun, data, size);
		if (n <= 0) {
			*ret_begin = at;
			return n;
		}
		if (stream_place_move(c, in->offset, &from, at)) {
			*ret_begin = at - (uint64_t)n;
			return n;
		}
	}
}

static ssize_t stream_once(struct ioctl_context *c, const struct dios_ioctl_acquire *in, void *data, size_t size, uint64_t *ret_begin, size_t *ret_needed)
{
	if (reference_get_options(c->reference)->stream_mode != STREAM_CONSUME)
		return follow_once(c, in, data, size, ret_begin, ret_needed);
	*ret_begin = UINT64_MAX;
	uint8_t *record = request_record_buffer(size);
	ssize_t n = record ? stream_consume(c->reference, record, size, ret_needed) : -ENOMEM;
	if (n > 0)
		memcpy(data, record, (size_t)n);
	return n;
}

static int stream_answer(const struct dios_ioctl_acquire *in, uint64_t begin, size_t size, struct private_buffer *b, struct dios_ioctl_acquire *answer,
	size_t *ret_size)
{
	answer_header(in, begin, size, UINT64_MAX, b ? DIOS_PLACE_BUFFER : DIOS_PLACE_INLINE, answer);
	if (b)
		memcpy(answer->buffer, private_buffer_id(b), sizeof(answer->buffer));
	*ret_size = ANSWER_HEADER + (b ? 0 : size);
	return 0;
}

/* A record, or as many bytes as the program wants, that do not fit into the answer. */
static int stream_large(struct ioctl_context *c, const struct dios_ioctl_acquire *in, size_t room, struct dios_ioctl_acquire *answer, size_t *ret_size)
{
	struct private_buffer *b;
	uint64_t begin;
	size_t needed = 0;
	int r = ioctl_make_buffer(c, room, &b);

	if (r < 0)
		return r;
	ssize_t n = stream_once(c, in, private_buffer_data(b), room, &begin, &needed);
	if (n <= DIOS_INLINE_MAX) {
		if (n > 0)
			memcpy(answer->data, private_buffer_data(b), (size_t)n);
		private_buffer_free(b);
	}
	r = n < 0 ? (int)n : stream_answer(in, begin, (size_t)n, n > DIOS_INLINE_MAX ? b : NULL, answer, ret_size);
	private_buffer_put(b);
	return r;
}

static bool whole_records(const struct ioctl_context *c, const struct dios_ioctl_acquire *in)
{
	return (in->flags & DIOS_RECORD) || reference_get_options(c->reference)->stream_mode == STREAM_CONSUME;
}

static int read_records(struct ioctl_context *c, const struct dios_ioctl_acquire *in, size_t want, struct dios_ioctl_acquire *answer, size_t *ret_size)
{
	size_t room = want < DIOS_INLINE_MAX ? want : DIOS_INLINE_MAX, needed = 0;
	uint64_t begin;
	ssize_t n = stream_once(c, in, answer->data, room, &begin, &needed);

	for (int i = 0; n == -EMSGSIZE && needed > room && needed <= want && i < CONSUME_TRIES; i++) {
		room = needed;
		int r = stream_large(c, in, room, answer, ret_size);
		if (r != -EMSGSIZE)
			return r;
		n = stream_once(c, in, answer->data, want < DIOS_INLINE_MAX ? want : DIOS_INLINE_MAX, &begin, &needed);
	}
	return n < 0 ? (int)n : stream_answer(in, begin, (size_t)n, NULL, answer, ret_size);
}

/* As many bytes as there are, up to `want`; a private buffer only for more than fits into the answer. */
static int read_bytes(struct ioctl_context *c, const struct dios_ioctl_acquire *in, size_t want, struct dios_ioctl_acquire *answer, size_t *ret_size)
{
	uint64_t begin;

	if (want > DIOS_INLINE_MAX) {
		struct stream_place place = stream_place_get(c, in->offset);
		struct attributes a;
		int r = ioctl_record(c, &a);
		if (r < 0)
			return r;
		const struct stream_state *s = &a.record.stream;
		uint64_t from = place.position < s->start ? s->start : place.position, there = s->end > from ? s->end - from : 0;
		if (want > there)
			want = (size_t)there;
		if (want > DIOS_INLINE_MAX)
			return stream_large(c, in, want, answer, ret_size);
		want = DIOS_INLINE_MAX;
	}
	ssize_t n = follow_once(c, in, answer->data, want, &begin, NULL);
	return n < 0 ? (int)n : stream_answer(in, begin, (size_t)n, NULL, answer, ret_size);
}

static int acquire_stream(struct ioctl_context *c, const struct dios_ioctl_acquire *in, struct dios_ioctl_acquire *answer, size_t *ret_size)
{
	size_t want = in->size < STREAM_RECORD_MAX ? (size_t)in->size : STREAM_RECORD_MAX;
	if (want == 0 || (in->offset != UINT64_MAX && reference_get_options(c->reference)->stream_mode == STREAM_CONSUME))
		return -EINVAL;
	int r = whole_records(c, in) ? read_records(c, in, want, answer, ret_size) : read_bytes(c, in, want, answer, ret_size);
	return r == -EAGAIN ? ioctl_wait(c, in->flags) : r;
}

/* ---- the calls --------------------------------------------------------------------------------------------------- */

int ioctl_acquire_read(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	int r = ioctl_need_right(c, RIGHT_READ);

	if (r < 0)
		return r;
	switch (c->handle->object_kind) {
	case KIND_BLOB: return acquire_blob(c, in, out, ret_size);
	case KIND_STREAM: return acquire_stream(c, in, out, ret_size);
	default: return -EINVAL;
	}
}

int ioctl_commit_read(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	static const uint8_t none[DIOS_ID_SIZE];
	const struct dios_ioctl_commit_read *r = in;
	struct private_buffer *b;

	(void)out;
	(void)ret_size;
	int current = (r->flags & DIOS_DISCARD) || c->handle->object_kind == KIND_STREAM ? 0 : reference_check(c->reference, r->object_version);
	ioctl_mutex_release(c, false);
	if (memcmp(r->buffer, none, sizeof(none)) != 0) {
		int e = ioctl_find_buffer(c, r->buffer, &b);
		if (e < 0) {
			uint64_t no_version;
			ioctl_was_spent(&e, &no_version);
			return e;
		}
		ioctl_spend_buffer(b, current, 0);
		private_buffer_put(b);
	}
	return current;
}
