/* The guards of cluster/raft.h, one by one: each case is one in which libraft alone stalls, goes wrong or aborts. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "raft_harness.h"
#include "tests/tap.h"

static struct harness *three_voters(uint64_t seed)
{
	struct harness *h = harness_new(seed);
	struct raft_group_members members = harness_members("vvv");

	for (uint64_t i = 1; i <= 3; i++)
		harness_bootstrap(h, i, &members);
	harness_run(h, 5000);
	return h;
}

/* Hands a member one message, as written here. */
static int give(struct harness *h, uint64_t id, struct raft_group_message m, struct raft_group_actions *ret_actions)
{
	m.to = id;
	return raft_group_receive(h->node[id].group, h->now_ms, &m, ret_actions);
}

static const struct raft_group_message *find(const struct raft_group_actions *a, enum raft_group_message_kind kind, uint64_t to)
{
	for (size_t i = 0; i < a->message_count; i++)
		if (a->messages[i].kind == kind && a->messages[i].to == to)
			return &a->messages[i];
	return NULL;
}

static struct raft_group_info info_of(struct harness *h, uint64_t id)
{
	struct raft_group_info info;

	raft_group_get_info(h->node[id].group, &info);
	return info;
}

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
	ok(info_of(h, 1).term > 9, "guard 1: in a term above all");
	harness_free(h);
}

static struct log_entry entry(uint64_t index, uint64_t term, enum raft_group_entry type, const struct buffer *data)
{
	return (struct log_entry){ .index = index, .term = term, .type = (uint16_t)type, .data = { .data = data->data, .size = data->size } };
}

static void encode(struct buffer *b, const char *roles)
{
	struct raft_group_members members = harness_members(roles);

	buffer_init(b, 4096);
	raft_group_members_encode(&members, b);
}

static void guard_2_a_change_is_recorded_where_it_is(void)
{
	struct harness *h = harness_new(12);
	struct raft_group_members members = harness_members("vvv");
	_cleanup_buffer_ struct buffer command, change, change2;
	struct raft_group_actions a;

	buffer_init(&command, 100);
	buffer_append(&command, "command", 7);
	encode(&change, "vvvs");
	encode(&change2, "vvvss");
	harness_bootstrap(h, 1, &members);
	struct log_entry entries[] = { entry(2, 2, RAFT_GROUP_COMMAND, &command), entry(3, 2, RAFT_GROUP_COMMAND, &command),
		entry(4, 2, RAFT_GROUP_CHANGE, &change), entry(5, 2, RAFT_GROUP_COMMAND, &command) };
	struct raft_group_message m = { .kind = RAFT_GROUP_APPEND, .from = 2, .term = 2,
		.append = { .prev_index = 1, .prev_term = 1, .commit_index = 1, .count = 4, .entries = entries } };
	is_int(give(h, 1, m, &a), 0, "guard 2: four entries with a change in the middle");
	is_int(a.entry_count, 4, "guard 2: all are appended");
	harness_act(h, 1, &a);
	is_int(info_of(h, 1).members_index, 4, "guard 2: the change is known at its own index");
	ok(!info_of(h, 1).members_committed && info_of(h, 1).members.count == 4, "guard 2: and not committed");

	/* The next change comes with a commit index that covers the first, and is undone by another leader. */
	struct log_entry next[] = { entry(6, 2, RAFT_GROUP_COMMAND, &command), entry(7, 2, RAFT_GROUP_CHANGE, &change2) };
	m.append.prev_index = 5;
	m.append.prev_term = 2;
	m.append.commit_index = 6;
	m.append.count = 2;
	m.append.entries = next;
	is_int(give(h, 1, m, &a), 0, "guard 2: another change");
	harness_act(h, 1, &a);
	is_int(info_of(h, 1).members.count, 5, "guard 2: is in force");
	struct log_entry other = entry(7, 3, RAFT_GROUP_COMMAND, &command);
	m.term = 3;
	m.from = 3;
	m.append.prev_index = 6;
	m.append.count = 1;
	m.append.entries = &other;
	is_int(give(h, 1, m, &a), 0, "guard 2: another leader overwrites it");
	is_int(a.cut_from, 7, "guard 2: the log is cut there");
	harness_act(h, 1, &a);
	is_int(info_of(h, 1).members.count, 4, "guard 2: the members are those of the first change again");
	is_int(info_of(h, 1).members_index, 4, "guard 2: which is committed at its own index");
	ok(info_of(h, 1).members_committed, "guard 2: and stays so");
	harness_free(h);
}

