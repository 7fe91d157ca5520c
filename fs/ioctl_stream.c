/* Ioctls of streams: the end, the bounds, and how a descriptor reads. */
#include "fs/ioctl_calls.h"
#include "libdios/dios.h"

int ioctl_stream_end(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	int r = ioctl_kind(c, KIND_STREAM);

	(void)in;
	(void)out;
	(void)ret_size;
	if (r == 0)
		r = ioctl_need_right(c, RIGHT_WRITE | RIGHT_APPEND);
	return r < 0 ? r : stream_end(c->reference);
}

#define SET_OWN (DIOS_SET_MODE | DIOS_SET_POSITION)

/* What is not set stays as it is. */
static int set_bounds(struct ioctl_context *c, const struct dios_ioctl_stream *s)
{
	struct attributes a;
	int r = ioctl_need_right(c, RIGHT_WRITE);

	if (r == 0)
		r = ioctl_record(c, &a);
	if (r < 0)
		return r;
	const struct stream_state *now = &a.record.stream;
	struct command_stream_update update = { .ino = a.record.ino, .set_limits = true,
		.limit_bytes = s->set & DIOS_SET_LIMIT ? s->limit_bytes : now->limit_bytes,
		.trim_bytes = s->set & DIOS_SET_TRIM_BYTES ? s->trim_bytes : now->trim_bytes,
		.trim_age_ns = s->set & DIOS_SET_TRIM_AGE ? s->trim_age_ns : now->trim_age_ns,
		.trim_consumed = s->set & DIOS_SET_TRIM_CONSUMED ? s->trim_consumed : now->trim_consumed };
	return stream_configure(c->mount->objects, a.record.ino, &update);
}

static void set_own(struct ioctl_context *c, const struct dios_ioctl_stream *s)
{
	struct handle *h = c->handle;

	if (s->set & DIOS_SET_MODE)
		reference_set_stream_mode(c->reference, (enum stream_mode)s->mode);
	LOCK_GUARD(&h->lock);
	if (s->set & DIOS_SET_MODE)
		h->entry->stream_mode = s->mode;
	if (s->set & DIOS_SET_POSITION) {
		h->entry->position = s->position;
		h->entry->stream_begun = false;   /* from the oldest byte there is, if that one is gone */
	}
}

int ioctl_stream_configure(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_stream *s = in;
	int r = ioctl_kind(c, KIND_STREAM);

	(void)out;
	(void)ret_size;
	if (r == 0 && (s->set & SET_OWN))
		r = ioctl_need_right(c, RIGHT_READ);
	if (r == 0 && (s->set & ~(uint32_t)SET_OWN))
		r = set_bounds(c, s);
	if (r == 0)
		set_own(c, s);
	return r;
}
