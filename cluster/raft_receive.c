/* Incoming messages: checked, because libraft asserts what it should test, then handed on in a form that it gets right
 * (guards 2, 4, 5, 6 and 11). Dropping a message is always safe: it may as well have been lost. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "cluster/raft_internal.h"

#define ENTRIES_MAX RAFT_GROUP_INFLIGHT_MAX   /* in one message; a leader of ours never sends more */
#define INDEX_MAX (UINT64_MAX >> 2)
#define VERSION 1                             /* of libraft's structures */
#define VERSION_PRE_VOTE 2                    /* of those for votes: with a pre_vote flag */

static int deliver(struct raft_group *g, const struct raft_group_message *m, struct raft_message *message)
{
	struct raft_event e = { .type = RAFT_RECEIVE, .receive.message = message };
	char address[21];

	snprintf(address, sizeof(address), "%" PRIu64, m->from);
	message->server_id = m->from;
	message->server_address = address;
	return raft_group_step(g, &e);
}

static bool is_member(const struct raft_group *g, uint64_t id)
{
	for (unsigned i = 0; i < g->raft.configuration.n; i++)
		if (g->raft.configuration.servers[i].id == id)
			return true;
	return false;
}

/* Two leaders of one term: somebody is not what he says. */
static bool from_rival(const struct raft_group *g, const struct raft_group_message *m)
{
	return g->raft.state == RAFT_LEADER && m->term == g->raft.current_term;
}

static bool append_valid(const struct raft_group_message *m)
{
	struct raft_group_members members;
	uint64_t term = m->append.prev_term;

	if ((m->append.prev_index == 0) != (term == 0) || m->append.prev_index > INDEX_MAX || term > m->term)
		return false;
	if (m->append.count > ENTRIES_MAX || (m->append.count > 0 && !m->append.entries))
		return false;
	for (size_t i = 0; i < m->append.count; i++) {
		const struct log_entry *e = &m->append.entries[i];
		if (e->index != m->append.prev_index + 1 + i || e->term == 0 || e->term < term || e->term > m->term)
			return false;
		if (e->type < RAFT_GROUP_COMMAND || e->type > RAFT_GROUP_CHANGE)
			return false;
		if (e->type == RAFT_GROUP_CHANGE && raft_group_members_decode(e->data, &members) < 0)
			return false;
		if (e->index == 1 && e->type != RAFT_GROUP_CHANGE)
			return false;
		term = e->term;
	}
	return true;
}

/* A run of entries, as one message of its own. */
static int deliver_entries(struct raft_group *g, const struct raft_group_message *m, uint64_t commit_index, uint64_t prev_index, uint64_t prev_term,
	const struct log_entry *entries, size_t count)
{
	struct raft_message message = { .type = RAFT_APPEND_ENTRIES };
	struct raft_append_entries *a = &message.append_entries;
	void *batch = NULL;

	/* Guard 11: libraft takes the smaller of this and the last entry here without looking whether that is less than it knew. */
	if (commit_index > prev_index + count)
		commit_index = prev_index + count;
	/* libraft frees the batch if it does not take the entries; it never looks into it. */
	if (count > 0) {
		batch = raft_malloc(1);
		if (!batch || !raft_group_reserve((void **)&g->scratch, &g->scratch_capacity, count, sizeof(*g->scratch))) {
			raft_free(batch);
			return 0;   /* as if it had been lost */
		}
	}
	for (size_t i = 0; i < count; i++)
		g->scratch[i] = (struct raft_entry){ .term = entries[i].term, .type = (enum raft_entry_type)entries[i].type, .batch = batch,
			.buf = { .base = (void *)(uintptr_t)entries[i].data.data, .len = entries[i].data.size } };
	*a = (struct raft_append_entries){ .version = VERSION, .term = m->term, .prev_log_index = prev_index, .prev_log_term = prev_term,
		.leader_commit = commit_index, .entries = g->scratch, .n_entries = (unsigned)count };
	int r = deliver(g, m, &message);
	if (r == 0 && count > 0 && (g->step_flags & RAFT_UPDATE_ENTRIES))
		raft_free(batch);
	return r;
}

/* Guard 2. libraft records a CHANGE at the index of the message's first new entry, and forgets an older change that is not confirmed yet.
 * So each CHANGE begins a message of its own, and the older one is confirmed before. It is committed even if the leader does not know that
 * yet (it may have started a moment ago): whoever proposed the younger one had seen the older one committed, in the log that both are in.
 * An empty message with a commit index that covers it says so, if our log is the leader's up to there. */
