/* Sealing: what was written in place becomes a version again, in the background, once nobody can write it any more.
 *
 * Nobody can if no reference writes, and the kernel grants a lease on the head: it does not while a shared mapping lives on after its file
 * was closed (P1). The lease is given back at once; from then on whoever wants to write comes through the object's lock, and counts up
 * object.change, which sends the sealing back to its beginning.
 *
 * Order: nobody writes -> size and time are taken -> the head is synced (R1) -> its checksums are made from its bytes -> SEAL. A small blob goes
 * back into its record instead, with its bytes in the command; its head goes when the log has been synced, or a power cut would
 * find the mark and no head (and, while there is room, when programs have stopped making files). For the same reason the log is synced before a
 * tail is written into the head of one that was sealed lately: with the mark, the tail would count. The mark goes with the last command: until
 * then the head is what counts, whatever checksums are there. */
#include "objects/object.h"

#include <string.h>
#include "base/counter.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "caps/bigendian.h"

#define SEAL_DELAY_NS (400 * NS_PER_MS)      /* after the last writer: the same file is often opened again at once */
#define LEFTOVER_WAIT_NS NS_PER_SECOND       /* after a head was made, before others are removed */
#define LEFTOVER_BYTES_MAX (64ull << 20)     /* of heads that wait to be removed, each at least a block */
#define SEAL_BLOCKS_MAX 131072u              /* checksums in one command */
#define SEAL_GAP_MAX 1024u                   /* blocks of a hole that is cheaper written down than in a command of its own */
#define SEAL_LOCKED_MAX (1u << 20)           /* bytes: more are read without the object's lock */

COUNTER(sealed, "dios_objects_sealed_total", "Blobs that were written in place and sealed");

/* ---- a head's checksums -------------------------------------------------------------------------------------------- */

struct sealing {
	struct object *o;
	uint64_t change;                     /* of the object: as long as it is the same nobody has come to write */
	struct disk_stat stat;
	bool unlock;                         /* the disk is read without the object's lock */
	uint8_t *crcs, *present, *bytes;
	uint64_t block;                      /* the first that no command has covered */
	uint32_t count;                      /* checksums from there on */
};

static uint64_t blocks_of(uint64_t size) { return (size + BLOCK_SIZE - 1) / BLOCK_SIZE; }

static bool disturbed(const struct sealing *s) { return !s->o->record.in_place || s->o->pass_writers > 0 || s->o->change != s->change; }

static int relock(struct sealing *s)
{
	lock_acquire(&s->o->lock);
	int r = object_refresh(s->o);
	return r < 0 ? r : disturbed(s) ? -EAGAIN : 0;
}

static int propose(struct object *o, struct command_seal *seal)
{
	struct command c = { .kind = COMMAND_SEAL, .seal = *seal };
	struct result result;
	uint64_t counted = quota_commit_begin(o), blocks = o->record.blocks;
	int r = object_propose(o->os, o, &c, false, &result);
	quota_commit_end(o, counted, blocks, r == 0);
	return r;
}

/* What is known so far; the blocks from there up to `end` are a hole. */
static int flush(struct sealing *s, uint64_t end, bool done)
{
	struct command_seal seal = { .ino = s->o->ino, .size = s->stat.size, .mtime_ns = s->stat.mtime_ns, .block = s->block, .count = end - s->block,
		.crcs = { s->crcs, 4 * (size_t)s->count }, .present = { s->present, (s->count + 7) / 8 }, .done = done };
	int r = s->unlock ? relock(s) : 0;
	if (r == 0) r = propose(s->o, &seal);
	if (s->unlock) lock_release(&s->o->lock);
	s->block = end;
	s->count = 0;
	return r;
}

static int add_block(struct sealing *s, bool present, uint32_t crc)
{
	put_be32(s->crcs + 4 * (size_t)s->count, crc);
	if (s->count % 8 == 0) s->present[s->count / 8] = 0;
	if (present) s->present[s->count / 8] |= (uint8_t)(1u << (s->count % 8));
	s->count++;
	return s->count == SEAL_BLOCKS_MAX ? flush(s, s->block + s->count, false) : 0;
}

