/* The blocks of a blob with a head: checksum entries, rows and trims.
 *
 * A checksum entry says for each block of a MiB: is it present (else it is a hole), its checksum, and whether its newest bytes are in a row.
 * Invariants: a row's key exists exactly where its bit is set; the bit implies `present`; the record's `blocks` is 8 for each present
 * block, its `rows` and `trims` count the keys; the blob is in the list of unabsorbed ones exactly if it has any. No row is
 * older than a trim that covers its block, so that a head takes trims first, then rows. */
#include <assert.h>
#include <string.h>

#include "base/crc32c.h"
#include "caps/bigendian.h"
#include "cluster/state_blob.h"

#define BLOCK_SECTORS (BLOCK_SIZE / 512u)
#define ROW_HEADER 9u             /* version 8 | form 1, then the bytes, or: */
#define ROW_SIDE_SIZE (ROW_HEADER + 24u)   /* side 8 | offset 8 | size 4 | crc 4 */
enum { ROW_BYTES = 0, ROW_SIDE = 1 };

static bool bit(const uint8_t *map, unsigned i) { return map[i / 8] >> (i % 8) & 1; }
static void bit_set(uint8_t *map, unsigned i) { map[i / 8] |= (uint8_t)(1u << (i % 8)); }
static void bit_clear(uint8_t *map, unsigned i) { map[i / 8] &= (uint8_t)~(1u << (i % 8)); }

/* ---- values ---- */

size_t crcs_encode(const struct state_crcs *e, uint8_t out[static CRC_VALUE_MAX])
{
	uint8_t *p = out;

	put_be64(p, e->version);
	memcpy(p + 8, e->present, sizeof(e->present));
	memcpy(p + 8 + sizeof(e->present), e->rows, sizeof(e->rows));
	p += 8 + sizeof(e->present) + sizeof(e->rows);
	for (unsigned i = 0; i < CRC_BLOCKS; i++) {
		if (bit(e->present, i)) {
			put_be32(p, e->crc[i]);
			p += 4;
		}
	}
	return (size_t)(p - out);
}

int crcs_decode(struct slice data, struct state_crcs *ret_crcs)
{
	size_t header = 8 + sizeof(ret_crcs->present) + sizeof(ret_crcs->rows);
	unsigned present = 0;

	if (data.size < header)
		return -EBADMSG;
	const uint8_t *map = data.data + 8;
	for (unsigned i = 0; i < sizeof(ret_crcs->present); i++)
		present += (unsigned)__builtin_popcount(map[i]);
	if (data.size != header + 4u * present)
		return -EBADMSG;
	ret_crcs->version = get_be64(data.data);
	memcpy(ret_crcs->present, map, sizeof(ret_crcs->present));
	memcpy(ret_crcs->rows, map + sizeof(ret_crcs->present), sizeof(ret_crcs->rows));
	memset(ret_crcs->crc, 0, sizeof(ret_crcs->crc));
	const uint8_t *p = data.data + header;
	for (unsigned i = 0; i < CRC_BLOCKS; i++) {
		if (bit(ret_crcs->present, i)) {
			ret_crcs->crc[i] = get_be32(p);
			p += 4;
		}
	}
	return 0;
}

int row_decode(uint64_t block, struct slice value, struct state_row *ret_row)
{
	if (value.size < ROW_HEADER)
		return -EBADMSG;
	*ret_row = (struct state_row){ .block = block, .version = get_be64(value.data) };
	if (value.data[8] == ROW_BYTES && value.size <= ROW_HEADER + BLOCK_SIZE) {
		ret_row->bytes = key_rest(value, ROW_HEADER);
		return 0;
	}
	if (value.data[8] != ROW_SIDE || value.size != ROW_SIDE_SIZE)
		return -EBADMSG;
	ret_row->side = get_be64(value.data + ROW_HEADER);
	ret_row->side_offset = get_be64(value.data + ROW_HEADER + 8);
	ret_row->side_size = get_be32(value.data + ROW_HEADER + 16);
	ret_row->side_crc = get_be32(value.data + ROW_HEADER + 20);
	return 0;
}

/* ---- entries ---- */

void blocks_begin(struct blocks *b, struct apply *a, struct record *r, uint64_t version)
{
	b->a = a;
	b->r = r;
	b->version = version;
	b->loaded = b->dirty = b->flushed = false;
	b->unabsorbed_before = r->rows + r->trims;
}

static int flush(struct blocks *b)
{
	static const uint8_t none[CRC_BLOCKS / 8];
	uint8_t value[CRC_VALUE_MAX];
	struct state_key key = key_ino_u64(KEY_CRC, b->r->ino, b->mib);

	if (!b->loaded || !b->dirty)
		return 0;
	b->dirty = false;
	b->flushed = true;
	if (memcmp(b->entry.present, none, sizeof(none)) == 0)
		return apply_delete(b->a, &key);
	size_t size = crcs_encode(&b->entry, value);
	return apply_put(b->a, &key, (struct slice){ .data = value, .size = size });
}

