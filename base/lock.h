/* Locks with names and one order. A thread may take a lock only of a higher rank than those it holds; builds with
 * assertions check it. The ranks, lowest first, are the order of acquisition: */
#ifndef DIOS_BASE_LOCK_H
#define DIOS_BASE_LOCK_H

#include <pthread.h>
#include <stdint.h>

enum lock_rank {
	LOCK_SESSION = 10,     /* fs: mount state, handle table */
	LOCK_HANDLE = 15,      /* fs: one open descriptor's position and version */
	LOCK_TASKS = 20,       /* tasks: table of running tasks */
	LOCK_REAP = 25,        /* objects: freeing unlinked objects, one batch at a time */
	LOCK_OBJECT = 30,      /* objects: one object's memory state (two at once only in ascending inode order, with lock_acquire_pair) */
	LOCK_OBJECTS = 40,     /* objects: the table of objects in memory */
	LOCK_WATCH = 45,       /* objects: waiters */
	LOCK_STAGE = 50,       /* store: staging log */
	LOCK_SHARD = 60,       /* cluster: raft core, proposals, apply */
	LOCK_SYNC = 70,        /* cluster: group commit of the log */
	LOCK_LOG = 75,         /* store: log segments */
	LOCK_STORE = 80,       /* store: everything else */
	LOCK_LEAF = 100,       /* never holds another */
};

struct lock { pthread_mutex_t mutex; const char *name; int rank; };
#define LOCK_INIT(n, r) { .mutex = PTHREAD_MUTEX_INITIALIZER, .name = n, .rank = r }

void lock_init(struct lock *l, const char *name, enum lock_rank rank);
void lock_done(struct lock *l);
void lock_acquire(struct lock *l);
void lock_release(struct lock *l);
void lock_acquire_pair(struct lock *first, struct lock *second);   /* two different locks of one rank; the caller gives their order */
void lock_wait(struct lock *l, pthread_cond_t *condition);   /* releases l while waiting; no other lock may be held */
int lock_wait_ms(struct lock *l, pthread_cond_t *condition, int64_t timeout_ms);   /* the same; 0, or -ETIMEDOUT */

static inline void cleanup_lock_impl(struct lock **l) { if (*l) lock_release(*l); }
#define LOCK_GUARD(l) struct lock *_guard __attribute__((cleanup(cleanup_lock_impl), unused)) = (lock_acquire(l), (l))

#endif
