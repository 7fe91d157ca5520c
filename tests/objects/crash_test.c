/* The daemon or the machine stops between two steps of a file operation. */
#include "tests/objects/sim_node.h"

#define RIGHTS (RIGHT_READ | RIGHT_WRITE)

static struct sim_node node;

static void resize(uint64_t ino, uint64_t size)
{
	struct attribute_change change = { .mask = SET_SIZE, .size = size };

	(void)object_set(node.objects, ino, &change, NULL);
}

/* A small blob that was to become a huge hole, killed at each step: it has one of the two sizes, and can be committed. */
static void test_growth_to_a_hole(void)
{
	bool good = true, crashed = true;

	for (uint64_t step = 1; good && crashed; step++) {
		node_open(&node);
		uint64_t ino = node_make(&node, "hole", KIND_BLOB, 0600, 0);
		struct reference *r = node_reference(&node, ino, RIGHTS);
		node_write(r, 0, 5, 'a');
		must(reference_sync(r), "sync");
		disk_sim_crash_after(node.disk, step);
		resize(ino, 1ull << 40);
		crashed = disk_sim_crashed(node.disk);
		reference_close(r);
		disk_sim_crash_after(node.disk, 0);
		if (crashed) {
			node_kill(&node);
			r = node_reference(&node, ino, RIGHTS);
			uint64_t size = node_size(&node, ino);
			int e = reference_sync(r);
			good = e == 0 && (size == 5 || size == 1ull << 40) && node_reads(r, 0, 5, 'a');
			if (!good)
				printf("# step %" PRIu64 ": fsync gave %d, size %" PRIu64 "\n", step, e, size);
			reference_close(r);
		}
		node_close(&node);
	}
	ok(good, "a small blob that a kill caught while it became a hole of a tebibyte can be synced");
}

/* R7: both objects of an exchange are renamed. */
static void R7_exchange_commits_both(void)
{
	static const char *const names[] = { "first", "second" };
	uint64_t inos[2];
	bool kept = true;

	for (unsigned dirty = 0; dirty < 2; dirty++) {
		node_open(&node);
		for (unsigned i = 0; i < 2; i++) {
			inos[i] = node_make(&node, names[i], KIND_BLOB, 0600, 0);
			struct reference *r = node_reference(&node, inos[i], RIGHTS);
			if (i != dirty) {
				node_write(r, 0, 100, 'c');
				must(reference_sync(r), "sync");
			}
			reference_close(r);
		}
		struct reference *r = node_reference(&node, inos[dirty], RIGHTS);
		node_write(r, 0, 100, 'd');
		must(object_rename(node.objects, ROOT_INO, names[0], 5, ROOT_INO, names[1], 6, 2 /* RENAME_EXCHANGE */), "exchange");
		must(cluster_sync(node.cluster), "sync of the log");
		reference_close(r);
		node_power_cut(&node);
		kept = kept && node_size(&node, inos[dirty]) == 100;
		node_close(&node);
	}
	ok(kept, "R7_exchange_commits_both: what an exchange gives a new name to is there with its bytes, whichever of the two it is");
}

/* P9: the set-user-id bit goes with the write, not some time after it. */
static void P9_privilege_goes_with_the_bytes(void)
{
	struct attributes a;
	struct attribute_change set = { .mask = SET_MODE, .mode = 04755 };

	node_open(&node);
	uint64_t ino = node_make(&node, "suid", KIND_BLOB, 04755, 0);
	struct reference *r = node_reference(&node, ino, RIGHTS);
	must(reference_write(r, 0, "new", 3, true) == 3 ? 0 : -EIO, "write");
	reference_close(r);
	node_kill(&node);
	must(object_get(node.objects, ino, &a), "attributes");
	ok(a.record.size == 3 && (a.record.mode & 07777) == 0755, "P9_privilege_goes_with_the_bytes: a kill after the write does not give set-user-id back");
	r = node_reference(&node, ino, RIGHTS);
	must(reference_write(r, 0, "old", 3, true) == 3 ? 0 : -EIO, "write");
	must(object_set(node.objects, ino, &set, NULL), "chmod");
	must(reference_sync(r), "sync");
	must(object_get(node.objects, ino, &a), "attributes");
	ok((a.record.mode & 07777) == 04755, "nor does a write take what a later chmod has set");
	reference_close(r);
	node_close(&node);
}

/* The bytes were to be durable within a second, of which the death of the daemon takes nothing away. */
static void test_power_cut_after_a_kill(void)
{
	node_open(&node);
	uint64_t ino = node_make(&node, "file", KIND_BLOB, 0600, 0);
	struct reference *r = node_reference(&node, ino, RIGHTS);
	node_write(r, 0, 100, 'a');
	reference_close(r);
	node_kill(&node);
	node_power_cut(&node);
	r = node_reference(&node, ino, RIGHTS);
	ok(node_reads(r, 0, 100, 'a'), "what the next daemon finds uncommitted is durable when it has started");
	reference_close(r);
	node_close(&node);
}

int main(void)
{
	test_power_cut_after_a_kill();
	test_growth_to_a_hole();
	R7_exchange_commits_both();
	P9_privilege_goes_with_the_bytes();
	return done_testing();
}