static int add_data(struct sealing *s, struct disk_file *file, uint64_t block, uint64_t end)
{
	uint32_t crcs[CRC_BLOCKS];
	int r = 0;
	if (block - s->block > s->count + SEAL_GAP_MAX) r = flush(s, block, false);
	while (r == 0 && s->block + s->count < block) r = add_block(s, false, 0);
	while (r == 0 && block < end) {
		size_t n = end - block < CRC_BLOCKS ? (size_t)(end - block) : CRC_BLOCKS;
		r = blob_crc_blocks(file, block, n, s->stat.size, crcs);
		for (size_t i = 0; r == 0 && i < n; i++) r = add_block(s, true, crcs[i]);
		block += n;
	}
	return r;
}

static int add_all(struct sealing *s, struct disk_file *file)
{
	uint64_t end = blocks_of(s->stat.size), block = 0, from, to;
	int r = 0;
	while (r == 0 && block < end) {
		r = disk_seek(file, block * BLOCK_SIZE, false, &from);
		if (r == -ENXIO) {
			r = 0;
			break;
		}
		if (r == 0) r = disk_seek(file, from, true, &to);
		if (r < 0) break;
		uint64_t first = from / BLOCK_SIZE > block ? from / BLOCK_SIZE : block;
		block = blocks_of(to) < end ? blocks_of(to) : end;
		r = add_data(s, file, first, block);
	}
	return r < 0 ? r : flush(s, end, true);
}

static int seal_blocks(struct sealing *s, struct disk_file *file)
{
	uint64_t most = blocks_of(s->stat.size) + SEAL_GAP_MAX + CRC_BLOCKS;
	if (most > SEAL_BLOCKS_MAX) most = SEAL_BLOCKS_MAX;
	s->crcs = malloc(most * 4);
	s->present = malloc(most / 8 + 1);
	int r = s->crcs && s->present ? 0 : -ENOMEM;
	if (r == 0) {
		if (s->unlock) lock_release(&s->o->lock);
		r = add_all(s, file);
		if (s->unlock) lock_acquire(&s->o->lock);
	}
	free(s->crcs);
	free(s->present);
	return r;
}

/* Nothing was written: mtime is what it was set to then. */
static bool is_unchanged(const struct sealing *s)
{
	return s->o->maybe_unchanged && s->stat.mtime_ns == s->o->sealed_mtime_ns;
}

static int seal_head(struct object *o)
{
	struct heads *heads = o->os->store->heads;
	struct sealing s = { .o = o, .change = o->change };
	struct head *head;
	int r = head_get(heads, o->ino, false, &head);
	if (r < 0) return r;
	r = disk_stat(head_file(head), &s.stat);
	if (r == 0 && is_unchanged(&s)) {
		r = propose(o, &(struct command_seal){ .ino = o->ino, .unchanged = true });
	} else if (r == 0) {
		s.unlock = s.stat.size > SEAL_LOCKED_MAX;
		r = in_place_sync(o);
		if (r == 0 && disturbed(&s)) r = -EAGAIN;
		if (r == 0) r = seal_blocks(&s, head_file(head));
		if (r == 0) r = object_refresh(o);
	}
	head_put(heads, head);
	if (r < 0) return r;
	o->head_clean = o->head_exact = true;
	o->sealed_at = atomic_load(&o->os->log_syncs) + 1;
	return 0;
}

/* ---- into the record ----------------------------------------------------------------------------------------------- */

static void leftover_set(struct object *o, uint64_t leftover)
{
	uint64_t bytes = o->record.size > BLOCK_SIZE ? o->record.size : BLOCK_SIZE;
	atomic_fetch_sub(&o->os->leftover_bytes, o->leftover_bytes);
	o->leftover = leftover;
	o->leftover_bytes = leftover != 0 ? bytes : 0;
	atomic_fetch_add(&o->os->leftover_bytes, o->leftover_bytes);
}

