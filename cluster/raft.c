/* The life of a group, and one step of it: an event into libraft, its update into our actions.
 *
 * Invariants: time never goes back and persisted indexes only grow (guard 9: libraft would go wrong silently, so both are asserted);
 * a leader's first entry is of its own term (guard 3); a CHANGE is confirmed to libraft as soon as it is committed; an update is
 * used up before the next step. */
#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cluster/raft_internal.h"

#define ELECTION_MS 1000u
#define HEARTBEAT_MS 100u
#define INDEX_MAX (UINT64_MAX >> 2)   /* no log gets there; what claims to is damaged */

_Static_assert((int)RAFT_GROUP_COMMAND == RAFT_COMMAND && (int)RAFT_GROUP_BARRIER == RAFT_BARRIER && (int)RAFT_GROUP_CHANGE == RAFT_CHANGE,
	"entry types are numbered as in libraft");

int raft_group_errno(int libraft_error)
{
	switch (libraft_error) {
	case 0:
		return 0;
	case RAFT_NOMEM:
		return -ENOMEM;
	case RAFT_NOTLEADER:
	case RAFT_CANTCHANGE:
	case RAFT_NOSPACE:
	case RAFT_BUSY:
		return -EAGAIN;
	case RAFT_MALFORMED:
		return -EBADMSG;
	case RAFT_BADID:
	case RAFT_BADROLE:
	case RAFT_NOTFOUND:
	case RAFT_DUPLICATEID:
	case RAFT_DUPLICATEADDRESS:
		return -EINVAL;
	default:
		return -EIO;
	}
}

bool raft_group_reserve(void **array, size_t *capacity, size_t count, size_t element_size)
{
	if (count <= *capacity)
		return true;
	size_t wanted = count > *capacity * 2 ? count : *capacity * 2;
	void *larger = realloc(*array, wanted * element_size);
	if (!larger)
		return false;
	*array = larger;
	*capacity = wanted;
	return true;
}

static unsigned trail_position(const struct raft_trail *t, unsigned i)
{
	return (t->front + i) % t->size;
}

uint64_t raft_group_term_at(const struct raft_group *g, uint64_t index)
{
	const struct raft_trail *t = &g->raft.trail;
	unsigned n = t->front <= t->back ? t->back - t->front : t->size - t->front + t->back;
	uint64_t last = n > 0 ? t->records[trail_position(t, n - 1)].index : t->offset;

	if (index == 0)
		return 0;
	if (index <= t->offset || index > last)
		return index == t->snapshot.index ? t->snapshot.term : 0;
	/* From the end: recent entries are asked for most. */
	while (n > 1 && index <= t->records[trail_position(t, n - 2)].index)
		n--;
	return t->records[trail_position(t, n - 1)].term;
}

static uint64_t last_index(const struct raft_group *g)
{
	return raft_last_index((struct raft *)(uintptr_t)&g->raft);
}

/* One event into libraft. Time goes only forward. */
int raft_group_begin(struct raft_group *g, int64_t now_ms)
{
	assert(now_ms >= g->now_ms);
	if (g->error)
		return g->error;
	g->now_ms = now_ms;
	g->save_vote = g->install_snapshot = false;
	g->cut_from = 0;
	g->entry_count = g->message_count = 0;
	return 0;
}

static void forget_committed(struct raft_group *g)
{
	if (g->barrier_index == 0)
		return;
	for (; g->counted_from <= g->raft.commit_index; g->counted_from++)
		g->uncommitted_bytes -= g->uncommitted_size[g->counted_from % RAFT_GROUP_UNCOMMITTED_MAX];
}

bool raft_group_has_room(const struct raft_group *g, size_t count, uint64_t bytes)
{
	uint64_t uncommitted = last_index(g) - g->raft.commit_index;

	if (count > RAFT_GROUP_UNCOMMITTED_MAX || uncommitted > RAFT_GROUP_UNCOMMITTED_MAX - count)
		return false;
	return g->uncommitted_bytes == 0 || (bytes <= RAFT_GROUP_UNCOMMITTED_BYTES && g->uncommitted_bytes <= RAFT_GROUP_UNCOMMITTED_BYTES - bytes);
}

int raft_group_stop(struct raft_group *g)
{
	g->error = -EIO;
	return -EIO;
}

