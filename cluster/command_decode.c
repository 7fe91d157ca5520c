/* Bytes to commands. Lists go into an arena of a few blocks, each made for a count that the bytes left can hold, so that
 * hostile bytes cost at most a small multiple of their own size. */
#include <string.h>

#include "caps/bigendian.h"
#include "cluster/command_fields.h"

struct arena_block { struct arena_block *next; max_align_t data[]; };

/* Room for `count` elements in the command's arena; NULL and an error in the cursor if there is no memory. */
static void *arena_take(struct command *c, struct unpacker *u, size_t count, size_t size)
{
	struct arena_block *block = malloc(sizeof(*block) + count * size);   /* count <= COMMAND_TAIL_MAX: no overflow */

	if (!block) {
		unpacker_fail(u, -ENOMEM);
		return NULL;
	}
	block->next = c->arena;
	c->arena = block;
	return block->data;
}

void command_done(struct command *c)
{
	struct arena_block *block = c->arena;

	while (block) {
		struct arena_block *next = block->next;
		free(block);
		block = next;
	}
	c->arena = NULL;
}

/* The header of a nested array that must have exactly `size` elements. */
static void expect_array(struct unpacker *u, uint32_t size)
{
	if (unpack_array(u, size) != size)
		unpacker_fail(u, -EBADMSG);
}

static void decode_row(struct unpacker *u, struct command_row *row)
{
	uint32_t size = unpack_array(u, 5);

	*row = (struct command_row){ .block = unpack_u64(u, UINT64_MAX) };
	if (size == 2) {
		row->bytes = unpack_bytes(u, BLOCK_SIZE);
	} else if (size == 5) {
		row->side = unpack_u64(u, UINT64_MAX);
		row->side_offset = unpack_u64(u, UINT64_MAX);
		row->side_size = (uint32_t)unpack_u64(u, BLOCK_SIZE);
		row->side_crc = (uint32_t)unpack_u64(u, UINT32_MAX);
		if (row->side == 0)
			unpacker_fail(u, -EBADMSG);
	} else {
		unpacker_fail(u, -EBADMSG);
	}
}

static void decode_rows(struct command *c, struct unpacker *u)
{
	uint32_t count = unpack_array(u, COMMAND_ROWS_MAX);
	struct command_row *rows = arena_take(c, u, count, sizeof(*rows));

	for (uint32_t i = 0; i < count && u->error == 0; i++)
		decode_row(u, &rows[i]);
	c->commit.rows = rows;
	c->commit.row_count = count;
}

static void decode_holes(struct command *c, struct unpacker *u)
{
	uint32_t count = unpack_array(u, COMMAND_LIST_MAX);
	struct command_range *holes = arena_take(c, u, count, sizeof(*holes));

	for (uint32_t i = 0; i < count && u->error == 0; i++) {
		expect_array(u, 2);
		holes[i].block = unpack_u64(u, UINT64_MAX);
		holes[i].count = unpack_u64(u, UINT64_MAX);
	}
	c->commit.holes = holes;
	c->commit.hole_count = count;
}

static void decode_tail(struct command *c, struct unpacker *u)
{
	struct slice bytes = unpack_bytes(u, (size_t)COMMAND_TAIL_MAX * 4);
	uint32_t count = (uint32_t)(bytes.size / 4);
	uint32_t *crcs = arena_take(c, u, count, sizeof(*crcs));

	if (bytes.size % 4 != 0)
		unpacker_fail(u, -EBADMSG);
	for (uint32_t i = 0; i < count && u->error == 0; i++)
		crcs[i] = get_be32(bytes.data + (size_t)i * 4);
	c->commit.tail_crcs = crcs;
	c->commit.tail_count = count;
}

static void decode_tail_present(struct command *c, struct unpacker *u)
{
	struct slice bytes = unpack_bytes(u, bitmap_size(COMMAND_TAIL_MAX));

	/* Keys ascend, so the checksums, which say how many bits there are, came before. */
	if (bytes.size == 0 || bytes.size != bitmap_size(c->commit.tail_count))
		unpacker_fail(u, -EBADMSG);
	c->commit.tail_present = bytes.data;
}

static void decode_patches(struct command *c, struct unpacker *u)
{
	uint32_t count = unpack_array(u, COMMAND_LIST_MAX);
	struct command_patch *patches = arena_take(c, u, count, sizeof(*patches));

	for (uint32_t i = 0; i < count && u->error == 0; i++) {
		expect_array(u, 2);
		patches[i].offset = unpack_u64(u, UINT64_MAX);
		patches[i].bytes = unpack_bytes(u, COMMAND_MAX);
	}
	c->commit.patches = patches;
	c->commit.patch_count = count;
}

