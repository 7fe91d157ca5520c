/* Finding the log again. In this order:
 *   1. every file's header is read. Files that were never used are deleted. The newest header says where the chain begins.
 *   2. the chain: from the newest segment that begins with a LOG_START back to that beginning. A newer segment whose way back
 *      is broken was not synced, or 5. finds that it was.
 *   3. its records are read in order and carried out, up to the first bad one: the cut.
 *   4. the rest of the last segment, and the segments that are not on the chain, are searched for good records: what they
 *      say about synced bytes counts, what they contain does not.
 *   5. the highest synced position stated anywhere must not lie beyond the cut: else synced bytes are damaged or gone.
 *   6. what lies between that position and the cut is written once more: if an earlier daemon's sync failed, the kernel
 *      takes these pages for clean, and the next sync would promise what the disk does not have. */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "store/bytes.h"
#include "store/log_internal.h"
#include "store/segment_name.h"
#include "store/why.h"

#define REWRITE_SIZE (1u << 20)   /* bytes rewritten at once */

struct found {
	struct log_segment *segment;     /* in log->unused until the end */
	uint64_t tail_seq;
	struct log_position synced;
	bool started;                    /* begins with a LOG_START, which says: */
	uint64_t previous_seq;
	uint32_t previous_end;
	bool on_chain;
};

struct recovery {
	struct log *log;
	uint32_t *numbers;
	size_t number_count, number_capacity;
	struct found *found;             /* sorted by seq */
	size_t count;
	size_t *chain;                   /* indexes into found, oldest first */
	size_t chain_count;
	uint64_t tail_seq;
	struct log_position stated, cut; /* highest synced position stated; where the log ends */
	bool torn;
	uint8_t *bytes;                  /* one segment's */
	uint32_t bytes_size;
	char removed[96];                /* a file whose deletion was cut short; of several one at each start */
};

static int add_number(void *arg, const char *name)
{
	struct recovery *r = arg;
	uint32_t number;

	if (segment_name_parse(name, LOG_REMOVED, &number)) {
		snprintf(r->removed, sizeof(r->removed), "%s/%.12s", r->log->folder, name);
		return 0;
	}
	if (!segment_name_parse(name, "", &number)) {
		log_warning("store", "not a log segment, left alone name=\"%s\"", name);
		return 0;
	}
	if (r->number_count == r->number_capacity) {
		size_t capacity = r->number_capacity ? r->number_capacity * 2 : 16;
		uint32_t *numbers = realloc(r->numbers, capacity * sizeof(*numbers));
		if (!numbers)
			return -ENOMEM;
		r->numbers = numbers;
		r->number_capacity = capacity;
	}
	r->numbers[r->number_count++] = number;
	if (number >= r->log->next_number)
		r->log->next_number = number + 1;
	return 0;
}

/* Reads what begins a segment. 0; -ENODATA: it was never used; -EXDEV: it is another data directory's. */
static int read_beginning(struct disk_file *file, uint64_t owner, struct log_segment_header *ret_header, struct log_record *ret_start, bool *ret_started)
{
	static const uint8_t zeros[LOG_RECORD_SIZE];
	uint8_t bytes[LOG_DATA_START + LOG_RECORD_SIZE] = { 0 };
	const uint8_t *first = bytes + LOG_DATA_START;
	uint64_t size;
	ssize_t n = disk_pread(file, bytes, sizeof(bytes), 0);
	int r = n < 0 ? (int)n : disk_size(file, &size);

	if (r == 0)
		r = log_header_decode(bytes, ret_header);
	/* A header is made of zeros only as long as nothing was written behind it. */
	if (r == -ENODATA && memcmp(first, zeros, LOG_RECORD_SIZE) != 0)
		return -EBADMSG;
	if (r < 0)
		return r;
	if (size < ret_header->size)
		return -EBADMSG;
	if (ret_header->owner != 0 && owner != 0 && ret_header->owner != owner)
		return -EXDEV;
	*ret_started = log_record_decode(first, LOG_RECORD_SIZE, ret_header->seq, ret_header->salt, LOG_DATA_START, ret_start) == 0 &&
		ret_start->kind == LOG_START && ret_start->term <= UINT32_MAX;
	return 0;
}

/* A header that was wiped has records behind it. Without its salt they can't be checked; but each has its own offset in it, and
 * a checksum of its data. */
