/* Blobs that are nearly all holes: what is asked of them does not take longer the larger they are; and how many blocks a blob has. */
#include "tests/objects/sim_node.h"

#define RIGHTS (RIGHT_READ | RIGHT_WRITE)
#define TIB (1ull << 40)
#define KIB 1024

static struct sim_node node;

static uint64_t sectors(uint64_t ino)
{
	struct attributes a;

	must(object_get(node.objects, ino, &a), "attributes");
	return a.record.blocks;
}

static void resize(uint64_t ino, uint64_t size)
{
	struct attribute_change change = { .mask = SET_SIZE, .size = size };

	must(object_set(node.objects, ino, &change, NULL), "truncate");
}

static int64_t seek(struct reference *r, uint64_t offset, bool hole)
{
	uint64_t found;
	int e = reference_seek(r, offset, hole, &found);

	return e < 0 ? e : (int64_t)found;
}

static void test_seek_and_clone(void)
{
	uint64_t ino = node_make(&node, "hole", KIND_BLOB, 0600, 0), clone_ino = node_make(&node, "clone", KIND_BLOB, 0600, 0);
	struct reference *r = node_reference(&node, ino, RIGHTS), *to = node_reference(&node, clone_ino, RIGHTS);

	resize(ino, 12 * TIB);
	is_int(seek(r, 0, false), -ENXIO, "twelve tebibytes of hole have no data");
	is_int(seek(r, 5, true), 5, "and are a hole from every byte on");
	node_write(r, 8 * TIB + 4096, 8192, 'a');
	is_int(seek(r, 0, false), 8 * TIB + 4096, "data far behind is found");
	is_int(seek(r, 8 * TIB + 5000, false), 8 * TIB + 5000, "data is where it is asked for");
	is_int(seek(r, 8 * TIB + 5000, true), 8 * TIB + 12288, "and ends where the next hole begins");
	is_int(seek(r, 8 * TIB + 12288, false), -ENXIO, "behind it is none");
	is_int(reference_clone(r, to), 0, "it is cloned");
	ok(node_size(&node, clone_ino) == 12 * TIB && node_reads(to, 8 * TIB + 4096, 8192, 'a') && node_reads(to, 8 * TIB, 4096, 0), "with its data");
	is_int(seek(to, 0, false), 8 * TIB + 4096, "and its holes");
	reference_close(to);
	reference_close(r);
}

/* A whole MiB, so that the next data is found in another entry. */
static void test_seek_over_data(void)
{
	uint64_t ino = node_make(&node, "data", KIND_BLOB, 0600, 0);
	struct reference *r = node_reference(&node, ino, RIGHTS);

	node_write(r, 0, 2048 * KIB, 'a');
	is_int(seek(r, 100, true), 2048 * KIB, "two whole mebibytes end in a hole");
	resize(ino, 9000 * KIB);
	is_int(seek(r, 100, true), 2048 * KIB, "also when the blob goes on");
	node_write(r, 8000 * KIB, 10, 'b');
	is_int(seek(r, 2048 * KIB, false), 8000 * KIB, "and the next data is found");
	is_int(seek(r, 8000 * KIB + 5, true), 8004 * KIB, "with its end");
	reference_close(r);
}

static void test_blocks(void)
{
	uint64_t ino = node_make(&node, "blocks", KIND_BLOB, 0600, 0);
	struct reference *r = node_reference(&node, ino, RIGHTS);

	node_write(r, 0, 100 * KIB, 'a');
	is_int(sectors(ino), 200, "what is written has blocks before it is committed");
	must(reference_sync(r), "sync");
	is_int(sectors(ino), 200, "as many as afterwards");
	node_write(r, 8 * KIB, 40 * KIB, 'b');
	is_int(sectors(ino), 200, "what is overwritten has no more");
	resize(ino, 0);
	resize(ino, 400 * KIB);
	is_int(sectors(ino), 0, "a hole has none");
	node_write(r, 100 * KIB, 10, 'c');
	ok(sectors(ino) > 0, "but with the first byte in it");
	must(reference_sync(r), "sync");
	is_int(sectors(ino), 8, "those of the block where it is");
	reference_close(r);
}

/* Unaligned, it would be more rows than a command has: that is said before anything is written. */
static void test_largest_publication(void)
{
	uint64_t ino = node_make(&node, "publish", KIND_BLOB, 0600, 0), version;
	struct reference *r = node_reference(&node, ino, RIGHTS);
	uint8_t *bytes = calloc(1, 256 << 20);

	resize(ino, TIB);
	is_int(bytes ? reference_commit(r, 0, COMMIT_FORCE, 4096 * 1000 + 1, bytes, 256 << 20, &version) : 0, -EMSGSIZE, "a commit_write over more blocks than fit");
	is_int(sectors(ino), 0, "changes nothing");
	free(bytes);
	reference_close(r);
}

int main(void)
{
	node_open(&node);
	test_seek_and_clone();
	test_seek_over_data();
	test_blocks();
	test_largest_publication();
	node_close(&node);
	return done_testing();
}
