/* The module as a whole: opening (with recovery of what an earlier daemon had taken in), background work, closing. */
#include "objects/object.h"

#include <string.h>
#include "base/condition.h"
#include "base/grow.h"
#include "base/log.h"

/* What returned is durable within commit_interval: half of it until it is committed, a quarter until the log is synced, and twice the time
 * between two looks. */
#define RUN_INTERVAL_NS (100 * NS_PER_MS)
#define WORK_NS (100 * NS_PER_MS)            /* of committing, absorbing and freeing each at a time: then the others have their turn */

static int commit_held(struct object *o)
{
	blob_presync(o);
	int r = object_lock(o);
	if (r < 0) return r == -ENOENT ? 0 : r;
	r = blob_commit(o, false);
	if (r < 0 && o->last_error != r) {
		o->error_count++;
		o->last_error = r;
		condition_raise(CONDITION_COMMIT_FAILING, "what was written to inode %llu could not be committed: %s", (unsigned long long)o->ino, strerror(-r));
		log_warning("objects", "commit failed ino=%llu error=%d: the bytes stay on this disk and are tried again; fsync and close report it", (unsigned long long)o->ino, -r);
	}
	if (r == 0) o->last_error = 0;
	object_unlock(o);
	return r;
}

/* *ret_more: it was time to stop, and some may be left. */
static int commit_older(struct objects *os, int64_t than_ns, int64_t until_ns, bool *ret_more)
{
	int failed = 0;
	lock_acquire(&os->table_lock);
	size_t bound = os->dirty_count;   /* each once: one that fails is tried again later */
	lock_release(&os->table_lock);
	struct object *o;
	*ret_more = false;
	while (bound-- > 0 && (o = table_oldest_dirty(os, than_ns))) {
		int r = commit_held(o);
		if (r < 0) failed = r;
		object_drop(o);
		*ret_more = clock_boot_ns(os->clock) >= until_ns;
		if (*ret_more) break;
	}
	return failed;
}

static int commit_all(struct objects *os)
{
	bool more;
	return commit_older(os, INT64_MAX, INT64_MAX, &more);
}

static int replay_record(void *arg, const struct stage_record *record) { return blob_replay(arg, record); }

static int reap_orphan(void *arg, uint64_t ino)
{
	table_want_reap(arg, ino);
	return 0;
}

/* What an earlier daemon left: uncommitted bytes are committed, unlinked objects freed, stray files removed. At a restart under a living mount
 * all this is the background's, and heads that nothing refers to wait for the next mount. */
static int recover(struct objects *os)
{
	int r = state_each_orphan(cluster_state(os->cluster, ROOT_INO), reap_orphan, os);
	if (r < 0) return r;
	r = unsealed_load(os);
	if (r < 0) return r;
	r = stage_replay(os->store->stage, replay_record, os);
	if (r < 0) return r;
	if (os->options.restart) {
		atomic_store(&os->unsynced, true);
		atomic_store(&os->absorb_wanted, true);
		atomic_store(&os->sides_wanted, true);
		return 0;
	}
	r = cluster_sync(os->cluster);
	if (r < 0) return r;
	while (reap_run(os) > 0) {}
	/* One that fails stays dirty and is tried again: a full disk must not keep the node from starting. */
	commit_all(os);
	/* The second within which those bytes were to be durable may be over; nobody has synced what was written in place meanwhile. A head
	 * that cannot be synced is tried again. */
	r = cluster_sync(os->cluster);
	if (r < 0) return r;
	(void)unsealed_sync(os);
	atomic_store(&os->absorb_wanted, true);
	return heads_collect(os);
}

int objects_open(struct cluster *cluster, struct store *store, const struct objects_options *options, struct objects **ret_objects)
{
	struct objects *os = calloc(1, sizeof(*os));
	if (!os) return -ENOMEM;
	os->cluster = cluster;
	os->store = store;
	os->clock = cluster_clock(cluster);
	os->options = *options;
	if (os->options.rows_max_bytes == 0 || os->options.rows_max_bytes > ROW_BYTES_MAX) os->options.rows_max_bytes = ROW_BYTES_MAX;
	atomic_store(&os->orphans_kept, options->restart);
	watch_init(os);
	stream_age_init(os);
	int r = table_init(os);
	if (r == 0) r = lease_book_init(os);
	if (r == 0) r = damaged_init(os);
	if (r == 0) r = recover(os);
	if (r < 0) {
		table_done(os);
		lease_book_done(os);
		damaged_done(os);
		stream_age_done(os);
		watch_done(os);
		free(os);
		return r;
	}
	*ret_objects = os;
	return 0;
}