static int confirm_older_change(struct raft_group *g, const struct raft_group_message *m, uint64_t prev_index, uint64_t prev_term)
{
	uint64_t older = g->raft.configuration_uncommitted_index;

	if (older == 0 || older > prev_index)
		return 0;
	return deliver_entries(g, m, m->append.commit_index > older ? m->append.commit_index : older, prev_index, prev_term, NULL, 0);
}

static int receive_entries(struct raft_group *g, const struct raft_group_message *m, uint64_t prev_index, uint64_t prev_term,
	const struct log_entry *entries, size_t count)
{
	size_t from = 0;

	do {
		size_t to = from;
		int r = 0;
		if (to < count && entries[to].type == RAFT_GROUP_CHANGE) {
			r = confirm_older_change(g, m, prev_index, prev_term);
			to++;
		}
		while (to < count && entries[to].type != RAFT_GROUP_CHANGE)
			to++;
		if (r == 0)
			r = deliver_entries(g, m, m->append.commit_index, prev_index, prev_term, entries + from, to - from);
		if (r < 0)
			return r;
		if (to > from) {
			prev_index = entries[to - 1].index;
			prev_term = entries[to - 1].term;
		}
		if (raft_group_term_at(g, prev_index) != prev_term)
			return 0;   /* refused, and so would be the rest */
		from = to;
	} while (from < count);
	return 0;
}

static int receive_append(struct raft_group *g, const struct raft_group_message *m)
{
	const struct raft_trail *trail = &g->raft.trail;
	const struct log_entry *entries = m->append.entries;
	uint64_t prev_index = m->append.prev_index, prev_term = m->append.prev_term;
	size_t count = m->append.count;

	if (!append_valid(m) || from_rival(g, m))
		return -EBADMSG;
	if (m->term >= g->raft.current_term)
		g->leader_heard_ms = g->now_ms;
	/* Guard 5: everything up to the snapshot is committed, so it is the leader's too. */
	if (prev_index < trail->snapshot.index && prev_index <= trail->offset) {
		uint64_t known = trail->snapshot.index - prev_index;
		if (known > count)
			known = count;
		entries = known > 0 ? entries + known : entries;
		count -= known;
		prev_index = trail->snapshot.index;
		prev_term = trail->snapshot.term;
	}
	return receive_entries(g, m, prev_index, prev_term, entries, count);
}

static int receive_append_result(struct raft_group *g, const struct raft_group_message *m)
{
	struct raft_message message = { .type = RAFT_APPEND_ENTRIES_RESULT };
	uint64_t match;

	if (m->append_result.rejected > INDEX_MAX || m->append_result.last_index > INDEX_MAX)
		return -EBADMSG;
	if (!is_member(g, m->from))
		return 0;
	/* Guard 6: what was acknowledged is not rejected afterwards, so this message is an old one. */
	if (m->append_result.rejected > 0 && m->term == g->raft.current_term && raft_group_match_index(g, m->from, &match) == 0 &&
			(m->append_result.rejected <= match || m->append_result.last_index < match))
		return 0;
	message.append_entries_result = (struct raft_append_entries_result){ .version = VERSION, .term = m->term, .rejected = m->append_result.rejected,
		.last_log_index = m->append_result.last_index };
	return deliver(g, m, &message);
}

static struct raft_server *self_of(struct raft_group *g)
{
	for (unsigned i = 0; i < g->raft.configuration.n; i++)
		if (g->raft.configuration.servers[i].id == g->raft.id)
			return &g->raft.configuration.servers[i];
	return NULL;
}

/* Guard 4, the other half: a member grants its vote by log and term alone. Whether it counts is for the candidate to say, who may know of
 * a promotion that has not arrived here. libraft refuses for a member that thinks itself a stand-by, and such a one never gives up its last leader. */
static int lend_vote(struct raft_group *g, const struct raft_group_message *m, struct raft_message *message)
{
	struct raft_server *self = self_of(g);
	int role = self ? self->role : RAFT_VOTER;

	if (role == RAFT_VOTER)
		return deliver(g, m, message);
	if (g->raft.state == RAFT_FOLLOWER && g->now_ms - g->leader_heard_ms >= (int64_t)g->raft.election_timeout)
		g->raft.follower_state.current_leader.id = 0;
	self->role = RAFT_VOTER;
	int r = deliver(g, m, message);
	self_of(g)->role = role;
	return r;
}

