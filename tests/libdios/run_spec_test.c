/* Specifications of tasks: what is written is what is decoded, and hostile bytes are refused. */
#include <errno.h>
#include <stdlib.h>

#include "fs/run_spec.h"
#include "tests/tap.h"

struct bytes { uint8_t data[8192]; size_t size; };

static void add(struct bytes *b, uint32_t kind, const void *data, uint32_t size)
{
	uint32_t head[2] = { kind, size };
	memcpy(b->data + b->size, head, sizeof(head));
	memcpy(b->data + b->size + sizeof(head), data, size);
	memset(b->data + b->size + sizeof(head) + size, 0, (8 - size % 8) % 8);
	b->size += sizeof(head) + (size + 7) / 8 * 8;
}

static void add_text(struct bytes *b, uint32_t kind, const char *text) { add(b, kind, text, (uint32_t)strlen(text)); }

/* From a block of exactly that size. */
static int decode(const struct bytes *b, struct run_spec *spec, uint8_t **ret_block)
{
	uint8_t *block = malloc(b->size ? b->size : 1);
	if (!block)
		abort();
	memcpy(block, b->data, b->size);
	*ret_block = block;
	return run_spec_decode(block, b->size, spec);
}

static void refused(const struct bytes *b, const char *what)
{
	struct run_spec spec;
	uint8_t *block;
	is_int(decode(b, &spec, &block), -EINVAL, "%s", what);
	run_spec_done(&spec);
	free(block);
}

static bool text_is(const struct run_text *t, const char *text) { return t->size == strlen(text) && memcmp(t->text, text, t->size) == 0; }

static void everything(void)
{
	struct bytes b = { .size = 0 };
	struct run_spec spec;
	uint8_t *block, name[32], id[16];
	uint64_t number = 1 << 20, two = 2;

	memset(name, 7, sizeof(name));
	memset(id, 9, sizeof(id));
	add_text(&b, DIOS_SPEC_PATH, "/bin/true");
	add_text(&b, DIOS_SPEC_ARGUMENT, "true");
	add_text(&b, DIOS_SPEC_ARGUMENT, "");
	add_text(&b, DIOS_SPEC_ARGUMENT, "exactly8");
	add_text(&b, DIOS_SPEC_ENVIRONMENT, "A=");
	add(&b, DIOS_SPEC_INPUT, id, 16);
	add(&b, DIOS_SPEC_INPUT, name, 16);
	add(&b, DIOS_SPEC_OUTPUT, id, 16);
	add(&b, DIOS_SPEC_STDOUT, id, 16);
	add(&b, DIOS_SPEC_MEMORY, &number, 8);
	add(&b, DIOS_SPEC_JOB, name, 32);
	add(&b, DIOS_SPEC_GANG, name, 32);
	add(&b, DIOS_SPEC_GANG_SIZE, &two, 8);
	is_int(decode(&b, &spec, &block), 0, "a specification with everything");
	ok(spec.argument_count == 3 && text_is(&spec.arguments[0], "true") && text_is(&spec.arguments[1], "") && text_is(&spec.arguments[2], "exactly8"),
		"its arguments, an empty one too");
	ok(spec.environment_count == 1 && text_is(&spec.environment[0], "A="), "its environment");
	ok(spec.input_count == 2 && spec.input_ids[1].bytes[0] == 7 && spec.output_count == 1 && spec.output_ids[0].bytes[15] == 9, "its inputs and outputs");
	ok(!spec.has_standard[0] && spec.has_standard[1] && !spec.has_standard[2] && spec.standard_ids[1].bytes[3] == 9, "its standard output only");
	ok(spec.memory_bytes == 1 << 20 && spec.cpu_percent == 0 && spec.gang_size == 2 && spec.job.bytes[31] == 7, "its bounds and groups");
	ok(text_is(&spec.path, "/bin/true"), "its path");
	run_spec_done(&spec);
	free(block);
	b.size -= 8;
	refused(&b, "the last item cut short");
	b.size -= 5;
	refused(&b, "a length that is not whole");
}

static void one_wrong(uint32_t kind, const void *data, uint32_t size, const char *what)
{
	struct bytes b = { .size = 0 };
	add(&b, kind, data, size);
	refused(&b, what);
}

static void wrong_items(void)
{
	uint8_t zeros[64] = { 0 };

	one_wrong(0, "x", 1, "kind 0");
	one_wrong(DIOS_SPEC_GANG_SIZE + 1, zeros, 8, "a kind past the last");
	one_wrong(0xffffffff, zeros, 8, "kind 2^32 - 1");
	one_wrong(DIOS_SPEC_ARGUMENT, "a\0b", 3, "a NUL in an argument");
	one_wrong(DIOS_SPEC_ENVIRONMENT, "A", 1, "a setting without =");
	one_wrong(DIOS_SPEC_ENVIRONMENT, "=A", 2, "a setting without a name");
	one_wrong(DIOS_SPEC_ENVIRONMENT, "", 0, "an empty setting");
	one_wrong(DIOS_SPEC_PATH, "", 0, "an empty path");
	one_wrong(DIOS_SPEC_INPUT, zeros, 15, "an id of 15 bytes");
	one_wrong(DIOS_SPEC_STDERR, zeros, 17, "an id of 17 bytes");
	one_wrong(DIOS_SPEC_MEMORY, zeros, 4, "a number of 4 bytes");
	one_wrong(DIOS_SPEC_JOB, zeros, 31, "a name of 31 bytes");
	one_wrong(DIOS_SPEC_GANG, zeros, 32, "a gang without its size");
	one_wrong(DIOS_SPEC_GANG_SIZE, zeros, 8, "a gang's size without the gang");
}

static void wrong_lengths(void)
{
	static const uint32_t sizes[] = { 9, 16, 0x7fffffff, 0xfffffff8, 0xfffffff9, 0xffffffff };
	struct bytes b = { .size = 0 };

	add_text(&b, DIOS_SPEC_ARGUMENT, "12345678");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memcpy(b.data + 4, &sizes[i], 4);
		char what[64];
		snprintf(what, sizeof(what), "8 bytes that say they are %u", sizes[i]);
		refused(&b, what);
	}
	b.size = 0;
	add_text(&b, DIOS_SPEC_ARGUMENT, "abc");
	b.data[15] = 1;
	refused(&b, "padding that is not zero");
}

static void too_many(void)
{
	struct bytes b = { .size = 0 };
	uint8_t id[16] = { 1 };
	struct run_spec spec;
	uint8_t *block;

	for (int i = 0; i < 256; i++)
		add(&b, DIOS_SPEC_INPUT, id, 16);
	is_int(decode(&b, &spec, &block), 0, "256 inputs");
	run_spec_done(&spec);
	free(block);
	add(&b, DIOS_SPEC_INPUT, id, 16);
	refused(&b, "257 inputs");
	b.size = 0;
	add_text(&b, DIOS_SPEC_PATH, "/a");
	add_text(&b, DIOS_SPEC_PATH, "/b");
	refused(&b, "two programs");
	b.size = 0;
	is_int(decode(&b, &spec, &block), 0, "nothing at all is a specification");
	run_spec_done(&spec);
	free(block);
}

int main(void)
{
	everything();
	wrong_items();
	wrong_lengths();
	too_many();
	return done_testing();
}
