/* Making uncommitted bytes part of the object: one command for up to 1 MiB of rows, as many as it takes for more.
 *
 * Order, for every kind of commit: bytes on this disk, synced (R1) -> command -> what it superseded is given back.
 * A block that lies wholly in the tail (or whose rest is past the end) is described by its checksum; every other changed
 * block of a blob with a head travels as a row: its whole new content. The block that the committed size cuts is always a
 * row when bytes follow it, so that rows and tail never share a block. */
#include "objects/plan.h"

#include <assert.h>
#include <string.h>
#include "base/crc32c.h"
#include "base/log.h"

#define OBJECT_ROWS_MAX 1024u     /* 4 MiB */
#define SHARD_ROWS_MAX 16384u     /* 64 MiB */

/* ---- inline blobs ------------------------------------------------------------------------------------------------ */

static int commit_inline(struct object *o, bool durable)
{
	struct plan p;
	plan_init(&p, o);
	p.command.commit.taken_in = !o->publishing;
	_cleanup_free_ struct command_patch *patches = calloc(o->dirty.count ? o->dirty.count : 1, sizeof(*patches));
	_cleanup_free_ uint8_t *bytes = malloc(o->size_now ? o->size_now : 1);
	if (!patches || !bytes) return -ENOMEM;
	uint32_t count = 0;
	for (size_t i = 0; i < o->dirty.count; i++) {
		const struct extent *x = &o->dirty.items[i];
		int r = blob_read_locked(o, x->offset, bytes + x->offset, x->size);
		if (r < 0) return r;
		patches[count++] = (struct command_patch){ .offset = x->offset, .bytes = { bytes + x->offset, x->size } };
	}
	p.command.commit.patches = patches;
	p.command.commit.patch_count = count;
	return plan_propose(&p, o->size_now, o->stage_seq, durable);
}

/* ---- blobs with a head ------------------------------------------------------------------------------------------- */

/* The bytes of a block that count: up to the new size. */
size_t plan_block_used(uint64_t block, uint64_t size)
{
	uint64_t start = block * BLOCK_SIZE;
	return start >= size ? 0 : size - start < BLOCK_SIZE ? (size_t)(size - start) : BLOCK_SIZE;
}

static bool block_is_tail(const struct object *o, uint64_t block, uint64_t size)
{
	uint64_t start = block * BLOCK_SIZE;
	if (start < blob_tail_base(o)) return false;
	return extents_cover(&o->dirty, EXTENT_TAIL, start, plan_block_used(block, size));
}

/* The end of the run of tail blocks that begins at block. */
static uint64_t tail_run_end(const struct object *o, uint64_t block, uint64_t size, uint64_t limit)
{
	const struct extent *x = extents_find(&o->dirty, block * BLOCK_SIZE);
	uint64_t end = x->offset + x->size;
	uint64_t last = end >= size ? (size + BLOCK_SIZE - 1) / BLOCK_SIZE : end / BLOCK_SIZE;
	return last <= block ? block + 1 : last < limit ? last : limit;
}

/* Plans the block, or the run of tail blocks that begins with it; *ret_next is the block after. */
static int plan_block(struct plan *p, struct disk_file *file, uint64_t block, uint64_t size, uint64_t *ret_next)
{
	struct object *o = p->o;
	size_t used = plan_block_used(block, size);
	*ret_next = block + 1;
	if (used == 0) return 0;
	if (block_is_tail(o, block, size)) {
		uint64_t first = p->tail_count ? p->tail_block : block;
		*ret_next = tail_run_end(o, block, size, first + PLAN_TAIL_BLOCKS_MAX);
		return plan_add_tail_run(p, file, block, *ret_next, size);
	}
	uint8_t *bytes = malloc(used);
	if (!bytes) return -ENOMEM;
	int r = blob_read_locked(o, block * BLOCK_SIZE, bytes, used);
	if (r < 0) {
		free(bytes);
		return r;
	}
	return plan_add_row(p, block, bytes, used);
}

/* The first block at or after `block` that changed; UINT64_MAX: none. */
static uint64_t next_changed_block(const struct object *o, uint64_t block)
{
	const struct extent *x = extents_find(&o->dirty, block * BLOCK_SIZE);
	if (!x) return UINT64_MAX;
	return x->offset / BLOCK_SIZE > block ? x->offset / BLOCK_SIZE : block;
}

/* Of a blob with a head, as committed. Zeros are not written into a hole, which reads as zeros whatever the head holds there: they would take room. */
int blob_is_hole(struct object *o, uint64_t block, bool *ret_hole)
{
	struct state_crcs crcs;
	unsigned i = block % CRC_BLOCKS;
	int r = state_get_crcs(cluster_state(o->os->cluster, o->ino), o->ino, block / CRC_BLOCKS, &crcs);
	if (r < 0 && r != -ENOENT) return r;
	*ret_hole = r < 0 || !(crcs.present[i / 8] >> (i % 8) & 1);
	return 0;
}

