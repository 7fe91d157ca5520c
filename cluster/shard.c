/* One shard with a single voter: agreement, log and state joined, in the thread of whoever proposes.
 *
 * The lock guards group and state; the log has its own. Entries are acknowledged once they are in the log file (rule A1: nobody else has
 * them); a durable proposal then waits for a sync that it may share. Whatever fails in log or state stops the shard: it answers -EIO from
 * then on, and what it had acknowledged is found by the next start. */
#include "cluster/shard.h"

#include <assert.h>
#include <string.h>

#include "base/counter.h"
#include "base/lock.h"
#include "base/log.h"
#include "cluster/raft.h"

#define FLUSH_LOG_BYTES (64ull << 20)     /* replayed in about a second */
#define LEADER_TICKS_MAX 64u              /* a sole voter leads after one or two */

COUNTER(commands_applied, "dios_commands_applied_total", "Commands applied to the state");
HISTOGRAM(sync_time, "dios_log_sync_seconds", "Time to make the log durable");

struct shard {
	struct store *store;
	struct clock *clock;
	uint32_t id;
	uint64_t flush_log_bytes;
	struct lock lock;
	struct raft_group *group;
	struct state *state;
	bool failed;
	int64_t now_ms;                   /* never goes back */
	const struct log_entry *fresh;    /* entries just appended: applied without reading the log */
	size_t fresh_count;
	uint64_t wanted_index;            /* whose result the proposer waits for */
	struct result *wanted_result;
	struct buffer scratch;
};

static int64_t now_ms(struct shard *s)
{
	int64_t now = clock_boot_ns(s->clock) / NS_PER_MS;
	if (now > s->now_ms) s->now_ms = now;
	return s->now_ms;
}

static int shard_stop(struct shard *s, const char *what, int error)
{
	if (!s->failed) log_error("cluster", "shard %u has stopped: %s failed, error %d (%s); restart the daemon once the cause is gone", s->id, what, -error, strerror(-error));
	s->failed = true;
	return -EIO;
}

/* ---- applying ---------------------------------------------------------------------------------------------------- */

static int entry_at(struct shard *s, uint64_t index, struct log_entry *ret)
{
	if (s->fresh_count > 0 && index >= s->fresh[0].index && index < s->fresh[0].index + s->fresh_count) {
		*ret = s->fresh[index - s->fresh[0].index];
		return 0;
	}
	buffer_reset(&s->scratch);
	*ret = (struct log_entry){ .index = index };
	int r = log_read(s->store->log, s->id, index, &ret->term, &ret->type, &s->scratch);
	ret->data = (struct slice){ s->scratch.data, s->scratch.size };
	return r;
}

static int apply_entry(struct shard *s, const struct log_entry *e)
{
	struct result result, *into = e->index == s->wanted_index ? s->wanted_result : &result;
	struct slice command = e->type == RAFT_GROUP_COMMAND ? e->data : (struct slice){ 0 };
	int r = state_apply(s->state, e->index, e->term, command, into);
	if (r < 0) return shard_stop(s, "applying a command", r);
	if (e->type == RAFT_GROUP_CHANGE) {
		r = state_put_configuration(s->state, e->index, e->data);
		if (r < 0) return shard_stop(s, "keeping the configuration", r);
	}
	counter_add(&commands_applied, 1);
	return 0;
}

static int apply_up_to(struct shard *s, uint64_t commit_index)
{
	for (uint64_t index = state_applied_index(s->state) + 1; index <= commit_index; index++) {
		struct log_entry e;
		int r = entry_at(s, index, &e);
		if (r < 0) return shard_stop(s, "reading the log", r);
		r = apply_entry(s, &e);
		if (r < 0) return r;
	}
	return 0;
}

/* ---- the driver -------------------------------------------------------------------------------------------------- */

/* Does what an event asks for, and what that leads to. */
static int act(struct shard *s, struct raft_group_actions a)
{
	for (;;) {
		int r = 0;
		if (a.save_vote) r = log_set_vote(s->store->log, s->id, a.term, a.voted_for);
		if (r == 0 && a.cut_from) r = log_cut_tail(s->store->log, s->id, a.cut_from);
		if (r == 0 && a.entry_count) r = log_append(s->store->log, s->id, a.entries, a.entry_count);
		if (r == 0 && a.entry_count && !raft_group_alone(s->group)) r = log_sync(s->store->log);
		if (r < 0) return shard_stop(s, "writing the log", r);
		if (a.entry_count == 0) {
			r = a.commit_index ? apply_up_to(s, a.commit_index) : 0;
			return r;
		}
		/* The entries stay the caller's until the proposal is answered, beyond the next event. */
		uint64_t last = a.entries[a.entry_count - 1].index, ticket = a.ticket;
		if (a.commit_index) r = apply_up_to(s, a.commit_index);
		if (r == 0) r = raft_group_persisted(s->group, now_ms(s), last, ticket, &a);
		if (r < 0) return shard_stop(s, "agreement", r);
	}
}