int raft_group_finish(struct raft_group *g, int r, struct raft_group_actions *ret_actions)
{
	if (r < 0)
		return r;
	if (raft_send_release(g) < 0)
		return raft_group_stop(g);
	assert(g->raft.commit_index >= g->commit_index);
	g->commit_index = g->raft.commit_index;
	forget_committed(g);
	*ret_actions = (struct raft_group_actions){
		.save_vote = g->save_vote, .term = g->raft.current_term, .voted_for = g->raft.voted_for,
		.cut_from = g->cut_from, .entries = g->entries, .entry_count = g->entry_count, .ticket = g->ticket,
		.messages = g->messages, .message_count = g->message_count,
		.install = g->install_snapshot ? &g->snapshot : NULL,
		/* While a snapshot is on its way, what it holds counts as committed, but neither log nor state has it. */
		.commit_index = g->raft.snapshot.installing ? 0 : g->raft.commit_index,
	};
	return 0;
}

/* Entries of one step follow those of the step before: parts of one message, or a leader's first entry. */
static int collect_entries(struct raft_group *g, uint64_t index, const struct raft_entry *batch, unsigned count, uint64_t last_before)
{
	if (!raft_group_reserve((void **)&g->entries, &g->entry_capacity, g->entry_count + count, sizeof(*g->entries)))
		return -ENOMEM;
	if (index <= last_before) {
		assert(g->entry_count == 0);
		g->cut_from = index;
		g->ticket++;
	}
	assert(g->entry_count == 0 || g->entries[g->entry_count - 1].index + 1 == index);
	for (unsigned i = 0; i < count; i++) {
		struct log_entry *e = &g->entries[g->entry_count++];
		*e = (struct log_entry){ .index = index + i, .term = batch[i].term, .type = (uint16_t)batch[i].type,
			.data = { .data = batch[i].buf.base, .size = batch[i].buf.len } };
		if (batch[i].type == RAFT_BARRIER)
			e->data = (struct slice){ .data = NULL, .size = 0 };
	}
	/* The barrier that libraft makes by itself is ours to free. */
	if (batch == &g->raft.barrier) {
		raft_free(g->raft.barrier.batch);
		g->raft.barrier.batch = NULL;
	}
	return 0;
}

static void collect_snapshot(struct raft_group *g, struct raft_snapshot_metadata *m)
{
	g->install_snapshot = true;
	g->ticket++;
	g->snapshot.snapshot.index = m->index;
	g->snapshot.snapshot.index_term = m->term;
	g->snapshot.snapshot.members_index = m->configuration_index;
	raft_members_from_libraft(&m->configuration, &g->snapshot.snapshot.members);
	raft_configuration_close(&m->configuration);
}

/* A leader's first entry is a barrier of its own term. libraft appends one only if it finds uncommitted entries. */
static int become_leader(struct raft_group *g, const struct raft_update *u)
{
	static const struct slice nothing;
	bool has_barrier = u->flags & RAFT_UPDATE_ENTRIES;

	g->barrier_index = g->counted_from = has_barrier ? u->entries.index : last_index(g) + 1;
	g->uncommitted_bytes = 0;
	g->uncommitted_size[g->barrier_index % RAFT_GROUP_UNCOMMITTED_MAX] = 0;
	return has_barrier ? 0 : raft_group_submit(g, &nothing, 1, RAFT_GROUP_BARRIER);
}

static int confirm_change(struct raft_group *g)
{
	struct raft_group_members members;
	struct raft_event e = { .type = RAFT_CONFIGURATION };

	raft_members_from_libraft(&g->raft.configuration, &members);
	e.configuration.index = g->raft.configuration_uncommitted_index;
	int r = raft_members_to_libraft(&members, &e.configuration.conf);
	return r < 0 ? r : raft_group_step(g, &e);
}

static int use_update(struct raft_group *g, const struct raft_event *event, struct raft_update *u, uint64_t last_before, bool was_leader)
{
	bool is_leader = g->raft.state == RAFT_LEADER, elected = is_leader && !was_leader;
	int r = 0;

	if (u->flags & (RAFT_UPDATE_CURRENT_TERM | RAFT_UPDATE_VOTED_FOR))
		g->save_vote = true;
	if (u->flags & RAFT_UPDATE_ENTRIES)
		r = collect_entries(g, u->entries.index, u->entries.batch, u->entries.n, last_before);
	if (u->flags & RAFT_UPDATE_SNAPSHOT)
		collect_snapshot(g, &u->snapshot.metadata);
	if (elected || (event->type == RAFT_SUBMIT && event->submit.entries[0].type == RAFT_CHANGE))
		raft_send_hold(g);
	if (r == 0 && (u->flags & RAFT_UPDATE_MESSAGES))
		r = raft_send_collect(g, u->messages.batch, u->messages.n);

	if (!is_leader)
		g->barrier_index = 0;
	if (r == 0 && elected)
		r = become_leader(g, u);
	if (r == 0 && g->raft.configuration_uncommitted_index != 0 && g->raft.configuration_uncommitted_index <= g->raft.commit_index)
		r = confirm_change(g);
	return r;
}

