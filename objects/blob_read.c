/* Reading a blob: the committed content (inline bytes, or rows over the head, each block checked against its checksum),
 * overlaid by what is not committed yet. Everything here runs with the object locked. */
#include "objects/object.h"

#include <assert.h>
#include <string.h>
#include "base/condition.h"
#include "base/counter.h"
#include "base/crc32c.h"
#include "base/log.h"

COUNTER(checksum_errors, "dios_checksum_errors_total", "Blocks whose bytes did not match their checksum");

static uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }

uint64_t blob_size_now(const struct object *o) { return o->is_dirty ? o->size_now : o->record.size; }

static int block_bad(struct object *o, uint64_t block)
{
	counter_add(&checksum_errors, 1);
	damaged_note(o, block);
	log_error("objects", "checksum error ino=%llu block=%llu version=%llu: the data of this block on disk is damaged; 'dios fsck' lists what is affected",
		(unsigned long long)o->ino, (unsigned long long)block, (unsigned long long)o->record.version);
	return -EIO;
}

static int read_inline(struct object *o, uint64_t offset, uint8_t *data, size_t size)
{
	_cleanup_buffer_ struct buffer content;
	buffer_init(&content, 2 << 20);
	int r = state_get_inline(cluster_state(o->os->cluster, o->ino), o->ino, &content);
	if (r == -ENOENT || (r == 0 && content.size < offset + size)) r = -EBADMSG;   /* the record says that it has more */
	if (r == -EBADMSG) return block_bad(o, offset / BLOCK_SIZE);
	if (r < 0) return r;
	memcpy(data, content.data + offset, size);
	return 0;
}

static bool bit(const uint8_t *map, uint64_t block) { return map[block % CRC_BLOCKS / 8] >> (block % 8) & 1; }

static const uint8_t zeros[BLOCK_SIZE];

/* The checksum of a block whose first `used` bytes are given and whose rest is zero. */
static uint32_t crc_padded(const uint8_t *data, size_t used)
{
	uint32_t crc = crc32c(0, data, used);
	return used < BLOCK_SIZE ? crc32c(crc, zeros, BLOCK_SIZE - used) : crc;
}

/* The disk says so itself. */
static int head_unreadable(const struct object *o, int error)
{
	if (error == -EIO) condition_raise(CONDITION_DISK_FAILING, "the bytes of inode %llu could not be read: %s", (unsigned long long)o->ino, strerror(-error));
	return error;
}

/* One read of blocks. */
struct block_reader {
	struct object *o;
	uint64_t offset;           /* of data[0] in the blob */
	uint8_t *data;
	size_t size;
};

static int row_bytes(struct object *o, const struct state_row *row, uint8_t block[static BLOCK_SIZE])
{
	size_t size = row->side ? row->side_size : row->bytes.size;
	if (size > BLOCK_SIZE) return -EIO;
	if (row->side) {
		int r = side_read(o->os->store->heads, row->side, block, size, row->side_offset);
		if (r < 0) return r;
		if (crc32c(0, block, size) != row->side_crc) return block_bad(o, row->block);
	} else {
		memcpy(block, row->bytes.data, size);
	}
	memset(block + size, 0, BLOCK_SIZE - size);
	return 0;
}

/* Copies the part of a block that the read wants. */
static void copy_block(const struct block_reader *rr, uint64_t block, const uint8_t *bytes)
{
	uint64_t start = block * BLOCK_SIZE, from = start < rr->offset ? rr->offset : start;
	uint64_t to = min_u64(start + BLOCK_SIZE, rr->offset + rr->size);
	memcpy(rr->data + (from - rr->offset), bytes + (from - start), to - from);
}

/* crc: of the whole block, as the state says beside the row. */
static int read_row(struct block_reader *rr, uint64_t block, uint32_t crc)
{
	_cleanup_buffer_ struct buffer storage;
	struct state_row row;
	uint8_t bytes[BLOCK_SIZE];
	buffer_init(&storage, 2 * BLOCK_SIZE);
	int r = state_get_row(cluster_state(rr->o->os->cluster, rr->o->ino), rr->o->ino, block, &storage, &row);
	if (r == 0) r = row_bytes(rr->o, &row, bytes);
	if (r == -ENOENT || r == -EBADMSG || (r == 0 && crc32c(0, bytes, BLOCK_SIZE) != crc)) return block_bad(rr->o, block);
	if (r < 0) return r;
	copy_block(rr, block, bytes);
	return 0;
}

/* Reads blocks [block, end) from the head, straight to where they belong if they are wanted whole. */
static int read_head_run(struct block_reader *rr, struct disk_file *file, const struct state_crcs *crcs, uint64_t block, uint64_t end)
{
	uint64_t size_limit = rr->o->record.size;
	for (; block < end; block++) {
		uint64_t start = block * BLOCK_SIZE;
		size_t used = min_u64(BLOCK_SIZE, size_limit - start);
		bool whole = start >= rr->offset && start + BLOCK_SIZE <= rr->offset + rr->size;
		uint8_t bounce[BLOCK_SIZE], *into = whole ? rr->data + (start - rr->offset) : bounce;
		size_t run = 1;
		while (whole && block + run < end && start + (run + 1) * BLOCK_SIZE <= min_u64(rr->offset + rr->size, size_limit)) run++;
		if (used < BLOCK_SIZE) run = 1;
		size_t want = run > 1 ? run * BLOCK_SIZE : used;
		ssize_t got = disk_pread(file, into, want, start);
		if (got < 0) return head_unreadable(rr->o, (int)got);
		if ((size_t)got < want) memset(into + got, 0, want - got);   /* a short head: the checksum decides */
		for (size_t i = 0; i < run; i++)
			if (crc_padded(into + i * BLOCK_SIZE, run > 1 ? BLOCK_SIZE : used) != crcs->crc[(block + i) % CRC_BLOCKS])
				return block_bad(rr->o, block + i);
		if (!whole) {
			memset(bounce + used, 0, BLOCK_SIZE - used);
			copy_block(rr, block, bounce);
		} else if (used < BLOCK_SIZE) {
			memset(into + used, 0, BLOCK_SIZE - used);
		}
		block += run - 1;
	}
	return 0;
}

