/* Whatever a head holds under a hole, or past the end, reads as zeros: tails that died with the machine, blocks that were trimmed.
 *
 * Random changes of one blob, through the daemon and past it, against an array of bytes. Before each kill and power cut dirt is written into the
 * head wherever the state says that nothing is; it must not come up again, neither in what the daemon reads, nor in what the kernel reads past it, nor in a clone;
 * and no block that nobody wrote to is made present, so that holes take no room. */
#include <fcntl.h>
#include <linux/falloc.h>

#include "store/head.h"
#include "store/store.h"
#include "tests/objects/sim_node.h"

#define KIB 1024u
#define BLOCKS 96u
#define SIZE_MAX_BYTES (BLOCKS * BLOCK_SIZE)
#define INLINE_MAX 12000u         /* sim_node.h's */
#define STEPS 2500
#define DIRT 0xd1

static struct sim_node node;
static uint64_t ino;
static struct reference *blob;
static uint8_t model[SIZE_MAX_BYTES], got[SIZE_MAX_BYTES], random_bytes[SIZE_MAX_BYTES];
static bool written[BLOCKS];
static uint64_t model_size;
static unsigned dirtied, past;

static uint64_t below(uint64_t bound) { return random_below(&node.random.source, bound); }

/* ---- the model ----------------------------------------------------------------------------------------------------- */

static void model_write(uint64_t offset, const uint8_t *bytes, uint64_t size)
{
	memcpy(model + offset, bytes, size);
	for (uint64_t b = offset / BLOCK_SIZE; b <= (offset + size - 1) / BLOCK_SIZE; b++)
		written[b] = true;
	if (offset + size > model_size)
		model_size = offset + size;
}

static void model_zero(uint64_t offset, uint64_t end, bool in_place)
{
	if (end > model_size)
		end = model_size;
	if (offset < end)
		memset(model + offset, 0, end - offset);
	/* A block that goes as a whole, up to the end, is a hole again; in place that is the file system's to say, which leaves the last one. */
	for (uint64_t b = 0; b < BLOCKS; b++) {
		if (b * BLOCK_SIZE >= offset && b * BLOCK_SIZE < end && ((b + 1) * BLOCK_SIZE <= end || (end == model_size && !in_place)))
			written[b] = false;
	}
}

static void model_resize(uint64_t size)
{
	if (size < model_size)
		memset(model + size, 0, model_size - size);
	for (uint64_t b = (size + BLOCK_SIZE - 1) / BLOCK_SIZE; b < BLOCKS; b++)
		written[b] = false;
	model_size = size;
}

/* ---- what there is ------------------------------------------------------------------------------------------------- */

static struct record record(void)
{
	struct attributes a;

	must(object_get(node.objects, ino, &a), "attributes");
	return a.record;
}

static bool is_present(uint64_t block)
{
	struct state_crcs crcs;

	return state_get_crcs(cluster_state(node.cluster, ino), ino, block / CRC_BLOCKS, &crcs) == 0 && crcs.present[block % CRC_BLOCKS / 8] >> (block % 8) & 1;
}

static const char *check(void)
{
	if (record().size != model_size)
		return "another size";
	memset(got, DIRT, sizeof(got));
	if (reference_read(blob, 0, got, sizeof(got)) != (ssize_t)model_size)
		return "a short read";
	return memcmp(got, model, model_size) == 0 ? NULL : "wrong bytes";
}

static const char *check_holes(void)
{
	if (reference_sync(blob) < 0)
		return "fsync fails";
	if (record().in_place || record().place != PLACE_HEAD)
		return NULL;
	for (uint64_t b = 0; b < BLOCKS; b++) {
		if (!written[b] && is_present(b))
			return "what nobody wrote takes room";
	}
	return NULL;
}

/* ---- steps --------------------------------------------------------------------------------------------------------- */

