/* A head whose sync failed (R6). The kernel has forgotten which of its pages were not written, so nothing that was written since the last good
 * sync is believed:
 *   - rows are still in the state: absorbing writes them again, and then reads them back (object.verify_rows);
 *   - the uncommitted tail is in the cache at best: each block that still has the checksum with which it was handed over is written
 *     again, synced, and read back around the cache; one that has not is void, reads as zeros, and is reported like the failed sync.
 * Committed blocks without a row were synced before the command that made them so; each read checks them.
 *
 * The failed sync itself is reported to whoever asked for it, and once to each handle that was open; what was repaired commits
 * the next time. */
#include "objects/object.h"

#include <string.h>
#include "base/condition.h"
#include "base/counter.h"
#include "base/crc32c.h"
#include "base/log.h"

#define PIECE_BLOCKS 256u    /* written, synced and read back at a time: the bytes stay in memory until the disk is seen to have them */

COUNTER(sync_failures, "dios_head_sync_failures_total", "Syncs of a head that failed");
COUNTER(blocks_void, "dios_void_blocks_total", "Uncommitted blocks lost by failed syncs");

struct repair { struct object *o; struct head *head; uint8_t *bytes, *back; };

/* What the block's part of the tail holds is lost: it reads as zeros, and what comes later goes over it. */
static int part_void(struct object *o, const struct tail_part *part, const uint8_t *there)
{
	uint64_t end = part->offset + part->size;
	counter_add(&blocks_void, 1);
	log_error("objects", "uncommitted bytes are lost by a failed sync ino=%llu offset=%llu size=%zu: fsync and close report it", (unsigned long long)o->ino,
		(unsigned long long)part->offset, part->size);
	o->sync_errors++;
	*part->crc = crc32c(0, there, part->size);
	for (uint64_t at = part->offset; at < end;) {
		const struct extent *x = extents_find(&o->dirty, at);
		if (!x || x->offset >= end) break;
		uint64_t from = x->offset > at ? x->offset : at, to = x->offset + x->size < end ? x->offset + x->size : end;
		if (x->kind == EXTENT_TAIL) {
			int r = o->publishing ? 0 : blob_note(o, STAGE_HOLE, from, to - from);   /* of a publication nothing is to stay */
			if (r == 0) r = extents_put(&o->dirty, EXTENT_HOLE, from, to - from, (struct stage_place){ 0 });
			if (r < 0) return r;
		}
		at = to;
	}
	return 0;
}

/* `size` bytes of the head from block `block` on, which begin or end a run's bytes at most. */
static int repair_piece(struct repair *rp, const struct tail_run *run, uint64_t block, size_t size)
{
	struct disk_file *file = head_file(rp->head);
	uint64_t start = block * BLOCK_SIZE;
	ssize_t got = disk_pread(file, rp->bytes, size, start);
	if (got < 0) return (int)got;
	memset(rp->bytes + got, 0, size - (size_t)got);
	for (uint64_t b = block; b * BLOCK_SIZE < start + size; b++) {
		struct tail_part part = tail_run_part(run, b);
		const uint8_t *there = rp->bytes + (part.offset - start);
		int r = crc32c(0, there, part.size) == *part.crc ? 0 : part_void(rp->o, &part, there);
		if (r < 0) return r;
	}
	int r = disk_pwrite(file, rp->bytes, size, start);
	if (r == 0) r = disk_sync(file);
	if (r == 0) r = disk_drop_cache(file, start, size);
	if (r < 0) return r;
	got = disk_pread(file, rp->back, size, start);
	if (got == (ssize_t)size && memcmp(rp->bytes, rp->back, size) == 0) return 0;
	(void)disk_pwrite(file, rp->bytes, size, start);   /* for the next attempt */
	return got < 0 ? (int)got : -EIO;
}

/* Below the committed size the first commands of a commit have made the tail's bytes part of the blob. */
static int repair_run(struct repair *rp, const struct tail_run *run)
{
	uint64_t base = blob_tail_base(rp->o), end = run->offset + run->size;
	for (uint64_t block = (run->offset > base ? run->offset : base) / BLOCK_SIZE; block * BLOCK_SIZE < end; block += PIECE_BLOCKS) {
		uint64_t left = end - block * BLOCK_SIZE;
		int r = repair_piece(rp, run, block, left < PIECE_BLOCKS * BLOCK_SIZE ? (size_t)left : PIECE_BLOCKS * BLOCK_SIZE);
		if (r < 0) return r;
	}
	return 0;
}

