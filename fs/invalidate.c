/* The notifier: a queue and the one thread that empties it. What fails is not an error: ENOENT says that the kernel knows nothing of
 * the node or name, ENODEV that the mount is ending.
 *
 * Where nothing is to be waited for, its thread is not woken: an answer that promises what the queue has done already, and attributes of a
 * node that the request holds open. The kernel forgets those under no lock but its own short one.
 *
 * What is queued of a node is in the shared memory too (fs/forget.h). For most requests that would not be needed, as they are answered after the kernel
 * has forgotten, and done again otherwise; but some can only be followed by it (an append that the kernel put elsewhere), and attributes are not
 * waited for. Names need it not: who makes one is answered later. */
#include <limits.h>
#include <string.h>

#include "base/counter.h"
#include "base/fault.h"
#include "base/log.h"
#include "fs/forget.h"
#include "fs/invalidate.h"
#include "fs/pages.h"

#define SPARE_NOTES 256u   /* for when there is no memory: an invalidation that gets lost leaves old pages in the kernel for good */

#define SEND_AGAIN 3u      /* times: the kernel may have no memory for it at that moment, and nobody else will ask it to forget */

enum note_kind { NOTE_NODE, NOTE_ENTRY, NOTE_THEN };

struct note {
	struct note *next;
	enum note_kind kind;
	uint64_t node;
	bool content;               /* NOTE_NODE: its pages too, not attributes alone */
	void (*then)(void *arg, fuse_req_t req);
	void *arg;
	fuse_req_t req;
	struct slot_ref slot;
	uint32_t place;             /* NOTE_NODE: where the next daemon finds it (fs/forget.h) */
	bool is_spare;
	size_t name_size;
	char name[NAME_MAX + 1];
};

struct notifier {
	struct fs *fs;
	pthread_t thread;
	struct lock lock;           /* guards the queue */
	pthread_cond_t wake;
	struct note *first, *last;
	bool busy;                  /* the thread is at work on one that is in the queue no more */
	struct note *spares;
	struct note *spare;         /* those that are free */
	bool ending;
	struct pages pages;
	uint32_t forget_hand;
};

/* The node that the request of this thread holds open; 0: none. */
static _Thread_local uint64_t held_node;

COUNTER(sent, "dios_fs_invalidations_total", "nodes and names that the kernel was told to forget");
COUNTER(direct, "dios_fs_invalidations_direct_total", "nodes of which only attributes were to be forgotten, without the notifier");
COUNTER(lost, "dios_fs_invalidations_lost_total", "invalidations that could not be queued or sent");

COUNTER(unkept, "dios_fs_invalidations_unkept_total", "invalidations that would have been lost with the daemon: too many were queued");

/* NULL: no memory, and no spare one is left. */
static struct note *note_new(struct notifier *q, enum note_kind kind, const char *name, size_t name_size)
{
	struct note *n = name_size <= NAME_MAX ? calloc(1, sizeof(*n)) : NULL;

	if (!n && name_size <= NAME_MAX) {
		LOCK_GUARD(&q->lock);
		n = q->spare;
		if (n) {
			q->spare = n->next;
			memset(n, 0, sizeof(*n));
			n->is_spare = true;
		}
	}
	if (!n) {
		counter_add(&lost, 1);
		return NULL;
	}
	n->kind = kind;
	n->place = FORGET_NONE;
	n->name_size = name_size;
	if (name_size > 0)
		memcpy(n->name, name, name_size);
	return n;
}

/* lock held. */
static void note_free(struct notifier *q, struct note *n)
{
	if (!n->is_spare) {
		free(n);
		return;
	}
	n->next = q->spare;
	q->spare = n;
}

static bool is_lost(int r)
{
	return r < 0 && r != -ENOENT && r != -ENODEV && r != -ENOTCONN && r != -ENOTDIR && r != -ENOSYS;
}

static void sent_was(uint64_t node, int r)
{
	if (is_lost(r)) {
		counter_add(&lost, 1);
		log_error("fs", "the kernel did not take an invalidation node=%llu errno=%d", (unsigned long long)node, -r);
	}
}

static int tell(struct fs *fs, const struct note *n)
{
	if (n->kind == NOTE_ENTRY)
		return fuse_lowlevel_notify_inval_entry(fs->session, n->node, n->name, n->name_size);
	return fuse_lowlevel_notify_inval_inode(fs->session, n->node, n->content ? 0 : -1, 0);
}

static void note_send(struct fs *fs, const struct note *n)
{
	counter_add(&sent, 1);
	if (n->kind == NOTE_NODE && n->content) {
		fault_point("fs.forget");
		pages_go(&fs->notifier->pages, n->node);
	}
	int r = tell(fs, n);
	for (unsigned again = 0; is_lost(r) && again < SEND_AGAIN; again++)
		r = tell(fs, n);
	sent_was(n->node, r);
}

static void note_finish(struct notifier *q, struct note *n)
{
	if (n->kind == NOTE_THEN) {
		request_resume(q->fs, n->slot);
		n->then(n->arg, n->req);
		request_suspend(q->fs, n->slot, false);
		slot_release(q->fs, n->slot);
	}
	LOCK_GUARD(&q->lock);
	forget_done(q->fs->region, &q->forget_hand, n->place);
	note_free(q, n);
}

