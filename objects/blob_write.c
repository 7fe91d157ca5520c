/* Taking bytes in: where an uncommitted write goes, so that it survives the daemon from the moment write() returns.
 *
 *   below tail_base                      -> staging log
 *   at or past it, few in all            -> staging log (they will travel as rows or inline bytes in one command)
 *   at or past it, many                  -> the head, at their final place (tail), the range noted in the staging log, its checksums kept;
 *                                           each byte once: what overwrites the tail is staged
 *
 * An inline blob that outgrows inline_max moves first: its whole content becomes a tail from 0 of a head that nothing refers to yet.
 * Before the first tail byte of a blob whose committed content was cut lately, what the head still holds past the cut is removed, after the
 * cut itself is durable: otherwise a power cut could bring the old size back with new bytes under it. */
#include "objects/object.h"

#include <assert.h>
#include <string.h>
#include "base/crc32c.h"
#include "base/log.h"
#include "store/why.h"

uint64_t blob_tail_base(const struct object *o)
{
	if (o->moving && o->record.place == PLACE_INLINE) return 0;
	return o->record.place == PLACE_HEAD ? o->record.size : UINT64_MAX;
}

void blob_dirty_clear(struct object *o)
{
	extents_clear(&o->dirty);
	tail_clear(&o->tail);
	o->tail_unknown = false;
	for (size_t i = 0; i < o->note_count; i++) stage_release(o->os->store->stage, o->notes[i]);
	o->note_count = 0;
	o->staged_bytes = o->tail_bytes = 0;
	o->moving = o->publishing = false;
	o->committed_blocks = 0;
	o->unknown_version = 0;
	quota_settle(o);
	table_clear_dirty(o);
}

/* Before anything changes: the dirty state starts from the committed one. */
void blob_dirty_begin(struct object *o)
{
	if (o->is_dirty) return;
	o->size_now = o->record.size;
	o->mtime_now_ns = o->record.mtime_ns;
	table_mark_dirty(o);
}

static void dirty_note(struct object *o, uint64_t end, uint64_t seq)
{
	if (end > o->size_now) o->size_now = end;
	o->mtime_now_ns = clock_wall_ns(o->os->clock);
	if (seq > o->stage_seq) o->stage_seq = seq;
	o->change++;
	o->changed = true;
}

static int note_keep(struct object *o, struct stage_place place)
{
	if (o->note_count == o->note_capacity) {
		size_t capacity = o->note_capacity ? o->note_capacity * 2 : 8;
		struct stage_place *notes = realloc(o->notes, capacity * sizeof(*notes));
		if (!notes) return -ENOMEM;
		o->notes = notes;
		o->note_capacity = capacity;
	}
	o->notes[o->note_count++] = place;
	return 0;
}

static struct stage_record stage_record_of(struct object *o, enum stage_kind kind, uint64_t offset, uint64_t size)
{
	return (struct stage_record){ .ino = o->ino, .kind = kind, .offset = offset, .size = size, .time_ns = clock_wall_ns(o->os->clock) };
}

static int note_record(struct object *o, enum stage_kind kind, uint64_t offset, uint64_t size, uint32_t crc)
{
	struct stage_record record = stage_record_of(o, kind, offset, size);
	record.crc = crc;
	int r = stage_append(o->os->store->stage, &record, NULL);
	if (r < 0) return r;
	r = note_keep(o, record.place);
	if (r < 0) {
		stage_release(o->os->store->stage, record.place);
		return r;
	}
	dirty_note(o, kind == STAGE_SIZE ? offset : offset + size, record.seq);
	return 0;
}

int blob_note(struct object *o, enum stage_kind kind, uint64_t offset, uint64_t size) { return note_record(o, kind, offset, size, 0); }

/* *ret_done: bytes that were taken, also on failure. */
static int write_staged(struct object *o, uint64_t offset, const uint8_t *data, size_t size, size_t *ret_done)
{
	while (size > 0) {
		size_t piece = size < STAGE_RECORD_MAX ? size : STAGE_RECORD_MAX;
		struct stage_record record = stage_record_of(o, STAGE_DATA, offset, piece);
		int r = stage_append(o->os->store->stage, &record, data);
		if (r < 0) return r;
		r = extents_put(&o->dirty, EXTENT_STAGED, offset, piece, record.place);
		if (r < 0) {
			stage_release(o->os->store->stage, record.place);
			return r;
		}
		dirty_note(o, offset + piece, record.seq);
		o->staged_bytes += piece;
		*ret_done += piece;
		offset += piece;
		data += piece;
		size -= piece;
	}
	return 0;
}

static int note_tail(struct object *o, uint64_t offset, const void *data, size_t size)
{
	int r = 0;
	o->tail_writes++;
	if (size == 0) return 0;
	if (o->publishing) dirty_note(o, offset + size, 0);
	else r = note_record(o, STAGE_TAIL, offset, size, crc32c(0, data, size));
	if (r == 0) r = extents_put(&o->dirty, EXTENT_TAIL, offset, size, (struct stage_place){ 0 });
	if (r == 0 && tail_put(&o->tail, offset, data, size) < 0) o->tail_unknown = true;
	return r;
}

