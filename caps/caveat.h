/* The bytes of a caveat: what goes into the chain and into the token's binary form. Internal to caps. */
#ifndef DIOS_CAPS_CAVEAT_H
#define DIOS_CAPS_CAVEAT_H

#include "caps/token.h"

#define CAVEAT_BYTES_MAX (2 + CAVEAT_UNKNOWN_MAX)   /* kind, size, body */

bool caveat_known(const struct caveat *caveat);
/* Returns the number of bytes written, or -EINVAL if the caveat is not well formed. */
int caveat_encode(const struct caveat *caveat, uint8_t out[static CAVEAT_BYTES_MAX]);
/* Decodes the caveat at the start of data[size]. Returns the number of bytes it takes, or -EINVAL. */
int caveat_decode(const uint8_t *data, size_t size, struct caveat *ret_caveat);
/* The caveat that token holds of a kind of which it may hold one, or NULL. */
const struct caveat *caveat_find_single(const struct token *token, enum caveat_kind kind);

#endif
