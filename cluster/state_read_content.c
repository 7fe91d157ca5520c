/* Reading the applied state: rows, checksums and trims of blobs, and the records of streams. As state_read.c. */
#include "caps/bigendian.h"
#include "cluster/state_apply.h"

#define VALUE_MAX (8u << 20)       /* bytes: more than any value */
#define SIZES_OFFSET 8u            /* in a chunk's index: after its time */

static struct slice slice_of(const struct buffer *b)
{
	return (struct slice){ .data = b->data, .size = b->size };
}

int state_get_row(struct state *s, uint64_t ino, uint64_t block, struct buffer *storage, struct state_row *ret_row)
{
	struct state_key key = key_ino_u64(KEY_ROW, ino, block);
	int r = kv_get(s->kv, NULL, key_slice(&key), storage);

	return r < 0 ? r : row_decode(block, slice_of(storage), ret_row);
}

int state_each_row(struct state *s, uint64_t ino, uint64_t from_block, int (*each)(void *arg, const struct state_row *row), void *arg)
{
	struct state_key from = key_ino_u64(KEY_ROW, ino, from_block), all = key_ino(KEY_ROW, ino), below = key_after(&all);
	struct kv_iter *it = kv_iter_new(s->kv, NULL, key_slice(&from), key_slice(&below));
	int r = it ? 0 : -ENOMEM;

	for (; r == 0 && kv_iter_valid(s->kv, it); kv_iter_next(s->kv, it)) {
		struct state_row row;
		r = row_decode(key_last_u64(kv_iter_key(s->kv, it)), kv_iter_value(s->kv, it), &row);
		if (r == 0)
			r = each(arg, &row);
	}
	if (r == 0)
		r = kv_iter_error(s->kv, it);
	kv_iter_free(s->kv, it);
	return r > 0 ? 0 : r;
}

int state_each_trim(struct state *s, uint64_t ino, int (*each)(void *arg, const struct state_trim *trim), void *arg)
{
	struct state_key from = key_ino(KEY_TRIM, ino), below = key_after(&from);
	struct kv_iter *it = kv_iter_new(s->kv, NULL, key_slice(&from), key_slice(&below));
	int r = it ? 0 : -ENOMEM;

	for (; r == 0 && kv_iter_valid(s->kv, it); kv_iter_next(s->kv, it)) {
		struct slice key = kv_iter_key(s->kv, it), value = kv_iter_value(s->kv, it);
		if (key.size != from.size + 16u || value.size != 8) {
			r = -EBADMSG;
			break;
		}
		struct state_trim trim = { .version = get_be64(key.data + from.size), .block = key_last_u64(key), .count = get_be64(value.data) };
		r = each(arg, &trim);
	}
	if (r == 0)
		r = kv_iter_error(s->kv, it);
	kv_iter_free(s->kv, it);
	return r > 0 ? 0 : r;
}

int state_get_crcs(struct state *s, uint64_t ino, uint64_t mib, struct state_crcs *ret_crcs)
{
	struct state_key key = key_ino_u64(KEY_CRC, ino, mib);
	struct buffer value _cleanup_buffer_;

	buffer_init(&value, VALUE_MAX);
	int r = kv_get(s->kv, NULL, key_slice(&key), &value);
	return r < 0 ? r : crcs_decode(slice_of(&value), ret_crcs);
}

int state_find_crcs(struct state *s, uint64_t ino, uint64_t mib, uint64_t *ret_mib, struct state_crcs *ret_crcs)
{
	struct state_key from = key_ino_u64(KEY_CRC, ino, mib), all = key_ino(KEY_CRC, ino), below = key_after(&all);
	struct kv_iter *it = kv_iter_new(s->kv, NULL, key_slice(&from), key_slice(&below));
	int r = it ? 0 : -ENOMEM;

	if (r == 0 && !kv_iter_valid(s->kv, it)) {
		r = kv_iter_error(s->kv, it);
		r = r < 0 ? r : -ENOENT;
	}
	if (r == 0)
		r = crcs_decode(kv_iter_value(s->kv, it), ret_crcs);
	if (r == 0)
		*ret_mib = key_last_u64(kv_iter_key(s->kv, it));
	kv_iter_free(s->kv, it);
	return r;
}

/* ---- streams ---- */

struct stream_scan {
	struct state *s;
	uint64_t ino, from;
	int (*each)(void *arg, uint64_t offset, struct slice record);
	void *arg;
	struct buffer bytes;
};

