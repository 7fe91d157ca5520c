/* The scrubber beside living objects. */
#include "objects/scrub.h"

#include "base/buffer.h"
#include "tests/objects/sim_node.h"

#define RIGHTS (RIGHT_READ | RIGHT_WRITE)
#define KIB 1024

/* What is below us on the stack is what nobody has initialized. */
static __attribute__((noinline)) void fill_stack(void)
{
	uint8_t below[128 * KIB];

	memset(below, 0xa5, sizeof(below));
	__asm__ volatile("" : : "r"(below) : "memory");
}

static bool scrub_says(struct scrub *s, const char *words)
{
	_cleanup_buffer_ struct buffer out = { .limit = 1 << 20 };

	must(scrub_print(s, &out), "scrub_print");
	must(buffer_append(&out, "", 1), "buffer");
	return strstr((const char *)out.data, words) != NULL;
}

static void rows_that_no_head_has_yet(void)
{
	struct sim_node node;
	struct scrub *s;

	node_open(&node);
	uint64_t ino = node_make(&node, "file", KIND_BLOB, 0600, 0);
	struct reference *r = node_reference(&node, ino, RIGHTS);
	node_write(r, 0, 100 * KIB, 'a');
	must(reference_sync(r), "sync");
	node_settle(&node);
	node_write(r, 0, 10 * KIB, 'b');
	must(reference_sync(r), "sync");
	must(scrub_new(node.objects, 1 << 30, 3600 * NS_PER_SECOND, &s), "scrub_new");
	for (int i = 0; i < 10000 && !scrub_says(s, "\"passes\": 1,"); i++) {
		fill_stack();
		node.now_ns += scrub_step(s);
	}
	ok(scrub_says(s, "\"passes\": 1,"), "committed blocks that a head has not absorbed are passed over");
	ok(scrub_says(s, "\"damaged\": []"), "and nothing is damaged");
	scrub_free(s);
	reference_close(r);
	node_close(&node);
}

int main(void)
{
	rows_that_no_head_has_yet();
	return done_testing();
}
