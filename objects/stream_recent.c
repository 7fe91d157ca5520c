/* The newest records of a durable stream that somebody follows, in memory as well: who reads what has just been written finds it here, without
 * the object's lock, which the writer of the next record holds, and without the state's store.
 *
 * Invariants: while `current`, the ring ends where the stream does, and the stream has neither ended nor broken. Records come into it once
 * their command is applied, and go before whoever has trimmed them is answered. A record in memory that may be stale (object.stale) counts
 * for more than `current`, which object_refresh takes away before it clears that mark.
 *
 * The lock is a leaf. Followers find the struct through their own reference: it lives as long as the object. */
#include "objects/object.h"

#define RECENT_BYTES_MAX (512u << 10)    /* of one stream: by so much a follower may be late */
#define RECENT_RECORDS_MAX 4096u

struct stream_recent {
	struct lock lock;                /* guards what follows */
	struct direct_stream *ring;      /* NULL: nothing has come yet */
	unsigned followers;
	bool current;
};

/* Without memory for it, followers read from the state. */
struct stream_recent *stream_recent_open(struct object *o)
{
	if (!o->recent) {
		o->recent = calloc(1, sizeof(*o->recent));
		if (!o->recent) return NULL;
		lock_init(&o->recent->lock, "recent records", LOCK_LEAF);
	}
	LOCK_GUARD(&o->recent->lock);
	o->recent->followers++;
	return o->recent;
}

static void forget(struct stream_recent *n)
{
	direct_stream_free(n->ring);
	n->ring = NULL;
	n->current = false;
}

void stream_recent_close(struct stream_recent *n)
{
	if (!n) return;
	LOCK_GUARD(&n->lock);
	if (--n->followers == 0) forget(n);
}

void stream_recent_free(struct stream_recent *n)
{
	if (!n) return;
	direct_stream_free(n->ring);
	lock_done(&n->lock);
	free(n);
}

void stream_recent_stop(struct stream_recent *n)
{
	if (!n) return;
	LOCK_GUARD(&n->lock);
	n->current = false;
}

void stream_recent_follow(struct object *o)
{
	const struct stream_state *s = &o->record.stream;
	struct stream_recent *n = o->recent;
	struct stream_state have;
	if (!n) return;
	LOCK_GUARD(&n->lock);
	if (!n->current) return;
	direct_stream_state(n->ring, &have);
	n->current = !s->ended && !s->broken && have.end == s->end;
	direct_stream_release(n->ring, s->start);
}

static int append(struct stream_recent *n, const struct stream_state *s, const void *data, size_t size)
{
	struct stream_state have = { 0 };
	if (!n->ring) n->ring = direct_stream_new_recent(RECENT_BYTES_MAX);
	if (!n->ring) return -ENOMEM;
	direct_stream_state(n->ring, &have);
	if (!n->current || have.end != s->end - size) direct_stream_begin(n->ring, s->end - size);
	direct_stream_drop_oldest(n->ring, size, RECENT_RECORDS_MAX);
	ssize_t r = direct_stream_append(n->ring, data, size);
	direct_stream_release(n->ring, s->start);
	return r < 0 ? (int)r : 0;
}

void stream_recent_append(struct object *o, uint64_t offset, const void *data, size_t size)
{
	const struct stream_state *s = &o->record.stream;
	struct stream_recent *n = o->recent;
	if (!n) return;
	LOCK_GUARD(&n->lock);
	if (n->followers == 0) return;
	bool last = offset + size == s->end && !s->ended && !s->broken;
	if (last && append(n, s, data, size) == 0) n->current = true;
	else forget(n);
}

bool stream_recent_read(struct reference *r, uint64_t *offset, void *data, size_t size, bool whole, size_t *ret_size, ssize_t *ret_n)
{
	struct stream_recent *n = r->recent;
	const struct reference_options *op = &r->options;
	bool all = op->range_offset == 0 && op->range_length == UINT64_MAX;
	if (!n || !all || size == 0 || reference_check_right(r, RIGHT_READ) < 0) return false;
	LOCK_GUARD(&n->lock);
	if (!n->current || atomic_load(&r->object->stale)) return false;
	ssize_t got = direct_stream_read(n->ring, offset, data, size, whole, ret_size);
	if (got == -EIO) return false;   /* older than these */
	*ret_n = got;
	return true;
}
