/* The work of one command: reading the store, collecting changes in the batch, and copies of records. */
#include <assert.h>
#include <string.h>

#include "caps/bigendian.h"
#include "cluster/state_apply.h"

int apply_fatal(struct apply *a, int error)
{
	assert(error < 0);
	if (a->fatal == 0)
		a->fatal = error;
	return error;
}

int apply_read(struct apply *a, const struct state_key *key, struct buffer *value)
{
	int r = kv_get(a->s->kv, a->overlay ? a->s->batch : NULL, key_slice(key), value);

	return r < 0 && r != -ENOENT ? apply_fatal(a, r) : r;
}

bool apply_exists(struct apply *a, const struct state_key *key)
{
	return apply_read(a, key, &a->s->value) == 0;
}

int apply_put(struct apply *a, const struct state_key *key, struct slice value)
{
	int r = kv_batch_put(a->s->kv, a->s->batch, key_slice(key), value);
	return r < 0 ? apply_fatal(a, r) : 0;
}

int apply_put_u64(struct apply *a, const struct state_key *key, uint64_t value)
{
	uint8_t bytes[8];

	put_be64(bytes, value);
	return apply_put(a, key, (struct slice){ .data = bytes, .size = sizeof(bytes) });
}

int apply_delete(struct apply *a, const struct state_key *key)
{
	int r = kv_batch_delete(a->s->kv, a->s->batch, key_slice(key));
	return r < 0 ? apply_fatal(a, r) : 0;
}

struct kv_iter *apply_iterate(struct apply *a, const struct state_key *from, const struct state_key *below)
{
	struct kv_iter *it = kv_iter_new(a->s->kv, NULL, key_slice(from), key_slice(below));

	if (!it)
		apply_fatal(a, -ENOMEM);
	return it;
}

int apply_delete_prefix(struct apply *a, const struct state_key *prefix)
{
	struct state_key below = key_after(prefix);
	struct kv_iter *it = apply_iterate(a, prefix, &below);
	int r = it ? 0 : -ENOMEM;

	for (; r == 0 && kv_iter_valid(a->s->kv, it); kv_iter_next(a->s->kv, it))
		r = kv_batch_delete(a->s->kv, a->s->batch, kv_iter_key(a->s->kv, it));
	if (r == 0)
		r = kv_iter_error(a->s->kv, it);
	kv_iter_free(a->s->kv, it);
	return r < 0 ? apply_fatal(a, r) : 0;
}

/* ---- the cache of records: direct mapped, written after each command by the applier, which reads it without the lock ---- */

static struct record *cache_place(struct state *s, uint64_t ino)
{
	return &s->cache[(ino * 0x9e3779b97f4a7c15u) >> 32 & (RECORD_CACHE - 1)];
}

void state_cache_put(struct state *s, const struct record *r)
{
	LOCK_GUARD(&s->cache_lock);
	*cache_place(s, r->ino) = *r;
}

void state_cache_drop(struct state *s, uint64_t ino)
{
	struct record *place = cache_place(s, ino);

	LOCK_GUARD(&s->cache_lock);
	if (place->ino == ino)
		place->ino = 0;
}

bool state_cache_get(struct state *s, uint64_t ino, struct record *ret_record)
{
	const struct record *place = cache_place(s, ino);

	LOCK_GUARD(&s->cache_lock);
	if (ino == 0 || place->ino != ino)
		return false;
	*ret_record = *place;
	return true;
}

/* ---- records ---- */

int apply_peek(struct apply *a, uint64_t ino, struct record *ret_record)
{
	const struct record *cached = cache_place(a->s, ino);

	if (ino == 0)
		return -ENOENT;
	if (cached->ino == ino) {
		*ret_record = *cached;
		return 0;
	}
	struct state_key key = key_ino(KEY_RECORD, ino);
	int r = apply_read(a, &key, &a->s->value);
	if (r == 0)
		r = record_decode((struct slice){ .data = a->s->value.data, .size = a->s->value.size }, ret_record);
	return r < 0 && r != -ENOENT ? apply_fatal(a, r) : r;
}

struct record *apply_new_record(struct apply *a, const struct record *r)
{
	assert(a->record_count < APPLY_RECORDS);
	a->records[a->record_count].record = *r;
	a->records[a->record_count].dirty = a->records[a->record_count].freed = false;
	return &a->records[a->record_count++].record;
}

int apply_record(struct apply *a, uint64_t ino, struct record **ret_record)
{
	struct record loaded;

	for (unsigned i = 0; i < a->record_count; i++) {
		if (a->records[i].record.ino == ino) {
			*ret_record = &a->records[i].record;
			return 0;
		}
	}
	int r = apply_peek(a, ino, &loaded);
	if (r == 0)
		*ret_record = apply_new_record(a, &loaded);
	return r;
}

void apply_dirty(struct apply *a, struct record *r)
{
	for (unsigned i = 0; i < a->record_count; i++) {
		if (&a->records[i].record == r)
			a->records[i].dirty = true;
	}
}

void apply_freed(struct apply *a, const struct record *r)
{
	for (unsigned i = 0; i < a->record_count; i++) {
		if (&a->records[i].record == r)
			a->records[i].freed = true;
	}
}

void apply_set_blocks(struct apply *a, struct record *r, uint64_t blocks)
{
	a->blocks += (int64_t)(blocks - r->blocks);
	r->blocks = blocks;
}

void apply_report(struct apply *a, const struct record *r)
{
	a->reported = r;
}

int apply_flush_records(struct apply *a)
{
	struct buffer *out = &a->s->encoded;

	for (unsigned i = 0; i < a->record_count; i++) {
		const struct record *record = &a->records[i].record;
		if (!a->records[i].dirty || a->records[i].freed)
			continue;
		buffer_reset(out);
		record_encode(record, out);
		if (buffer_error(out) < 0)
			return apply_fatal(a, buffer_error(out));
		struct state_key key = key_ino(KEY_RECORD, record->ino);
		int r = apply_put(a, &key, (struct slice){ .data = out->data, .size = out->size });
		if (r < 0)
			return r;
		assert(a->result->touched_count < RESULT_TOUCHED_MAX);
		a->result->touched[a->result->touched_count++] = record->ino;
	}
	if (a->reported) {
		a->result->has_record = true;
		a->result->record = *a->reported;
	}
	return 0;
}
