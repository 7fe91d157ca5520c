/* COMMIT and ABSORBED: inline content, heads, rows, tails, holes, trims and checksums. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/crc32c.h"
#include "tests/cluster/fixture.h"
#include "tests/tap.h"

#define is_sound(f, what) do { const char *_wrong = fixture_check(f); if (!ok(_wrong == NULL, "%s", what)) printf("# %s\n", _wrong); } while (0)

static int commit(struct fixture *f, struct command_commit commit)
{
	struct command c = { .kind = COMMAND_COMMIT };
	c.commit = commit;
	return fixture_apply(f, &c);
}

static bool content_is(struct fixture *f, uint64_t ino, const char *bytes, size_t size)
{
	struct buffer b _cleanup_buffer_;

	buffer_init(&b, 4u << 20);
	return state_get_inline(f->state, ino, &b) == 0 && b.size == size && (size == 0 || memcmp(b.data, bytes, size) == 0);
}

static void inline_content(void)
{
	struct fixture f;

	fixture_open_realm(&f);
	uint64_t a = fixture_make(&f, ROOT_INO, "a", KIND_BLOB);
	ok(content_is(&f, a, "", 0), "inline: a new blob is empty");
	is_int(fixture_write_inline(&f, a, "hello world"), 0, "inline: written");
	ok(content_is(&f, a, "hello world", 11), "inline: and read");
	struct record r = fixture_record(&f, a);
	ok(r.size == 11 && r.version == 1 && r.blocks == 1 && r.mtime_ns == f.now_ns, "inline: size, version, blocks, mtime");

	struct command_patch patches[] = { { 0, text("J") }, { 6, text("W") }, { 0, text("j") } };
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 14, .patches = patches, .patch_count = 3, .mtime_ns = 42, .stage_seq = 9 }), 0, "inline: patched and grown");
	ok(content_is(&f, a, "jello World\0\0\0", 14), "inline: patches in order, zeros at the end");
	is_int(fixture_record(&f, a).mtime_ns, 42, "commit: its own mtime");
	is_int(fixture_record(&f, a).stage_seq, 9, "commit: the staging number");
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 5, .stage_seq = 4 }), 0, "inline: cut");
	ok(content_is(&f, a, "jello", 5), "inline: the rest is gone");
	is_int(fixture_record(&f, a).stage_seq, 9, "commit: the staging number does not go back");
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 8 }), 0, "inline: grown again");
	ok(content_is(&f, a, "jello\0\0\0", 8), "inline: zeros, not what was cut");
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 2, .patches = patches, .patch_count = 2 }), -EINVAL, "inline: a patch past the size");
	patches[0].offset = UINT64_MAX;
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 8, .patches = patches, .patch_count = 1 }), -EINVAL, "inline: a patch whose end overflows");
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = (1u << 20) + 1 }), -EFBIG, "inline: too large for the state");
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = UINT64_MAX }), -EFBIG, "inline: absurdly large");
	struct command_range hole = { 0, 1 };
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 8, .holes = &hole, .hole_count = 1 }), -EINVAL, "inline: has no blocks to punch");
	is_int(fixture_record(&f, a).version, 4, "refused commits make no version");
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 0 }), 0, "inline: emptied");
	ok(content_is(&f, a, "", 0), "inline: empty");
	is_sound(&f, "inline: the state is sound");
	fixture_close(&f);
}

static void versions(void)
{
	struct fixture f;

	fixture_open_realm(&f);
	uint64_t a = fixture_make(&f, ROOT_INO, "a", KIND_BLOB), d = fixture_make(&f, ROOT_INO, "d", KIND_DIRECTORY);
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 1, .check_version = true, .base_version = 0 }), 0, "commit: on the current version");
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 2, .check_version = true, .base_version = 0 }), -ESTALE, "commit: on an older one");
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 2, .check_version = true, .base_version = 2 }), -ESTALE, "commit: on one that is not there yet");
	is_int(fixture_record(&f, a).size, 1, "commit: nothing changed then");
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 1 }), 0, "commit: that changes nothing");
	is_int(fixture_record(&f, a).version, 2, "commit: is a version all the same");
	is_int(commit(&f, (struct command_commit){ .ino = d }), -EISDIR, "commit: to a directory");
	is_int(commit(&f, (struct command_commit){ .ino = 99 }), -ENOENT, "commit: to nothing");
	is_int(commit(&f, (struct command_commit){ .ino = fixture_make(&f, ROOT_INO, "l", KIND_SYMLINK) }), -EINVAL, "commit: to a symbolic link");
	fixture_unlink(&f, ROOT_INO, "a", false);
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 5 }), 0, "commit: to an unlinked blob that is open");
	fixture_close(&f);
}

static uint32_t crc_at(struct fixture *f, uint64_t ino, uint64_t block, bool *ret_present)
{
	struct state_crcs crcs;

	*ret_present = false;
	if (state_get_crcs(f->state, ino, block / CRC_BLOCKS, &crcs) < 0)
		return 0;
	unsigned i = block % CRC_BLOCKS;
	*ret_present = crcs.present[i / 8] >> (i % 8) & 1;
	return crcs.crc[i];
}

static void is_block(struct fixture *f, uint64_t ino, uint64_t block, uint32_t want, const char *what)
{
	bool present;
	uint32_t crc = crc_at(f, ino, block, &present);
	ok(present && crc == want, "%s: block %" PRIu64 " has the checksum", what, block);
}

static void is_hole(struct fixture *f, uint64_t ino, uint64_t block, const char *what)
{
	bool present;
	crc_at(f, ino, block, &present);
	ok(!present, "%s: block %" PRIu64 " is a hole", what, block);
}

static int count_trim(void *arg, const struct state_trim *trim)
{
	struct state_trim *last = arg;
	*last = *trim;
	return 0;
}

static struct state_trim last_trim(struct fixture *f, uint64_t ino)
{
	struct state_trim trim = { 0 };
	state_each_trim(f->state, ino, count_trim, &trim);
	return trim;
}

static int is_listed(void *arg, uint64_t ino)
{
	return *(uint64_t *)arg == ino ? (*(uint64_t *)arg = 0, 1) : 0;
}

static bool unabsorbed(struct fixture *f, uint64_t ino)
{
	uint64_t wanted = ino;
	state_each_unabsorbed(f->state, 0, is_listed, &wanted);
	return wanted == 0;
}

static void moving_to_a_head(void)
{
	struct fixture f;

	fixture_open_realm(&f);
	uint64_t a = fixture_make_head(&f, "a", 3 * BLOCK_SIZE + 100, 'x');
	struct record r = fixture_record(&f, a);
	ok(r.place == PLACE_HEAD && r.size == 3 * BLOCK_SIZE + 100 && r.blocks == 32 && r.version == 1, "head: place, size, blocks, version");
	is_block(&f, a, 0, fixture_crc('x', BLOCK_SIZE), "head");
	is_block(&f, a, 3, fixture_crc('x', 100), "head");
	ok(!unabsorbed(&f, a), "head: nothing to absorb");

	uint64_t b = fixture_make(&f, ROOT_INO, "b", KIND_BLOB);
	fixture_write_inline(&f, b, "content");
	uint32_t crcs[2] = { 1, 2 };
	is_int(commit(&f, (struct command_commit){ .ino = b, .size = 4096, .to_head = true, .tail_crcs = crcs, .tail_count = 2 }), -EINVAL, "to head: more blocks than the size has");
	is_int(commit(&f, (struct command_commit){ .ino = b, .size = 5000, .to_head = true, .tail_crcs = crcs, .tail_count = 2 }), 0, "to head");
	is_int(commit(&f, (struct command_commit){ .ino = b, .size = 5000, .to_head = true, .tail_crcs = crcs, .tail_count = 2 }), -EINVAL, "to head: it is there already");
	struct command_patch patch = { 0, text("x") };
	is_int(commit(&f, (struct command_commit){ .ino = b, .size = 5000, .patches = &patch, .patch_count = 1 }), -EINVAL, "head: has no inline content to patch");
	struct buffer content _cleanup_buffer_;
	buffer_init(&content, 65536);
	is_int(state_get_inline(f.state, b, &content), -ENOENT, "to head: the inline content is gone");
	static const uint8_t bitmap[] = { 0x05 };
	uint32_t three[3] = { 7, 8, 9 };
	uint64_t s = fixture_make(&f, ROOT_INO, "s", KIND_BLOB);
	is_int(commit(&f, (struct command_commit){ .ino = s, .size = 1 << 20, .to_head = true, .tail_crcs = three, .tail_count = 3, .tail_present = bitmap }), 0, "to head: with holes");
	is_block(&f, s, 0, 7, "sparse");
	is_hole(&f, s, 1, "sparse");
	is_block(&f, s, 2, 9, "sparse");
	is_hole(&f, s, 3, "sparse");
	is_int(fixture_record(&f, s).blocks, 16, "sparse: holes are no blocks");
	is_sound(&f, "to head: the state is sound");
	fixture_close(&f);
}

static void rows(void)
{
	struct fixture f;
	uint8_t full[BLOCK_SIZE];
	struct buffer storage _cleanup_buffer_;
	struct state_row row;

	fixture_open_realm(&f);
	buffer_init(&storage, 65536);
	uint64_t a = fixture_make_head(&f, "a", 10 * BLOCK_SIZE, 'x');
	memset(full, 'r', sizeof(full));
	struct command_row two[] = { { .block = 2, .bytes = { full, BLOCK_SIZE } }, { .block = 5, .bytes = text("short") } };
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 10 * BLOCK_SIZE, .rows = two, .row_count = 2 }), 0, "rows");
	is_block(&f, a, 2, fixture_crc('r', BLOCK_SIZE), "rows");
	uint8_t zero_filled[BLOCK_SIZE] = "short";
	is_block(&f, a, 5, crc32c(0, zero_filled, BLOCK_SIZE), "rows: short ones are filled with zeros");
	is_int(state_get_row(f.state, a, 5, &storage, &row), 0, "rows: read back");
	ok(row.version == 2 && row.bytes.size == 5 && memcmp(row.bytes.data, "short", 5) == 0 && row.side == 0, "rows: version and bytes");
	is_int(state_get_row(f.state, a, 3, &storage, &row), -ENOENT, "rows: none where none was given");
	ok(fixture_record(&f, a).rows == 2 && state_row_count(f.state) == 2 && unabsorbed(&f, a), "rows: are counted and listed");

	struct command_row side = { .block = 9, .side = 77, .side_offset = 4096, .side_size = 5, .side_crc = crc32c(0, "short", 5) };
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 10 * BLOCK_SIZE, .rows = &side, .row_count = 1 }), 0, "rows: by reference to a side file");
	is_block(&f, a, 9, crc32c(0, zero_filled, BLOCK_SIZE), "side");
	is_int(state_get_row(f.state, a, 9, &storage, &row), 0, "side: read back");
	ok(row.side == 77 && row.side_offset == 4096 && row.side_size == 5 && row.bytes.size == 0, "side: the place");

	struct command_row bad[] = { { .block = 3, .bytes = text("b") }, { .block = 3, .bytes = text("c") } };
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 10 * BLOCK_SIZE, .rows = bad, .row_count = 2 }), -EINVAL, "rows: one block twice");
	bad[0].block = 10;
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 10 * BLOCK_SIZE, .rows = bad, .row_count = 1 }), -EINVAL, "rows: past the size");
	bad[0].block = UINT64_MAX;
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 10 * BLOCK_SIZE, .rows = bad, .row_count = 1 }), -EINVAL, "rows: absurdly far");
	bad[0] = (struct command_row){ .block = 9, .bytes = { full, 100 } };
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 9 * BLOCK_SIZE + 99, .rows = bad, .row_count = 1 }), -EINVAL, "rows: bytes past the size");
	struct command_row far = { .block = 300, .bytes = text("far") };
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 400 * BLOCK_SIZE, .rows = &far, .row_count = 1 }), 0, "rows: past the old end");
	is_hole(&f, a, 10, "growth");
	is_hole(&f, a, 299, "growth");
	is_int(fixture_record(&f, a).blocks, 11 * 8, "growth: is a hole");
	is_sound(&f, "rows: the state is sound");
	fixture_close(&f);
}

static int absorb(struct fixture *f, uint64_t ino, const struct command_absorbed_row *row, size_t row_count, const struct command_absorbed_trim *trims, size_t trim_count)
{
	struct command c = { .kind = COMMAND_ABSORBED };
	c.absorbed = (struct command_absorbed){ .ino = ino, .rows = row, .row_count = (uint32_t)row_count, .trims = trims, .trim_count = (uint32_t)trim_count };
	return fixture_apply(f, &c);
}

static void absorbing(void)
{
	struct fixture f;
	struct command_row row = { .block = 1, .bytes = text("one") };

	fixture_open_realm(&f);
	uint64_t a = fixture_make_head(&f, "a", 4 * BLOCK_SIZE, 'x');
	commit(&f, (struct command_commit){ .ino = a, .size = 4 * BLOCK_SIZE, .rows = &row, .row_count = 1 });
	row.bytes = text("two");
	commit(&f, (struct command_commit){ .ino = a, .size = 4 * BLOCK_SIZE, .rows = &row, .row_count = 1 });
	bool present;
	uint32_t crc = crc_at(&f, a, 1, &present);
	is_int(absorb(&f, a, &(struct command_absorbed_row){ 1, 2 }, 1, NULL, 0), 0, "absorbed: an older version");
	is_int(fixture_record(&f, a).rows, 1, "absorbed: the newer row stays");
	struct command_absorbed_row same_twice[] = { { 1, 3 }, { 1, 3 }, { 2, 3 } };
	is_int(absorb(&f, a, same_twice, 3, NULL, 0), 0, "absorbed: the current version, twice, and one that is no row");
	ok(fixture_record(&f, a).rows == 0 && state_row_count(f.state) == 0 && !unabsorbed(&f, a), "absorbed: the row is gone");
	is_block(&f, a, 1, crc, "absorbed: the checksum stays");
	is_int(fixture_record(&f, a).version, 3, "absorbed: makes no version");
	is_int(absorb(&f, a, same_twice, 3, NULL, 0), 0, "absorbed: once more is harmless");
	uint64_t b = fixture_make(&f, ROOT_INO, "b", KIND_BLOB);
	is_int(absorb(&f, b, NULL, 0, NULL, 0), -EINVAL, "absorbed: an inline blob");
	is_int(absorb(&f, 99, NULL, 0, NULL, 0), -ENOENT, "absorbed: nothing");
	is_sound(&f, "absorbed: the state is sound");
	fixture_close(&f);
}

static void shrinking(void)
{
	struct fixture f;
	struct command_row row = { .block = 300, .bytes = text("row") };

	fixture_open_realm(&f);
	uint64_t a = fixture_make_head(&f, "a", 600 * BLOCK_SIZE, 'x');
	commit(&f, (struct command_commit){ .ino = a, .size = 600 * BLOCK_SIZE, .rows = &row, .row_count = 1 });
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 200 * BLOCK_SIZE + 7 }), -EINVAL, "shrink: into a block that is not given");
	is_int(fixture_record(&f, a).blocks, 600 * 8, "shrink: refused, nothing changed");
	row = (struct command_row){ .block = 200, .bytes = text("xxxxxxx") };
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 200 * BLOCK_SIZE + 7, .rows = &row, .row_count = 1 }), 0, "shrink: with the cut block as a row");
	struct state_trim trim = last_trim(&f, a);
	ok(trim.block == 201 && trim.count == 399 && trim.version == 3, "shrink: a trim tells the heads");
	ok(fixture_record(&f, a).blocks == 201 * 8 && fixture_record(&f, a).rows == 1 && fixture_record(&f, a).trims == 1, "shrink: blocks, rows and trims");
	is_hole(&f, a, 300, "shrink");
	is_block(&f, a, 200, fixture_crc('x', 7), "shrink");
	is_sound(&f, "shrink: the state is sound");

	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 600 * BLOCK_SIZE }), 0, "grow again");
	is_hole(&f, a, 300, "growth shows no old bytes");
	uint32_t crcs[2] = { 5, 6 };
	struct command_commit tail = { .ino = a, .size = 600 * BLOCK_SIZE, .tail_block = 598, .tail_crcs = crcs, .tail_count = 2 };
	is_int(commit(&f, tail), -EINVAL, "tail: over a trim that no head has absorbed");
	struct command_absorbed_trim wrong = { 201, 398, 3 }, right = { 201, 399, 3 };
	is_int(absorb(&f, a, NULL, 0, &wrong, 1), 0, "absorbed: another trim");
	is_int(fixture_record(&f, a).trims, 1, "absorbed: the trim stays");
	struct command_absorbed_trim both[] = { right, right };
	is_int(absorb(&f, a, NULL, 0, both, 2), 0, "absorbed: the trim");
	ok(fixture_record(&f, a).trims == 0 && unabsorbed(&f, a), "absorbed: it is gone, the row is still listed");
	is_int(commit(&f, tail), 0, "tail: into what has become a hole");
	is_block(&f, a, 599, 6, "tail");
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 0 }), 0, "shrink: to nothing");
	trim = last_trim(&f, a);
	ok(trim.block == 0 && trim.count == 600, "shrink: the trim spans what was there");
	ok(fixture_record(&f, a).blocks == 0 && fixture_record(&f, a).rows == 0, "shrink: nothing is left");
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 100 }), 0, "grow from nothing");
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 50 }), 0, "shrink: into a hole needs no row");
	is_int(fixture_record(&f, a).trims, 1, "shrink: a hole needs no trim");
	is_sound(&f, "shrink to nothing: the state is sound");
	fixture_close(&f);
}

static void holes(void)
{
	struct fixture f;
	struct command_row row = { .block = 260, .bytes = text("row") };

	fixture_open_realm(&f);
	uint64_t a = fixture_make_head(&f, "a", 600 * BLOCK_SIZE, 'x'), size = 600 * BLOCK_SIZE;
	commit(&f, (struct command_commit){ .ino = a, .size = size, .rows = &row, .row_count = 1 });
	struct command_range two[] = { { 10, 5 }, { 250, 20 } };
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = size, .holes = two, .hole_count = 2 }), 0, "punch: two ranges");
	ok(fixture_record(&f, a).blocks == 575 * 8 && fixture_record(&f, a).rows == 0 && fixture_record(&f, a).trims == 2, "punch: blocks, rows, trims");
	is_block(&f, a, 9, fixture_crc('x', BLOCK_SIZE), "punch");
	is_hole(&f, a, 10, "punch");
	is_hole(&f, a, 260, "punch");
	is_block(&f, a, 270, fixture_crc('x', BLOCK_SIZE), "punch");
	struct command_range wide = { 5, UINT64_MAX };
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = size, .holes = &wide, .hole_count = 1 }), 0, "punch: past every end");
	is_int(fixture_record(&f, a).blocks, 5 * 8, "punch: five blocks are left");
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = size, .holes = &wide, .hole_count = 1 }), 0, "punch: what is a hole");
	is_int(fixture_record(&f, a).trims, 3, "punch: needs no trim");
	/* A hole and a row for one block in one command: the row is on top. */
	row = (struct command_row){ .block = 2, .bytes = text("on top") };
	struct command_range under = { 0, 4 };
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = size, .holes = &under, .hole_count = 1, .rows = &row, .row_count = 1 }), 0, "punch: under a row");
	uint8_t block[BLOCK_SIZE] = "on top";
	is_block(&f, a, 2, crc32c(0, block, BLOCK_SIZE), "punch under a row");
	is_hole(&f, a, 3, "punch under a row");
	uint64_t version = fixture_record(&f, a).version;
	is_int(absorb(&f, a, &(struct command_absorbed_row){ 2, version }, 1, NULL, 0), 0, "absorbed: a row before the trim under it");
	is_int(fixture_record(&f, a).rows, 1, "absorbed: the row stays, or the trim would punch it away");
	struct command_absorbed_trim trims[] = { { 0, 4, version }, { 5, 595, version - 2 } };
	is_int(absorb(&f, a, &(struct command_absorbed_row){ 2, version }, 1, trims, 1), 0, "absorbed: both in one command");
	is_int(fixture_record(&f, a).rows, 0, "absorbed: the row goes with its trim");
	is_sound(&f, "holes: the state is sound");
	fixture_close(&f);
}