static int seal_inline(struct object *o)
{
	struct objects *os = o->os;
	size_t size = o->record.size;
	_cleanup_free_ uint8_t *content = calloc(1, size ? size : 1);
	int r = content ? in_place_read(o, 0, content, size) : -ENOMEM;
	if (r < 0) return r;
	r = propose(o, &(struct command_seal){ .ino = o->ino, .size = size, .mtime_ns = o->record.mtime_ns, .done = true, .to_inline = true, .content = { content, size } });
	if (r < 0) return r;
	/* After the command was applied: a sync that begins later has it. */
	leftover_set(o, atomic_load(&os->log_syncs) + 1);
	atomic_store(&os->newest_leftover, o->leftover);
	return 0;
}

int seal_before_tail(struct object *o)
{
	if (o->sealed_at <= atomic_load(&o->os->log_synced)) return 0;
	int r = cluster_sync(o->os->cluster);
	if (r == 0) o->sealed_at = 0;
	return r;
}

int seal_leftover(struct object *o)
{
	if (o->leftover == 0) return 0;
	int r = o->leftover <= atomic_load(&o->os->log_synced) ? 0 : cluster_sync(o->os->cluster);
	if (r == 0) leftover_set(o, 0);
	return r;
}

/* ---- one object ---------------------------------------------------------------------------------------------------- */

static int seal_unwritten(struct object *o)
{
	struct heads *heads = o->os->store->heads;
	bool small = o->record.size <= o->os->options.inline_max && o->passes == 0;
	int r = head_unused(heads, o->ino, small);
	if (r == -EAGAIN && small) {
		small = false;   /* somebody reads it, or has it mapped */
		r = head_unused(heads, o->ino, false);
	}
	bool missing = r == -ENOENT;
	if (missing) r = 0;
	if (r == 0) r = in_place_refresh(o);   /* now that it stands still */
	if (r < 0) return r;
	if (missing || (small && o->record.size <= o->os->options.inline_max)) return seal_inline(o);
	return seal_head(o);
}

int seal_try(struct object *o)
{
	if (!o->record.in_place) return 0;
	if (o->pass_writers > 0) return -EAGAIN;
	struct disk_stat told = o->told;
	int r = seal_unwritten(o);
	if (r < 0) return r;
	counter_add(&sealed, 1);
	o->headless = false;
	if (o->leftover == 0) unsealed_remove(o);
	/* A mapping's stores are not seen by the kernel's copy of the attributes. */
	bool known = told.mtime_ns == o->record.mtime_ns && told.size == o->record.size;
	if (told.mtime_ns != 0 && !known && o->os->options.invalidate) o->os->options.invalidate(o->os->options.invalidate_arg, o->ino, false);
	o->told = (struct disk_stat){ 0 };
	return 0;
}

/* ---- all of them --------------------------------------------------------------------------------------------------- */

/* Those that are due by now, each held; the caller's to drop and to free. */
static struct object **take_due(struct objects *os, int64_t now_ns, size_t *ret_count)
{
	LOCK_GUARD(&os->table_lock);
	*ret_count = 0;
	if (os->unsealed_count == 0) return NULL;
	struct object **taken = malloc(os->unsealed_count * sizeof(*taken));
	for (struct object *o = os->unsealed.unsealed_next; taken && o != &os->unsealed; o = o->unsealed_next) {
		if (o->unsealed_due_ns > now_ns) continue;
		o->holders++;
		taken[(*ret_count)++] = o;
	}
	return taken;
}

static void look_again(struct object *o, int64_t at_ns)
{
	LOCK_GUARD(&o->os->table_lock);
	o->unsealed_due_ns = at_ns;
}