static void guard_2_two_changes_in_one_message(void)
{
	struct harness *h = harness_new(12);
	struct raft_group_members members = harness_members("vvv");
	_cleanup_buffer_ struct buffer change, change2;
	struct raft_group_actions a;

	encode(&change, "vvvs");
	encode(&change2, "vvvss");
	harness_bootstrap(h, 1, &members);
	struct log_entry entries[] = { entry(2, 2, RAFT_GROUP_CHANGE, &change), entry(3, 2, RAFT_GROUP_CHANGE, &change2) };
	struct raft_group_message m = { .kind = RAFT_GROUP_APPEND, .from = 2, .term = 2,
		.append = { .prev_index = 1, .prev_term = 1, .commit_index = 2, .count = 2, .entries = entries } };
	is_int(give(h, 1, m, &a), 0, "guard 2: two changes, the first committed");
	is_int(a.entry_count, 2, "guard 2: both are appended");
	harness_act(h, 1, &a);
	is_int(info_of(h, 1).members_index, 3, "guard 2: the second is in force");
	harness_free(h);

	h = harness_new(12);
	harness_bootstrap(h, 1, &members);
	m.append.commit_index = 1;
	is_int(give(h, 1, m, &a), 0, "guard 2: two changes, from a leader that does not know yet that the first is committed");
	is_int(a.entry_count, 2, "guard 2: both are appended");
	is_int(a.commit_index, 2, "guard 2: the second proves that the first is committed");
	harness_act(h, 1, &a);
	is_int(info_of(h, 1).members_index, 3, "guard 2: the second is in force");
	struct log_entry other = entry(3, 3, RAFT_GROUP_BARRIER, &(struct buffer){ 0 });
	m.term = 3;
	m.append.prev_index = 2;
	m.append.prev_term = 2;
	m.append.count = 1;
	m.append.entries = &other;
	is_int(give(h, 1, m, &a), 0, "guard 2: it is overwritten");
	harness_act(h, 1, &a);
	is_int(info_of(h, 1).members_index, 2, "guard 2: and the first is in force again");
	harness_free(h);

	h = harness_new(12);
	harness_bootstrap(h, 1, &members);
	m.term = 2;
	m.append.prev_index = m.append.prev_term = 1;
	m.append.entries = entries;
	is_int(give(h, 1, m, &a), 0, "guard 2: the first change alone");
	harness_act(h, 1, &a);
	m.append.prev_index = m.append.prev_term = 2;
	m.append.entries = entries + 1;
	is_int(give(h, 1, m, &a), 0, "guard 2: then the second");
	is_int(a.entry_count, 1, "guard 2: it is taken");
	harness_act(h, 1, &a);
	is_int(info_of(h, 1).members_index, 3, "guard 2: and in force");
	m.term = 3;
	m.append.prev_index = m.append.prev_term = 2;
	m.append.entries = &other;
	is_int(give(h, 1, m, &a), 0, "guard 2: it is overwritten");
	harness_act(h, 1, &a);
	is_int(info_of(h, 1).members_index, 2, "guard 2: and the first is in force again");
	harness_free(h);
}

static void guard_3_no_change_before_an_entry_of_the_leaders_term(void)
{
	struct harness *h = three_voters(13);
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
	ok(info_of(h, leader).members.count == 4 && info_of(h, leader).members_committed, "guard 3: the change is committed");
	harness_free(h);
}

