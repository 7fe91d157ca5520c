/* The guards of cluster/raft.h about changes of members: where they are recorded, when they may be proposed, who hears of them first. */
#include "tests/cluster/raft_harness.h"
#include "tests/tap.h"

static void guard_2_a_change_is_recorded_where_it_is(void)
{
	struct harness *h = harness_new(12);
	struct raft_group_members members = harness_members("vvv");
	_cleanup_buffer_ struct buffer command, change, change2;
	struct raft_group_actions a;

	buffer_init(&command, 100);
	buffer_append(&command, "command", 7);
	harness_encode(&change, "vvvs");
	harness_encode(&change2, "vvvss");
	harness_bootstrap(h, 1, &members);
	struct log_entry entries[] = { harness_log_entry(2, 2, RAFT_GROUP_COMMAND, &command), harness_log_entry(3, 2, RAFT_GROUP_COMMAND, &command),
		harness_log_entry(4, 2, RAFT_GROUP_CHANGE, &change), harness_log_entry(5, 2, RAFT_GROUP_COMMAND, &command) };
	struct raft_group_message m = { .kind = RAFT_GROUP_APPEND, .from = 2, .term = 2,
		.append = { .prev_index = 1, .prev_term = 1, .commit_index = 1, .count = 4, .entries = entries } };
	is_int(harness_give(h, 1, m, &a), 0, "guard 2: four entries with a change in the middle");
	is_int(a.entry_count, 4, "guard 2: all are appended");
	harness_act(h, 1, &a);
	is_int(harness_info(h, 1).members_index, 4, "guard 2: the change is known at its own index");
	ok(!harness_info(h, 1).members_committed && harness_info(h, 1).members.count == 4, "guard 2: and not committed");

	/* The next change comes with a commit index that covers the first, and is undone by another leader. */
	struct log_entry next[] = { harness_log_entry(6, 2, RAFT_GROUP_COMMAND, &command), harness_log_entry(7, 2, RAFT_GROUP_CHANGE, &change2) };
	m.append.prev_index = 5;
	m.append.prev_term = 2;
	m.append.commit_index = 6;
	m.append.count = 2;
	m.append.entries = next;
	is_int(harness_give(h, 1, m, &a), 0, "guard 2: another change");
	harness_act(h, 1, &a);
	is_int(harness_info(h, 1).members.count, 5, "guard 2: is in force");
	struct log_entry other = harness_log_entry(7, 3, RAFT_GROUP_COMMAND, &command);
	m.term = 3;
	m.from = 3;
	m.append.prev_index = 6;
	m.append.count = 1;
	m.append.entries = &other;
	is_int(harness_give(h, 1, m, &a), 0, "guard 2: another leader overwrites it");
	is_int(a.cut_from, 7, "guard 2: the log is cut there");
	harness_act(h, 1, &a);
	is_int(harness_info(h, 1).members.count, 4, "guard 2: the members are those of the first change again");
	is_int(harness_info(h, 1).members_index, 4, "guard 2: which is committed at its own index");
	ok(harness_info(h, 1).members_committed, "guard 2: and stays so");
	harness_free(h);
}

