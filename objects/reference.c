/* References: handles with rights on an object, and the file operations through them. Each use checks rights, range and
 * expiry here and nowhere else, so that no path goes around them. */
#include "objects/object.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>

/* ---- life -------------------------------------------------------------------------------------------------------- */

static int reference_register(struct reference *r)
{
	LOCK_GUARD(&r->os->table_lock);
	HASH_ADD(hh, r->os->references, id, REFERENCE_ID_SIZE, r);
	return hash_added(hh, r) ? 0 : -ENOMEM;
}

static int produced_check(const struct object *o, const struct reference_options *options)
{
	if (options->rights & (RIGHT_WRITE | RIGHT_APPEND)) return 0;
	if (o->record.produced == PRODUCED_NOT_YET) return -EAGAIN;
	return o->record.produced == PRODUCED_FAILED ? -EIO : 0;
}

static void errors_mark_seen(struct reference *r, const struct object *o)
{
	r->errors_seen = o->error_count;
	r->sync_errors_seen = o->sync_errors;
}

/* The object is locked and held; its hold passes to the reference. */
int reference_make(struct object *o, const struct reference_options *options, struct reference **ret_reference)
{
	struct reference *r = calloc(1, sizeof(*r));
	if (!r) return -ENOMEM;
	r->os = o->os;
	r->object = o;
	r->options = *options;
	if (r->options.range_length == 0) r->options.range_length = UINT64_MAX;
	errors_mark_seen(r, o);
	atomic_store(&r->count, 1);
	random_fill(cluster_random(o->os->cluster), r->id, sizeof(r->id));
	if (reference_register(r) < 0) {
		free(r);
		return -ENOMEM;
	}
	if (o->opens++ == 0 && !o->is_dirty) lease_want(o, LEASE_EXCLUSIVE);
	if (o->record.kind == KIND_STREAM) stream_opened(o, r);
	*ret_reference = r;
	return 0;
}

/* Opens if the command succeeds. */
int reference_open_after(struct objects *os, uint64_t ino, const struct reference_options *options, struct command *c, struct reference **ret_reference)
{
	struct object *o;
	struct result result;
	int r = object_acquire(os, ino, &o);
	if (r < 0) return r;
	r = produced_check(o, options);
	if (r == 0 && c) r = object_propose(os, o, c, true, &result);
	if (r == 0) r = reference_make(o, options, ret_reference);
	if (r < 0) object_release(o);
	else object_unlock(o);
	return r;
}

int reference_open(struct objects *os, uint64_t ino, const struct reference_options *options, struct reference **ret_reference)
{
	return reference_open_after(os, ino, options, NULL, ret_reference);
}

int reference_restore(struct objects *os, uint64_t ino, const struct reference_options *options, const uint8_t id[REFERENCE_ID_SIZE],
	uint64_t stream_position, struct reference **ret_reference)
{
	struct object *o;
	struct reference *made;
	int r = object_acquire(os, ino, &o);
	if (r < 0) return r;
	r = reference_make(o, options, &made);
	if (r < 0) {
		object_release(o);
		return r;
	}
	lock_acquire(&os->table_lock);
	HASH_DEL(os->references, made);
	memcpy(made->id, id, sizeof(made->id));
	HASH_ADD(hh, os->references, id, REFERENCE_ID_SIZE, made);
	lock_release(&os->table_lock);
	if (stream_position > made->stream_position) made->stream_position = stream_position;
	object_unlock(o);
	*ret_reference = made;
	return 0;
}

struct reference *reference_ref(struct reference *r)
{
	atomic_fetch_add(&r->count, 1);
	return r;
}

/* The last reference of an object without links or name: nobody can reach it any more. */
static void object_last_close(struct object *o)
{
	(void)object_refresh(o);   /* its last link may have gone, or come, by another thread's command */
	if (!o->record.orphan || o->opens > 0) return;
	if (o->is_dirty) blob_dirty_clear(o);
	unsealed_remove(o);
	table_want_reap(o->os, o->ino);
}