static struct note *queue_take(struct notifier *q)
{
	LOCK_GUARD(&q->lock);
	q->busy = false;
	while (!q->first && !q->ending)
		lock_wait(&q->lock, &q->wake);
	if (q->ending)
		return NULL;
	struct note *n = q->first;
	q->first = n->next;
	if (!q->first)
		q->last = NULL;
	q->busy = true;
	return n;
}

static void *notifier_main(void *arg)
{
	struct notifier *q = arg;
	struct note *n;

	while ((n = queue_take(q))) {
		if (n->kind != NOTE_THEN)
			note_send(q->fs, n);
		note_finish(q, n);
	}
	return NULL;
}

int notifier_new(struct fs *fs, struct notifier **ret_notifier)
{
	struct notifier *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->spares = calloc(SPARE_NOTES, sizeof(*q->spares));
	if (!q->spares) {
		free(q);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < SPARE_NOTES; i++) {
		q->spares[i].next = q->spare;
		q->spare = &q->spares[i];
	}
	q->fs = fs;
	lock_init(&q->lock, "fs.notifier", LOCK_LEAF);
	pthread_cond_init(&q->wake, NULL);
	int r = pthread_create(&q->thread, NULL, notifier_main, q);
	if (r != 0) {
		free(q->spares);
		free(q);
		return -r;
	}
	*ret_notifier = q;
	return 0;
}

void notifier_free(struct notifier *q)
{
	if (!q)
		return;
	lock_acquire(&q->lock);
	q->ending = true;
	pthread_cond_broadcast(&q->wake);
	lock_release(&q->lock);
	pthread_join(q->thread, NULL);
	for (struct note *n = q->first, *next; n; n = next) {
		next = n->next;
		note_finish(q, n);
	}
	pthread_cond_destroy(&q->wake);
	lock_done(&q->lock);
	free(q->spares);
	free(q);
}

static bool note_covers(const struct note *a, const struct note *b)
{
	return a->kind == NOTE_NODE && b->kind == NOTE_NODE && a->node == b->node && a->content == b->content;
}

/* The next daemon does what this one has not done yet. */
static void note_keep(struct notifier *q, struct note *n)
{
	if (n->kind != NOTE_NODE || n->place != FORGET_NONE)
		return;
	n->place = forget_put(q->fs->region, &q->forget_hand, n->node, n->content);
	if (n->place == FORGET_NONE)
		counter_add(&unkept, 1);
}

/* Takes n. What the last queued note says already is not said twice. */
static void queue_put(struct notifier *q, struct note *n)
{
	LOCK_GUARD(&q->lock);
	if (q->last && note_covers(q->last, n)) {
		forget_done(q->fs->region, &q->forget_hand, n->place);
		note_free(q, n);
		return;
	}
	note_keep(q, n);
	if (q->last)
		q->last->next = n;
	else
		q->first = n;
	q->last = n;
	pthread_cond_signal(&q->wake);
}

/* place: where it is kept already, or FORGET_NONE. */
static void queue_node(struct fs *fs, uint64_t node, bool content, uint32_t place)
{
	struct note *n = note_new(fs->notifier, NOTE_NODE, NULL, 0);

	if (!n) {
		log_error("fs", "no memory: cached pages of a node may be old node=%llu", (unsigned long long)node);
		return;
	}
	n->node = node;
	n->content = content;
	n->place = place;
	queue_put(fs->notifier, n);
}

void invalidate_hold(uint64_t node) { held_node = node; }

void invalidate_pages_come(struct fs *fs, uint64_t node) { pages_come(&fs->notifier->pages, node); }

void invalidate_node(struct fs *fs, uint64_t node, bool content)
{
	bool pages = content && !pages_are_none(&fs->notifier->pages, node);

	if (pages || node != held_node) {
		queue_node(fs, node, pages, FORGET_NONE);
		return;
	}
	counter_add(&direct, 1);
	sent_was(node, fuse_lowlevel_notify_inval_inode(fs->session, node, -1, 0));
}

void invalidate_restored(struct fs *fs)
{
	uint64_t node;
	bool pages;

	for (uint32_t i = 0; i < fs->region->header->forgets_touched; i++)
		if (forget_get(fs->region, i, &node, &pages))
			queue_node(fs, node, pages, i);
}

void invalidate_entry(struct fs *fs, uint64_t parent, const char *name, size_t size)
{
	struct note *n = note_new(fs->notifier, NOTE_ENTRY, name, size);

	if (!n) {
		log_error("fs", "no memory: a cached name may be old directory=%llu", (unsigned long long)parent);
		return;
	}
	n->node = parent;
	queue_put(fs->notifier, n);
}

static bool queue_is_done(struct notifier *q)
{
	LOCK_GUARD(&q->lock);
	return !q->first && !q->busy;
}

void invalidate_then(fuse_req_t req, void (*then)(void *arg, fuse_req_t req), void *arg)
{
	struct fs *fs = fs_of(req);
	struct note *n = queue_is_done(fs->notifier) ? NULL : note_new(fs->notifier, NOTE_THEN, NULL, 0);

	if (!n) {
		then(arg, req);
		return;
	}
	n->then = then;
	n->arg = arg;
	n->req = req;
	n->slot = request_take_slot();
	queue_put(fs->notifier, n);
}
