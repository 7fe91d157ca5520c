/* See forget.h. The node is written last and cleared first, so that an entry that has one is whole. */
#include "fs/forget.h"

uint32_t forget_put(struct region *region, uint32_t *hand, uint64_t node, bool pages)
{
	for (uint32_t i = 0; i < FORGET_COUNT; i++) {
		uint32_t place = (*hand + i) % FORGET_COUNT;
		struct forget_entry *e = &region->forgets[place];
		if (atomic_load_explicit(&e->node, memory_order_acquire) != 0)
			continue;
		*hand = place + 1;
		if (place >= region->header->forgets_touched)
			region->header->forgets_touched = place + 1;
		e->pages = pages;
		atomic_store_explicit(&e->node, node, memory_order_release);
		return place;
	}
	return FORGET_NONE;
}

void forget_done(struct region *region, uint32_t *hand, uint32_t place)
{
	if (place == FORGET_NONE)
		return;
	atomic_store_explicit(&region->forgets[place].node, 0, memory_order_release);
	*hand = place;
}

bool forget_get(const struct region *region, uint32_t place, uint64_t *ret_node, bool *ret_pages)
{
	const struct forget_entry *e = &region->forgets[place];

	*ret_node = atomic_load_explicit(&e->node, memory_order_acquire);
	*ret_pages = e->pages != 0;
	return *ret_node != 0;
}