int blob_write_tail(struct object *o, uint64_t offset, const void *data, size_t size)
{
	assert(offset >= blob_tail_base(o));
	if (o->tail_bytes == 0 && !o->moving && o->record.trims > 0) {
		int r = blob_absorb(o);
		if (r < 0) return r;
	}
	struct heads *heads = o->os->store->heads;
	struct head *head;
	o->head_clean = o->head_exact = false;   /* the tail may never be part of it */
	int r = seal_before_tail(o);
	if (r == 0) r = head_get(heads, o->ino, true, &head);
	if (r < 0) return r;
	r = disk_pwrite(head_file(head), data, size, offset);
	head_put(heads, head);
	if (r < 0) return r;
	r = note_tail(o, offset, data, size);
	if (r == 0) o->tail_bytes += size;
	return r;
}

int blob_head_reset(struct object *o)
{
	struct heads *heads = o->os->store->heads;
	struct head *head;
	o->head_clean = o->head_exact = o->head_bad = o->headless = false;
	int r = seal_leftover(o);
	if (r == 0) r = head_get(heads, o->ino, true, &head);
	if (r < 0) return r;
	r = disk_truncate(head_file(head), 0);
	head_put(heads, head);
	return r;
}

int blob_move_to_head(struct object *o)
{
	assert(o->record.place == PLACE_INLINE && !o->moving && o->is_dirty);
	uint64_t size = o->size_now;
	/* Inline content and what is staged are small; past them a growing size is a hole. */
	uint64_t end = o->record.size;
	if (o->dirty.count > 0) {
		const struct extent *last = &o->dirty.items[o->dirty.count - 1];
		if (last->offset + last->size > end) end = last->offset + last->size;
	}
	if (end > size) end = size;
	_cleanup_free_ uint8_t *content = malloc(end ? end : 1);
	if (!content) return -ENOMEM;
	int r = blob_read_locked(o, 0, content, end);
	if (r < 0) return r;
	r = blob_head_reset(o);
	if (r < 0) return r;
	struct heads *heads = o->os->store->heads;
	struct head *head;
	r = head_get(heads, o->ino, true, &head);
	if (r < 0) return r;
	if (end > 0) r = disk_pwrite(head_file(head), content, end, 0);
	head_put(heads, head);
	if (r < 0) return r;
	tail_clear(&o->tail);
	r = note_tail(o, 0, content, end);
	if (r < 0) return r;
	o->moving = true;
	o->staged_bytes = 0;
	o->tail_bytes = end;
	o->size_now = size;
	return 0;
}

static int make_room(struct object *o, uint64_t end)
{
	struct objects *os = o->os;
	if (end > BLOB_SIZE_MAX) return -EFBIG;
	if (o->staged_bytes + o->tail_bytes > 0) {
		bool much = o->staged_bytes >= os->options.dirty_max_bytes || o->tail_bytes >= TAIL_BYTES_MAX
			|| o->dirty.count >= 4096 || stage_bytes(os->store->stage) >= os->options.stage_max_bytes;
		if (much) {
			int r = blob_commit(o, false);
			if (r < 0) return r;
		}
	}
	return 0;
}

/* A byte of the tail is written once: what comes over it is staged. */
static int write_past_base(struct object *o, uint64_t offset, const uint8_t *data, size_t size, size_t *ret_done)
{
	int r = blob_learn_tail(o);
	while (r == 0 && size > 0) {
		const struct tail_run *run = tail_find(&o->tail, offset);
		bool over = run && run->offset <= offset;
		uint64_t bound = !run ? size : over ? run->offset + run->size - offset : run->offset - offset;
		size_t piece = size < bound ? size : (size_t)bound;
		if (over) {
			r = write_staged(o, offset, data, piece, ret_done);
		} else {
			r = blob_write_tail(o, offset, data, piece);
			*ret_done += r == 0 ? piece : 0;
		}
		offset += piece;
		data += piece;
		size -= piece;
	}
	return r;
}

static int write_pieces(struct object *o, uint64_t offset, const uint8_t *data, size_t size, size_t *ret_done)
{
	uint64_t end = offset + size, base = blob_tail_base(o);
	uint32_t inline_max = o->os->options.inline_max;
	if (base == UINT64_MAX && (end > inline_max || o->size_now > inline_max)) {
		int r = blob_move_to_head(o);
		if (r < 0) return r;
		base = 0;
	}
	uint64_t staged_size = offset < base ? (end < base ? size : base - offset) : 0;
	/* Few bytes past the end travel in the command: one sync instead of two. */
	bool few = !o->moving && o->tail_bytes == 0 && o->staged_bytes + size <= inline_max;
	if (few) staged_size = size;
	if (staged_size > 0) {
		int r = write_staged(o, offset, data, staged_size, ret_done);
		if (r < 0) return r;
	}
	return staged_size < size ? write_past_base(o, offset + staged_size, data + staged_size, size - staged_size, ret_done) : 0;
}

