/* A shard at work: commands, sync, maintenance.
 *
 * The way of a command: log (in the page cache), core, commit, apply, answer; all under the shard's lock, in the caller's thread. Then, if
 * it is to be durable, log_sync outside the lock, where concurrent callers share one fdatasync. The log comes before the core, so that a
 * full disk is the caller's error and not the shard's end.
 *
 * Invariants: the state's applied index never passes the log; the log is compacted only below an index that a flush begun later has made
 * durable (A3); after a failed sync nothing is acknowledged any more (R6). What fails for want of memory, descriptors or room is refused
 * before the log has it, or, once it does, done before the next command. */
#include <assert.h>
#include <string.h>

#include "base/condition.h"
#include "base/counter.h"
#include "base/log.h"
#include "cluster/shard_internal.h"

#define FLUSH_LOG_BYTES (64ull << 20)   /* replayed in a second or so */
#define FULL_LOG_BYTES (4ull << 20)     /* on a full disk: a flush for less frees nothing */
#define APPLY_TRIES 3                   /* an allocation that failed once often does not fail again */

COUNTER(proposals, "dios_shard_commands_total", "Commands applied");
COUNTER(flushes, "dios_shard_flushes_total", "Flushes of the state, each followed by a compaction of the log");
HISTOGRAM(sync_time, "dios_shard_sync", "Time that a durable command waits for its log sync");

int64_t shard_now_ms(struct shard *s)
{
	int64_t now_ms = clock_boot_ns(s->clock) / NS_PER_MS;

	if (now_ms > s->now_ms)
		s->now_ms = now_ms;
	return s->now_ms;
}

/* Errors that pass by themselves, once others give back what they hold; nothing was changed. */
static bool passes(int error)
{
	return error == -ENOMEM || error == -ENOSPC || error == -EDQUOT || error == -EMFILE || error == -ENFILE;
}

/* The core has failed, for want of memory, or what it asked for could not be done: it is made again, from log and state, before the next
 * command. lock held. */
static void core_lost(struct shard *s, const char *what, int error)
{
	log_warning("cluster", "the core is made again shard=%u what=\"%s\" error=%d", s->options.id, what, error);
	raft_group_close(s->group);
	s->group = NULL;
}

int shard_stop(struct shard *s, const char *what, int error)
{
	if (atomic_exchange(&s->stopped, true))
		return -EIO;
	condition_raise(CONDITION_SHARD_STOPPED, "%s: %s", what, strerror(-error));
	log_error("cluster", "shard stopped shard=%u what=\"%s\" error=%d applied=%llu: restart the daemon once the cause is gone", s->options.id, what,
		error, (unsigned long long)state_applied_index(s->state));
	return -EIO;
}

static int apply_change(struct shard *s, uint64_t index, uint64_t term, struct slice data)
{
	static const struct slice nothing;
	struct raft_group_members members;
	struct result result;

	int r = raft_group_members_decode(data, &members);
	if (r == 0)
		r = state_put_configuration(s->state, index, data);
	if (r == 0)
		r = state_apply(s->state, index, term, nothing, &result);
	if (r == 0) {
		s->members = members;
		s->members_index = index;
	}
	return r;
}

static int apply_entry(struct shard *s, uint64_t index)
{
	struct result result;
	uint64_t term;
	uint16_t type;

	int r = log_read(s->store->log, s->options.id, index, &term, &type, &s->entry);
	if (r < 0)
		return r;
	struct slice data = { .data = s->entry.data, .size = s->entry.size };
	if (type == RAFT_GROUP_CHANGE)
		return apply_change(s, index, term, data);
	if (type == RAFT_GROUP_BARRIER)
		data.size = 0;
	return state_apply(s->state, index, term, data, &result);
}

/* What can't be applied now is tried again before the next command; until then the state is some commands behind. */
static int apply_committed(struct shard *s, uint64_t commit_index, const struct shard_proposal *proposal)
{
	int r = 0, tries = 0;

	assert(commit_index <= s->last_index);
	s->commit_index = commit_index > s->commit_index ? commit_index : s->commit_index;
	while (state_applied_index(s->state) < s->commit_index) {
		uint64_t index = state_applied_index(s->state) + 1;
		if (proposal && proposal->index == index)
			r = state_apply(s->state, index, s->term, proposal->command, proposal->ret_result);
		else
			r = apply_entry(s, index);
		if (r == -ENOMEM && ++tries < APPLY_TRIES)
			continue;
		if (r < 0 && passes(r)) {
			condition_raise(CONDITION_STATE_BEHIND, "what was acknowledged cannot be applied to the state: %s", strerror(-r));
			log_warning("cluster", "an entry waits to be applied shard=%u index=%llu error=%d", s->options.id, (unsigned long long)index, r);
			return r;
		}
		if (r < 0)
			return shard_stop(s, "an entry could not be applied", r);
	}
	condition_clear(CONDITION_STATE_BEHIND);
	return 0;
}

