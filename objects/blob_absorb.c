/* Moving committed rows into the heads, in the background; and taking away what nothing refers to any more.
 *
 * Order, for one object: the log is synced first, so that a power cut cannot bring back a state that is older than what its head
 * holds -> trims are punched, rows written -> the head is synced -> ABSORBED drops them from the state. Doing it twice is harmless.
 * Bytes at and past the committed size belong to the tail and are not touched. */
#include "objects/object.h"

#include <string.h>
#include "base/condition.h"
#include "base/counter.h"
#include "base/crc32c.h"
#include "base/log.h"

#define ABSORB_ROWS 256u          /* rows in one step: 1 MiB, bounds the time an object stays locked */
#define ABSORB_TRIMS 64u
#define REAP_BATCH 256u
#define ABSORB_RETRY_NS NS_PER_SECOND

COUNTER(rows_absorbed, "dios_rows_absorbed_total", "Rows written into heads");
COUNTER(objects_reaped, "dios_objects_reaped_total", "Unlinked objects freed");

struct absorption {
	struct object *o;
	struct disk_file *file;
	struct command_absorbed_row rows[ABSORB_ROWS];
	struct command_absorbed_trim trims[ABSORB_TRIMS];
	uint32_t row_count, trim_count;
	uint64_t sides[ABSORB_ROWS];
	uint32_t side_count, verified;
	bool more, unlock;
};

static int absorb_trim(void *arg, const struct state_trim *trim)
{
	struct absorption *a = arg;
	if (a->trim_count == ABSORB_TRIMS) {
		a->more = true;
		return 1;
	}
	uint64_t start = trim->block * BLOCK_SIZE, end = start + trim->count * BLOCK_SIZE, size = a->o->record.size;
	uint64_t limit = (size + BLOCK_SIZE - 1) / BLOCK_SIZE * BLOCK_SIZE, have;
	/* What lies past the end is cut in one go, also of what was trimmed while the blob was longer; nothing of a tail is there, since
	 * absorbing comes before the first tail byte. */
	int r = 0;
	if (end > limit && a->o->tail_bytes == 0) {
		r = disk_size(a->file, &have);
		if (r == 0 && have > limit) r = disk_truncate(a->file, limit);
	}
	if (r == 0 && start < limit) r = disk_punch(a->file, start, (end < limit ? end : limit) - start);
	if (r < 0) return r;
	a->trims[a->trim_count++] = (struct command_absorbed_trim){ trim->block, trim->count, trim->version };
	return 0;
}

static void note_side(struct absorption *a, uint64_t side)
{
	for (uint32_t i = 0; i < a->side_count; i++)
		if (a->sides[i] == side) return;
	a->sides[a->side_count++] = side;
}

static int absorb_row(void *arg, const struct state_row *row)
{
	struct absorption *a = arg;
	if (a->row_count == ABSORB_ROWS) {
		a->more = true;
		return 1;
	}
	uint8_t block[BLOCK_SIZE];
	size_t size = row->side ? row->side_size : row->bytes.size;
	if (size > BLOCK_SIZE) return -EIO;
	if (row->side) {
		int r = side_read(a->o->os->store->heads, row->side, block, size, row->side_offset);
		if (r < 0) return r;
		if (crc32c(0, block, size) != row->side_crc) return -EIO;
		note_side(a, row->side);
	} else {
		memcpy(block, row->bytes.data, size);
	}
	memset(block + size, 0, BLOCK_SIZE - size);
	uint64_t start = row->block * BLOCK_SIZE;
	if (start < a->o->record.size) {
		uint64_t room = a->o->record.size - start;
		int r = disk_pwrite(a->file, block, room < BLOCK_SIZE ? room : BLOCK_SIZE, start);
		if (r < 0) return r;
	}
	a->rows[a->row_count++] = (struct command_absorbed_row){ row->block, row->version };
	return a->row_count == a->o->record.rows;   /* all: behind the last the store may hold many that are dropped */
}

/* After a failed sync of the head: a row that is not dropped yet is on the disk, not only in the cache. */
static int verify_row(void *arg, const struct state_row *row)
{
	struct absorption *a = arg;
	while (a->verified < a->row_count && a->rows[a->verified].block < row->block) a->verified++;
	if (a->verified == a->row_count) return 1;
	if (row->block != a->rows[a->verified].block) return 0;
	uint64_t start = row->block * BLOCK_SIZE, size = a->o->record.size;
	size_t used = start >= size ? 0 : size - start < BLOCK_SIZE ? (size_t)(size - start) : BLOCK_SIZE;
	uint8_t block[BLOCK_SIZE] = { 0 };
	if (row->version == a->rows[a->verified].version && !row->side && used > 0) {
		int r = disk_drop_cache(a->file, start, used);
		if (r < 0) return r;
		ssize_t got = disk_pread(a->file, block, used, start);
		if (got < 0) return (int)got;
		size_t given = row->bytes.size < used ? row->bytes.size : used;
		static const uint8_t zeros[BLOCK_SIZE];
		if (memcmp(block, row->bytes.data, given) != 0 || memcmp(block + given, zeros, used - given) != 0) return -EIO;
	}
	return 0;
}

