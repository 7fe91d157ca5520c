/* How a shard starts: a new one gets its first log entry, another one joins what the disk has of its state and its log.
 *
 * The state is the snapshot. Three things may be found, and each is met at every crash:
 *   - the log goes on behind the state: those entries are applied again;
 *   - the log ends before the state: the store has flushed by itself what the log had not synced before the power went; the state has all of
 *     it, and the log goes on behind the state;
 *   - the log begins behind the state: the state has been lost or exchanged, since the log is compacted below a flushed state only. -EBADMSG. */
#include <assert.h>

#include "base/log.h"
#include "cluster/shard_internal.h"

#define REPLAY_MAX (1u << 26)   /* entries between state and log end: far above what the log's bound in bytes lets in */

/* Entry 1 says that this node is the only voter. A start that was cut short goes on where it ended. */
static int bootstrap(struct shard *s, struct log_group *group)
{
	struct raft_group_members members = { .count = 1, .member = { { .id = s->store->node_id, .role = RAFT_GROUP_VOTER } } };
	_cleanup_buffer_ struct buffer data;
	int r = 0;

	buffer_init(&data, 4096);
	if (group->term == 0)
		r = log_set_vote(s->store->log, s->options.id, 1, 0);
	if (r == 0)
		r = raft_group_members_encode(&members, &data);
	if (r < 0)
		return r;
	struct log_entry first = { .index = 1, .term = 1, .type = RAFT_GROUP_CHANGE, .data = { .data = data.data, .size = data.size } };
	r = log_append(s->store->log, s->options.id, &first, 1);
	if (r == 0)
		r = log_sync(s->store->log);
	if (r == 0)
		log_get_group(s->store->log, s->options.id, group);
	return r;
}

static int join_log_and_state(struct shard *s, struct log_group *group)
{
	uint64_t applied = state_applied_index(s->state), term = state_applied_term(s->state);

	if (group->term < term || group->base_index > applied || (applied == 0 && group->first_index != 1))
		return -EBADMSG;
	if (applied == 0 || group->last_index >= applied)
		return 0;
	log_notice("cluster", "log ends before the state shard=%u log=%llu state=%llu", s->options.id, (unsigned long long)group->last_index,
		(unsigned long long)applied);
	int r = log_compact(s->store->log, s->options.id, applied, term);
	if (r == 0)
		log_get_group(s->store->log, s->options.id, group);
	return r;
}

static int load_members(struct shard *s)
{
	uint64_t applied = state_applied_index(s->state);
	_cleanup_buffer_ struct buffer data;

	buffer_init(&data, 4096);
	if (applied == 0)
		return 0;
	int r = state_get_configuration(s->state, &s->members_index, &data);
	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r;
	/* A crash may have come between these members and the applied index that goes with them; they are committed all the same. */
	if (s->members_index > applied)
		s->members_index = applied;
	return raft_group_members_decode((struct slice){ .data = data.data, .size = data.size }, &s->members);
}

/* What the core wants to know of the entries behind the state: terms and types, and the data of changes. */
struct replay { struct log_entry *entries; size_t count, changes; struct buffer *data; };

static void replay_done(struct replay *p)
{
	for (size_t i = 0; i < p->changes; i++)
		buffer_done(&p->data[i]);
	free(p->data);
	free(p->entries);
}

static int replay_keep(struct replay *p, struct log_entry *e, const struct buffer *from)
{
	struct buffer *data = realloc(p->data, (p->changes + 1) * sizeof(*data));

	if (!data)
		return -ENOMEM;
	p->data = data;
	buffer_init(&data[p->changes], LOG_ENTRY_MAX);
	int r = buffer_append(&data[p->changes], from->data, from->size);
	e->data = (struct slice){ .data = data[p->changes].data, .size = data[p->changes].size };
	p->changes++;
	return r;
}

static int replay_load(struct shard *s, const struct log_group *group, struct replay *p)
{
	uint64_t applied = state_applied_index(s->state);
	uint64_t count = group->last_index > applied ? group->last_index - applied : 0;
	int r = 0;

	if (count > REPLAY_MAX)
		return -EBADMSG;
	p->entries = calloc(count + 1, sizeof(*p->entries));
	if (!p->entries)
		return -ENOMEM;
	for (; p->count < count && r == 0; p->count++) {
		struct log_entry *e = &p->entries[p->count];
		e->index = applied + 1 + p->count;
		r = log_read(s->store->log, s->options.id, e->index, &e->term, &e->type, &s->entry);
		if (r == 0 && e->type == RAFT_GROUP_CHANGE)
			r = replay_keep(p, e, &s->entry);
	}
	return r == -ENOENT ? -EBADMSG : r;
}

static int start_core(struct shard *s, const struct log_group *group, const struct replay *p)
{
	struct raft_group_start start = { .id = s->store->node_id, .term = group->term, .voted_for = group->voted_for,
		.applied_index = state_applied_index(s->state), .applied_term = state_applied_term(s->state), .members = s->members,
		.members_index = s->members_index, .entries = p->entries, .entry_count = p->count, .seed = (uint32_t)random_u64(s->random) };
	struct raft_group_actions actions;

	s->last_index = group->last_index > start.applied_index ? group->last_index : start.applied_index;
	int r = raft_group_open(&start, shard_now_ms(s), &s->group, &actions);
	if (r == 0)
		r = shard_perform(s, &actions, NULL);
	if (r < 0)
		return r;
	struct raft_group_info info;
	raft_group_get_info(s->group, &info);
	/* Others vote once there are others. */
	if (!info.is_leader || info.commit_index != s->last_index)
		return -EBADMSG;
	log_info("cluster", "shard open shard=%u term=%llu applied=%llu replayed=%zu", s->options.id, (unsigned long long)info.term,
		(unsigned long long)state_applied_index(s->state), p->count);
	return 0;
}

int shard_recover(struct shard *s)
{
	struct log_group group;
	struct replay replay = { 0 };
	int r = 0;

	log_get_group(s->store->log, s->options.id, &group);
	if (group.last_index == 0 && state_applied_index(s->state) == 0)
		r = bootstrap(s, &group);
	if (r == 0)
		r = join_log_and_state(s, &group);
	if (r == 0)
		r = load_members(s);
	if (r == 0)
		r = replay_load(s, &group, &replay);
	if (r == 0)
		r = start_core(s, &group, &replay);
	replay_done(&replay);
	if (r < 0) {
		raft_group_close(s->group);
		s->group = NULL;
	}
	return r;
}
