/* Parked requests and polls, and who tries them again: a thread of their own; or a worker, between two requests of its own, what it has put
 * into the queue itself. So a reader that waits is answered by the worker that served the writer, without waking a third.
 *
 * An item is in the ready queue at most once, and only its runner, of which there is one at a time, takes it from there, arms and disarms its
 * watch, and frees it. Callbacks (an object has changed, the kernel sent an INTERRUPT) only put it into the queue. Before a request is answered its interrupt
 * function is taken away: then no callback with the item can come any more, but for the watch's, which object_unwatch ends.
 *
 * An interrupt that is no signal (fs/interrupt.h) makes an item stalled: the thread looks at it again every INTERRUPT_RECHECK_MS. */
#include <assert.h>
#include <string.h>

#include "base/counter.h"
#include "base/log.h"
#include "fs/interrupt.h"
#include "fs/slot.h"
#include "fs/wait.h"

struct item {
	struct item *next, *previous;        /* in the list of all */
	struct item *ready_next;
	bool queued, stalled;
	struct waiters *waiters;
	uint64_t ino;
	struct watch *watch;
	fuse_req_t req;                      /* NULL: a poll */
	struct slot_ref slot;
	int (*attempt)(void *arg, fuse_req_t req);
	void (*done)(void *arg);
	void *arg;
};

/* A handle's poll; the thread frees it once the handle has let go of it. */
struct poll_item {
	struct item item;
	struct handle *handle;               /* NULL: released */
	struct fuse_pollhandle *ph;          /* NULL: nobody waits now */
	uint32_t events;
};

struct waiters {
	struct fs *fs;
	pthread_t thread;
	struct lock lock;                    /* guards the lists, and the polls' fields */
	pthread_cond_t wake;
	struct item *all;
	uint32_t count, stalled;
	struct item *ready_first, *ready_last;
	bool ending;
	pthread_cond_t between;              /* the runner has finished with an item: poll_forget waits for it */
	struct item *running;                /* not NULL: there is a runner */
};

GAUGE(waiting, "dios_fs_waiting_requests", "requests that wait for a stream, a task's output or room");

static void item_queue(struct waiters *w, struct item *i)      /* the lock is held */
{
	if (i->queued)
		return;
	i->queued = true;
	i->ready_next = NULL;
	if (w->ready_last)
		w->ready_last->ready_next = i;
	else
		w->ready_first = i;
	w->ready_last = i;
	/* A worker comes to wait_run_ready before it sleeps. */
	if (!request.worker)
		pthread_cond_signal(&w->wake);
}

static void item_wake(struct item *i)
{
	LOCK_GUARD(&i->waiters->lock);
	item_queue(i->waiters, i);
}

static void object_changed(void *arg) { item_wake(arg); }

static void request_interrupted(fuse_req_t req, void *arg)
{
	(void)req;
	item_wake(arg);
}

static void item_add(struct waiters *w, struct item *i)        /* the lock is held */
{
	i->waiters = w;
	i->next = w->all;
	if (w->all)
		w->all->previous = i;
	w->all = i;
	w->count++;
	counter_add(&waiting, 1);
}

/* Ends the watch and takes the item off every list. Nothing refers to it afterwards. */
static void item_remove(struct waiters *w, struct item *i)
{
	if (i->watch)
		object_unwatch(i->watch);
	i->watch = NULL;
	LOCK_GUARD(&w->lock);
	if (i->queued) {
		struct item **at = &w->ready_first, *before = NULL;
		while (*at != i) {
			before = *at;
			at = &before->ready_next;
		}
		*at = i->ready_next;
		if (w->ready_last == i)
			w->ready_last = before;
		i->queued = false;
	}
	if (i->previous)
		i->previous->next = i->next;
	else
		w->all = i->next;
	if (i->next)
		i->next->previous = i->previous;
	w->count--;
	w->stalled -= i->stalled;
	counter_add(&waiting, -1);
}

static int item_watch(struct waiters *w, struct item *i)
{
	if (i->watch)
		object_unwatch(i->watch);
	i->watch = NULL;
	return object_watch(w->fs->objects, i->ino, object_changed, i, &i->watch);
}

static void item_stall(struct waiters *w, struct item *i)
{
	LOCK_GUARD(&w->lock);
	if (i->stalled)
		return;
	i->stalled = true;
	w->stalled++;
	pthread_cond_signal(&w->wake);       /* it is the thread that looks again, at times */
}

