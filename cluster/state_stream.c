/* STREAM_APPEND and STREAM_UPDATE.
 *
 * What one append brought is a chunk: its records' sizes and time under KEY_STREAM_INDEX, its bytes under KEY_STREAM_DATA, both under the
 * offset of its first byte, so that trimming reads no bytes. Invariants: start, end and chunk lie between records;
 * chunk <= start <= consumed <= end (consumed is where the proposer says, and trimming rounds it down to a record); the chunks kept are those from `chunk` on, without a gap, up to `end`. A record is trimmed whole or
 * not at all; what an append brings is never trimmed by the same append. */
#include <assert.h>

#include "caps/bigendian.h"
#include "cluster/state_apply.h"

#define INDEX_HEADER 8u     /* time; then 4 bytes for each record's size */

struct chunk { int64_t time_ns; uint64_t size; };

/* The chunk that holds `start`, into s->value. */
static int read_chunk(struct apply *a, const struct stream_state *stream, uint64_t ino, struct chunk *ret_chunk)
{
	struct state_key key = key_ino_u64(KEY_STREAM_INDEX, ino, stream->chunk);
	struct buffer *value = &a->s->value;
	int r = apply_read(a, &key, value);

	if (r < 0 || value->size <= INDEX_HEADER || (value->size - INDEX_HEADER) % 4 != 0)
		return apply_fatal(a, r < 0 && r != -ENOENT ? r : -EBADMSG);
	*ret_chunk = (struct chunk){ .time_ns = (int64_t)get_be64(value->data) };
	for (size_t at = INDEX_HEADER; at < value->size; at += 4)
		ret_chunk->size += get_be32(value->data + at);
	return 0;
}

static int drop_chunk(struct apply *a, struct stream_state *stream, uint64_t ino, uint64_t size)
{
	struct state_key key = key_ino_u64(KEY_STREAM_INDEX, ino, stream->chunk);
	int r = apply_delete(a, &key);

	if (r < 0)
		return r;
	key = key_ino_u64(KEY_STREAM_DATA, ino, stream->chunk);
	stream->chunk += size;
	stream->start = stream->chunk;
	return apply_delete(a, &key);
}

/* Moves start inside the chunk whose sizes are in s->value. */
static void advance_in_chunk(struct apply *a, struct stream_state *stream, uint64_t to, bool round_up)
{
	const struct buffer *value = &a->s->value;
	uint64_t offset = stream->chunk;

	for (size_t at = INDEX_HEADER; at < value->size && offset < to; at += 4) {
		uint64_t next = offset + get_be32(value->data + at);
		if (next > to && !round_up)
			break;
		offset = next;
	}
	if (offset > stream->start)
		stream->start = offset;
}

/* Moves start up to the record boundary at `to`, or the next one below or above it. */
static int advance(struct apply *a, struct record *r, uint64_t to, bool round_up)
{
	struct stream_state *stream = &r->stream;
	struct chunk chunk;

	assert(to <= stream->end);
	while (stream->start < to) {
		int error = read_chunk(a, stream, r->ino, &chunk);
		if (error < 0)
			return error;
		if (stream->chunk + chunk.size > to) {
			advance_in_chunk(a, stream, to, round_up);
			return stream->start == stream->chunk + chunk.size ? drop_chunk(a, stream, r->ino, chunk.size) : 0;
		}
		error = drop_chunk(a, stream, r->ino, chunk.size);
		if (error < 0)
			return error;
	}
	return 0;
}

static int trim_by_age(struct apply *a, struct record *r)
{
	struct stream_state *stream = &r->stream;
	struct chunk chunk;

	while (stream->trim_age_ns > 0 && stream->chunk < stream->end) {
		int error = read_chunk(a, stream, r->ino, &chunk);
		if (error < 0)
			return error;
		if (chunk.time_ns > a->now_ns - stream->trim_age_ns)
			break;
		error = drop_chunk(a, stream, r->ino, chunk.size);
		if (error < 0)
			return error;
	}
	return 0;
}

/* Everything that the stream's limits say goes, when `coming` bytes are about to be appended. */
static int trim(struct apply *a, struct record *r, uint64_t coming)
{
	struct stream_state *stream = &r->stream;
	int error = trim_by_age(a, r);

	if (error == 0 && stream->trim_consumed && stream->consumed > stream->start)
		error = advance(a, r, stream->consumed, false);
	if (error == 0 && stream->trim_bytes > 0 && stream->end - stream->start + coming > stream->trim_bytes) {
		uint64_t excess = stream->end - stream->start + coming - stream->trim_bytes;
		uint64_t kept = stream->end - stream->start;
		error = advance(a, r, stream->start + (excess < kept ? excess : kept), true);
	}
	if (stream->consumed < stream->start)
		stream->consumed = stream->start;   /* lost to consumers too */
	return error;
}