static int tend_locked(struct object *o, bool now, bool sync_only)
{
	if (o->record.orphan) {
		if (o->opens == 0) unsealed_remove(o);
		return 0;
	}
	if (!o->record.in_place) {
		if (o->leftover == 0) unsealed_remove(o);
		return 0;
	}
	int r = -EAGAIN;
	bool idle = now || clock_boot_ns(o->os->clock) - o->idle_since_ns >= SEAL_DELAY_NS;
	if (!sync_only && idle) r = seal_try(o);
	return r == -EAGAIN && o->record.in_place ? in_place_sync(o) : r;
}

static int tend(struct object *o, bool now, bool sync_only)
{
	int r = object_lock(o);
	if (r < 0) return r == -ENOENT ? 0 : r;
	r = tend_locked(o, now, sync_only);
	if (r < 0 && r != -EAGAIN)
		log_warning("objects", "a blob that was written in place is not sealed ino=%llu error=%d: it is tried again", (unsigned long long)o->ino, -r);
	object_unlock(o);
	return r == -EAGAIN ? 0 : r;
}

void unsealed_run(struct objects *os, int64_t until_ns)
{
	int64_t now = clock_boot_ns(os->clock);
	size_t count;
	_cleanup_free_ struct object **due = take_due(os, now, &count);
	for (size_t i = 0; i < count; i++) {
		if (clock_boot_ns(os->clock) < until_ns) {
			look_again(due[i], now + UNSEALED_LOOK_NS);
			(void)tend(due[i], false, false);
		}
		object_drop(due[i]);
	}
}

int unsealed_sync(struct objects *os)
{
	int failed = 0;
	size_t count;
	_cleanup_free_ struct object **all = take_due(os, INT64_MAX, &count);
	for (size_t i = 0; i < count; i++) {
		int r = tend(all[i], false, true);
		if (r < 0) failed = r;
		object_drop(all[i]);
	}
	return failed;
}

/* ext4 without a journal passes over inodes that were freed lately, each time it looks for one: many files made and removed in turn take ten times
 * as long as first all made, then all removed. */
static bool leftovers_wait(struct objects *os)
{
	return clock_boot_ns(os->clock) - atomic_load(&os->head_made_ns) < LEFTOVER_WAIT_NS && atomic_load(&os->leftover_bytes) < LEFTOVER_BYTES_MAX
		&& store_has_room(os->store, PASS_ROOM);
}

void unsealed_remove_heads(struct objects *os, uint64_t log_syncs, bool all_of_them)
{
	size_t count;
	atomic_store(&os->log_synced, log_syncs);
	if (!all_of_them && leftovers_wait(os)) {
		atomic_store(&os->unsynced, true);   /* comes again */
		return;
	}
	_cleanup_free_ struct object **all = take_due(os, INT64_MAX, &count);
	for (size_t i = 0; i < count; i++) {
		struct object *o = all[i];
		lock_acquire(&o->lock);
		if (o->leftover != 0 && o->leftover <= log_syncs) {
			if (head_remove(os->store->heads, o->ino) == 0) leftover_set(o, 0);
			if (o->leftover == 0 && !o->record.in_place) unsealed_remove(o);
		}
		object_release(o);
	}
}

void unsealed_end(struct objects *os)
{
	size_t count;
	_cleanup_free_ struct object **all = take_due(os, INT64_MAX, &count);
	for (size_t i = 0; i < count; i++) {
		(void)tend(all[i], true, false);
		object_drop(all[i]);
	}
	uint64_t nth = atomic_fetch_add(&os->log_syncs, 1) + 1;
	if (cluster_sync(os->cluster) == 0) unsealed_remove_heads(os, nth, true);
}

static int load_one(void *arg, uint64_t ino)
{
	struct objects *os = arg;
	struct object *o;
	int r = object_acquire(os, ino, &o);   /* which puts it into the list */
	if (r < 0) return r == -ENOENT ? 0 : r;
	object_release(o);
	return 0;
}

int unsealed_load(struct objects *os) { return state_each_in_place(cluster_state(os->cluster, ROOT_INO), 0, load_one, os); }
