/* See scrub_file.h. */
#include "objects/scrub_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "objects/damaged.h"

#define FILE_MAX (4u << 20)   /* bytes: the list of damage is bounded */

static int write_file(struct disk *disk, const struct buffer *text)
{
	struct disk_file *file;
	int r = disk_open(disk, "scrub.new", O_RDWR | O_CREAT | O_TRUNC, &file);

	if (r < 0)
		return r;
	r = disk_pwrite(file, text->data, text->size, 0);
	if (r == 0)
		r = disk_sync(file);
	disk_close(file);
	return r == 0 ? disk_rename(disk, "scrub.new", "scrub") : r;
}

int scrub_save(struct objects *os, const struct scrub_place *p)
{
	_cleanup_buffer_ struct buffer text;
	char after[NAME_TEXT_SIZE + 1];
	size_t count;
	struct damaged_block *list = damaged_list(os, &count);

	buffer_init(&text, FILE_MAX);
	name_to_text(&p->after, after);
	buffer_printf(&text, "dios scrub\nversion 1\npasses %" PRIu64 "\nbegan %" PRId64 "\nfull %" PRId64 "\ndone %" PRIu64 "\nplace %d %d %s\n", p->passes, p->began_ns,
		p->full_ns, p->done_bytes, p->in_pass, p->in_objects, after);
	for (size_t i = 0; i < count; i++)
		buffer_printf(&text, "damaged %" PRIu64 " %" PRIu64 " %" PRId64 " %s\n", list[i].ino, list[i].block, list[i].since_ns, list[i].file);
	free(list);
	buffer_printf(&text, "checksum %08" PRIx32 "\n", crc32c(0, text.data, text.size));
	int r = buffer_error(&text);
	return r < 0 ? r : write_file(objects_store(os)->disk, &text);
}

static int parse(struct objects *os, char *text, size_t size, struct scrub_place *p)
{
	static const char mark[] = "checksum ";
	char after[NAME_TEXT_SIZE + 1] = "";
	int in_pass, in_objects, version;
	uint32_t crc;

	if (size < 18 || memcmp(text + size - 18, mark, strlen(mark)) != 0 || sscanf(text + size - 9, "%8" SCNx32, &crc) != 1 || crc32c(0, text, size - 18) != crc)
		return -EBADMSG;
	if (sscanf(text, "dios scrub\nversion %d\npasses %" SCNu64 "\nbegan %" SCNd64 "\nfull %" SCNd64 "\ndone %" SCNu64 "\nplace %d %d %43s\n", &version, &p->passes,
		   &p->began_ns, &p->full_ns, &p->done_bytes, &in_pass, &in_objects, after) != 8 || version != 1 || name_from_text(after, strlen(after), &p->after) < 0)
		return -EBADMSG;
	p->in_pass = in_pass;
	p->in_objects = in_objects;
	for (char *line = strstr(text, "\ndamaged "); line; line = strstr(line + 1, "\ndamaged ")) {
		struct damaged_block b = { 0 };
		struct record record;
		if (sscanf(line, "\ndamaged %" SCNu64 " %" SCNu64 " %" SCNd64 " %63s", &b.ino, &b.block, &b.since_ns, b.file) != 4)
			continue;
		if (b.ino && state_get(cluster_state(objects_cluster(os), b.ino), b.ino, &record) == 0)
			b.name = record.name;
		(void)damaged_add(os, &b);
	}
	return 0;
}

int scrub_load(struct objects *os, struct scrub_place *ret_place)
{
	struct scrub_place p = { 0 };
	struct disk_file *file;
	int r = disk_open(objects_store(os)->disk, "scrub", O_RDONLY, &file);

	if (r < 0)
		return r;
	_cleanup_free_ char *text = malloc(FILE_MAX + 1);
	ssize_t n = text ? disk_pread(file, text, FILE_MAX, 0) : -ENOMEM;
	disk_close(file);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	r = strlen(text) == (size_t)n ? parse(os, text, (size_t)n, &p) : -EBADMSG;
	if (r == 0)
		*ret_place = p;
	return r;
}
