/* Commands to bytes. Bounds are checked before anything is written: what this file writes, command_decode reads. */
#include "caps/bigendian.h"
#include "cluster/command_fields.h"

static uint32_t commit_lists(const struct command_commit *c)
{
	return (c->row_count > 0) + (c->hole_count > 0) + (c->tail_count > 0) + (c->tail_count > 0 && c->tail_present) + (c->patch_count > 0);
}

/* How many lists follow the plain fields, or -EINVAL. */
static int check_lists(const struct command *c)
{
	switch (c->kind) {
	case COMMAND_COMMIT:
		if (c->commit.row_count > COMMAND_ROWS_MAX || c->commit.hole_count > COMMAND_LIST_MAX ||
		    c->commit.tail_count > COMMAND_TAIL_MAX || c->commit.patch_count > COMMAND_LIST_MAX)
			return -EINVAL;
		for (uint32_t i = 0; i < c->commit.row_count; i++) {
			if (c->commit.rows[i].bytes.size > BLOCK_SIZE || c->commit.rows[i].side_size > BLOCK_SIZE)
				return -EINVAL;
		}
		return (int)commit_lists(&c->commit);
	case COMMAND_ABSORBED:
		if (c->absorbed.row_count > COMMAND_LIST_MAX || c->absorbed.trim_count > COMMAND_LIST_MAX)
			return -EINVAL;
		return (c->absorbed.row_count > 0) + (c->absorbed.trim_count > 0);
	case COMMAND_REAP:
		return c->reap.count > COMMAND_INODES_MAX ? -EINVAL : c->reap.count > 0;
	case COMMAND_STREAM_APPEND:
		return c->stream_append.count > COMMAND_LIST_MAX ? -EINVAL : c->stream_append.count > 0;
	default:
		return 0;
	}
}

static void encode_rows(struct buffer *out, const struct command_row *rows, uint32_t count)
{
	pack_u64(out, EXTRA_ROWS);
	pack_array(out, count);
	for (uint32_t i = 0; i < count; i++) {
		const struct command_row *row = &rows[i];
		pack_array(out, row->side ? 5 : 2);
		pack_u64(out, row->block);
		if (!row->side) {
			pack_bytes(out, row->bytes.data, row->bytes.size);
			continue;
		}
		pack_u64(out, row->side);
		pack_u64(out, row->side_offset);
		pack_u64(out, row->side_size);
		pack_u64(out, row->side_crc);
	}
}

static void encode_tail(struct buffer *out, const struct command_commit *c)
{
	pack_u64(out, EXTRA_TAIL_CRCS);
	uint8_t *space = pack_bytes_space(out, (size_t)c->tail_count * 4);
	for (uint32_t i = 0; space && i < c->tail_count; i++)
		put_be32(space + (size_t)i * 4, c->tail_crcs[i]);
	if (c->tail_present) {
		pack_u64(out, EXTRA_TAIL_PRESENT);
		pack_bytes(out, c->tail_present, bitmap_size(c->tail_count));
	}
}

static void encode_commit(struct buffer *out, const struct command_commit *c)
{
	if (c->row_count > 0)
		encode_rows(out, c->rows, c->row_count);
	if (c->hole_count > 0) {
		pack_u64(out, EXTRA_HOLES);
		pack_array(out, c->hole_count);
	}
	for (uint32_t i = 0; i < c->hole_count; i++) {
		pack_array(out, 2);
		pack_u64(out, c->holes[i].block);
		pack_u64(out, c->holes[i].count);
	}
	if (c->tail_count > 0)
		encode_tail(out, c);
	if (c->patch_count > 0) {
		pack_u64(out, EXTRA_PATCHES);
		pack_array(out, c->patch_count);
	}
	for (uint32_t i = 0; i < c->patch_count; i++) {
		pack_array(out, 2);
		pack_u64(out, c->patches[i].offset);
		pack_bytes(out, c->patches[i].bytes.data, c->patches[i].bytes.size);
	}
}

static void encode_absorbed(struct buffer *out, const struct command_absorbed *c)
{
	if (c->row_count > 0) {
		pack_u64(out, EXTRA_ABSORBED_ROWS);
		pack_array(out, c->row_count);
	}
	for (uint32_t i = 0; i < c->row_count; i++) {
		pack_array(out, 2);
		pack_u64(out, c->rows[i].block);
		pack_u64(out, c->rows[i].version);
	}
	if (c->trim_count > 0) {
		pack_u64(out, EXTRA_ABSORBED_TRIMS);
		pack_array(out, c->trim_count);
	}
	for (uint32_t i = 0; i < c->trim_count; i++) {
		pack_array(out, 3);
		pack_u64(out, c->trims[i].block);
		pack_u64(out, c->trims[i].count);
		pack_u64(out, c->trims[i].version);
	}
}

static void encode_lists(struct buffer *out, const struct command *c)
{
	if (c->kind == COMMAND_COMMIT) {
		encode_commit(out, &c->commit);
	} else if (c->kind == COMMAND_ABSORBED) {
		encode_absorbed(out, &c->absorbed);
	} else if (c->kind == COMMAND_REAP && c->reap.count > 0) {
		pack_u64(out, EXTRA_INOS);
		pack_array(out, c->reap.count);
		for (uint32_t i = 0; i < c->reap.count; i++)
			pack_u64(out, c->reap.inos[i]);
	} else if (c->kind == COMMAND_STREAM_APPEND && c->stream_append.count > 0) {
		pack_u64(out, EXTRA_SIZES);
		pack_array(out, c->stream_append.count);
		for (uint32_t i = 0; i < c->stream_append.count; i++)
			pack_u64(out, c->stream_append.sizes[i]);
	}
}

int command_encode(const struct command *c, struct buffer *out)
{
	const struct command_fields *f = command_fields_of(c->kind);
	int lists = f ? check_lists(c) : -EINVAL;
	size_t before = out->size;

	if (lists < 0)
		return lists;
	if (out->error)
		return out->error;
	pack_array(out, 7);
	pack_u64(out, COMMAND_VERSION);
	pack_u64(out, c->kind);
	pack_u64(out, c->client);
	pack_u64(out, c->seq);
	pack_u64(out, c->done_below);
	pack_i64(out, c->time_ns);
	int r = fields_encode(out, &c->create, f->fields, f->count, (uint32_t)lists);   /* all members begin where create does */
	if (r == 0)
		encode_lists(out, c);
	if (r == 0)
		r = out->error;
	if (r == 0 && out->size - before > COMMAND_MAX)
		r = -EMSGSIZE;
	if (r < 0) {
		out->size = before;
		out->error = 0;
	}
	return r;
}