static int seek_records(struct disk_file *file)
{
	enum { STEP = 1 << 20, R_DATA_CRC = 4, R_SIZE = 8, R_OFFSET = 52 };
	uint8_t *bytes = malloc(STEP + LOG_ENTRY_MAX);
	ssize_t n = bytes ? 0 : -ENOMEM;

	for (uint64_t at = LOG_DATA_START; n >= 0; at += STEP) {
		n = disk_pread(file, bytes, STEP + LOG_ENTRY_MAX, at);
		if (n <= 0)
			break;
		for (size_t i = 0; i < STEP && i + LOG_RECORD_SIZE <= (size_t)n; i += LOG_RECORD_SIZE) {
			uint32_t size = get_le32(bytes + i + R_SIZE);
			if (get_le32(bytes + i + R_OFFSET) != at + i || size == 0 || size > (size_t)n - i - LOG_RECORD_SIZE ||
			    crc32c(0, bytes + i + LOG_RECORD_SIZE, size) != get_le32(bytes + i + R_DATA_CRC))
				continue;
			free(bytes);
			return -EBADMSG;
		}
	}
	free(bytes);
	return (int)n;
}

static int open_one(struct recovery *r, uint32_t number)
{
	struct log_segment_header header;
	struct log_record start = { 0 };
	bool started = false;
	char path[96];
	struct log_segment *segment = calloc(1, sizeof(*segment));

	if (!segment)
		return -ENOMEM;
	log_segment_path(r->log, number, path);
	int error = disk_open(r->log->disk, path, O_RDWR, &segment->file);
	if (error < 0) {
		free(segment);
		return error;
	}
	error = read_beginning(segment->file, r->log->disk->owner, &header, &start, &started);
	if (error == -ENODATA && (error = seek_records(segment->file)) == 0)
		error = -ENODATA;
	if (error == 0)
		error = log_segments_push(&r->log->unused, segment);
	if (error < 0) {
		log_segment_free(segment);
		if (error == -ENODATA)
			return log_file_remove(r->log, path);
		log_error("store", "a log segment cannot be used path=%s errno=%d", path, -error);
		store_why_set("%s: %s", path, error == -EBADMSG ? "the header of this segment is damaged, or its file is cut short" :
			error == -EXDEV ? "this segment belongs to another data directory" : strerror(-error));
		error = error == -EXDEV ? -EBADMSG : error;
		return error;
	}
	segment->number = number;
	segment->seq = header.seq;
	segment->salt = header.salt;
	segment->size = header.size;
	segment->end = LOG_DATA_START;
	r->found[r->count++] = (struct found){ .segment = segment, .tail_seq = header.tail_seq, .synced = header.synced,
		.started = started, .previous_seq = start.index, .previous_end = (uint32_t)start.term };
	if (header.size > r->bytes_size)
		r->bytes_size = header.size;
	return 0;
}

static int compare_found(const void *a, const void *b)
{
	uint64_t x = ((const struct found *)a)->segment->seq, y = ((const struct found *)b)->segment->seq;

	return (x > y) - (x < y);
}

static int open_all(struct recovery *r)
{
	int error = disk_mkdir(r->log->disk, r->log->folder);

	if (error == 0)
		error = disk_sync_dir(r->log->disk, ".");
	if (error == 0)
		error = disk_list(r->log->disk, r->log->folder, add_number, r);
	if (error == 0 && r->removed[0])
		error = disk_unlink(r->log->disk, r->removed);
	if (error < 0 || r->number_count == 0)
		return error;
	r->found = calloc(r->number_count, sizeof(*r->found));
	r->chain = calloc(r->number_count, sizeof(*r->chain));
	if (!r->found || !r->chain)
		return -ENOMEM;
	for (size_t i = 0; error == 0 && i < r->number_count; i++)
		error = open_one(r, r->numbers[i]);
	if (error < 0 || r->count == 0)
		return error;
	qsort(r->found, r->count, sizeof(*r->found), compare_found);
	for (size_t i = 1; i < r->count; i++)
		if (r->found[i].segment->seq == r->found[i - 1].segment->seq) {
			store_why_set("%s/%08x and %s/%08x: two files say that they are the same segment", r->log->folder, r->found[i - 1].segment->number,
				r->log->folder, r->found[i].segment->number);
			return -EBADMSG;
		}
	r->bytes = malloc(r->bytes_size);
	if (!r->bytes)
		return -ENOMEM;
	r->tail_seq = r->found[r->count - 1].tail_seq;
	r->log->next_seq = r->found[r->count - 1].segment->seq + 1;
	return 0;
}

static bool find_seq(const struct recovery *r, uint64_t seq, size_t *ret_at)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->found[i].segment->seq == seq) {
			*ret_at = i;
			return true;
		}
	}
	return false;
}