/* The wanted blocks of one MiB, from `block` up to `end`. */
static int read_mib(struct block_reader *rr, struct head *head, const struct state_crcs *crcs, uint64_t block, uint64_t end)
{
	int r = 0;
	while (r == 0 && block < end) {
		uint64_t run = block;
		while (run < end && bit(crcs->present, run) && !bit(crcs->rows, run)) run++;
		if (run > block) {
			r = head ? read_head_run(rr, head_file(head), crcs, block, run) : block_bad(rr->o, block);
			block = run;
			continue;
		}
		if (bit(crcs->rows, block)) r = read_row(rr, block, crcs->crc[block % CRC_BLOCKS]);
		block++;
	}
	return r;
}

static int read_head(struct object *o, uint64_t offset, uint8_t *data, size_t size)
{
	struct block_reader rr = { .o = o, .offset = offset, .data = data, .size = size };
	uint64_t block = offset / BLOCK_SIZE, last = (offset + size - 1) / BLOCK_SIZE;
	struct head *head = NULL;
	int r = head_get(o->os->store->heads, o->ino, false, &head);
	if (r < 0 && r != -ENOENT) return r;
	for (r = 0; r == 0 && block <= last;) {
		struct state_crcs crcs;
		uint64_t end = (block / CRC_BLOCKS + 1) * CRC_BLOCKS;
		if (end > last + 1) end = last + 1;
		r = state_get_crcs(cluster_state(o->os->cluster, o->ino), o->ino, block / CRC_BLOCKS, &crcs);
		if (r == 0) r = read_mib(&rr, head, &crcs, block, end);
		else if (r == -ENOENT) r = 0;   /* a hole */
		else if (r == -EBADMSG) r = block_bad(o, block);
		block = end;
	}
	if (head) head_put(o->os->store->heads, head);
	return r;
}

int blob_read_committed(struct object *o, uint64_t offset, void *data, size_t size)
{
	memset(data, 0, size);
	if (offset >= o->record.size || size == 0) return 0;
	size = min_u64(size, o->record.size - offset);
	if (o->record.in_place) return in_place_read(o, offset, data, size);
	return o->record.place == PLACE_INLINE ? read_inline(o, offset, data, size) : read_head(o, offset, data, size);
}

static int overlay(struct object *o, struct head *head, const struct extent *x, uint64_t offset, uint8_t *data, size_t size)
{
	switch (x->kind) {
	case EXTENT_STAGED:
		return stage_read(o->os->store->stage, x->staged->place, x->skip + (offset - x->offset), data, size);
	case EXTENT_HOLE:
		memset(data, 0, size);
		return 0;
	case EXTENT_TAIL:
		break;
	}
	ssize_t got = disk_pread(head_file(head), data, size, offset);
	if (got < 0) return (int)got;
	return (size_t)got == size ? 0 : -EIO;
}

/* True if one extent covers it all: then what lies below is not read. */
static bool covered(const struct object *o, uint64_t offset, size_t size)
{
	const struct extent *x = extents_find(&o->dirty, offset);
	return x && x->offset <= offset && x->offset + x->size >= offset + size;
}

int blob_read_locked(struct object *o, uint64_t offset, void *data, size_t size)
{
	if (size == 0) return 0;
	int r = 0;
	if (!o->is_dirty) return blob_read_committed(o, offset, data, size);
	if (!covered(o, offset, size)) {
		/* What truncation has cut and growth given back is an EXTENT_HOLE, so the base needs no cutting here. */
		r = blob_read_committed(o, offset, data, size);
		if (r < 0) return r;
	}
	struct head *head = NULL;
	if (o->tail_bytes > 0) {
		r = head_get(o->os->store->heads, o->ino, false, &head);
		if (r < 0) return r == -ENOENT ? -EIO : r;
	}
	uint64_t end = offset + size;
	for (const struct extent *x = extents_find(&o->dirty, offset); x && x < o->dirty.items + o->dirty.count && x->offset < end; x++) {
		uint64_t from = x->offset < offset ? offset : x->offset, to = min_u64(end, x->offset + x->size);
		r = overlay(o, head, x, from, (uint8_t *)data + (from - offset), to - from);
		if (r < 0) break;
	}
	if (head) head_put(o->os->store->heads, head);
	return r;
}

int blob_crc_blocks(struct disk_file *file, uint64_t block, size_t count, uint64_t size, uint32_t *ret_crcs)
{
	_cleanup_free_ uint8_t *bytes = malloc(count * BLOCK_SIZE);
	if (!bytes) return -ENOMEM;
	uint64_t start = block * BLOCK_SIZE;
	size_t used = min_u64(count * BLOCK_SIZE, size - start);
	ssize_t got = disk_pread(file, bytes, used, start);
	if (got < 0) return (int)got;
	if ((size_t)got < used) return -EIO;
	for (size_t i = 0; i < count; i++) ret_crcs[i] = crc_padded(bytes + i * BLOCK_SIZE, min_u64(BLOCK_SIZE, used - i * BLOCK_SIZE));
	return 0;
}