static int append_entries(struct shard *s, const struct raft_group_actions *a, const struct shard_proposal *proposal)
{
	const struct log_entry *entries = a->entries;
	size_t count = a->entry_count;

	if (count > 0 && proposal && entries[0].index == proposal->index) {
		assert(entries[0].term == s->term && entries[0].data.data == proposal->command.data);
		entries++;
		count--;
	}
	int r = count > 0 ? log_append(s->store->log, s->options.id, entries, count) : 0;
	if (r == 0 && a->entry_count > 0)
		s->last_index = a->entries[a->entry_count - 1].index;
	return r;
}

static int write_failed(struct shard *s, const char *what, int error)
{
	if (log_failed(s->store->log))
		return shard_stop(s, what, error);
	core_lost(s, what, error);
	return error;
}

int shard_perform(struct shard *s, const struct raft_group_actions *actions, const struct shard_proposal *proposal)
{
	struct raft_group_actions a = *actions;
	int r;

	for (;;) {
		s->term = a.term;
		if (a.save_vote && (r = log_set_vote(s->store->log, s->options.id, a.term, a.voted_for)) < 0)
			return write_failed(s, "a vote could not be saved", r);
		r = append_entries(s, &a, proposal);
		if (r < 0)
			return write_failed(s, "the log could not be written", r);
		/* A member with others acknowledges synced entries only, and sends nothing before its log is synced (A1). */
		if (!raft_group_alone(s->group) && (a.entry_count > 0 || a.message_count > 0) && (r = log_sync(s->store->log)) < 0)
			return shard_stop(s, "the log could not be synced", r);
		assert(a.message_count == 0 && !a.install);   /* there is nobody to talk to yet */

		r = apply_committed(s, a.commit_index, proposal);
		if (r < 0 || a.entry_count == 0)
			return r;
		r = raft_group_persisted(s->group, s->now_ms, s->last_index, a.ticket, &a);
		if (r < 0) {
			core_lost(s, "entries stored", r);
			return r;
		}
	}
}

/* Nothing is left over from a command that failed half way: the core is there, and all that is committed is applied. lock held. */
static int shard_ready(struct shard *s)
{
	if (atomic_load_explicit(&s->stopped, memory_order_relaxed))
		return -EIO;
	if (!s->group) {
		int r = shard_recover(s);
		if (r < 0 && !passes(r))
			return shard_stop(s, "the core could not be made again", r);
		if (r < 0)
			return r;
	}
	return apply_committed(s, s->commit_index, NULL);
}

int shard_settle(struct shard *s)
{
	LOCK_GUARD(&s->lock);
	return shard_ready(s);
}

/* The core has not taken the entry that the log has. */
static int refused(struct shard *s, uint64_t index, int error)
{
	bool lost = error != -EAGAIN && error != -ENOMEM;
	int cut = log_cut_tail(s->store->log, s->options.id, index);

	if (cut < 0 && log_failed(s->store->log))
		return shard_stop(s, "the log could not be cut", cut);
	/* Not cut, it will be committed by the core that is made again. */
	if (lost || cut < 0)
		core_lost(s, "a command", error);
	return cut < 0 ? -EIO : lost ? -ENOMEM : error;
}

static int propose_locked(struct shard *s, struct slice command, bool sync_follows, struct result *ret_result)
{
	struct raft_group_actions actions;
	int r = shard_ready(s);

	if (r < 0)
		return r;
	struct log_entry entry = { .index = s->last_index + 1, .term = s->term, .type = RAFT_GROUP_COMMAND, .data = command };
	struct shard_proposal proposal = { .index = entry.index, .command = command, .ret_result = ret_result };
	r = log_append(s->store->log, s->options.id, &entry, 1);
	if (r < 0)
		return log_failed(s->store->log) ? shard_stop(s, "the log could not be written", r) : r;
	if (sync_follows)
		log_begin_sync(s->store->log);   /* the disk writes while the command is applied */
	r = raft_group_propose(s->group, shard_now_ms(s), &command, 1, &actions);
	if (r < 0)
		return refused(s, entry.index, r);
	if (shard_perform(s, &actions, &proposal) < 0)
		return -EIO;
	/* With one voter all is applied at once, and so the answer is there. */
	if (state_applied_index(s->state) < proposal.index)
		return shard_stop(s, "a command was not committed", -EPROTO);
	return 0;
}

