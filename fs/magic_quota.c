/* .dios/quota: what the realm may have and has, as one JSON object for whoever reads it, and "BYTES OBJECTS" from root, who sets it: decimal
 * numbers, 0 for no limit, "-" for the one there is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fs/magic_parts.h"

#define LINE_MAX_BYTES 64u

static void print_limit(struct buffer *out, uint64_t limit)
{
	if (limit > 0)
		buffer_printf(out, "%" PRIu64, limit);
	else
		buffer_printf(out, "null");
}

int quota_print(struct fs *fs, struct buffer *out)
{
	struct state_usage usage;

	objects_get_usage(fs->objects, &usage);
	buffer_printf(out, "{\"realm\": %u, \"bytes\": %" PRIu64 ", \"bytes_limit\": ", REALM_FIRST, usage.used.bytes);
	print_limit(out, usage.limit.bytes);
	buffer_printf(out, ", \"objects\": %" PRIu64 ", \"objects_limit\": ", usage.used.objects);
	print_limit(out, usage.limit.objects);
	return buffer_printf(out, "}\n");
}

static int parse_limit(const char *text, uint64_t *limit)
{
	char *end;

	if (strcmp(text, "-") == 0)
		return 0;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (errno != 0 || *end)
		return errno == ERANGE ? -ERANGE : -EINVAL;
	*limit = value;
	return 0;
}

int quota_write(struct fs *fs, const char *line, size_t size)
{
	char text[LINE_MAX_BYTES + 1];
	struct state_usage usage;

	if (size > LINE_MAX_BYTES || memchr(line, '\0', size))
		return -EINVAL;
	memcpy(text, line, size);
	text[size] = '\0';
	char *space = strchr(text, ' ');
	if (!space)
		return -EINVAL;
	*space = '\0';
	objects_get_usage(fs->objects, &usage);
	int r = parse_limit(text, &usage.limit.bytes);
	if (r == 0)
		r = parse_limit(space + 1, &usage.limit.objects);
	return r < 0 ? r : objects_set_quota(fs->objects, &usage.limit);
}
