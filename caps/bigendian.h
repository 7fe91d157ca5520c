/* Big-endian integers in the bytes that are hashed, signed and sent. */
#ifndef DIOS_CAPS_BIGENDIAN_H
#define DIOS_CAPS_BIGENDIAN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void put_be32(uint8_t *out, uint32_t value)
{
	value = htobe32(value);
	memcpy(out, &value, sizeof(value));
}

static inline void put_be64(uint8_t *out, uint64_t value)
{
	value = htobe64(value);
	memcpy(out, &value, sizeof(value));
}

static inline uint32_t get_be32(const uint8_t *in)
{
	uint32_t value;
	memcpy(&value, in, sizeof(value));
	return be32toh(value);
}

static inline uint64_t get_be64(const uint8_t *in)
{
	uint64_t value;
	memcpy(&value, in, sizeof(value));
	return be64toh(value);
}

#endif
