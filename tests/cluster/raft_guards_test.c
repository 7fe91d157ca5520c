/* The guards of cluster/raft.h, one by one: each case is one in which libraft alone stalls, goes wrong or aborts. Those about members are
 * in raft_members_test.c. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cluster/raft_harness.h"
#include "tests/tap.h"

/* 1: the third member is dead; of the two others one has the longer log and the other the higher term. */
static void guard_1_a_rejected_pre_vote_tells_the_voters_term(void)
{
	struct harness *h = harness_new(11);
	const uint64_t longer[] = { 1, 1, 1, 1 }, shorter[] = { 1 };

	harness_set_log(h, 1, 3, longer, 4);
	harness_set_log(h, 2, 9, shorter, 1);
	harness_start(h, 1);
	harness_start(h, 2);
	harness_run(h, 20000);
	is_int(harness_leader(h), 1, "guard 1: the member with the longer log leads");
	ok(harness_info(h, 1).term > 9, "guard 1: in a term above all");
	harness_free(h);
}

static void guard_5_an_anchor_inside_the_compacted_prefix(void)
{
	struct harness *h = harness_new(18);
	const uint64_t terms[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	_cleanup_buffer_ struct buffer command, first;
	struct raft_group_actions a;
	struct log_entry entries[12];

	buffer_init(&command, 100);
	buffer_append(&command, "new", 3);
	harness_encode(&first, "vvv");
	harness_set_log(h, 1, 1, terms, 9);
	harness_start(h, 1);
	/* Indexes 1 to 10 are applied and compacted. */
	struct raft_group_message m = { .kind = RAFT_GROUP_APPEND, .from = 2, .term = 1, .append = { .prev_index = 10, .prev_term = 1, .commit_index = 10 } };
	is_int(harness_give(h, 1, m, &a), 0, "guard 5: the leader says that ten entries are committed");
	harness_act(h, 1, &a);
	harness_compact(h, 1);
	is_int(h->node[1].base, 10, "guard 5: they are compacted");

	for (uint64_t i = 1; i <= 12; i++)
		entries[i - 1] = harness_log_entry(i, 1, i == 1 ? RAFT_GROUP_CHANGE : RAFT_GROUP_COMMAND, i == 1 ? &first : &command);
	m.append.prev_index = 4;
	m.append.count = 7;
	m.append.entries = entries + 4;
	is_int(harness_give(h, 1, m, &a), 0, "guard 5: a message that begins inside them");
	is_int(a.entry_count, 1, "guard 5: its one new entry is taken");
	is_int(a.entries[0].index, 11, "guard 5: with its index");
	harness_act(h, 1, &a);

	m.append.prev_index = m.append.prev_term = 0;
	m.append.count = 12;
	m.append.entries = entries;
	is_int(harness_give(h, 1, m, &a), 0, "guard 5: a message from the very beginning");
	is_int(a.entry_count, 1, "guard 5: its one new entry is taken");
	harness_act(h, 1, &a);

	m.append.prev_index = 4;
	m.append.prev_term = 1;
	m.append.count = 3;
	m.append.entries = entries + 4;
	is_int(harness_give(h, 1, m, &a), 0, "guard 5: a message that lies wholly inside");
	const struct raft_group_message *reply = harness_find(&a, RAFT_GROUP_APPEND_RESULT, 2);
	ok(reply && reply->append_result.rejected == 0 && reply->append_result.last_index == 10, "guard 5: is acknowledged up to the snapshot");
	harness_act(h, 1, &a);
	is_int(harness_last_index(h, 1), 12, "guard 5: nothing is lost or doubled");
	harness_free(h);
}

static void guard_6_stale_rejections_are_dropped(void)
{
	struct harness *h = harness_three_voters(19);
	uint64_t leader = harness_leader(h), other = leader == 1 ? 2 : 1, match = 0;
	struct raft_group_actions a;

	for (int i = 0; i < 10; i++)
		harness_propose(h, leader, "work");
	harness_deliver(h);
	is_int(raft_group_match_index(h->node[leader].group, other, &match), 0, "guard 6: what a member has");
	is_int(match, harness_last_index(h, leader), "guard 6: is everything");
	uint64_t term = harness_info(h, leader).term;

	/* Silence makes the leader probe: then it takes a rejection for an answer to its last message. */
	harness_isolate(h, other, true);
	harness_run(h, 3000);
	for (uint64_t rejected = 1; rejected <= match + 1; rejected++) {
		for (uint64_t last = 0; last < rejected && last < match; last++) {
			struct raft_group_message m = { .kind = RAFT_GROUP_APPEND_RESULT, .from = other, .term = term,
				.append_result = { .rejected = rejected, .last_index = last } };
			if (harness_give(h, leader, m, &a) == 0)
				harness_act(h, leader, &a);
		}
	}
	uint64_t after = 0;
	raft_group_match_index(h->node[leader].group, other, &after);
	is_int(after, match, "guard 6: old rejections change nothing");
	harness_isolate(h, other, false);
	harness_run(h, 3000);
	ok(harness_leader(h) != 0 && harness_propose(h, harness_leader(h), "more") == 0, "guard 6: work goes on");
	harness_deliver(h);
	is_int(harness_last_index(h, other), harness_last_index(h, harness_leader(h)), "guard 6: and arrives there too");
	harness_free(h);
}

/* Runs f in a child, and says whether an assertion ended it. */
static bool asserts(void (*f)(struct harness *), struct harness *h)
{
	int status;
	fflush(stdout);
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		f(h);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void time_goes_back(struct harness *h)
{
	struct raft_group_actions a;
	raft_group_tick(h->node[1].group, h->now_ms, &a);
	raft_group_tick(h->node[1].group, h->now_ms - 1, &a);
}

static void time_stands_still(struct harness *h)
{
	struct raft_group_actions a;
	raft_group_tick(h->node[1].group, h->now_ms, &a);
}

static void persisted_twice(struct harness *h)
{
	struct raft_group_actions a;
	uint64_t leader = harness_leader(h), index = harness_last_index(h, leader);
	raft_group_persisted(h->node[leader].group, h->now_ms, index, h->node[leader].held_ticket, &a);
}

static void persisted_before_it_exists(struct harness *h)
{
	struct raft_group_actions a;
	uint64_t leader = harness_leader(h), index = harness_last_index(h, leader);
	raft_group_persisted(h->node[leader].group, h->now_ms, index + 1, h->node[leader].held_ticket, &a);
}

static void guard_9_time_and_persisted_indexes_only_grow(void)
{
	struct harness *h = harness_three_voters(22);

	harness_propose(h, harness_leader(h), "work");
	harness_deliver(h);
	harness_run(h, 10);
	ok(asserts(time_goes_back, h), "guard 9: time that goes back is asserted");
	ok(!asserts(time_stands_still, h), "guard 9: time that stands still is not");
	ok(asserts(persisted_twice, h), "guard 9: an index persisted twice is");
	ok(asserts(persisted_before_it_exists, h), "guard 9: one that does not exist is");
	harness_free(h);
}

/* A ticket that was overtaken: the entries were cut, and others stand at their indexes, before the disk had them. */
static void guard_9_overtaken_tickets_are_ignored(void)
{
	struct harness *h = harness_new(23);
	struct raft_group_members members = harness_members("vvv");
	_cleanup_buffer_ struct buffer command;
	struct raft_group_actions a;

	buffer_init(&command, 100);
	buffer_append(&command, "command", 7);
	harness_bootstrap(h, 1, &members);
	struct log_entry two[] = { harness_log_entry(2, 2, RAFT_GROUP_COMMAND, &command), harness_log_entry(3, 2, RAFT_GROUP_COMMAND, &command) };
	struct raft_group_message m = { .kind = RAFT_GROUP_APPEND, .from = 2, .term = 2,
		.append = { .prev_index = 1, .prev_term = 1, .commit_index = 1, .count = 2, .entries = two } };
	harness_give(h, 1, m, &a);
	uint64_t old = a.ticket;
	two[0].term = two[1].term = m.term = 3;
	m.from = 3;
	harness_give(h, 1, m, &a);
	is_int(a.cut_from, 2, "guard 9: entries are cut before the disk has them");
	uint64_t new = a.ticket;
	is_int(raft_group_persisted(h->node[1].group, h->now_ms, 3, old, &a), 0, "guard 9: word of the old ones comes late");
	ok(!harness_find(&a, RAFT_GROUP_APPEND_RESULT, 3), "guard 9: and is not taken for the new ones");
	is_int(raft_group_persisted(h->node[1].group, h->now_ms, 3, new, &a), 0, "guard 9: then the new ones are there");
	const struct raft_group_message *reply = harness_find(&a, RAFT_GROUP_APPEND_RESULT, 3);
	ok(reply && reply->append_result.last_index == 3, "guard 9: and are acknowledged");
	harness_free(h);
}

static void guard_10_new_entries_do_not_wait_for_a_heartbeat(void)
{
	uint64_t leader;
	struct harness *h = harness_three_and_standby(26, &leader);
	int late = 0;

	/* Idle times of all lengths, so that heartbeats get out of step. */
	for (int i = 0; i < 200; i++) {
		harness_run(h, 10 * (1 + (int64_t)random_below(&h->random.source, 60)));
		harness_propose(h, leader, "work");
		harness_deliver(h);
		for (uint64_t id = 1; id <= 4; id++)
			late += harness_last_index(h, id) != harness_last_index(h, leader);
	}
	is_int(late, 0, "guard 10: everybody has each entry at once");
	is_int(harness_info(h, leader).commit_index, harness_last_index(h, leader), "guard 10: and it is committed");
	harness_free(h);
}

static void guard_11_the_commit_index_never_falls(void)
{
	struct harness *h = harness_new(29);
	struct raft_group_members members = harness_members("vvv");
	_cleanup_buffer_ struct buffer command;
	struct raft_group_actions a;
	struct log_entry entries[5];

	buffer_init(&command, 100);
	buffer_append(&command, "command", 7);
	harness_bootstrap(h, 1, &members);
	for (uint64_t i = 0; i < 5; i++)
		entries[i] = harness_log_entry(2 + i, 2, RAFT_GROUP_COMMAND, &command);
	struct raft_group_message m = { .kind = RAFT_GROUP_APPEND, .from = 2, .term = 2,
		.append = { .prev_index = 1, .prev_term = 1, .commit_index = 5, .count = 5, .entries = entries } };
	harness_give(h, 1, m, &a);
	is_int(a.commit_index, 5, "guard 11: entries up to 5 are committed");
	harness_act(h, 1, &a);
	m.append.commit_index = 6;
	m.append.count = 1;
	is_int(harness_give(h, 1, m, &a), 0, "guard 11: the leader repeats the first of them, and knows more by now");
	is_int(a.commit_index, 5, "guard 11: what is committed stays so");
	harness_free(h);
}

static void a_sole_voter_starts_in_a_new_term(void)
{
	struct harness *h = harness_new(24);
	struct raft_group_members members = harness_members("v");
	uint64_t terms[4];

	harness_bootstrap(h, 1, &members);
	for (int i = 0; i < 4; i++) {
		ok(harness_info(h, 1).is_leader, "a sole voter leads at once");
		ok(raft_group_alone(h->node[1].group), "and is alone");
		is_int(harness_info(h, 1).commit_index, harness_last_index(h, 1), "its barrier is committed");
		terms[i] = harness_info(h, 1).term;
		if (i > 0)
			ok(terms[i] > terms[i - 1], "each start has a new term");
		is_int(h->node[1].term, terms[i], "which is saved");
		harness_crash(h, 1);
		harness_start(h, 1);
	}
	harness_free(h);
}

static void uncommitted_entries_are_bounded(void)
{
	struct harness *h = harness_three_voters(25);
	uint64_t leader = harness_leader(h);
	struct raft_group_actions a;
	static uint8_t big[2 << 20];
	struct slice command = { .data = big, .size = sizeof(big) };
	int proposed = 0, r = 0;

	harness_deliver(h);
	for (uint64_t i = 1; i <= 3; i++)
		harness_isolate(h, i, true);
	while (proposed < 10000 && (r = harness_propose(h, leader, "x")) == 0)
		proposed++;
	is_int(r, -EAGAIN, "a leader that can't commit refuses more");
	is_int(proposed, RAFT_GROUP_UNCOMMITTED_MAX, "at the bound on entries");
	for (uint64_t i = 1; i <= 3; i++)
		harness_isolate(h, i, false);
	harness_run(h, 5000);
	leader = harness_leader(h);
	is_int(harness_propose(h, leader, "x"), 0, "and takes work again when it can");
	harness_deliver(h);
	for (uint64_t i = 1; i <= 3; i++)
		harness_isolate(h, i, true);
	proposed = 0;
	while (proposed < 100 && (r = raft_group_propose(h->node[leader].group, h->now_ms, &command, 1, &a)) == 0) {
		harness_act(h, leader, &a);
		proposed++;
	}
	is_int(r, -EAGAIN, "it refuses more");
	is_int(proposed, RAFT_GROUP_UNCOMMITTED_BYTES / sizeof(big), "at the bound on bytes too");
	harness_free(h);
}

int main(void)
{
	guard_1_a_rejected_pre_vote_tells_the_voters_term();
	guard_5_an_anchor_inside_the_compacted_prefix();
	guard_6_stale_rejections_are_dropped();
	guard_9_time_and_persisted_indexes_only_grow();
	guard_9_overtaken_tickets_are_ignored();
	guard_10_new_entries_do_not_wait_for_a_heartbeat();
	guard_11_the_commit_index_never_falls();
	a_sole_voter_starts_in_a_new_term();
	uncommitted_entries_are_bounded();
	return done_testing();
}
