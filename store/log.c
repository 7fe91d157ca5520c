/* The Raft log's interface: opening, appending, reading. See log_internal.h for how it is kept, log_write.c for how it is
 * written and synced, log_recover.c for how it is found again. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "store/log_internal.h"

static void log_free(struct log *log)
{
	for (size_t i = 0; i < log->chain.count; i++)
		log_segment_free(log->chain.items[i]);
	for (size_t i = 0; i < log->unused.count; i++)
		log_segment_free(log->unused.items[i]);
	for (size_t i = 0; i < log->member_count; i++)
		log_member_free(log->members[i]);
	log_segment_free(log->ready);
	free(log->chain.items);
	free(log->unused.items);
	free(log->members);
	lock_done(&log->append);
	lock_done(&log->sync);
	lock_done(&log->lock);
	free(log);
}

static int log_begin(struct log *log)
{
	int r = log_recover(log);

	/* A log always has a segment to write to, and the next one is ready before it is needed. */
	if (r == 0 && log->chain.count == 0)
		r = log_roll(log);
	if (r == 0)
		log->opened_end = (struct log_position){ log_current(log)->seq, log_current(log)->end };
	if (r == 0)
		r = log_prepare(log);
	return r == -ENOSPC && log->chain.count ? 0 : r;
}

int log_open(struct disk *disk, const char *folder, uint64_t segment_size, struct log **ret_log)
{
	struct log *log;

	if (segment_size < LOG_SEGMENT_MIN || segment_size > LOG_SEGMENT_MAX || segment_size % LOG_RECORD_SIZE ||
	    strlen(folder) >= sizeof(log->folder))
		return -EINVAL;
	log = calloc(1, sizeof(*log));
	if (!log)
		return -ENOMEM;
	log->disk = disk;
	log->segment_size = (uint32_t)segment_size;
	log->next_seq = 1;
	snprintf(log->folder, sizeof(log->folder), "%s", folder);
	lock_init(&log->append, "log append", LOCK_LOG);
	lock_init(&log->sync, "log sync", LOCK_STORE);
	lock_init(&log->lock, "log", LOCK_LEAF);
	int r = log_begin(log);
	if (r < 0) {
		log_free(log);
		return r;
	}
	*ret_log = log;
	return 0;
}

/* The last record says that all before it is synced, so that damage to it is known for what it is at the next start. */
static void log_mark(struct log *log)
{
	struct log_position position;
	const struct log_segment *current = log_current(log);

	if (current->seq == log->opened_end.seq && current->end == log->opened_end.offset)
		return;
	if (log_sync(log) == 0 && log_write_record(log, &(struct log_record){ .kind = LOG_MARK }, &position) == 0)
		(void)log_sync(log);
}

void log_close(struct log *log)
{
	if (!log)
		return;
	lock_acquire(&log->append);
	log_mark(log);
	lock_release(&log->append);
	log_free(log);
}

void log_set_make_room(struct log *log, int (*make_room)(void *arg, uint64_t bytes), void *arg)
{
	LOCK_GUARD(&log->append);
	log->make_room = make_room;
	log->make_room_arg = arg;
}

int log_prepare(struct log *log)
{
	LOCK_GUARD(&log->append);
	log_trim(log);
	return log_prepare_segment(log);
}

void log_get_group(struct log *log, uint32_t group, struct log_group *ret_group)
{
	LOCK_GUARD(&log->lock);
	const struct log_member *m = log_member_find(log, group);

	*ret_group = (struct log_group){ .group = group, .first_index = 1 };
	if (!m)
		return;
	*ret_group = (struct log_group){ .group = group, .first_index = m->base_index + 1, .last_index = log_member_last(m), .term = m->term,
		.voted_for = m->voted_for, .base_index = m->base_index, .base_term = m->base_term };
}

int log_append(struct log *log, uint32_t group, const struct log_entry *entries, size_t count)
{
	if (count == 0)
		return 0;
	LOCK_GUARD(&log->append);
	return log_write_entries(log, group, entries, count);
}

/* Finds an entry, and keeps its segment from being used again until entry_done. */
static int entry_find(struct log *log, uint32_t group, uint64_t index, struct log_place *ret_place, struct log_segment **ret_segment)
{
	LOCK_GUARD(&log->lock);
	struct log_member *m = log_member_find(log, group);

	if (!m || index <= m->base_index || index > log_member_last(m))
		return -ENOENT;
	*ret_place = *log_member_place(m, index);
	*ret_segment = log_segment_find(log, ret_place->seq);
	assert(*ret_segment);
	(*ret_segment)->users++;
	return 0;
}

static void entry_done(struct log *log, struct log_segment *segment)
{
	LOCK_GUARD(&log->lock);
	segment->users--;
}

int log_read(struct log *log, uint32_t group, uint64_t index, uint64_t *ret_term, uint16_t *ret_type, struct buffer *data)
{
	struct log_segment *segment;
	struct log_record record;
	struct log_place place;
	uint8_t *bytes;
	int r = entry_find(log, group, index, &place, &segment);

	buffer_reset(data);
	if (r < 0)
		return r;
	size_t size = LOG_RECORD_SIZE + place.size;
	r = buffer_reserve(data, (size_t)log_record_space(place.size), &bytes);
	ssize_t n = r < 0 ? r : disk_pread(segment->file, bytes, data->size, place.offset);
	if (n < 0)
		r = (int)n;
	else if ((size_t)n != data->size || log_record_decode(bytes, data->size, segment->seq, segment->salt, place.offset, &record) < 0)
		r = -EBADMSG;
	else if (record.kind != LOG_ENTRY || record.group != group || record.index != index || record.data.size != place.size)
		r = -EBADMSG;
	entry_done(log, segment);
	if (r < 0) {
		buffer_reset(data);
		return r;
	}
	memmove(bytes, bytes + LOG_RECORD_SIZE, size - LOG_RECORD_SIZE);
	data->size = place.size;
	*ret_term = record.term;
	*ret_type = record.type;
	return 0;
}

uint64_t log_bytes(struct log *log)
{
	LOCK_GUARD(&log->lock);
	return log->bytes;
}