static void decode_absorbed_rows(struct command *c, struct unpacker *u)
{
	uint32_t count = unpack_array(u, COMMAND_LIST_MAX);
	struct command_absorbed_row *rows = arena_take(c, u, count, sizeof(*rows));

	for (uint32_t i = 0; i < count && u->error == 0; i++) {
		expect_array(u, 2);
		rows[i].block = unpack_u64(u, UINT64_MAX);
		rows[i].version = unpack_u64(u, UINT64_MAX);
	}
	c->absorbed.rows = rows;
	c->absorbed.row_count = count;
}

static void decode_absorbed_trims(struct command *c, struct unpacker *u)
{
	uint32_t count = unpack_array(u, COMMAND_LIST_MAX);
	struct command_absorbed_trim *trims = arena_take(c, u, count, sizeof(*trims));

	for (uint32_t i = 0; i < count && u->error == 0; i++) {
		expect_array(u, 3);
		trims[i].block = unpack_u64(u, UINT64_MAX);
		trims[i].count = unpack_u64(u, UINT64_MAX);
		trims[i].version = unpack_u64(u, UINT64_MAX);
	}
	c->absorbed.trims = trims;
	c->absorbed.trim_count = count;
}

static void decode_inos(struct command *c, struct unpacker *u)
{
	uint32_t count = unpack_array(u, COMMAND_INODES_MAX);
	uint64_t *inos = arena_take(c, u, count, sizeof(*inos));

	for (uint32_t i = 0; i < count && u->error == 0; i++)
		inos[i] = unpack_u64(u, UINT64_MAX);
	c->reap.inos = inos;
	c->reap.count = count;
}

static void decode_sizes(struct command *c, struct unpacker *u)
{
	uint32_t count = unpack_array(u, COMMAND_LIST_MAX);
	uint32_t *sizes = arena_take(c, u, count, sizeof(*sizes));

	for (uint32_t i = 0; i < count && u->error == 0; i++)
		sizes[i] = (uint32_t)unpack_u64(u, UINT32_MAX);
	c->stream_append.sizes = sizes;
	c->stream_append.count = count;
}

static const struct { unsigned kind, key; void (*decode)(struct command *c, struct unpacker *u); } lists[] = {
	{ COMMAND_COMMIT, EXTRA_ROWS, decode_rows },
	{ COMMAND_COMMIT, EXTRA_HOLES, decode_holes },
	{ COMMAND_COMMIT, EXTRA_TAIL_CRCS, decode_tail },
	{ COMMAND_COMMIT, EXTRA_TAIL_PRESENT, decode_tail_present },
	{ COMMAND_COMMIT, EXTRA_PATCHES, decode_patches },
	{ COMMAND_ABSORBED, EXTRA_ABSORBED_ROWS, decode_absorbed_rows },
	{ COMMAND_ABSORBED, EXTRA_ABSORBED_TRIMS, decode_absorbed_trims },
	{ COMMAND_REAP, EXTRA_INOS, decode_inos },
	{ COMMAND_STREAM_APPEND, EXTRA_SIZES, decode_sizes },
};

static bool decode_list(void *arg, uint64_t key, struct unpacker *u)
{
	struct command *c = arg;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (lists[i].kind == c->kind && lists[i].key == key) {
			lists[i].decode(c, u);
			return true;
		}
	}
	return false;
}

/* The array's header up to the fields; the kind's tables, or NULL and an error. */
static const struct command_fields *decode_header(struct unpacker *u, struct command *c)
{
	if (unpack_array(u, 7) != 7)
		unpacker_fail(u, -EBADMSG);
	if (unpack_u64(u, UINT64_MAX) > COMMAND_VERSION)
		unpacker_fail(u, -ENOTSUP);
	uint64_t kind = unpack_u64(u, UINT64_MAX);
	c->client = unpack_u64(u, UINT64_MAX);
	c->seq = unpack_u64(u, UINT64_MAX);
	c->done_below = unpack_u64(u, UINT64_MAX);
	c->time_ns = unpack_i64(u);

	const struct command_fields *f = kind <= UINT16_MAX ? command_fields_of((unsigned)kind) : NULL;
	if (!f) {
		unpacker_fail(u, -ENOTSUP);
		return NULL;
	}
	c->kind = (enum command_kind)kind;
	return u->error ? NULL : f;
}

int command_decode(struct slice data, struct command *ret_command)
{
	struct command c;
	struct unpacker u;

	if (data.size > COMMAND_MAX)
		return -EBADMSG;
	memset(&c, 0, sizeof(c));
	unpacker_init(&u, data);
	const struct command_fields *f = decode_header(&u, &c);
	if (f)
		fields_decode(&u, &c.create, f->fields, f->count, decode_list, &c);   /* all members begin where create does */
	if (unpacker_finish(&u) < 0) {
		command_done(&c);
		return u.error;
	}
	*ret_command = c;
	return 0;
}