static int check_append(const struct stream_state *stream, const struct command_stream_append *c)
{
	uint64_t total = 0;

	if (stream->ended || stream->broken)
		return -EPIPE;
	if (c->count == 0)
		return -EINVAL;
	for (uint32_t i = 0; i < c->count; i++) {
		if (c->sizes[i] == 0)
			return -EINVAL;
		if (stream->limit_bytes > 0 && c->sizes[i] > stream->limit_bytes)
			return -EMSGSIZE;
		total += c->sizes[i];
	}
	if (total != c->bytes.size)
		return -EINVAL;
	return total > BLOB_SIZE_LIMIT - stream->end ? -EFBIG : 0;
}

static int put_chunk(struct apply *a, uint64_t ino, uint64_t offset, const struct command_stream_append *c)
{
	struct state_key key = key_ino_u64(KEY_STREAM_INDEX, ino, offset);
	struct buffer *out = &a->s->encoded;
	uint8_t *space;

	buffer_reset(out);
	int r = buffer_reserve(out, INDEX_HEADER + (size_t)c->count * 4, &space);
	if (r < 0)
		return apply_fatal(a, r);
	put_be64(space, (uint64_t)a->now_ns);
	for (uint32_t i = 0; i < c->count; i++)
		put_be32(space + INDEX_HEADER + (size_t)i * 4, c->sizes[i]);
	r = apply_put(a, &key, (struct slice){ .data = out->data, .size = out->size });
	if (r < 0)
		return r;
	key = key_ino_u64(KEY_STREAM_DATA, ino, offset);
	return apply_put(a, &key, c->bytes);
}

static int get_stream(struct apply *a, uint64_t ino, struct record **ret_stream)
{
	int r = apply_record(a, ino, ret_stream);
	return r < 0 ? r : (*ret_stream)->kind != KIND_STREAM ? -EINVAL : 0;
}

static void stream_changed(struct apply *a, struct record *r)
{
	r->size = r->stream.end;
	r->ctime_ns = a->now_ns;
	apply_set_blocks(a, r, (r->stream.end - r->stream.start + 511) / 512);
	apply_dirty(a, r);
	apply_report(a, r);
}

int apply_stream_append(struct apply *a, const struct command *command)
{
	const struct command_stream_append *c = &command->stream_append;
	struct record *r;
	int error = get_stream(a, c->ino, &r);

	if (error == 0)
		error = r->flags & CREATE_STREAM_DIRECT ? -EINVAL : check_append(&r->stream, c);
	if (error == 0)
		error = trim(a, r, c->bytes.size);
	if (error < 0)
		return error;
	struct stream_state *stream = &r->stream;
	if (c->check_limit && stream->limit_bytes > 0 && stream->end - stream->start + c->bytes.size > stream->limit_bytes)
		return -EAGAIN;

	a->result->offset = stream->end;
	error = put_chunk(a, r->ino, stream->end, c);
	stream->end += c->bytes.size;
	stream->records += c->count;
	r->version++;
	r->mtime_ns = a->now_ns;
	stream_changed(a, r);
	return error;
}

static int check_update(const struct stream_state *stream, const struct command_stream_update *c)
{
	if (c->set_consumed && (c->consumed > stream->end || c->consumed < stream->consumed))
		return -EINVAL;
	if (c->set_start && c->start > stream->end)
		return -EINVAL;
	return c->set_limits && c->trim_age_ns < 0 ? -EINVAL : 0;
}

int apply_stream_update(struct apply *a, const struct command *command)
{
	const struct command_stream_update *c = &command->stream_update;
	struct record *r;
	int error = get_stream(a, c->ino, &r);

	if (error == 0)
		error = check_update(&r->stream, c);
	if (error < 0)
		return error;
	struct stream_state *stream = &r->stream;
	stream->ended |= c->end;
	stream->broken |= c->broken;
	if (c->set_consumed)
		stream->consumed = c->consumed;
	if (c->set_limits) {
		stream->limit_bytes = c->limit_bytes;
		stream->trim_bytes = c->trim_bytes;
		stream->trim_age_ns = c->trim_age_ns;
		stream->trim_consumed = c->trim_consumed;
	}
	if (c->set_start && c->start > stream->start)
		error = advance(a, r, c->start, false);
	if (error == 0)
		error = trim(a, r, 0);
	stream_changed(a, r);
	return error;
}