static void guard_2_two_changes_in_one_message(void)
{
	struct harness *h = harness_new(12);
	struct raft_group_members members = harness_members("vvv");
	_cleanup_buffer_ struct buffer change, change2;
	struct raft_group_actions a;

	harness_encode(&change, "vvvs");
	harness_encode(&change2, "vvvss");
	harness_bootstrap(h, 1, &members);
	struct log_entry entries[] = { harness_log_entry(2, 2, RAFT_GROUP_CHANGE, &change), harness_log_entry(3, 2, RAFT_GROUP_CHANGE, &change2) };
	struct raft_group_message m = { .kind = RAFT_GROUP_APPEND, .from = 2, .term = 2,
		.append = { .prev_index = 1, .prev_term = 1, .commit_index = 2, .count = 2, .entries = entries } };
	is_int(harness_give(h, 1, m, &a), 0, "guard 2: two changes, the first committed");
	is_int(a.entry_count, 2, "guard 2: both are appended");
	harness_act(h, 1, &a);
	is_int(harness_info(h, 1).members_index, 3, "guard 2: the second is in force");
	harness_free(h);

	h = harness_new(12);
	harness_bootstrap(h, 1, &members);
	m.append.commit_index = 1;
	is_int(harness_give(h, 1, m, &a), 0, "guard 2: two changes, from a leader that does not know yet that the first is committed");
	is_int(a.entry_count, 2, "guard 2: both are appended");
	is_int(a.commit_index, 2, "guard 2: the second proves that the first is committed");
	harness_act(h, 1, &a);
	is_int(harness_info(h, 1).members_index, 3, "guard 2: the second is in force");
	struct log_entry other = harness_log_entry(3, 3, RAFT_GROUP_BARRIER, &(struct buffer){ 0 });
	m.term = 3;
	m.append.prev_index = 2;
	m.append.prev_term = 2;
	m.append.count = 1;
	m.append.entries = &other;
	is_int(harness_give(h, 1, m, &a), 0, "guard 2: it is overwritten");
	harness_act(h, 1, &a);
	is_int(harness_info(h, 1).members_index, 2, "guard 2: and the first is in force again");
	harness_free(h);

	h = harness_new(12);
	harness_bootstrap(h, 1, &members);
	m.term = 2;
	m.append.prev_index = m.append.prev_term = 1;
	m.append.entries = entries;
	is_int(harness_give(h, 1, m, &a), 0, "guard 2: the first change alone");
	harness_act(h, 1, &a);
	m.append.prev_index = m.append.prev_term = 2;
	m.append.entries = entries + 1;
	is_int(harness_give(h, 1, m, &a), 0, "guard 2: then the second");
	is_int(a.entry_count, 1, "guard 2: it is taken");
	harness_act(h, 1, &a);
	is_int(harness_info(h, 1).members_index, 3, "guard 2: and in force");
	m.term = 3;
	m.append.prev_index = m.append.prev_term = 2;
	m.append.entries = &other;
	is_int(harness_give(h, 1, m, &a), 0, "guard 2: it is overwritten");
	harness_act(h, 1, &a);
	is_int(harness_info(h, 1).members_index, 2, "guard 2: and the first is in force again");
	harness_free(h);
}

static void guard_3_no_change_before_an_entry_of_the_leaders_term(void)
{
	struct harness *h = harness_three_voters(13);
	struct raft_group_members members = harness_members("vvvs");
	uint64_t old = harness_leader(h);

	ok(old != 0, "guard 3: there is a leader");
	is_int(harness_propose(h, old, "something"), 0, "guard 3: that has work");
	harness_deliver(h);
	harness_crash(h, old);
	/* Long enough for an election, and none of the new leader's entries arrives. */
	uint64_t leader = 0;
	for (int i = 0; i < 400 && !leader; i++) {
		for (uint64_t id = 1; id <= 3; id++) {
			struct raft_group_actions a;
			if (!h->node[id].group || raft_group_deadline_ms(h->node[id].group) > h->now_ms)
				continue;
			raft_group_tick(h->node[id].group, h->now_ms, &a);
			harness_act(h, id, &a);
		}
		while (!(leader = harness_leader(h)) && harness_deliver_one(h))
			;
		h->now_ms += 10;
	}
	ok(leader != 0 && leader != old, "guard 3: another member is elected");
	is_int(harness_change(h, leader, &members), -EAGAIN, "guard 3: it may not change the members yet");
	harness_deliver(h);
	is_int(harness_change(h, leader, &members), 0, "guard 3: once its barrier is committed it may");
	is_int(harness_change(h, leader, &members), -EAGAIN, "guard 3: but one change at a time");
	harness_deliver(h);
	harness_run(h, 1000);
	ok(harness_info(h, leader).members.count == 4 && harness_info(h, leader).members_committed, "guard 3: the change is committed");
	harness_free(h);
}

