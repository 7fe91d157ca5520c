/* What is cut, punched or removed is given back to the disk. */
#include <fcntl.h>
#include <linux/falloc.h>

#include "tests/objects/sim_node.h"

#define KIB 1024

static struct sim_node node;

/* Once everything is where it belongs. */
static int64_t free_kib(void)
{
	struct disk_space space;

	node_settle(&node);
	must(disk_space(node.disk, &space), "space");
	return (int64_t)space.free_bytes / KIB;
}

static void write_kib(struct reference *r, uint64_t at_kib, size_t kib)
{
	uint8_t *bytes = malloc(kib * KIB);

	if (!bytes)
		abort();
	memset(bytes, 'x', kib * KIB);
	must(reference_write(r, at_kib * KIB, bytes, kib * KIB, false) == (ssize_t)(kib * KIB) ? 0 : -EIO, "write");
	must(reference_sync(r), "sync");
	free(bytes);
}

static void resize(uint64_t ino, uint64_t kib)
{
	struct attribute_change change = { .mask = SET_SIZE, .size = kib * KIB };

	must(object_set(node.objects, ino, &change, NULL), "truncate");
}

/* The log and the state take some of it. */
static void returned(int64_t before_kib, int64_t want_kib, const char *what)
{
	int64_t got = free_kib() - before_kib;

	ok(got >= want_kib - 40 && got <= want_kib + 40, "%s (%" PRId64 " KiB)", what, got);
}

int main(void)
{
	char byte = 0;

	node_open(&node);
	uint64_t ino = node_make(&node, "file", KIND_BLOB, 0600, 0);
	struct reference *r = node_reference(&node, ino, RIGHT_READ | RIGHT_WRITE);
	int64_t before = free_kib();
	write_kib(r, 0, 800);
	returned(before, -800, "what is written takes room");
	before = free_kib();
	resize(ino, 500);
	returned(before, 300, "what is truncated gives it back");
	before = free_kib();
	resize(ino, 800);
	returned(before, 0, "growth without bytes takes none");
	ok(reference_read(r, 600 * KIB, &byte, 1) == 1 && byte == 0, "and reads as zeros");
	before = free_kib();
	must(reference_allocate(r, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100 * KIB, 200 * KIB), "punch");
	returned(before, 200, "a hole gives back what was there");
	ok(reference_read(r, 200 * KIB, &byte, 1) == 1 && byte == 0, "and reads as zeros");
	write_kib(r, 0, 500);
	before = free_kib();
	must(object_unlink(node.objects, ROOT_INO, "file", 4, false), "unlink");
	returned(before, 0, "an open file without a path keeps its room");
	ok(reference_read(r, 200 * KIB, &byte, 1) == 1 && byte == 'x', "and its bytes");
	before = free_kib();
	reference_close(r);
	returned(before, 500, "its last handle gives it back");
	node_close(&node);
	return done_testing();
}