static struct harness *three_voters_and_a_standby(uint64_t seed, uint64_t *ret_leader)
{
	struct harness *h = three_voters(seed);
	struct raft_group_members members = harness_members("vvvs");

	*ret_leader = harness_leader(h);
	harness_start(h, 4);
	ok(*ret_leader != 0 && harness_change(h, *ret_leader, &members) == 0, "a stand-by is added");
	harness_run(h, 1000);
	is_int(harness_last_index(h, 4), harness_last_index(h, *ret_leader), "it has the log");
	return h;
}

static void guard_4_a_promotion_reaches_the_promoted_first(void)
{
	uint64_t leader;
	struct harness *h = three_voters_and_a_standby(14, &leader);
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

	h = three_voters_and_a_standby(15, &leader);
	before = harness_last_index(h, leader);
	is_int(harness_change(h, leader, &members), 0, "guard 4: a promotion");
	is_int(harness_propose(h, leader, "more"), 0, "guard 4: and work");
	harness_deliver(h);
	for (uint64_t id = 1; id <= 4; id++)
		is_int(harness_last_index(h, id), before + 2, "guard 4: member %d has both at once", (int)id);
	ok(info_of(h, leader).members_committed, "guard 4: the promotion is committed");
	harness_free(h);

	h = three_voters_and_a_standby(16, &leader);
	before = harness_last_index(h, leader);
	harness_crash(h, 4);
	is_int(harness_change(h, leader, &members), 0, "guard 4: a promotion of a member that has just died");
	is_int(harness_propose(h, leader, "more"), 0, "guard 4: and work");
	harness_run(h, 1000);
	is_int(info_of(h, leader).commit_index, before, "guard 4: waits for it");
	harness_run(h, 2000);
	is_int(info_of(h, leader).commit_index, before + 2, "guard 4: but not for ever");
	harness_free(h);
}

static void guard_4_a_demotion_reaches_the_demoted_last(void)
{
	struct harness *h = three_voters(27);
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

	h = three_voters(28);
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
	struct harness *h = three_voters_and_a_standby(30, &leader);
	struct raft_group_actions a;
	struct raft_group_message m = { .kind = RAFT_GROUP_VOTE, .from = leader % 3 + 1, .term = info_of(h, 4).term + 1,
		.vote = { .last_index = harness_last_index(h, 4), .last_term = info_of(h, 4).term } };

	give(h, 4, m, &a);
	const struct raft_group_message *reply = find(&a, RAFT_GROUP_VOTE_RESULT, m.from);
	ok(reply && !reply->vote_result.granted && !a.save_vote, "guard 4: a stand-by that hears its leader gives no vote");
	h->now_ms += 1500;
	m.vote.last_index--;
	give(h, 4, m, &a);
	harness_act(h, 4, &a);
	m.term++;
	give(h, 4, m, &a);
	reply = find(&a, RAFT_GROUP_VOTE_RESULT, m.from);
	ok(reply && !reply->vote_result.granted, "guard 4: nor one to a shorter log");
	harness_act(h, 4, &a);
	m.vote.last_index++;
	give(h, 4, m, &a);
	reply = find(&a, RAFT_GROUP_VOTE_RESULT, m.from);
	ok(reply && reply->vote_result.granted && a.save_vote && a.voted_for == m.from, "guard 4: else it gives one, and saves it");
	harness_act(h, 4, &a);
	m.from = leader;
	give(h, 4, m, &a);
	reply = find(&a, RAFT_GROUP_VOTE_RESULT, m.from);
	ok(reply && !reply->vote_result.granted, "guard 4: one in each term");
	harness_free(h);
}

