/* The lease table: conflicts, epochs, expiry, the quiet time, reclaiming, fencing. */
#include <errno.h>

#include "base/random.h"
#include "cluster/lease.h"
#include "tests/tap.h"

#define MS 1000000LL
enum { A = 1, B = 2, C = 3 };

static struct lease_conflict conflicts[4];
static size_t count;

static struct lease_table *table(int64_t quiet_until_ns, size_t max)
{
	struct lease_table *t;

	is_int(lease_table_new(5, 0, quiet_until_ns, max, &t), 0, "a table in term 5");
	for (uint64_t node = A; node <= C; node++)
		is_int(lease_renew(t, node, 0), 0, "node %d has a session until 600 ms", (int)node);
	return t;
}

static int acquire(struct lease_table *t, uint64_t ino, uint64_t node, enum lease_mode mode, int64_t now_ns, struct lease_epoch *e)
{
	count = 4;
	return lease_acquire(t, ino, node, mode, now_ns, e, conflicts, &count);
}

static void which_modes_conflict(void)
{
	static const struct { enum lease_mode held, wanted; int result; } cases[] = {
		{ LEASE_SHARED, LEASE_SHARED, 0 }, { LEASE_SHARED, LEASE_EXCLUSIVE, -EBUSY }, { LEASE_SHARED, LEASE_MODIFIED, -EBUSY },
		{ LEASE_EXCLUSIVE, LEASE_SHARED, -EBUSY }, { LEASE_EXCLUSIVE, LEASE_EXCLUSIVE, -EBUSY }, { LEASE_EXCLUSIVE, LEASE_MODIFIED, -EBUSY },
		{ LEASE_MODIFIED, LEASE_SHARED, -EBUSY }, { LEASE_MODIFIED, LEASE_EXCLUSIVE, -EBUSY }, { LEASE_MODIFIED, LEASE_MODIFIED, -EBUSY },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lease_table *t = table(0, 100);
		struct lease_epoch e, f;
		is_int(acquire(t, 7, A, cases[i].held, 0, &e), 0, "A gets mode %d", (int)cases[i].held);
		is_int(acquire(t, 7, B, cases[i].wanted, 0, &f), cases[i].result, "B wants mode %d", (int)cases[i].wanted);
		if (cases[i].result == -EBUSY) {
			ok(count == 1 && conflicts[0].node == A && conflicts[0].mode == cases[i].held && conflicts[0].expires_ns == 600 * MS,
				"and is told who has it, how, and until when");
			is_int(lease_release(t, 7, A, conflicts[0].epoch), 0, "A gives it up");
			is_int(acquire(t, 7, B, cases[i].wanted, 0, &f), 0, "then B gets it");
		}
		is_int(acquire(t, 8, B, LEASE_MODIFIED, 0, &f), 0, "another object is another matter");
		lease_table_free(t);
	}
}

static void many_conflicts_are_counted(void)
{
	struct lease_table *t = table(0, 100);
	struct lease_epoch e;

	acquire(t, 7, A, LEASE_SHARED, 0, &e);
	acquire(t, 7, B, LEASE_SHARED, 0, &e);
	count = 1;
	is_int(lease_acquire(t, 7, C, LEASE_EXCLUSIVE, 0, &e, conflicts, &count), -EBUSY, "two stand in the way");
	is_int(count, 2, "both are counted, with room for one");
	is_int(lease_mode_of(t, 7, C), LEASE_INVALID, "nothing is granted");
	is_int(lease_mode_of(t, 7, A), LEASE_SHARED, "nothing is taken");
	lease_table_free(t);
}

