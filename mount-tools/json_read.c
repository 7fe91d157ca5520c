/* The JSON reader; see json_read.h. One recursive descent, bounded by JSON_READ_DEPTH_MAX. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "mount-tools/json_read.h"

struct parser { const char *at, *end; int depth; };

static int parse_value(struct parser *p, struct json_value **ret_value);

static void skip_blanks(struct parser *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
		p->at++;
}

static bool take(struct parser *p, char c)
{
	if (p->at >= p->end || *p->at != c)
		return false;
	p->at++;
	return true;
}

void json_value_free(struct json_value *value)
{
	while (value) {
		struct json_value *next = value->next;

		json_value_free(value->child);   /* as deep as the text was: bounded */
		free(value->key);
		free(value->text);
		free(value);
		value = next;
	}
}

static int parse_hex4(struct parser *p, uint32_t *ret_code)
{
	uint32_t code = 0;

	if (p->end - p->at < 4)
		return -EBADMSG;
	for (int i = 0; i < 4; i++) {
		char c = *p->at++;

		if (c >= '0' && c <= '9')
			code = code << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			code = code << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return -EBADMSG;
	}
	*ret_code = code;
	return 0;
}

static int append_code(struct buffer *out, uint32_t code)
{
	uint8_t b[4];

	if (code < 0x80) {
		b[0] = (uint8_t)code;
		return buffer_append(out, b, 1);
	}
	if (code < 0x800) {
		b[0] = (uint8_t)(0xc0 | code >> 6);
		b[1] = (uint8_t)(0x80 | (code & 0x3f));
		return buffer_append(out, b, 2);
	}
	if (code < 0x10000) {
		b[0] = (uint8_t)(0xe0 | code >> 12);
		b[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
		b[2] = (uint8_t)(0x80 | (code & 0x3f));
		return buffer_append(out, b, 3);
	}
	b[0] = (uint8_t)(0xf0 | code >> 18);
	b[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
	b[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
	b[3] = (uint8_t)(0x80 | (code & 0x3f));
	return buffer_append(out, b, 4);
}

static int parse_unicode_escape(struct parser *p, struct buffer *out)
{
	uint32_t code = 0, low = 0;
	int r = parse_hex4(p, &code);

	if (r < 0)
		return r;
	if (code >= 0xdc80 && code <= 0xdcff) {   /* a byte that is not UTF-8; see json.h */
		uint8_t byte = (uint8_t)(code & 0xff);
		return buffer_append(out, &byte, 1);
	}
	if (code >= 0xd800 && code <= 0xdbff) {
		if (!take(p, '\\') || !take(p, 'u') || parse_hex4(p, &low) < 0 || low < 0xdc00 || low > 0xdfff)
			return -EBADMSG;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	} else if (code >= 0xdc00 && code <= 0xdfff) {
		return -EBADMSG;
	}
	return append_code(out, code);
}

static int parse_escape(struct parser *p, struct buffer *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

	if (p->at >= p->end)
		return -EBADMSG;
	if (take(p, 'u'))
		return parse_unicode_escape(p, out);
	const char *found = memchr(from, *p->at, sizeof(from) - 1);
	if (!found)
		return -EBADMSG;
	p->at++;
	return buffer_append(out, to + (found - from), 1);
}

/* The string after its opening quote, as a NUL-terminated text of the caller's. */
static int parse_string(struct parser *p, char **ret_text, size_t *ret_size)
{
	_cleanup_buffer_ struct buffer out = { 0 };

	buffer_init(&out, JSON_TEXT_MAX);
	for (;;) {
		if (p->at >= p->end)
			return -EBADMSG;
		if (take(p, '"'))
			break;
		if (take(p, '\\')) {
			int r = parse_escape(p, &out);
			if (r < 0)
				return r;
			continue;
		}
		if ((uint8_t)*p->at < 0x20)
			return -EBADMSG;
		buffer_append(&out, p->at++, 1);   /* also what is no UTF-8: a path in a status may be so */
	}
	buffer_append(&out, "", 1);
	if (buffer_error(&out) < 0)
		return buffer_error(&out);
	*ret_size = out.size - 1;
	*ret_text = (char *)TAKE_PTR(out.data);
	return 0;
}

static size_t take_digits(struct parser *p)
{
	const char *from = p->at;

	while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
		p->at++;
	return (size_t)(p->at - from);
}

static int parse_number(struct parser *p, struct json_value *value)
{
	const char *from = p->at;

	take(p, '-');
	if (!take(p, '0') && take_digits(p) == 0)
		return -EBADMSG;
	if (take(p, '.') && take_digits(p) == 0)
		return -EBADMSG;
	if (take(p, 'e') || take(p, 'E')) {
		if (!take(p, '-'))
			take(p, '+');
		if (take_digits(p) == 0)
			return -EBADMSG;
	}
	value->type = JSON_NUMBER;
	value->text_size = (size_t)(p->at - from);
	value->text = strndup(from, value->text_size);
	return value->text ? 0 : -ENOMEM;
}

/* The items after an opening bracket, up to and with the closing one. */
static int parse_items(struct parser *p, struct json_value *parent, char closing)
{
	struct json_value **tail = &parent->child;
	size_t key_size;

	if (++p->depth > JSON_READ_DEPTH_MAX)
		return -EBADMSG;
	skip_blanks(p);
	if (take(p, closing)) {
		p->depth--;
		return 0;
	}
	for (;;) {
		_cleanup_free_ char *key = NULL;
		int r;

		skip_blanks(p);
		if (closing == '}') {
			r = take(p, '"') ? parse_string(p, &key, &key_size) : -EBADMSG;
			if (r < 0)
				return r;
			skip_blanks(p);
			if (!take(p, ':'))
				return -EBADMSG;
		}
		r = parse_value(p, tail);
		if (r < 0)
			return r;
		(*tail)->key = TAKE_PTR(key);
		tail = &(*tail)->next;
		skip_blanks(p);
		if (take(p, closing)) {
			p->depth--;
			return 0;
		}
		if (!take(p, ','))
			return -EBADMSG;
	}
}

static int parse_word(struct parser *p, struct json_value *value)
{
	static const struct { const char *word; enum json_type type; } words[] = {
		{ "null", JSON_NULL }, { "false", JSON_FALSE }, { "true", JSON_TRUE },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t size = strlen(words[i].word);

		if ((size_t)(p->end - p->at) >= size && memcmp(p->at, words[i].word, size) == 0) {
			p->at += size;
			value->type = words[i].type;
			return 0;
		}
	}
	return -EBADMSG;
}

static int parse_value(struct parser *p, struct json_value **ret_value)
{
	struct json_value *value;
	int r;

	skip_blanks(p);
	if (p->at >= p->end)
		return -EBADMSG;
	value = calloc(1, sizeof(*value));
	if (!value)
		return -ENOMEM;
	if (take(p, '{')) {
		value->type = JSON_OBJECT;
		r = parse_items(p, value, '}');
	} else if (take(p, '[')) {
		value->type = JSON_ARRAY;
		r = parse_items(p, value, ']');
	} else if (take(p, '"')) {
		value->type = JSON_STRING;
		r = parse_string(p, &value->text, &value->text_size);
	} else if (*p->at == '-' || (*p->at >= '0' && *p->at <= '9')) {
		r = parse_number(p, value);
	} else {
		r = parse_word(p, value);
	}
	if (r < 0) {
		json_value_free(value);
		return r;
	}
	*ret_value = value;
	return 0;
}

int json_parse(const char *text, size_t size, struct json_value **ret_value)
{
	struct parser p = { .at = text, .end = text + size };
	struct json_value *value = NULL;

	if (size > JSON_TEXT_MAX)
		return -EBADMSG;
	int r = parse_value(&p, &value);
	if (r < 0)
		return r;
	skip_blanks(&p);
	if (p.at != p.end) {
		json_value_free(value);
		return -EBADMSG;
	}
	*ret_value = value;
	return 0;
}

const struct json_value *json_get(const struct json_value *object, const char *key)
{
	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (const struct json_value *v = object->child; v; v = v->next)
		if (strcmp(v->key, key) == 0)
			return v;
	return NULL;
}

const char *json_get_string(const struct json_value *object, const char *key)
{
	const struct json_value *v = json_get(object, key);

	return v && v->type == JSON_STRING ? v->text : NULL;
}

int json_get_int(const struct json_value *object, const char *key, int64_t *ret_value)
{
	const struct json_value *v = json_get(object, key);
	char *end;

	if (!v)
		return -ENOENT;
	if (v->type != JSON_NUMBER)
		return -EBADMSG;
	errno = 0;
	long long value = strtoll(v->text, &end, 10);
	if (errno != 0 || *end)
		return -EBADMSG;
	*ret_value = value;
	return 0;
}

void json_write_value(struct json *out, const char *key, const struct json_value *value)
{
	switch (value->type) {
	case JSON_NULL: json_null(out, key); return;
	case JSON_FALSE: json_bool(out, key, false); return;
	case JSON_TRUE: json_bool(out, key, true); return;
	case JSON_NUMBER: json_number(out, key, value->text); return;
	case JSON_STRING: json_bytes(out, key, value->text, value->text_size); return;
	case JSON_ARRAY: json_open_array(out, key); break;
	case JSON_OBJECT: json_open_object(out, key); break;
	}
	for (const struct json_value *v = value->child; v; v = v->next)
		json_write_value(out, v->key, v);
	json_close(out);
}
