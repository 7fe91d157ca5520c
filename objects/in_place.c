/* Blobs that are written in place: their heads, behind everybody's back, by whoever opened them for that (passthrough), and through here.
 *
 * States of a blob with a head, as its record says; seal.c has the way back:
 *
 *   sealed    bytes, size and checksums are the state's; the head changes only by absorbing and by tails past the size
 *   in place  (the dirty mark) size, times and bytes are the head's own. Nothing of it is uncommitted, staged or in a row, nothing of
 *             it goes through the log, and it has no version. It is in the list of unsealed ones.
 *
 * Order of becoming in place (R9): what is uncommitted is committed, rows and trims are absorbed, the head synced and checked, and what it holds that is
 * not the blob's is taken away, synced -> the mark is durable -> the first write is let in. Only what had no head, or is born so, need not
 * wait: a power cut brings back what it was before.
 *
 * The kernel's writes are not seen here: that there were some shows in the head's size and mtime. A mtime younger than a tick of the
 * kernel's clock proves nothing, since the next write may leave it as it is. */
#include "objects/object.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include "base/fault.h"
#include "base/log.h"
#include "cluster/redo.h"

#define TICK_NS (50 * NS_PER_MS)      /* of the clock that files' times are taken from, with room to spare */

/* ---- the list of unsealed blobs ------------------------------------------------------------------------------------ */

static void unsealed_add(struct object *o)
{
	struct objects *os = o->os;
	LOCK_GUARD(&os->table_lock);
	if (o->in_unsealed_list) return;
	o->in_unsealed_list = true;
	o->unsealed_due_ns = clock_boot_ns(os->clock) + UNSEALED_LOOK_NS;   /* many are idle by then, and sealed without a sync of their own */
	o->holders++;
	os->unsealed_count++;
	o->unsealed_prev = os->unsealed.unsealed_prev;
	o->unsealed_next = &os->unsealed;
	o->unsealed_prev->unsealed_next = o->unsealed_next->unsealed_prev = o;
}

void unsealed_remove(struct object *o)
{
	struct objects *os = o->os;
	LOCK_GUARD(&os->table_lock);
	if (!o->in_unsealed_list) return;
	o->in_unsealed_list = false;
	os->unsealed_count--;
	o->unsealed_prev->unsealed_next = o->unsealed_next;
	o->unsealed_next->unsealed_prev = o->unsealed_prev;
	assert(o->holders > 1);   /* the caller has one of its own */
	o->holders--;
}

/* ---- the head's own facts ------------------------------------------------------------------------------------------ */

/* -ENOENT: nobody has written anything yet. */
static int head_facts(struct object *o, struct disk_stat *ret_stat)
{
	struct heads *heads = o->os->store->heads;
	struct head *head;
	int r = o->headless ? -ENOENT : head_get(heads, o->ino, false, &head);
	o->headless = r == -ENOENT;
	if (r < 0) return r;
	r = disk_stat(head_file(head), ret_stat);
	head_put(heads, head);
	return r;
}

int in_place_refresh(struct object *o)
{
	struct disk_stat st;
	int r = head_facts(o, &st);
	if (!o->record.orphan || o->opens > 0) unsealed_add(o);   /* what only waits to be freed is held by nobody */
	if (r < 0 && r != -ENOENT) return r;
	o->record.size = r == 0 ? st.size : 0;
	o->record.blocks = r == 0 ? st.blocks : 0;
	quota_note_in_place(o);
	if (r < 0 || st.mtime_ns == o->record.mtime_ns) return 0;   /* as somebody set it */
	o->record.mtime_ns = st.mtime_ns;
	if (o->record.ctime_ns < st.mtime_ns) o->record.ctime_ns = st.mtime_ns;
	return 0;
}

static bool is_synced(const struct object *o, const struct disk_stat *now)
{
	return o->synced_ns - o->synced.mtime_ns > TICK_NS && now->mtime_ns == o->synced.mtime_ns && now->size == o->synced.size;
}