static void tails(void)
{
	struct fixture f;
	uint32_t crcs[700];

	fixture_open_realm(&f);
	for (unsigned i = 0; i < 700; i++)
		crcs[i] = 1000 + i;
	uint64_t a = fixture_make_head(&f, "a", 2 * BLOCK_SIZE + 10, 'x');
	struct command_commit c = { .ino = a, .size = 700 * BLOCK_SIZE, .tail_block = 2, .tail_crcs = crcs, .tail_count = 698 };
	is_int(commit(&f, c), 0, "tail: from the block that the old size cuts");
	is_block(&f, a, 2, 1000, "tail");
	is_block(&f, a, 699, 1697, "tail");
	is_int(fixture_record(&f, a).blocks, 700 * 8, "tail: blocks");
	is_int(commit(&f, c), -EINVAL, "tail: over committed blocks");
	c = (struct command_commit){ .ino = a, .size = 701 * BLOCK_SIZE, .tail_block = 699, .tail_crcs = crcs, .tail_count = 2 };
	is_int(commit(&f, c), -EINVAL, "tail: from the last whole block");
	c = (struct command_commit){ .ino = a, .size = 701 * BLOCK_SIZE, .tail_block = 700, .tail_crcs = crcs, .tail_count = 2 };
	is_int(commit(&f, c), -EINVAL, "tail: past the new size");
	c = (struct command_commit){ .ino = a, .size = 701 * BLOCK_SIZE, .tail_block = UINT64_MAX, .tail_crcs = crcs, .tail_count = 2 };
	is_int(commit(&f, c), -EINVAL, "tail: absurdly far");
	c = (struct command_commit){ .ino = a, .size = 700 * BLOCK_SIZE + 50, .tail_block = 700, .tail_crcs = crcs, .tail_count = 1 };
	is_int(commit(&f, c), 0, "tail: a part of a block");

	struct command_row row = { .block = 700, .bytes = text("in a row") };
	is_int(commit(&f, (struct command_commit){ .ino = a, .size = 700 * BLOCK_SIZE + 50, .rows = &row, .row_count = 1 }), 0, "a row for the cut block");
	c = (struct command_commit){ .ino = a, .size = 702 * BLOCK_SIZE, .tail_block = 700, .tail_crcs = crcs, .tail_count = 2 };
	is_int(commit(&f, c), -EINVAL, "tail: over a row that no head has absorbed");
	c.tail_block = 701;
	c.tail_count = 1;
	row.bytes = text("in a row, and grown");
	c.rows = &row;
	c.row_count = 1;
	is_int(commit(&f, c), 0, "tail: beside the row for the cut block");
	static const uint8_t none[] = { 0 };
	c = (struct command_commit){ .ino = a, .size = 703 * BLOCK_SIZE - 1, .tail_block = 702, .tail_crcs = crcs, .tail_count = 1 };
	is_int(commit(&f, c), 0, "tail: a part again");
	c = (struct command_commit){ .ino = a, .size = 703 * BLOCK_SIZE, .tail_block = 702, .tail_crcs = crcs, .tail_count = 1, .tail_present = none };
	is_int(commit(&f, c), 0, "tail: without the cut block");
	is_block(&f, a, 702, 1000, "tail without the cut block leaves it");
	c = (struct command_commit){ .ino = a, .size = 703 * BLOCK_SIZE - 2, .tail_block = 702, .tail_crcs = crcs, .tail_count = 1 };
	is_int(commit(&f, c), -EINVAL, "tail: over the cut block while the blob shrinks");
	is_sound(&f, "tails: the state is sound");
	fixture_unlink(&f, ROOT_INO, "a", false);
	is_int(fixture_reap(&f, a), 0, "reap: a blob with rows");
	uint64_t objects, bytes;
	state_totals(f.state, &objects, &bytes);
	ok(objects == 1 && bytes == 0 && state_row_count(f.state) == 0, "reap: nothing is left of it");
	is_sound(&f, "reap: the state is sound");
	fixture_close(&f);
}

int main(void)
{
	inline_content();
	versions();
	moving_to_a_head();
	rows();
	absorbing();
	shrinking();
	holes();
	tails();
	return done_testing();
}
