/* The open table: which entries are free, and the handles behind those in use.
 *
 * Free entries are those below handles_touched that are on the list here, then those above it. The list is this daemon's;
 * it can be made again from the entries. An entry's generation grows when it is freed, so that an old fh finds nothing. */
#include <assert.h>
#include <string.h>

#include "base/counter.h"
#include "fs/handle.h"
#include "fs/magic.h"
#include "fs/passthrough.h"
#include "fs/session.h"
#include "fs/slot.h"
#include "fs/wait.h"

#define CHUNK 4096u                     /* handles' pointers are kept in chunks, so that a small mount needs little memory */

struct handle_table {
	struct fs *fs;
	struct region *region;
	struct lock lock;                                       /* guards free_list, free_count and the making of chunks */
	uint32_t *free_list;
	size_t free_count, free_capacity;
	_Atomic(struct handle *) *_Atomic chunks[HANDLE_COUNT / CHUNK];
};

GAUGE(open_handles, "dios_fs_open_handles", "open files and directories of the mount");

/* The list can hold as many entries as were ever taken, so that giving one back never fails. */
static int table_room(struct handle_table *t)
{
	if (t->free_capacity > t->region->header->handles_touched)
		return 0;
	size_t capacity = t->free_capacity ? t->free_capacity * 2 : 1024;
	uint32_t *list = realloc(t->free_list, capacity * sizeof(*list));
	if (!list)
		return -ENOMEM;
	t->free_list = list;
	t->free_capacity = capacity;
	return 0;
}

int handle_table_new(struct fs *fs, struct region *region, struct handle_table **ret_table)
{
	struct handle_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->fs = fs;
	t->region = region;
	lock_init(&t->lock, "fs.handles", LOCK_SESSION);
	for (uint32_t i = 0; i < region->header->handles_touched; i++) {
		if (t->free_capacity <= i && table_room(t) < 0) {
			handle_table_free(t);
			return -ENOMEM;
		}
		if (region->handles[i].kind == HANDLE_FREE)
			t->free_list[t->free_count++] = i;
	}
	*ret_table = t;
	return 0;
}

static _Atomic(struct handle *) *table_place(struct handle_table *t, uint32_t index)
{
	_Atomic(struct handle *) *chunk = atomic_load_explicit(&t->chunks[index / CHUNK], memory_order_acquire);

	return chunk ? &chunk[index % CHUNK] : NULL;
}

void handle_table_free(struct handle_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < HANDLE_COUNT; i += CHUNK) {
		_Atomic(struct handle *) *chunk = t->chunks[i / CHUNK];
		for (uint32_t j = 0; chunk && j < CHUNK; j++)
			if (chunk[j])
				handle_free(t, chunk[j]);
		free((void *)chunk);
	}
	free(t->free_list);
	lock_done(&t->lock);
	free(t);
}