static const char *step_write(void)
{
	uint64_t size = 1 + below(below(3) ? 3000 : 60 * KIB), offset = below(2) ? model_size : below(SIZE_MAX_BYTES);

	if (offset + size > SIZE_MAX_BYTES)
		return NULL;
	const uint8_t *bytes = random_bytes + below(SIZE_MAX_BYTES - size);
	if (reference_write(blob, offset, bytes, size, false) != (ssize_t)size)
		return "a write fails";
	model_write(offset, bytes, size);
	return NULL;
}

static const char *step_publish(void)
{
	uint64_t size = 1 + below(below(3) ? 3000 : 60 * KIB), offset = below(SIZE_MAX_BYTES - size), version;
	const uint8_t *bytes = random_bytes + below(SIZE_MAX_BYTES - size);

	if (reference_commit(blob, 0, COMMIT_FORCE, offset, bytes, size, &version) < 0)
		return "commit_write fails";
	model_write(offset, bytes, size);
	return NULL;
}

static const char *step_resize(void)
{
	uint64_t size = below(SIZE_MAX_BYTES);
	struct attribute_change change = { .mask = SET_SIZE, .size = below(4) ? size : size / BLOCK_SIZE * BLOCK_SIZE };

	if (object_set(node.objects, ino, &change, NULL) < 0)
		return "truncate fails";
	model_resize(change.size);
	return NULL;
}

static const char *step_zero(void)
{
	uint64_t size = 1 + below(40 * KIB), offset = below(SIZE_MAX_BYTES);
	int mode = below(2) ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	if (reference_allocate(blob, mode | FALLOC_FL_KEEP_SIZE, offset, size) < 0)
		return "fallocate fails";
	model_zero(offset, offset + size, record().in_place);
	return NULL;
}

/* The kernel has the head; what it reads there is the blob. */
static const char *step_past(void)
{
	bool write = below(2);
	struct head *head;
	const char *wrong = NULL;
	int r = reference_pass(blob, write, false, NULL);

	if (r == -EOPNOTSUPP)
		return NULL;   /* it is small */
	if (r < 0)
		return "it is not opened past the daemon";
	past++;
	must(head_get(node.store->heads, ino, true, &head), "head");
	ssize_t n = disk_pread(head_file(head), got, sizeof(got), 0);
	if (n != (ssize_t)model_size || memcmp(got, model, model_size) != 0)
		wrong = "read past the daemon it is another";
	if (!wrong && write && below(2)) {
		uint64_t size = 1 + below(9000), offset = below(SIZE_MAX_BYTES - size);
		const uint8_t *bytes = random_bytes + below(SIZE_MAX_BYTES - size);
		if (disk_pwrite(head_file(head), bytes, size, offset) < 0)
			wrong = "a write past the daemon fails";
		model_write(offset, bytes, size);
	}
	head_put(node.store->heads, head);
	reference_unpass(blob);
	if (!wrong && below(2))
		node_settle(&node);
	return wrong;
}

static const char *step_clone(void)
{
	struct attributes a;
	uint64_t clone = node_make(&node, "clone", KIND_BLOB, 0600, 0);
	struct reference *to = node_reference(&node, clone, RIGHT_READ | RIGHT_WRITE);
	const char *wrong = reference_clone(blob, to) < 0 ? "a clone fails" : NULL;

	if (!wrong && below(2)) {   /* dirt that came along would show where the clone grows */
		struct attribute_change change = { .mask = SET_SIZE, .size = SIZE_MAX_BYTES };
		must(object_set(node.objects, clone, &change, NULL), "truncate");
	}
	must(object_get(node.objects, clone, &a), "attributes");
	if (!wrong && (reference_read(to, 0, got, sizeof(got)) != (ssize_t)a.record.size || memcmp(got, model, a.record.size) != 0))
		wrong = "a clone is another";
	if (!wrong && reference_pass(to, true, false, NULL) == 0) {
		struct head *head;
		must(head_get(node.store->heads, clone, true, &head), "head");
		if (disk_pread(head_file(head), got, sizeof(got), 0) != (ssize_t)a.record.size || memcmp(got, model, a.record.size) != 0)
			wrong = "read past the daemon a clone is another";
		head_put(node.store->heads, head);
		reference_unpass(to);
	}
	reference_close(to);
	must(object_unlink(node.objects, ROOT_INO, "clone", 5, false), "unlink");
	return wrong;
}

