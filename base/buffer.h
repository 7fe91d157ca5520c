/* A growing byte buffer with a hard bound. Used for encoding messages, records and text.
 *
 * Once an append fails (bound or memory) the buffer remembers the error and every later append fails too, so
 * that a caller may append many times and check once with buffer_error(). */
#ifndef DIOS_BASE_BUFFER_H
#define DIOS_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct buffer {
	uint8_t *data;     /* owned; NULL while empty */
	size_t size;       /* bytes in use */
	size_t capacity;   /* bytes allocated */
	size_t limit;      /* largest size allowed, bytes */
	int error;         /* 0 or the first negative errno */
};

void buffer_init(struct buffer *b, size_t limit);
void buffer_done(struct buffer *b);          /* frees the bytes; b may be initialised again */
void buffer_reset(struct buffer *b);         /* size 0 and no error; keeps the memory */
int buffer_append(struct buffer *b, const void *data, size_t size);   /* -ENOBUFS past the limit, -ENOMEM */
int buffer_reserve(struct buffer *b, size_t size, uint8_t **ret_space); /* room for size bytes at the end, counted as used */
int buffer_printf(struct buffer *b, const char *format, ...) _printf_(2, 3);
int buffer_error(const struct buffer *b);

#define _cleanup_buffer_ __attribute__((cleanup(buffer_done)))

/* A borrowed run of bytes. */
struct slice { const uint8_t *data; size_t size; };

#endif
