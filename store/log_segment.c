/* The life of a log segment's file: made of zeros, synced, named durably, given a header, used, and used again.
 *
 * Invariant: a segment is written to only after a header with a new sequence number and a new salt has been synced, and
 * that is done only after everything that took its old content's place has been synced (free_after). */
#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/counter.h"
#include "base/fault.h"
#include "base/log.h"
#include "store/log_internal.h"

#define ZEROS_SIZE (256u << 10)   /* bytes written at once when a segment is made */

COUNTER(segments_made, "dios_log_segments_made_total", "log segments made anew");
COUNTER(segments_recycled, "dios_log_segments_recycled_total", "log segments used again");

int log_segments_push(struct log_segments *list, struct log_segment *segment)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 8;
		struct log_segment **items = realloc(list->items, capacity * sizeof(struct log_segment *));
		if (!items)
			return -ENOMEM;
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->count++] = segment;
	return 0;
}

struct log_segment *log_segments_take(struct log_segments *list, size_t at)
{
	struct log_segment *segment = list->items[at];

	list->count--;
	memmove(list->items + at, list->items + at + 1, (list->count - at) * sizeof(struct log_segment *));
	return segment;
}

void log_segment_path(const struct log *log, uint32_t number, char path[96])
{
	snprintf(path, 96, "%s/%08" PRIx32, log->folder, number);
}

void log_segment_free(struct log_segment *segment)
{
	if (!segment)
		return;
	disk_close(segment->file);
	free(segment);
}

struct log_segment *log_current(struct log *log)
{
	return log->chain.count ? log->chain.items[log->chain.count - 1] : NULL;
}

struct log_segment *log_segment_find(struct log *log, uint64_t seq)
{
	size_t low = 0, high = log->chain.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (log->chain.items[middle]->seq < seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low < log->chain.count && log->chain.items[low]->seq == seq ? log->chain.items[low] : NULL;
}

static int fill_with_zeros(struct disk_file *file, uint32_t size)
{
	static const uint8_t zeros[ZEROS_SIZE];
	int r = 0;

	for (uint32_t at = 0; r == 0 && at < size; at += ZEROS_SIZE)
		r = disk_pwrite(file, zeros, size - at < ZEROS_SIZE ? size - at : ZEROS_SIZE, at);
	return r ? r : disk_sync(file);
}

/* Written once, now, so that later syncs move no metadata. Its header stays zeros: not in use. */
static int segment_make(struct log *log, struct log_segment **ret_segment)
{
	struct log_segment *segment = calloc(1, sizeof(*segment));
	char path[96];

	if (!segment)
		return -ENOMEM;
	segment->number = log->next_number;
	segment->size = log->segment_size;
	log_segment_path(log, segment->number, path);
	int r = disk_open(log->disk, path, O_RDWR | O_CREAT | O_EXCL, &segment->file);
	if (r < 0) {
		free(segment);
		return r;
	}
	log->next_number++;
	r = fill_with_zeros(segment->file, segment->size);
	if (r == 0)
		r = disk_sync_dir(log->disk, log->folder);
	if (r < 0) {
		log_file_remove(log, path);
		log_segment_free(segment);
		return r;
	}
	counter_add(&segments_made, 1);
	*ret_segment = segment;
	return 0;
}

/* Without a journal a power cut can bring the name back, with an inode that is another file's by then: what it holds would be a damaged
 * segment. So the name is gone from the disk before the inode is. */
int log_file_remove(struct log *log, const char *path)
{
	char aside[112];

	snprintf(aside, sizeof(aside), "%s" LOG_REMOVED, path);
	int r = disk_rename(log->disk, path, aside);
	if (r == 0)
		r = disk_sync_dir(log->disk, log->folder);
	return r == 0 ? disk_unlink(log->disk, aside) : r;
}

static void segment_remove(struct log *log, struct log_segment *segment)
{
	char path[96];

	log_segment_path(log, segment->number, path);
	int r = log_file_remove(log, path);
	if (r < 0 && r != -ESHUTDOWN)
		log_warning("store", "a log segment cannot be deleted path=%s errno=%d", path, -r);
	log_segment_free(segment);
}

/* One that nobody reads any more, of this log's size or of another; or NULL. */
static struct log_segment *take_unused(struct log *log, bool fits)
{
	struct log_segment *found = NULL;

