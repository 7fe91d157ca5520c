/* The table of objects in memory. Holds are counted here; an object without one is idle and goes when too many are.
 * Lock order: an object's lock before the table's. */
#include "objects/object.h"

#include <assert.h>
#include "base/counter.h"

GAUGE(objects_in_memory, "dios_objects_in_memory", "Objects in memory: open, in use, dirty or cached");

static void list_init(struct object *head) { head->idle_prev = head->idle_next = head; }
static void idle_remove(struct objects *os, struct object *o)
{
	if (!o->idle_next) return;
	o->idle_prev->idle_next = o->idle_next;
	o->idle_next->idle_prev = o->idle_prev;
	o->idle_prev = o->idle_next = NULL;
	os->idle_count--;
}

static void idle_append(struct objects *os, struct object *o)
{
	o->idle_prev = os->idle.idle_prev;
	o->idle_next = &os->idle;
	o->idle_prev->idle_next = o->idle_next->idle_prev = o;
	os->idle_count++;
}

int table_init(struct objects *os)
{
	lock_init(&os->table_lock, "objects table", LOCK_OBJECTS);
	lock_init(&os->reap_lock, "objects reap", LOCK_REAP);
	lock_init(&os->quota_lock, "objects quota", LOCK_LEAF);
	list_init(&os->idle);
	os->dirty_list.dirty_prev = os->dirty_list.dirty_next = &os->dirty_list;
	os->unsealed.unsealed_prev = os->unsealed.unsealed_next = &os->unsealed;
	return 0;
}

static void release_staged(void *arg, struct stage_place place)
{
	struct object *o = arg;
	stage_release(o->os->store->stage, place);
}

static void object_free(struct object *o)
{
	assert(!o->in_dirty_list && o->opens == 0);
	quota_settle(o);
	extents_done(&o->dirty);
	free(o->notes);
	tail_done(&o->tail);
	direct_stream_free(o->direct);
	stream_recent_free(o->recent);
	lock_done(&o->lock);
	counter_add(&objects_in_memory, -1);
	free(o);
}

static struct object *object_new(struct objects *os, uint64_t ino)
{
	struct object *o = calloc(1, sizeof(*o));
	if (!o) return NULL;
	o->ino = ino;
	o->os = os;
	lock_init(&o->lock, "object", LOCK_OBJECT);
	extents_init(&o->dirty, release_staged, o);
	counter_add(&objects_in_memory, 1);
	return o;
}

static void table_remove(struct objects *os, struct object *o)
{
	idle_remove(os, o);
	HASH_DEL(os->table, o);
	object_free(o);
}

/* Table locked. */
static void table_shrink(struct objects *os, size_t keep)
{
	while (os->idle_count > keep) table_remove(os, os->idle.idle_next);
}

size_t table_trim_idle(struct objects *os)
{
	LOCK_GUARD(&os->table_lock);
	table_shrink(os, 0);
	return HASH_COUNT(os->table);
}

void table_done(struct objects *os)
{
	lock_acquire(&os->table_lock);
	struct object *o, *next;
	HASH_ITER(hh, os->table, o, next) {
		o->opens = 0;
		o->in_dirty_list = false;
		o->dirty.release = NULL;   /* what could not be committed stays in the staging log */
		table_remove(os, o);
	}
	lock_release(&os->table_lock);
	free(os->reap.inos);
	lock_done(&os->table_lock);
	lock_done(&os->reap_lock);
	lock_done(&os->quota_lock);
}

static int object_find_held(struct objects *os, uint64_t ino, struct object **ret)
{
	LOCK_GUARD(&os->table_lock);
	struct object *o;
	HASH_FIND(hh, os->table, &ino, sizeof(ino), o);
	if (!o) {
		o = object_new(os, ino);
		if (!o) return -ENOMEM;
		HASH_ADD(hh, os->table, ino, sizeof(ino), o);
		if (!hash_added(hh, o)) {
			object_free(o);
			return -ENOMEM;
		}
	}
	if (o->gone) return -ENOENT;
	idle_remove(os, o);
	o->holders++;
	*ret = o;
	return 0;
}

/* A commit whose outcome was not known: the version shows it. */
static void settle_commit(struct object *o)
{
	bool done = o->unknown_version != 0 && o->record.version >= o->unknown_version;
	o->unknown_version = 0;
	if (!done || !o->is_dirty) return;
	if (o->unknown_blocks == UINT64_MAX) blob_dirty_clear(o);
	else o->committed_blocks = o->unknown_blocks;
}