/* The way back from found[last] to the beginning. */
static bool walk_back(struct recovery *r, size_t last)
{
	size_t at = last, count = 0;

	while (r->found[at].started && r->found[at].segment->seq > r->tail_seq) {
		r->chain[count++] = at;
		if (r->found[at].previous_seq >= r->found[at].segment->seq || !find_seq(r, r->found[at].previous_seq, &at))
			return false;
	}
	if (!r->found[at].started || r->found[at].segment->seq != r->tail_seq)
		return false;
	r->chain[count++] = at;
	for (size_t i = 0; i < count / 2; i++) {
		size_t other = r->chain[i];
		r->chain[i] = r->chain[count - 1 - i];
		r->chain[count - 1 - i] = other;
	}
	r->chain_count = count;
	return true;
}

static void find_chain(struct recovery *r)
{
	for (size_t last = r->count; last-- > 0 && r->found[last].segment->seq >= r->tail_seq; ) {
		if (!walk_back(r, last))
			continue;
		for (size_t i = 0; i < r->chain_count; i++)
			r->found[r->chain[i]].on_chain = true;
		return;
	}
	r->chain_count = 0;
}

static int load(struct recovery *r, const struct log_segment *segment)
{
	ssize_t n = disk_pread(segment->file, r->bytes, segment->size, 0);

	return n < 0 ? (int)n : (size_t)n < segment->size ? -EBADMSG : 0;
}

static int replay_entry(struct log *log, struct log_member *m, const struct log_record *record, struct log_place place)
{
	/* The entries before the first one read were in segments that are gone: compacted, or cut by a record still to come. */
	if (!m->seen && record->index > log_member_last(m) + 1)
		m->base_index = record->index - 1;
	m->seen = true;
	if (record->index == 0 || record->index > log_member_last(m) + 1)
		return -EBADMSG;
	log_member_cut(log, m, record->index);
	/* Earlier ones are in segments that are gone, and were cut by this one. */
	if (record->index <= m->base_index)
		m->base_index = record->index - 1;
	int r = log_member_reserve(m, 1);
	if (r == 0)
		log_member_add(log, m, place);
	return r;
}

static void replay_cut(struct log *log, struct log_member *m, uint64_t index)
{
	log_member_cut(log, m, index);
	if (m->seen && index > 0 && index <= m->base_index)
		m->base_index = index - 1;
}

static int replay(struct log *log, const struct log_record *record, struct log_place place)
{
	struct log_member *m;
	int r = record->kind == LOG_MARK ? 0 : log_member_make(log, record->group, &m);

	if (r < 0 || record->kind == LOG_MARK)
		return r;
	if (record->kind == LOG_ENTRY)
		return replay_entry(log, m, record, place);
	if (record->kind == LOG_CUT) {
		replay_cut(log, m, record->index);
		return 0;
	}
	log_member_set_base(log, m, record->index, record->term);
	m->term = get_le64(record->data.data);
	m->voted_for = get_le64(record->data.data + 8);
	m->state_seq = place.seq;
	m->stated = true;
	m->stated_index = record->index;
	m->stated_term = record->term;
	return 0;
}

/* A base that was only concluded from the first entry read must have turned out right. */
static int check_members(const struct log *log)
{
	for (size_t i = 0; i < log->member_count; i++) {
		struct log_member *m = log->members[i];
		if (m->base_index != m->stated_index)   /* 0 if none was stated */
			return -EBADMSG;
		m->base_term = m->stated_term;
	}
	return 0;
}

static void note_stated(struct recovery *r, struct log_position synced)
{
	if (log_position_before(r->stated, synced))
		r->stated = synced;
}

/* Carries out the segment's records up to the first bad one. */
static int read_segment(struct recovery *r, struct log_segment *segment, uint32_t known_end)
{
	uint32_t at = LOG_DATA_START, end = known_end ? known_end : segment->size;
	struct log_record record;
	int error = load(r, segment);

	while (error == 0 && at < end) {
		if (log_record_decode(r->bytes + at, segment->size - at, segment->seq, segment->salt, at, &record) < 0)
			break;
		if ((record.kind == LOG_START) != (at == LOG_DATA_START))
			return -EBADMSG;
		note_stated(r, record.synced);
		if (record.kind != LOG_START)
			error = replay(r->log, &record, (struct log_place){ record.term, segment->seq, at, (uint32_t)record.data.size });
		at += (uint32_t)log_record_space(record.data.size);
	}
	segment->end = at;
	return error ? error : known_end && at > known_end ? -EBADMSG : 0;
}