/* The size is as doubtful as the bytes, and a size that does not change is not written. */
static int repair_size(struct disk_file *file)
{
	uint64_t size;
	int r = disk_size(file, &size);
	if (r == 0) r = disk_truncate(file, size + 1);
	if (r == 0) r = disk_truncate(file, size);
	return r < 0 ? r : disk_sync(file);
}

static int repair(struct object *o, struct head *head)
{
	struct repair rp = { .o = o, .head = head, .bytes = malloc(PIECE_BLOCKS * BLOCK_SIZE), .back = malloc(PIECE_BLOCKS * BLOCK_SIZE) };
	int r = rp.bytes && rp.back ? repair_size(head_file(head)) : -ENOMEM;
	for (size_t i = 0; r == 0 && i < o->tail.count; i++) r = repair_run(&rp, &o->tail.runs[i]);
	free(rp.bytes);
	free(rp.back);
	if (r < 0) return r;
	head_trust(o->os->store->heads, head);
	return head_sync(o->os->store->heads, head);
}

void blob_count_failed_sync(struct object *o, int error)
{
	counter_add(&sync_failures, 1);
	if (error != -ENOSPC && error != -EDQUOT && error != -EROFS)   /* of these other conditions tell */
		condition_raise(CONDITION_DISK_FAILING, "the bytes of inode %llu could not be synced: %s", (unsigned long long)o->ino, strerror(-error));
	o->sync_errors++;
}

/* Right away: what is in the cache may not be there for long. */
static void sync_failed(struct object *o, struct head *head, int error)
{
	log_error("objects", "sync of a head failed ino=%llu error=%d: what was not committed is written again", (unsigned long long)o->ino, -error);
	blob_count_failed_sync(o, error);
	o->verify_rows = true;
	if (repair(o, head) < 0) log_error("objects", "a head could not be repaired ino=%llu: it is tried again", (unsigned long long)o->ino);
}

int blob_sync_head(struct object *o, struct head *head)
{
	struct heads *heads = o->os->store->heads;
	if (head_doubtful(heads, head)) {
		int r = repair(o, head);
		if (r == 0) log_notice("objects", "a head is repaired after a failed sync ino=%llu", (unsigned long long)o->ino);
		return r;
	}
	int r = head_sync(heads, head);
	if (r < 0) sync_failed(o, head, r);
	return r;
}

int blob_sync_head_unlocked(struct object *o, struct head *head)
{
	struct heads *heads = o->os->store->heads;
	bool doubtful = head_doubtful(heads, head);
	lock_release(&o->lock);
	int r = head_sync(heads, head);
	lock_acquire(&o->lock);
	int e = object_refresh(o);
	if (r < 0 && !doubtful) sync_failed(o, head, r);
	return r < 0 ? r : e;
}

void blob_presync(struct object *o)
{
	struct heads *heads = o->os->store->heads;
	struct head *head;
	LOCK_GUARD(&o->lock);
	uint64_t writes = o->tail_writes;
	if (o->tail_bytes == 0 || o->tail_synced == writes || head_get(heads, o->ino, false, &head) < 0) return;
	if (!head_doubtful(heads, head) && blob_sync_head_unlocked(o, head) == 0) o->tail_synced = writes;
	head_put(heads, head);
}

/* After a start only the ranges are known. What the cache has now is what they hold. */
int blob_learn_tail(struct object *o)
{
	if (!o->tail_unknown) return 0;
	struct head *head;
	_cleanup_free_ uint8_t *bytes = malloc(PIECE_BLOCKS * BLOCK_SIZE);
	if (!bytes) return -ENOMEM;
	int r = head_get(o->os->store->heads, o->ino, false, &head);
	if (r < 0) return r == -ENOENT ? -EIO : r;
	tail_clear(&o->tail);
	for (size_t i = 0; r == 0 && i < o->dirty.count; i++) {
		const struct extent *x = &o->dirty.items[i];
		for (uint64_t at = 0; r == 0 && x->kind == EXTENT_TAIL && at < x->size;) {
			size_t size = x->size - at < PIECE_BLOCKS * BLOCK_SIZE ? (size_t)(x->size - at) : PIECE_BLOCKS * BLOCK_SIZE;
			ssize_t got = disk_pread(head_file(head), bytes, size, x->offset + at);
			r = got < 0 ? (int)got : (size_t)got < size ? -EIO : tail_put(&o->tail, x->offset + at, bytes, size);
			at += size;
		}
	}
	head_put(o->os->store->heads, head);
	if (r == 0) o->tail_unknown = false;
	return r;
}
