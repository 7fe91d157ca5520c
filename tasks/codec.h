/* The byte form of what tasks/ keeps (specifications) and sends (launch descriptions, events): numbers of 8 bytes, big endian; byte strings
 * with their size in front and a NUL behind, which does not count, so that a text can be used where it lies.
 *
 * Reading is strict and never trusts a length: the first thing that is wrong stays in the cursor as its error, and all that is taken
 * after that is zero or empty. What is taken borrows from the bytes. */
#ifndef DIOS_TASKS_CODEC_H
#define DIOS_TASKS_CODEC_H

#include <stdbool.h>
#include "base/buffer.h"

void put_number(struct buffer *out, uint64_t number);
void put_bytes(struct buffer *out, const void *bytes, size_t size);
void put_text(struct buffer *out, const char *text);
void put_optional_text(struct buffer *out, const char *text);      /* NULL: none */
void put_texts(struct buffer *out, const char *const *texts);      /* up to NULL; NULL: none */

struct cursor { const uint8_t *at; size_t left; int error; };

static inline struct cursor cursor_of(struct slice bytes) { return (struct cursor){ .at = bytes.data, .left = bytes.size }; }
void cursor_fail(struct cursor *c, int error);                     /* the first one stays */
/* 0 if everything was well and everything was taken; -EBADMSG; -ENOMEM; -ENOTSUP. */
int cursor_end(struct cursor *c);

uint64_t take_number(struct cursor *c, uint64_t maximum);
bool take_flag(struct cursor *c);
/* A count of items that take at least item_size bytes each: so that nothing is allocated for what is only claimed. */
size_t take_count(struct cursor *c, size_t maximum, size_t item_size);
struct slice take_bytes(struct cursor *c, size_t maximum);
void take_exactly(struct cursor *c, void *bytes, size_t size);     /* a byte string of this size */
const char *take_text(struct cursor *c, size_t maximum);           /* without a NUL inside; "" after an error */
const char *take_optional_text(struct cursor *c, size_t maximum);  /* NULL: none */
/* An array that ends with NULL, to be freed with free(); NULL after an error. */
const char **take_texts(struct cursor *c, size_t maximum);

#endif
