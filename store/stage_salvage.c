/* See stage_salvage.h. A record that can't be read is passed over: the next one is looked for byte by byte, since records follow each other
 * without a gap. Behind it bad bytes may also be just the end: what tells is whether another record follows. */
#include "store/segment_name.h"
#include "store/stage_salvage.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/grow.h"
#include "store/stage_live.h"
#include "store/stage_numbers.h"

#define SEGMENT_MAX (32u << 20)      /* bytes of a segment, as stage.c makes them */

struct segment { char path[96]; struct stage_header header; };

struct pass {
	struct disk *disk;
	const char *folder;
	const uint8_t *boot_id;
	struct stage_salvage *s;
	bool same_boot;
	unsigned unreadable;              /* segments that are there, and of which nothing can be said */
	struct segment *segments;
	size_t count, capacity;
	uint8_t *bytes;
	size_t size;
	/* writing */
	const char *into;
	struct disk_file *out;
	struct stage_header out_header;
	uint64_t out_end;
};

static void say(struct pass *p, const char *file, uint64_t ino, const char *text)
{
	if (p->s->tails_only)
		return;
	p->s->problems++;
	p->s->report(p->s->arg, file, ino, text);
}

static int add_segment(void *arg, const char *name)
{
	struct pass *p = arg;
	uint8_t bytes[STAGE_HEADER_SIZE] = { 0 };
	struct disk_file *file;
	uint32_t number;

	if (!segment_name_parse(name, "", &number))
		return 0;
	void *grown = grow(p->segments, &p->capacity, p->count, sizeof(*p->segments));
	if (!grown)
		return -ENOMEM;
	p->segments = grown;
	struct segment *g = &p->segments[p->count];
	snprintf(g->path, sizeof(g->path), "%s/%s", p->folder, name);
	int r = disk_open(p->disk, g->path, O_RDONLY, &file);
	if (r < 0)
		return r;
	ssize_t n = disk_pread(file, bytes, sizeof(bytes), 0);
	disk_close(file);
	if (n < 0)
		return (int)n;
	r = stage_header_decode(bytes, &g->header);
	p->unreadable += r == -EBADMSG;
	if (r == -EBADMSG && p->same_boot && n > 0)
		say(p, g->path, 0, "the header of this segment is damaged: what was written into it before the daemon ended, and is in no object yet, is lost");
	if (r == 0 && g->header.owner != 0 && p->disk->owner != 0 && g->header.owner != p->disk->owner) {
		p->unreadable++;
		say(p, g->path, 0, "this segment belongs to another data directory: nothing of it is taken");
		return 0;
	}
	if (r == 0 && memcmp(g->header.boot_id, p->boot_id, sizeof(g->header.boot_id)) == 0)
		p->count++;
	return r == -ENOTSUP ? r : 0;
}

static int compare_id(const void *a, const void *b)
{
	uint32_t x = ((const struct segment *)a)->header.id, y = ((const struct segment *)b)->header.id;

	return (x > y) - (x < y);
}

