/* Streams: records in order, appended whole. Durable ones live in the state (one command a record), direct ones in memory
 * (stream_direct.c). Readers follow by offset, or consume record by record, shared with the other consumers.
 *
 * A durable stream forgets by its trim settings. A direct one gives room back when every open follower has read past, or, with
 * consumers only, when a record has been handed out; with no reader at all it keeps what it has and writers wait at its bound.
 * Memory-only content does not outlive the daemon: a direct stream of an earlier one is broken, -EPIPE. */
#include "objects/object.h"

#include <string.h>

/* The stream's bounds and bytes as of now. */
static void current_state(const struct object *o, struct stream_state *ret)
{
	*ret = o->record.stream;
	if (!(o->record.flags & CREATE_STREAM_DIRECT)) return;
	if (o->direct) direct_stream_state(o->direct, ret);
	else ret->ended = ret->broken = true;
}

void stream_attributes(struct object *o, struct record *record)
{
	current_state(o, &record->stream);
	record->size = record->stream.end;
	record->blocks = (record->stream.end - record->stream.start + 511) / 512;
}

uint32_t stream_ready(struct object *o, uint64_t position)
{
	struct stream_state s;
	current_state(o, &s);
	uint32_t events = 0;
	if (s.broken) return READY_READ | READY_WRITE | READY_END | READY_ERROR;
	if (position < s.end || s.ended) events |= READY_READ;
	if (s.ended && position >= s.end) events |= READY_END;
	bool trimmed = s.trim_bytes || s.trim_age_ns;
	if (s.ended || trimmed || s.limit_bytes == 0 || s.end - s.start < s.limit_bytes) events |= READY_WRITE;
	return events;
}

static int lock_stream(struct reference *r, uint32_t right)
{
	int e = reference_check_right(r, right);
	if (e == 0) e = object_lock(r->object);
	if (e < 0) return e;
	if (r->object->record.kind == KIND_STREAM) return 0;
	object_unlock(r->object);
	return -EINVAL;
}

