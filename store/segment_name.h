/* The names of the segments of log and staging log: their number, eight lower-case hexadecimal digits. */
#ifndef DIOS_STORE_SEGMENT_NAME_H
#define DIOS_STORE_SEGMENT_NAME_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Exactly such a name followed by suffix. The highest number is none: the next one would be the first again. */
static inline bool segment_name_parse(const char *name, const char *suffix, uint32_t *ret_number)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t number = 0;

	for (unsigned i = 0; i < 8; i++, name++) {
		const char *digit = *name ? strchr(digits, *name) : NULL;
		if (!digit)
			return false;
		number = number << 4 | (uint32_t)(digit - digits);
	}
	if (strcmp(name, suffix) != 0 || number == UINT32_MAX)
		return false;
	*ret_number = number;
	return true;
}

#endif