/* Those of the list that are not there. Sorted by id. */
static void look_for_missing(struct pass *p, uint64_t start)
{
	struct stage_live live;
	struct segment wanted;
	unsigned missing = 0;
	char text[160];

	if (stage_live_read(p->disk, p->folder, start, &live) < 0 || live.count > STAGE_LIVE_MAX)
		return;
	for (uint32_t i = 0; i < live.count; i++) {
		wanted.header.id = live.ids[i];
		missing += p->count == 0 || !bsearch(&wanted, p->segments, p->count, sizeof(*p->segments), compare_id);
	}
	if (missing <= p->unreadable)
		return;
	snprintf(text, sizeof(text), "%u segment%s missing: what was written into it before the daemon ended, and is in no object yet, is lost",
		missing - p->unreadable, missing - p->unreadable == 1 ? " is" : "s are");
	say(p, p->folder, 0, text);
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static int begin_segment(struct pass *p, const struct segment *from)
{
	uint8_t bytes[STAGE_HEADER_SIZE];
	char path[96];

	disk_close(p->out);
	p->out = NULL;
	p->out_header = from->header;
	snprintf(path, sizeof(path), "%s%s", p->into, strrchr(from->path, '/'));
	int r = disk_open(p->disk, path, O_RDWR | O_CREAT | O_TRUNC, &p->out);
	if (r == 0)
		r = disk_truncate(p->out, from->header.size);
	if (r < 0)
		return r;
	stage_header_encode(&p->out_header, bytes);
	p->out_end = STAGE_HEADER_SIZE;
	return disk_pwrite(p->out, bytes, sizeof(bytes), 0);
}

static int write_record(struct pass *p, const struct stage_record *record, const uint8_t *data, uint32_t size)
{
	uint8_t bytes[STAGE_RECORD_SIZE];
	struct iovec iov[2] = { { .iov_base = bytes, .iov_len = sizeof(bytes) }, { .iov_base = (void *)(uintptr_t)data, .iov_len = size } };

	if (!p->out)
		return 0;
	stage_record_encode(record, p->out_header.id, p->out_header.salt, size, crc32c(0, data, size), bytes);
	int r = disk_pwritev(p->out, iov, size ? 2 : 1, p->out_end);
	p->out_end += sizeof(bytes) + size;
	return r;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

/* 0: a whole record is at `at`; -EBADMSG: its header is good, its data is not; -ENODATA: none. */
static int record_at(const struct pass *p, const struct segment *g, size_t at, struct stage_record *ret_record, uint32_t *ret_size)
{
	uint32_t crc;

	if (at + STAGE_RECORD_SIZE > p->size || stage_record_decode(p->bytes + at, g->header.id, g->header.salt, ret_record, ret_size, &crc) < 0)
		return -ENODATA;
	if (at + STAGE_RECORD_SIZE + *ret_size > p->size || crc32c(0, p->bytes + at + STAGE_RECORD_SIZE, *ret_size) != crc)
		return -EBADMSG;
	return 0;
}

static bool find_next(const struct pass *p, const struct segment *g, size_t *at)
{
	struct stage_record record;
	uint32_t size;

	for (size_t i = *at + 1; i + STAGE_RECORD_SIZE <= p->size; i++) {
		i += stage_skip_zeros(p->bytes + i, p->size - i);
		if (record_at(p, g, i, &record, &size) == -ENODATA)
			continue;
		*at = i;
		return true;
	}
	return false;
}

static void say_lost(struct pass *p, const struct segment *g, size_t at, const struct stage_record *known)
{
	char text[256];

	if (known)
		snprintf(text, sizeof(text), "bytes %" PRIu64 " to %" PRIu64 ", written before the daemon ended and in no object yet, are damaged (record at byte %zu)",
			known->offset, known->offset + known->size, at);
	else
		snprintf(text, sizeof(text), "the record at byte %zu is damaged: what it says, of a write before the daemon ended, is lost", at);
	say(p, g->path, known ? known->ino : 0, text);
}

static int read_segment(struct pass *p, const struct segment *g)
{
	struct stage_record record;
	struct disk_file *file;
	uint32_t size = 0;
	int r = disk_open(p->disk, g->path, O_RDONLY, &file);

	if (r < 0)
		return r;
	ssize_t n = disk_pread(file, p->bytes, SEGMENT_MAX, 0);
	disk_close(file);
	if (n < 0)
		return (int)n;
	p->size = (size_t)n;
	if (p->size < g->header.size)
		say(p, g->path, 0, "the file is cut short: what was behind its end, written before the daemon ended and in no object yet, is lost");
	if (p->into && (r = begin_segment(p, g)) < 0)
		return r;
	for (size_t at = STAGE_HEADER_SIZE; at < p->size;) {
		r = record_at(p, g, at, &record, &size);
		if (r == 0) {
			bool whole = record.kind != STAGE_TAIL || !p->s->whole || p->s->whole(p->s->arg, &record);
			if (!whole) {
				bool only = p->s->tails_only;
				p->s->tails_only = false;
				say_lost(p, g, at, &record);
				p->s->tails_only = only;
			}
			if (record.seq > p->s->highest_seq)
				p->s->highest_seq = record.seq;
			r = whole ? write_record(p, &record, p->bytes + at + STAGE_RECORD_SIZE, size) : 0;
			if (r < 0)
				return r;
			at += STAGE_RECORD_SIZE + size;
			continue;
		}
		size_t bad = at;
		if (!find_next(p, g, &at))
			break;   /* the end, or the one that the dying daemon did not finish */
		say_lost(p, g, bad, r == -EBADMSG ? &record : NULL);
	}
	return 0;
}

int stage_salvage(struct disk *disk, const char *folder, const uint8_t boot_id[16], struct stage_salvage *s, const char *into)
{
	struct pass p = { .disk = disk, .folder = folder, .boot_id = boot_id, .s = s, .into = into, .bytes = malloc(SEGMENT_MAX) };
	uint64_t reserved = 0, boot;

	s->problems = 0;
	s->highest_seq = 0;
	if (!p.bytes)
		return -ENOMEM;
	p.same_boot = stage_read_numbers(disk, folder, &reserved, &boot) == 0 && boot == stage_boot_mark(boot_id);
	int r = disk_list(disk, folder, add_segment, &p);
	if (r == -ENOENT)
		r = 0;
	if (r == 0 && into)
		r = disk_mkdir(disk, into);
	if (r == 0 && p.count > 0)
		qsort(p.segments, p.count, sizeof(*p.segments), compare_id);
	if (r == 0 && p.same_boot)
		look_for_missing(&p, reserved);
	for (size_t i = 0; r == 0 && i < p.count; i++)
		r = read_segment(&p, &p.segments[i]);
	disk_close(p.out);
	free(p.segments);
	free(p.bytes);
	return r;
}