static void queue_stalled(struct waiters *w)                   /* the lock is held */
{
	for (struct item *i = w->all; i; i = i->next)
		if (i->stalled)
			item_queue(w, i);
}

/* ---- requests ---- */

static void request_try(struct waiters *w, struct item *i)
{
	fuse_req_interrupt_func(i->req, NULL, NULL);
	bool interrupted = fuse_req_interrupted(i->req);
	int r = interrupted && interrupt_counts(i->req) ? -EINTR : item_watch(w, i);
	request_resume(w->fs, i->slot);
	if (r == 0)
		r = i->attempt(i->arg, i->req);
	if (r == -EAGAIN) {
		request_suspend(w->fs, i->slot, true);
		if (interrupted)
			item_stall(w, i);
		else    /* calls back at once if the signal has come in between */
			fuse_req_interrupt_func(i->req, request_interrupted, i);
		return;
	}
	if (r < 0)
		reply_error(i->req, r);
	request_suspend(w->fs, i->slot, false);
	item_remove(w, i);
	i->done(i->arg);
	slot_release(w->fs, i->slot);
	free(i);
}

void wait_park(fuse_req_t req, uint64_t ino, int (*attempt)(void *arg, fuse_req_t req), void (*done)(void *arg), void *arg)
{
	struct waiters *w = fs_of(req)->waiters;
	struct item *i = calloc(1, sizeof(*i));
	int r = !i ? -ENOMEM : 0;

	if (r == 0) {
		i->slot = request_take_slot();
		r = i->slot.taken ? 0 : -EAGAIN;
	}
	if (r == 0) {
		request_suspend(w->fs, i->slot, true);
		LOCK_GUARD(&w->lock);
		if (w->count < WAITERS_MAX && !w->ending) {
			*i = (struct item){ .ino = ino, .req = req, .slot = i->slot, .attempt = attempt, .done = done, .arg = arg };
			item_add(w, i);
			item_queue(w, i);
			return;
		}
		r = -EAGAIN;
	}
	log_warning("fs", "a request cannot wait: too many do limit=%u", WAITERS_MAX);
	if (i)
		request_resume(fs_of(req), i->slot);
	reply_error(req, r);
	done(arg);
	if (i)
		slot_release(fs_of(req), i->slot);
	free(i);
}

/* ---- poll ---- */

uint32_t poll_ready(struct handle *h)
{
	uint32_t events = 0;

	if (!h->reference)
		return READY_READ | READY_WRITE;
	int r = reference_ready(h->reference, h->entry->position, h->entry->version, &events);
	return r < 0 ? READY_ERROR : events;
}

static void poll_try(struct waiters *w, struct poll_item *p)
{
	struct fuse_pollhandle *ph = NULL;
	struct handle *h = NULL;
	uint32_t wanted = 0;

	lock_acquire(&w->lock);
	if (p->ph && p->handle) {
		h = p->handle;
		wanted = p->events | READY_END | READY_ERROR;
	}
	lock_release(&w->lock);
	if (!h)
		return;
	/* The handle stays: poll_forget waits until this item is not running. */
	bool due = item_watch(w, &p->item) < 0 || (poll_ready(h) & wanted);
	if (!due)
		return;
	lock_acquire(&w->lock);
	ph = TAKE_PTR(p->ph);
	lock_release(&w->lock);
	if (ph) {
		fuse_lowlevel_notify_poll(ph);
		fuse_pollhandle_destroy(ph);
	}
}

int poll_watch(struct handle *h, struct fuse_pollhandle *ph, uint32_t events)
{
	struct waiters *w = h->fs->waiters;
	struct fuse_pollhandle *old;
	struct poll_item *fresh = calloc(1, sizeof(*fresh));

	if (!fresh) {
		fuse_pollhandle_destroy(ph);
		return -ENOMEM;
	}
	lock_acquire(&w->lock);
	struct poll_item *p = h->poll;
	if (!p) {
		p = TAKE_PTR(fresh);
		p->item.ino = h->entry->ino;
		p->handle = h;
		h->poll = p;
		item_add(w, &p->item);
	}
	old = p->ph;
	p->ph = ph;
	p->events = events;
	h->entry->poll_events = events;
	item_queue(w, &p->item);
	lock_release(&w->lock);
	if (old)
		fuse_pollhandle_destroy(old);
	free(fresh);
	return 0;
}

