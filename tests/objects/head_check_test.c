/* A head of more than 64 MiB is checked in the background once a reader goes past the daemon, also while a tail is written to it. */
#include "objects/object.h"
#include "store/head.h"
#include "store/store.h"
#include "tests/objects/sim_node.h"

#define MIB (1024u * 1024)
#define MIBS 66u
#define TICK_NS (2 * NS_PER_MS)   /* each look at the clock: so that a pass of background work does a part of a head */
#define PASSES 200

static struct sim_node node;

static int64_t tick(struct clock *c) { return ((struct sim_node *)c)->now_ns += TICK_NS; }

static uint64_t begin(void)
{
	node_open(&node);
	disk_sim_set_clock(node.disk, &node.clock);
	uint64_t ino = node_make(&node, "large", KIND_BLOB, 0600, 0);
	struct reference *r = node_reference(&node, ino, RIGHT_READ | RIGHT_WRITE);
	for (uint64_t i = 0; i < MIBS; i++)
		node_write(r, i * MIB, MIB, (uint8_t)(i + 1));
	must(reference_sync(r), "sync");
	reference_close(r);
	node_settle(&node);
	node_restart(&node);
	node.clock.boot_ns = tick;
	return ino;
}

enum flag { CLEAN, EXACT, BAD };

static bool is(uint64_t ino, enum flag flag)
{
	struct object *o;

	must(object_acquire(node.objects, ino, &o), "the object");
	bool set = flag == CLEAN ? o->head_clean : flag == EXACT ? o->head_exact : o->head_bad;
	object_release(o);
	return set;
}

/* Until it is so, or nothing more comes. */
static bool comes(uint64_t ino, enum flag flag)
{
	for (unsigned i = 0; i < PASSES && !is(ino, flag); i++)
		objects_run_due(node.objects);
	return is(ino, flag);
}

static void flip(uint64_t ino, uint64_t offset)
{
	struct head *head;
	uint8_t byte;

	must(head_get(node.store->heads, ino, false, &head), "head");
	must((int)disk_pread(head_file(head), &byte, 1, offset), "read");
	byte ^= 0x10;
	must((int)disk_pwrite(head_file(head), &byte, 1, offset), "write");
	head_put(node.store->heads, head);
}

static struct reference *pass(uint64_t ino, int expected, const char *what)
{
	struct reference *r = node_reference(&node, ino, RIGHT_READ);

	is_int(reference_pass(r, false, false, NULL), expected, "%s", what);
	return r;
}

static void damage_is_found(void)
{
	static uint8_t block[BLOCK_SIZE];
	uint64_t ino = begin();

	flip(ino, 60 * MIB + 5);
	struct reference *r = pass(ino, 0, "a reader of a large head does not wait for its check");
	ok(!is(ino, BAD) && !is(ino, EXACT), "which is not done by then");
	ok(comes(ino, BAD), "it is done in the background, and finds what is damaged");
	reference_close(r);
	r = pass(ino, -EIO, "the next one is served through the daemon");
	is_int(reference_read(r, 60 * MIB, block, BLOCK_SIZE), -EIO, "which refuses the bad block");
	ok(node_reads(r, 59 * MIB, MIB, 60) && node_reads(r, 61 * MIB, MIB, 62), "and serves the others");
	reference_close(r);
	node_close(&node);
}

static void good_is_found_good(void)
{
	uint64_t ino = begin();
	struct reference *r = pass(ino, 0, "a reader of a large head that is good");

	ok(comes(ino, EXACT) && !is(ino, BAD), "it is found good");
	reference_close(r);
	node_close(&node);
}

/* A tail that comes between two parts of a check may leave what is none of the blob's: that check says nothing of the head as a whole. */
static void tail_meanwhile(bool committed)
{
	uint64_t ino = begin();

	reference_close(pass(ino, 0, "a reader of a large head"));
	objects_run_due(node.objects);
	ok(!is(ino, EXACT) && is(ino, CLEAN), "a part of it is checked");
	struct reference *w = node_reference(&node, ino, RIGHT_READ | RIGHT_WRITE);
	node_write(w, MIBS * MIB, 2 * MIB, 'x');
	if (committed)
		must(reference_sync(w), "sync");
	for (unsigned i = 0; i < PASSES; i++)
		objects_run_due(node.objects);
	ok(!is(ino, EXACT), "%s a tail the check is not believed", committed ? "after" : "beside");
	must(reference_sync(w), "sync");
	reference_close(w);
	struct reference *r = pass(ino, 0, "the next reader");
	ok(comes(ino, EXACT), "has it checked again");
	ok(node_reads(r, MIBS * MIB, 2 * MIB, 'x') && node_reads(r, 0, MIB, 1), "with the tail");
	reference_close(r);
	node_close(&node);
}

int main(void)
{
	damage_is_found();
	good_is_found_good();
	tail_meanwhile(false);
	tail_meanwhile(true);
	return done_testing();
}
