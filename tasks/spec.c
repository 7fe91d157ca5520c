/* The codec of specifications; see spec.h. */
#include <limits.h>
#include <string.h>

#include "tasks/spec.h"

#define VERSION 1u
#define REFERENCE_SIZE (8u + 8u + NAME_SIZE + 1u)

static void put_reference(struct buffer *out, const struct spec_reference *r)
{
	put_number(out, r->ino);
	put_bytes(out, r->name.bytes, NAME_SIZE);
}

static void take_reference(struct cursor *c, struct spec_reference *r)
{
	r->ino = take_number(c, UINT64_MAX);
	take_exactly(c, r->name.bytes, NAME_SIZE);
}

static void put_references(struct buffer *out, const struct spec_reference *references, size_t count)
{
	put_number(out, count);
	for (size_t i = 0; i < count; i++)
		put_reference(out, &references[i]);
}

static struct spec_reference *take_references(struct cursor *c, size_t *ret_count)
{
	size_t count = take_count(c, LAUNCH_REFERENCES_MAX, REFERENCE_SIZE);
	struct spec_reference *references = c->error ? NULL : calloc(count + 1, sizeof(*references));

	if (!references) {
		cursor_fail(c, -ENOMEM);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		take_reference(c, &references[i]);
	*ret_count = count;
	return references;
}

void task_spec_encode(const struct task_spec *s, struct buffer *out)
{
	put_number(out, VERSION);
	put_reference(out, &s->program);
	put_optional_text(out, s->path);
	put_texts(out, s->arguments);
	put_texts(out, s->environment);
	put_references(out, s->inputs, s->input_count);
	put_references(out, s->outputs, s->output_count);
	for (size_t i = 0; i < 3; i++) {
		put_reference(out, &s->standard[i]);
		put_number(out, s->own[i]);
	}
	put_number(out, s->memory_bytes);
	put_number(out, s->cpu_percent);
	put_bytes(out, s->job.bytes, NAME_SIZE);
	put_bytes(out, s->gang.bytes, NAME_SIZE);
	put_number(out, s->gang_size);
	put_number(out, s->pure);
	put_number(out, s->restart);
}

static void take_spec(struct cursor *c, struct task_spec *s)
{
	take_reference(c, &s->program);
	s->path = take_optional_text(c, TASK_SPEC_MAX);
	s->arguments = take_texts(c, LAUNCH_TEXTS_MAX);
	s->environment = take_texts(c, LAUNCH_TEXTS_MAX);
	s->inputs = take_references(c, &s->input_count);
	s->outputs = take_references(c, &s->output_count);
	for (size_t i = 0; i < 3; i++) {
		take_reference(c, &s->standard[i]);
		s->own[i] = take_flag(c);
	}
	s->memory_bytes = take_number(c, UINT64_MAX);
	s->cpu_percent = (uint32_t)take_number(c, UINT32_MAX);
	take_exactly(c, s->job.bytes, NAME_SIZE);
	take_exactly(c, s->gang.bytes, NAME_SIZE);
	s->gang_size = (uint32_t)take_number(c, UINT32_MAX);
	s->pure = take_flag(c);
	s->restart = take_flag(c);
	if ((s->program.ino != 0) == (s->path != NULL))
		cursor_fail(c, -EBADMSG);
}

int task_spec_decode(struct slice bytes, struct task_spec *ret_spec)
{
	struct cursor c = cursor_of(bytes);
	struct task_spec s = { 0 };

	if (bytes.size > TASK_SPEC_MAX)
		return -EBADMSG;
	uint64_t version = take_number(&c, UINT64_MAX);
	if (c.error)
		return c.error;
	if (version != VERSION)
		return -ENOTSUP;
	take_spec(&c, &s);
	int r = cursor_end(&c);
	if (r < 0)
		task_spec_done(&s);
	else
		*ret_spec = s;
	return r;
}

void task_spec_done(struct task_spec *s)
{
	free(s->arguments);
	free(s->environment);
	free(s->inputs);
	free(s->outputs);
	*s = (struct task_spec){ 0 };
}

/* ---- for people -------------------------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 character at p (RFC 3629), 0: it is none. */
static size_t utf8_length(const uint8_t *p)
{
	static const struct { uint8_t low, high, second_low, second_high, length; } forms[] = {
		{ 0x01, 0x7f, 0, 0, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (p[0] < forms[i].low || p[0] > forms[i].high)
			continue;
		if (forms[i].length > 1 && (p[1] < forms[i].second_low || p[1] > forms[i].second_high))
			return 0;
		for (size_t n = 2; n < forms[i].length; n++)
			if (p[n] < 0x80 || p[n] > 0xbf)
				return 0;
		return forms[i].length;
	}
	return 0;
}

/* A byte that is no UTF-8 becomes a lone surrogate, \udc80 to \udcff, as everywhere in dios' JSON. */
static void print_string(struct buffer *out, const char *text)
{
	const uint8_t *p = (const uint8_t *)text;

	buffer_append(out, "\"", 1);
	while (*p) {
		size_t n = utf8_length(p);

		if (n == 0)
			buffer_printf(out, "\\udc%02x", *p);
		else if (*p == '"' || *p == '\\')
			buffer_printf(out, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			buffer_printf(out, "\\u%04x", *p);
		else
			buffer_append(out, p, n);
		p += n ? n : 1;
	}
	buffer_append(out, "\"", 1);
}

static void print_key(struct buffer *out, const char *key)
{
	buffer_printf(out, "%s\"%s\": ", out->data[out->size - 1] == '{' ? "" : ", ", key);
}

static void print_texts(struct buffer *out, const char *key, const char **texts)
{
	print_key(out, key);
	buffer_append(out, "[", 1);
	for (size_t i = 0; texts[i]; i++) {
		if (i > 0)
			buffer_append(out, ", ", 2);
		print_string(out, texts[i]);
	}
	buffer_append(out, "]", 1);
}

static void print_name(struct buffer *out, const struct name *name)
{
	char text[NAME_TEXT_SIZE + 1];

	name_to_text(name, text);
	print_string(out, text);
}

static void print_references(struct buffer *out, const char *key, const struct spec_reference *references, size_t count)
{
	print_key(out, key);
	buffer_append(out, "[", 1);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buffer_append(out, ", ", 2);
		print_name(out, &references[i].name);
	}
	buffer_append(out, "]", 1);
}

static void print_optional_name(struct buffer *out, const char *key, const struct name *name, bool there)
{
	if (!there)
		return;
	print_key(out, key);
	print_name(out, name);
}

static void print_number(struct buffer *out, const char *key, uint64_t number)
{
	if (number == 0)
		return;
	print_key(out, key);
	buffer_printf(out, "%llu", (unsigned long long)number);
}

int task_spec_print(const struct task_spec *s, struct buffer *out)
{
	static const struct name none;
	static const char *const standard[] = { "stdin", "stdout", "stderr" };

	if (buffer_append(out, "{", 1) < 0)
		return buffer_error(out);
	print_key(out, "program");
	if (s->path)
		print_string(out, s->path);
	else
		print_name(out, &s->program.name);
	print_texts(out, "arguments", s->arguments);
	print_texts(out, "environment", s->environment);
	print_references(out, "inputs", s->inputs, s->input_count);
	print_references(out, "outputs", s->outputs, s->output_count);
	for (size_t i = 0; i < 3; i++)
		print_optional_name(out, standard[i], &s->standard[i].name, s->standard[i].ino != 0);
	print_number(out, "memory_bytes", s->memory_bytes);
	print_number(out, "cpu_percent", s->cpu_percent);
	print_optional_name(out, "job", &s->job, !name_equal(&s->job, &none));
	print_optional_name(out, "gang", &s->gang, !name_equal(&s->gang, &none));
	print_number(out, "gang_size", s->gang_size);
	print_key(out, "pure");
	buffer_printf(out, "%s", s->pure ? "true" : "false");
	print_key(out, "restart");
	buffer_printf(out, "%s}\n", s->restart ? "true" : "false");
	return buffer_error(out);
}