static void epochs(void)
{
	struct lease_table *t = table(0, 100);
	struct lease_epoch shared, exclusive, modified, again, other;

	acquire(t, 7, A, LEASE_SHARED, 0, &shared);
	ok(shared.term == 5 && shared.counter > 0, "an epoch is of the leader's term");
	is_int(acquire(t, 7, A, LEASE_EXCLUSIVE, 0, &exclusive), 0, "Shared becomes Exclusive");
	ok(exclusive.counter > shared.counter, "under a new epoch");
	ok(!lease_valid(t, 7, A, shared, LEASE_SHARED, 0), "the old one is worth nothing");
	is_int(acquire(t, 7, A, LEASE_MODIFIED, 0, &modified), 0, "Exclusive becomes Modified");
	ok(modified.counter == exclusive.counter, "under the same epoch");
	is_int(acquire(t, 7, A, LEASE_SHARED, 0, &again), 0, "who has more gets less");
	ok(again.counter == exclusive.counter && lease_mode_of(t, 7, A) == LEASE_MODIFIED, "and keeps what he has");
	is_int(lease_release(t, 7, A, shared), -ESTALE, "a release under an old epoch releases nothing");
	is_int(lease_release(t, 7, A, modified), 0, "one under the right epoch does");
	is_int(lease_release(t, 7, A, modified), -ESTALE, "once");
	is_int(lease_count(t), 0, "nothing is left");
	acquire(t, 7, A, LEASE_SHARED, 0, &again);
	acquire(t, 7, B, LEASE_SHARED, 0, &other);
	ok(again.counter > modified.counter && other.counter > again.counter, "no epoch comes twice");
	lease_table_free(t);
}

static void expiry_and_fencing(void)
{
	struct lease_table *t = table(0, 100);
	struct lease_epoch a, b;

	acquire(t, 7, A, LEASE_MODIFIED, 0, &a);
	ok(lease_valid(t, 7, A, a, LEASE_MODIFIED, 599 * MS), "valid to the last moment");
	ok(!lease_valid(t, 7, A, a, LEASE_MODIFIED, 600 * MS), "and not at it");
	is_int(lease_renew(t, A, 100 * MS), 0, "a renewal");
	ok(lease_valid(t, 7, A, a, LEASE_MODIFIED, 699 * MS), "prolongs all the node's leases");
	is_int(lease_renew(t, A, 50 * MS), 0, "one that was sent earlier and comes later");
	ok(lease_valid(t, 7, A, a, LEASE_MODIFIED, 699 * MS), "shortens nothing");
	is_int(acquire(t, 8, A, LEASE_SHARED, 700 * MS, &b), -ESTALE, "without a session nothing is granted");
	ok(lease_stands(t, 7, A, a, LEASE_MODIFIED), "an expired lease stands");
	is_int(lease_renew(t, A, 800 * MS), 0, "its holder comes back");
	ok(lease_valid(t, 7, A, a, LEASE_MODIFIED, 900 * MS), "nobody has conflicted: it goes on under its epoch");
	is_int(lease_renew(t, B, 1500 * MS), 0, "B has a session");
	is_int(acquire(t, 7, B, LEASE_MODIFIED, 1399 * MS, &b), -EBUSY, "B wants it before A's session ends");
	is_int(acquire(t, 7, B, LEASE_MODIFIED, 1400 * MS, &b), 0, "and gets it when it has ended");
	lease_renew(t, A, 1500 * MS);
	ok(!lease_stands(t, 7, A, a, LEASE_SHARED), "A comes back late: its epoch is gone");
	ok(lease_valid(t, 7, B, b, LEASE_MODIFIED, 1600 * MS), "B has it");
	lease_table_free(t);
}

static void an_unknown_node_has_no_session(void)
{
	struct lease_table *t = table(0, 100);
	struct lease_epoch e;

	is_int(acquire(t, 7, 99, LEASE_SHARED, 0, &e), -ESTALE, "a node that was never renewed gets nothing");
	is_int(acquire(t, 7, A, LEASE_INVALID, 0, &e), -EINVAL, "Invalid is not granted");
	lease_table_free(t);
}

