/* The fixed front of a token's binary form, which is also what its first tag signs. Internal to caps. */
#ifndef DIOS_CAPS_TOKEN_BYTES_H
#define DIOS_CAPS_TOKEN_BYTES_H

#include "caps/caveat.h"

#define TOKEN_HEADER_SIZE (1 + 4 + TOKEN_ID_SIZE + NAME_SIZE + 8 + 1)
#define TOKEN_BYTES_MAX (TOKEN_HEADER_SIZE + TOKEN_CAVEATS_MAX * CAVEAT_BYTES_MAX + TOKEN_TAG_SIZE)

/* -EINVAL: no or unknown rights. */
int token_header_encode(const struct token *token, uint8_t out[static TOKEN_HEADER_SIZE]);

#endif
