/* Base64url without padding (RFC 4648 section 5), strict: one text for one run of bytes. Names and tokens share it. */
#ifndef DIOS_CAPS_BASE64URL_H
#define DIOS_CAPS_BASE64URL_H

#include <stddef.h>
#include <stdint.h>

#define BASE64URL_SIZE(bytes) (((size_t)(bytes) * 4 + 2) / 3)   /* characters for so many bytes */

/* Writes BASE64URL_SIZE(size) characters and no NUL. */
void base64url_encode(const uint8_t *data, size_t size, char *text);
/* -EINVAL: a character outside the alphabet, an impossible length, unused bits that are not zero, or more than
 * `capacity` bytes. `out` may hold a part of the bytes after a failure; *ret_size is untouched. */
int base64url_decode(const char *text, size_t size, uint8_t *out, size_t capacity, size_t *ret_size);

#endif
