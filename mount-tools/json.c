/* The JSON writer; see json.h. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "mount-tools/json.h"
#include "mount-tools/text.h"

void json_init(struct json *j, FILE *out)
{
	*j = (struct json){ .out = out };
}

static void json_put_bytes(struct json *j, const void *data, size_t size)
{
	const uint8_t *p = data;

	putc('"', j->out);
	while (size > 0) {
		size_t n = text_utf8_length(p, size);
		bool line_separator = n == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9);

		if (n == 0)
			fprintf(j->out, "\\udc%02x", *p);
		else if (line_separator)
			fprintf(j->out, "\\u20%02x", p[2] == 0xa8 ? 0x28 : 0x29);   /* so that the text is JavaScript too */
		else if (*p == '"' || *p == '\\')
			fprintf(j->out, "\\%c", *p);
		else if (*p == '\n')
			fputs("\\n", j->out);
		else if (*p < 0x20 || *p == 0x7f)
			fprintf(j->out, "\\u%04x", *p);
		else
			fwrite(p, 1, n, j->out);
		n = n ? n : 1;
		p += n;
		size -= n;
	}
	putc('"', j->out);
}

/* What comes before a value: comma and key. */
static void json_begin_value(struct json *j, const char *key)
{
	assert(!j->done && !j->in_base64);
	assert(j->depth > 0 || !key);
	if (j->depth == 0)
		return;
	assert((j->open[j->depth - 1] == '{') == (key != NULL));
	if (j->filled[j->depth - 1])
		fputs(", ", j->out);
	j->filled[j->depth - 1] = true;
	if (key) {
		json_put_bytes(j, key, strlen(key));
		fputs(": ", j->out);
	}
}

static void json_end_value(struct json *j)
{
	if (j->depth > 0)
		return;
	j->done = true;
	putc('\n', j->out);
}

static void json_open(struct json *j, const char *key, char kind)
{
	json_begin_value(j, key);
	assert(j->depth < JSON_DEPTH_MAX);
	j->open[j->depth] = kind;
	j->filled[j->depth] = false;
	j->depth++;
	putc(kind, j->out);
}

void json_open_object(struct json *j, const char *key)
{
	json_open(j, key, '{');
}

void json_open_array(struct json *j, const char *key)
{
	json_open(j, key, '[');
}

void json_close(struct json *j)
{
	if (j->in_base64) {
		json_base64_close(j);
		return;
	}
	assert(j->depth > 0);
	j->depth--;
	putc(j->open[j->depth] == '{' ? '}' : ']', j->out);
	json_end_value(j);
}

void json_bytes(struct json *j, const char *key, const void *data, size_t size)
{
	json_begin_value(j, key);
	json_put_bytes(j, data, size);
	json_end_value(j);
}

void json_string(struct json *j, const char *key, const char *text)
{
	json_bytes(j, key, text, strlen(text));
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
	json_begin_value(j, key);
	fprintf(j->out, "%" PRIu64, value);
	json_end_value(j);
}

void json_int(struct json *j, const char *key, int64_t value)
{
	json_begin_value(j, key);
	fprintf(j->out, "%" PRId64, value);
	json_end_value(j);
}

void json_bool(struct json *j, const char *key, bool value)
{
	json_begin_value(j, key);
	fputs(value ? "true" : "false", j->out);
	json_end_value(j);
}

void json_null(struct json *j, const char *key)
{
	json_begin_value(j, key);
	fputs("null", j->out);
	json_end_value(j);
}

void json_number(struct json *j, const char *key, const char *digits)
{
	json_begin_value(j, key);
	fputs(digits, j->out);
	json_end_value(j);
}

void json_base64_open(struct json *j, const char *key)
{
	json_begin_value(j, key);
	j->carry_size = 0;
	j->in_base64 = true;
	putc('"', j->out);
}

static void json_put_group(struct json *j)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t in[3] = { 0 };
	char out[4];

	memcpy(in, j->carry, j->carry_size);
	out[0] = alphabet[in[0] >> 2];
	out[1] = alphabet[(in[0] & 3) << 4 | in[1] >> 4];
	out[2] = j->carry_size > 1 ? alphabet[(in[1] & 15) << 2 | in[2] >> 6] : '=';
	out[3] = j->carry_size > 2 ? alphabet[in[2] & 63] : '=';
	fwrite(out, 1, sizeof(out), j->out);
	j->carry_size = 0;
}

void json_base64_add(struct json *j, const void *data, size_t size)
{
	const uint8_t *p = data;

	for (; size > 0; p++, size--) {
		j->carry[j->carry_size++] = *p;
		if (j->carry_size == 3)
			json_put_group(j);
	}
}

void json_base64_close(struct json *j)
{
	assert(j->in_base64);
	j->in_base64 = false;
	if (j->carry_size > 0)
		json_put_group(j);
	putc('"', j->out);
	json_end_value(j);
}
