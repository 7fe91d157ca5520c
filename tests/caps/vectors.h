/* What the tests of caps share: hexadecimal text, and a random source whose bytes count up from 0.
 * Expected values of hashes, chains and seals were computed with the openssl and basenc programs, not with caps. */
#ifndef DIOS_TESTS_CAPS_VECTORS_H
#define DIOS_TESTS_CAPS_VECTORS_H

#include <stdio.h>
#include <string.h>
#include "base/random.h"
#include "tests/tap.h"

static inline void counting_fill(struct random_source *random, void *out, size_t size)
{
	(void)random;
	for (size_t i = 0; i < size; i++)
		((uint8_t *)out)[i] = (uint8_t)i;
}

static inline const char *hex(const void *data, size_t size)
{
	static char text[2 * 1024 + 1];

	for (size_t i = 0; i < size && i < 1024; i++)
		snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)data)[i]);
	return text;
}

/* Bytes first, first + 1, ... */
static inline void fill_from(uint8_t *out, size_t size, uint8_t first)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(first + i);
}

#endif