static void guard_4_a_promotion_reaches_the_promoted_first(void)
{
	uint64_t leader;
	struct harness *h = harness_three_and_standby(14, &leader);
	struct raft_group_members members = harness_members("vvvv");
	uint64_t before = harness_last_index(h, leader);

	h->cut[leader][4] = true;
	is_int(harness_change(h, leader, &members), 0, "guard 4: the stand-by is promoted");
	is_int(harness_propose(h, leader, "more"), 0, "guard 4: and work goes on");
	harness_deliver(h);
	for (uint64_t id = 1; id <= 3; id++)
		if (id != leader)
			is_int(harness_last_index(h, id), before, "guard 4: voter %d has not got the promotion, which the promoted lacks", (int)id);
	harness_crash(h, leader);
	harness_run(h, 10000);
	ok(harness_leader(h) != 0, "guard 4: the leader dies, and the others elect one");
	harness_free(h);

	h = harness_three_and_standby(15, &leader);
	before = harness_last_index(h, leader);
	is_int(harness_change(h, leader, &members), 0, "guard 4: a promotion");
	is_int(harness_propose(h, leader, "more"), 0, "guard 4: and work");
	harness_deliver(h);
	for (uint64_t id = 1; id <= 4; id++)
		is_int(harness_last_index(h, id), before + 2, "guard 4: member %d has both at once", (int)id);
	ok(harness_info(h, leader).members_committed, "guard 4: the promotion is committed");
	harness_free(h);

	h = harness_three_and_standby(16, &leader);
	before = harness_last_index(h, leader);
	harness_crash(h, 4);
	is_int(harness_change(h, leader, &members), 0, "guard 4: a promotion of a member that has just died");
	is_int(harness_propose(h, leader, "more"), 0, "guard 4: and work");
	harness_run(h, 1000);
	is_int(harness_info(h, leader).commit_index, before, "guard 4: waits for it");
	harness_run(h, 2000);
	is_int(harness_info(h, leader).commit_index, before + 2, "guard 4: but not for ever");
	harness_free(h);
}

static void guard_4_a_demotion_reaches_the_demoted_last(void)
{
	struct harness *h = harness_three_voters(27);
	uint64_t leader = harness_leader(h), demoted = leader % 3 + 1, third = demoted % 3 + 1;
	struct raft_group_members members = harness_members("vvv"), mine = members;
	uint64_t before = harness_last_index(h, leader);

	mine.member[leader - 1].role = RAFT_GROUP_STANDBY;
	is_int(harness_change(h, leader, &mine), -EBUSY, "guard 4: a leader does not take its own vote away");
	members.member[demoted - 1].role = RAFT_GROUP_STANDBY;
	h->cut[leader][third] = true;
	is_int(harness_change(h, leader, &members), 0, "guard 4: a voter is demoted");
	is_int(harness_propose(h, leader, "more"), 0, "guard 4: and work goes on");
	harness_deliver(h);
	is_int(harness_last_index(h, demoted), before, "guard 4: it does not hear of it before it is committed");
	harness_crash(h, leader);
	harness_run(h, 10000);
	ok(harness_leader(h) != 0, "guard 4: the leader dies, and the others elect one");
	harness_free(h);

	h = harness_three_voters(28);
	leader = harness_leader(h);
	demoted = leader % 3 + 1;
	members = harness_members("vvv");
	members.member[demoted - 1].role = RAFT_GROUP_STANDBY;
	is_int(harness_change(h, leader, &members), 0, "guard 4: a voter is demoted");
	is_int(harness_propose(h, leader, "more"), 0, "guard 4: and work goes on");
	harness_deliver(h);
	is_int(harness_last_index(h, demoted), harness_last_index(h, leader), "guard 4: once it is committed it hears of it, and of all after");
	harness_run(h, 200);
	is_int(h->node[demoted].applied, harness_last_index(h, leader), "guard 4: and goes on as a stand-by");
	harness_free(h);
}

