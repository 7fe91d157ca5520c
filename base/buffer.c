/* The growing buffer. Invariants: size <= capacity <= limit; after an error nothing is added again until the reset. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"

#define BUFFER_FIRST_CAPACITY 256   /* most messages fit, so that they cost one allocation */

void buffer_init(struct buffer *b, size_t limit)
{
	*b = (struct buffer){ .limit = limit };
}

void buffer_done(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){ .limit = b->limit };
}

void buffer_reset(struct buffer *b)
{
	b->size = 0;
	b->error = 0;
}

static int buffer_grow(struct buffer *b, size_t needed)
{
	size_t capacity = b->capacity ? b->capacity : BUFFER_FIRST_CAPACITY;

	while (capacity < needed)
		capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
	if (capacity > b->limit)
		capacity = b->limit;   /* needed <= limit, so it still fits */

	uint8_t *data = realloc(b->data, capacity);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->capacity = capacity;
	return 0;
}

int buffer_reserve(struct buffer *b, size_t size, uint8_t **ret_space)
{
	assert(b->size <= b->capacity && b->size <= b->limit);
	if (b->error)
		return b->error;
	if (size > b->limit - b->size)
		return b->error = -ENOBUFS;
	/* Also for size 0: the caller gets a pointer that it may compare and pass on. */
	if (!b->data || b->size + size > b->capacity) {
		int r = b->limit > 0 ? buffer_grow(b, b->size + size) : 0;
		if (r < 0)
			return b->error = r;
	}
	*ret_space = b->data ? b->data + b->size : NULL;
	b->size += size;
	return 0;
}

int buffer_append(struct buffer *b, const void *data, size_t size)
{
	uint8_t *space;
	int r = buffer_reserve(b, size, &space);

	if (r == 0 && size > 0)
		memcpy(space, data, size);
	return r;
}

int buffer_printf(struct buffer *b, const char *format, ...)
{
	char small[256];
	va_list ap;

	if (b->error)
		return b->error;
	va_start(ap, format);
	int length = vsnprintf(small, sizeof(small), format, ap);
	va_end(ap);
	if (length < 0)
		return b->error = -EINVAL;
	if ((size_t)length < sizeof(small))
		return buffer_append(b, small, (size_t)length);

	_cleanup_free_ char *text = NULL;
	va_start(ap, format);
	length = vasprintf(&text, format, ap);
	va_end(ap);
	if (length < 0) {
		text = NULL;
		return b->error = -ENOMEM;
	}
	return buffer_append(b, text, (size_t)length);
}

int buffer_error(const struct buffer *b)
{
	return b->error;
}
