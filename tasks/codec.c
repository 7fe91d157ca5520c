/* Writing and strict reading; see codec.h. Errors of writing are the buffer's. */
#include <string.h>

#include "caps/bigendian.h"
#include "tasks/codec.h"

#define NUMBER_SIZE 8u

void put_number(struct buffer *out, uint64_t number)
{
	uint8_t bytes[NUMBER_SIZE];

	put_be64(bytes, number);
	buffer_append(out, bytes, sizeof(bytes));
}

void put_bytes(struct buffer *out, const void *bytes, size_t size)
{
	put_number(out, size);
	if (size > 0)
		buffer_append(out, bytes, size);
	buffer_append(out, "", 1);
}

void put_text(struct buffer *out, const char *text)
{
	put_bytes(out, text, strlen(text));
}

void put_optional_text(struct buffer *out, const char *text)
{
	put_number(out, text != NULL);
	if (text)
		put_text(out, text);
}

void put_texts(struct buffer *out, const char *const *texts)
{
	size_t count = 0;

	while (texts && texts[count])
		count++;
	put_number(out, count);
	for (size_t i = 0; i < count; i++)
		put_text(out, texts[i]);
}

void cursor_fail(struct cursor *c, int error)
{
	if (!c->error)
		c->error = error;
	c->left = 0;
}

int cursor_end(struct cursor *c)
{
	if (!c->error && c->left > 0)
		c->error = -EBADMSG;
	return c->error;
}

uint64_t take_number(struct cursor *c, uint64_t maximum)
{
	if (c->left < NUMBER_SIZE) {
		cursor_fail(c, -EBADMSG);
		return 0;
	}
	uint64_t number = get_be64(c->at);
	c->at += NUMBER_SIZE;
	c->left -= NUMBER_SIZE;
	if (number <= maximum)
		return number;
	cursor_fail(c, -EBADMSG);
	return 0;
}

bool take_flag(struct cursor *c)
{
	return take_number(c, 1) == 1;
}

size_t take_count(struct cursor *c, size_t maximum, size_t item_size)
{
	size_t count = take_number(c, maximum);

	if (count <= c->left / item_size)
		return count;
	cursor_fail(c, -EBADMSG);
	return 0;
}

struct slice take_bytes(struct cursor *c, size_t maximum)
{
	size_t size = take_number(c, maximum);

	if (c->error || size >= c->left || c->at[size] != '\0') {
		cursor_fail(c, -EBADMSG);
		return (struct slice){ .data = (const uint8_t *)"", .size = 0 };
	}
	struct slice bytes = { .data = c->at, .size = size };
	c->at += size + 1;
	c->left -= size + 1;
	return bytes;
}

void take_exactly(struct cursor *c, void *bytes, size_t size)
{
	struct slice taken = take_bytes(c, size);

	if (taken.size == size) {
		memcpy(bytes, taken.data, size);
		return;
	}
	cursor_fail(c, -EBADMSG);
	memset(bytes, 0, size);
}

const char *take_text(struct cursor *c, size_t maximum)
{
	struct slice bytes = take_bytes(c, maximum);

	if (!memchr(bytes.data, '\0', bytes.size))
		return (const char *)bytes.data;
	cursor_fail(c, -EBADMSG);
	return "";
}

const char *take_optional_text(struct cursor *c, size_t maximum)
{
	return take_flag(c) ? take_text(c, maximum) : NULL;
}

const char **take_texts(struct cursor *c, size_t maximum)
{
	size_t count = take_count(c, maximum, NUMBER_SIZE + 1);
	const char **texts = c->error ? NULL : calloc(count + 1, sizeof(*texts));

	if (!texts) {
		cursor_fail(c, -ENOMEM);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		texts[i] = take_text(c, maximum);
	if (!c->error)
		return texts;
	free(texts);
	return NULL;
}