static int become_leader(struct shard *s)
{
	struct raft_group_info info;
	for (unsigned i = 0; i < LEADER_TICKS_MAX; i++) {
		raft_group_get_info(s->group, &info);
		if (info.is_leader && info.commit_index == info.last_index) return 0;
		/* Nobody else could be leader: there is nothing to wait for. */
		int64_t deadline = raft_group_deadline_ms(s->group);
		if (deadline > s->now_ms) s->now_ms = deadline;
		struct raft_group_actions a;
		int r = raft_group_tick(s->group, s->now_ms, &a);
		if (r == 0) r = act(s, a);
		if (r < 0) return r;
	}
	return -EIO;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static int first_entry(struct shard *s, struct raft_group_members *members)
{
	*members = (struct raft_group_members){ .count = 1, .member = { { .id = s->store->node_id, .role = RAFT_GROUP_VOTER } } };
	_cleanup_buffer_ struct buffer data;
	buffer_init(&data, 4096);
	int r = raft_group_members_encode(members, &data);
	if (r < 0) return r;
	struct log_entry e = { .index = 1, .term = 1, .type = RAFT_GROUP_CHANGE, .data = { data.data, data.size } };
	r = log_set_vote(s->store->log, s->id, 1, 0);
	if (r == 0) r = log_append(s->store->log, s->id, &e, 1);
	return r < 0 ? r : log_sync(s->store->log);
}

/* The log's entries after the applied state; data only for changes of membership. */
static int load_entries(struct shard *s, uint64_t first, uint64_t last, struct log_entry **ret_entries)
{
	size_t count = last >= first ? last - first + 1 : 0;
	struct log_entry *entries = calloc(count ? count : 1, sizeof(*entries));
	if (!entries) return -ENOMEM;
	*ret_entries = entries;
	for (size_t i = 0; i < count; i++) {
		entries[i].index = first + i;
		buffer_reset(&s->scratch);
		int r = log_read(s->store->log, s->id, first + i, &entries[i].term, &entries[i].type, &s->scratch);
		if (r < 0) return r;
		if (entries[i].type != RAFT_GROUP_CHANGE) continue;
		uint8_t *data = malloc(s->scratch.size);
		if (!data) return -ENOMEM;
		memcpy(data, s->scratch.data, s->scratch.size);
		entries[i].data = (struct slice){ data, s->scratch.size };
	}
	return 0;
}

static void free_entries(struct log_entry *entries, uint64_t first, uint64_t last)
{
	for (uint64_t i = first; entries && i <= last; i++) free((void *)(uintptr_t)entries[i - first].data.data);
	free(entries);
}

static int start_group(struct shard *s)
{
	struct log_group g;
	struct raft_group_start start = { .id = s->store->node_id };
	random_fill(s->store->disk->random, &start.seed, sizeof(start.seed));
	uint64_t applied = state_applied_index(s->state), applied_term = state_applied_term(s->state);
	log_get_group(s->store->log, s->id, &g);
	int r = 0;
	if (applied == 0 && g.last_index == 0 && g.base_index == 0) {
		r = first_entry(s, &start.members);
	} else if (g.last_index < applied) {
		/* A power cut took the end of the log, which is in the flushed state already. */
		r = log_compact(s->store->log, s->id, applied, applied_term);
	}
	if (r < 0) return r;
	log_get_group(s->store->log, s->id, &g);
	if (g.first_index > applied + 1) {
		log_error("cluster", "shard %u: the state ends at entry %llu and the log begins at %llu: entries are missing", s->id,
			(unsigned long long)applied, (unsigned long long)g.first_index);
		return -EBADMSG;
	}
	if (applied > 0) {
		_cleanup_buffer_ struct buffer configuration;
		buffer_init(&configuration, 4096);
		r = state_get_configuration(s->state, &start.members_index, &configuration);
		if (r == 0) r = raft_group_members_decode((struct slice){ configuration.data, configuration.size }, &start.members);
		if (r < 0) return r == -ENOENT ? -EBADMSG : r;
	} else {
		start.members = (struct raft_group_members){ 0 };
	}
	struct log_entry *entries = NULL;
	r = load_entries(s, applied + 1, g.last_index, &entries);
	start.term = g.term;
	start.voted_for = g.voted_for;
	start.applied_index = applied;
	start.applied_term = applied_term;
	start.entries = entries;
	start.entry_count = g.last_index > applied ? g.last_index - applied : 0;
	struct raft_group_actions a;
	if (r == 0) r = raft_group_open(&start, now_ms(s), &s->group, &a);
	if (r == 0) r = act(s, a);
	free_entries(entries, applied + 1, g.last_index);
	return r;
}

int shard_open(struct store *store, struct clock *clock, struct random_source *random, const struct shard_options *options, struct shard **ret_shard)
{
	(void)random;
	struct shard *s = calloc(1, sizeof(*s));
	if (!s) return -ENOMEM;
	s->store = store;
	s->clock = clock;
	s->id = options->id;
	s->flush_log_bytes = options->flush_log_bytes ? options->flush_log_bytes : FLUSH_LOG_BYTES;
	lock_init(&s->lock, "shard", LOCK_SHARD);
	buffer_init(&s->scratch, LOG_ENTRY_MAX + 4096);
	int r = state_open(store->kv, &s->state);
	if (r == 0) r = start_group(s);
	if (r == 0) r = become_leader(s);
	if (r < 0) {
		s->failed = true;
		shard_close(s);
		return r;
	}
	*ret_shard = s;
	return 0;
}

/* ---- use --------------------------------------------------------------------------------------------------------- */

static int sync_log(struct shard *s)
{
	int64_t start = clock_boot_ns(s->clock);
	int r = log_sync(s->store->log);
	histogram_record(&sync_time, clock_boot_ns(s->clock) - start);
	if (r == 0) return 0;
	LOCK_GUARD(&s->lock);
	return shard_stop(s, "syncing the log", r);
}

static int propose_locked(struct shard *s, struct slice command, struct result *ret_result)
{
	if (s->failed) return -EIO;
	struct raft_group_actions a;
	int r = raft_group_propose(s->group, now_ms(s), &command, 1, &a);
	if (r < 0) return r == -EAGAIN ? r : shard_stop(s, "proposing", r);
	assert(a.entry_count > 0);
	struct log_entry fresh = a.entries[0];
	uint64_t index = fresh.index;
	s->fresh = &fresh;
	s->fresh_count = 1;
	s->wanted_index = index;
	s->wanted_result = ret_result;
	r = act(s, a);
	s->fresh_count = 0;
	s->wanted_index = 0;
	if (r < 0) return r;
	return state_applied_index(s->state) >= index ? 0 : shard_stop(s, "committing with one voter", -EIO);
}

int shard_propose(struct shard *s, struct slice command, bool durable, struct result *ret_result)
{
	if (command.size > COMMAND_MAX) return -EMSGSIZE;
	struct result result;
	lock_acquire(&s->lock);
	int r = propose_locked(s, command, &result);
	lock_release(&s->lock);
	/* A refused command changed nothing that would have to be durable, but what it was refused for may have to be. */
	if (r == 0 && durable) r = sync_log(s);
	if (r == 0) *ret_result = result;
	return r;
}

int shard_sync(struct shard *s)
{
	lock_acquire(&s->lock);
	bool failed = s->failed;
	lock_release(&s->lock);
	return failed ? -EIO : sync_log(s);
}

struct state *shard_state(struct shard *s) { return s->state; }

/* Makes the state durable and gives the log's room back. */
static int flush(struct shard *s)
{
	struct raft_group_info info;
	lock_acquire(&s->lock);
	bool failed = s->failed;
	uint64_t index = state_applied_index(s->state), term = state_applied_term(s->state);
	raft_group_get_info(s->group, &info);
	lock_release(&s->lock);
	if (failed) return -EIO;
	int r = sync_log(s);
	if (r == 0) r = kv_flush(s->store->kv);   /* takes its time; commands go on meanwhile, and may be in it */
	if (r < 0) return r;
	LOCK_GUARD(&s->lock);
	if (s->failed) return -EIO;
	struct raft_group_actions a;
	r = raft_group_compacted(s->group, now_ms(s), index, &info.members, info.members_index, 0, &a);
	if (r == 0) r = act(s, a);
	if (r == 0) r = log_compact(s->store->log, s->id, index, term);
	return r < 0 ? shard_stop(s, "compacting the log", r) : 0;
}

int shard_maintain(struct shard *s)
{
	if (log_bytes(s->store->log) < s->flush_log_bytes) return 0;
	int r = flush(s);
	if (r < 0) log_warning("cluster", "shard %u: flushing the state failed, error %d: the log grows until it works", s->id, -r);
	return r;
}

void shard_close(struct shard *s)
{
	if (!s) return;
	if (!s->failed) flush(s);
	raft_group_close(s->group);
	state_free(s->state);
	buffer_done(&s->scratch);
	lock_done(&s->lock);
	free(s);
}

void shard_get_info(struct shard *s, struct shard_info *ret_info)
{
	struct raft_group_info info;
	struct log_group g;
	LOCK_GUARD(&s->lock);
	raft_group_get_info(s->group, &info);
	log_get_group(s->store->log, s->id, &g);
	*ret_info = (struct shard_info){ .term = info.term, .commit_index = info.commit_index, .applied_index = state_applied_index(s->state),
		.first_index = g.first_index, .log_bytes = log_bytes(s->store->log), .leader = info.is_leader && !s->failed };
}
