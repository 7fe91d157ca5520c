/* Arrays that double when they are full. */
#ifndef DIOS_BASE_GROW_H
#define DIOS_BASE_GROW_H

#include <stdlib.h>

/* The array, with room for one more item behind `count`; *capacity as it is then. NULL: no memory, and the array stays as it was. */
static inline void *grow(void *array, size_t *capacity, size_t count, size_t item_size)
{
	if (count < *capacity)
		return array;
	size_t wanted = *capacity ? *capacity * 2 : 16;
	void *grown = reallocarray(array, wanted, item_size);
	if (grown)
		*capacity = wanted;
	return grown;
}

#endif
