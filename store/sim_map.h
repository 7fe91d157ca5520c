/* A sorted map from bytes to bytes, for the simulated key-value store. Maps share entries; a map that is shared itself
 * is copied before it changes, so holding a reference is holding a snapshot. */
#ifndef DIOS_STORE_SIM_MAP_H
#define DIOS_STORE_SIM_MAP_H

#include <stdbool.h>
#include "base/buffer.h"

struct sim_entry {
	unsigned refs;
	bool tombstone;          /* only in maps that are batches */
	struct slice key, value; /* into bytes */
	uint8_t bytes[];
};

struct sim_map {
	unsigned refs;
	size_t count, capacity;
	struct sim_entry **entries;   /* sorted by key */
};

struct sim_map *sim_map_new(void);                            /* NULL: no memory; one reference */
struct sim_map *sim_map_ref(struct sim_map *map);
void sim_map_unref(struct sim_map *map);                      /* NULL is fine */
size_t sim_map_find(const struct sim_map *map, struct slice key, bool *ret_equal);   /* the first entry not below key */
/* Changes *map, which becomes a private copy first if it is shared. Tombstones replace entries, they don't remove them. */
int sim_map_put(struct sim_map **map, struct slice key, struct slice value, bool tombstone);
/* Applies a batch: tombstones remove. All or, without memory, nothing. */
int sim_map_apply(struct sim_map **map, const struct sim_map *batch);
int sim_slice_compare(struct slice a, struct slice b);

#endif
