/* Private to the check of the state: what one pass gathers about each object. */
#ifndef DIOS_CLUSTER_STATE_CHECK_INTERNAL_H
#define DIOS_CLUSTER_STATE_CHECK_INTERNAL_H

#include "cluster/state_apply.h"
#include "cluster/state_check.h"

/* Pairs of keys that must say the same (an entry by name and by cookie, a row and its checksum, a chunk's sizes and its bytes) come in
 * different places of the order. Each adds or subtracts a hash of what it says: the sum is zero if they agree. */
struct seen {
	uint64_t ino, version, size, blocks, made, name_hash;
	uint64_t hash;                    /* of the pairs */
	uint32_t nlink, links;            /* as the record says; as found */
	uint32_t xattr_bytes, xattr_found;
	uint32_t type;                    /* S_IFMT bits */
	uint8_t kind, place;
	bool immortal, orphan, named, listed /* orphan or task */, unabsorbed, in_place, unsealed /* listed as such */, content /* KEY_INLINE is there */, reachable, on_path;
	union {
		struct { uint64_t parent, next_cookie; uint32_t entries, found, subfolders; } directory;
		struct { uint64_t present; uint32_t rows, trims, rows_found, trims_found; } blob;
		struct { uint64_t chunk, start, end, next; bool start_found; } stream;
	};
};

struct listed { uint64_t *number; size_t count, capacity; };

struct scan_state {
	struct state_check *check;
	struct seen *seen;                /* ascending by ino */
	size_t count, capacity;
	size_t piece_capacity;
	struct listed orphans, tasks /* inodes */, unabsorbed, unsealed;
	uint64_t counter_next;            /* of the slot that is being read */
	uint32_t counter_slot;
	bool has_totals;
	uint64_t objects, blocks, rows;   /* as META_APPLIED says */
};

void check_report(struct scan_state *c, uint64_t ino, const char *format, ...) __attribute__((format(printf, 3, 4)));
struct seen *check_find(const struct scan_state *c, uint64_t ino);   /* NULL: no such object */
void *check_grow(void *array, size_t *capacity, size_t count, size_t item);   /* with room for one more; NULL: no memory, nothing changed */
uint64_t check_hash(uint64_t seed, const void *data, size_t size);
/* state_check_content.c: one key of a blob or stream. */
void check_inline(struct scan_state *c, struct slice rest, struct slice value);
void check_row(struct scan_state *c, struct slice rest, struct slice value);
int check_crcs(struct scan_state *c, struct slice rest, struct slice value);
void check_trim(struct scan_state *c, struct slice rest, struct slice value);
void check_stream_index(struct scan_state *c, struct slice rest, struct slice value);
void check_stream_data(struct scan_state *c, struct slice rest, struct slice value);
/* state_check_verdict.c: what only the whole shows. */
void check_verdict(struct scan_state *c);

#endif
