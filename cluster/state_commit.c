/* COMMIT and ABSORBED: a blob's content.
 *
 * A commit that can't be right is refused with -EINVAL, whole, since what a proposer gets wrong here would be silent damage:
 *   - rows are in ascending order, inside the new size, and have no bytes past it;
 *   - a tail block was a hole before, or is the block that the old size cut (then the blob does not shrink). Anything else would mean that
 *     committed bytes were overwritten in the heads before the commit;
 *   - a tail block has no row and no trim that the heads have still to absorb: absorbing would lay old bytes or zeros over the tail. Absorb
 *     first, or give the block as a row. A block absent from the tail is left as it is, and may have a row in the same command;
 *   - where the blob shrinks into the middle of a block that is there, that block is given as a row or hole: its bytes past the new
 *     size must become zeros, and its checksum must say so. */
#include <string.h>

#include "caps/bigendian.h"
#include "cluster/state_blob.h"

/* ---- inline content ---- */

static int check_inline(const struct command_commit *c)
{
	if (c->row_count > 0 || c->hole_count > 0 || c->tail_count > 0)
		return -EINVAL;
	if (c->size > STATE_INLINE_MAX)
		return -EFBIG;
	for (uint32_t i = 0; i < c->patch_count; i++) {
		if (c->patches[i].offset > c->size || c->patches[i].bytes.size > c->size - c->patches[i].offset)
			return -EINVAL;
	}
	return 0;
}

static int commit_inline(struct apply *a, struct record *r, const struct command_commit *c)
{
	struct state_key key = key_ino(KEY_INLINE, r->ino);
	struct buffer *content = &a->s->value;
	int error = check_inline(c);

	if (error < 0)
		return error;
	bool replaced = c->patch_count == 1 && c->patches[0].offset == 0 && c->patches[0].bytes.size == c->size;
	buffer_reset(content);
	if (r->size > 0 && !replaced) {
		error = apply_read(a, &key, content);
		if (error < 0)
			return error == -ENOENT ? apply_fatal(a, -EBADMSG) : error;
	}
	uint8_t *space;
	if (content->size > c->size)
		content->size = c->size;
	size_t grown = c->size - content->size;
	if (buffer_reserve(content, grown, &space) < 0)
		return apply_fatal(a, buffer_error(content));
	if (grown > 0)
		memset(space, 0, grown);
	for (uint32_t i = 0; i < c->patch_count; i++) {
		if (c->patches[i].bytes.size > 0)
			memcpy(content->data + c->patches[i].offset, c->patches[i].bytes.data, c->patches[i].bytes.size);
	}
	apply_set_blocks(a, r, (c->size + 511) / 512);
	if (c->size == 0)
		return apply_delete(a, &key);
	return apply_put(a, &key, (struct slice){ .data = content->data, .size = content->size });
}

/* ---- a blob with a head ---- */

static int check_rows(const struct command_commit *c)
{
	for (uint32_t i = 0; i < c->row_count; i++) {
		const struct command_row *row = &c->rows[i];
		size_t size = row->side ? row->side_size : row->bytes.size;
		if (i > 0 && row->block <= c->rows[i - 1].block)
			return -EINVAL;
		if (row->block >= block_count(c->size) || size > c->size - row->block * BLOCK_SIZE)
			return -EINVAL;
	}
	return 0;
}

static bool has_row(const struct command_commit *c, uint64_t block)
{
	uint32_t low = 0, high = c->row_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (c->rows[middle].block < block)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->row_count && c->rows[low].block == block;
}

static int apply_tail(struct blocks *b, const struct command_commit *c, uint64_t old_size)
{
	uint64_t cut = old_size % BLOCK_SIZE && c->size >= old_size ? old_size / BLOCK_SIZE : UINT64_MAX;
	int r;

	if (c->tail_count == 0)
		return 0;
	if (c->tail_block >= block_count(c->size) || c->tail_count > block_count(c->size) - c->tail_block)
		return -EINVAL;
	r = blocks_check_trims(b, c->tail_block, c->tail_count, c->tail_present);
	for (uint32_t i = 0; r == 0 && i < c->tail_count; i++) {
		uint64_t block = c->tail_block + i;
		bool present, row;
		if (c->tail_present && !(c->tail_present[i / 8] >> (i % 8) & 1))
			continue;
		r = block_state(b, block, &present, &row);
		if (r < 0)
			break;
		if (row || (present && block != cut))
			return -EINVAL;
		r = block_set(b, block, c->tail_crcs[i]);
	}
	return r;
}

/* Where the new end cuts a block that the blob had before. */
static int check_cut(struct blocks *b, const struct command_commit *c, uint64_t old_size)
{
	uint64_t block = c->size / BLOCK_SIZE;
	bool present, row;

	if (c->size >= old_size || c->size % BLOCK_SIZE == 0 || has_row(c, block))
		return 0;
	int r = block_state(b, block, &present, &row);
	return r < 0 ? r : present ? -EINVAL : 0;
}

