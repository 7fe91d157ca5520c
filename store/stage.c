/* The staging log. Segments stage/XXXXXXXX are appended to under one lock and never synced: a power cut may take the records,
 * whose bytes had no promise to survive it. What it must not do is make a sequence number come twice, so each start first
 * reserves numbers, durably, in stage/numbers.
 *
 * States of a segment: current (appended to) -> full (has live records) -> unused (all released: its header is wiped, and its
 * file is kept for a new life under a new id, or deleted if there are enough).
 *
 * Segments with live records, and the current one, are named in stage/live (stage_live.c).
 *
 * A record is whole or the last one of its segment: appends hold the lock until their bytes are written. Checksums are
 * salted with a random number that only the segment's header has, so that old bytes of a file used again never parse, not
 * even those that a user made to look like a record. */
#include "store/segment_name.h"
#include "store/stage.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/hash.h"

#include "base/crc32c.h"
#include "base/fault.h"
#include "base/grow.h"
#include "base/lock.h"
#include "base/log.h"
#include "store/stage_live.h"
#include "store/stage_numbers.h"
#include "store/why.h"

#define SEGMENT_SIZE (8u << 20)        /* bytes: what a start after a kill reads through, for the few records that nobody has committed */
#define UNUSED_MAX 8                   /* files kept for reuse: warm in the cache, and no creates when it matters */
#define NUMBERS_A_START (1ull << 40)   /* sequence numbers reserved by each start: more than a life can use */

struct segment {
	uint32_t id;                     /* of this life */
	uint32_t number;                 /* of the file */
	uint64_t salt;
	struct disk_file *file;
	uint32_t end;                    /* where the next record goes */
	uint32_t live;                   /* records not released */
	UT_hash_handle hh;
};

struct unused_file { uint32_t number; struct disk_file *file; };

struct stage {
	struct disk *disk;
	char folder[32];
	uint8_t boot_id[16];
	struct lock lock;                /* guards all below */
	struct segment *segments;        /* by id, in ascending order */
	struct segment *current;
	struct unused_file unused[UNUSED_MAX];
	size_t unused_count;
	uint32_t next_id, next_number;
	uint64_t next_seq, reserved_seq; /* numbers below reserved_seq may be used */
	struct disk_file *live_file;     /* stage/live */
	struct stage_live live;          /* as it was written last */
	bool same_boot;                  /* the last start was in this boot: no power cut since, so nothing is lost or torn by one */
};

static void file_path(const struct stage *s, uint32_t number, char path[static 64])
{
	snprintf(path, 64, "%s/%08" PRIx32, s->folder, number);
}

static int segment_wipe(struct disk_file *file)
{
	static const uint8_t zeros[STAGE_HEADER_SIZE];

	return disk_pwrite(file, zeros, sizeof(zeros), 0);
}

/* All segments but `without` (NULL: all). Before the first record of one, and before one is wiped or deleted. */
static int live_write(struct stage *s, const struct segment *without)
{
	struct stage_live *live = &s->live;
	struct segment *g, *next;

	live->start = s->reserved_seq;
	live->count = 0;
	HASH_ITER(hh, s->segments, g, next) {
		if (g == without)
			continue;
		if (live->count < STAGE_LIVE_MAX)
			live->ids[live->count] = g->id;
		if (live->count <= STAGE_LIVE_MAX)
			live->count++;
	}
	return stage_live_write(s->live_file, live);
}

/* Takes the file. */
static void keep_or_delete(struct stage *s, struct disk_file *file, uint32_t number)
{
	char path[64];

	if (s->unused_count < UNUSED_MAX && segment_wipe(file) == 0) {
		s->unused[s->unused_count++] = (struct unused_file){ number, file };
		return;
	}
	disk_close(file);
	file_path(s, number, path);
	disk_unlink(s->disk, path);   /* a failure leaves a file whose records are skipped by their numbers */
}

static void segment_retire(struct stage *s, struct segment *g)
{
	int r = live_write(s, g);

	HASH_DEL(s->segments, g);
	if (r == 0)
		keep_or_delete(s, g->file, g->number);
	else
		disk_close(g->file);   /* the list names it: it stays until the next start, which finds nothing new in it */
	free(g);
}

