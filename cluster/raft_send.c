/* Outgoing messages: from libraft's form into ours, with guards 1, 4 and 10.
 *
 * Guard 4: a voter that does not know yet that it is one can't vote, and one that knows already that it is none any more won't. If the
 * leader of {A, B, C} promotes D, tells B and C, and dies, then B and C need a third vote of four, and D refuses it. If it demotes C, tells
 * C first, and dies, then B needs C's vote, and C refuses it. So while such a change is uncommitted, messages to others end before it until
 * the promoted member has acknowledged it, or PROMOTION_ELECTIONS election timeouts have passed (it may have died too); messages to the
 * demoted member end before it until it is committed. libraft does not know of this, and believes that everything was sent: what was
 * held back is sent at the release. */
#include <assert.h>
#include <string.h>

#include "cluster/raft_internal.h"

#define PROMOTION_ELECTIONS 2

static struct raft_group_message *next_message(struct raft_group *g, enum raft_group_message_kind kind, uint64_t to, uint64_t term)
{
	if (!raft_group_reserve((void **)&g->messages, &g->message_capacity, g->message_count + 1, sizeof(*g->messages)))
		return NULL;
	struct raft_group_message *m = &g->messages[g->message_count++];
	memset(m, 0, sizeof(*m));
	m->kind = kind;
	m->from = g->raft.id;
	m->to = to;
	m->term = term;
	return m;
}

static unsigned position_of(const struct raft_group *g, uint64_t id)
{
	const struct raft_configuration *c = &g->raft.configuration;
	unsigned i = 0;

	while (i < c->n && c->servers[i].id != id)
		i++;
	return i;
}

static int collect_append(struct raft_group *g, uint64_t to, const struct raft_append_entries *a)
{
	struct raft_group_message *m = next_message(g, RAFT_GROUP_APPEND, to, a->term);
	uint64_t held = g->hold.index;

	if (!m)
		return -ENOMEM;
	m->append.prev_index = a->prev_log_index;
	m->append.prev_term = a->prev_log_term;
	m->append.commit_index = a->leader_commit;
	m->append.count = a->n_entries;
	if (held == 0 || (to == g->hold.id) == g->hold.promotes || a->prev_log_index + a->n_entries < held)
		return 0;

	unsigned i = position_of(g, to);
	if (i < RAFT_GROUP_MEMBERS_MAX && g->hold.held_to[i] < a->prev_log_index + a->n_entries)
		g->hold.held_to[i] = a->prev_log_index + a->n_entries;
	if (a->prev_log_index >= held) {
		m->append.prev_index = held - 1;
		m->append.prev_term = raft_group_term_at(g, held - 1);
		m->append.count = 0;
	} else {
		m->append.count = held - 1 - a->prev_log_index;
	}
	return 0;
}

static int collect_vote_result(struct raft_group *g, uint64_t to, const struct raft_request_vote_result *v)
{
	/* Guard 1: libraft echoes the candidate's term, so that a candidate with the longer log and a lower term would never learn of the
	 * higher one, and its own would be refused for ever. */
	bool rejected = v->pre_vote && !v->vote_granted;
	struct raft_group_message *m = next_message(g, RAFT_GROUP_VOTE_RESULT, to, rejected ? g->raft.current_term : v->term);

	if (!m)
		return -ENOMEM;
	m->vote_result.granted = v->vote_granted;
	m->vote_result.pre_vote = v->pre_vote;
	return 0;
}

static int collect_one(struct raft_group *g, const struct raft_message *from)
{
	struct raft_group_message *m;

	switch (from->type) {
	case RAFT_APPEND_ENTRIES:
		return collect_append(g, from->server_id, &from->append_entries);
	case RAFT_REQUEST_VOTE_RESULT:
		return collect_vote_result(g, from->server_id, &from->request_vote_result);
	case RAFT_APPEND_ENTRIES_RESULT:
		m = next_message(g, RAFT_GROUP_APPEND_RESULT, from->server_id, from->append_entries_result.term);
		if (!m)
			return -ENOMEM;
		m->append_result.rejected = from->append_entries_result.rejected;
		m->append_result.last_index = from->append_entries_result.last_log_index;
		return 0;
	case RAFT_REQUEST_VOTE:
		m = next_message(g, RAFT_GROUP_VOTE, from->server_id, from->request_vote.term);
		if (!m)
			return -ENOMEM;
		m->vote.last_index = from->request_vote.last_log_index;
		m->vote.last_term = from->request_vote.last_log_term;
		m->vote.disrupt_leader = from->request_vote.disrupt_leader;
		m->vote.pre_vote = from->request_vote.pre_vote;
		return 0;
	case RAFT_INSTALL_SNAPSHOT:
		m = next_message(g, RAFT_GROUP_SNAPSHOT, from->server_id, from->install_snapshot.term);
		if (!m)
			return -ENOMEM;
		m->snapshot.index = from->install_snapshot.last_index;
		m->snapshot.index_term = from->install_snapshot.last_term;
		m->snapshot.members = g->snapshot_members;
		m->snapshot.members_index = g->snapshot_members_index;
		return 0;
	case RAFT_TIMEOUT_NOW:
		m = next_message(g, RAFT_GROUP_TIMEOUT_NOW, from->server_id, from->timeout_now.term);
		if (!m)
			return -ENOMEM;
		m->timeout_now.last_index = from->timeout_now.last_log_index;
		m->timeout_now.last_term = from->timeout_now.last_log_term;
		return 0;
	}
	assert(!"libraft sends a message of an unknown type");
	return -EIO;
}