/* The block that the old size cuts, if the blob grows past it and it is not dirty itself: what the head holds past the old size has
 * never been part of the blob. */
static bool cut_is_due(struct object *o)
{
	uint64_t cut = o->record.size / BLOCK_SIZE;
	bool hole = false;
	if (o->record.place != PLACE_HEAD || o->size_now <= o->record.size || o->record.size % BLOCK_SIZE == 0 || next_changed_block(o, cut) == cut) return false;
	return blob_is_hole(o, cut, &hole) < 0 || !hole;
}

/* Rows are bounded: past that a commit waits until the head has taken them. */
static int rows_wait(struct object *o)
{
	bool many = o->record.rows >= OBJECT_ROWS_MAX || state_row_count(cluster_state(o->os->cluster, o->ino)) >= SHARD_ROWS_MAX;
	return many && o->record.rows > 0 ? blob_absorb(o) : 0;
}

static int commit_blocks(struct plan *p, struct disk_file *file, bool durable)
{
	struct object *o = p->o;
	uint64_t size = o->size_now, cut = o->record.size / BLOCK_SIZE, ignored;
	bool cut_due = cut_is_due(o);
	for (uint64_t block = next_changed_block(o, o->committed_blocks), next; block != UINT64_MAX; block = next_changed_block(o, next)) {
		/* In its turn, so that a command that goes before it does not have to reach it. */
		if (cut_due && block > cut) {
			int r = plan_block(p, file, cut, size, &ignored);
			if (r < 0) return r;
			cut_due = false;
		}
		/* Full: what is planned so far goes first. The size grows with the last command only, except that the size must cover
		 * the blocks that a command brings. */
		bool tail_far = p->tail_count > 0 && block - p->tail_block >= PLAN_TAIL_BLOCKS_MAX;
		if (p->row_bytes + BLOCK_SIZE > ROW_BYTES_MAX || tail_far) {
			uint64_t reach = block * BLOCK_SIZE;
			int r = plan_propose(p, reach > o->record.size ? reach : o->record.size, 0, false);
			o->unknown_blocks = block;
			if (r < 0) return r;
			o->committed_blocks = block;
			r = rows_wait(o);
			if (r < 0) return r;
		}
		int r = plan_block(p, file, block, size, &next);
		if (r < 0) return r;
	}
	if (cut_due) {
		int r = plan_block(p, file, cut, size, &ignored);
		if (r < 0) return r;
	}
	return plan_propose(p, size, o->stage_seq, durable);
}

static int commit_head(struct object *o, bool durable)
{
	struct plan p;
	plan_init(&p, o);
	p.command.commit.taken_in = !o->publishing;
	struct heads *heads = o->os->store->heads;
	struct head *head = NULL;
	int r = 0;
	if (o->tail_bytes > 0 || o->moving) {
		r = blob_learn_tail(o);
		if (r == 0) r = head_get(heads, o->ino, true, &head);
		if (r == 0 && o->tail_synced != o->tail_writes) r = blob_sync_head(o, head);
		if (r == 0) o->tail_synced = o->tail_writes;
	}
	if (r == 0) r = rows_wait(o);
	if (r == 0) r = commit_blocks(&p, head ? head_file(head) : NULL, durable);
	if (head) head_put(heads, head);
	plan_done(&p);
	return r;
}

/* The tail's blocks start past the committed size, so a moving blob whose committed size has grown by a first command is not moving any more;
 * commit_blocks sends to_head once because the record says PLACE_HEAD from then on. */
int blob_commit(struct object *o, bool durable)
{
	if (!o->is_dirty) return 0;
	int r = 0;
	if (o->record.place == PLACE_INLINE && !o->moving && o->size_now > o->os->options.inline_max) r = blob_move_to_head(o);
	if (r == 0) r = o->moving || o->record.place == PLACE_HEAD ? commit_head(o, durable) : commit_inline(o, durable);
	if (r < 0) return r;
	blob_dirty_clear(o);
	return 0;
}

/* ---- changes of shape -------------------------------------------------------------------------------------------- */

/* The block that an end cuts, with zeros behind it. */
static int plan_cut(struct plan *p, uint64_t edge)
{
	struct object *o = p->o;
	size_t used = edge % BLOCK_SIZE;
	bool hole = false;
	int r = blob_is_hole(o, edge / BLOCK_SIZE, &hole);
	if (r < 0 || hole) return r;
	uint8_t *bytes = malloc(used);
	r = bytes ? blob_read_committed(o, edge - used, bytes, used) : -ENOMEM;
	if (r == 0) return plan_add_row(p, edge / BLOCK_SIZE, bytes, used);
	free(bytes);
	return r;
}