/* The place for a handle's pointer. The table's lock is held, or nobody else uses it yet. */
static int table_chunk(struct handle_table *t, uint32_t index)
{
	if (t->chunks[index / CHUNK])
		return 0;
	_Atomic(struct handle *) *chunk = calloc(CHUNK, sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	atomic_store_explicit(&t->chunks[index / CHUNK], chunk, memory_order_release);
	return 0;
}

/* Takes a free entry, and makes sure that it has a place for its pointer. The table's lock is held. */
static int table_take(struct handle_table *t, uint32_t *ret_index)
{
	struct region_header *header = t->region->header;
	uint32_t index;

	if (t->free_count > 0) {
		index = t->free_list[--t->free_count];
	} else {
		index = header->handles_touched;
		if (index >= HANDLE_COUNT)
			return -ENFILE;
		header->handles_touched = index + 1;
	}
	if (table_chunk(t, index) < 0) {
		t->free_list[t->free_count++] = index;
		return -ENOMEM;
	}
	*ret_index = index;
	return 0;
}

static struct handle *handle_alloc(struct handle_table *t, uint32_t index)
{
	struct handle *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->fs = t->fs;
	h->entry = &t->region->handles[index];
	h->fh = (uint64_t)h->entry->generation << 32 | index;
	lock_init(&h->lock, "fs.handle", LOCK_SESSION);
	return h;
}

static void entry_free(struct handle_table *t, uint32_t index)
{
	struct handle_entry *e = &t->region->handles[index];

	e->generation++;
	atomic_store_explicit(&e->kind, HANDLE_FREE, memory_order_release);
	lock_acquire(&t->lock);
	assert(t->free_count < t->free_capacity);
	t->free_list[t->free_count++] = index;
	lock_release(&t->lock);
}

static int entry_claim(struct handle_table *t, uint32_t *ret_index)
{
	LOCK_GUARD(&t->lock);
	int r = table_room(t);
	return r < 0 ? r : table_take(t, ret_index);
}

int handle_new(struct handle_table *t, enum handle_kind kind, uint64_t node, uint64_t ino, struct handle **ret_handle)
{
	uint32_t index = 0;
	int r = entry_claim(t, &index);

	if (r < 0)
		return r;
	struct handle *h = handle_alloc(t, index);
	struct handle_entry *e = &t->region->handles[index];
	if (!h) {
		entry_free(t, index);
		return -ENOMEM;
	}
	assert(e->kind == HANDLE_FREE);
	uint32_t generation = e->generation;
	memset((char *)e + sizeof(e->kind), 0, sizeof(*e) - sizeof(e->kind));
	e->generation = generation;
	e->node = node;
	e->ino = ino;
	/* If this daemon dies before the kernel has been told of the handle, it is nobody's. */
	if (request.serving != SLOT_NONE)
		t->region->slots[request.serving].handle = h->fh + 1;
	atomic_store_explicit(&e->kind, kind, memory_order_release);
	atomic_store_explicit(table_place(t, index), h, memory_order_release);
	counter_add(&open_handles, 1);
	*ret_handle = h;
	return 0;
}

int handle_hold(struct handle_table *t, const struct handle *h, uint64_t ino, uint32_t *ret_index)
{
	uint32_t index = 0;
	int r = entry_claim(t, &index);

	if (r < 0)
		return r;
	struct handle_entry *e = &t->region->handles[index];
	e->node = h->fh;
	e->ino = ino;
	if (request.serving != SLOT_NONE)
		t->region->slots[request.serving].handle = ((uint64_t)e->generation << 32 | index) + 1;
	atomic_store_explicit(&e->kind, HANDLE_KEPT, memory_order_release);
	*ret_index = index;
	return 0;
}

void handle_free(struct handle_table *t, struct handle *h)
{
	uint32_t index = (uint32_t)h->fh;

	poll_forget(h);
	atomic_store(table_place(t, index), NULL);
	for (struct handle_attachment *a = h->attachments, *next; a; a = next) {
		next = a->next;
		a->release(a->arg);
		free(a);
	}
	magic_release(h);
	if (h->page_reference)
		reference_close(h->page_reference);
	passthrough_close(h);
	if (h->reference)
		reference_close(h->reference);
	buffer_done(&h->text);
	lock_done(&h->lock);
	free(h);
	entry_free(t, index);
	counter_add(&open_handles, -1);
}

int handle_adopt(struct handle_table *t, uint32_t index, struct handle **ret_handle)
{
	struct handle *h = table_chunk(t, index) < 0 ? NULL : handle_alloc(t, index);

	if (!h)
		return -ENOMEM;
	h->object_kind = (enum object_kind)h->entry->object_kind;
	atomic_store_explicit(table_place(t, index), h, memory_order_release);
	counter_add(&open_handles, 1);
	*ret_handle = h;
	return 0;
}

void handle_drop(struct handle_table *t, uint32_t index) { entry_free(t, index); }

bool handle_each(struct handle_table *t, uint64_t ino, bool (*each)(void *arg, struct handle *h), void *arg)
{
	for (uint32_t i = 0; i < t->region->header->handles_touched; i++) {
		_Atomic(struct handle *) *place = table_place(t, i);
		struct handle *h = place ? *place : NULL;
		if (h && h->entry->kind == HANDLE_OBJECT && h->entry->node == ino && each(arg, h))
			return true;
	}
	return false;
}

struct handle *handle_get(struct handle_table *t, uint64_t fh)
{
	uint32_t index = (uint32_t)fh;

	if (index >= HANDLE_COUNT)
		return NULL;
	_Atomic(struct handle *) *place = table_place(t, index);
	struct handle *h = place ? atomic_load_explicit(place, memory_order_acquire) : NULL;
	return h && h->fh == fh ? h : NULL;
}

int handle_attach(struct handle *h, void (*release)(void *arg), void *arg)
{
	struct handle_attachment *a = malloc(sizeof(*a));

	if (!a)
		return -ENOMEM;
	*a = (struct handle_attachment){ .release = release, .arg = arg };
	lock_acquire(&h->lock);
	a->next = h->attachments;
	h->attachments = a;
	lock_release(&h->lock);
	return 0;
}
