/* CRC32C (Castagnoli, RFC 3720 B.4), with the processor's instruction where there is one. Debian packages no C library for it. */
#ifndef DIOS_BASE_CRC32C_H
#define DIOS_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t size);   /* start with 0; chainable */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);   /* the same without the instruction */

#endif
