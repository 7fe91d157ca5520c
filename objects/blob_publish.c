/* commit_write: one change, one command, all or nothing, whatever its size. Few bytes travel as rows; many go to this disk first:
 * into the tail what lies past the committed size, into a side file what overwrites. */
#include "objects/plan.h"

#include <string.h>
#include "base/crc32c.h"
#include "base/fault.h"
#include "base/log.h"
#include "cluster/redo.h"

#define PUBLISH_MAX (256u << 20)   /* bytes: rows by reference and checksums of one command stay within COMMAND_MAX */

struct publication { struct object *o; uint64_t offset, end, size; const uint8_t *data; };

/* A block's new content: the committed one under the published bytes. */
static int publish_block(const struct publication *p, uint64_t block, uint8_t *bytes, size_t *ret_used)
{
	uint64_t start = block * BLOCK_SIZE;
	size_t used = plan_block_used(block, p->size);
	uint64_t from = p->offset > start ? p->offset : start, to = p->end < start + used ? p->end : start + used;
	if (from > start || to < start + used) {
		int r = blob_read_committed(p->o, start, bytes, used);
		if (r < 0) return r;
	}
	if (from < to) memcpy(bytes + (from - start), p->data + (from - p->offset), to - from);
	*ret_used = used;
	return 0;
}

static int publish_rows(struct plan *plan, const struct publication *p, uint64_t first, uint64_t last)
{
	for (uint64_t block = first; block <= last; block++) {
		uint8_t *bytes = malloc(BLOCK_SIZE);
		size_t used;
		int r = bytes ? publish_block(p, block, bytes, &used) : -ENOMEM;
		if (r < 0) {
			free(bytes);
			return r;
		}
		r = plan_add_row(plan, block, bytes, used);
		if (r < 0) return r;
	}
	return 0;
}

static int publish_side(struct plan *plan, const struct publication *p, uint64_t first, uint64_t last)
{
	struct objects *os = p->o->os;
	uint64_t side = random_u64(cluster_random(os->cluster)) | 1;
	atomic_store(&os->sides_wanted, true);
	for (uint64_t block = first; block <= last; block++) {
		uint8_t bytes[BLOCK_SIZE];
		size_t used;
		int r = publish_block(p, block, bytes, &used);
		uint64_t at = (block - first) * BLOCK_SIZE;
		if (r == 0) r = side_write(os->store->heads, side, bytes, used, at);
		if (r == 0) r = plan_add_side_row(plan, block, side, at, (uint32_t)used, crc32c(0, bytes, used));
		if (r < 0) {
			side_remove(os->store->heads, side);
			return r;
		}
	}
	return side_sync(os->store->heads, side);
}

/* Blocks that lie wholly past the committed size, straight into the head. */
static int publish_tail(struct plan *plan, const struct publication *p, uint64_t first, uint64_t last)
{
	struct object *o = p->o;
	uint64_t from = first * BLOCK_SIZE > p->offset ? first * BLOCK_SIZE : p->offset;
	int r = blob_write_tail(o, from, p->data + (from - p->offset), p->end - from);
	if (r < 0) return r;
	struct heads *heads = o->os->store->heads;
	struct head *head;
	r = head_get(heads, o->ino, true, &head);
	if (r < 0) return r;
	r = blob_sync_head(o, head);
	if (r == 0) r = plan_add_tail_run(plan, head_file(head), first, last + 1, p->size);
	head_put(heads, head);
	return r;
}

/* The block that an end cuts, with zeros behind it. */
static int publish_cut(struct plan *plan, const struct publication *p, uint64_t block)
{
	bool hole;
	int r = blob_is_hole(p->o, block, &hole);
	return r < 0 || hole ? r : publish_rows(plan, p, block, block);
}

static int publish_head(struct plan *plan, const struct publication *p)
{
	struct object *o = p->o;
	uint64_t first = p->offset / BLOCK_SIZE, last = (p->end - 1) / BLOCK_SIZE, old = o->record.size;
	uint64_t cut = old / BLOCK_SIZE;
	if (old % BLOCK_SIZE != 0 && p->size > old && first > cut) {
		int r = publish_cut(plan, p, cut);
		if (r < 0) return r;
	}
	if ((last - first + 1) * BLOCK_SIZE <= o->os->options.rows_max_bytes) return publish_rows(plan, p, first, last);
	/* A tail block starts past the committed size and at the published bytes' own start or later. */
	uint64_t tail = (old + BLOCK_SIZE - 1) / BLOCK_SIZE, aligned = (p->offset + BLOCK_SIZE - 1) / BLOCK_SIZE;
	if (tail < aligned) tail = aligned;
	if (o->passes > 0) tail = last + 1;   /* nobody may read it before it is part of the blob */
	bool whole_last = p->end == p->size || p->end % BLOCK_SIZE == 0;
	int r = 0;
	if (tail > first) r = publish_side(plan, p, first, tail - 1 < last ? tail - 1 : last);
	if (r == 0 && tail <= last && whole_last) r = publish_tail(plan, p, tail, last);
	else if (r == 0 && tail <= last) r = publish_side(plan, p, tail, last);
	return r;
}

