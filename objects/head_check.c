/* Before the kernel reads a sealed head past us: its blocks are checked once after a start, and what it holds that is not the blob's (tails that never
 * became part of it, under what is a hole now) is taken away.
 *
 * A damaged one is served through the daemon, which knows which of its blocks are bad; it is not written in place either, or its bad bytes would
 * be sealed as good ones. Large ones are checked in the background for readers. */
#include "objects/object.h"

#include <string.h>
#include "base/counter.h"
#include "base/log.h"

#define READ_AT_ONCE (64ull << 20)    /* bytes that the opening of a reader waits for */
#define WRITE_AT_ONCE (1ull << 30)    /* of a writer: what is not checked by then will be sealed as it is */

COUNTER(heads_bad, "dios_heads_damaged_total", "Heads found damaged when they were checked before the kernel reads them itself");

static bool bit(const uint8_t *map, unsigned i) { return map[i / 8] >> (i % 8) & 1; }

static int report_bad(struct object *o, uint64_t block)
{
	if (!o->head_bad) {
		counter_add(&heads_bad, 1);
		log_error("objects", "a head is damaged ino=%llu block=%llu version=%llu: it is read through the daemon, which refuses the bad blocks; 'dios fsck' lists them",
			(unsigned long long)o->ino, (unsigned long long)block, (unsigned long long)o->record.version);
	}
	o->head_bad = true;
	return -EIO;
}

static int check_mib(struct object *o, struct disk_file *file, uint64_t mib, const struct state_crcs *crcs)
{
	uint64_t end = (o->record.size + BLOCK_SIZE - 1) / BLOCK_SIZE;
	uint32_t found[CRC_BLOCKS];
	for (unsigned i = 0; i < CRC_BLOCKS;) {
		unsigned run = i;
		while (run < CRC_BLOCKS && bit(crcs->present, run) && mib * CRC_BLOCKS + run < end) run++;
		if (run == i) {
			i++;
			continue;
		}
		int r = blob_crc_blocks(file, mib * CRC_BLOCKS + i, run - i, o->record.size, found);
		if (r < 0) return r == -EIO ? report_bad(o, mib * CRC_BLOCKS + i) : r;
		for (unsigned k = i; k < run; k++)
			if (found[k - i] != crcs->crc[k]) return report_bad(o, mib * CRC_BLOCKS + k);
		i = run;
	}
	return 0;
}

/* ---- what is not the blob's ---------------------------------------------------------------------------------------- */

struct tidying { struct object *o; struct disk_file *file; bool changed; };

/* Blocks [block, end) are a hole. */
static int clear_hole(struct tidying *t, uint64_t block, uint64_t end)
{
	uint64_t from = block * BLOCK_SIZE, to = end * BLOCK_SIZE, data;
	if (block >= end) return 0;
	int r = disk_seek(t->file, from, false, &data);
	if (r == -ENXIO || (r == 0 && data >= to)) return 0;
	if (r < 0) return r;
	t->changed = true;
	return disk_punch(t->file, data / BLOCK_SIZE * BLOCK_SIZE, to - data / BLOCK_SIZE * BLOCK_SIZE);
}

static int fit_size(struct tidying *t)
{
	uint64_t size;
	int r = disk_size(t->file, &size);
	if (r < 0 || size == t->o->record.size) return r;
	t->changed = true;
	return disk_truncate(t->file, t->o->record.size);
}

static int each_mib(struct tidying *t, bool check)
{
	struct object *o = t->o;
	struct state *state = cluster_state(o->os->cluster, o->ino);
	uint64_t end = (o->record.size + BLOCK_SIZE - 1) / BLOCK_SIZE, next = 0, mib = 0;
	struct state_crcs crcs;
	int r = 0;
	for (;; mib++) {
		r = state_find_crcs(state, o->ino, mib, &mib, &crcs);
		if (r == -ENOENT || (r == 0 && mib * CRC_BLOCKS >= end)) return clear_hole(t, next, end);
		if (r < 0) return r;
		for (unsigned i = 0; r == 0 && i < CRC_BLOCKS && mib * CRC_BLOCKS + i < end; i++) {
			if (!bit(crcs.present, i)) continue;
			r = clear_hole(t, next, mib * CRC_BLOCKS + i);
			next = mib * CRC_BLOCKS + i + 1;
		}
		if (r == 0 && check) r = check_mib(o, t->file, mib, &crcs);
		if (r < 0) return r;
	}
}

static void check_later(struct object *o)
{
	struct objects *os = o->os;
	LOCK_GUARD(&os->table_lock);
	for (size_t i = 0; i < os->verify_count; i++)
		if (os->verify[i].ino == o->ino) return;
	if (os->verify_count == VERIFY_MAX) return;
	os->verify[os->verify_count].ino = o->ino;
	os->verify[os->verify_count++].mib = 0;
}

int head_verify(struct object *o, bool write)
{
	struct heads *heads = o->os->store->heads;
	if (o->head_bad) return -EIO;
	struct head *head;
	int r = head_get(heads, o->ino, true, &head);
	if (r < 0) return r;
	struct tidying t = { .o = o, .file = head_file(head) };
	bool check = o->head_exact || o->record.blocks * 512 <= (write ? WRITE_AT_ONCE : READ_AT_ONCE);
	r = fit_size(&t);
	if (r == 0 && !o->head_exact) r = each_mib(&t, check);
	/* Before the mark: a power cut must not bring back what is none of the blob's. */
	if (r == 0 && t.changed) r = blob_sync_head(o, head);
	head_put(heads, head);
	if (r < 0) return r;
	o->head_clean = true;
	o->head_exact = check;
	if (!check && !write) check_later(o);
	return 0;
}

/* ---- in the background --------------------------------------------------------------------------------------------- */

/* 1: done with it. */
static int verify_step(struct objects *os, uint64_t ino, uint64_t *mib)
{
	struct object *o;
	struct head *head;
	struct state_crcs crcs;
	int r = object_acquire(os, ino, &o);
	if (r < 0) return 1;
	if (o->record.in_place || o->record.place != PLACE_HEAD || blob_unabsorbed(o) || o->is_dirty || o->head_exact || o->head_bad) {
		object_release(o);
		return 1;
	}
	r = state_find_crcs(cluster_state(os->cluster, ino), ino, *mib, mib, &crcs);
	o->head_exact = r == -ENOENT && o->head_clean;   /* a tail may have been written meanwhile */
	if (r == 0) r = head_get(os->store->heads, ino, false, &head);
	if (r == 0) {
		r = check_mib(o, head_file(head), *mib, &crcs);
		head_put(os->store->heads, head);
	}
	object_release(o);
	++*mib;
	return r < 0 ? 1 : 0;
}

void verify_run(struct objects *os, int64_t until_ns)
{
	while (clock_boot_ns(os->clock) < until_ns) {
		lock_acquire(&os->table_lock);
		uint64_t ino = os->verify_count ? os->verify[0].ino : 0, mib = os->verify[0].mib;
		lock_release(&os->table_lock);
		if (ino == 0) return;
		bool finished = verify_step(os, ino, &mib) != 0;
		LOCK_GUARD(&os->table_lock);
		os->verify[0].mib = mib;
		if (finished) memmove(&os->verify[0], &os->verify[1], --os->verify_count * sizeof(os->verify[0]));
	}
}