int in_place_sync(struct object *o)
{
	struct heads *heads = o->os->store->heads;
	int64_t now = clock_wall_ns(o->os->clock);
	struct disk_stat st;
	struct head *head;
	int r = head_get(heads, o->ino, false, &head);
	if (r < 0) return r == -ENOENT ? 0 : r;
	r = disk_stat(head_file(head), &st);
	if (r == 0 && !is_synced(o, &st)) {
		bool doubtful = head_doubtful(heads, head);
		lock_release(&o->lock);
		r = head_sync(heads, head);
		lock_acquire(&o->lock);
		int e = object_refresh(o);
		if (r < 0 && !doubtful) {
			/* There is no other copy: it stays doubtful, each fsync says so, and it is not sealed. */
			log_error("objects", "sync of a head that is written in place failed ino=%llu error=%d: what was written lately may be lost; copy the file",
				(unsigned long long)o->ino, -r);
			blob_count_failed_sync(o, r);
		}
		if (r == 0) {
			o->synced = st;
			o->synced_ns = now;
			r = e;
		}
	}
	head_put(heads, head);
	return r;
}

/* ---- becoming ------------------------------------------------------------------------------------------------------ */

/* The content moves from the record to a head, which is not part of anything before the mark says so. */
static int fill_head(struct object *o, struct head *head)
{
	struct heads *heads = o->os->store->heads;
	size_t size = o->record.size;
	if (size == 0) return 0;
	_cleanup_free_ uint8_t *content = malloc(size);
	int r = content ? blob_read_committed(o, 0, content, size) : -ENOMEM;
	if (r == 0) r = disk_pwrite(head_file(head), content, size, 0);
	return r < 0 ? r : head_sync(heads, head);
}

static int prepare_inline(struct object *o, bool empty)
{
	struct heads *heads = o->os->store->heads;
	struct head *head;
	int r = o->record.size == 0 || empty ? head_settle_names(heads, o->ino) : 0;   /* else it is synced with its bytes */
	if (r == 0) r = blob_head_reset(o);
	if (r == 0) r = head_get(heads, o->ino, false, &head);
	if (r < 0) return r;
	if (!empty) r = fill_head(o, head);
	if (r == 0) r = disk_set_mtime(head_file(head), o->record.mtime_ns);
	head_put(heads, head);
	return r;
}

static int prepare_head(struct object *o)
{
	struct heads *heads = o->os->store->heads;
	struct head *head;
	int r = blob_absorb(o);
	if (r == 0 && blob_unabsorbed(o)) r = -EIO;
	if (r == 0) r = head_verify(o, true);
	if (r == 0) r = head_get(heads, o->ino, false, &head);
	if (r < 0) return r;
	struct disk_stat st = { 0 };
	r = disk_set_mtime(head_file(head), o->record.mtime_ns);
	if (r == 0) r = disk_stat(head_file(head), &st);
	head_put(heads, head);
	o->sealed_mtime_ns = st.mtime_ns;
	return r;
}

int in_place_begin(struct object *o, bool empty)
{
	struct objects *os = o->os;
	if (o->record.in_place) return 0;
	if (!store_has_room(os->store, 0)) return -ENOSPC;
	int r = blob_commit(o, false);
	if (r < 0) return r;
	bool sealed = o->record.place == PLACE_HEAD;
	r = sealed ? prepare_head(o) : prepare_inline(o, empty);
	struct command c = { .kind = COMMAND_UNSEAL, .unseal = { .ino = o->ino } };
	struct result result;
	bool proposed = r == 0;
	if (r == 0) r = object_propose(os, o, &c, sealed, &result);
	/* One whose outcome is not known may be the blob's by now. */
	if (r < 0 && !sealed && !(proposed && r == -EIO)) head_remove(os->store->heads, o->ino);
	if (r < 0) return r;
	o->maybe_unchanged = sealed && o->sealed_mtime_ns + NS_PER_SECOND < clock_wall_ns(os->clock);
	o->headless = false;
	o->synced_ns = 0;
	o->idle_since_ns = clock_boot_ns(os->clock);
	return 0;
}

