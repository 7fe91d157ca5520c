/* See log_salvage.h. Records are taken in the order of segments and offsets, as recovery (log_recover.c) would, but for what stops it:
 * what is bad is passed over. A START takes away what its predecessor had behind the end that it names; an entry takes away
 * those at and behind its index; so does a CUT. */
#include "store/log_salvage.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/grow.h"
#include "store/log_internal.h"
#include "store/segment_name.h"

#define TERM_STEP 1u

struct segment { char path[96]; struct log_segment_header header; };
struct place { uint64_t index, term, seq; uint32_t offset; uint16_t type; size_t segment; };

struct salvage {
	struct disk *disk;
	const char *folder;
	uint32_t group;
	struct log_salvage found;
	struct segment *segments;
	size_t segment_count, segment_capacity;
	struct place *places;             /* ascending by index: entries in force */
	size_t count, capacity;
	uint8_t *bytes;
	size_t bytes_capacity;
};

static int add_segment(void *arg, const char *name)
{
	struct salvage *s = arg;
	uint8_t bytes[LOG_HEADER_SIZE] = { 0 };
	struct disk_file *file;
	uint32_t number;

	if (!segment_name_parse(name, "", &number))
		return 0;
	void *grown = grow(s->segments, &s->segment_capacity, s->segment_count, sizeof(*s->segments));
	if (!grown)
		return -ENOMEM;
	s->segments = grown;
	struct segment *g = &s->segments[s->segment_count];
	snprintf(g->path, sizeof(g->path), "%s/%s", s->folder, name);
	int r = disk_open(s->disk, g->path, O_RDONLY, &file);
	if (r < 0)
		return r;
	ssize_t n = disk_pread(file, bytes, sizeof(bytes), 0);
	disk_close(file);
	if (n < 0)
		return (int)n;
	s->found.segments++;
	r = log_header_decode(bytes, &g->header);
	if (r == -ENOTSUP)
		return r;
	bool foreign = r == 0 && g->header.owner != 0 && s->disk->owner != 0 && g->header.owner != s->disk->owner;
	if (r == 0 && !foreign)
		s->segment_count++;
	else if (r == -EBADMSG || foreign)
		s->found.bad_segments++;
	return 0;
}

static int compare_segments(const void *a, const void *b)
{
	uint64_t x = ((const struct segment *)a)->header.seq, y = ((const struct segment *)b)->header.seq;

	return (x > y) - (x < y);
}

/* *ret_size: bytes of the file, at most as many as the header says. */
static int load(struct salvage *s, const struct segment *g, size_t *ret_size)
{
	struct disk_file *file;

	if (s->bytes_capacity < g->header.size) {
		uint8_t *bytes = realloc(s->bytes, g->header.size);
		if (!bytes)
			return -ENOMEM;
		s->bytes = bytes;
		s->bytes_capacity = g->header.size;
	}
	int r = disk_open(s->disk, g->path, O_RDONLY, &file);
	if (r < 0)
		return r;
	ssize_t n = disk_pread(file, s->bytes, g->header.size, 0);
	disk_close(file);
	*ret_size = n > 0 ? (size_t)n : 0;
	return n < 0 ? (int)n : 0;
}

static void cut_from(struct salvage *s, uint64_t index)
{
	while (s->count > 0 && s->places[s->count - 1].index >= index)
		s->count--;
}

static void cut_behind(struct salvage *s, uint64_t seq, uint64_t end)
{
	while (s->count > 0 && s->places[s->count - 1].seq == seq && s->places[s->count - 1].offset >= end)
		s->count--;
}

static int take(struct salvage *s, const struct log_record *record, size_t segment, uint32_t offset)
{
	if (record->kind == LOG_START) {
		cut_behind(s, record->index, record->term);
		return 0;
	}
	if (record->group != s->group || record->kind == LOG_MARK)
		return 0;
	if (record->kind == LOG_STATE && record->data.size == LOG_STATE_SIZE) {
		uint64_t term = 0;
		memcpy(&term, record->data.data, sizeof(term));
		s->found.term = s->found.term > le64toh(term) ? s->found.term : le64toh(term);
		return 0;
	}
	if (record->kind == LOG_CUT) {
		cut_from(s, record->index);
		return 0;
	}
	if (record->kind != LOG_ENTRY)
		return 0;
	cut_from(s, record->index);
	void *grown = grow(s->places, &s->capacity, s->count, sizeof(*s->places));
	if (!grown)
		return -ENOMEM;
	s->places = grown;
	s->places[s->count++] = (struct place){ record->index, record->term, s->segments[segment].header.seq, offset, record->type, segment };
	if (record->term > s->found.term)
		s->found.term = record->term;
	if (record->index > s->found.highest)
		s->found.highest = record->index;
	return 0;
}