int object_refresh(struct object *o)
{
	struct objects *os = o->os;
	/* Cleared before the record is read: a command applied in between sets it again. */
	bool stale = atomic_load(&o->stale);
	if (stale) {
		stream_recent_stop(o->recent);
		atomic_store(&o->stale, false);
	}
	if (o->loaded && !stale) return o->record.in_place ? in_place_refresh(o) : 0;
	int r = 0;
	if (atomic_exchange(&os->unsettled, false) && (r = cluster_settle(os->cluster)) < 0) atomic_store(&os->unsettled, true);
	if (r == 0) r = state_get(cluster_state(os->cluster, o->ino), o->ino, &o->record);
	if (r < 0) {
		atomic_store(&o->stale, true);
		return r;
	}
	o->loaded = true;
	settle_commit(o);
	return o->record.in_place ? in_place_refresh(o) : 0;
}

/* A failed refresh unlocks. */
static int refresh(struct object *o)
{
	int r = object_refresh(o);
	if (r < 0) lock_release(&o->lock);
	return r;
}

int object_lock(struct object *o)
{
	lock_acquire(&o->lock);
	return refresh(o);
}

/* A failed refresh has unlocked the one it failed on. */
int object_lock_pair(struct object *a, struct object *b)
{
	struct object *first = a->ino < b->ino ? a : b, *second = first == a ? b : a;
	lock_acquire_pair(&first->lock, &second->lock);
	int r = refresh(first);
	if (r < 0) {
		lock_release(&second->lock);
		return r;
	}
	r = refresh(second);
	if (r < 0) lock_release(&first->lock);
	return r;
}

void object_unlock_pair(struct object *a, struct object *b)
{
	bool a_changed = a->changed, b_changed = b->changed;
	a->changed = b->changed = false;
	lock_release(&a->lock);
	lock_release(&b->lock);
	if (a_changed) watch_fire(a->os, a->ino);
	if (b_changed) watch_fire(b->os, b->ino);
}

int object_acquire(struct objects *os, uint64_t ino, struct object **ret_object)
{
	struct object *o;
	int r = object_find_held(os, ino, &o);
	if (r < 0) return r;
	r = object_lock(o);
	if (r < 0) {
		object_drop(o);
		return r;
	}
	*ret_object = o;
	return 0;
}

void object_hold(struct object *o)
{
	LOCK_GUARD(&o->os->table_lock);
	assert(o->holders > 0);
	o->holders++;
}

void object_drop(struct object *o)
{
	struct objects *os = o->os;
	LOCK_GUARD(&os->table_lock);
	assert(o->holders > 0);
	if (--o->holders > 0) return;
	/* Content that lives in memory only stays as long as the object does. */
	if (o->direct && !o->gone) return;
	if (!o->loaded || o->gone) {
		table_remove(os, o);
		return;
	}
	idle_append(os, o);
	table_shrink(os, os->options.cached_max);
}

void object_unlock(struct object *o)
{
	bool changed = o->changed;
	o->changed = false;
	lock_release(&o->lock);
	if (changed) watch_fire(o->os, o->ino);
}

void object_release(struct object *o)
{
	object_unlock(o);
	object_drop(o);
}

void table_forget(struct objects *os, const struct result *result, uint64_t except_ino)
{
	LOCK_GUARD(&os->table_lock);
	for (uint32_t i = 0; i < result->touched_count; i++) {
		if (result->touched[i] == except_ino) continue;
		struct object *o;
		HASH_FIND(hh, os->table, &result->touched[i], sizeof(uint64_t), o);
		if (o) atomic_store(&o->stale, true);
	}
}

void table_forget_all(struct objects *os)
{
	atomic_store(&os->unsettled, true);
	atomic_store(&os->orphans_sought, true);
	LOCK_GUARD(&os->table_lock);
	struct object *o, *next;
	HASH_ITER(hh, os->table, o, next) atomic_store(&o->stale, true);
}