void poll_forget(struct handle *h)
{
	struct poll_item *p = h->poll;

	if (!p)
		return;
	struct waiters *w = p->item.waiters;
	lock_acquire(&w->lock);
	while (w->running == &p->item)
		lock_wait(&w->lock, &w->between);
	p->handle = NULL;
	h->poll = NULL;
	struct fuse_pollhandle *ph = TAKE_PTR(p->ph);
	item_queue(w, &p->item);       /* the thread frees it */
	lock_release(&w->lock);
	if (ph)
		fuse_pollhandle_destroy(ph);
}

/* ---- the thread ---- */

/* The first of the queue, for whoever has become the runner. The lock is held. */
static struct item *queue_first(struct waiters *w)
{
	struct item *i = w->ready_first;

	if (!i || w->ending)
		return NULL;
	w->ready_first = i->ready_next;
	if (!w->ready_first)
		w->ready_last = NULL;
	i->queued = false;
	w->running = i;
	return i;
}

static void run_done(struct waiters *w)                        /* the lock is held */
{
	w->running = NULL;
	pthread_cond_broadcast(&w->between);
}

static struct item *queue_next(struct waiters *w)
{
	LOCK_GUARD(&w->lock);
	run_done(w);
	return queue_first(w);
}

static void item_run(struct waiters *w, struct item *i)
{
	struct poll_item *p = (struct poll_item *)i;

	if (i->req) {
		request_try(w, i);
	} else if (p->handle) {
		poll_try(w, p);
	} else {
		item_remove(w, i);
		free(p);
	}
}

/* While a worker is the runner, the queue is its to empty. */
static struct item *queue_take(struct waiters *w)
{
	LOCK_GUARD(&w->lock);
	while ((!w->ready_first || w->running) && !w->ending) {
		if (w->stalled == 0)
			lock_wait(&w->lock, &w->wake);
		else if (lock_wait_ms(&w->lock, &w->wake, INTERRUPT_RECHECK_MS) == -ETIMEDOUT)
			queue_stalled(w);
	}
	return queue_first(w);
}

static void *waiters_main(void *arg)
{
	struct waiters *w = arg;
	struct item *i;

	while ((i = queue_take(w))) {
		for (; i; i = queue_next(w))
			item_run(w, i);
	}
	request_scratch_free();
	return NULL;
}

void wait_run_ready(struct fs *fs)
{
	struct waiters *w = fs->waiters;
	struct item *i;

	lock_acquire(&w->lock);
	i = w->running ? NULL : queue_first(w);
	lock_release(&w->lock);
	/* What is answered lies in its own slot, not in this worker's. */
	request.slot_taken = true;
	for (; i; i = queue_next(w))
		item_run(w, i);
}

int waiters_new(struct fs *fs, struct waiters **ret_waiters)
{
	struct waiters *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->fs = fs;
	/* A leaf: whoever changes an object may hold locks of his own when the watch calls back. */
	lock_init(&w->lock, "fs.waiters", LOCK_LEAF);
	pthread_cond_init(&w->wake, NULL);
	pthread_cond_init(&w->between, NULL);
	int r = pthread_create(&w->thread, NULL, waiters_main, w);
	if (r != 0) {
		free(w);
		return -r;
	}
	*ret_waiters = w;
	return 0;
}

void waiters_free(struct waiters *w)
{
	if (!w)
		return;
	lock_acquire(&w->lock);
	w->ending = true;
	pthread_cond_broadcast(&w->wake);
	lock_release(&w->lock);
	pthread_join(w->thread, NULL);
	while (w->all) {
		struct item *i = w->all;
		if (i->req)
			fuse_req_interrupt_func(i->req, NULL, NULL);
		item_remove(w, i);
		if (i->req) {
			i->done(i->arg);
			free(i);       /* its slot stays in use, its request unanswered */
			continue;
		}
		struct poll_item *p = (struct poll_item *)i;
		if (p->handle)
			p->handle->poll = NULL;
		if (p->ph)
			fuse_pollhandle_destroy(p->ph);
		free(p);
	}
	pthread_cond_destroy(&w->wake);
	pthread_cond_destroy(&w->between);
	lock_done(&w->lock);
	free(w);
}