int raft_group_step(struct raft_group *g, struct raft_event *event)
{
	struct raft_update u = { 0 };
	bool was_leader = g->raft.state == RAFT_LEADER;
	uint64_t last_before = last_index(g);

	event->time = (raft_time)g->now_ms;
	event->capacity = USHRT_MAX;   /* room is the business of whoever proposes (R8) */
	int r = raft_group_errno(raft_step(&g->raft, event, &u));
	if ((r == -EAGAIN || r == -EINVAL) && (event->type == RAFT_SUBMIT || event->type == RAFT_TRANSFER))
		return r;
	if (r == 0)
		r = use_update(g, event, &u, last_before, was_leader);
	g->step_flags = u.flags;
	return r < 0 ? raft_group_stop(g) : 0;
}

int raft_group_submit(struct raft_group *g, const struct slice *data, size_t count, enum raft_group_entry type)
{
	static char batch;   /* libraft wants one, and neither reads nor frees it */
	struct raft_event e = { .type = RAFT_SUBMIT };
	uint64_t first = last_index(g) + 1;

	if (!raft_group_reserve((void **)&g->scratch, &g->scratch_capacity, count, sizeof(*g->scratch)))
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		g->scratch[i] = (struct raft_entry){ .term = g->raft.current_term, .type = (enum raft_entry_type)type, .batch = &batch,
			.buf = { .base = (void *)(uintptr_t)data[i].data, .len = data[i].size } };
	e.submit.entries = g->scratch;
	e.submit.n = (unsigned)count;
	int r = raft_group_step(g, &e);
	for (size_t i = 0; r == 0 && i < count; i++) {
		g->uncommitted_size[(first + i) % RAFT_GROUP_UNCOMMITTED_MAX] = (uint32_t)data[i].size;
		g->uncommitted_bytes += data[i].size;
	}
	if (r == 0 && raft_send_nudge(g, first, first + count - 1) < 0)
		r = raft_group_stop(g);
	return r;
}

static int check_start(const struct raft_group_start *s)
{
	struct raft_group_members members;
	uint64_t term = s->applied_term;

	if (s->applied_index > INDEX_MAX || s->members_index > s->applied_index || s->applied_term > s->term)
		return -EBADMSG;
	if (s->term == 0 && (s->voted_for != 0 || s->applied_index != 0 || s->entry_count != 0))
		return -EBADMSG;
	if (s->applied_index > 0 && (s->applied_term == 0 || s->members_index == 0 || s->members.count == 0 ||
			s->members.count > RAFT_GROUP_MEMBERS_MAX))
		return -EBADMSG;
	for (size_t i = 0; i < s->entry_count; i++) {
		const struct log_entry *e = &s->entries[i];
		if (e->index != s->applied_index + 1 + i || e->term < term || e->term == 0 || e->term > s->term)
			return -EBADMSG;
		if (e->type < RAFT_GROUP_COMMAND || e->type > RAFT_GROUP_CHANGE)
			return -EBADMSG;
		if (e->type == RAFT_GROUP_CHANGE && raft_group_members_decode(e->data, &members) < 0)
			return -EBADMSG;
		term = e->term;
	}
	if (s->applied_index == 0 && s->entry_count > 0 && s->entries[0].type != RAFT_GROUP_CHANGE)
		return -EBADMSG;
	return 0;
}

static bool sole_voter(const struct raft_group_start *s)
{
	struct raft_group_members members = s->members;

	if (s->applied_index == 0)
		members.count = 0;
	for (size_t i = s->entry_count; i-- > 0; ) {
		if (s->entries[i].type == RAFT_GROUP_CHANGE) {
			raft_group_members_decode(s->entries[i].data, &members);
			break;
		}
	}
	const struct raft_group_member *self = raft_members_find(&members, s->id);
	return self && self->role == RAFT_GROUP_VOTER && raft_members_voters(&members) == 1;
}