int shard_propose(struct shard *s, struct slice command, enum durability durability, struct result *ret_result)
{
	struct result result;

	if (command.size == 0 || command.size > COMMAND_MAX)
		return -EMSGSIZE;
	lock_acquire(&s->lock);
	int r = propose_locked(s, command, durability != DURABLE_LATER, &result);
	lock_release(&s->lock);
	if (r == 0 && durability == DURABLE_NOW) {
		int64_t begun_ns = clock_boot_ns(s->clock);
		r = shard_sync(s);
		histogram_record(&sync_time, clock_boot_ns(s->clock) - begun_ns);
	}
	if (r == 0) {
		counter_add(&proposals, 1);
		*ret_result = result;
	}
	return r;
}

int shard_sync(struct shard *s)
{
	if (atomic_load_explicit(&s->stopped, memory_order_relaxed))
		return -EIO;
	int r = log_sync(s->store->log);
	if (r < 0) {
		LOCK_GUARD(&s->lock);
		return shard_stop(s, "the log could not be synced", r);
	}
	return 0;
}

/* Flushes what is applied now, and compacts the log up to there. Commands go on meanwhile. */
static int flush_and_compact(struct shard *s)
{
	struct raft_group_actions actions;

	lock_acquire(&s->lock);
	uint64_t index = state_applied_index(s->state), term = state_applied_term(s->state), members_index = s->members_index;
	struct raft_group_members members = s->members;
	bool busy = s->maintaining || shard_ready(s) < 0;
	if (!busy)
		s->maintaining = true;
	lock_release(&s->lock);
	if (busy)
		return 0;

	int r = kv_flush(s->store->kv);

	lock_acquire(&s->lock);
	s->maintaining = false;
	/* The log has all that was applied since the last flush that is believed: the next start does it again. */
	if (r == -ESTALE)
		shard_stop(s, "the state's store has failed before and must be opened again", r);
	if (r == 0 && !s->stopped && s->group) {
		r = log_compact(s->store->log, s->options.id, index, term);
		if (r == 0 && (r = raft_group_compacted(s->group, shard_now_ms(s), index, &members, members_index, 0, &actions)) < 0)
			core_lost(s, "a compaction", r);
	}
	s->flush_failed = r < 0;
	lock_release(&s->lock);
	if (r == 0) {
		counter_add(&flushes, 1);
		condition_clear(CONDITION_FLUSH_FAILING);
	} else {
		condition_raise(CONDITION_FLUSH_FAILING, "the state cannot be written out, so that the log grows: %s", strerror(-r));
		log_warning("cluster", "flush failed shard=%u error=%d", s->options.id, r);
	}
	return r;
}

int shard_maintain(struct shard *s)
{
	int r = log_prepare(s->store->log);
	/* Without room for another segment one must come free. */
	uint64_t most = r == -ENOSPC ? FULL_LOG_BYTES : s->options.flush_log_bytes;

	/* One that failed is tried again however short the log is: only that tells whether the disk can be believed. */
	if (log_bytes(s->store->log) > most || s->flush_failed) {
		int flushed = flush_and_compact(s);
		r = r < 0 ? r : flushed;
	}
	int settled = shard_settle(s);
	return r < 0 ? r : settled;
}

int shard_open(struct store *store, struct clock *clock, struct random_source *random, const struct shard_options *options, struct shard **ret_shard)
{
	struct shard *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->store = store;
	s->clock = clock;
	s->random = random;
	s->options = *options;
	if (s->options.flush_log_bytes == 0)
		s->options.flush_log_bytes = FLUSH_LOG_BYTES;
	lock_init(&s->lock, "shard", LOCK_SHARD);
	buffer_init(&s->entry, SHARD_ENTRY_MAX);
	int r = state_open(store->kv, &s->state);
	if (r == 0) {
		LOCK_GUARD(&s->lock);
		r = shard_recover(s);
	}
	if (r < 0) {
		s->stopped = true;
		shard_close(s);
		return r;
	}
	*ret_shard = s;
	return 0;
}

void shard_close(struct shard *s)
{
	if (!s)
		return;
	if (!s->stopped && shard_sync(s) == 0)
		flush_and_compact(s);
	raft_group_close(s->group);
	state_free(s->state);
	buffer_done(&s->entry);
	lock_done(&s->lock);
	free(s);
}

bool shard_stopped(struct shard *s)
{
	return atomic_load(&s->stopped);
}

struct state *shard_state(struct shard *s)
{
	return s->state;
}

void shard_get_info(struct shard *s, struct shard_info *ret_info)
{
	struct raft_group_info core;
	struct log_group group;

	LOCK_GUARD(&s->lock);
	if (s->group)
		raft_group_get_info(s->group, &core);
	else
		core = (struct raft_group_info){ .term = s->term, .commit_index = s->commit_index };
	log_get_group(s->store->log, s->options.id, &group);
	*ret_info = (struct shard_info){ .term = core.term, .commit_index = core.commit_index, .applied_index = state_applied_index(s->state),
		.first_index = group.first_index, .log_bytes = log_bytes(s->store->log), .leader = core.is_leader && !s->stopped };
}
