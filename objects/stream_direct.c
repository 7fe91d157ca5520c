/* Memory-only streams: a byte ring and beside it a ring of record ends, both grown up to the stream's bound.
 * Offsets count from the first byte ever written; [start, end) is kept. The owner's lock guards it. */
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/counter.h"
#include "objects/object.h"

#define DIRECT_FIRST_CAPACITY 65536u    /* bytes; grows by doubling */
#define DIRECT_BYTES_MAX (512ull << 20)  /* of all direct streams: memory that programs can make the daemon hold */
#define RECENT_BYTES_MAX (32ull << 20)   /* of the newest records of all others: without them reading takes longer, and that is all */

GAUGE(direct_bytes, "dios_direct_stream_bytes", "Memory that direct streams take");
GAUGE(recent_bytes, "dios_recent_stream_bytes", "Memory that the newest records of other streams take");

struct direct_stream {
	bool recent;                    /* not a stream, but a part of one: stream_recent.c */
	uint8_t *bytes;
	size_t capacity;
	uint64_t *ends;                 /* absolute end offsets of the kept records, oldest first */
	size_t ends_capacity, first, count;
	uint64_t start, end, records, limit, consumed;
	bool ended, broken;
};

struct direct_stream *direct_stream_new(uint64_t limit_bytes)
{
	struct direct_stream *s = calloc(1, sizeof(*s));
	if (s) s->limit = limit_bytes;
	return s;
}

struct direct_stream *direct_stream_new_recent(uint64_t limit_bytes)
{
	struct direct_stream *s = direct_stream_new(limit_bytes);
	if (s) s->recent = true;
	return s;
}

void direct_stream_set_limit(struct direct_stream *s, uint64_t limit_bytes) { s->limit = limit_bytes; }

void direct_stream_free(struct direct_stream *s)
{
	if (!s) return;
	counter_add(s->recent ? &recent_bytes : &direct_bytes, -(int64_t)s->capacity);
	free(s->bytes);
	free(s->ends);
	free(s);
}

/* Copies between the ring and plain memory; out: from the ring. */
static void ring_copy(struct direct_stream *s, uint64_t offset, void *data, size_t size, bool out)
{
	size_t at = offset % s->capacity, piece = size < s->capacity - at ? size : s->capacity - at;
	if (out) {
		memcpy(data, s->bytes + at, piece);
		memcpy((uint8_t *)data + piece, s->bytes, size - piece);
	} else {
		memcpy(s->bytes + at, data, piece);
		memcpy(s->bytes, (const uint8_t *)data + piece, size - piece);
	}
}

static int grow_bytes(struct direct_stream *s, uint64_t need)
{
	size_t capacity = s->capacity ? s->capacity : DIRECT_FIRST_CAPACITY;
	while (capacity < need) capacity *= 2;
	if (capacity == s->capacity) return 0;
	/* Two that grow at once may both just pass. */
	uint64_t have = (uint64_t)atomic_load(s->recent ? &recent_bytes.value : &direct_bytes.value);
	if (have + (capacity - s->capacity) > (s->recent ? RECENT_BYTES_MAX : DIRECT_BYTES_MAX)) return -ENOBUFS;
	uint8_t *bytes = malloc(capacity);
	if (!bytes) return -ENOMEM;
	struct direct_stream grown = *s;
	grown.bytes = bytes;
	grown.capacity = capacity;
	for (uint64_t at = s->start; at < s->end;) {
		size_t here = s->capacity - at % s->capacity, piece = s->end - at < here ? s->end - at : here;
		ring_copy(&grown, at, s->bytes + at % s->capacity, piece, false);
		at += piece;
	}
	counter_add(s->recent ? &recent_bytes : &direct_bytes, (int64_t)(capacity - s->capacity));
	free(s->bytes);
	s->bytes = bytes;
	s->capacity = capacity;
	return 0;
}

static int grow_ends(struct direct_stream *s)
{
	if (s->count < s->ends_capacity) return 0;
	size_t capacity = s->ends_capacity ? s->ends_capacity * 2 : 64;
	uint64_t *ends = malloc(capacity * sizeof(*ends));
	if (!ends) return -ENOMEM;
	for (size_t i = 0; i < s->count; i++) ends[i] = s->ends[(s->first + i) % s->ends_capacity];
	free(s->ends);
	s->ends = ends;
	s->ends_capacity = capacity;
	s->first = 0;
	return 0;
}

ssize_t direct_stream_append(struct direct_stream *s, const void *data, size_t size)
{
	if (s->ended || s->broken) return -EPIPE;
	if (size > s->limit) return -EMSGSIZE;
	if (size == 0) return 0;
	if (s->end - s->start + size > s->limit) return -EAGAIN;
	int r = grow_bytes(s, s->end - s->start + size);
	if (r == 0) r = grow_ends(s);
	if (r < 0) return r;
	ring_copy(s, s->end, (void *)(uintptr_t)data, size, false);
	s->end += size;
	s->ends[(s->first + s->count++) % s->ends_capacity] = s->end;
	s->records++;
	return (ssize_t)size;
}

/* Index of the record that contains offset. */
static size_t find_record(const struct direct_stream *s, uint64_t offset)
{
	size_t low = 0, high = s->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->ends[(s->first + middle) % s->ends_capacity] <= offset) low = middle + 1;
		else high = middle;
	}
	return low;
}

ssize_t direct_stream_read(struct direct_stream *s, uint64_t *offset, void *data, size_t size, bool whole, size_t *ret_size)
{
	if (s->broken) return -EPIPE;
	if (*offset < s->start) return -EIO;
	if (*offset >= s->end) return s->ended ? 0 : -EAGAIN;
	uint64_t have = s->end - *offset;
	if (whole) {
		have = s->ends[(s->first + find_record(s, *offset)) % s->ends_capacity] - *offset;
		if (ret_size) *ret_size = have;
		if (have > size) return -EMSGSIZE;
	}
	if (size > have) size = have;
	ring_copy(s, *offset, data, size, true);
	*offset += size;
	return (ssize_t)size;
}

static void drop_first(struct direct_stream *s)
{
	s->start = s->ends[s->first];
	s->first = (s->first + 1) % s->ends_capacity;
	s->count--;
}

void direct_stream_release(struct direct_stream *s, uint64_t upto)
{
	while (s->count > 0 && s->ends[s->first] <= upto) drop_first(s);
}

void direct_stream_drop_oldest(struct direct_stream *s, size_t coming, size_t records_max)
{
	while (s->count > 0 && (s->count >= records_max || s->end - s->start + coming > s->limit)) drop_first(s);
}

void direct_stream_begin(struct direct_stream *s, uint64_t offset)
{
	s->start = s->end = offset;
	s->first = s->count = 0;
}

void direct_stream_consume(struct direct_stream *s, uint64_t upto) { s->consumed = upto; }

void direct_stream_state(const struct direct_stream *s, struct stream_state *ret_state)
{
	ret_state->start = s->start;
	ret_state->end = s->end;
	ret_state->records = s->records;
	ret_state->consumed = s->consumed > s->start ? s->consumed : s->start;
	ret_state->ended = s->ended;
	ret_state->broken = s->broken;
}

void direct_stream_end(struct direct_stream *s, bool broken)
{
	s->ended = true;
	if (broken) s->broken = true;
}
