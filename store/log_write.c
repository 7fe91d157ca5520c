/* Writing and syncing. Invariant: `end` of the current segment moves only after the bytes before it were written, and
 * `synced` only after an fdatasync that began later has succeeded. */
#include <assert.h>
#include <string.h>

#include "base/condition.h"
#include "base/counter.h"
#include "base/fault.h"
#include "base/log.h"
#include "store/bytes.h"
#include "store/log_internal.h"

#define BEGIN_SYNC_MAX (1u << 20)   /* bytes: handing more to the disk may take long, and whoever begins a sync may hold a lock */
#define WRITE_BATCH 16   /* entries written by one call: their headers are on the stack */

COUNTER(records_written, "dios_log_records_total", "records written to the Raft log");
COUNTER(syncs_done, "dios_log_syncs_total", "syncs of log segments");

/* Headers, data and padding of some records that follow each other. */
struct batch {
	struct iovec iov[WRITE_BATCH * 3];
	uint8_t headers[WRITE_BATCH][LOG_RECORD_SIZE];
	int iov_count, count;
	uint32_t end;
};

static void batch_add(struct batch *b, const struct log_segment *segment, const struct log_record *record)
{
	static const uint8_t zeros[LOG_RECORD_SIZE];
	size_t size = record->data.size, pad = (size_t)(log_record_space(size) - LOG_RECORD_SIZE - size);

	log_record_encode(record, segment->seq, segment->salt, b->end, b->headers[b->count]);
	b->iov[b->iov_count++] = (struct iovec){ b->headers[b->count], LOG_RECORD_SIZE };
	if (size)
		b->iov[b->iov_count++] = (struct iovec){ (void *)(uintptr_t)record->data.data, size };
	if (pad)
		b->iov[b->iov_count++] = (struct iovec){ (void *)(uintptr_t)zeros, pad };
	b->end += (uint32_t)log_record_space(size);
	b->count++;
}

static bool fits(const struct log_segment *segment, uint32_t end, size_t data_size)
{
	return log_record_space(data_size) <= segment->size - end;
}

/* Part of what was to be written may be there, and some of it may be whole records: the first is made unreadable, and
 * whatever lies behind it is left behind by going on in another segment. */
static int make_unreadable(struct log *log, struct log_segment *segment)
{
	static const uint8_t zeros[LOG_RECORD_SIZE];
	int r = disk_pwrite(segment->file, zeros, sizeof(zeros), segment->end);

	log->torn = true;
	log->unclean = r < 0;
	return r;
}

static int batch_write(struct log *log, struct log_segment *segment, const struct batch *b)
{
	int r = fault_point("log.write");

	if (r == 0)
		r = disk_pwritev(segment->file, b->iov, b->iov_count, segment->end);
	if (r == 0)
		counter_add(&records_written, b->count);
	else if (make_unreadable(log, segment) < 0)
		r = -EIO;   /* should the machine stop now, they may be found */
	return r;
}

/* The segment for a record, with room for it. */
static int segment_for(struct log *log, size_t data_size, struct log_segment **ret_segment)
{
	struct log_segment *segment = log_current(log);

	if (log->unclean) {
		int r = make_unreadable(log, segment);
		if (r < 0)
			return r;
	}
	if (LOG_DATA_START + LOG_RECORD_SIZE + log_record_space(data_size) > log->segment_size)
		return -EMSGSIZE;
	if (!segment || log->torn || !fits(segment, segment->end, data_size)) {
		int r = log_roll(log);
		if (r < 0)
			return r;
		segment = log_current(log);
	}
	*ret_segment = segment;
	return 0;
}

static int current_error(struct log *log, struct log_position *ret_synced)
{
	lock_acquire(&log->lock);
	int r = log->error;
	*ret_synced = log->synced;
	lock_release(&log->lock);
	return r;
}

bool log_failed(struct log *log)
{
	struct log_position synced;

	return current_error(log, &synced) < 0;
}

int log_write_record(struct log *log, const struct log_record *record, struct log_position *ret_position)
{
	struct log_record r = *record;
	struct log_segment *segment = NULL;
	struct batch b = { .count = 0 };
	int error = current_error(log, &r.synced);

	if (error == 0)
		error = segment_for(log, r.data.size, &segment);
	if (error < 0)
		return error;
	b.end = segment->end;
	batch_add(&b, segment, &r);
	error = batch_write(log, segment, &b);
	if (error < 0)
		return error;
	lock_acquire(&log->lock);
	*ret_position = (struct log_position){ segment->seq, segment->end };
	segment->end = b.end;
	lock_release(&log->lock);
	return 0;
}