void table_mark_dirty(struct object *o)
{
	struct objects *os = o->os;
	o->is_dirty = true;
	if (o->in_dirty_list) return;
	lease_want(o, LEASE_MODIFIED);
	o->dirty_since_ns = clock_boot_ns(os->clock);
	LOCK_GUARD(&os->table_lock);
	o->in_dirty_list = true;
	os->dirty_count++;
	o->holders++;
	o->dirty_prev = os->dirty_list.dirty_prev;
	o->dirty_next = &os->dirty_list;
	o->dirty_prev->dirty_next = o->dirty_next->dirty_prev = o;
}

void table_clear_dirty(struct object *o)
{
	struct objects *os = o->os;
	o->is_dirty = false;
	if (!o->in_dirty_list) return;
	lease_want(o, o->opens > 0 ? LEASE_EXCLUSIVE : LEASE_INVALID);
	LOCK_GUARD(&os->table_lock);
	o->in_dirty_list = false;
	os->dirty_count--;
	o->dirty_prev->dirty_next = o->dirty_next;
	o->dirty_next->dirty_prev = o->dirty_prev;
	assert(o->holders > 1);   /* the caller has one of its own */
	o->holders--;
}

struct object *table_oldest_dirty(struct objects *os, int64_t older_than_ns)
{
	LOCK_GUARD(&os->table_lock);
	struct object *o = os->dirty_list.dirty_next;
	if (o == &os->dirty_list || o->dirty_since_ns > older_than_ns) return NULL;
	o->holders++;
	/* To the end: one that cannot be committed does not keep the others from it. */
	o->dirty_prev->dirty_next = o->dirty_next;
	o->dirty_next->dirty_prev = o->dirty_prev;
	o->dirty_prev = os->dirty_list.dirty_prev;
	o->dirty_next = &os->dirty_list;
	o->dirty_prev->dirty_next = o->dirty_next->dirty_prev = o;
	return o;
}

bool table_is_moving(struct objects *os, uint64_t ino)
{
	LOCK_GUARD(&os->table_lock);
	struct object *o;
	HASH_FIND(hh, os->table, &ino, sizeof(ino), o);
	return o && o->moving;
}

bool table_is_held(struct objects *os, uint64_t ino)
{
	LOCK_GUARD(&os->table_lock);
	struct object *o;
	HASH_FIND(hh, os->table, &ino, sizeof(ino), o);
	return o && o->holders > 0;
}

void table_mark_gone(struct object *o)
{
	LOCK_GUARD(&o->os->table_lock);
	o->gone = true;
}

void table_want_reap(struct objects *os, uint64_t ino)
{
	LOCK_GUARD(&os->table_lock);
	struct reap_queue *q = &os->reap;
	if (q->count == q->capacity) {
		size_t capacity = q->capacity ? q->capacity * 2 : 64;
		uint64_t *inos = realloc(q->inos, capacity * sizeof(*inos));
		if (!inos) return;   /* it stays on the state's orphan list and is reaped at the next start */
		q->inos = inos;
		q->capacity = capacity;
	}
	q->inos[q->count++] = ino;
	atomic_fetch_add(&q->waiting, 1);
}

size_t table_take_reap(struct objects *os, uint64_t *inos, size_t max)
{
	LOCK_GUARD(&os->table_lock);
	size_t taken = 0, kept = 0;
	for (size_t i = 0; i < os->reap.count; i++) {
		uint64_t ino = os->reap.inos[i];
		struct object *o;
		HASH_FIND(hh, os->table, &ino, sizeof(ino), o);
		if (taken == max || (o && o->holders > 0)) {
			os->reap.inos[kept++] = ino;
			continue;
		}
		if (!o) {
			o = object_new(os, ino);   /* a mark that keeps the inode from being opened while it goes */
			if (o) HASH_ADD(hh, os->table, ino, sizeof(ino), o);
			if (!o || !hash_added(hh, o)) {
				if (o) object_free(o);
				os->reap.inos[kept++] = ino;
				continue;
			}
		}
		idle_remove(os, o);
		o->gone = true;
		o->holders = 1;   /* until reap_run has finished */
		inos[taken++] = ino;
	}
	os->reap.count = kept;
	return taken;
}

void table_give_back(struct objects *os, uint64_t ino, bool gone)
{
	lock_acquire(&os->table_lock);
	struct object *o;
	HASH_FIND(hh, os->table, &ino, sizeof(ino), o);
	if (o) o->gone = gone;
	lock_release(&os->table_lock);
	if (o) object_drop(o);   /* the hold that table_take_reap took */
}