	lock_acquire(&log->lock);
	for (size_t i = 0; i < log->unused.count && !found; i++)
		if (log->unused.items[i]->users == 0 && (log->unused.items[i]->size == log->segment_size) == fits)
			found = log_segments_take(&log->unused, i);
	lock_release(&log->lock);
	return found;
}

static int make_with_room(struct log *log, struct log_segment **ret_segment)
{
	int r = segment_make(log, ret_segment);

	if (r == -ENOSPC && log->make_room && log->make_room(log->make_room_arg, log->segment_size) == 0)
		r = segment_make(log, ret_segment);
	return r;
}

/* The new header is the moment at which what the segment held is gone, and at which the chain begins where tail_seq says. */
static int write_header(struct log *log, struct log_segment *segment)
{
	uint8_t bytes[LOG_DATA_START] = { 0 };
	struct log_segment_header h = { .seq = log->next_seq, .salt = random_u64(log->disk->random), .size = segment->size, .owner = log->disk->owner };

	lock_acquire(&log->lock);
	h.synced = log->synced;
	lock_release(&log->lock);
	h.tail_seq = log->chain.count ? log->chain.items[0]->seq : h.seq;
	log_header_encode(&h, bytes);
	int r = fault_point("log.header");
	if (r == 0)
		r = disk_pwrite(segment->file, bytes, sizeof(bytes), 0);
	/* Whether it got there or not: this number is not used again. */
	log->next_seq++;
	if (r < 0)
		return r;
	r = disk_sync(segment->file);
	if (r < 0) {
		lock_acquire(&log->lock);
		log->error = -EIO;
		lock_release(&log->lock);
		return r;
	}
	segment->seq = h.seq;
	segment->salt = h.salt;
	segment->end = LOG_DATA_START;
	return 0;
}

static void remove_surplus(struct log *log)
{
	struct log_segment *segment;

	while ((segment = take_unused(log, false)))
		segment_remove(log, segment);
	while (log->unused.count > LOG_FREE_MAX && (segment = take_unused(log, true)))
		segment_remove(log, segment);
}

/* Which header the disk has is not known. A file that had none before goes: should it come back, it has a number of its own and no beginning. */
static int begin_new(struct log *log, struct log_segment **ret_segment)
{
	int r = make_with_room(log, ret_segment);

	if (r < 0)
		return r;
	r = write_header(log, *ret_segment);
	if (r < 0)
		segment_remove(log, *ret_segment);
	return r;
}

/* The header that an unused segment has may be the only one that says where the chain begins, and its records those that the disk's newest header
 * calls the beginning. So where it cannot be written another is made, and only then it goes. */
static int begin_unused(struct log *log, struct log_segment *unused, struct log_segment **ret_segment)
{
	int r = write_header(log, unused);

	if (r == 0) {
		*ret_segment = unused;
		counter_add(&segments_recycled, 1);
		return 0;
	}
	lock_acquire(&log->lock);
	int error = log->error;
	lock_release(&log->lock);
	r = error ? r : begin_new(log, ret_segment);
	if (r == 0) {
		segment_remove(log, unused);
		return 0;
	}
	lock_acquire(&log->lock);
	int pushed = log_segments_push(&log->unused, unused);
	lock_release(&log->lock);
	assert(pushed == 0);     /* it was taken from there */
	(void)pushed;
	return r;
}

int log_prepare_segment(struct log *log)
{
	struct log_segment *segment = NULL;
	int r = 0;

	if (log->ready)
		return 0;
	lock_acquire(&log->lock);
	bool sync = log_position_before(log->synced, log->free_after);
	lock_release(&log->lock);
	if (sync)
		r = log_sync(log);
	if (r < 0)
		return r;
	struct log_segment *unused = take_unused(log, true);
	r = unused ? begin_unused(log, unused, &segment) : begin_new(log, &segment);
	if (r < 0)
		return r;
	log->ready = segment;
	remove_surplus(log);
	return 0;
}

int log_roll(struct log *log)
{
	struct log_segment *before = log_current(log);
	int r = log_prepare_segment(log);

	if (r < 0)
		return r;
	struct log_segment *segment = log->ready;
	uint8_t bytes[LOG_RECORD_SIZE];
	struct log_record start = { .kind = LOG_START, .index = before ? before->seq : 0, .term = before ? before->end : 0 };
	lock_acquire(&log->lock);
	start.synced = log->synced;
	r = log_segments_push(&log->chain, segment);
	if (r == 0)
		log->chain.count--;   /* there is room; not before it begins with its record */
	lock_release(&log->lock);
	log_record_encode(&start, segment->seq, segment->salt, LOG_DATA_START, bytes);
	/* Also when it seems to fail the record may be there: nothing may follow in the segment before any more. */
	log->torn = true;
	if (r == 0)
		r = disk_pwrite(segment->file, bytes, sizeof(bytes), LOG_DATA_START);
	if (r < 0)
		return r;
	lock_acquire(&log->lock);
	segment->end = LOG_DATA_START + LOG_RECORD_SIZE;
	log->chain.items[log->chain.count++] = segment;
	lock_release(&log->lock);
	log->ready = NULL;
	log->torn = false;
	return 0;
}