static void write_dirt(void)
{
	static uint8_t dirt[BLOCK_SIZE];
	struct head *head;

	memset(dirt, DIRT, sizeof(dirt));
	if (record().in_place || record().place != PLACE_HEAD || head_get(node.store->heads, ino, true, &head) < 0)
		return;
	for (uint64_t b = 0; b < BLOCKS; b++) {
		uint64_t from = b * BLOCK_SIZE;
		if (is_present(b) && from + BLOCK_SIZE > model_size && from < model_size)
			from = model_size;   /* the end cuts it */
		else if (is_present(b))
			continue;
		must(disk_pwrite(head_file(head), dirt, (b + 1) * BLOCK_SIZE - from, from), "dirt");
		dirtied++;
	}
	must(head_sync(node.store->heads, head), "sync");
	head_put(node.store->heads, head);
}

static const char *step_die(void)
{
	if (below(2))
		node_settle(&node);
	if (reference_sync(blob) < 0)
		return "fsync fails";
	write_dirt();
	reference_close(blob);
	if (below(2))
		node_power_cut(&node);
	else
		node_kill(&node);
	blob = node_reference(&node, ino, RIGHT_READ | RIGHT_WRITE);
	return NULL;
}

static const char *step(void)
{
	static const char *(*const steps[])(void) = { step_write, step_write, step_write, step_publish, step_resize, step_resize, step_resize, step_zero, step_zero, step_past,
		step_past, step_clone, step_die };

	node.now_ns += 100 * NS_PER_MS;   /* more than a tick: what is written has another time */
	const char *wrong = steps[below(sizeof(steps) / sizeof(steps[0]))]();

	if (!wrong)
		wrong = check();
	/* A small blob has no holes, nor has one that becomes small again when it is sealed. */
	bool small = record().place == PLACE_INLINE || (record().in_place && model_size <= INLINE_MAX);
	for (uint64_t b = 0; small && b * BLOCK_SIZE < model_size; b++)
		written[b] = true;
	if (!wrong && below(4) == 0)
		wrong = check_holes();
	if (!wrong && below(8) == 0)
		node_settle(&node);
	return wrong ? wrong : check();
}

static void run(uint64_t seed)
{
	const char *wrong = NULL;
	unsigned steps = 0;

	node_open(&node);
	random_seeded_init(&node.random, seed);
	disk_sim_set_clock(node.disk, &node.clock);
	random_fill(&node.random.source, random_bytes, sizeof(random_bytes));
	memset(model, 0, sizeof(model));
	memset(written, 0, sizeof(written));
	model_size = 0;
	ino = node_make(&node, "blob", KIND_BLOB, 0600, 0);
	blob = node_reference(&node, ino, RIGHT_READ | RIGHT_WRITE);
	for (; !wrong && steps < STEPS; steps++)
		wrong = step();
	reference_close(blob);
	node_close(&node);
	ok(!wrong, "hole_reads_as_zeros: seed %" PRIu64 ", %u random steps: %s", seed, steps, wrong ? wrong : "whatever the head holds there");
}

/* With an argument, that seed alone. */
int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, count = argc > 1 ? 1 : getenv("DIOS_TEST_LONG") ? 40 : 5;

	for (uint64_t seed = first; seed < first + count; seed++)
		run(seed);
	ok(dirtied > 1000 && past > 100, "there was dirt under holes (%u blocks), and reading past the daemon (%u times)", dirtied, past);
	return done_testing();
}
