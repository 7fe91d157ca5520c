/* See sim_map.h. Invariants: keys grow strictly; entries are immutable and counted. */
#include <assert.h>
#include <string.h>

#include "store/sim_map.h"

int sim_slice_compare(struct slice a, struct slice b)
{
	size_t least = a.size < b.size ? a.size : b.size;
	int r = least ? memcmp(a.data, b.data, least) : 0;

	return r ? r : (a.size > b.size) - (a.size < b.size);
}

static struct sim_entry *entry_new(struct slice key, struct slice value, bool tombstone)
{
	struct sim_entry *e = malloc(sizeof(*e) + key.size + value.size);

	if (!e)
		return NULL;
	*e = (struct sim_entry){ .refs = 1, .tombstone = tombstone };
	if (key.size)
		memcpy(e->bytes, key.data, key.size);
	if (value.size)
		memcpy(e->bytes + key.size, value.data, value.size);
	e->key = (struct slice){ e->bytes, key.size };
	e->value = (struct slice){ e->bytes + key.size, value.size };
	return e;
}

static void entry_unref(struct sim_entry *e)
{
	assert(e->refs > 0);
	if (--e->refs == 0)
		free(e);
}

struct sim_map *sim_map_new(void)
{
	struct sim_map *map = calloc(1, sizeof(*map));

	if (map)
		map->refs = 1;
	return map;
}

struct sim_map *sim_map_ref(struct sim_map *map)
{
	map->refs++;
	return map;
}

void sim_map_unref(struct sim_map *map)
{
	if (!map || --map->refs > 0)
		return;
	for (size_t i = 0; i < map->count; i++)
		entry_unref(map->entries[i]);
	free(map->entries);
	free(map);
}

size_t sim_map_find(const struct sim_map *map, struct slice key, bool *ret_equal)
{
	size_t low = 0, high = map->count;

	*ret_equal = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = sim_slice_compare(map->entries[middle]->key, key);
		if (r == 0)
			*ret_equal = true;
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int map_reserve(struct sim_map *map, size_t capacity)
{
	if (capacity <= map->capacity)
		return 0;
	capacity = capacity < 16 ? 16 : capacity + capacity / 2;
	struct sim_entry **entries = realloc(map->entries, capacity * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	map->entries = entries;
	map->capacity = capacity;
	return 0;
}

/* Makes *map private, with room for `more` entries. */
static int map_prepare(struct sim_map **map, size_t more)
{
	struct sim_map *old = *map;

	if (old->refs == 1)
		return map_reserve(old, old->count + more);
	struct sim_map *copy = sim_map_new();
	if (!copy || map_reserve(copy, old->count + more) < 0) {
		sim_map_unref(copy);
		return -ENOMEM;
	}
	for (size_t i = 0; i < old->count; i++) {
		copy->entries[i] = old->entries[i];
		copy->entries[i]->refs++;
	}
	copy->count = old->count;
	old->refs--;
	*map = copy;
	return 0;
}

/* Takes a reference to e. There is room. */
static void map_set(struct sim_map *map, struct sim_entry *e)
{
	bool equal;
	size_t at = sim_map_find(map, e->key, &equal);

	e->refs++;
	if (equal) {
		entry_unref(map->entries[at]);
	} else {
		assert(map->count < map->capacity);
		memmove(map->entries + at + 1, map->entries + at, (map->count - at) * sizeof(*map->entries));
		map->count++;
	}
	map->entries[at] = e;
}

static void map_remove(struct sim_map *map, struct slice key)
{
	bool equal;
	size_t at = sim_map_find(map, key, &equal);

	if (!equal)
		return;
	entry_unref(map->entries[at]);
	map->count--;
	memmove(map->entries + at, map->entries + at + 1, (map->count - at) * sizeof(*map->entries));
}

int sim_map_put(struct sim_map **map, struct slice key, struct slice value, bool tombstone)
{
	struct sim_entry *e = entry_new(key, value, tombstone);

	if (!e)
		return -ENOMEM;
	int r = map_prepare(map, 1);
	if (r == 0)
		map_set(*map, e);
	entry_unref(e);
	return r;
}

int sim_map_apply(struct sim_map **map, const struct sim_map *batch)
{
	int r = map_prepare(map, batch->count);

	for (size_t i = 0; r == 0 && i < batch->count; i++) {
		if (batch->entries[i]->tombstone)
			map_remove(*map, batch->entries[i]->key);
		else
			map_set(*map, batch->entries[i]);
	}
	return r;
}