static void guard_4_only_who_has_caught_up_is_promoted(void)
{
	struct harness *h = three_voters(17);
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

static void guard_5_an_anchor_inside_the_compacted_prefix(void)
{
	struct harness *h = harness_new(18);
	const uint64_t terms[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	_cleanup_buffer_ struct buffer command, first;
	struct raft_group_actions a;
	struct log_entry entries[12];

	buffer_init(&command, 100);
	buffer_append(&command, "new", 3);
	encode(&first, "vvv");
	harness_set_log(h, 1, 1, terms, 9);
	harness_start(h, 1);
	/* Indexes 1 to 10 are applied and compacted. */
	struct raft_group_message m = { .kind = RAFT_GROUP_APPEND, .from = 2, .term = 1, .append = { .prev_index = 10, .prev_term = 1, .commit_index = 10 } };
	is_int(give(h, 1, m, &a), 0, "guard 5: the leader says that ten entries are committed");
	harness_act(h, 1, &a);
	harness_compact(h, 1);
	is_int(h->node[1].base, 10, "guard 5: they are compacted");

	for (uint64_t i = 1; i <= 12; i++)
		entries[i - 1] = entry(i, 1, i == 1 ? RAFT_GROUP_CHANGE : RAFT_GROUP_COMMAND, i == 1 ? &first : &command);
	m.append.prev_index = 4;
	m.append.count = 7;
	m.append.entries = entries + 4;
	is_int(give(h, 1, m, &a), 0, "guard 5: a message that begins inside them");
	is_int(a.entry_count, 1, "guard 5: its one new entry is taken");
	is_int(a.entries[0].index, 11, "guard 5: with its index");
	harness_act(h, 1, &a);

	m.append.prev_index = m.append.prev_term = 0;
	m.append.count = 12;
	m.append.entries = entries;
	is_int(give(h, 1, m, &a), 0, "guard 5: a message from the very beginning");
	is_int(a.entry_count, 1, "guard 5: its one new entry is taken");
	harness_act(h, 1, &a);

	m.append.prev_index = 4;
	m.append.prev_term = 1;
	m.append.count = 3;
	m.append.entries = entries + 4;
	is_int(give(h, 1, m, &a), 0, "guard 5: a message that lies wholly inside");
	const struct raft_group_message *reply = find(&a, RAFT_GROUP_APPEND_RESULT, 2);
	ok(reply && reply->append_result.rejected == 0 && reply->append_result.last_index == 10, "guard 5: is acknowledged up to the snapshot");
	harness_act(h, 1, &a);
	is_int(harness_last_index(h, 1), 12, "guard 5: nothing is lost or doubled");
	harness_free(h);
}

static void guard_6_stale_rejections_are_dropped(void)
{
	struct harness *h = three_voters(19);
	uint64_t leader = harness_leader(h), other = leader == 1 ? 2 : 1, match = 0;
	struct raft_group_actions a;

	for (int i = 0; i < 10; i++)
		harness_propose(h, leader, "work");
	harness_deliver(h);
	is_int(raft_group_match_index(h->node[leader].group, other, &match), 0, "guard 6: what a member has");
	is_int(match, harness_last_index(h, leader), "guard 6: is everything");
	uint64_t term = info_of(h, leader).term;

	/* Silence makes the leader probe: then it takes a rejection for an answer to its last message. */
	harness_isolate(h, other, true);
	harness_run(h, 3000);
	for (uint64_t rejected = 1; rejected <= match + 1; rejected++) {
		for (uint64_t last = 0; last < rejected && last < match; last++) {
			struct raft_group_message m = { .kind = RAFT_GROUP_APPEND_RESULT, .from = other, .term = term,
				.append_result = { .rejected = rejected, .last_index = last } };
			if (give(h, leader, m, &a) == 0)
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

static void guard_7_the_deadline_is_in_the_future(void)
{
	uint64_t leader;
	struct harness *h = three_voters_and_a_standby(20, &leader);
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
	struct harness *h = three_voters_and_a_standby(21, &leader);
	struct raft_group_members members = harness_members("vvvv");

	harness_run(h, 20000);
	leader = harness_leader(h);
	is_int(harness_change(h, leader, &members), 0, "guard 8: after 20 idle seconds a stand-by is promoted at once");
	harness_deliver(h);
	ok(info_of(h, leader).members_committed, "guard 8: and that is committed");
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
	struct harness *h = three_voters(22);

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
	struct log_entry two[] = { entry(2, 2, RAFT_GROUP_COMMAND, &command), entry(3, 2, RAFT_GROUP_COMMAND, &command) };
	struct raft_group_message m = { .kind = RAFT_GROUP_APPEND, .from = 2, .term = 2,
		.append = { .prev_index = 1, .prev_term = 1, .commit_index = 1, .count = 2, .entries = two } };
	give(h, 1, m, &a);
	uint64_t old = a.ticket;
	two[0].term = two[1].term = m.term = 3;
	m.from = 3;
	give(h, 1, m, &a);
	is_int(a.cut_from, 2, "guard 9: entries are cut before the disk has them");
	uint64_t new = a.ticket;
	is_int(raft_group_persisted(h->node[1].group, h->now_ms, 3, old, &a), 0, "guard 9: word of the old ones comes late");
	ok(!find(&a, RAFT_GROUP_APPEND_RESULT, 3), "guard 9: and is not taken for the new ones");
	is_int(raft_group_persisted(h->node[1].group, h->now_ms, 3, new, &a), 0, "guard 9: then the new ones are there");
	const struct raft_group_message *reply = find(&a, RAFT_GROUP_APPEND_RESULT, 3);
	ok(reply && reply->append_result.last_index == 3, "guard 9: and are acknowledged");
	harness_free(h);
}

static void guard_10_new_entries_do_not_wait_for_a_heartbeat(void)
{
	uint64_t leader;
	struct harness *h = three_voters_and_a_standby(26, &leader);
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
	is_int(info_of(h, leader).commit_index, harness_last_index(h, leader), "guard 10: and it is committed");
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
		entries[i] = entry(2 + i, 2, RAFT_GROUP_COMMAND, &command);
	struct raft_group_message m = { .kind = RAFT_GROUP_APPEND, .from = 2, .term = 2,
		.append = { .prev_index = 1, .prev_term = 1, .commit_index = 5, .count = 5, .entries = entries } };
	give(h, 1, m, &a);
	is_int(a.commit_index, 5, "guard 11: entries up to 5 are committed");
	harness_act(h, 1, &a);
	m.append.commit_index = 6;
	m.append.count = 1;
	is_int(give(h, 1, m, &a), 0, "guard 11: the leader repeats the first of them, and knows more by now");
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
		ok(info_of(h, 1).is_leader, "a sole voter leads at once");
		ok(raft_group_alone(h->node[1].group), "and is alone");
		is_int(info_of(h, 1).commit_index, harness_last_index(h, 1), "its barrier is committed");
		terms[i] = info_of(h, 1).term;
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
	struct harness *h = three_voters(25);
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
	guard_2_a_change_is_recorded_where_it_is();
	guard_2_two_changes_in_one_message();
	guard_3_no_change_before_an_entry_of_the_leaders_term();
	guard_4_a_promotion_reaches_the_promoted_first();
	guard_4_a_demotion_reaches_the_demoted_last();
	guard_4_votes_are_given_by_log_and_term();
	guard_4_only_who_has_caught_up_is_promoted();
	guard_5_an_anchor_inside_the_compacted_prefix();
	guard_6_stale_rejections_are_dropped();
	guard_7_the_deadline_is_in_the_future();
	guard_8_a_standby_of_an_idle_group_has_caught_up();
	guard_9_time_and_persisted_indexes_only_grow();
	guard_9_overtaken_tickets_are_ignored();
	guard_10_new_entries_do_not_wait_for_a_heartbeat();
	guard_11_the_commit_index_never_falls();
	a_sole_voter_starts_in_a_new_term();
	uncommitted_entries_are_bounded();
	return done_testing();
}
