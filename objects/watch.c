/* Waiters: one-shot callbacks on an object. A watch is armed, then firing (taken out of the table, its callback about to run or
 * running), then done. object_unwatch waits while it is firing, so that nobody is called back after it has returned. */
#include "objects/object.h"

enum watch_phase { WATCH_ARMED, WATCH_FIRING, WATCH_DONE };

/* The watches of one object. Made with the first, so that taking any of them out needs no memory. */
struct watched {
	uint64_t ino;
	struct watch *list;
	UT_hash_handle hh;
};

struct watch {
	struct watched *watched;     /* while armed */
	struct objects *os;
	void (*changed)(void *arg);
	void *arg;
	enum watch_phase phase;
	struct watch *next, *prev;
};

void watch_init(struct objects *os)
{
	lock_init(&os->watch_lock, "watches", LOCK_WATCH);
	pthread_cond_init(&os->watch_done, NULL);
}

void watch_done(struct objects *os)
{
	pthread_cond_destroy(&os->watch_done);
	lock_done(&os->watch_lock);
}

static struct watched *watched_get(struct objects *os, uint64_t ino)
{
	struct watched *d;
	HASH_FIND(hh, os->watches, &ino, sizeof(ino), d);
	if (d) return d;
	d = calloc(1, sizeof(*d));
	if (!d) return NULL;
	d->ino = ino;
	HASH_ADD(hh, os->watches, ino, sizeof(ino), d);
	if (hash_added(hh, d)) return d;
	free(d);
	return NULL;
}

int object_watch(struct objects *os, uint64_t ino, void (*changed)(void *), void *arg, struct watch **ret_watch)
{
	struct watch *w = calloc(1, sizeof(*w));
	if (!w) return -ENOMEM;
	LOCK_GUARD(&os->watch_lock);
	struct watched *d = watched_get(os, ino);
	if (!d) {
		free(w);
		return -ENOMEM;
	}
	*w = (struct watch){ .watched = d, .os = os, .changed = changed, .arg = arg, .next = d->list };
	if (w->next) w->next->prev = w;
	d->list = w;
	atomic_fetch_add(&os->watch_count, 1);
	*ret_watch = w;
	return 0;
}

/* Locked. */
static void watched_free(struct objects *os, struct watched *d)
{
	HASH_DEL(os->watches, d);
	free(d);
}

/* Locked. */
static void watch_remove(struct objects *os, struct watch *w)
{
	struct watched *d = w->watched;
	if (w->next) w->next->prev = w->prev;
	if (w->prev) w->prev->next = w->next;
	else d->list = w->next;
	if (!d->list) watched_free(os, d);
	atomic_fetch_sub(&os->watch_count, 1);
}

void object_unwatch(struct watch *w)
{
	if (!w) return;
	struct objects *os = w->os;
	lock_acquire(&os->watch_lock);
	if (w->phase == WATCH_ARMED) watch_remove(os, w);
	while (w->phase == WATCH_FIRING) lock_wait(&os->watch_lock, &os->watch_done);
	lock_release(&os->watch_lock);
	free(w);
}

void object_wake(struct objects *os, uint64_t ino) { watch_fire(os, ino); }

void watch_fire(struct objects *os, uint64_t ino)
{
	if (atomic_load(&os->watch_count) == 0) return;
	lock_acquire(&os->watch_lock);
	struct watched *d;
	HASH_FIND(hh, os->watches, &ino, sizeof(ino), d);
	struct watch *list = d ? d->list : NULL;
	if (d) watched_free(os, d);
	for (struct watch *w = list; w; w = w->next) {
		w->phase = WATCH_FIRING;
		atomic_fetch_sub(&os->watch_count, 1);
	}
	lock_release(&os->watch_lock);
	while (list) {
		struct watch *next = list->next;   /* it may be freed as soon as it is done */
		list->changed(list->arg);
		lock_acquire(&os->watch_lock);
		list->phase = WATCH_DONE;
		pthread_cond_broadcast(&os->watch_done);
		lock_release(&os->watch_lock);
		list = next;
	}
}