ssize_t blob_write_locked(struct object *o, uint64_t offset, const void *data, size_t size)
{
	if (size == 0) return 0;
	if (offset > BLOB_SIZE_MAX || size > BLOB_SIZE_MAX - offset) return -EFBIG;
	if (!store_has_room(o->os->store, size)) return -ENOSPC;
	int r = in_place_enter(o);
	if (r < 0) return r;
	if (o->record.in_place) return in_place_write(o, offset, data, size);
	r = make_room(o, offset + size);
	if (r == 0) r = quota_admit(o, offset, size);
	if (r < 0) return r;
	blob_dirty_begin(o);
	if (o->committed_blocks > offset / BLOCK_SIZE) o->committed_blocks = offset / BLOCK_SIZE;
	size_t done = 0;
	r = write_pieces(o, offset, data, size, &done);
	if (o->dirty.count == 0 && o->size_now == o->record.size) blob_dirty_clear(o);
	return done > 0 ? (ssize_t)done : r;
}

/* ---- at start: what an earlier daemon of this boot had taken in and not committed ---------------------------------- */

/* What was handed over is still there: a byte of the tail is written once. */
static int tail_is_whole(struct object *o, const struct stage_record *record)
{
	struct head *head;
	_cleanup_free_ uint8_t *bytes = malloc(STAGE_RECORD_MAX);
	if (!bytes) return -ENOMEM;
	int r = head_get(o->os->store->heads, o->ino, false, &head);
	if (r < 0 && r != -ENOENT) return r;
	uint64_t at = 0;
	uint32_t crc = 0;
	for (ssize_t n = 0; r == 0 && at < record->size; at += (uint64_t)n) {
		size_t want = record->size - at < STAGE_RECORD_MAX ? (size_t)(record->size - at) : STAGE_RECORD_MAX;
		n = disk_pread(head_file(head), bytes, want, record->offset + at);
		if (n < 0) r = (int)n;
		if (n <= 0) break;
		crc = crc32c(crc, bytes, (size_t)n);
	}
	if (r == 0) head_put(o->os->store->heads, head);
	if (r < 0 && r != -ENOENT) return r;
	if (r == 0 && at == record->size && (record->crc == 0 || crc == record->crc)) return 0;
	store_why_set("the head of inode %llu is damaged or missing at bytes %llu to %llu, which were written before the daemon ended and are in no object yet",
		(unsigned long long)o->ino, (unsigned long long)record->offset, (unsigned long long)(record->offset + record->size));
	return -EBADMSG;
}

static int replay_extent(struct object *o, const struct stage_record *record)
{
	enum extent_kind kind = record->kind == STAGE_DATA ? EXTENT_STAGED : record->kind == STAGE_TAIL ? EXTENT_TAIL : EXTENT_HOLE;
	if (record->kind == STAGE_TAIL) {
		int r = tail_is_whole(o, record);
		if (r < 0) return r;
		if (o->record.place == PLACE_INLINE && !o->moving) {
			/* The blob was moving: the first tail record covers all the content it had. */
			extents_clear(&o->dirty);
			o->staged_bytes = 0;
			o->moving = true;
		}
		o->tail_bytes += record->size;
		o->tail_writes++;
		o->tail_unknown = true;
	}
	int r = extents_put(&o->dirty, kind, record->offset, record->size, record->place);
	if (r < 0) return r;
	if (kind == EXTENT_STAGED) o->staged_bytes += record->size;
	else r = note_keep(o, record->place);
	return r;
}

int blob_replay(struct objects *os, const struct stage_record *record)
{
	struct object *o;
	int r = object_acquire(os, record->ino, &o);
	if (r == -ENOENT || (r == 0 && (o->record.kind != KIND_BLOB || o->record.in_place || record->seq <= o->record.stage_seq))) {
		if (r == 0) object_release(o);
		stage_release(os->store->stage, record->place);
		return 0;
	}
	if (r < 0) return r;
	blob_dirty_begin(o);
	o->dirty_since_ns = 0;   /* nobody knows how long it has waited: it is due */
	r = record->kind == STAGE_SIZE ? note_keep(o, record->place) : replay_extent(o, record);
	if (r == 0 && record->kind != STAGE_SIZE) quota_note_replayed(o, record->offset, record->size);
	if (r == 0) {
		uint64_t end = record->kind == STAGE_SIZE ? record->offset : record->offset + record->size;
		if (end > o->size_now) o->size_now = end;
		o->mtime_now_ns = record->time_ns;
		if (record->seq > o->stage_seq) o->stage_seq = record->seq;
		o->change++;
	}
	object_release(o);
	return r;
}