static int scan(struct salvage *s, size_t segment)
{
	const struct log_segment_header *h = &s->segments[segment].header;
	struct log_record record;
	size_t size;
	int r = load(s, &s->segments[segment], &size);

	for (size_t at = LOG_DATA_START; r == 0 && at + LOG_RECORD_SIZE <= size;) {
		if (log_record_decode(s->bytes + at, size - at, h->seq, h->salt, (uint32_t)at, &record) < 0) {
			at += LOG_RECORD_SIZE;
			continue;
		}
		r = take(s, &record, segment, (uint32_t)at);
		at += (size_t)log_record_space(record.data.size);
	}
	return r;
}

/* The run behind `after`; what lies behind the first gap counts as beyond. */
static const struct place *find_run(struct salvage *s, uint64_t after)
{
	const struct place *first = NULL;
	uint64_t next = after + 1;

	s->found.first_index = after + 1;
	for (size_t i = 0; i < s->count; i++) {
		if (s->places[i].index <= after)
			continue;
		if (s->places[i].index != next) {
			s->found.beyond++;
			continue;
		}
		first = first ? first : &s->places[i];
		next++;
	}
	s->found.last_index = next - 1;
	return first;
}

static int copy_run(struct salvage *s, struct log *log, const struct place *first)
{
	size_t loaded = SIZE_MAX, size = 0;
	struct log_record record;
	int r = 0;

	for (const struct place *p = first; p && r == 0 && p < s->places + s->count && p->index <= s->found.last_index; p++) {
		const struct log_segment_header *h = &s->segments[p->segment].header;
		if (loaded != p->segment)
			r = load(s, &s->segments[p->segment], &size);
		loaded = p->segment;
		if (r == 0)
			r = p->offset < size ? log_record_decode(s->bytes + p->offset, size - p->offset, h->seq, h->salt, p->offset, &record) : -EBADMSG;
		struct log_entry e = { .index = p->index, .term = p->term, .type = p->type, .data = record.data };
		if (r == 0)
			r = log_append(log, s->group, &e, 1);
	}
	return r;
}

static int write_log(struct salvage *s, const char *into, uint64_t after, uint64_t after_term, const struct place *first)
{
	struct log *log;
	uint64_t term = s->found.term > after_term ? s->found.term : after_term;
	int r = log_open(s->disk, into, LOG_SEGMENT_SIZE, &log);

	if (r < 0)
		return r;
	/* A term above all that is known: a vote in a record that is lost does not count any more. */
	r = log_set_vote(log, s->group, term + TERM_STEP, 0);
	if (r == 0 && after > 0)
		r = log_compact(log, s->group, after, after_term);
	if (r == 0)
		r = copy_run(s, log, first);
	if (r == 0)
		r = log_sync(log);
	log_close(log);
	return r;
}

int log_salvage(struct disk *disk, const char *folder, uint32_t group, uint64_t after, uint64_t after_term, const char *into,
	struct log_salvage *ret_found)
{
	struct salvage s = { .disk = disk, .folder = folder, .group = group };
	int r = disk_list(disk, folder, add_segment, &s);

	if (r == -ENOENT)
		r = 0;   /* there is nothing */
	if (r == 0 && s.segment_count > 0)
		qsort(s.segments, s.segment_count, sizeof(*s.segments), compare_segments);
	for (size_t i = 0; r == 0 && i < s.segment_count; i++)
		r = scan(&s, i);
	if (r == 0) {
		const struct place *first = find_run(&s, after);
		if (into)
			r = write_log(&s, into, after, after_term, first);
	}
	free(s.segments);
	free(s.places);
	free(s.bytes);
	if (r == 0)
		*ret_found = s.found;
	return r;
}