static int receive_vote(struct raft_group *g, const struct raft_group_message *m)
{
	struct raft_message message = { .type = RAFT_REQUEST_VOTE };

	if (m->vote.last_index > INDEX_MAX || (m->vote.last_index == 0) != (m->vote.last_term == 0) || m->vote.last_term > m->term)
		return -EBADMSG;
	message.request_vote = (struct raft_request_vote){ .version = VERSION_PRE_VOTE, .term = m->term, .candidate_id = m->from, .last_log_index = m->vote.last_index,
		.last_log_term = m->vote.last_term, .disrupt_leader = m->vote.disrupt_leader, .pre_vote = m->vote.pre_vote };
	return lend_vote(g, m, &message);
}

/* Only a candidate needs it, in the phase in which it asked. Elsewhere libraft would look for the phase in memory that means something
 * else then, and could take an echoed term for a real one. */
static int receive_vote_result(struct raft_group *g, const struct raft_group_message *m)
{
	struct raft_message message = { .type = RAFT_REQUEST_VOTE_RESULT };

	if (g->raft.state != RAFT_CANDIDATE || g->raft.candidate_state.in_pre_vote != m->vote_result.pre_vote || !is_member(g, m->from))
		return 0;
	if (m->vote_result.granted && m->term > g->raft.current_term + m->vote_result.pre_vote)
		return -EBADMSG;
	message.request_vote_result = (struct raft_request_vote_result){ .version = VERSION_PRE_VOTE, .term = m->term,
		.vote_granted = m->vote_result.granted, .pre_vote = m->vote_result.pre_vote };
	return deliver(g, m, &message);
}

static int receive_snapshot(struct raft_group *g, const struct raft_group_message *m)
{
	struct raft_message message = { .type = RAFT_INSTALL_SNAPSHOT };
	struct raft_group_members checked;
	_cleanup_buffer_ struct buffer data;

	buffer_init(&data, 4096);
	if (m->snapshot.index == 0 || m->snapshot.index > INDEX_MAX || m->snapshot.index_term == 0 || m->snapshot.index_term > m->term ||
			m->snapshot.members_index == 0 || m->snapshot.members_index > m->snapshot.index || from_rival(g, m))
		return -EBADMSG;
	int r = raft_group_members_encode(&m->snapshot.members, &data);
	if (r < 0 || raft_group_members_decode((struct slice){ .data = data.data, .size = data.size }, &checked) < 0)
		return -EBADMSG;
	if (g->raft.snapshot.installing)
		return 0;   /* libraft would leak its members */
	/* What is committed here is never thrown away for a shorter snapshot. */
	if (m->snapshot.index <= g->raft.commit_index && m->term >= g->raft.current_term && raft_group_term_at(g, m->snapshot.index) != m->snapshot.index_term &&
			m->snapshot.index > g->raft.trail.snapshot.index)
		return -EBADMSG;

	message.install_snapshot = (struct raft_install_snapshot){ .version = VERSION, .term = m->term, .last_index = m->snapshot.index,
		.last_term = m->snapshot.index_term, .conf_index = m->snapshot.members_index };
	r = raft_members_to_libraft(&m->snapshot.members, &message.install_snapshot.conf);
	if (r < 0)
		return 0;   /* as if it had been lost */
	g->snapshot.kind = RAFT_GROUP_SNAPSHOT;
	g->snapshot.from = m->from;
	g->snapshot.to = m->to;
	g->snapshot.term = m->term;
	return deliver(g, m, &message);
}

static int receive_timeout_now(struct raft_group *g, const struct raft_group_message *m)
{
	struct raft_message message = { .type = RAFT_TIMEOUT_NOW };

	message.timeout_now = (struct raft_timeout_now){ .version = VERSION, .term = m->term, .last_log_index = m->timeout_now.last_index,
		.last_log_term = m->timeout_now.last_term };
	return deliver(g, m, &message);
}

int raft_group_receive(struct raft_group *g, int64_t now_ms, const struct raft_group_message *m, struct raft_group_actions *ret_actions)
{
	int r = raft_group_begin(g, now_ms);

	if (r < 0)
		return r;
	if (m->from == 0 || m->from == g->raft.id || m->to != g->raft.id || m->term == 0 || m->term > INDEX_MAX)
		return -EBADMSG;
	switch (m->kind) {
	case RAFT_GROUP_APPEND: r = receive_append(g, m); break;
	case RAFT_GROUP_APPEND_RESULT: r = receive_append_result(g, m); break;
	case RAFT_GROUP_VOTE: r = receive_vote(g, m); break;
	case RAFT_GROUP_VOTE_RESULT: r = receive_vote_result(g, m); break;
	case RAFT_GROUP_SNAPSHOT: r = receive_snapshot(g, m); break;
	case RAFT_GROUP_TIMEOUT_NOW: r = receive_timeout_now(g, m); break;
	default: r = -EBADMSG;
	}
	return raft_group_finish(g, r, ret_actions);
}