static int update(struct object *o, const struct command_stream_update *change)
{
	struct command c = { .kind = COMMAND_STREAM_UPDATE, .counts = change->set_consumed, .stream_update = *change };
	c.stream_update.ino = o->ino;
	struct result result;
	int r = object_propose(o->os, o, &c, false, &result);
	if (r == 0 && change->set_limits && o->direct) direct_stream_set_limit(o->direct, change->limit_bytes);
	return r;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static ssize_t append_durable(struct object *o, const void *data, size_t size, bool durable)
{
	uint32_t record_size = (uint32_t)size;
	struct result result;
	int r = object_redone(o->os, o, &result);
	if (r > 0) return durable && (r = cluster_sync(o->os->cluster)) < 0 ? r : (ssize_t)size;
	if (r == 0 && !store_has_room(o->os->store, size)) r = -ENOSPC;
	bool grows = o->record.stream.trim_bytes == 0 && o->record.stream.trim_age_ns == 0;   /* else it may give back as much */
	if (r == 0 && grows) r = quota_admit_record(o, size);
	if (r < 0) return r;
	struct command c = { .kind = COMMAND_STREAM_APPEND, .counts = true, .stream_append = { .ino = o->ino, .sizes = &record_size, .count = 1,
		.bytes = { data, size }, .check_limit = grows } };
	r = object_propose(o->os, o, &c, durable, &result);
	if (r < 0) return r;
	stream_recent_append(o, result.offset, data, size);
	stream_age_note(o);
	return (ssize_t)size;
}

ssize_t stream_append(struct reference *r, const void *data, size_t size, bool durable)
{
	if (size > STREAM_RECORD_MAX) return -EMSGSIZE;
	int e = lock_stream(r, RIGHT_WRITE | RIGHT_APPEND);
	if (e < 0) return e;
	struct object *o = r->object;
	ssize_t n;
	if (r->options.range_length != UINT64_MAX) n = -EACCES;   /* a range of a stream is for reading */
	else if (size == 0) n = 0;
	else if (o->record.flags & CREATE_STREAM_DIRECT) n = o->direct ? direct_stream_append(o->direct, data, size) : -EPIPE;
	else n = append_durable(o, data, size, durable);
	if (n > 0) {
		o->changed = true;
		o->change++;
	}
	object_unlock(o);
	return n;
}

static int end_locked(struct object *o, bool broken)
{
	if (o->direct) direct_stream_end(o->direct, broken);
	o->changed = true;
	return update(o, &(struct command_stream_update){ .end = true, .broken = broken });
}

int stream_tidy(struct object *o, bool end)
{
	if (o->record.kind != KIND_STREAM) return 0;
	if (end && o->stream_writers > 0) end = false;   /* somebody writes again */
	return end ? end_locked(o, false) : update(o, &(struct command_stream_update){ 0 });
}

int stream_end(struct reference *r)
{
	int e = lock_stream(r, RIGHT_WRITE | RIGHT_APPEND);
	if (e < 0) return e;
	e = end_locked(r->object, false);
	object_unlock(r->object);
	return e;
}

int stream_configure(struct objects *os, uint64_t ino, const struct command_stream_update *change)
{
	struct object *o;
	int e = object_acquire(os, ino, &o);
	if (e < 0) return e;
	if (o->record.kind != KIND_STREAM) e = -EINVAL;
	else if (change->end) e = end_locked(o, change->broken);
	else e = update(o, change);
	if (e == 0) stream_age_note(o);
	object_release(o);
	return e;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct stream_reader { uint8_t *data; size_t size, got; uint64_t offset; bool whole; size_t record_size; int error; };

static int each_record(void *arg, uint64_t offset, struct slice record)
{
	struct stream_reader *s = arg;
	if (offset + record.size <= s->offset) return 0;
	if (offset > s->offset) return 1;   /* what should be here is missing: nothing is skipped */
	size_t skip = s->offset > offset ? s->offset - offset : 0, have = record.size - skip;
	if (s->whole) {
		s->record_size = have;
		if (have > s->size) s->error = -EMSGSIZE;
	}
	if (s->error) return 1;
	size_t piece = have < s->size - s->got ? have : s->size - s->got;
	memcpy(s->data + s->got, record.data + skip, piece);
	s->got += piece;
	s->offset += piece;
	return s->whole || s->got == s->size;
}

static ssize_t read_durable(struct object *o, uint64_t *offset, void *data, size_t size, bool whole, size_t *ret_size)
{
	const struct stream_state *s = &o->record.stream;
	if (s->broken) return -EPIPE;
	if (*offset < s->start) return -EIO;
	if (*offset >= s->end) return s->ended ? 0 : -EAGAIN;
	struct stream_reader reader = { .data = data, .size = size, .offset = *offset, .whole = whole };
	int r = state_read_stream(cluster_state(o->os->cluster, o->ino), o->ino, *offset, each_record, &reader);
	if (r < 0) return r;
	if (ret_size) *ret_size = reader.record_size;
	if (reader.error) return reader.error;
	if (reader.got == 0) return -EIO;   /* the record says that there are bytes: the stream is damaged */
	*offset = reader.offset;
	return (ssize_t)reader.got;
}

static ssize_t read_any(struct object *o, uint64_t *offset, void *data, size_t size, bool whole, size_t *ret_size)
{
	if (!(o->record.flags & CREATE_STREAM_DIRECT)) return read_durable(o, offset, data, size, whole, ret_size);
	return o->direct ? direct_stream_read(o->direct, offset, data, size, whole, ret_size) : -EPIPE;
}

/* Gives back what no open follower needs any more. */
static void release_read(struct object *o)
{
	if (!o->direct) return;
	struct stream_state s;
	direct_stream_state(o->direct, &s);
	uint64_t lowest = UINT64_MAX;
	for (const struct reference *r = o->stream_refs; r; r = r->stream_next) {
		if (!(r->options.rights & RIGHT_READ)) continue;
		uint64_t at = r->options.stream_mode == STREAM_CONSUME ? s.consumed : r->stream_position;
		if (at < lowest) lowest = at;
	}
	if (lowest == UINT64_MAX || lowest <= s.start) return;
	direct_stream_release(o->direct, lowest);
	o->changed = true;
}

static ssize_t follow(struct reference *r, uint64_t *offset, bool first, void *data, size_t size, bool whole, size_t *ret_size)
{
	ssize_t n;
	if (stream_recent_read(r, offset, data, size, whole, ret_size, &n)) return n;
	int e = lock_stream(r, RIGHT_READ);
	if (e < 0) return e;
	struct object *o = r->object;
	struct stream_state s;
	current_state(o, &s);
	if (first && *offset < s.start) *offset = s.start;
	const struct reference_options *op = &r->options;
	if (*offset < op->range_offset || *offset - op->range_offset >= op->range_length) {
		n = op->range_length == UINT64_MAX ? -EACCES : 0;
	} else {
		uint64_t left = op->range_length - (*offset - op->range_offset);
		n = read_any(o, offset, data, size < left ? size : left, whole, ret_size);
	}
	if (n >= 0 || n == -EAGAIN) {
		/* Who waits at an offset does not need what lies before it. */
		bool moved = *offset != r->stream_position;
		r->stream_position = *offset;
		if (moved) release_read(o);
	}
	object_unlock(o);
	return n;
}

ssize_t stream_read(struct reference *r, uint64_t *offset, bool first, void *data, size_t size)
{
	return follow(r, offset, first, data, size, false, NULL);
}

ssize_t stream_next(struct reference *r, uint64_t *offset, void *data, size_t size, size_t *ret_size)
{
	return follow(r, offset, *offset == 0, data, size, true, ret_size);
}

/* The next record for a consumer. One that an earlier daemon has given to this same request (D2) is in data already. */
static ssize_t consume_read(struct reference *r, uint64_t *ret_after, void *data, size_t size, size_t *ret_size)
{
	struct object *o = r->object;
	struct stream_state s;
	uint64_t at, taken;
	if (!o->direct && redo_take_place(&at, &taken)) {
		*ret_size = taken;
		if (taken > size) return -EMSGSIZE;
		*ret_after = at + taken;
		return (ssize_t)taken;
	}
	current_state(o, &s);
	at = s.consumed > s.start ? s.consumed : s.start;
	ssize_t n;
	if (!stream_recent_read(r, &at, data, size, true, ret_size, &n)) n = read_any(o, &at, data, size, true, ret_size);
	*ret_after = at;
	if (n > 0 && !o->direct) redo_put_place(at - (uint64_t)n, (uint64_t)n);
	return n;
}

ssize_t stream_consume(struct reference *r, void *data, size_t size, size_t *ret_size)
{
	int e = lock_stream(r, RIGHT_READ);
	if (e < 0) return e;
	struct object *o = r->object;
	uint64_t at = 0;
	ssize_t n = r->options.range_length != UINT64_MAX ? -EACCES : consume_read(r, &at, data, size, ret_size);
	if (n > 0) {
		if (o->direct) direct_stream_consume(o->direct, at);
		else e = update(o, &(struct command_stream_update){ .set_consumed = true, .consumed = at });
		release_read(o);
		o->changed = true;
	}
	object_unlock(o);
	return e < 0 ? e : n;
}

/* ---- life (called with the object locked) ------------------------------------------------------------------------ */

void stream_opened(struct object *o, struct reference *r)
{
	struct stream_state s;
	current_state(o, &s);
	r->stream_position = s.start;
	r->stream_next = o->stream_refs;
	o->stream_refs = r;
	if (r->options.rights & (RIGHT_WRITE | RIGHT_APPEND)) o->stream_writers++;
	if (r->options.rights & RIGHT_READ && !(o->record.flags & CREATE_STREAM_DIRECT)) r->recent = stream_recent_open(o);
	stream_age_note(o);
}

void stream_closed(struct object *o, struct reference *r)
{
	for (struct reference **at = &o->stream_refs; *at; at = &(*at)->stream_next) {
		if (*at != r) continue;
		*at = r->stream_next;
		break;
	}
	stream_recent_close(r->recent);
	release_read(o);
	if (!(r->options.rights & (RIGHT_WRITE | RIGHT_APPEND)) || --o->stream_writers > 0) return;
	if (o->record.flags & CREATE_STREAM_END_ON_CLOSE && end_locked(o, false) < 0) stream_end_later(o);
}
