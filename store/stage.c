/* The staging log. Segments stage/XXXXXXXX are appended to under one lock and never synced, but for their headers: a power cut may take the
 * records, whose bytes had no promise to survive it, but must not make a sequence number come twice. So each header states, durably
 * before the segment is used, the highest number that can be in it.
 *
 * States of a segment: current (appended to) -> full (its records are live) -> empty (all released: the file goes).
 * A record is whole or the last one of its segment: appends hold the lock until their bytes are written. */
#include "store/stage.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "base/crc32c.h"
#include "base/lock.h"
#include "base/log.h"

#define STAGE_MAGIC "dios-stg"
#define STAGE_VERSION 1u
#define SEGMENT_SIZE (32u << 20)     /* bytes: a few are in use at a time; the header's sync is spread over many records */

struct segment_header {
	char magic[8];
	uint32_t version, id;
	uint8_t boot_id[16];
	uint64_t first_seq, limit_seq;   /* numbers in this segment are at least the first and below the second */
	uint32_t reserved, crc;          /* over all before it */
};

struct record_header {
	uint32_t crc;                    /* over the rest of the header and the data bytes */
	uint32_t segment;                /* old bytes of a file used again never match */
	uint32_t kind, data_size;
	uint64_t ino, seq, offset, size;
	int64_t time_ns;
};
_Static_assert(sizeof(struct segment_header) == 56 && sizeof(struct record_header) == 56, "formats on disk");

struct segment {
	uint32_t id;
	struct disk_file *file;
	uint32_t end;                    /* where the next record goes */
	uint32_t live;                   /* records not released */
	UT_hash_handle hh;
};

struct stage {
	struct disk *disk;
	char folder[32];
	uint8_t boot_id[16];
	struct lock lock;                /* guards all below */
	struct segment *segments;        /* by id, in ascending order */
	struct segment *current;
	uint32_t next_id;
	uint64_t next_seq;
};

static void segment_path(const struct stage *s, uint32_t id, char path[static 64]) { snprintf(path, 64, "%s/%08" PRIx32, s->folder, id); }

static void segment_close(struct stage *s, struct segment *g)
{
	HASH_DEL(s->segments, g);
	disk_close(g->file);
	free(g);
}

/* An empty segment goes. Its header's limit is not needed: the current one's is higher. */
static void segment_remove(struct stage *s, struct segment *g)
{
	char path[64];
	segment_path(s, g->id, path);
	segment_close(s, g);
	disk_unlink(s->disk, path);   /* a failure leaves a file whose records are skipped by their numbers */
}

static uint32_t header_crc(const struct segment_header *h) { return crc32c(0, h, offsetof(struct segment_header, crc)); }