int in_place_enter(struct object *o) { return o->passes > 0 ? in_place_begin(o, false) : 0; }

/* ---- content ------------------------------------------------------------------------------------------------------- */

static int get_head(struct object *o, struct head **ret_head)
{
	o->headless = false;
	return head_get(o->os->store->heads, o->ino, true, ret_head);
}

static int done(struct object *o, struct head *head, int r)
{
	head_put(o->os->store->heads, head);
	o->change++;
	o->changed = true;
	int e = in_place_refresh(o);
	return r < 0 ? r : e;
}

int in_place_read(struct object *o, uint64_t offset, void *data, size_t size)
{
	struct heads *heads = o->os->store->heads;
	struct head *head;
	int r = head_get(heads, o->ino, false, &head);
	if (r < 0) return r == -ENOENT ? 0 : r;   /* the caller has zeroed data */
	ssize_t n = disk_pread(head_file(head), data, size, offset);
	head_put(heads, head);
	return n < 0 ? (int)n : 0;
}

ssize_t in_place_write(struct object *o, uint64_t offset, const void *data, size_t size)
{
	struct head *head;
	int r = quota_admit_in_place(o, offset, size);
	if (r == 0) r = get_head(o, &head);
	if (r < 0) return r;
	r = done(o, head, disk_pwrite(head_file(head), data, size, offset));
	return r < 0 ? r : (ssize_t)size;
}

int in_place_resize(struct object *o, uint64_t size)
{
	struct head *head;
	int r = get_head(o, &head);
	return r < 0 ? r : done(o, head, disk_truncate(head_file(head), size));
}

int in_place_allocate(struct object *o, int mode, uint64_t offset, uint64_t size)
{
	bool keep = mode & FALLOC_FL_KEEP_SIZE, punch = mode & ~FALLOC_FL_KEEP_SIZE;
	uint64_t end = offset + size;
	struct head *head;
	int r = punch ? 0 : quota_admit_in_place(o, offset, size);
	if (r == 0) r = get_head(o, &head);
	if (r < 0) return r;
	struct disk_file *file = head_file(head);
	r = punch ? 0 : disk_allocate(file, offset, size);
	if (r == -EOPNOTSUPP) r = 0;   /* there is room, as far as can be told */
	if (r == 0 && !keep && end > o->record.size) r = disk_truncate(file, end);
	if (keep && end > o->record.size) end = o->record.size;
	if (r == 0 && punch && offset < end) r = disk_punch(file, offset, end - offset);
	return done(o, head, r);
}

int in_place_seek(struct object *o, uint64_t offset, bool hole, uint64_t *ret_offset)
{
	struct heads *heads = o->os->store->heads;
	struct head *head;
	int r = head_get(heads, o->ino, false, &head);
	if (r < 0) return r == -ENOENT ? -ENXIO : r;
	r = disk_seek(head_file(head), offset, hole, ret_offset);
	head_put(heads, head);
	return r;
}

int in_place_set_mtime(struct object *o, int64_t mtime_ns)
{
	struct head *head;
	o->maybe_unchanged = false;   /* it would look like the sealed one's */
	int r = get_head(o, &head);
	return r < 0 ? r : done(o, head, disk_set_mtime(head_file(head), mtime_ns));
}

/* ---- clone --------------------------------------------------------------------------------------------------------- */

static int clone_small(struct object *from, struct object *to)
{
	size_t size = from->record.size;
	_cleanup_free_ uint8_t *content = malloc(size ? size : 1);
	if (!content) return -ENOMEM;
	int r = blob_read_committed(from, 0, content, size);
	if (r < 0) return r;
	if (!to->record.in_place) return blob_publish(to, false, 0, COMMIT_TRUNCATE, 0, content, size, false);
	ssize_t n = in_place_write(to, 0, content, size);
	return n < 0 ? (int)n : 0;
}