/* Makes the block's entry the current one. */
static int load(struct blocks *b, uint64_t block)
{
	uint64_t mib = block / CRC_BLOCKS;
	struct buffer *value = &b->a->s->value;
	int r;

	if (b->loaded && b->mib == mib)
		return 0;
	r = flush(b);
	if (r < 0)
		return r;
	struct state_key key = key_ino_u64(KEY_CRC, b->r->ino, mib);
	b->a->overlay = b->flushed;
	r = apply_read(b->a, &key, value);
	b->a->overlay = false;
	if (r == -ENOENT) {
		memset(&b->entry, 0, sizeof(b->entry));
		r = 0;
	} else if (r == 0) {
		r = crcs_decode((struct slice){ .data = value->data, .size = value->size }, &b->entry);
		if (r < 0)
			apply_fatal(b->a, r);
	}
	b->mib = mib;
	b->loaded = r == 0;
	return r;
}

static void changed(struct blocks *b)
{
	b->entry.version = b->version;
	b->dirty = true;
}

int blocks_end(struct blocks *b)
{
	struct state_key key = key_shard_u64(KEY_UNABSORBED, b->r->ino);
	uint32_t after = b->r->rows + b->r->trims;
	int r = flush(b);

	if (r < 0 || (after > 0) == (b->unabsorbed_before > 0))
		return r;
	return after > 0 ? apply_put(b->a, &key, (struct slice){ 0 }) : apply_delete(b->a, &key);
}

int block_state(struct blocks *b, uint64_t block, bool *ret_present, bool *ret_row)
{
	int r = load(b, block);

	if (r < 0)
		return r;
	*ret_present = bit(b->entry.present, block % CRC_BLOCKS);
	*ret_row = bit(b->entry.rows, block % CRC_BLOCKS);
	return 0;
}

int block_set(struct blocks *b, uint64_t block, uint32_t crc)
{
	unsigned i = block % CRC_BLOCKS;
	int r = load(b, block);

	if (r < 0)
		return r;
	if (!bit(b->entry.present, i))
		apply_set_blocks(b->a, b->r, b->r->blocks + BLOCK_SECTORS);
	bit_set(b->entry.present, i);
	b->entry.crc[i] = crc;
	changed(b);
	return 0;
}

int block_set_row(struct blocks *b, uint64_t block, uint32_t crc)
{
	unsigned i = block % CRC_BLOCKS;
	int r = block_set(b, block, crc);

	if (r == 0 && !bit(b->entry.rows, i)) {
		bit_set(b->entry.rows, i);
		b->r->rows++;
		b->a->rows++;
	}
	return r;
}

int block_drop_row(struct blocks *b, uint64_t block)
{
	unsigned i = block % CRC_BLOCKS;
	struct state_key key = key_ino_u64(KEY_ROW, b->r->ino, block);
	int r = load(b, block);

	if (r < 0 || !bit(b->entry.rows, i))
		return r;
	bit_clear(b->entry.rows, i);
	b->dirty = true;   /* its version stays: the content did not change */
	b->r->rows--;
	b->a->rows--;
	return apply_delete(b->a, &key);
}

/* ---- holes ---- */

/* The blocks of [first, end) in the current entry; the span of those that were present is added to [*low, *high). */
static int clear_in_entry(struct blocks *b, uint64_t first, uint64_t end, uint64_t *low, uint64_t *high)
{
	int r = 0;

	for (uint64_t block = first; r == 0 && block < end; block++) {
		unsigned i = block % CRC_BLOCKS;
		if (!bit(b->entry.present, i))
			continue;
		r = block_drop_row(b, block);
		bit_clear(b->entry.present, i);
		b->entry.crc[i] = 0;
		changed(b);
		apply_set_blocks(b->a, b->r, b->r->blocks - BLOCK_SECTORS);
		if (*low == *high)
			*low = block;
		*high = block + 1;
	}
	return r;
}

/* Walks over the entries that exist, since a sparse blob may have a few in a range of millions. */
static int clear_range(struct blocks *b, uint64_t first, uint64_t end, uint64_t *low, uint64_t *high)
{
	struct state_key from = key_ino_u64(KEY_CRC, b->r->ino, first / CRC_BLOCKS);
	struct state_key last = key_ino_u64(KEY_CRC, b->r->ino, (end - 1) / CRC_BLOCKS), below = key_after(&last);
	struct kv_iter *it = apply_iterate(b->a, &from, &below);
	int r = it ? 0 : -ENOMEM;

	for (; r == 0 && kv_iter_valid(b->a->s->kv, it); kv_iter_next(b->a->s->kv, it)) {
		uint64_t start = key_last_u64(kv_iter_key(b->a->s->kv, it)) * CRC_BLOCKS;
		uint64_t entry_first = first > start ? first : start, entry_end = end < start + CRC_BLOCKS ? end : start + CRC_BLOCKS;
		r = load(b, start);
		if (r == 0)
			r = clear_in_entry(b, entry_first, entry_end, low, high);
	}
	if (r == 0) {
		r = kv_iter_error(b->a->s->kv, it);
		if (r < 0)
			apply_fatal(b->a, r);
	}
	kv_iter_free(b->a->s->kv, it);
	return r;
}