static int verify_rows(struct absorption *a)
{
	if (!a->o->verify_rows || a->row_count == 0) return 0;
	a->verified = 0;
	return state_each_row(cluster_state(a->o->os->cluster, a->o->ino), a->o->ino, a->rows[0].block, verify_row, a);
}

/* The next step begins where this one has ended: what it dropped need not be passed over again. */
static void rows_passed(struct absorption *a)
{
	struct object *o = a->o;
	if (o->record.rows == 0) {
		o->row_first = UINT64_MAX;
	} else if (!a->unlock && a->row_count > 0) {
		o->row_first = a->rows[a->row_count - 1].block + 1;
	}
}

static int absorb_step(struct absorption *a, struct head *head)
{
	struct object *o = a->o;
	struct state *state = cluster_state(o->os->cluster, o->ino);
	a->row_count = a->trim_count = a->side_count = 0;
	a->more = false;
	int r = o->record.trims > 0 ? state_each_trim(state, o->ino, absorb_trim, a) : 0;
	if (r < 0) return r;
	if (!a->more && o->record.rows > 0) {
		r = state_each_row(state, o->ino, o->row_first, absorb_row, a);
		if (r < 0) return r;
	}
	if (a->row_count + a->trim_count == 0) return 0;
	/* Unlocked or not: what is newer by then stays in the state, which compares versions. */
	r = a->unlock ? blob_sync_head_unlocked(o, head) : blob_sync_head(o, head);
	if (r == 0) r = verify_rows(a);
	if (r < 0) return r;
	struct command c = { .kind = COMMAND_ABSORBED, .absorbed = { .ino = o->ino, .rows = a->rows, .row_count = a->row_count,
		.trims = a->trims, .trim_count = a->trim_count } };
	struct result result;
	bool changed = o->changed;
	r = object_propose(o->os, o, &c, a->side_count > 0 && !a->more, &result);
	o->changed = changed;   /* the content is the same */
	if (r < 0) return r;
	counter_add(&rows_absorbed, a->row_count);
	rows_passed(a);
	if (!a->more)
		for (uint32_t i = 0; i < a->side_count; i++) side_remove(o->os->store->heads, a->sides[i]);
	return 0;
}

/* unlock: others may have the object while the disk works. */
static int absorb(struct object *o, bool unlock)
{
	if (!blob_unabsorbed(o) || o->record.kind != KIND_BLOB || o->record.place != PLACE_HEAD) return 0;
	int r = cluster_sync(o->os->cluster);
	if (r < 0) return r;
	struct absorption *a = malloc(sizeof(*a));
	if (!a) return -ENOMEM;
	a->o = o;
	a->unlock = unlock;
	struct head *head;
	r = head_get(o->os->store->heads, o->ino, true, &head);
	if (r == 0) {
		a->file = head_file(head);
		if (head_doubtful(o->os->store->heads, head)) r = blob_sync_head(o, head);
		while (r == 0) {
			r = absorb_step(a, head);
			if (r < 0 || !a->more) break;
			/* What was committed meanwhile is absorbed too, so it is synced. */
			if (unlock) r = cluster_sync(o->os->cluster);
		}
		head_put(o->os->store->heads, head);
	}
	free(a);
	if (r == 0 && !blob_unabsorbed(o)) o->verify_rows = false;
	return r;
}

int blob_absorb(struct object *o) { return absorb(o, false); }

/* ---- in the background ------------------------------------------------------------------------------------------- */

struct work_list { uint64_t inos[64]; unsigned count; };

static int collect_ino(void *arg, uint64_t ino)
{
	struct work_list *list = arg;
	if (list->count == sizeof(list->inos) / sizeof(list->inos[0])) return 1;
	list->inos[list->count++] = ino;
	return 0;
}

static int absorb_one(struct objects *os, uint64_t ino)
{
	struct object *o;
	os->absorb_after = ino;
	int r = cluster_sync(os->cluster);   /* before the object is locked: then there is little left to sync */
	if (r == 0) r = object_acquire(os, ino, &o);
	if (r < 0) return r == -ENOENT ? 0 : r;
	r = absorb(o, true);
	object_release(o);
	return r;
}

void absorb_run(struct objects *os, int64_t until_ns)
{
	int64_t now = clock_boot_ns(os->clock);
	if (now < os->next_absorb_ns || !atomic_exchange(&os->absorb_wanted, false)) return;
	struct work_list list = { .count = 0 };
	bool from_first = os->absorb_after == 0;
	int r = state_each_unabsorbed(cluster_state(os->cluster, ROOT_INO), os->absorb_after, collect_ino, &list);
	unsigned done = 0;
	for (; r == 0 && done < list.count && now < until_ns; done++, now = clock_boot_ns(os->clock)) {
		int e = absorb_one(os, list.inos[done]);
		if (e == 0) continue;
		log_warning("objects", "absorbing failed ino=%llu error=%d: its rows stay in the state and are tried again", (unsigned long long)list.inos[done], -e);
		condition_raise(CONDITION_ABSORB_FAILING, "committed blocks of inode %llu cannot be written to its file: %s", (unsigned long long)list.inos[done],
			strerror(-e));
		os->next_absorb_ns = now + ABSORB_RETRY_NS;
	}
	bool to_last = r == 0 && done == list.count && list.count < sizeof(list.inos) / sizeof(list.inos[0]);
	/* Until a pass from the first to the last one has taken all. */
	if (!from_first || !to_last || os->next_absorb_ns > now) atomic_store(&os->absorb_wanted, true);
	if (to_last) os->absorb_after = 0;
	if (from_first && to_last && os->next_absorb_ns <= now) condition_clear(CONDITION_ABSORB_FAILING);
}

