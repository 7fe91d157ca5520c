/* 256-bit object names. The first 16 bits are the slot, big endian; the other 240 the generated part.
 * Text: 43 characters of unpadded base64url (RFC 4648 section 5), strict: one text for one name (the two unused
 * bits of the last character must be zero). DESIGN sections 1 and 3. */
#ifndef DIOS_CAPS_NAME_H
#define DIOS_CAPS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/random.h"

#define NAME_SIZE 32
#define NAME_TEXT_SIZE 43   /* characters, without the final NUL */

/* No realm has this number: names made from tasks are hashed under it, so that no realm's string makes one of them. */
#define REALM_RESERVED UINT32_MAX

struct name { uint8_t bytes[NAME_SIZE]; };

static inline uint16_t name_slot(const struct name *n) { return (uint16_t)(n->bytes[0] << 8 | n->bytes[1]); }
void name_set_slot(struct name *n, uint16_t slot);
bool name_equal(const struct name *a, const struct name *b);
void name_random(struct random_source *random, uint16_t slot, struct name *ret_name);
/* SHA-256 of realm (32 bits, big endian) and string; the slot is the digest's own first 16 bits. Never a secret: who
 * knows the string knows the name. -EINVAL: REALM_RESERVED; -ENOMEM. */
int name_from_string(uint32_t realm, const char *string, size_t size, struct name *ret_name);
/* SHA-256 of REALM_RESERVED, the parent task's name and its counter (64 bits, big endian), with slot as given: a task
 * that is run again makes the same names. -ENOMEM. */
int name_deterministic(const struct name *parent, uint64_t counter, uint16_t slot, struct name *ret_name);
void name_to_text(const struct name *n, char text[static NAME_TEXT_SIZE + 1]);
/* `text` needs no final NUL. -EINVAL unless exactly one canonical name. */
int name_from_text(const char *text, size_t size, struct name *ret_name);

#endif