static int read_chain(struct recovery *r)
{
	r->cut = (struct log_position){ r->tail_seq, LOG_DATA_START };
	for (size_t i = 0; i < r->chain_count; i++) {
		struct log_segment *segment = r->found[r->chain[i]].segment;
		bool last = i + 1 == r->chain_count;
		uint32_t known_end = last ? 0 : r->found[r->chain[i + 1]].previous_end;
		int error = read_segment(r, segment, known_end);
		if (error < 0)
			return error;
		r->cut = (struct log_position){ segment->seq, segment->end };
		if (last || segment->end == known_end)
			continue;
		/* What follows is beyond the cut. */
		r->torn = true;
		for (size_t k = i + 1; k < r->chain_count; k++)
			r->found[r->chain[k]].on_chain = false;
		r->chain_count = i + 1;
	}
	return 0;
}

/* Good records beyond the cut. */
static int search_segment(struct recovery *r, const struct log_segment *segment)
{
	struct log_record record;
	int error = load(r, segment);

	for (uint32_t at = segment->end; error == 0 && at < segment->size; ) {
		if (log_record_decode(r->bytes + at, segment->size - at, segment->seq, segment->salt, at, &record) < 0) {
			at += LOG_RECORD_SIZE;
			continue;
		}
		note_stated(r, record.synced);
		r->torn = true;
		at += (uint32_t)log_record_space(record.data.size);
	}
	return error;
}

static int search_rest(struct recovery *r)
{
	int error = 0;

	for (size_t i = 0; error == 0 && i < r->count; i++) {
		struct log_segment *segment = r->found[i].segment;
		if (segment->seq >= r->tail_seq)
			note_stated(r, r->found[i].synced);
		if (segment->seq < r->tail_seq || (r->found[i].on_chain && segment->seq != r->cut.seq))
			continue;
		if (!r->found[i].on_chain)
			segment->end = LOG_DATA_START;
		error = search_segment(r, segment);
	}
	return error;
}

static int rewrite(struct recovery *r, struct log_segment *segment, uint32_t from)
{
	int error = load(r, segment);

	for (uint32_t at = from; error == 0 && at < segment->end; at += REWRITE_SIZE)
		error = disk_pwrite(segment->file, r->bytes + at, segment->end - at < REWRITE_SIZE ? segment->end - at : REWRITE_SIZE, at);
	return error;
}

/* The chain becomes the log's. */
static int adopt(struct recovery *r)
{
	struct log *log = r->log;
	int error = 0;

	for (size_t i = 0; error == 0 && i < r->chain_count; i++) {
		struct log_segment *segment = r->found[r->chain[i]].segment;
		for (size_t k = 0; k < log->unused.count; k++)
			if (log->unused.items[k] == segment)
				log_segments_take(&log->unused, k);
		error = log_segments_push(&log->chain, segment);
		if (error < 0)
			log_segment_free(segment);
		else if (log_position_before(r->stated, (struct log_position){ segment->seq, segment->end }))
			error = rewrite(r, segment, segment->seq == r->stated.seq ? r->stated.offset : LOG_DATA_START);
	}
	log->synced = r->stated;
	log->torn = r->torn;
	return error;
}

/* Where the synced bytes end before they should. */
static void say_where(struct recovery *r)
{
	size_t at;

	if (find_seq(r, r->cut.seq, &at))
		store_why_set("%s/%08x: the record at byte %u is damaged, or a segment behind it is gone; it was synced", r->log->folder,
			r->found[at].segment->number, r->cut.offset);
	else
		store_why_set("%s: the segment number %llu, where the log begins, is damaged or gone", r->log->folder, (unsigned long long)r->tail_seq);
}

int log_recover(struct log *log)
{
	struct recovery r = { .log = log };
	int error = open_all(&r);

	if (error == 0 && r.count > 0) {
		find_chain(&r);
		error = read_chain(&r);
		if (error == 0)
			error = search_rest(&r);
		if (error == 0 && log_position_before(r.cut, r.stated)) {
			log_error("store", "the log is damaged before its synced end segment=%llu offset=%u synced_segment=%llu synced_offset=%u",
				(unsigned long long)r.cut.seq, r.cut.offset, (unsigned long long)r.stated.seq, r.stated.offset);
			say_where(&r);
			error = -EBADMSG;
		}
		if (error == 0) {
			error = check_members(log);
			if (error < 0)
				store_why_set("%s: its first records are missing", log->folder);
		}
		if (error == 0)
			error = adopt(&r);
	}
	free(r.numbers);
	free(r.found);
	free(r.chain);
	free(r.bytes);
	return error;
}