/* The other half of guard 4: whoever has not heard of its promotion still votes, since the candidate knows. */
static void guard_4_votes_are_given_by_log_and_term(void)
{
	uint64_t leader;
	struct harness *h = harness_three_and_standby(30, &leader);
	struct raft_group_actions a;
	struct raft_group_message m = { .kind = RAFT_GROUP_VOTE, .from = leader % 3 + 1, .term = harness_info(h, 4).term + 1,
		.vote = { .last_index = harness_last_index(h, 4), .last_term = harness_info(h, 4).term } };

	harness_give(h, 4, m, &a);
	const struct raft_group_message *reply = harness_find(&a, RAFT_GROUP_VOTE_RESULT, m.from);
	ok(reply && !reply->vote_result.granted && !a.save_vote, "guard 4: a stand-by that hears its leader gives no vote");
	h->now_ms += 1500;
	m.vote.last_index--;
	harness_give(h, 4, m, &a);
	harness_act(h, 4, &a);
	m.term++;
	harness_give(h, 4, m, &a);
	reply = harness_find(&a, RAFT_GROUP_VOTE_RESULT, m.from);
	ok(reply && !reply->vote_result.granted, "guard 4: nor one to a shorter log");
	harness_act(h, 4, &a);
	m.vote.last_index++;
	harness_give(h, 4, m, &a);
	reply = harness_find(&a, RAFT_GROUP_VOTE_RESULT, m.from);
	ok(reply && reply->vote_result.granted && a.save_vote && a.voted_for == m.from, "guard 4: else it gives one, and saves it");
	harness_act(h, 4, &a);
	m.from = leader;
	harness_give(h, 4, m, &a);
	reply = harness_find(&a, RAFT_GROUP_VOTE_RESULT, m.from);
	ok(reply && !reply->vote_result.granted, "guard 4: one in each term");
	harness_free(h);
}

static void guard_4_only_who_has_caught_up_is_promoted(void)
{
	struct harness *h = harness_three_voters(17);
	struct raft_group_members members = harness_members("vvvs"), promoted = harness_members("vvvv");
	uint64_t leader = harness_leader(h);

	is_int(harness_change(h, leader, &promoted), -EINVAL, "guard 4: a member that was no stand-by is not made a voter");
	is_int(harness_change(h, leader, &members), 0, "guard 4: a stand-by is added");
	harness_run(h, 1000);
	is_int(harness_change(h, leader, &promoted), -EAGAIN, "guard 4: one that is not there is not promoted");
	harness_start(h, 4);
	harness_run(h, 1000);
	is_int(harness_change(h, leader, &promoted), 0, "guard 4: once it has the log it is");
	harness_free(h);
}

static void guard_7_the_deadline_is_in_the_future(void)
{
	uint64_t leader;
	struct harness *h = harness_three_and_standby(20, &leader);
	struct raft_group_members members = harness_members("vvvp");
	int ticks = 0;

	is_int(harness_change(h, leader, &members), 0, "guard 7: the stand-by becomes a spare");
	harness_run(h, 500);
	/* harness_act aborts if a deadline is not in the future; a busy loop would show as many ticks too. */
	for (int64_t end = h->now_ms + 2000; h->now_ms < end; ticks++) {
		struct raft_group_actions a;
		h->now_ms = raft_group_deadline_ms(h->node[leader].group);
		raft_group_tick(h->node[leader].group, h->now_ms, &a);
		harness_act(h, leader, &a);
		harness_deliver(h);
	}
	ok(ticks >= 15 && ticks <= 45, "guard 7: two seconds are %d ticks", ticks);
	harness_free(h);
}

static void guard_8_a_standby_of_an_idle_group_has_caught_up(void)
{
	uint64_t leader;
	struct harness *h = harness_three_and_standby(21, &leader);
	struct raft_group_members members = harness_members("vvvv");

	harness_run(h, 20000);
	leader = harness_leader(h);
	is_int(harness_change(h, leader, &members), 0, "guard 8: after 20 idle seconds a stand-by is promoted at once");
	harness_deliver(h);
	ok(harness_info(h, leader).members_committed, "guard 8: and that is committed");
	harness_free(h);
}

int main(void)
{
	guard_2_a_change_is_recorded_where_it_is();
	guard_2_two_changes_in_one_message();
	guard_3_no_change_before_an_entry_of_the_leaders_term();
	guard_4_a_promotion_reaches_the_promoted_first();
	guard_4_a_demotion_reaches_the_demoted_last();
	guard_4_votes_are_given_by_log_and_term();
	guard_4_only_who_has_caught_up_is_promoted();
	guard_7_the_deadline_is_in_the_future();
	guard_8_a_standby_of_an_idle_group_has_caught_up();
	return done_testing();
}
