/* The uncommitted ranges of one blob. An array: a commit bounds how many there are (see object.h), and neighbours of one kind that continue
 * each other are one extent, so that sequential writing keeps one. */
#include "objects/extents.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"

void extents_init(struct extents *e, void (*release)(void *, struct stage_place), void *arg)
{
	*e = (struct extents){ .release = release, .arg = arg };
}

static void extent_drop(struct extents *e, struct extent *x)
{
	if (x->kind != EXTENT_STAGED) return;
	assert(x->staged->pieces > 0);
	if (--x->staged->pieces > 0) return;
	if (e->release) e->release(e->arg, x->staged->place);
	free(x->staged);
}

void extents_clear(struct extents *e)
{
	for (size_t i = 0; i < e->count; i++) extent_drop(e, &e->items[i]);
	e->count = 0;
}

void extents_done(struct extents *e)
{
	extents_clear(e);
	free(e->items);
	e->items = NULL;
	e->capacity = 0;
}

/* Index of the first extent that ends after offset. */
static size_t extents_index(const struct extents *e, uint64_t offset)
{
	size_t low = 0, high = e->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (e->items[middle].offset + e->items[middle].size <= offset) low = middle + 1;
		else high = middle;
	}
	return low;
}

const struct extent *extents_find(const struct extents *e, uint64_t offset)
{
	size_t i = extents_index(e, offset);
	return i < e->count ? &e->items[i] : NULL;
}

static int extents_grow(struct extents *e, size_t more)
{
	if (e->count + more <= e->capacity) return 0;
	size_t capacity = e->capacity ? e->capacity * 2 : 8;
	while (capacity < e->count + more) capacity *= 2;
	struct extent *items = realloc(e->items, capacity * sizeof(*items));
	if (!items) return -ENOMEM;
	e->items = items;
	e->capacity = capacity;
	return 0;
}

static void extent_cut_front(struct extent *x, uint64_t offset)
{
	uint64_t cut = offset - x->offset;
	x->offset += cut;
	x->size -= cut;
	if (x->kind == EXTENT_STAGED) x->skip += cut;
}

/* Makes [offset, end) free and returns the index where an extent for it belongs. Room for two more is there already. */
static size_t extents_carve(struct extents *e, uint64_t offset, uint64_t end)
{
	size_t i = extents_index(e, offset);
	if (i == e->count) return i;
	struct extent *x = &e->items[i];
	if (x->offset < offset) {
		if (x->offset + x->size > end) {        /* the middle of one: it becomes two */
			memmove(x + 1, x, (e->count - i) * sizeof(*x));
			e->count++;
			if (x->kind == EXTENT_STAGED) x->staged->pieces++;
			x[0].size = offset - x->offset;
			extent_cut_front(&x[1], end);
			return i + 1;
		}
		x->size = offset - x->offset;
		i++;
	}
	size_t last = i;
	while (last < e->count && e->items[last].offset + e->items[last].size <= end) extent_drop(e, &e->items[last++]);
	if (last < e->count && e->items[last].offset < end) extent_cut_front(&e->items[last], end);
	memmove(&e->items[i], &e->items[last], (e->count - last) * sizeof(*e->items));
	e->count -= last - i;
	return i;
}

int extents_put(struct extents *e, enum extent_kind kind, uint64_t offset, uint64_t size, struct stage_place place)
{
	assert(size > 0 && offset + size > offset);
	struct staged *staged = NULL;
	if (kind == EXTENT_STAGED) {
		staged = malloc(sizeof(*staged));
		if (!staged) return -ENOMEM;
		*staged = (struct staged){ .place = place, .pieces = 1 };
	}
	if (extents_grow(e, 2) < 0) {
		free(staged);
		return -ENOMEM;
	}
	size_t i = extents_carve(e, offset, offset + size);
	if (kind != EXTENT_STAGED && i > 0) {
		struct extent *before = &e->items[i - 1];
		if (before->kind == kind && before->offset + before->size == offset) {
			before->size += size;
			return 0;
		}
	}
	memmove(&e->items[i + 1], &e->items[i], (e->count - i) * sizeof(*e->items));
	e->items[i] = (struct extent){ .offset = offset, .size = size, .kind = kind, .staged = staged };
	e->count++;
	return 0;
}

void extents_cut(struct extents *e, uint64_t size)
{
	size_t i = extents_index(e, size);
	if (i < e->count && e->items[i].offset < size) {
		e->items[i].size = size - e->items[i].offset;
		i++;
	}
	for (size_t k = i; k < e->count; k++) extent_drop(e, &e->items[k]);
	if (i < e->count) e->count = i;
}

uint64_t extents_bytes(const struct extents *e, enum extent_kind kind)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < e->count; i++)
		if (e->items[i].kind == kind) bytes += e->items[i].size;
	return bytes;
}

bool extents_cover(const struct extents *e, enum extent_kind kind, uint64_t offset, uint64_t size)
{
	uint64_t end = offset + size;
	for (size_t i = extents_index(e, offset); offset < end; i++) {
		if (i == e->count || e->items[i].kind != kind || e->items[i].offset > offset) return false;
		offset = e->items[i].offset + e->items[i].size;
	}
	return true;
}