static void the_quiet_time(void)
{
	struct lease_table *t = table(500 * MS, 100);
	struct lease_epoch old = { .term = 4, .counter = 9 }, other = { .term = 4, .counter = 3 }, e;

	is_int(acquire(t, 7, B, LEASE_SHARED, 499 * MS, &e), -EAGAIN, "nothing new is granted in the quiet time");
	is_int(lease_reclaim(t, 7, A, LEASE_MODIFIED, old, 100 * MS), 0, "A reclaims");
	is_int(lease_reclaim(t, 7, A, LEASE_MODIFIED, old, 100 * MS), 0, "twice, as its message may come twice");
	is_int(lease_reclaim(t, 7, A, LEASE_MODIFIED, other, 100 * MS), -ESTALE, "but not under another epoch");
	is_int(lease_reclaim(t, 7, B, LEASE_SHARED, other, 100 * MS), -EBUSY, "B contradicts");
	is_int(lease_reclaim(t, 8, B, LEASE_SHARED, (struct lease_epoch){ .term = 5, .counter = 1 }, 100 * MS), -ESTALE, "an epoch of this term was never granted");
	is_int(lease_reclaim(t, 8, B, LEASE_SHARED, other, 100 * MS), 0, "B reclaims another");
	is_int(lease_reclaim(t, 8, C, LEASE_SHARED, other, 100 * MS), 0, "C shares it");
	ok(lease_valid(t, 7, A, old, LEASE_MODIFIED, 400 * MS), "what was reclaimed is valid under its old epoch");
	is_int(acquire(t, 7, A, LEASE_SHARED, 400 * MS, &e), 0, "and its holder may ask again");
	ok(e.term == 4 && e.counter == 9, "for the same");
	is_int(lease_reclaim(t, 9, A, LEASE_SHARED, old, 500 * MS), -ESTALE, "when the quiet time is over, so is reclaiming");
	is_int(acquire(t, 9, B, LEASE_EXCLUSIVE, 500 * MS, &e), 0, "and others are granted");
	is_int(acquire(t, 7, B, LEASE_EXCLUSIVE, 500 * MS, &e), -EBUSY, "but not against what was reclaimed");
	lease_table_free(t);
}

static void the_table_is_bounded(void)
{
	struct lease_table *t = table(0, 3);
	struct lease_epoch e;

	for (uint64_t ino = 1; ino <= 3; ino++)
		is_int(acquire(t, ino, A, LEASE_SHARED, 0, &e), 0, "lease %d of 3", (int)ino);
	is_int(acquire(t, 4, B, LEASE_SHARED, 0, &e), -ENOSPC, "a fourth does not fit");
	is_int(acquire(t, 1, A, LEASE_EXCLUSIVE, 0, &e), 0, "a stronger mode of one that is there does");
	lease_renew(t, B, 1000 * MS);
	is_int(acquire(t, 4, B, LEASE_SHARED, 1000 * MS, &e), 0, "expired leases make room");
	is_int(lease_count(t), 1, "all of them");
	lease_table_free(t);
}

/* Random requests against the one rule: who writes is alone. */
static void a_writer_is_alone(void)
{
	struct lease_table *t = table(0, 1000);
	struct lease_epoch held[4][10] = { 0 };
	struct random_seeded random;
	int64_t now_ns = 0;
	int together = 0, granted = 0;

	random_seeded_init(&random, 17);
	for (int i = 0; i < 100000; i++) {
		uint64_t node = 1 + random_below(&random.source, 3), ino = random_below(&random.source, 10);
		struct lease_epoch e;
		now_ns += (int64_t)random_below(&random.source, 100 * MS);
		if (random_below(&random.source, 3) == 0)
			lease_renew(t, node, now_ns);
		if (random_below(&random.source, 4) == 0)
			lease_release(t, ino, node, held[node][ino]);
		else if (acquire(t, ino, node, (enum lease_mode)(1 + random_below(&random.source, 3)), now_ns, &e) == 0)
			held[node][ino] = e, granted++;
		int holders = 0, writers = 0;
		for (uint64_t n = A; n <= C; n++) {
			holders += lease_stands(t, ino, n, held[n][ino], LEASE_SHARED);
			writers += lease_stands(t, ino, n, held[n][ino], LEASE_EXCLUSIVE);
		}
		together += writers > 0 && holders > 1;
	}
	ok(granted > 1000, "%d random requests are granted", granted);
	is_int(together, 0, "and whoever may write is alone");
	lease_table_free(t);
}

int main(void)
{
	which_modes_conflict();
	many_conflicts_are_counted();
	epochs();
	expiry_and_fencing();
	an_unknown_node_has_no_session();
	the_quiet_time();
	the_table_is_bounded();
	a_writer_is_alone();
	return done_testing();
}