/* Only the size changes: the block that the smaller one lies in is not the same any more. */
static int publish_end(struct plan *plan, const struct publication *p)
{
	uint64_t old = p->o->record.size, edge = p->size < old ? p->size : old;
	if (p->size == old || edge % BLOCK_SIZE == 0) return 0;
	return publish_cut(plan, p, edge / BLOCK_SIZE);
}

static int publish_inline(struct plan *plan, const struct publication *p, struct command_patch *patch)
{
	*patch = (struct command_patch){ .offset = p->offset, .bytes = { p->data, p->end - p->offset } };
	plan->command.commit.patches = patch;
	plan->command.commit.patch_count = 1;
	return 0;
}

/* An inline blob outgrows its place: what it had travels as rows, and the rest is written into a head that nothing refers to before the
 * command. */
static int publish_moving(struct plan *plan, const struct publication *p)
{
	struct object *o = p->o;
	uint64_t old_blocks = (o->record.size + BLOCK_SIZE - 1) / BLOCK_SIZE;
	int r = blob_head_reset(o);
	if (r < 0) return r;
	o->moving = true;
	if (old_blocks > 0) r = publish_rows(plan, p, 0, old_blocks - 1);
	if (r < 0 || p->end == p->offset) return r;
	uint64_t first = p->offset / BLOCK_SIZE, last = (p->end - 1) / BLOCK_SIZE;
	if (first < old_blocks) first = old_blocks;
	return first <= last ? publish_tail(plan, p, first, last) : 0;
}

/* Nothing of a publication that was refused stays on the disk. One whose outcome is not known may be part of the object. */
static void publish_undo(struct object *o)
{
	struct heads *heads = o->os->store->heads;
	struct head *head;
	if (o->record.place == PLACE_INLINE) {
		head_remove(heads, o->ino);
	} else if (o->tail_bytes > 0 && head_get(heads, o->ino, false, &head) == 0) {
		(void)disk_truncate(head_file(head), o->record.size);
		head_put(heads, head);
	}
}

static int publish_content(struct plan *plan, const struct publication *p, struct command_patch *patch)
{
	struct object *o = p->o;
	bool bytes = p->end > p->offset;
	if (o->record.place == PLACE_HEAD) return bytes ? publish_head(plan, p) : publish_end(plan, p);
	if (p->size > o->os->options.inline_max) return publish_moving(plan, p);
	return bytes ? publish_inline(plan, p, patch) : 0;
}

int blob_publish(struct object *o, bool check, uint64_t base_version, uint32_t flags, uint64_t offset, const void *data, size_t size, bool durable)
{
	if (size > PUBLISH_MAX) return -EMSGSIZE;
	int r = seal_try(o);
	if (r == 0) r = blob_commit(o, false);
	if (r < 0) return r == -EAGAIN ? -EBUSY : r;
	if (check && o->record.version != base_version) return -ESTALE;
	if (flags & COMMIT_APPEND) offset = o->record.size;
	if (offset > BLOB_SIZE_MAX || size > BLOB_SIZE_MAX - offset) return -EFBIG;
	/* Each block that is overwritten is a row, and the one that the old end cuts. */
	uint64_t over = offset + size < o->record.size ? offset + size : o->record.size;
	if (over > offset && (over - 1) / BLOCK_SIZE - offset / BLOCK_SIZE + 2 > COMMAND_ROWS_MAX) return -EMSGSIZE;
	if (!store_has_room(o->os->store, size)) return -ENOSPC;
	struct publication p = { .o = o, .offset = offset, .end = offset + size, .data = data };
	/* What is cut off may make room: that is for apply to see. */
	r = flags & COMMIT_TRUNCATE ? 0 : quota_admit_publication(o, offset, size);
	if (r < 0) return r;
	/* No bytes make a blob no longer, wherever they are said to go. */
	p.size = (flags & COMMIT_TRUNCATE) || (size > 0 && p.end > o->record.size) ? p.end : o->record.size;
	blob_dirty_begin(o);
	o->publishing = true;
	atomic_fetch_add(&o->os->publishing, 1);
	o->mtime_now_ns = clock_wall_ns(o->os->clock);
	o->change++;
	o->changed = true;
	struct plan plan;
	plan_init(&plan, o);
	plan.command.counts = true;
	plan.command.commit.check_version = check;
	plan.command.commit.base_version = base_version;
	struct command_patch patch;
	r = publish_content(&plan, &p, &patch);
	bool proposed = r == 0;
	if (r == 0) r = plan_propose(&plan, p.size, o->stage_seq, durable);
	if (r < 0 && !(proposed && r == -EIO)) publish_undo(o);
	plan_done(&plan);
	blob_dirty_clear(o);
	atomic_fetch_sub(&o->os->publishing, 1);
	if (r == 0 && o->passes > 0 && (blob_absorb(o) < 0 || head_verify(o, false) < 0))   /* who reads past us reads the head */
		log_warning("objects", "a new version is not in the head yet ino=%llu: readers see it within a second", (unsigned long long)o->ino);
	return r;
}

