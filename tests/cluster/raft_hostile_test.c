/* Messages that no correct member sends, by the hundred thousand, to members in every state: refused or survived, but no assertion of libraft's
 * and no byte read past its end. What such messages make a member believe is not the point: whoever can send them is in the cluster.
 *
 *   raft_hostile_test [--seeds N] [--start S] */
#include <stdlib.h>

#include "base/random.h"
#include "cluster/raft.h"
#include "tests/tap.h"

#define SEEDS 300
#define MESSAGES 1000
#define SELF 1
#define ENTRIES_MAX 12

static struct random_source *source;
static struct { int served, refused, stopped, leads; } seen;

static uint64_t below(uint64_t bound) { return random_below(source, bound); }

/* Mostly close to what matters, sometimes anything. */
static uint64_t around(uint64_t value)
{
	switch (below(12)) {
	case 0: return 0;
	case 1: return random_u64(source);
	case 2: return UINT64_MAX - below(3);
	default: return value + below(7) < 3 ? 0 : value + below(7) - 3;
	}
}

struct member {
	struct raft_group *group;
	int64_t now_ms;
	uint64_t base, term, last, ticket;
	struct raft_group_members members;
};

static void members_random(struct raft_group_members *m)
{
	*m = (struct raft_group_members){ .count = 1 + (uint32_t)below(5) };
	for (uint32_t i = 0; i < m->count; i++)
		m->member[i] = (struct raft_group_member){ .id = i + 1, .role = (enum raft_group_role)(below(8) == 0 ? below(5) : below(3)) };
	if (below(10) == 0)
		m->count = (uint32_t)below(40);
}

static void perform(struct member *m, const struct raft_group_actions *a)
{
	struct raft_group_actions actions = *a;

	for (int i = 0; i < 10; i++) {
		if (raft_group_deadline_ms(m->group) <= m->now_ms)
			abort();
		int r = 0;
		if (actions.install) {
			m->base = actions.install->snapshot.index;
			if (below(3) == 0)
				return;   /* still pulling it */
			r = raft_group_installed(m->group, m->now_ms, &actions);
		} else if (actions.entry_count > 0) {
			m->last = actions.entries[actions.entry_count - 1].index;
			m->ticket = actions.ticket;
			if (below(5) == 0)
				return;   /* the disk is slow; a later word covers these */
			r = raft_group_persisted(m->group, m->now_ms, m->last, m->ticket, &actions);
		} else {
			return;
		}
		if (r < 0)
			return;
	}
}

static void open_member(struct member *m)
{
	struct log_entry entries[6];
	struct raft_group_actions a;
	struct raft_group_start start = { .id = SELF, .term = 3, .entries = entries, .entry_count = 6, .seed = (uint32_t)random_u64(source) };
	_cleanup_buffer_ struct buffer change;

	raft_group_close(m->group);
	buffer_init(&change, 4096);
	*m = (struct member){ .now_ms = 1, .members = { .count = 3, .member = { { 1, RAFT_GROUP_VOTER }, { 2, RAFT_GROUP_VOTER }, { 3, RAFT_GROUP_VOTER } } } };
	if (below(3) == 0)
		m->members.member[m->members.count++] = (struct raft_group_member){ 4, RAFT_GROUP_STANDBY };
	raft_group_members_encode(&m->members, &change);
	m->base = below(2) ? 20 : 0;
	for (uint64_t i = 0; i < 6; i++)
		entries[i] = (struct log_entry){ .index = m->base + 1 + i, .term = 1 + i / 3, .type = RAFT_GROUP_COMMAND };
	if (m->base == 0) {
		entries[0].type = RAFT_GROUP_CHANGE;
		entries[0].data = (struct slice){ .data = change.data, .size = change.size };
	} else {
		start.applied_index = m->base;
		start.applied_term = 1;
		start.members = m->members;
		start.members_index = 5;
	}
	if (raft_group_open(&start, m->now_ms, &m->group, &a) < 0)
		abort();
	perform(m, &a);
}

static size_t entries_random(struct log_entry *entries, uint64_t first, uint64_t term, struct buffer *change)
{
	struct raft_group_members members;
	size_t count = below(ENTRIES_MAX);
	uint64_t t = term > 2 ? term - below(3) : term;

	members_random(&members);
	buffer_reset(change);
	if (below(4) > 0 && raft_group_members_encode(&members, change) < 0)
		buffer_reset(change);
	for (size_t i = 0; change->size > 0 && below(3) == 0 && i < 3; i++)
		change->data[below(change->size)] = (uint8_t)below(256);
	for (size_t i = 0; i < count; i++) {
		t += t < term && below(3) == 0;
		entries[i] = (struct log_entry){ .index = below(50) ? first + i : around(first), .term = below(50) ? t : around(t),
			.type = (uint16_t)(below(4) ? RAFT_GROUP_COMMAND : below(6)) };
		if (entries[i].type == RAFT_GROUP_CHANGE)
			entries[i].data = (struct slice){ .data = change->data, .size = below(20) ? change->size : below(change->size + 1) };
	}
	return count;
}

