/* See slot.h. A free slot's length is 0; one lock guards the list of the free ones, the rest of a slot belongs to whoever serves its request. */
#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "fs/slot.h"

#define ANSWER_COPIED_MAX 4096u     /* bytes: larger answers to requests that changed nothing are not kept: they are read again */

struct slots {
	struct fs *fs;
	struct lock lock;               /* guards the list */
	uint32_t free_count;
	uint32_t free_slots[SLOT_COUNT];
	bool present[SLOT_COUNT];       /* its pages are in memory */
};

_Thread_local struct request request = { .serving = SLOT_NONE };

int slots_new(struct fs *fs, struct slots **ret_slots)
{
	struct slots *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->fs = fs;
	lock_init(&s->lock, "fs.slots", LOCK_LEAF);
	for (uint32_t i = SLOT_COUNT; i-- > 0; )
		if (fs->region->slots[i].state == SLOT_FREE)
			s->free_slots[s->free_count++] = i;
	*ret_slots = s;
	return 0;
}

void slots_free(struct slots *s)
{
	if (!s)
		return;
	lock_done(&s->lock);
	free(s);
}

struct fuse_in_header *slot_header(const struct fs *fs, uint32_t slot) { return region_slot(fs->region, slot); }

/* A process that is killed while the kernel copies a request to it gets all of it, unless a page is missing: then the kernel would fail
 * the program's call with EIO, and leave half a request here. */
static void slot_populate(struct slots *s, uint32_t slot)
{
	volatile uint8_t *bytes = region_slot(s->fs->region, slot);

	if (s->present[slot])
		return;
	s->present[slot] = true;
#ifdef MADV_POPULATE_WRITE
	if (madvise((void *)((uintptr_t)bytes & ~(uintptr_t)4095), SLOT_SIZE, MADV_POPULATE_WRITE) == 0)
		return;
#endif
	for (size_t i = 0; i < SLOT_SIZE; i += 4096)
		bytes[i] = bytes[i];
}

int slot_get(struct slots *s, uint32_t *ret_slot)
{
	lock_acquire(&s->lock);
	bool found = s->free_count > 0;
	if (found) {
		*ret_slot = s->free_slots[--s->free_count];
		atomic_store(&s->fs->region->slots[*ret_slot].state, SLOT_USED);
	}
	lock_release(&s->lock);
	if (!found)
		return -ENOBUFS;
	slot_populate(s, *ret_slot);
	return 0;
}

void slot_clear(struct slots *s, uint32_t slot)
{
	struct slot_entry *e = &s->fs->region->slots[slot];

	/* First: a length of 0 says that nothing else means anything. */
	atomic_store_explicit((_Atomic uint32_t *)&slot_header(s->fs, slot)->len, 0, memory_order_release);
	cluster_redo_forget(objects_cluster(s->fs->objects), &e->redo);
	e->flags = 0;
	e->unique = 0;
	e->attempts = 0;
	e->handle = 0;
	atomic_store_explicit(&e->answer_size, 0, memory_order_release);
}

void slot_put(struct slots *s, uint32_t slot)
{
	slot_clear(s, slot);
	LOCK_GUARD(&s->lock);
	atomic_store(&s->fs->region->slots[slot].state, SLOT_FREE);
	s->free_slots[s->free_count++] = slot;
}

void slot_keep_answer(struct fs *fs, uint32_t slot, const struct iovec *iov, int count)
{
	uint8_t *at = region_answer(fs->region, slot);
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	const struct redo *redo = &fs->region->slots[slot].redo;
	bool wanted = size <= ANSWER_COPIED_MAX || redo->placed || redo->numbers[0];
	if (!wanted || size > SLOT_ANSWER_SIZE)
		return;
	for (int i = 0; i < count; at += iov[i].iov_len, i++)
		memcpy(at, iov[i].iov_base, iov[i].iov_len);
	atomic_store_explicit(&fs->region->slots[slot].answer_size, (uint32_t)size, memory_order_release);
}

void slot_interrupted(struct fs *fs, uint64_t unique)
{
	for (uint32_t i = 0; i < SLOT_COUNT; i++) {
		struct slot_entry *e = &fs->region->slots[i];
		if (e->state == SLOT_USED && e->unique == unique)
			atomic_fetch_or(&e->flags, SLOT_INTERRUPTED);
	}
}

/* ---- the request that this thread serves ---- */

struct slot_ref request_take_slot(void)
{
	struct slot_ref ref = { 0 };
	uint32_t next;

	if (!request.worker || request.slot_taken || slot_get(request.fs->slots, &next) < 0)
		return ref;
	ref = (struct slot_ref){ .index = request.slot, .taken = true };
	request.fs->region->slots[ref.index].attempts = 0;      /* it waits, and harms nobody */
	request.slot = next;
	request.slot_taken = true;
	return ref;
}

void request_resume(struct fs *fs, struct slot_ref slot)
{
	if (!slot.taken)
		return;
	request.fs = fs;
	request.serving = slot.index;
	redo_enter(&fs->region->slots[slot.index].redo);
}

uint64_t request_unique(void) { return request.serving == SLOT_NONE ? 0 : slot_header(request.fs, request.serving)->unique; }

uint64_t request_poll_handle(void)
{
	const struct fuse_in_header *in = request.serving == SLOT_NONE ? NULL : slot_header(request.fs, request.serving);

	return in && in->opcode == FUSE_POLL ? ((const struct fuse_poll_in *)(const void *)(in + 1))->kh : 0;
}

void request_suspend(struct fs *fs, struct slot_ref slot, bool anew)
{
	if (slot.taken && anew)
		cluster_redo_forget(objects_cluster(fs->objects), &fs->region->slots[slot.index].redo);
	request.serving = SLOT_NONE;
	redo_leave();
}

void slot_release(struct fs *fs, struct slot_ref slot)
{
	if (slot.taken)
		slot_put(fs->slots, slot.index);
}

void *request_record_buffer(size_t size)
{
	return request.serving == SLOT_NONE || size > SLOT_RECORD_SIZE ? request_scratch(size) : region_record(request.fs->region, request.serving);
}