/* The records of one chunk that end after `from`. 1: stopped by each(). */
static int scan_chunk(struct stream_scan *scan, uint64_t offset, struct slice index)
{
	struct state_key key = key_ino_u64(KEY_STREAM_DATA, scan->ino, offset);
	size_t at = 0;

	if (index.size < SIZES_OFFSET || (index.size - SIZES_OFFSET) % 4 != 0)
		return -EBADMSG;
	int r = kv_get(scan->s->kv, NULL, key_slice(&key), &scan->bytes);
	if (r < 0)
		return r == -ENOENT ? 0 : r;   /* trimmed since the iterator was made: the caller sees by the next offset that bytes are missing */
	for (size_t i = SIZES_OFFSET; r == 0 && i < index.size; i += 4) {
		uint32_t size = get_be32(index.data + i);
		if (size > scan->bytes.size - at)
			return -EBADMSG;
		if (offset + at + size > scan->from)
			r = scan->each(scan->arg, offset + at, (struct slice){ .data = scan->bytes.data + at, .size = size });
		at += size;
	}
	return r;
}

/* Stands the iterator on the chunk that holds the offset, or on the first kept one. */
static void seek_chunk(struct stream_scan *scan, struct kv_iter *it)
{
	struct state_key key = key_ino_u64(KEY_STREAM_INDEX, scan->ino, scan->from);
	struct kv *kv = scan->s->kv;

	kv_iter_seek(kv, it, key_slice(&key));
	if (!kv_iter_valid(kv, it))
		kv_iter_seek_last(kv, it);
	else if (key_last_u64(kv_iter_key(kv, it)) > scan->from)
		kv_iter_prev(kv, it);
	else
		return;
	if (!kv_iter_valid(kv, it))   /* nothing before: from the first one on */
		kv_iter_seek(kv, it, key_slice(&key));
}

/* A reader that goes on where it stopped stands at a chunk's beginning: this one and those after it are found by their keys, which takes a
 * fraction of what an iterator does. Leaves the place that it came to in scan->from. */
static int walk_chunks(struct stream_scan *scan, uint64_t end)
{
	struct buffer index _cleanup_buffer_;
	int r = 0;

	buffer_init(&index, VALUE_MAX);
	while (r == 0 && scan->from < end) {
		struct state_key key = key_ino_u64(KEY_STREAM_INDEX, scan->ino, scan->from);
		r = kv_get(scan->s->kv, NULL, key_slice(&key), &index);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		uint64_t from = scan->from;
		r = scan_chunk(scan, from, (struct slice){ .data = index.data, .size = index.size });
		if (scan->bytes.size == 0)
			return r;   /* an index without its bytes: for the iterator to pass over */
		if (r == 0)
			scan->from = from + scan->bytes.size;
	}
	return r;
}

int state_read_stream(struct state *s, uint64_t ino, uint64_t offset, int (*each)(void *arg, uint64_t offset, struct slice record), void *arg)
{
	struct record record;
	int r = state_get(s, ino, &record);

	if (r < 0)
		return r;
	if (record.kind != KIND_STREAM)
		return -EINVAL;
	struct stream_scan scan = { .s = s, .ino = ino, .from = offset > record.stream.start ? offset : record.stream.start, .each = each, .arg = arg };
	buffer_init(&scan.bytes, VALUE_MAX);
	r = walk_chunks(&scan, record.stream.end);
	if (r != 0 || scan.from >= record.stream.end) {
		buffer_done(&scan.bytes);
		return r > 0 ? 0 : r;
	}
	/* From the oldest chunk on, so that stepping back does not walk over what was deleted before it. */
	struct state_key from = key_ino_u64(KEY_STREAM_INDEX, ino, record.stream.chunk), all = key_ino(KEY_STREAM_INDEX, ino), below = key_after(&all);
	struct kv_iter *it = kv_iter_new(s->kv, NULL, key_slice(&from), key_slice(&below));
	if (!it) {
		buffer_done(&scan.bytes);
		return -ENOMEM;
	}
	seek_chunk(&scan, it);
	for (; r == 0 && kv_iter_valid(s->kv, it); kv_iter_next(s->kv, it))
		r = scan_chunk(&scan, key_last_u64(kv_iter_key(s->kv, it)), kv_iter_value(s->kv, it));
	if (r == 0)
		r = kv_iter_error(s->kv, it);
	buffer_done(&scan.bytes);
	kv_iter_free(s->kv, it);
	return r > 0 ? 0 : r;
}

int state_stream_oldest(struct state *s, uint64_t ino, int64_t *ret_time_ns)
{
	struct record record;
	struct buffer value _cleanup_buffer_;

	buffer_init(&value, VALUE_MAX);
	int r = state_get(s, ino, &record);
	if (r < 0)
		return r;
	if (record.kind != KIND_STREAM)
		return -EINVAL;
	struct state_key key = key_ino_u64(KEY_STREAM_INDEX, ino, record.stream.chunk);
	r = kv_get(s->kv, NULL, key_slice(&key), &value);
	if (r < 0)
		return r;
	if (value.size < SIZES_OFFSET)
		return -EBADMSG;
	*ret_time_ns = (int64_t)get_be64(value.data);
	return 0;
}