static void send_one(struct member *m, struct buffer *change)
{
	struct log_entry entries[ENTRIES_MAX];
	struct raft_group_info info;
	struct raft_group_actions a;

	raft_group_get_info(m->group, &info);
	struct raft_group_message msg = { .kind = (enum raft_group_message_kind)(below(100) ? 1 + below(6) : below(300)), .from = 2 + below(4), .to = SELF,
		.term = below(3) ? info.term + below(2) : around(info.term) };
	if (below(100) == 0)
		msg.from = around(SELF);
	switch (msg.kind) {
	case RAFT_GROUP_APPEND:
		msg.append.prev_index = below(4) ? around(info.last_index) : around(m->base);
		msg.append.prev_term = below(3) ? (msg.append.prev_index ? 1 + below(info.term) : 0) : around(info.term);
		msg.append.commit_index = around(info.commit_index);
		msg.append.count = entries_random(entries, msg.append.prev_index + 1, msg.term, change);
		msg.append.entries = entries;
		break;
	case RAFT_GROUP_APPEND_RESULT:
		msg.append_result.rejected = below(2) ? 0 : around(info.last_index);
		msg.append_result.last_index = around(info.last_index);
		break;
	case RAFT_GROUP_VOTE:
		msg.vote.last_index = around(info.last_index);
		msg.vote.last_term = around(info.term);
		msg.vote.disrupt_leader = below(2);
		msg.vote.pre_vote = below(2);
		break;
	case RAFT_GROUP_VOTE_RESULT:
		msg.vote_result.granted = below(3) > 0;
		msg.vote_result.pre_vote = below(2);
		break;
	case RAFT_GROUP_SNAPSHOT:
		msg.snapshot.index = around(info.last_index + 10 * below(3));
		msg.snapshot.index_term = below(2) ? info.term : around(info.term);
		members_random(&msg.snapshot.members);
		msg.snapshot.members_index = around(msg.snapshot.index);
		break;
	case RAFT_GROUP_TIMEOUT_NOW:
		msg.timeout_now.last_index = around(info.last_index);
		msg.timeout_now.last_term = around(info.term);
		break;
	}
	int r = raft_group_receive(m->group, m->now_ms, &msg, &a);
	if (r == 0)
		perform(m, &a);
	seen.served += r == 0;
	seen.refused += r == -EBADMSG;
}

static void turn(struct member *m, struct buffer *change)
{
	struct raft_group_actions a;
	struct raft_group_info info;
	struct slice command = { .data = (const uint8_t *)"x", .size = 1 };

	send_one(m, change);
	if (below(4) == 0) {
		m->now_ms = raft_group_deadline_ms(m->group);
		if (raft_group_tick(m->group, m->now_ms, &a) == 0)
			perform(m, &a);
	}
	raft_group_get_info(m->group, &info);
	seen.leads += info.is_leader;
	if (info.is_leader && below(3) == 0 && raft_group_propose(m->group, m->now_ms, &command, 1, &a) == 0)
		perform(m, &a);
	if (info.is_leader && below(20) == 0) {
		struct raft_group_members members = info.members;
		uint32_t i = (uint32_t)below(members.count);
		members.member[i].role = (enum raft_group_role)below(3);
		if (raft_group_change(m->group, m->now_ms, &members, &a) == 0)
			perform(m, &a);
	}
}

int main(int argc, char **argv)
{
	uint64_t seeds = SEEDS, start = 1;
	struct member m = { 0 };
	struct buffer change;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seeds") == 0)
			seeds = strtoull(argv[i + 1], NULL, 10);
		if (strcmp(argv[i], "--start") == 0)
			start = strtoull(argv[i + 1], NULL, 10);
	}
	buffer_init(&change, 4096);
	for (uint64_t seed = start; seed < start + seeds; seed++) {
		struct random_seeded random;
		random_seeded_init(&random, seed);
		source = &random.source;
		open_member(&m);
		for (int i = 0; i < MESSAGES; i++) {
			struct raft_group_actions a;
			turn(&m, &change);
			if (raft_group_tick(m.group, m.now_ms, &a) == -EIO) {
				seen.stopped++;
				open_member(&m);
			}
		}
	}
	raft_group_close(m.group);
	buffer_done(&change);
	ok(seen.served > 0 && seen.refused > 0, "%d messages served, %d refused, the group stopped %d times", seen.served, seen.refused, seen.stopped);
	ok(seen.leads > 0, "to leaders too (%d times)", seen.leads);
	return done_testing();
}
