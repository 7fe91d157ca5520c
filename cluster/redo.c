/* See redo.h. */
#include <stddef.h>

#include "cluster/redo.h"

static _Thread_local struct { struct redo *redo; unsigned next; } current;

void redo_enter(struct redo *redo)
{
	current.redo = redo;
	current.next = 0;
}

void redo_leave(void) { redo_enter(NULL); }

uint64_t redo_keep_place(uint64_t place)
{
	uint64_t size;

	if (!redo_take_place(&place, &size))
		redo_put_place(place, 0);
	return place;
}

bool redo_take_place(uint64_t *place, uint64_t *size)
{
	if (!current.redo || !current.redo->placed)
		return false;
	*place = current.redo->place;
	*size = current.redo->size;
	return true;
}

void redo_put_place(uint64_t place, uint64_t size)
{
	if (!current.redo)
		return;
	current.redo->place = place;
	current.redo->size = size;
	current.redo->placed = true;
}

_Atomic uint64_t *redo_next(void)
{
	return current.redo && current.next < REDO_COMMANDS_MAX ? &current.redo->numbers[current.next] : NULL;
}

void redo_advance(void) { current.next++; }
