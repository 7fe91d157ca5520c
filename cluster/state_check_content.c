/* The check of the state, the content of objects: inline bytes, rows, checksums, trims, and the records of streams. */
#include <inttypes.h>
#include <string.h>

#include "base/crc32c.h"
#include "caps/bigendian.h"
#include "cluster/state_blob.h"
#include "cluster/state_check_internal.h"

static bool bit(const uint8_t *map, unsigned i) { return map[i / 8] >> (i % 8) & 1; }

void check_inline(struct scan_state *c, struct slice rest, struct slice value)
{
	uint64_t ino = get_be64(rest.data);
	struct seen *o = check_find(c, ino);

	if (!o) {
		check_report(c, ino, "content of what is not there");
		return;
	}
	o->content = true;
	if (o->kind == KIND_TASK)
		return;   /* its specification */
	if (o->kind != KIND_SYMLINK && (o->kind != KIND_BLOB || o->place != PLACE_INLINE))
		check_report(c, ino, "it has content inside its record, where its kind has none");
	else if (value.size != o->size)
		check_report(c, ino, "its content has %zu bytes, its record says %" PRIu64, value.size, o->size);
}

/* The blob with a head that a key of its blocks belongs to, or NULL after a report. */
static struct seen *find_blob(struct scan_state *c, struct slice rest, size_t size, const char *what)
{
	uint64_t ino = get_be64(rest.data);
	struct seen *o = check_find(c, ino);

	if (rest.size != size) {
		check_report(c, ino, "%s that cannot be read", what);
		return NULL;
	}
	if (o && o->kind == KIND_BLOB && o->place == PLACE_HEAD)
		return o;
	check_report(c, ino, "%s of %s", what, o ? "what has no head" : "what is not there");
	return NULL;
}

static uint64_t row_hash(uint64_t block, uint32_t crc)
{
	uint64_t words[2] = { block, crc };

	return check_hash(2, words, sizeof(words));
}

static uint32_t row_crc(const struct state_row *row)
{
	static const uint8_t zeros[BLOCK_SIZE];
	size_t size = row->side ? row->side_size : row->bytes.size;
	uint32_t crc = row->side ? row->side_crc : crc32c(0, row->bytes.data, row->bytes.size);

	return size < BLOCK_SIZE ? crc32c(crc, zeros, BLOCK_SIZE - size) : crc;
}

void check_row(struct scan_state *c, struct slice rest, struct slice value)
{
	struct seen *o = find_blob(c, rest, 16, "a row");
	struct state_row row;

	if (!o)
		return;
	o->blob.rows_found++;
	uint64_t block = get_be64(rest.data + 8);
	if (row_decode(block, value, &row) < 0 || (row.side && row.side_size > BLOCK_SIZE)) {
		check_report(c, o->ino, "the row of its block %" PRIu64 " cannot be read", block);
		return;
	}
	if (block >= block_count(o->size))
		check_report(c, o->ino, "a row past its end: block %" PRIu64, block);
	if (row.version > o->version)
		check_report(c, o->ino, "the row of its block %" PRIu64 " is of a version to come", block);
	o->hash += row_hash(block, row_crc(&row));
}

static int note_piece(struct scan_state *c, uint64_t ino, uint64_t mib)
{
	struct state_check *check = c->check;
	struct state_piece *grown = check_grow(check->pieces, &c->piece_capacity, check->piece_count, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	check->pieces = grown;
	check->pieces[check->piece_count++] = (struct state_piece){ .ino = ino, .mib = mib };
	return 0;
}

int check_crcs(struct scan_state *c, struct slice rest, struct slice value)
{
	struct seen *o = find_blob(c, rest, 16, "checksums");
	struct state_crcs e;

	if (!o)
		return 0;
	uint64_t mib = get_be64(rest.data + 8);
	if (mib > UINT64_MAX / CRC_BLOCKS / BLOCK_SIZE - 1 || crcs_decode(value, &e) < 0) {
		check_report(c, o->ino, "the checksums of its MiB %" PRIu64 " cannot be read", mib);
		return 0;
	}
	if (e.version > o->version)
		check_report(c, o->ino, "the checksums of its MiB %" PRIu64 " are of a version to come", mib);
	for (unsigned i = 0; i < CRC_BLOCKS; i++) {
		uint64_t block = mib * CRC_BLOCKS + i;

		if (bit(e.rows, i) && !bit(e.present, i))
			check_report(c, o->ino, "its block %" PRIu64 " has a row and is a hole", block);
		if (!bit(e.present, i))
			continue;
		o->blob.present++;
		c->check->piece_bytes += BLOCK_SIZE;
		if (bit(e.rows, i))
			o->hash -= row_hash(block, e.crc[i]);
		if (block >= block_count(o->size))
			check_report(c, o->ino, "a checksum past its end: block %" PRIu64, block);
	}
	return note_piece(c, o->ino, mib);
}

void check_trim(struct scan_state *c, struct slice rest, struct slice value)
{
	struct seen *o = find_blob(c, rest, 24, "a trim");

	if (!o)
		return;
	o->blob.trims_found++;
	if (value.size != 8 || get_be64(value.data) == 0)
		check_report(c, o->ino, "a trim that cannot be read");
	else if (get_be64(rest.data + 8) > o->version)
		check_report(c, o->ino, "a trim of a version to come");
}

/* ---- streams ------------------------------------------------------------------------------------------------------ */

static struct seen *find_stream(struct scan_state *c, struct slice rest)
{
	uint64_t ino = get_be64(rest.data);
	struct seen *o = check_find(c, ino);

	if (rest.size != 16)
		check_report(c, ino, "a piece of a stream that cannot be read");
	else if (!o || o->kind != KIND_STREAM)
		check_report(c, ino, "a piece of a stream of %s", o ? "what is none" : "what is not there");
	else
		return o;
	return NULL;
}

static uint64_t chunk_hash(uint64_t offset, uint64_t size)
{
	uint64_t words[2] = { offset, size };

	return check_hash(3, words, sizeof(words));
}

void check_stream_index(struct scan_state *c, struct slice rest, struct slice value)
{
	struct seen *o = find_stream(c, rest);
	uint64_t size = 0;

	if (!o)
		return;
	uint64_t offset = get_be64(rest.data + 8);
	if (value.size <= 8 || (value.size - 8) % 4 != 0) {
		check_report(c, o->ino, "the sizes of its records at %" PRIu64 " cannot be read", offset);
		return;
	}
	if (offset != o->stream.next)
		check_report(c, o->ino, "its records from %" PRIu64 " to %" PRIu64 " are missing or twice there", o->stream.next, offset);
	for (size_t at = 8; at < value.size; at += 4) {
		size += get_be32(value.data + at);
		o->stream.start_found |= offset + size == o->stream.start;
	}
	o->stream.next = offset + size;
	o->hash += chunk_hash(offset, size);
}

void check_stream_data(struct scan_state *c, struct slice rest, struct slice value)
{
	struct seen *o = find_stream(c, rest);

	if (o)
		o->hash -= chunk_hash(get_be64(rest.data + 8), value.size);
}