/* The bytes are on the disk before the mark makes them the blob's, which was empty (R1). */
static int clone_head(struct object *from, struct object *to)
{
	struct heads *heads = from->os->store->heads;
	struct head *source, *target;
	int r = from->record.in_place ? 0 : blob_absorb(from);
	if (r == 0 && !from->record.in_place) r = head_verify(from, true);
	if (r == 0 && !to->record.in_place) r = blob_head_reset(to);
	if (r == 0) r = head_get(heads, from->ino, true, &source);
	if (r < 0) return r;
	r = get_head(to, &target);
	if (r == 0) {
		r = disk_clone(head_file(source), head_file(target));
		if (r == 0 && !to->record.in_place) r = head_sync(heads, target);
		head_put(heads, target);
	}
	head_put(heads, source);
	if (r == 0 && !to->record.in_place) {
		struct command c = { .kind = COMMAND_UNSEAL, .unseal = { .ino = to->ino } };
		struct result result;
		redo_put_place(CLONE_MARKED, 0);
		r = object_propose(to->os, to, &c, false, &result);
		if (r == 0) fault_point("clone.in_place");
	}
	to->change++;
	to->changed = true;
	int e = to->record.in_place ? in_place_refresh(to) : 0;
	return r < 0 ? r : e;
}

int in_place_clone(struct object *from, struct object *to)
{
	if (to->record.size != 0 || (to->record.place != PLACE_INLINE && !to->record.in_place) || to->is_dirty) return -EINVAL;
	return from->record.size <= from->os->options.inline_max ? clone_small(from, to) : clone_head(from, to);
}

/* ---- who goes past us ---------------------------------------------------------------------------------------------- */

static int pass_read(struct object *o)
{
	if (o->record.in_place) return 0;
	int r = blob_commit(o, false);
	if (r == 0 && o->record.place != PLACE_HEAD) r = -EOPNOTSUPP;
	if (r == 0) r = blob_absorb(o);
	return r < 0 ? r : head_verify(o, false);
}

static int pass_locked(struct reference *r, bool write, bool empty, int *ret_fd)
{
	struct object *o = r->object;
	struct heads *heads = o->os->store->heads;
	if (o->record.kind != KIND_BLOB || o->record.produced != PRODUCED_YES || r->passes) return -EOPNOTSUPP;
	/* Nobody could refuse what it writes. */
	if (write && o->passes == 0 && !quota_has_room(o->os, BLOCK_SIZE)) return -EOPNOTSUPP;
	if (write && !o->record.in_place && !store_has_room(o->os->store, PASS_ROOM)) return -ENOSPC;
	int e = write ? in_place_begin(o, empty) : pass_read(o);
	if (e < 0) return e;
	if (ret_fd) {
		int fd = o->headless ? -ENOENT : head_open_fd(heads, o->ino, false);
		o->headless = false;
		if (fd == -ENOENT) {
			fd = head_open_fd(heads, o->ino, true);
			atomic_store(&o->os->head_made_ns, clock_boot_ns(o->os->clock));
		}
		if (fd < 0) return fd;
		*ret_fd = fd;
	} else if (write) {
		struct head *head;
		e = get_head(o, &head);
		if (e < 0) return e;
		head_put(heads, head);
	}
	r->passes = true;
	r->pass_writes = write;
	o->passes++;
	o->pass_writers += write;
	o->change++;
	return 0;
}

int reference_pass(struct reference *r, bool write, bool empty, int *ret_fd)
{
	int e = object_lock(r->object);
	if (e < 0) return e;
	e = pass_locked(r, write, empty, ret_fd);
	object_unlock(r->object);
	return e;
}

void reference_unpass(struct reference *r)
{
	struct object *o = r->object;
	LOCK_GUARD(&o->lock);
	if (r->passes) in_place_close(o, r);
	r->passes = r->pass_writes = false;
}

bool reference_passes(const struct reference *r) { return r->passes; }

void in_place_close(struct object *o, struct reference *r)
{
	o->passes--;
	o->pass_writers -= r->pass_writes;
	o->change++;
	o->idle_since_ns = clock_boot_ns(o->os->clock);
}