void reference_close(struct reference *r)
{
	if (!r || atomic_fetch_sub(&r->count, 1) > 1) return;
	lock_acquire(&r->os->table_lock);
	HASH_DEL(r->os->references, r);
	lock_release(&r->os->table_lock);
	struct object *o = r->object;
	lock_acquire(&o->lock);
	if (--o->opens == 0 && !o->is_dirty) lease_want(o, LEASE_INVALID);
	if (o->record.kind == KIND_STREAM) stream_closed(o, r);
	if (r->passes) in_place_close(o, r);
	object_last_close(o);
	object_release(o);
	free(r);
}

uint64_t reference_ino(const struct reference *r) { return r->object->ino; }
const uint8_t *reference_id(const struct reference *r) { return r->id; }
uint32_t reference_rights(const struct reference *r) { return r->options.rights; }
const struct reference_options *reference_get_options(const struct reference *r) { return &r->options; }
void reference_set_append(struct reference *r, bool append) { r->options.append = append; }
void reference_set_stream_mode(struct reference *r, enum stream_mode mode) { r->options.stream_mode = mode; }

struct reference *reference_find(struct objects *os, const uint8_t id[REFERENCE_ID_SIZE])
{
	LOCK_GUARD(&os->table_lock);
	struct reference *r;
	HASH_FIND(hh, os->references, id, REFERENCE_ID_SIZE, r);
	if (!r) return NULL;
	unsigned count = atomic_load(&r->count);
	do if (count == 0) return NULL; while (!atomic_compare_exchange_weak(&r->count, &count, count + 1));
	return r;
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

int reference_check_right(const struct reference *r, uint32_t right)
{
	if (!(r->options.rights & right)) return -EBADF;
	if (r->options.expiry_ns != 0 && clock_wall_ns(r->os->clock) >= r->options.expiry_ns) return -EACCES;
	return 0;
}

/* Cuts a read to the range; a write must lie within it. */
static int range_limit(const struct reference *r, uint64_t offset, size_t *size)
{
	const struct reference_options *op = &r->options;
	if (op->range_offset == 0 && op->range_length == UINT64_MAX) return 0;
	if (offset < op->range_offset || offset - op->range_offset >= op->range_length) return -EACCES;
	uint64_t left = op->range_length - (offset - op->range_offset);
	if (*size > left) *size = left;
	return 0;
}

static int range_contains(const struct reference *r, uint64_t offset, uint64_t size)
{
	size_t fits = size;
	int e = range_limit(r, offset, &fits);
	return e < 0 ? e : fits == size ? 0 : -EACCES;
}

static int lock_blob(struct reference *r)
{
	int e = object_lock(r->object);
	if (e < 0) return e;
	if (r->object->record.kind == KIND_BLOB) return 0;
	e = r->object->record.kind == KIND_DIRECTORY ? -EISDIR : -EINVAL;
	object_unlock(r->object);
	return e;
}

/* ---- file operations --------------------------------------------------------------------------------------------- */

ssize_t reference_read(struct reference *r, uint64_t offset, void *data, size_t size)
{
	int e = reference_check_right(r, RIGHT_READ | RIGHT_EXECUTE);
	if (e == 0) e = range_limit(r, offset, &size);
	if (e == 0) e = lock_blob(r);
	if (e < 0) return e;
	struct object *o = r->object;
	uint64_t end = blob_size_now(o);
	ssize_t n = 0;
	if (offset < end) {
		if (size > end - offset) size = end - offset;
		e = blob_read_locked(o, offset, data, size);
		n = e < 0 ? e : (ssize_t)size;
	}
	object_unlock(o);
	return n;
}

/* P9: what a program may no longer do goes before its bytes change, by a command of its own: there is hardly ever anything to take away. */
static int kill_privilege(struct object *o)
{
	static const struct slice capability = { (const uint8_t *)"security.capability", 19 };
	uint32_t mode = o->record.mode;
	bool privileged = mode & S_ISUID || (mode & S_ISGID && mode & S_IXGRP);
	if (!privileged && o->record.xattr_list_bytes > 0) {
		_cleanup_buffer_ struct buffer value;
		buffer_init(&value, XATTR_VALUE_MAX);
		privileged = state_get_xattr(cluster_state(o->os->cluster, o->ino), o->ino, capability, &value) != -ENODATA;
	}
	if (!privileged) return 0;
	struct command c = { .kind = COMMAND_SETATTR, .setattr = { .ino = o->ino, .mask = ATTR_KILL_PRIVILEGE } };
	struct result result;
	return object_propose(o->os, o, &c, false, &result);
}

ssize_t reference_write(struct reference *r, uint64_t offset, const void *data, size_t size, bool kills_privilege)
{
	bool append = r->options.append || !(r->options.rights & RIGHT_WRITE);
	int e = reference_check_right(r, RIGHT_WRITE | RIGHT_APPEND);
	if (e == 0) e = lock_blob(r);
	if (e < 0) return e;
	struct object *o = r->object;
	if (append) offset = redo_keep_place(blob_size_now(o));
	e = range_contains(r, offset, size);
	if (e == 0 && kills_privilege && size > 0) e = kill_privilege(o);
	uint64_t errors = o->sync_errors;
	ssize_t n = e < 0 ? e : blob_write_locked(o, offset, data, size);
	if (n < 0 && errors != o->sync_errors) errors_mark_seen(r, o);
	object_unlock(o);
	if (n > 0 && r->options.sync) {
		e = reference_sync(r);
		if (e < 0) n = e;
	}
	return n;
}

/* A failed sync is told once to each handle, and so is a failed background commit that has not succeeded since (R6). */
static int take_error(struct reference *r)
{
	struct object *o = r->object;
	int e = r->sync_errors_seen != o->sync_errors ? -EIO : r->errors_seen != o->error_count ? o->last_error : 0;
	errors_mark_seen(r, o);
	return e;
}

int reference_flush(struct reference *r)
{
	int e = object_lock(r->object);
	if (e < 0) return 0;   /* gone: nothing of it is left to be written */
	e = take_error(r);
	object_unlock(r->object);
	return e;
}

static int log_sync_run(void *arg) { return cluster_sync(arg); }

/* Others go on with the object while the disk works. */
int reference_sync(struct reference *r)
{
	struct object *o = r->object;
	blob_presync(o);
	int e = object_lock(o);
	if (e < 0) return e;
	e = take_error(r);
	o->sync_next = true;
	if (e == 0 && o->is_dirty) e = blob_commit(o, false);
	o->sync_next = false;
	/* What is in place has its head synced, and beside it what the log says of it. Neither needs the other first: a head that no record
	 * knows is nobody's, and a record without its bytes has not been acknowledged. */
	struct cluster *cluster = r->os->cluster;
	struct aside_job log;
	bool in_place = e == 0 && o->record.in_place;
	aside_begin(in_place && cluster_sync_due(cluster) ? r->os->store->aside : NULL, &log, log_sync_run, cluster);
	if (in_place) e = in_place_sync(o);
	if (e < 0) errors_mark_seen(r, o);
	object_unlock(o);
	int log_error = aside_end(r->os->store->aside, &log);
	return e < 0 ? e : log_error;
}

int reference_allocate(struct reference *r, int mode, uint64_t offset, uint64_t size)
{
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	int what = mode & ~FALLOC_FL_KEEP_SIZE;
	if (what != 0 && what != FALLOC_FL_PUNCH_HOLE && what != FALLOC_FL_ZERO_RANGE) return -EOPNOTSUPP;
	if (what == FALLOC_FL_PUNCH_HOLE && !keep) return -EOPNOTSUPP;
	if (size == 0) return -EINVAL;
	int e = reference_check_right(r, RIGHT_WRITE);
	if (e == 0) e = range_contains(r, offset, size);
	if (e == 0) e = lock_blob(r);
	if (e < 0) return e;
	struct object *o = r->object;
	if (offset > BLOB_SIZE_MAX || size > BLOB_SIZE_MAX - offset) e = -EFBIG;
	else if (what != FALLOC_FL_PUNCH_HOLE && !store_has_room(r->os->store, size)) e = -ENOSPC;
	else if ((e = in_place_enter(o)) < 0) {}
	else if (o->record.in_place) e = in_place_allocate(o, mode, offset, size);
	else if (what != 0) e = blob_zero(o, offset, size, keep);
	else if (!keep && offset + size > blob_size_now(o)) e = blob_resize(o, offset + size);
	object_unlock(o);
	return e;
}

/* ---- SEEK_DATA, SEEK_HOLE ---------------------------------------------------------------------------------------- */

/* The first block at or after `block` that is present, or is a hole. What is not there is not walked over: a blob may be a hole of
 * tebibytes. */
static int next_present(struct object *o, uint64_t block, uint64_t blocks, bool want, uint64_t *ret_block)
{
	struct state *state = cluster_state(o->os->cluster, o->ino);
	struct state_crcs crcs;
	uint64_t mib;
	for (; block < blocks; block = (mib + 1) * CRC_BLOCKS) {
		int e = state_find_crcs(state, o->ino, block / CRC_BLOCKS, &mib, &crcs);
		if (e < 0 && e != -ENOENT) return e;
		if (e == -ENOENT || mib > block / CRC_BLOCKS) {
			if (!want) break;
			if (e == -ENOENT) mib = UINT64_MAX / CRC_BLOCKS - 1;
			block = mib * CRC_BLOCKS;
			if (block >= blocks) break;
		}
		unsigned i = block % CRC_BLOCKS;
		while (i < CRC_BLOCKS && (crcs.present[i / 8] >> (i % 8) & 1) != want) i++;
		if (i == CRC_BLOCKS) continue;
		block = mib * CRC_BLOCKS + i;
		break;
	}
	*ret_block = block < blocks ? block : blocks;
	return 0;
}

static int seek_locked(struct object *o, uint64_t offset, bool hole, uint64_t *ret_offset)
{
	int e = blob_commit(o, false);
	if (e < 0) return e;
	uint64_t size = o->record.size, block, blocks = (size + BLOCK_SIZE - 1) / BLOCK_SIZE;
	if (offset >= size) return -ENXIO;
	if (o->record.place == PLACE_INLINE) {
		*ret_offset = hole ? size : offset;
		return 0;
	}
	e = next_present(o, offset / BLOCK_SIZE, blocks, !hole, &block);
	if (e < 0) return e;
	if (block == blocks) {
		if (!hole) return -ENXIO;
		*ret_offset = size;
		return 0;
	}
	uint64_t found = block * BLOCK_SIZE;
	*ret_offset = found > offset ? found : offset;
	return 0;
}

int reference_seek(struct reference *r, uint64_t offset, bool hole, uint64_t *ret_offset)
{
	int e = reference_check_right(r, RIGHT_READ | RIGHT_WRITE);
	if (e == 0) e = lock_blob(r);
	if (e < 0) return e;
	e = r->object->record.in_place ? in_place_seek(r->object, offset, hole, ret_offset) : seek_locked(r->object, offset, hole, ret_offset);
	object_unlock(r->object);
	return e;
}

/* ---- the calls with versions ------------------------------------------------------------------------------------- */

static int acquire(struct reference *r, bool base, uint64_t *ret_version)
{
	int e = reference_check_right(r, RIGHT_READ | RIGHT_WRITE | RIGHT_APPEND);
	if (e == 0) e = lock_blob(r);
	if (e < 0) return e;
	struct object *o = r->object;
	if (o->record.produced == PRODUCED_NOT_YET && !(r->options.rights & (RIGHT_WRITE | RIGHT_APPEND))) e = -EAGAIN;
	else e = seal_try(o);
	if (e == -EAGAIN && o->record.in_place) e = base ? -EBUSY : 0;
	if (e == 0) e = blob_commit(o, false);
	if (e == 0) *ret_version = o->record.version;
	object_unlock(o);
	return e;
}

int reference_acquire(struct reference *r, uint64_t *ret_version) { return acquire(r, false, ret_version); }
int reference_acquire_base(struct reference *r, uint64_t *ret_version) { return acquire(r, true, ret_version); }

int reference_check(struct reference *r, uint64_t version)
{
	int e = object_lock(r->object);
	if (e < 0) return e == -ENOENT ? -ESTALE : e;
	struct object *o = r->object;
	e = o->record.version == version && !o->is_dirty && !o->record.in_place ? 0 : -ESTALE;
	object_unlock(o);
	return e;
}

int reference_commit(struct reference *r, uint64_t base_version, uint32_t flags, uint64_t offset, const void *data, size_t size, uint64_t *ret_version)
{
	if (flags & ~(uint32_t)(COMMIT_FORCE | COMMIT_APPEND | COMMIT_RELAXED | COMMIT_TRUNCATE)) return -EINVAL;
	if ((flags & COMMIT_APPEND) && (flags & COMMIT_TRUNCATE)) return -EINVAL;
	int e = reference_check_right(r, (flags & COMMIT_APPEND) ? RIGHT_WRITE | RIGHT_APPEND : RIGHT_WRITE);
	if (e == 0 && (flags & COMMIT_TRUNCATE) && r->options.range_length != UINT64_MAX) e = -EACCES;
	if (e == 0) e = lock_blob(r);
	if (e < 0) return e;
	struct object *o = r->object;
	struct result result;
	e = object_redone(r->os, o, &result);
	if (e != 0) {
		if (e > 0) *ret_version = result.record.version;
		e = e < 0 ? e : flags & COMMIT_RELAXED ? 0 : cluster_sync(r->os->cluster);
		if (r->os->options.invalidate) r->os->options.invalidate(r->os->options.invalidate_arg, o->ino, true);
		object_unlock(o);
		return e;
	}
	bool check = !(flags & (COMMIT_FORCE | COMMIT_APPEND));
	e = range_contains(r, (flags & COMMIT_APPEND) ? blob_size_now(o) : offset, size);
	if (e == 0) e = blob_publish(o, check, base_version, flags, offset, data, size, !(flags & COMMIT_RELAXED));
	if (e == 0) *ret_version = o->record.version;
	/* Before anybody can be told the new version: who is told it reads no page that is older. */
	if (e == 0 && r->os->options.invalidate) r->os->options.invalidate(r->os->options.invalidate_arg, o->ino, true);
	object_unlock(o);
	return e;
}

int reference_ready(struct reference *r, uint64_t position, uint64_t version, uint32_t *ret_events)
{
	struct object *o = r->object;
	int e = object_lock(o);
	if (e < 0) return e;
	uint32_t events = 0;
	if (o->record.produced == PRODUCED_FAILED) events |= READY_ERROR | READY_PRODUCED;
	else if (o->record.produced == PRODUCED_YES) events |= READY_PRODUCED;
	if (o->record.version != version || o->is_dirty || o->record.in_place) events |= READY_CHANGED;
	switch (o->record.kind) {
	case KIND_STREAM:
		events |= stream_ready(o, position);
		break;
	case KIND_TASK:
		if (o->record.task.state >= TASK_EXITED) events |= READY_END | READY_READ;
		break;
	default:
		if (events & READY_PRODUCED) events |= READY_READ;
		events |= READY_WRITE;
	}
	object_unlock(o);
	*ret_events = events;
	return 0;
}