int raft_send_collect(struct raft_group *g, const struct raft_message *messages, unsigned count)
{
	int r = 0;

	for (unsigned i = 0; i < count && r == 0; i++)
		r = collect_one(g, &messages[i]);
	return r;
}

static bool was_sent(const struct raft_group *g, uint64_t to)
{
	for (size_t i = 0; i < g->message_count; i++)
		if (g->messages[i].kind == RAFT_GROUP_APPEND && g->messages[i].to == to)
			return true;
	return false;
}

/* Guard 10. When heartbeats to several members are not in step, libraft takes a member for silent that has answered all it was sent, and
 * from then on sends it new entries with the next heartbeat only: the first commit after some idle time would wait for that. A member that
 * had everything before these entries is sent them at once; its answer makes libraft trust it again. One that is dead gets no more than that. */
int raft_send_nudge(struct raft_group *g, uint64_t first, uint64_t last)
{
	const struct raft_configuration *c = &g->raft.configuration;
	int r = 0;

	for (unsigned i = 0; i < c->n && r == 0; i++) {
		const struct raft_server *s = &c->servers[i];
		uint64_t match;
		if (s->id == g->raft.id || s->role == RAFT_SPARE || was_sent(g, s->id))
			continue;
		if (raft_group_match_index(g, s->id, &match) < 0 || match == 0 || match != first - 1)
			continue;
		struct raft_append_entries a = { .term = g->raft.current_term, .prev_log_index = match, .prev_log_term = raft_group_term_at(g, match),
			.leader_commit = g->raft.commit_index, .n_entries = (unsigned)(last - match) };
		r = a.prev_log_term != 0 ? collect_append(g, s->id, &a) : 0;
	}
	return r;
}

static void hold(struct raft_group *g, uint64_t id, bool promotes)
{
	g->hold.index = g->raft.configuration_uncommitted_index;
	g->hold.id = id;
	g->hold.promotes = promotes;
	g->hold.until_ms = g->now_ms + (int64_t)g->raft.election_timeout * PROMOTION_ELECTIONS;
}

static bool votes(const struct raft_group_members *members, uint64_t id)
{
	const struct raft_group_member *m = raft_members_find(members, id);

	return m && m->role == RAFT_GROUP_VOTER;
}

void raft_send_hold(struct raft_group *g)
{
	struct raft_group_members old, new;

	memset(&g->hold, 0, sizeof(g->hold));
	if (g->raft.configuration_uncommitted_index == 0)
		return;
	raft_members_from_libraft(&g->raft.configuration_committed, &old);
	raft_members_from_libraft(&g->raft.configuration, &new);
	for (uint32_t i = 0; i < new.count; i++) {
		uint64_t id = new.member[i].id;
		if (id != g->raft.id && votes(&new, id) != votes(&old, id))
			hold(g, id, votes(&new, id));
	}
}

static bool hold_is_over(const struct raft_group *g)
{
	uint64_t match;

	if (g->raft.state != RAFT_LEADER || g->raft.commit_index >= g->hold.index)
		return true;
	if (!g->hold.promotes)
		return false;
	return g->now_ms >= g->hold.until_ms || raft_group_match_index(g, g->hold.id, &match) < 0 || match >= g->hold.index;
}

int raft_send_release(struct raft_group *g)
{
	const struct raft_configuration *c = &g->raft.configuration;
	uint64_t first = g->hold.index, last;

	if (first == 0 || !hold_is_over(g))
		return 0;
	g->hold.index = 0;
	if (g->raft.state != RAFT_LEADER)
		return 0;
	last = raft_last_index(&g->raft);
	for (unsigned i = 0; i < c->n && i < RAFT_GROUP_MEMBERS_MAX; i++) {
		uint64_t to = g->hold.held_to[i] < last ? g->hold.held_to[i] : last;
		if (to < first)
			continue;
		struct raft_group_message *m = next_message(g, RAFT_GROUP_APPEND, c->servers[i].id, g->raft.current_term);
		if (!m)
			return -ENOMEM;
		m->append.prev_index = first - 1;
		m->append.prev_term = raft_group_term_at(g, first - 1);
		m->append.commit_index = g->raft.commit_index;
		m->append.count = to - (first - 1);
	}
	return 0;
}
