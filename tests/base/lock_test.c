/* base/lock: the order is checked, and what breaks it aborts with both names. */
#include "base/clock.h"
#include "base/error.h"
#include "base/lock.h"
#include "tests/base/child.h"
#include "tests/tap.h"

static struct lock low = LOCK_INIT("low", LOCK_SESSION);
static struct lock high = LOCK_INIT("high", LOCK_STORE);
static struct lock left = LOCK_INIT("left", LOCK_OBJECT);
static struct lock right = LOCK_INIT("right", LOCK_OBJECT);
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void in_order(void *unused)
{
	(void)unused;
	lock_acquire(&low);
	lock_acquire_pair(&right, &left);
	lock_acquire(&high);
	lock_release(&right);   /* any order of release */
	lock_release(&low);
	lock_release(&high);
	lock_release(&left);
	lock_acquire(&low);
	{
		LOCK_GUARD(&high);
	}
	lock_acquire(&high);
	lock_release(&high);
	lock_release(&low);
}

static void out_of_order(void *unused)
{
	(void)unused;
	lock_acquire(&high);
	lock_acquire(&low);
}

static void same_rank(void *unused)
{
	(void)unused;
	lock_acquire(&left);
	lock_acquire(&right);
}

static void twice(void *unused)
{
	(void)unused;
	lock_acquire(&low);
	lock_acquire(&low);
}

static void release_of_another(void *unused)
{
	(void)unused;
	lock_release(&low);
}

static void wait_with_another(void *unused)
{
	(void)unused;
	lock_acquire(&low);
	lock_acquire(&high);
	lock_wait(&high, &condition);
}

static void pair_below_a_held_lock(void *unused)
{
	(void)unused;
	lock_acquire(&high);
	lock_acquire_pair(&left, &right);
}

static const struct { const char *name; void (*run)(void *); const char *said; } violations[] = {
	{ "a lower rank under a higher one", out_of_order, "lock low (rank 10): taken out of order; held: high (80)\n" },
	{ "two locks of one rank", same_rank, "lock right (rank 30): taken out of order; held: left (30)\n" },
	{ "one lock twice", twice, "lock low (rank 10): taken twice by one thread; held: low (10)\n" },
	{ "releasing a lock not held", release_of_another, "lock low (rank 10): released, but not held by this thread\n" },
	{ "waiting with a second lock", wait_with_another, "lock high (rank 80): waited under, but it is not the only lock held; held: low (10), high (80)\n" },
	{ "a pair under a higher rank", pair_below_a_held_lock, "lock left (rank 30): taken out of order; held: high (80)\n" },
};

static int turn;

static void *answer(void *unused)
{
	lock_acquire(&low);
	while (turn != 1)
		lock_wait(&low, &condition);
	turn = 2;
	pthread_cond_broadcast(&condition);
	lock_release(&low);
	return unused;
}

static void waiting_releases_and_takes_again(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, answer, NULL);
	lock_acquire(&low);
	turn = 1;
	pthread_cond_broadcast(&condition);
	while (turn != 2)
		lock_wait(&low, &condition);
	ok(true, "two threads take turns under one lock");

	int64_t start = clock_boot_ns(&clock_system);
	is_int(lock_wait_ms(&low, &condition, 20), -ETIMEDOUT, "a wait ends at its time");
	int64_t waited = clock_boot_ns(&clock_system) - start;
	ok(waited >= 19 * NS_PER_MS, "not before (%" PRId64 " ns)", waited);
	lock_release(&low);
	pthread_join(thread, NULL);
}

int main(void)
{
	char said[512];

	is_int(child_run(in_order, NULL, said, sizeof(said)), 0, "rising ranks, a pair, any release: allowed %s", said);
#ifndef NDEBUG
	for (size_t i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
		int status = child_run(violations[i].run, NULL, said, sizeof(said));
		ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "aborts: %s", violations[i].name);
		/* a sanitizer may add lines of its own */
		said[strcspn(said, "\n") + 1] = '\0';
		is_str(said, violations[i].said, "and says: %s", violations[i].name);
	}
#else
	(void)violations;
	skip("violations abort", "built without assertions");
#endif
	waiting_releases_and_takes_again();
	struct lock made;
	lock_init(&made, "made", LOCK_LEAF);
	lock_acquire(&made);
	lock_release(&made);
	lock_done(&made);
	return done_testing();
}