static int start(struct raft_group *g, const struct raft_group_start *s)
{
	struct raft_event e = { .type = RAFT_START };
	struct raft_snapshot_metadata metadata;
	struct raft_entry *entries = NULL;
	void *batch = NULL;
	int r;

	e.start.term = s->term;
	e.start.voted_for = s->voted_for;
	if (sole_voter(s)) {
		e.start.term = s->term + 1;
		e.start.voted_for = s->id;
		g->save_vote = true;
	}
	e.start.start_index = s->applied_index + 1;
	if (s->entry_count > 0) {
		/* On failure libraft frees both. */
		entries = raft_calloc(s->entry_count, sizeof(*entries));
		batch = raft_malloc(1);
		if (!entries || !batch) {
			raft_free(entries);
			raft_free(batch);
			return -ENOMEM;
		}
		for (size_t i = 0; i < s->entry_count; i++)
			entries[i] = (struct raft_entry){ .term = s->entries[i].term, .type = (enum raft_entry_type)s->entries[i].type, .batch = batch,
				.buf = { .base = (void *)(uintptr_t)s->entries[i].data.data, .len = s->entries[i].data.size } };
		e.start.entries = entries;
		e.start.n_entries = (unsigned)s->entry_count;
	}
	if (s->applied_index > 0) {
		metadata = (struct raft_snapshot_metadata){ .index = s->applied_index, .term = s->applied_term, .configuration_index = s->members_index };
		r = raft_members_to_libraft(&s->members, &metadata.configuration);
		if (r < 0) {
			raft_free(entries);
			raft_free(batch);
			return r;
		}
		e.start.metadata = &metadata;
		g->snapshot_members = s->members;
		g->snapshot_members_index = s->members_index;
	}
	r = raft_group_step(g, &e);
	if (r == 0) {
		raft_free(entries);
		raft_free(batch);
	}
	return r;
}

int raft_group_open(const struct raft_group_start *s, int64_t now_ms, struct raft_group **ret_group, struct raft_group_actions *ret_actions)
{
	char address[21];

	assert(s->id != 0 && now_ms >= 0);
	int r = check_start(s);
	if (r < 0)
		return r;
	struct raft_group *g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	snprintf(address, sizeof(address), "%" PRIu64, s->id);
	if (raft_init(&g->raft, NULL, NULL, s->id, address) != 0) {
		free(g);
		return -ENOMEM;
	}
	g->raft.tracer = NULL;   /* the default one formats text at each step */
	raft_seed(&g->raft, s->seed);
	raft_set_election_timeout(&g->raft, s->election_ms ? s->election_ms : ELECTION_MS);
	raft_set_heartbeat_timeout(&g->raft, s->heartbeat_ms ? s->heartbeat_ms : HEARTBEAT_MS);
	raft_set_pre_vote(&g->raft, true);
	raft_set_max_inflight_entries(&g->raft, RAFT_GROUP_INFLIGHT_MAX);
	buffer_init(&g->change, 4096);
	g->now_ms = now_ms;
	r = raft_group_begin(g, now_ms);
	if (r == 0)
		r = start(g, s);
	if (r == 0)
		r = raft_group_finish(g, r, ret_actions);
	if (r < 0) {
		raft_group_close(g);
		return r;
	}
	*ret_group = g;
	return 0;
}

void raft_group_close(struct raft_group *g)
{
	if (!g)
		return;
	raft_close(&g->raft, NULL);
	buffer_done(&g->change);
	free(g->entries);
	free(g->messages);
	free(g->scratch);
	free(g);
}

int64_t raft_group_deadline_ms(const struct raft_group *g)
{
	int64_t deadline = (int64_t)raft_timeout(&g->raft);

	/* Guard 7: a member that gets no heartbeats any more keeps its last one's time for ever. */
	if (deadline <= g->now_ms)
		deadline = g->now_ms + g->raft.heartbeat_timeout;
	if (g->hold.index != 0 && g->hold.promotes && g->hold.until_ms > g->now_ms && g->hold.until_ms < deadline)
		deadline = g->hold.until_ms;
	return deadline;
}

int raft_group_tick(struct raft_group *g, int64_t now_ms, struct raft_group_actions *ret_actions)
{
	struct raft_event e = { .type = RAFT_TIMEOUT };
	int r = raft_group_begin(g, now_ms);

	if (r == 0 && (raft_time)now_ms >= raft_timeout(&g->raft))
		r = raft_group_step(g, &e);
	return raft_group_finish(g, r, ret_actions);
}

int raft_group_propose(struct raft_group *g, int64_t now_ms, const struct slice *commands, size_t count, struct raft_group_actions *ret_actions)
{
	uint64_t bytes = 0;
	int r = raft_group_begin(g, now_ms);

	assert(count > 0);
	if (r < 0)
		return r;
	if (g->raft.state != RAFT_LEADER || g->raft.leader_state.transferee != 0)
		return -EAGAIN;
	for (size_t i = 0; i < count; i++)
		bytes += commands[i].size;
	if (!raft_group_has_room(g, count, bytes))
		return -EAGAIN;
	r = raft_group_submit(g, commands, count, RAFT_GROUP_COMMAND);
	return raft_group_finish(g, r, ret_actions);
}