static int commit_head(struct apply *a, struct record *r, const struct command_commit *c)
{
	struct blocks *b = malloc(sizeof(*b));   /* a checksum entry is large for a stack that others share */
	uint64_t old_size = r->size;
	int error;

	if (!b)
		return apply_fatal(a, -ENOMEM);
	blocks_begin(b, a, r, r->version + 1);
	error = c->patch_count > 0 ? -EINVAL : check_rows(c);
	if (error == 0 && c->size < old_size)
		error = blocks_clear(b, block_count(c->size), block_count(old_size) - block_count(c->size));
	for (uint32_t i = 0; error == 0 && i < c->hole_count; i++)
		error = blocks_clear(b, c->holes[i].block, c->holes[i].count);
	for (uint32_t i = 0; error == 0 && i < c->row_count; i++)
		error = row_put(b, &c->rows[i]);
	if (error == 0)
		error = apply_tail(b, c, old_size);
	if (error == 0)
		error = check_cut(b, c, old_size);
	if (error == 0)
		error = blocks_end(b);
	free(b);
	return error;
}

/* The content leaves the state; what it was is among the command's tail blocks and rows. */
static int move_to_head(struct apply *a, struct record *r)
{
	struct state_key key = key_ino(KEY_INLINE, r->ino);

	apply_set_blocks(a, r, 0);
	r->place = PLACE_HEAD;
	r->size = 0;
	return apply_delete(a, &key);
}

static int commit_content(struct apply *a, struct record *r, const struct command_commit *c)
{
	if (c->size > BLOB_SIZE_LIMIT)
		return -EFBIG;
	if (c->to_head) {
		if (r->place == PLACE_HEAD)
			return -EINVAL;
		int error = move_to_head(a, r);
		if (error < 0)
			return error;
	}
	return r->place == PLACE_HEAD ? commit_head(a, r, c) : commit_inline(a, r, c);
}

int get_blob(struct apply *a, uint64_t ino, struct record **ret_blob)
{
	int r = apply_record(a, ino, ret_blob);

	if (r < 0)
		return r;
	if ((*ret_blob)->kind == KIND_DIRECTORY)
		return -EISDIR;
	return (*ret_blob)->kind != KIND_BLOB ? -EINVAL : 0;
}

int apply_commit(struct apply *a, const struct command *command)
{
	const struct command_commit *c = &command->commit;
	struct record *blob;
	int r = get_blob(a, c->ino, &blob);

	if (r < 0)
		return r;
	if (blob->in_place)
		return -EBUSY;   /* replayed, it would lie over what is written in place (R9) */
	if (c->check_version && c->base_version != blob->version)
		return -ESTALE;
	r = commit_content(a, blob, c);
	if (r == 0 && c->kill_privilege)
		r = kill_privilege(a, blob);
	if (r < 0)
		return r;
	blob->size = c->size;
	blob->version++;
	/* The content changed when it was written, which is what has been told of it since. */
	int64_t changed_ns = c->mtime_ns ? c->mtime_ns : a->now_ns;
	blob->mtime_ns = changed_ns;
	if (changed_ns > blob->ctime_ns)
		blob->ctime_ns = changed_ns;
	if (c->stage_seq > blob->stage_seq)
		blob->stage_seq = c->stage_seq;
	apply_dirty(a, blob);
	apply_report(a, blob);
	return 0;
}

/* ---- absorbed ---- */

/* A row stays while a trim of its block is still to be absorbed: the head takes trims first, and would punch the row's bytes. */
static int absorb_row(struct blocks *b, const struct command_absorbed_row *row)
{
	int trimmed = blocks_check_trims(b, row->block, 1, NULL);
	if (trimmed < 0)
		return trimmed == -EINVAL ? 0 : trimmed;

	struct state_key key = key_ino_u64(KEY_ROW, b->r->ino, row->block);
	struct buffer *value = &b->a->s->value;
	struct state_row there;
	int r = apply_read(b->a, &key, value);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = row_decode(row->block, (struct slice){ .data = value->data, .size = value->size }, &there);
	if (r < 0)
		return apply_fatal(b->a, r);
	return there.version == row->version ? block_drop_row(b, row->block) : 0;
}

static int absorb_trim(struct blocks *b, const struct command_absorbed_trim *trim)
{
	struct state_key key = key_ino_pair(KEY_TRIM, b->r->ino, trim->version, trim->block);
	struct buffer *value = &b->a->s->value;

	b->a->overlay = true;   /* one that is named twice counts once */
	int r = apply_read(b->a, &key, value);
	b->a->overlay = false;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (value->size != 8)
		return apply_fatal(b->a, -EBADMSG);
	if (get_be64(value->data) != trim->count)
		return 0;
	b->r->trims--;
	return apply_delete(b->a, &key);
}

int apply_absorbed(struct apply *a, const struct command *command)
{
	const struct command_absorbed *c = &command->absorbed;
	struct record *blob;
	int r = get_blob(a, c->ino, &blob);

	if (r < 0)
		return r;
	if (blob->place != PLACE_HEAD)
		return -EINVAL;
	struct blocks *b = malloc(sizeof(*b));
	if (!b)
		return apply_fatal(a, -ENOMEM);
	blocks_begin(b, a, blob, blob->version);
	for (uint32_t i = 0; r == 0 && i < c->trim_count; i++)
		r = absorb_trim(b, &c->trims[i]);
	for (uint32_t i = 0; r == 0 && i < c->row_count; i++)
		r = absorb_row(b, &c->rows[i]);
	if (r == 0)
		r = blocks_end(b);
	free(b);
	apply_dirty(a, blob);
	apply_report(a, blob);
	return r;
}