struct reaping { uint64_t inos[REAP_BATCH]; size_t count, orphans; bool heads; };

/* What is an orphan no more is left alone: somebody has made a link to it. The orphans go to the front; behind them stay those whose
 * record is gone already, by a command whose outcome was not known. Nobody can make a link meanwhile: all are taken. */
static void reap_choose(struct objects *os, struct reaping *reap)
{
	size_t kept = 0;
	for (size_t i = 0; i < reap->count; i++) {
		uint64_t ino = reap->inos[i];
		struct record record;
		int r = state_get(cluster_state(os->cluster, ino), ino, &record);
		if (r == -ENOENT || (r == 0 && record.orphan)) {
			reap->heads |= r < 0 || (record.kind == KIND_BLOB && record.place == PLACE_HEAD);
			reap->inos[kept++] = ino;
			if (r < 0) continue;
			reap->inos[kept - 1] = reap->inos[reap->orphans];
			reap->inos[reap->orphans++] = ino;
			continue;
		}
		if (r < 0) table_want_reap(os, ino);
		table_give_back(os, ino, false);
	}
	reap->count = kept;
}

/* Frees what has been chosen, or queues it again. */
static int reap_free(struct objects *os, const struct reaping *reap)
{
	struct command c = { .kind = COMMAND_REAP, .reap = { .inos = reap->inos, .count = (uint32_t)reap->orphans } };
	struct result result;
	/* Durable before any head goes: a record that a power cut brought back would miss its bytes. */
	int r = reap->orphans > 0 ? object_propose(os, NULL, &c, reap->heads, &result) : cluster_sync(os->cluster);
	if (r < 0) log_warning("objects", "freeing %zu unlinked objects failed error=%d: they are freed later", reap->count, -r);
	for (size_t i = 0; i < reap->count; i++) {
		if (r < 0) table_want_reap(os, reap->inos[i]);
		else head_remove(os->store->heads, reap->inos[i]);   /* a small blob may have one that it was to move to */
		table_give_back(os, reap->inos[i], r == 0);
	}
	if (r == 0) counter_add(&objects_reaped, (int64_t)reap->orphans);
	return r;
}

int reap_run(struct objects *os)
{
	struct reaping reap = { 0 };
	if (atomic_load(&os->orphans_kept)) return 0;
	LOCK_GUARD(&os->reap_lock);
	size_t taken = reap.count = table_take_reap(os, reap.inos, REAP_BATCH);
	reap_choose(os, &reap);
	reap.heads |= atomic_load(&os->newest_leftover) > atomic_load(&os->log_synced);   /* it may be the head of one whose seal is not durable yet */
	int r = reap.count > 0 ? reap_free(os, &reap) : 0;
	atomic_fetch_sub(&os->reap.waiting, taken);   /* what is queued again has been counted again */
	return r < 0 ? r : taken == REAP_BATCH;
}

bool objects_may_make_room(struct objects *os, int error)
{
	return (error == -ENOSPC || error == -EDQUOT) && atomic_load(&os->reap.waiting) > 0;
}

/* Those that come meanwhile are others' to wait for. */
bool objects_make_room(struct objects *os, int error)
{
	if (!objects_may_make_room(os, error)) return false;
	for (size_t left = atomic_load(&os->reap.waiting) / REAP_BATCH + 1; left > 0 && reap_run(os) >= 0; left--) {}
	return true;
}

void objects_wait_freed(struct objects *os) { LOCK_GUARD(&os->reap_lock); }

/* ---- at start ---------------------------------------------------------------------------------------------------- */

static int collect_head(void *arg, uint64_t ino)
{
	struct objects *os = arg;
	struct record record;
	int r = state_get(cluster_state(os->cluster, ino), ino, &record);
	if (r < 0 && r != -ENOENT) return r;
	if (r == 0 && (record.place == PLACE_HEAD || table_is_moving(os, ino))) return 0;
	log_debug("objects", "removing a head that no record refers to ino=%llu", (unsigned long long)ino);
	return head_remove(os->store->heads, ino);
}

int heads_collect(struct objects *os)
{
	int r = heads_list(os->store->heads, collect_head, os);
	/* Numbers that a power cut has taken back are given again: with them comes no head that was removed. */
	if (r == 0) r = heads_settle_names(os->store->heads);
	return r < 0 ? r : sides_collect(os);
}
