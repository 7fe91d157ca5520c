/* UNSEAL and SEAL: when a blob's head is written in place, behind the state's back, and when it is not.
 *
 * A blob has the dirty mark (record.in_place) and is in the list of unsealed ones, or neither. While it has, its record's size and checksums
 * are those of what was sealed last and nobody believes them, there is no row and no trim, and COMMIT is refused: nothing that the log holds may
 * lie over what the head got since (R9). */
#include <string.h>

#include "caps/bigendian.h"
#include "cluster/state_blob.h"

int mark_in_place(struct apply *a, struct record *r)
{
	struct state_key key = key_shard_u64(KEY_IN_PLACE, r->ino);

	r->place = PLACE_HEAD;
	r->in_place = true;
	apply_dirty(a, r);
	return apply_put(a, &key, (struct slice){ 0 });
}

int unmark_in_place(struct apply *a, struct record *r)
{
	struct state_key key = key_shard_u64(KEY_IN_PLACE, r->ino);

	r->in_place = false;
	apply_dirty(a, r);
	return apply_delete(a, &key);
}

int apply_unseal(struct apply *a, const struct command *command)
{
	struct state_key key = key_ino(KEY_INLINE, command->unseal.ino);
	struct record *blob;
	int r = get_blob(a, command->unseal.ino, &blob);

	if (r < 0)
		return r;
	apply_report(a, blob);
	if (blob->in_place)
		return 0;
	if (blob->rows + blob->trims > 0)
		return -EINVAL;
	if (blob->place == PLACE_INLINE) {
		apply_set_blocks(a, blob, 0);
		blob->size = 0;
		r = apply_delete(a, &key);
	}
	return r < 0 ? r : mark_in_place(a, blob);
}

/* ---- sealing ---- */

static int seal_inline(struct apply *a, struct record *r, const struct command_seal *c)
{
	struct state_key key = key_ino(KEY_INLINE, r->ino), crcs = key_ino(KEY_CRC, r->ino);

	if (!c->done || c->unchanged || c->content.size != c->size || c->size > STATE_INLINE_MAX || c->crcs.size > 0)
		return -EINVAL;
	int error = r->blocks > 0 ? apply_delete_prefix(a, &crcs) : 0;
	apply_set_blocks(a, r, (c->size + 511) / 512);
	r->place = PLACE_INLINE;
	return error < 0 || c->size == 0 ? error : apply_put(a, &key, c->content);
}

static int seal_blocks(struct blocks *b, const struct command_seal *c, uint64_t old_size)
{
	uint32_t covered = (uint32_t)(c->crcs.size / 4);
	int r = 0;

	if (block_count(c->size) < block_count(old_size))
		r = blocks_forget(b, block_count(c->size), block_count(old_size) - block_count(c->size));
	if (r == 0)
		r = blocks_forget(b, c->block, c->count);
	for (uint32_t i = 0; r == 0 && i < covered; i++) {
		if (c->present.data[i / 8] >> (i % 8) & 1)
			r = block_set(b, c->block + i, get_be32(c->crcs.data + 4 * (size_t)i));
	}
	return r < 0 ? r : blocks_end(b);
}

static int seal_head(struct apply *a, struct record *r, const struct command_seal *c)
{
	uint64_t covered = c->crcs.size / 4, blocks = block_count(c->size);

	if (c->crcs.size % 4 != 0 || c->present.size != (covered + 7) / 8 || c->size > BLOB_SIZE_LIMIT || covered > c->count || c->content.size > 0)
		return -EINVAL;
	if (c->block > blocks || c->count > blocks - c->block)
		return -EINVAL;
	struct blocks *b = malloc(sizeof(*b));   /* a checksum entry is large for a stack that others share */
	if (!b)
		return apply_fatal(a, -ENOMEM);
	blocks_begin(b, a, r, r->version + 1);
	int error = seal_blocks(b, c, r->size);
	free(b);
	return error;
}

int apply_seal(struct apply *a, const struct command *command)
{
	const struct command_seal *c = &command->seal;
	struct record *blob;
	int r = get_blob(a, c->ino, &blob);

	if (r < 0)
		return r;
	if (!blob->in_place)
		return -EINVAL;
	if (!c->unchanged) {
		r = c->to_inline ? seal_inline(a, blob, c) : seal_head(a, blob, c);
		if (r < 0)
			return r;
		blob->size = c->size;
		blob->mtime_ns = c->mtime_ns;
		if (c->mtime_ns > blob->ctime_ns)
			blob->ctime_ns = c->mtime_ns;
		blob->version += c->done;
	}
	apply_dirty(a, blob);
	apply_report(a, blob);
	return c->done || c->unchanged ? unmark_in_place(a, blob) : 0;
}