static int segment_new(struct stage *s)
{
	struct segment_header h = { .magic = STAGE_MAGIC, .version = STAGE_VERSION, .id = s->next_id, .first_seq = s->next_seq };
	memcpy(h.boot_id, s->boot_id, sizeof(h.boot_id));
	h.limit_seq = h.first_seq + SEGMENT_SIZE / sizeof(struct record_header) + 1;
	h.crc = header_crc(&h);
	struct segment *g = calloc(1, sizeof(*g));
	if (!g) return -ENOMEM;
	char path[64];
	segment_path(s, h.id, path);
	g->id = h.id;
	g->end = sizeof(h);
	int r = disk_open(s->disk, path, O_RDWR | O_CREAT | O_TRUNC, &g->file);
	if (r < 0) {
		free(g);
		return r;
	}
	r = disk_pwrite(g->file, &h, sizeof(h), 0);
	if (r == 0) r = disk_sync(g->file);
	if (r == 0) r = disk_sync_dir(s->disk, s->folder);
	if (r < 0) {
		disk_close(g->file);
		disk_unlink(s->disk, path);
		free(g);
		return r;
	}
	HASH_ADD(hh, s->segments, id, sizeof(g->id), g);
	struct segment *full = s->current;
	s->current = g;
	s->next_id++;
	if (full && full->live == 0) segment_remove(s, full);
	return 0;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

struct found { uint32_t *ids; size_t count, capacity; };

static int found_file(void *arg, const char *name)
{
	struct found *f = arg;
	char *end;
	unsigned long id = strtoul(name, &end, 16);
	if (*end || end - name != 8) return 0;
	if (f->count == f->capacity) {
		size_t capacity = f->capacity ? f->capacity * 2 : 16;
		uint32_t *ids = realloc(f->ids, capacity * sizeof(*ids));
		if (!ids) return -ENOMEM;
		f->ids = ids;
		f->capacity = capacity;
	}
	f->ids[f->count++] = (uint32_t)id;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static bool header_good(const struct segment_header *h, uint32_t id)
{
	return memcmp(h->magic, STAGE_MAGIC, sizeof(h->magic)) == 0 && h->version == STAGE_VERSION && h->id == id && h->crc == header_crc(h)
		&& h->limit_seq > h->first_seq;
}

/* Keeps a segment of this boot for stage_replay; *ret_keep is false for one of another, which goes once a new header is durable. */
static int segment_open(struct stage *s, uint32_t id, bool *ret_keep)
{
	char path[64];
	segment_path(s, id, path);
	struct segment_header h;
	struct disk_file *file;
	*ret_keep = false;
	if (id >= s->next_id) s->next_id = id + 1;
	int r = disk_open(s->disk, path, O_RDWR, &file);
	if (r < 0) return r;
	ssize_t n = disk_pread(file, &h, sizeof(h), 0);
	if (n < 0) {
		disk_close(file);
		return (int)n;
	}
	if (n == sizeof(h) && header_good(&h, id)) {
		if (h.limit_seq > s->next_seq) s->next_seq = h.limit_seq;
		*ret_keep = memcmp(h.boot_id, s->boot_id, sizeof(h.boot_id)) == 0;
	} else {
		log_warning("store", "staging segment %s has no valid header: it is discarded", path);
	}
	if (!*ret_keep) {
		disk_close(file);
		return 0;
	}
	struct segment *g = calloc(1, sizeof(*g));
	if (!g) {
		disk_close(file);
		return -ENOMEM;
	}
	*g = (struct segment){ .id = id, .file = file, .end = sizeof(h) };
	HASH_ADD(hh, s->segments, id, sizeof(g->id), g);
	return 0;
}

static int open_segments(struct stage *s, struct found *f)
{
	size_t stale = 0;
	if (f->count) qsort(f->ids, f->count, sizeof(*f->ids), by_id);
	for (size_t i = 0; i < f->count; i++) {
		bool keep;
		int r = segment_open(s, f->ids[i], &keep);
		if (r < 0) return r;
		if (!keep) f->ids[stale++] = f->ids[i];
	}
	int r = segment_new(s);
	for (size_t i = 0; r == 0 && i < stale; i++) {
		char path[64];
		segment_path(s, f->ids[i], path);
		r = disk_unlink(s->disk, path);
	}
	return r;
}

int stage_open(struct disk *disk, const char *folder, const uint8_t boot_id[16], struct stage **ret_stage)
{
	struct stage *s = calloc(1, sizeof(*s));
	if (!s) return -ENOMEM;
	s->disk = disk;
	s->next_id = 1;
	s->next_seq = 1;
	memcpy(s->boot_id, boot_id, sizeof(s->boot_id));
	snprintf(s->folder, sizeof(s->folder), "%s", folder);
	lock_init(&s->lock, "staging log", LOCK_STAGE);
	struct found f = { 0 };
	int r = disk_mkdir(disk, folder);
	if (r == 0) r = disk_list(disk, folder, found_file, &f);
	if (r == 0) r = open_segments(s, &f);
	free(f.ids);
	if (r < 0) {
		stage_close(s);
		return r;
	}
	*ret_stage = s;
	return 0;
}

void stage_close(struct stage *s)
{
	if (!s) return;
	struct segment *g, *next;
	HASH_ITER(hh, s->segments, g, next) {
		if (g->live == 0 && g != s->current) segment_remove(s, g);
		else segment_close(s, g);
	}
	lock_done(&s->lock);
	free(s);
}

/* ---- replay ------------------------------------------------------------------------------------------------------ */

/* Reads and checks the record at `at`. -ENODATA: no whole record is there, the segment ends. */
static int record_read(struct segment *g, uint64_t at, struct record_header *h, uint8_t *data)
{
	ssize_t n = disk_pread(g->file, h, sizeof(*h), at);
	if (n < 0) return (int)n;
	if (n < (ssize_t)sizeof(*h) || h->segment != g->id || h->data_size > STAGE_RECORD_MAX || h->kind < STAGE_DATA || h->kind > STAGE_SIZE) return -ENODATA;
	if ((h->kind == STAGE_DATA) != (h->data_size > 0) || (h->kind == STAGE_DATA && h->size != h->data_size)) return -ENODATA;
	n = h->data_size ? disk_pread(g->file, data, h->data_size, at + sizeof(*h)) : 0;
	if (n < 0) return (int)n;
	if (n < (ssize_t)h->data_size) return -ENODATA;
	uint32_t crc = crc32c(0, &h->segment, sizeof(*h) - sizeof(h->crc));
	return crc32c(crc, data, h->data_size) == h->crc ? 0 : -ENODATA;
}

static int segment_replay(struct segment *g, uint8_t *data, int (*each)(void *, const struct stage_record *), void *arg)
{
	struct record_header h;
	int r;
	while ((r = record_read(g, g->end, &h, data)) == 0) {
		struct stage_record record = { .ino = h.ino, .seq = h.seq, .kind = h.kind, .offset = h.offset, .size = h.size, .time_ns = h.time_ns,
			.place = { .segment = g->id, .offset = g->end + (uint32_t)sizeof(h) } };
		g->end += (uint32_t)sizeof(h) + h.data_size;
		g->live++;
		r = each(arg, &record);
		if (r < 0) return r;
	}
	return r == -ENODATA ? 0 : r;
}

int stage_replay(struct stage *s, int (*each)(void *, const struct stage_record *), void *arg)
{
	uint8_t *data = malloc(STAGE_RECORD_MAX);
	if (!data) return -ENOMEM;
	int r = 0;
	struct segment *g, *next;
	HASH_ITER(hh, s->segments, g, next) {
		if (g == s->current) continue;
		g->live++;   /* kept while its records are handed out, whatever is released meanwhile */
		r = segment_replay(g, data, each, arg);
		if (r < 0) break;
		if (--g->live == 0) segment_remove(s, g);
	}
	free(data);
	return r;
}

/* ---- use --------------------------------------------------------------------------------------------------------- */

int stage_append(struct stage *s, struct stage_record *record, const void *data)
{
	size_t data_size = record->kind == STAGE_DATA ? record->size : 0;
	assert(data_size <= STAGE_RECORD_MAX && (data != NULL) == (data_size > 0));
	struct record_header h = { .kind = record->kind, .data_size = (uint32_t)data_size, .ino = record->ino, .offset = record->offset,
		.size = record->size, .time_ns = record->time_ns };
	LOCK_GUARD(&s->lock);
	if (s->current->end + sizeof(h) + data_size > SEGMENT_SIZE) {
		int r = segment_new(s);
		if (r < 0) return r;
	}
	struct segment *g = s->current;
	h.segment = g->id;
	h.seq = s->next_seq;
	h.crc = crc32c(crc32c(0, &h.segment, sizeof(h) - sizeof(h.crc)), data, data_size);
	struct iovec iov[2] = { { .iov_base = &h, .iov_len = sizeof(h) }, { .iov_base = (void *)(uintptr_t)data, .iov_len = data_size } };
	int r = disk_pwritev(g->file, iov, data_size ? 2 : 1, g->end);
	if (r < 0) return r;
	record->seq = s->next_seq++;
	record->place = (struct stage_place){ .segment = g->id, .offset = g->end + (uint32_t)sizeof(h) };
	g->end += (uint32_t)(sizeof(h) + data_size);
	g->live++;
	return 0;
}

static struct segment *segment_find(struct stage *s, uint32_t id)
{
	struct segment *g;
	HASH_FIND(hh, s->segments, &id, sizeof(id), g);
	return g;
}

int stage_read(struct stage *s, struct stage_place place, uint64_t skip, void *data, size_t size)
{
	lock_acquire(&s->lock);
	struct segment *g = segment_find(s, place.segment);
	struct disk_file *file = g ? g->file : NULL;   /* stays: the caller's record is live */
	lock_release(&s->lock);
	assert(file);
	ssize_t n = disk_pread(file, data, size, place.offset + skip);
	if (n < 0) return (int)n;
	return (size_t)n == size ? 0 : -EIO;
}

void stage_release(struct stage *s, struct stage_place place)
{
	LOCK_GUARD(&s->lock);
	struct segment *g = segment_find(s, place.segment);
	assert(g && g->live > 0);
	if (--g->live == 0 && g != s->current) segment_remove(s, g);
}

uint64_t stage_bytes(struct stage *s)
{
	LOCK_GUARD(&s->lock);
	return (uint64_t)HASH_COUNT(s->segments) * SEGMENT_SIZE;
}
