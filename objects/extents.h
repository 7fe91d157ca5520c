/* The uncommitted ranges of one blob: sorted, disjoint, newest wins. No I/O: what staged ranges are overwritten by is
 * reported through `release`, so that the staging log gets its room back. Not thread-safe. */
#ifndef DIOS_OBJECTS_EXTENTS_H
#define DIOS_OBJECTS_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "store/stage.h"

enum extent_kind { EXTENT_STAGED, EXTENT_TAIL, EXTENT_HOLE };

/* One staging record, shared by the pieces that overwriting has left of it. */
struct staged { struct stage_place place; unsigned pieces; };

struct extent {
	uint64_t offset, size;
	enum extent_kind kind;
	struct staged *staged;      /* EXTENT_STAGED: counted */
	uint64_t skip;              /* EXTENT_STAGED: where in the record's bytes the piece begins */
};

struct extents {
	struct extent *items;
	size_t count, capacity;
	void (*release)(void *arg, struct stage_place place);
	void *arg;
};

void extents_init(struct extents *e, void (*release)(void *arg, struct stage_place place), void *arg);
void extents_done(struct extents *e);                 /* releases everything */
void extents_clear(struct extents *e);
/* Puts [offset, offset + size) on top. place is for EXTENT_STAGED. -ENOMEM: nothing changed. */
int extents_put(struct extents *e, enum extent_kind kind, uint64_t offset, uint64_t size, struct stage_place place);
void extents_cut(struct extents *e, uint64_t size);   /* drops everything at and past size */
/* The first extent that ends after offset; NULL: none. */
const struct extent *extents_find(const struct extents *e, uint64_t offset);
uint64_t extents_bytes(const struct extents *e, enum extent_kind kind);
/* True if [offset, offset + size) is covered, without a gap, by extents of this kind. */
bool extents_cover(const struct extents *e, enum extent_kind kind, uint64_t offset, uint64_t size);

#endif
