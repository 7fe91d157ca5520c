/* Decoding a task's specification: two passes over hostile bytes. The first checks every length and counts, the second fills in
 * arrays of exactly that size; so nothing is allocated for what is only claimed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/run_spec.h"

#define KINDS (DIOS_SPEC_GANG_SIZE + 1)

struct item { uint32_t kind; const uint8_t *bytes; size_t size; };

/* The item at *at, which is moved past it. 0 at the end. */
static int next_item(const uint8_t *data, size_t size, size_t *at, struct item *ret_item)
{
	struct dios_spec_item head;

	if (*at == size)
		return 0;
	if (size - *at < sizeof(head))
		return -EINVAL;
	memcpy(&head, data + *at, sizeof(head));
	size_t left = size - *at - sizeof(head), padded = ((size_t)head.size + 7) / 8 * 8;
	if (head.kind == 0 || head.kind >= KINDS || head.size > left || padded > left)
		return -EINVAL;
	*ret_item = (struct item){ .kind = head.kind, .bytes = data + *at + sizeof(head), .size = head.size };
	for (size_t i = head.size; i < padded; i++)
		if (ret_item->bytes[i] != 0)
			return -EINVAL;
	*at += sizeof(head) + padded;
	return 1;
}

static bool item_is_text(const struct item *item, bool may_be_empty)
{
	return (item->size > 0 || may_be_empty) && memchr(item->bytes, '\0', item->size) == NULL;
}

static bool item_is_setting(const struct item *item)
{
	const uint8_t *equals = item->size > 0 ? memchr(item->bytes, '=', item->size) : NULL;
	return item_is_text(item, false) && equals && equals != item->bytes;
}

static int item_check(const struct item *item)
{
	switch ((enum dios_spec_kind)item->kind) {
	case DIOS_SPEC_ARGUMENT:
		return item_is_text(item, true) ? 0 : -EINVAL;
	case DIOS_SPEC_ENVIRONMENT:
		return item_is_setting(item) ? 0 : -EINVAL;
	case DIOS_SPEC_PATH:
		return item_is_text(item, false) ? 0 : -EINVAL;
	case DIOS_SPEC_INPUT: case DIOS_SPEC_OUTPUT: case DIOS_SPEC_STDIN: case DIOS_SPEC_STDOUT: case DIOS_SPEC_STDERR:
		return item->size == DIOS_ID_SIZE ? 0 : -EINVAL;
	case DIOS_SPEC_MEMORY: case DIOS_SPEC_CPU: case DIOS_SPEC_NODE: case DIOS_SPEC_GANG_SIZE:
		return item->size == sizeof(uint64_t) ? 0 : -EINVAL;
	case DIOS_SPEC_JOB: case DIOS_SPEC_GANG:
		return item->size == NAME_SIZE ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static int count_items(const uint8_t *data, size_t size, size_t counts[static KINDS])
{
	struct item item;
	size_t at = 0;
	int r;

	while ((r = next_item(data, size, &at, &item)) > 0) {
		r = item_check(&item);
		if (r < 0)
			return r;
		counts[item.kind]++;
	}
	if (r < 0)
		return r;
	for (size_t kind = DIOS_SPEC_STDIN; kind < KINDS; kind++)
		if (counts[kind] > 1)
			return -EINVAL;
	if (counts[DIOS_SPEC_INPUT] > DIOS_SPEC_REFERENCES_MAX || counts[DIOS_SPEC_OUTPUT] > DIOS_SPEC_REFERENCES_MAX)
		return -EINVAL;
	return counts[DIOS_SPEC_GANG] == counts[DIOS_SPEC_GANG_SIZE] ? 0 : -EINVAL;
}

static int allocate(struct run_spec *spec, const size_t counts[static KINDS])
{
	/* One more than needed, so that none is empty. */
	spec->arguments = calloc(counts[DIOS_SPEC_ARGUMENT] + 1, sizeof(*spec->arguments));
	spec->environment = calloc(counts[DIOS_SPEC_ENVIRONMENT] + 1, sizeof(*spec->environment));
	spec->input_ids = calloc(counts[DIOS_SPEC_INPUT] + 1, sizeof(*spec->input_ids));
	spec->output_ids = calloc(counts[DIOS_SPEC_OUTPUT] + 1, sizeof(*spec->output_ids));
	spec->inputs = calloc(counts[DIOS_SPEC_INPUT] + 1, sizeof(struct reference *));
	spec->outputs = calloc(counts[DIOS_SPEC_OUTPUT] + 1, sizeof(struct reference *));
	return spec->arguments && spec->environment && spec->input_ids && spec->output_ids && spec->inputs && spec->outputs ? 0 : -ENOMEM;
}

static uint64_t item_number(const struct item *item)
{
	uint64_t number;
	memcpy(&number, item->bytes, sizeof(number));
	return number;
}

static struct run_text item_text(const struct item *item)
{
	return (struct run_text){ .text = (const char *)item->bytes, .size = item->size };
}

static void take_item(struct run_spec *spec, const struct item *item)
{
	switch ((enum dios_spec_kind)item->kind) {
	case DIOS_SPEC_ARGUMENT: spec->arguments[spec->argument_count++] = item_text(item); break;
	case DIOS_SPEC_ENVIRONMENT: spec->environment[spec->environment_count++] = item_text(item); break;
	case DIOS_SPEC_INPUT: memcpy(spec->input_ids[spec->input_count++].bytes, item->bytes, DIOS_ID_SIZE); break;
	case DIOS_SPEC_OUTPUT: memcpy(spec->output_ids[spec->output_count++].bytes, item->bytes, DIOS_ID_SIZE); break;
	case DIOS_SPEC_STDIN: case DIOS_SPEC_STDOUT: case DIOS_SPEC_STDERR:
		spec->has_standard[item->kind - DIOS_SPEC_STDIN] = true;
		memcpy(spec->standard_ids[item->kind - DIOS_SPEC_STDIN].bytes, item->bytes, DIOS_ID_SIZE);
		break;
	case DIOS_SPEC_PATH: spec->path = item_text(item); break;
	case DIOS_SPEC_MEMORY: spec->memory_bytes = item_number(item); break;
	case DIOS_SPEC_CPU: spec->cpu_percent = item_number(item); break;
	case DIOS_SPEC_NODE: spec->node = item_number(item); break;
	case DIOS_SPEC_JOB: memcpy(spec->job.bytes, item->bytes, NAME_SIZE); break;
	case DIOS_SPEC_GANG: memcpy(spec->gang.bytes, item->bytes, NAME_SIZE); break;
	case DIOS_SPEC_GANG_SIZE: spec->gang_size = item_number(item); break;
	}
}

int run_spec_decode(const uint8_t *data, size_t size, struct run_spec *ret_spec)
{
	size_t counts[KINDS] = { 0 }, at = 0;
	struct item item;

	memset(ret_spec, 0, sizeof(*ret_spec));
	if (size > DIOS_SPEC_MAX)
		return -EINVAL;
	int r = count_items(data, size, counts);
	if (r == 0)
		r = allocate(ret_spec, counts);
	while (r >= 0 && (r = next_item(data, size, &at, &item)) > 0)
		take_item(ret_spec, &item);
	if (r == 0 && ret_spec->gang_size > UINT32_MAX)
		r = -EINVAL;
	return r;
}

void run_spec_done(struct run_spec *spec)
{
	free(spec->arguments);
	free(spec->environment);
	free(spec->input_ids);
	free(spec->output_ids);
	free(spec->inputs);
	free(spec->outputs);
	memset(spec, 0, sizeof(*spec));
}