/* ---- clone ------------------------------------------------------------------------------------------------------- */

static int clone_inline(struct object *from, struct object *to)
{
	uint64_t size = from->record.size;
	_cleanup_free_ uint8_t *content = malloc(size ? size : 1);
	if (!content) return -ENOMEM;
	int r = blob_read_committed(from, 0, content, size);
	return r < 0 ? r : blob_publish(to, false, 0, COMMIT_TRUNCATE, 0, content, size, false);
}

/* From the end of what has been made of it: an earlier daemon may have died between two of these commands. */
static int clone_checksums(struct object *from, struct plan *plan)
{
	uint64_t blocks = (from->record.size + BLOCK_SIZE - 1) / BLOCK_SIZE;
	for (uint64_t mib = plan->o->record.size / (CRC_BLOCKS * BLOCK_SIZE);; mib++) {
		struct state_crcs crcs;
		int r = state_find_crcs(cluster_state(from->os->cluster, from->ino), from->ino, mib, &mib, &crcs);
		if (r == -ENOENT || (r == 0 && mib * CRC_BLOCKS >= blocks)) break;
		if (r < 0) return r;
		if (plan->tail_count > 0 && mib * CRC_BLOCKS - plan->tail_block >= PLAN_TAIL_BLOCKS_MAX) {
			r = plan_propose(plan, mib * CRC_BLOCKS * BLOCK_SIZE, 0, false);
			if (r < 0) return r;
			fault_point("clone.part");
		}
		for (unsigned i = 0; i < CRC_BLOCKS && mib * CRC_BLOCKS + i < blocks; i++) {
			if (!(crcs.present[i / 8] >> (i % 8) & 1)) continue;
			r = plan_add_tail(plan, mib * CRC_BLOCKS + i, true, crcs.crc[i]);
			if (r < 0) return r;
		}
	}
	plan->command.counts = true;
	return plan_propose(plan, from->record.size, 0, false);
}

/* The head of one that is made in part has all bytes, as those were synced before. */
static bool clone_has_bytes(struct object *to, struct head *source, struct head *target)
{
	uint64_t have, want;
	return to->record.size > 0 && disk_size(head_file(target), &have) == 0 && disk_size(head_file(source), &want) == 0 && have == want;
}

static int clone_head(struct object *from, struct object *to)
{
	struct heads *heads = from->os->store->heads;
	int r = blob_absorb(from);
	if (r < 0) return r;
	struct head *source = NULL, *target = NULL;
	r = head_get(heads, from->ino, false, &source);
	if (r < 0 && r != -ENOENT) return r;
	r = seal_leftover(to);
	if (r == 0) r = head_get(heads, to->ino, true, &target);
	if (r == 0 && source && !clone_has_bytes(to, source, target)) r = disk_clone(head_file(source), head_file(target));
	if (r == 0) r = head_sync(heads, target);
	if (source) head_put(heads, source);
	if (target) head_put(heads, target);
	if (r < 0 && to->record.size == 0) {
		head_remove(heads, to->ino);   /* nothing refers to it, and it is not to be believed */
	}
	if (r < 0) return r;
	struct plan plan;
	plan_init(&plan, to);
	plan.command.commit.taken_in = true;   /* all of it, also where it takes more than one command: there was room at its beginning */
	blob_dirty_begin(to);
	to->mtime_now_ns = clock_wall_ns(to->os->clock);
	to->moving = true;
	to->changed = true;
	to->change++;
	r = clone_checksums(from, &plan);
	plan_done(&plan);
	blob_dirty_clear(to);
	return r;
}

int blob_clone(struct object *from, struct object *to)
{
	uint64_t begun = CLONE_NOT_BEGUN, none;
	int r = blob_commit(from, false);
	if (r < 0) return r;
	(void)redo_take_place(&begun, &none);
	if (begun == CLONE_NOT_BEGUN && !quota_has_room(from->os, from->record.blocks * 512)) return -EDQUOT;
	if (begun == CLONE_MARKED && (to->record.in_place || to->record.size > 0)) return 0;
	if (begun == CLONE_NOT_BEGUN) redo_put_place(to->record.in_place ? CLONE_IN_PLACE : CLONE_INTO_EMPTY, 0);
	if (from->record.in_place || to->record.in_place) return in_place_clone(from, to);
	bool half_made = begun == CLONE_INTO_EMPTY && to->record.place == PLACE_HEAD && from->record.place == PLACE_HEAD && !to->is_dirty;
	if (!half_made && (to->record.size != 0 || to->record.place != PLACE_INLINE || to->is_dirty)) return -EINVAL;
	return from->record.place == PLACE_INLINE ? clone_inline(from, to) : clone_head(from, to);
}