int raft_group_persisted(struct raft_group *g, int64_t now_ms, uint64_t index, uint64_t ticket, struct raft_group_actions *ret_actions)
{
	struct raft_event e = { .type = RAFT_PERSISTED_ENTRIES };
	int r = raft_group_begin(g, now_ms);

	if (r == 0 && ticket == g->ticket && !g->raft.snapshot.installing) {
		assert(index > g->raft.last_stored && index <= last_index(g));
		e.persisted_entries.index = index;
		r = raft_group_step(g, &e);
	}
	return raft_group_finish(g, r, ret_actions);
}

int raft_group_compacted(struct raft_group *g, int64_t now_ms, uint64_t index, const struct raft_group_members *members, uint64_t members_index,
	uint32_t trailing, struct raft_group_actions *ret_actions)
{
	struct raft_event e = { .type = RAFT_SNAPSHOT };
	int r = raft_group_begin(g, now_ms);
	uint64_t term = raft_group_term_at(g, index);

	if (r < 0)
		return r;
	assert(index <= g->raft.commit_index && index <= g->raft.last_stored && members_index <= index);
	if (index > g->raft.trail.snapshot.index && term != 0 && !g->raft.snapshot.installing) {
		e.snapshot.metadata = (struct raft_snapshot_metadata){ .index = index, .term = term, .configuration_index = members_index };
		e.snapshot.trailing = trailing;
		r = raft_members_to_libraft(members, &e.snapshot.metadata.configuration);
		r = r < 0 ? raft_group_stop(g) : raft_group_step(g, &e);
		g->snapshot_members = *members;
		g->snapshot_members_index = members_index;
	}
	return raft_group_finish(g, r, ret_actions);
}

int raft_group_installed(struct raft_group *g, int64_t now_ms, struct raft_group_actions *ret_actions)
{
	struct raft_event e = { .type = RAFT_PERSISTED_SNAPSHOT };
	const struct raft_group_message *m = &g->snapshot;
	int r = raft_group_begin(g, now_ms);

	if (r < 0)
		return r;
	assert(g->raft.snapshot.installing);
	e.persisted_snapshot.metadata = (struct raft_snapshot_metadata){ .index = m->snapshot.index, .term = m->snapshot.index_term,
		.configuration_index = m->snapshot.members_index };
	e.persisted_snapshot.last = true;
	r = raft_members_to_libraft(&m->snapshot.members, &e.persisted_snapshot.metadata.configuration);
	r = r < 0 ? raft_group_stop(g) : raft_group_step(g, &e);
	g->snapshot_members = m->snapshot.members;
	g->snapshot_members_index = m->snapshot.members_index;
	return raft_group_finish(g, r, ret_actions);
}

int raft_group_transfer(struct raft_group *g, int64_t now_ms, uint64_t to, struct raft_group_actions *ret_actions)
{
	struct raft_event e = { .type = RAFT_TRANSFER, .transfer.server_id = to };
	int r = raft_group_begin(g, now_ms);

	if (r == 0)
		r = raft_group_step(g, &e);
	return raft_group_finish(g, r, ret_actions);
}

bool raft_group_alone(const struct raft_group *g)
{
	const struct raft_configuration *now = &g->raft.configuration, *before = &g->raft.configuration_committed;

	return now->n == 1 && now->servers[0].id == g->raft.id && before->n <= 1;
}

void raft_group_get_info(const struct raft_group *g, struct raft_group_info *ret_info)
{
	struct raft *r = (struct raft *)(uintptr_t)&g->raft;
	const char *address;
	raft_id leader = 0;

	raft_leader(r, &leader, &address);
	*ret_info = (struct raft_group_info){ .term = r->current_term, .leader = leader, .commit_index = r->commit_index, .last_index = raft_last_index(r),
		.is_leader = r->state == RAFT_LEADER, .is_voter = raft_role(r) == RAFT_VOTER,
		.members_committed = r->configuration_uncommitted_index == 0,
		.members_index = r->configuration_uncommitted_index ? r->configuration_uncommitted_index : r->configuration_committed_index };
	raft_members_from_libraft(&r->configuration, &ret_info->members);
}

int raft_group_match_index(const struct raft_group *g, uint64_t id, uint64_t *ret_index)
{
	raft_index index;
	int rv = raft_match_index(&g->raft, id, &index);

	if (rv == RAFT_BADID)
		return -ENOENT;
	if (rv != 0)
		return raft_group_errno(rv);
	*ret_index = index;
	return 0;
}