/* The last one that became unused: its pages are the warmest. */
static int take_file(struct stage *s, struct segment *g)
{
	char path[64];

	if (s->unused_count > 0) {
		struct unused_file *u = &s->unused[--s->unused_count];
		g->number = u->number;
		g->file = u->file;
		return 0;
	}
	g->number = s->next_number;
	file_path(s, g->number, path);
	int r = disk_open(s->disk, path, O_RDWR | O_CREAT | O_EXCL, &g->file);
	if (r == 0)
		s->next_number++;
	return r;
}

static int segment_new(struct stage *s)
{
	uint8_t bytes[STAGE_HEADER_SIZE];
	struct segment *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	int r = take_file(s, g);
	if (r < 0) {
		free(g);
		return r;
	}
	struct stage_header h = { .id = s->next_id, .size = SEGMENT_SIZE, .salt = random_u64(s->disk->random), .owner = s->disk->owner };
	memcpy(h.boot_id, s->boot_id, sizeof(h.boot_id));
	stage_header_encode(&h, bytes);
	r = disk_truncate(g->file, SEGMENT_SIZE);   /* so that a file that is cut short is known */
	if (r == 0)
		r = disk_pwrite(g->file, bytes, sizeof(bytes), 0);
	if (r < 0) {
		keep_or_delete(s, g->file, g->number);
		free(g);
		return r;
	}
	g->id = s->next_id++;
	g->salt = h.salt;
	g->end = STAGE_HEADER_SIZE;
	HASH_ADD(hh, s->segments, id, sizeof(g->id), g);
	if (!hash_added(hh, g)) {
		keep_or_delete(s, g->file, g->number);
		free(g);
		return -ENOMEM;
	}
	r = live_write(s, NULL);
	if (r < 0) {
		HASH_DEL(s->segments, g);
		disk_close(g->file);   /* a list may name it that was written all the same */
		free(g);
		return r;
	}
	struct segment *full = s->current;
	s->current = g;
	if (full && full->live == 0)
		segment_retire(s, full);
	return 0;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

struct found { uint32_t id, number; uint64_t salt; struct disk_file *file; };
struct opening { struct stage *stage; uint32_t *numbers; size_t count, capacity; };

static int add_number(void *arg, const char *name)
{
	struct opening *o = arg;
	uint32_t number;

	if (!segment_name_parse(name, "", &number))
		return 0;
	uint32_t *grown = grow(o->numbers, &o->capacity, o->count, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	o->numbers = grown;
	o->numbers[o->count++] = number;
	if (number >= o->stage->next_number)
		o->stage->next_number = number + 1;
	return 0;
}

/* What the file holds; id 0 if it is nothing of this boot. */
static int file_open(struct stage *s, uint32_t number, struct found *ret_found)
{
	uint8_t bytes[STAGE_HEADER_SIZE] = { 0 };
	struct stage_header h = { 0 };
	struct disk_file *file;
	char path[64];

	file_path(s, number, path);
	int r = disk_open(s->disk, path, O_RDWR, &file);
	if (r < 0)
		return r;
	ssize_t n = disk_pread(file, bytes, sizeof(bytes), 0);
	if (n >= 0)
		r = stage_header_decode(bytes, &h);
	if (n < 0 || r == -ENOTSUP) {
		disk_close(file);
		return n < 0 ? (int)n : r;
	}
	bool ours = r == 0 && memcmp(h.boot_id, s->boot_id, sizeof(h.boot_id)) == 0;
	uint64_t size = 0;
	if (ours && (disk_size(file, &size) < 0 || size < h.size)) {
		disk_close(file);
		store_why_set("%s: the file is cut short, and what was written into it before the daemon ended is in no object yet", path);
		return -EBADMSG;
	}
	/* A file that was only just made is empty. Bytes that a power cut left had no promise. */
	if (r == -EBADMSG && s->same_boot && n > 0) {
		disk_close(file);
		store_why_set("%s: the header of this segment is damaged, and what was written into it before the daemon ended is in no object yet", path);
		return -EBADMSG;
	}
	if (ours && h.owner != 0 && s->disk->owner != 0 && h.owner != s->disk->owner) {
		disk_close(file);
		store_why_set("%s: this segment belongs to another data directory", path);
		return -EBADMSG;
	}
	if (r == -EBADMSG)
		log_warning("store", "a staging segment has no valid header, it is discarded path=%s", path);
	*ret_found = (struct found){ .id = ours ? h.id : 0, .number = number, .salt = h.salt, .file = file };
	return 0;
}

static int compare_id(const void *a, const void *b)
{
	uint32_t x = ((const struct found *)a)->id, y = ((const struct found *)b)->id;

	return (x > y) - (x < y);
}

static int adopt(struct stage *s, const struct found *f)
{
	struct segment *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	*g = (struct segment){ .id = f->id, .number = f->number, .salt = f->salt, .file = f->file, .end = STAGE_HEADER_SIZE };
	HASH_ADD(hh, s->segments, id, sizeof(g->id), g);
	if (!hash_added(hh, g)) {
		free(g);
		return -ENOMEM;
	}
	if (f->id >= s->next_id)
		s->next_id = f->id + 1;
	return 0;
}

/* Not written to: on a file system without a journal a power cut can bring back the name of a deleted segment, with the inode of a newer file. */
static void delete_old(struct stage *s, const struct found *f)
{
	char path[64];

	disk_close(f->file);
	file_path(s, f->number, path);
	disk_unlink(s->disk, path);   /* a failure leaves a file that the next start finds */
}

/* Sorted by id. */
static int check_live(struct stage *s, const struct found *found, size_t count)
{
	struct stage_live *live = &s->live;

	if (!s->same_boot || stage_live_read(s->disk, s->folder, s->next_seq - 1, live) < 0 || live->count > STAGE_LIVE_MAX)
		return 0;
	for (uint32_t i = 0; i < live->count; i++) {
		struct found wanted = { .id = live->ids[i] };
		if (count > 0 && bsearch(&wanted, found, count, sizeof(*found), compare_id))
			continue;
		store_why_set("%s: a segment is missing, and what was written into it before the daemon ended is in no object yet", s->folder);
		return -EBADMSG;
	}
	return 0;
}

/* Segments of this boot wait for stage_replay, in the order of their lives; other files are deleted. */
static int open_files(struct stage *s, const struct opening *o)
{
	struct found *found = calloc(o->count + 1, sizeof(*found));
	size_t count = 0, taken = 0;
	int r = found ? 0 : -ENOMEM;

	while (r == 0 && count < o->count) {
		r = file_open(s, o->numbers[count], &found[count]);
		count += r == 0;
	}
	if (r == 0 && count > 0)
		qsort(found, count, sizeof(*found), compare_id);
	if (r == 0)
		r = check_live(s, found, count);
	for (; r == 0 && taken < count; taken++) {
		if (found[taken].id == 0)
			delete_old(s, &found[taken]);
		else
			r = adopt(s, &found[taken]);
		if (r < 0)
			break;
	}
	for (; found && taken < count; taken++)
		disk_close(found[taken].file);
	free(found);
	return r;
}

/* Segments without the file of numbers: it was lost or removed. */
static int read_numbers(struct stage *s, bool has_segments)
{
	uint64_t used = 0, boot = 0;
	int r = stage_read_numbers(s->disk, s->folder, &used, &boot);

	if (r == -ENOENT)
		r = has_segments ? -EBADMSG : 0;
	if (r == -EBADMSG) {
		log_error("store", "the numbers of the staging log are damaged or missing path=%s/numbers", s->folder);
		store_why_set("%s/numbers: it is damaged or missing; it says which numbers of staged writes have been used", s->folder);
	}
	if (r < 0)
		return r;
	s->same_boot = boot == stage_boot_mark(s->boot_id);
	s->next_seq = used + 1;
	return 0;
}

int stage_open(struct disk *disk, const char *folder, const uint8_t boot_id[16], struct stage **ret_stage)
{
	struct stage *s = calloc(1, sizeof(*s));
	struct opening o = { .stage = s };

	if (!s)
		return -ENOMEM;
	s->disk = disk;
	s->next_id = 1;
	memcpy(s->boot_id, boot_id, sizeof(s->boot_id));
	snprintf(s->folder, sizeof(s->folder), "%s", folder);
	lock_init(&s->lock, "staging log", LOCK_STAGE);
	int r = disk_mkdir(disk, folder);
	if (r == 0)
		r = disk_list(disk, folder, add_number, &o);
	if (r == 0)
		r = read_numbers(s, o.count > 0);
	if (r == 0)
		r = open_files(s, &o);
	s->reserved_seq = s->next_seq + NUMBERS_A_START;   /* each start takes a run of numbers for itself alone */
	if (r == 0)
		r = stage_write_numbers(disk, folder, s->reserved_seq, stage_boot_mark(boot_id));
	if (r == 0)
		r = stage_live_open(disk, folder, &s->live_file);
	if (r == 0)
		r = segment_new(s);
	free(o.numbers);
	if (r < 0) {
		stage_close(s);
		return r;
	}
	*ret_stage = s;
	return 0;
}

void stage_close(struct stage *s)
{
	struct segment *g, *next;

	if (!s)
		return;
	/* Of this life, and nothing in it is needed: the next start has nothing to read through. The others wait for a replay. */
	if (s->current && s->current->live == 0 && live_write(s, s->current) == 0)
		segment_wipe(s->current->file);
	HASH_ITER(hh, s->segments, g, next) {
		HASH_DEL(s->segments, g);
		disk_close(g->file);
		free(g);
	}
	for (size_t i = 0; i < s->unused_count; i++)
		disk_close(s->unused[i].file);
	disk_close(s->live_file);
	lock_done(&s->lock);
	free(s);
}

/* ---- replay ------------------------------------------------------------------------------------------------------ */

/* Reads and checks the record at `at`. -ENODATA: no whole record is there, the segment ends. */
static int record_read(const struct segment *g, uint64_t at, struct stage_record *ret_record, uint8_t *data)
{
	uint8_t bytes[STAGE_RECORD_SIZE];
	uint32_t data_size, data_crc;
	ssize_t n = disk_pread(g->file, bytes, sizeof(bytes), at);

	if (n < 0)
		return (int)n;
	if (n < (ssize_t)sizeof(bytes) || stage_record_decode(bytes, g->id, g->salt, ret_record, &data_size, &data_crc) < 0)
		return -ENODATA;
	n = data_size ? disk_pread(g->file, data, data_size, at + sizeof(bytes)) : 0;
	if (n < 0)
		return (int)n;
	if (n < (ssize_t)data_size || crc32c(0, data, data_size) != data_crc)
		return -ENODATA;
	ret_record->place = (struct stage_place){ .segment = g->id, .offset = (uint32_t)(at + sizeof(bytes)) };
	return 0;
}

/* Records behind the one that cannot be read: then it is no unfinished last one, but damaged. */
static int seek_more(const struct stage *s, const struct segment *g, uint8_t *data)
{
	enum { STEP = STAGE_RECORD_MAX };
	uint32_t size, crc;
	struct stage_record record;
	char path[64];
	ssize_t n;

	for (uint64_t at = g->end + 1; (n = disk_pread(g->file, data, STEP, at)) >= STAGE_RECORD_SIZE; at += STEP - STAGE_RECORD_SIZE) {
		for (size_t i = 0; i + STAGE_RECORD_SIZE <= (size_t)n; i++) {
			i += stage_skip_zeros(data + i, (size_t)n - i);
			if (i + STAGE_RECORD_SIZE > (size_t)n)
				break;
			if (stage_record_decode(data + i, g->id, g->salt, &record, &size, &crc) < 0)
				continue;
			file_path(s, g->number, path);
			store_why_set("%s: the record at byte %u is damaged, and others follow it that are in no object yet", path, g->end);
			return -EBADMSG;
		}
		if ((size_t)n < STEP)
			break;
	}
	return n < 0 ? (int)n : 0;
}

static int segment_replay(const struct stage *s, struct segment *g, uint8_t *data, int (*each)(void *, const struct stage_record *), void *arg)
{
	struct stage_record record;
	int r;

	while ((r = record_read(g, g->end, &record, data)) == 0) {
		g->end += STAGE_RECORD_SIZE + (record.kind == STAGE_DATA ? (uint32_t)record.size : 0);
		g->live++;
		r = each(arg, &record);
		if (r < 0)
			return r;
	}
	return r == -ENODATA ? seek_more(s, g, data) : r;
}

int stage_replay(struct stage *s, int (*each)(void *, const struct stage_record *), void *arg)
{
	uint8_t *data = malloc(STAGE_RECORD_MAX);
	struct segment *g, *next;
	int r = 0;

	if (!data)
		return -ENOMEM;
	HASH_ITER(hh, s->segments, g, next) {
		if (g == s->current)
			continue;
		g->live++;   /* kept while its records are handed out, whatever is released meanwhile */
		r = segment_replay(s, g, data, each, arg);
		if (r < 0)
			break;
		if (--g->live == 0)
			segment_retire(s, g);
	}
	free(data);
	return r;
}

/* ---- use --------------------------------------------------------------------------------------------------------- */

/* The current segment, with room. lock held. */
static int segment_for(struct stage *s, size_t data_size, struct segment **ret_segment)
{
	int r = 0;

	if (s->next_seq >= s->reserved_seq)
		return -EOVERFLOW;
	if (STAGE_RECORD_SIZE + data_size > SEGMENT_SIZE - s->current->end)
		r = segment_new(s);
	*ret_segment = s->current;
	return r;
}

int stage_append(struct stage *s, struct stage_record *record, const void *data)
{
	static const uint8_t zeros[STAGE_RECORD_SIZE];
	size_t data_size = record->kind == STAGE_DATA ? record->size : 0;
	uint8_t bytes[STAGE_RECORD_SIZE];
	struct segment *g;

	assert(data_size <= STAGE_RECORD_MAX && (data != NULL) == (data_size > 0));
	uint32_t data_crc = crc32c(0, data, data_size);   /* not under the lock: it takes as long as the write */
	LOCK_GUARD(&s->lock);
	int r = segment_for(s, data_size, &g);
	if (r == 0)
		r = fault_point("stage.append");
	if (r < 0)
		return r;
	record->seq = s->next_seq;
	stage_record_encode(record, g->id, g->salt, (uint32_t)data_size, data_crc, bytes);
	struct iovec iov[2] = { { .iov_base = bytes, .iov_len = sizeof(bytes) }, { .iov_base = (void *)(uintptr_t)data, .iov_len = data_size } };
	r = disk_pwritev(g->file, iov, data_size ? 2 : 1, g->end);
	if (r < 0) {
		/* Were old bytes behind the header the very same, it would be a record. */
		(void)disk_pwrite(g->file, zeros, sizeof(zeros), g->end);
		return r;
	}
	s->next_seq++;
	record->place = (struct stage_place){ .segment = g->id, .offset = g->end + STAGE_RECORD_SIZE };
	g->end += (uint32_t)(STAGE_RECORD_SIZE + data_size);
	g->live++;
	return 0;
}

static struct segment *segment_find(struct stage *s, uint32_t id)
{
	struct segment *g;

	HASH_FIND(hh, s->segments, &id, sizeof(id), g);
	return g;
}

/* The whole record is read, whatever part is wanted: only so its checksum says that the bytes are what was handed over. */
static int read_checked(const struct segment *g, struct stage_place place, uint64_t skip, uint8_t *data, size_t size)
{
	uint8_t bytes[STAGE_RECORD_SIZE];
	struct stage_record record;
	uint32_t whole, crc;
	ssize_t n = disk_pread(g->file, bytes, sizeof(bytes), place.offset - STAGE_RECORD_SIZE);

	if (n < 0)
		return (int)n;
	if (n != sizeof(bytes) || stage_record_decode(bytes, g->id, g->salt, &record, &whole, &crc) < 0 || skip + size > whole)
		return -EIO;
	_cleanup_free_ uint8_t *all = size < whole ? malloc(whole) : NULL;
	uint8_t *into = size < whole ? all : data;
	if (!into)
		return -ENOMEM;
	n = disk_pread(g->file, into, whole, place.offset);
	if (n < 0)
		return (int)n;
	if ((size_t)n != whole || crc32c(0, into, whole) != crc)
		return -EIO;
	if (into != data)
		memcpy(data, into + skip, size);
	return 0;
}

int stage_read(struct stage *s, struct stage_place place, uint64_t skip, void *data, size_t size)
{
	lock_acquire(&s->lock);
	struct segment *g = segment_find(s, place.segment);   /* stays: the caller's record is live */
	lock_release(&s->lock);
	assert(g);
	if (size == 0)
		return 0;
	int r = read_checked(g, place, skip, data, size);
	if (r == -EIO)
		log_error("store", "a staged write cannot be read as it was handed over segment=%08" PRIx32 " offset=%" PRIu32, g->number, place.offset);
	return r;
}

void stage_release(struct stage *s, struct stage_place place)
{
	LOCK_GUARD(&s->lock);
	struct segment *g = segment_find(s, place.segment);

	assert(g && g->live > 0);
	if (--g->live == 0 && g != s->current)
		segment_retire(s, g);
}

uint64_t stage_bytes(struct stage *s)
{
	LOCK_GUARD(&s->lock);
	return (uint64_t)HASH_COUNT(s->segments) * SEGMENT_SIZE;
}