/* Writes as many of the entries as fit in the segment and in a batch. Returns how many. */
static int write_some(struct log *log, struct log_member *m, const struct log_entry *entries, size_t count)
{
	struct log_position synced;
	struct log_segment *segment = NULL;
	struct batch b;
	int r = current_error(log, &synced);

	if (r == 0)
		r = segment_for(log, entries[0].data.size, &segment);
	if (r < 0)
		return r;
	b.count = b.iov_count = 0;
	b.end = segment->end;
	for (size_t i = 0; i < count && i < WRITE_BATCH && fits(segment, b.end, entries[i].data.size); i++)
		batch_add(&b, segment, &(struct log_record){ .kind = LOG_ENTRY, .group = m->group, .index = entries[i].index,
			.term = entries[i].term, .type = entries[i].type, .synced = synced, .data = entries[i].data });
	r = batch_write(log, segment, &b);
	if (r < 0)
		return r;
	lock_acquire(&log->lock);
	log_member_cut(log, m, entries[0].index);
	for (int i = 0; i < b.count; i++) {
		uint32_t size = (uint32_t)entries[i].data.size;
		log_member_add(log, m, (struct log_place){ entries[i].term, segment->seq, segment->end, size });
		segment->end += (uint32_t)log_record_space(size);
	}
	assert(segment->end == b.end);
	lock_release(&log->lock);
	return b.count;
}

int log_write_entries(struct log *log, uint32_t group, const struct log_entry *entries, size_t count)
{
	struct log_member *m;
	int r;

	lock_acquire(&log->lock);
	r = log_member_make(log, group, &m);
	if (r == 0 && (entries[0].index <= m->base_index || entries[0].index > log_member_last(m) + 1))
		r = -EINVAL;
	if (r == 0)
		r = log_member_reserve(m, count);
	lock_release(&log->lock);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (entries[i].index != entries[0].index + i)
			r = -EINVAL;
		else if (entries[i].data.size > LOG_ENTRY_MAX || LOG_DATA_START + LOG_RECORD_SIZE + log_record_space(entries[i].data.size) > log->segment_size)
			r = -EMSGSIZE;
	for (size_t done = 0; r == 0 && done < count; ) {
		int n = write_some(log, m, entries + done, count - done);
		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return r;
}

int log_write_state(struct log *log, const struct log_member *m, uint64_t *ret_seq)
{
	uint8_t data[LOG_STATE_SIZE];
	struct log_position position;

	put_le64(data, m->term);
	put_le64(data + 8, m->voted_for);
	int r = log_write_record(log, &(struct log_record){ .kind = LOG_STATE, .group = m->group, .index = m->base_index, .term = m->base_term,
		.data = { data, sizeof(data) } }, &position);
	if (r == 0)
		*ret_seq = position.seq;
	return r;
}

/* The oldest segment with bytes that are not synced, and the place up to which a sync of it helps. lock held. */
static struct log_segment *unsynced_segment(struct log *log, struct log_position *ret_goal)
{
	for (size_t i = 0; i < log->chain.count; i++) {
		struct log_segment *segment = log->chain.items[i];
		*ret_goal = (struct log_position){ segment->seq, segment->end };
		if (log_position_before(log->synced, *ret_goal))
			return segment;
	}
	return NULL;
}

/* One fdatasync. 0: nothing is left to sync; 1: go on. sync held. */
static int sync_one(struct log *log)
{
	struct log_position goal;

	lock_acquire(&log->lock);
	struct log_segment *segment = log->error ? NULL : unsynced_segment(log, &goal);
	int r = log->error;
	if (segment)
		segment->users++;
	lock_release(&log->lock);
	if (!segment)
		return r;
	r = fault_point("log.sync");
	if (r == 0)
		r = disk_sync(segment->file);
	counter_add(&syncs_done, 1);
	lock_acquire(&log->lock);
	segment->users--;
	if (r < 0)
		log->error = -EIO;
	else if (log_position_before(log->synced, goal))
		log->synced = goal;
	lock_release(&log->lock);
	if (r < 0 && r != -ESHUTDOWN) {
		condition_raise(CONDITION_LOG_FAILED, "the log could not be synced: %s", strerror(-r));
		log_error("store", "the log cannot be synced, nothing more is accepted errno=%d", -r);
	}
	return r < 0 ? -EIO : 1;
}

bool log_sync_due(struct log *log)
{
	LOCK_GUARD(&log->lock);
	const struct log_segment *current = log_current(log);

	return log->error || (current && log_position_before(log->synced, (struct log_position){ current->seq, current->end }));
}

void log_begin_sync(struct log *log)
{
	lock_acquire(&log->lock);
	struct log_segment *segment = log->syncing == 0 && !log->error ? log_current(log) : NULL;
	uint32_t from = segment && log->synced.seq == segment->seq ? log->synced.offset : 0;
	uint32_t size = segment ? segment->end - from : 0;
	if (size > BEGIN_SYNC_MAX)
		segment = NULL;
	if (segment)
		segment->users++;
	lock_release(&log->lock);
	if (!segment)
		return;
	disk_begin_sync(segment->file, from, size);
	lock_acquire(&log->lock);
	segment->users--;
	lock_release(&log->lock);
}

/* What is appended meanwhile is somebody else's to wait for, but the fdatasync covers it. */
int log_sync(struct log *log)
{
	struct log_position target = { 0, 0 }, synced;
	int r = 1;

	lock_acquire(&log->lock);
	if (log_current(log))
		target = (struct log_position){ log_current(log)->seq, log_current(log)->end };
	log->syncing++;
	lock_release(&log->lock);
	lock_acquire(&log->sync);
	while (r > 0 && current_error(log, &synced) == 0 && log_position_before(synced, target))
		r = sync_one(log);
	lock_release(&log->sync);
	lock_acquire(&log->lock);
	log->syncing--;
	r = log->error;
	lock_release(&log->lock);
	return r;
}
