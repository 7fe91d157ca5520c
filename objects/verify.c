/* See verify.h. What the state says of a MiB of a blob, and the head's bytes, are not read at one moment. So a mismatch counts only if the
 * object's record and checksums are the same before and after: a block that is there and has no row changes on disk only with them. */
#include "objects/verify.h"

#include <string.h>
#include "base/crc32c.h"

#define TRIES 8u                   /* looks at a MiB that keeps changing */

static bool bit(const uint8_t *map, unsigned i) { return map[i / 8] >> (i % 8) & 1; }

/* What the state says of one MiB. */
struct view { struct record record; struct state_crcs crcs; bool has_crcs; };

/* -ENOENT: the object is gone, has no head any more, or is written in place: then what its head holds is right. */
static int view_read(struct state *state, uint64_t ino, uint64_t mib, struct view *v)
{
	memset(v, 0, sizeof(*v));   /* views are compared as bytes */
	int r = state_get(state, ino, &v->record);

	if (r == 0 && (v->record.kind != KIND_BLOB || v->record.place != PLACE_HEAD || v->record.in_place))
		r = -ENOENT;
	if (r < 0)
		return r;
	r = state_get_crcs(state, ino, mib, &v->crcs);
	v->has_crcs = r == 0;
	return r == -ENOENT ? 0 : r;
}

static bool view_same(const struct view *a, const struct view *b)
{
	return a->record.version == b->record.version && a->record.size == b->record.size && a->has_crcs == b->has_crcs &&
		memcmp(&a->crcs, &b->crcs, sizeof(a->crcs)) == 0;
}

static uint32_t crc_padded(const uint8_t *data, size_t used)
{
	static const uint8_t zeros[BLOCK_SIZE];
	uint32_t crc = crc32c(0, data, used);

	return used < BLOCK_SIZE ? crc32c(crc, zeros, BLOCK_SIZE - used) : crc;
}

/* The bytes of the head, zeros where it is shorter. file NULL: it has none. */
static int head_bytes(struct disk_file *file, uint8_t *bytes, uint64_t offset)
{
	ssize_t n = file ? disk_pread(file, bytes, VERIFY_MIB_BYTES, offset) : 0;

	if (n < 0)
		return (int)n;
	memset(bytes + n, 0, VERIFY_MIB_BYTES - (size_t)n);
	return 0;
}

static void find_bad(const struct view *v, uint64_t mib, const uint8_t *bytes, struct verified *ret)
{
	*ret = (struct verified){ 0 };
	for (unsigned i = 0; v->has_crcs && i < CRC_BLOCKS; i++) {
		uint64_t start = mib * VERIFY_MIB_BYTES + (uint64_t)i * BLOCK_SIZE;

		if (!bit(v->crcs.present, i) || bit(v->crcs.rows, i) || start >= v->record.size)
			continue;
		uint64_t left = v->record.size - start;
		ret->bytes += BLOCK_SIZE;
		if (crc_padded(bytes + (size_t)i * BLOCK_SIZE, left < BLOCK_SIZE ? left : BLOCK_SIZE) == v->crcs.crc[i])
			continue;
		ret->bad[i / 8] |= (uint8_t)(1u << (i % 8));
		ret->bad_count++;
	}
}

int verify_mib(struct state *state, uint64_t ino, uint64_t mib, struct disk_file *file, uint8_t *bytes, struct verified *ret, bool *ret_read)
{
	struct view before, after;
	int r = view_read(state, ino, mib, &before);

	*ret = (struct verified){ 0 };
	*ret_read = false;
	for (unsigned try = 0; r == 0 && before.has_crcs && try < TRIES; try++) {
		r = head_bytes(file, bytes, mib * VERIFY_MIB_BYTES);
		if (r < 0) {
			*ret_read = true;
			return r;
		}
		find_bad(&before, mib, bytes, ret);
		r = view_read(state, ino, mib, &after);
		if (r == 0 && (ret->bad_count == 0 || view_same(&before, &after)))
			return 0;
		before = after;
		ret->bad_count = 0;
	}
	return r == -ENOENT ? 0 : r;
}
