/* Ranked locks. Each thread keeps the list of the locks that it holds, in order of acquisition; ranks in it grow
 * strictly, except for the second lock of a pair. A violation is a bug that would deadlock one day: it aborts and names both. */
#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/lock.h"

#ifndef NDEBUG

#define LOCKS_HELD_MAX 16   /* more than there are ranks, with a pair */

static _Thread_local struct lock *held[LOCKS_HELD_MAX];
static _Thread_local int held_count;

static void lock_complain(const struct lock *l, const char *what)
{
	fprintf(stderr, "lock %s (rank %d): %s", l->name, l->rank, what);
	for (int i = 0; i < held_count; i++)
		fprintf(stderr, "%s %s (%d)", i ? "," : "; held:", held[i]->name, held[i]->rank);
	fputc('\n', stderr);
	abort();
}

/* `pair` allows the same rank as the last lock taken. Checked before waiting, so that the report comes instead of the deadlock. */
static void held_check(const struct lock *l, int pair)
{
	for (int i = 0; i < held_count; i++)
		if (held[i] == l)
			lock_complain(l, "taken twice by one thread");
	if (held_count == LOCKS_HELD_MAX)
		lock_complain(l, "too many locks held");
	if (held_count > 0 && l->rank < held[held_count - 1]->rank + !pair)
		lock_complain(l, "taken out of order");
}

static void held_push(struct lock *l)
{
	held[held_count++] = l;
}

static void held_remove(struct lock *l)
{
	int i = held_count - 1;

	while (i >= 0 && held[i] != l)
		i--;
	if (i < 0)
		lock_complain(l, "released, but not held by this thread");
	for (held_count--; i < held_count; i++)
		held[i] = held[i + 1];
}

static void held_check_alone(struct lock *l)
{
	if (held_count != 1 || held[0] != l)
		lock_complain(l, "waited under, but it is not the only lock held");
}

#else

static void held_check(const struct lock *l, int pair) { (void)l; (void)pair; }
static void held_push(struct lock *l) { (void)l; }
static void held_remove(struct lock *l) { (void)l; }
static void held_check_alone(struct lock *l) { (void)l; }

#endif

static void mutex_check(int error)
{
	assert(error == 0);
	(void)error;
}

void lock_init(struct lock *l, const char *name, enum lock_rank rank)
{
	l->name = name;
	l->rank = rank;
	/* Most are held for less time than it takes to sleep and be woken: who waits looks for a moment first. */
	pthread_mutexattr_t attributes;
	mutex_check(pthread_mutexattr_init(&attributes));
	mutex_check(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP));
	mutex_check(pthread_mutex_init(&l->mutex, &attributes));
	mutex_check(pthread_mutexattr_destroy(&attributes));
}

void lock_done(struct lock *l)
{
	mutex_check(pthread_mutex_destroy(&l->mutex));
}

void lock_acquire(struct lock *l)
{
	held_check(l, 0);
	mutex_check(pthread_mutex_lock(&l->mutex));
	held_push(l);
}

void lock_acquire_pair(struct lock *first, struct lock *second)
{
	assert(first != second && first->rank == second->rank);
	lock_acquire(first);
	held_check(second, 1);
	mutex_check(pthread_mutex_lock(&second->mutex));
	held_push(second);
}

void lock_release(struct lock *l)
{
	held_remove(l);
	mutex_check(pthread_mutex_unlock(&l->mutex));
}

void lock_wait(struct lock *l, pthread_cond_t *condition)
{
	held_check_alone(l);
	mutex_check(pthread_cond_wait(condition, &l->mutex));
}

int lock_wait_ms(struct lock *l, pthread_cond_t *condition, int64_t timeout_ms)
{
	struct timespec deadline;

	assert(timeout_ms >= 0);
	held_check_alone(l);
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	int64_t ns = deadline.tv_nsec + timeout_ms % 1000 * NS_PER_MS;
	deadline.tv_sec += (time_t)(timeout_ms / 1000 + ns / NS_PER_SECOND);
	deadline.tv_nsec = (long)(ns % NS_PER_SECOND);

	int error = pthread_cond_clockwait(condition, &l->mutex, CLOCK_MONOTONIC, &deadline);
	assert(error == 0 || error == ETIMEDOUT);
	return -error;
}
