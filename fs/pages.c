/* A program that commits again and again through its descriptor, and never reads or maps it, leaves no pages behind. Dropping them costs a
 * crossing to the notifier and back, more than all the rest of the commit; knowing that there are none costs one look.
 *
 * Why this is right: a page is filled by a READ, or by a WRITE that brings its bytes, and is locked from before that request is sent until
 * after it is answered. So one that was asked for before pages_go is dropped by what follows it, and one asked for later is known
 * here before its bytes are taken from the object: a change that comes before sees it, one that comes after is in the bytes. */
#include "fs/pages.h"

static _Atomic uint64_t *place_of(struct pages *p, uint64_t node) { return &p->none[node * 0x9e3779b97f4a7c15ULL >> 54]; }

void pages_come(struct pages *p, uint64_t node)
{
	_Atomic uint64_t *place = place_of(p, node);

	if (atomic_load(place) == node)
		atomic_compare_exchange_strong(place, &node, 0);
}

void pages_go(struct pages *p, uint64_t node) { atomic_store(place_of(p, node), node); }

bool pages_are_none(const struct pages *p, uint64_t node)
{
	return atomic_load(place_of((struct pages *)(uintptr_t)p, node)) == node;
}