void objects_restored(struct objects *os) { atomic_store(&os->orphans_kept, false); }
struct cluster *objects_cluster(struct objects *os) { return os->cluster; }
struct store *objects_store(struct objects *os) { return os->store; }

struct sought { uint64_t *inos; size_t count, capacity; };

static int note_sought(void *arg, uint64_t ino)
{
	struct sought *s = arg;
	uint64_t *grown = grow(s->inos, &s->capacity, s->count, sizeof(*grown));
	if (!grown) return -ENOMEM;
	s->inos = grown;
	s->inos[s->count++] = ino;
	return 0;
}

/* The answer that says whom an unlink has orphaned did not come. Once its outcome is known, the state says it. Those that are being made are no such. */
static void orphans_seek(struct objects *os)
{
	struct sought s = { 0 };
	if (atomic_load(&os->orphans_kept) || !atomic_exchange(&os->orphans_sought, false)) return;
	uint64_t creations = atomic_load(&os->creations);
	int r = atomic_load(&os->creating) > 0 ? -EAGAIN : cluster_settle(os->cluster);
	if (r == 0) r = state_each_orphan(cluster_state(os->cluster, ROOT_INO), note_sought, &s);
	if (r == 0 && (atomic_load(&os->creating) > 0 || atomic_load(&os->creations) != creations)) r = -EAGAIN;
	for (size_t i = 0; r == 0 && i < s.count; i++) object_orphaned(os, s.inos[i]);
	free(s.inos);
	if (r < 0) atomic_store(&os->orphans_sought, true);
}

int64_t objects_run_due(struct objects *os)
{
	int64_t now = clock_boot_ns(os->clock), half = os->options.commit_interval_ns / 2;
	bool more;
	if (commit_older(os, now - half, now + WORK_NS, &more) == 0 && !more) condition_clear(CONDITION_COMMIT_FAILING);
	unsealed_run(os, clock_boot_ns(os->clock) + WORK_NS);
	if (now >= os->next_sync_ns && atomic_exchange(&os->unsynced, false)) {
		uint64_t nth = atomic_fetch_add(&os->log_syncs, 1) + 1;
		if (cluster_sync(os->cluster) < 0) log_error("objects", "sync of the log failed: nothing more is acknowledged as durable");
		else unsealed_remove_heads(os, nth, false);   /* a head goes when the log says for sure that it is not needed */
		os->next_sync_ns = clock_boot_ns(os->clock) + half / 2;
	}
	absorb_run(os, clock_boot_ns(os->clock) + WORK_NS);
	orphans_seek(os);
	int64_t reap_until = clock_boot_ns(os->clock) + WORK_NS;
	int reaped;
	do reaped = reap_run(os); while (reaped > 0 && clock_boot_ns(os->clock) < reap_until);
	sides_run(os, now);
	stream_age_run(os);
	damaged_run(os, now);
	verify_run(os, clock_boot_ns(os->clock) + WORK_NS / 4);
	cluster_maintain(os->cluster);
	return more || reaped > 0 ? 0 : RUN_INTERVAL_NS;
}

int objects_sync(struct objects *os)
{
	int r = commit_all(os), u = unsealed_sync(os), s = cluster_sync(os->cluster);
	return r < 0 ? r : u < 0 ? u : s;
}

void objects_close(struct objects *os)
{
	if (!os) return;
	unsealed_end(os);
	int r = objects_sync(os);
	if (r < 0) log_error("objects", "some bytes could not be committed error=%d: they are in the staging log and are tried at the next start", -r);
	while (reap_run(os) > 0) {}
	table_done(os);
	lease_book_done(os);
	damaged_done(os);
	stream_age_done(os);
	watch_done(os);
	free(os);
}