static int clear(struct blocks *b, uint64_t block, uint64_t count, uint64_t *low, uint64_t *high)
{
	uint64_t end = count > UINT64_MAX - block ? UINT64_MAX : block + count;

	*low = *high = 0;
	if (block >= end)
		return 0;
	if (block / CRC_BLOCKS != (end - 1) / CRC_BLOCKS)
		return clear_range(b, block, end, low, high);
	int r = load(b, block);
	return r < 0 ? r : clear_in_entry(b, block, end, low, high);
}

int blocks_forget(struct blocks *b, uint64_t block, uint64_t count)
{
	uint64_t low, high;

	return clear(b, block, count, &low, &high);
}

int blocks_clear(struct blocks *b, uint64_t block, uint64_t count)
{
	uint64_t low, high;
	int r = clear(b, block, count, &low, &high);

	if (r < 0 || low == high)
		return r;   /* nothing was there: no head holds committed bytes */
	struct state_key key = key_ino_pair(KEY_TRIM, b->r->ino, b->version, low);
	b->r->trims++;
	return apply_put_u64(b->a, &key, high - low);
}

/* One of the blocks [low, high) is in the tail, whose bitmap begins at `block`. */
static bool any_in_tail(const uint8_t *present, uint64_t block, uint64_t low, uint64_t high)
{
	for (uint64_t i = low; i < high; i++) {
		if (!present || bit(present, (unsigned)(i - block)))
			return true;
	}
	return false;
}

int blocks_check_trims(struct blocks *b, uint64_t block, uint32_t count, const uint8_t *present)
{
	struct state_key from = key_ino(KEY_TRIM, b->r->ino), below = key_after(&from);
	struct kv *kv = b->a->s->kv;
	uint64_t end = block + count;
	int r = 0;

	if (b->r->trims == 0)
		return 0;
	/* With the batch: this command's own trims count too. */
	struct kv_iter *it = kv_iter_new(kv, b->a->s->batch, key_slice(&from), key_slice(&below));
	if (!it)
		return apply_fatal(b->a, -ENOMEM);
	for (; r == 0 && kv_iter_valid(kv, it); kv_iter_next(kv, it)) {
		struct slice value = kv_iter_value(kv, it);
		uint64_t low = key_last_u64(kv_iter_key(kv, it)), high = value.size == 8 ? low + get_be64(value.data) : low;
		if (any_in_tail(present, block, low > block ? low : block, high < end ? high : end))
			r = -EINVAL;
	}
	int error = kv_iter_error(kv, it);
	kv_iter_free(kv, it);
	return error < 0 ? apply_fatal(b->a, error) : r;
}

/* ---- rows ---- */

/* CRC32C of a block whose first bytes have this checksum and whose others are zeros. */
static uint32_t crc_zero_filled(uint32_t crc, size_t size)
{
	static const uint8_t zeros[BLOCK_SIZE];
	return size < BLOCK_SIZE ? crc32c(crc, zeros, BLOCK_SIZE - size) : crc;
}

int row_put(struct blocks *b, const struct command_row *row)
{
	uint8_t value[ROW_HEADER + BLOCK_SIZE];
	struct state_key key = key_ino_u64(KEY_ROW, b->r->ino, row->block);
	size_t size;
	uint32_t crc;

	put_be64(value, b->version);
	if (row->side) {
		value[8] = ROW_SIDE;
		put_be64(value + ROW_HEADER, row->side);
		put_be64(value + ROW_HEADER + 8, row->side_offset);
		put_be32(value + ROW_HEADER + 16, row->side_size);
		put_be32(value + ROW_HEADER + 20, row->side_crc);
		size = ROW_SIDE_SIZE;
		crc = crc_zero_filled(row->side_crc, row->side_size);
	} else {
		assert(row->bytes.size <= BLOCK_SIZE);
		value[8] = ROW_BYTES;
		if (row->bytes.size > 0)
			memcpy(value + ROW_HEADER, row->bytes.data, row->bytes.size);
		size = ROW_HEADER + row->bytes.size;
		crc = crc_zero_filled(crc32c(0, row->bytes.data, row->bytes.size), row->bytes.size);
	}
	int r = block_set_row(b, row->block, crc);
	return r < 0 ? r : apply_put(b->a, &key, (struct slice){ .data = value, .size = size });
}
