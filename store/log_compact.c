/* Votes, bases, and the beginning of the chain. A segment leaves the chain when it is synced, no entry that is not
 * compacted is in it, and every group has its newest LOG_STATE record in a later one. */
#include "store/log_internal.h"

static bool entries_in(const struct log *log, uint64_t seq)
{
	for (size_t i = 0; i < log->member_count; i++)
		if (log->members[i]->count > 0 && log->members[i]->places[log->members[i]->first].seq == seq)
			return true;
	return false;
}

/* Each group that has its record there gets a new one. */
static int move_states(struct log *log, uint64_t seq)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < log->member_count; i++)
		if (log->members[i]->state_seq == seq)
			r = log_write_state(log, log->members[i], &log->members[i]->state_seq);
	return r;
}

/* Without memory or room the chain stays as long as it is; the next compaction tries again. */
void log_trim(struct log *log)
{
	while (log->chain.count > 1) {
		struct log_segment *first = log->chain.items[0];
		lock_acquire(&log->lock);
		bool synced = !log_position_before(log->synced, (struct log_position){ first->seq, first->end });
		lock_release(&log->lock);
		if (!synced || entries_in(log, first->seq) || move_states(log, first->seq) < 0)
			return;
		lock_acquire(&log->lock);
		int r = log_segments_push(&log->unused, first);
		if (r == 0)
			log_segments_take(&log->chain, 0);
		lock_release(&log->lock);
		if (r < 0)
			return;
		log->free_after = (struct log_position){ log_current(log)->seq, log_current(log)->end };
	}
}

int log_compact(struct log *log, uint32_t group, uint64_t index, uint64_t term)
{
	struct log_member *m, after;
	uint64_t seq;
	int r;

	LOCK_GUARD(&log->append);
	lock_acquire(&log->lock);
	r = log_member_make(log, group, &m);
	lock_release(&log->lock);
	if (r < 0)
		return r;
	if (index > m->base_index) {
		after = *m;
		after.base_index = index;
		after.base_term = term;
		r = log_write_state(log, &after, &seq);
		if (r < 0)
			return r;
		lock_acquire(&log->lock);
		log_member_set_base(log, m, index, term);
		m->state_seq = seq;
		lock_release(&log->lock);
	}
	log_trim(log);
	return 0;
}

int log_cut_tail(struct log *log, uint32_t group, uint64_t from_index)
{
	struct log_position position;

	LOCK_GUARD(&log->append);
	struct log_member *m = log_member_find(log, group);
	if (!m || from_index > log_member_last(m))
		return 0;
	if (from_index <= m->base_index)
		return -EINVAL;
	int r = log_write_record(log, &(struct log_record){ .kind = LOG_CUT, .group = group, .index = from_index }, &position);
	if (r < 0)
		return r;
	lock_acquire(&log->lock);
	log_member_cut(log, m, from_index);
	lock_release(&log->lock);
	return 0;
}

static int write_vote(struct log *log, uint32_t group, uint64_t term, uint64_t voted_for)
{
	struct log_member *m, after;
	uint64_t seq;
	int r;

	LOCK_GUARD(&log->append);
	lock_acquire(&log->lock);
	r = log_member_make(log, group, &m);
	lock_release(&log->lock);
	if (r < 0)
		return r;
	after = *m;
	after.term = term;
	after.voted_for = voted_for;
	r = log_write_state(log, &after, &seq);
	if (r < 0)
		return r;
	lock_acquire(&log->lock);
	m->term = term;
	m->voted_for = voted_for;
	m->state_seq = seq;
	lock_release(&log->lock);
	return 0;
}

int log_set_vote(struct log *log, uint32_t group, uint64_t term, uint64_t voted_for)
{
	int r = write_vote(log, group, term, voted_for);

	return r < 0 ? r : log_sync(log);
}