int blob_resize(struct object *o, uint64_t size)
{
	if (size > BLOB_SIZE_MAX) return -EFBIG;
	int r = in_place_enter(o);
	if (r < 0) return r;
	if (o->record.in_place) return in_place_resize(o, size);
	r = blob_commit(o, false);
	if (r < 0) return r;
	blob_dirty_begin(o);
	uint64_t old = o->record.size;
	o->mtime_now_ns = clock_wall_ns(o->os->clock);
	o->change++;
	o->changed = true;
	if (o->record.place == PLACE_INLINE && size > o->os->options.inline_max) {
		o->publishing = true;
		r = blob_move_to_head(o);
		o->size_now = size;
		if (r == 0) r = blob_commit(o, false);
		if (r < 0) blob_dirty_clear(o);
		return r;
	}
	struct plan p;
	plan_init(&p, o);
	uint64_t edge = size < old ? size : old;
	/* The block that an end cuts is written anew, so that nothing comes back that was cut or never part of the blob. */
	if (o->record.place == PLACE_HEAD && edge % BLOCK_SIZE != 0 && size != old) r = plan_cut(&p, edge);
	if (r == 0) r = plan_propose(&p, size, o->stage_seq, false);
	plan_done(&p);
	blob_dirty_clear(o);
	return r;
}

static int zero_row(struct plan *p, uint64_t offset, uint64_t size, uint64_t blob_size)
{
	uint64_t block = offset / BLOCK_SIZE;
	size_t used = plan_block_used(block, blob_size);
	bool hole = false;
	int r = blob_is_hole(p->o, block, &hole);
	if (r < 0 || hole) return r;
	uint8_t *bytes = calloc(1, BLOCK_SIZE);
	if (!bytes) return -ENOMEM;
	r = blob_read_committed(p->o, block * BLOCK_SIZE, bytes, used);
	if (r < 0) {
		free(bytes);
		return r;
	}
	memset(bytes + offset % BLOCK_SIZE, 0, size);
	return plan_add_row(p, block, bytes, used);
}

static int zero_head(struct object *o, struct plan *p, uint64_t offset, uint64_t end, uint64_t size)
{
	uint64_t first = (offset + BLOCK_SIZE - 1) / BLOCK_SIZE, last = end == size ? (end + BLOCK_SIZE - 1) / BLOCK_SIZE : end / BLOCK_SIZE;
	int r = 0;
	if (first > last || (first == last && offset / BLOCK_SIZE == (end - 1) / BLOCK_SIZE)) {
		r = zero_row(p, offset, end - offset, size);
		return r < 0 ? r : plan_propose(p, size, o->stage_seq, false);
	}
	if (offset % BLOCK_SIZE != 0) r = zero_row(p, offset, first * BLOCK_SIZE - offset, size);
	if (r == 0 && last * BLOCK_SIZE < end) r = zero_row(p, last * BLOCK_SIZE, end - last * BLOCK_SIZE, size);
	if (r < 0) return r;
	struct command_range hole = { .block = first, .count = last - first };
	p->command.commit.holes = &hole;
	p->command.commit.hole_count = hole.count > 0;
	return plan_propose(p, size, o->stage_seq, false);
}

static int zero_inline(struct plan *p, uint64_t offset, uint64_t end, uint64_t size)
{
	_cleanup_free_ uint8_t *zeros = calloc(1, end - offset);
	if (!zeros) return -ENOMEM;
	struct command_patch patch = { .offset = offset, .bytes = { zeros, end - offset } };
	p->command.commit.patches = &patch;
	p->command.commit.patch_count = 1;
	return plan_propose(p, size, p->o->stage_seq, false);
}

int blob_zero(struct object *o, uint64_t offset, uint64_t size, bool keep_size)
{
	if (size == 0) return -EINVAL;
	if (offset > BLOB_SIZE_MAX || size > BLOB_SIZE_MAX - offset) return -EFBIG;
	if (!keep_size && offset + size > blob_size_now(o)) {
		int r = blob_resize(o, offset + size);
		if (r < 0) return r;
	}
	int r = blob_commit(o, false);
	if (r < 0) return r;
	uint64_t end = offset + size < o->record.size ? offset + size : o->record.size;
	if (offset >= end) return 0;
	blob_dirty_begin(o);
	o->mtime_now_ns = clock_wall_ns(o->os->clock);
	o->change++;
	o->changed = true;
	struct plan p;
	plan_init(&p, o);
	r = o->record.place == PLACE_INLINE ? zero_inline(&p, offset, end, o->record.size) : zero_head(o, &p, offset, end, o->record.size);
	plan_done(&p);
	blob_dirty_clear(o);
	return r;
}
