/* A quota above the state: what write() takes finds room when it is committed, what it refuses does not fit, and what is refused leaves nothing.
 *
 * Random writes, cuts, syncs, holes and ends of the daemon on a few blobs, under a limit that is mostly near: each write that is refused, with
 * nothing uncommitted, is done again without the quota, and is past the limit then. */
#include <fcntl.h>
#include <linux/falloc.h>

#include "tests/objects/sim_node.h"

#define KIB 1024u
#define BLOBS 5
#define STEPS 1500
#define FILE_MAX (400 * KIB)

static struct sim_node node;
static uint64_t inos[BLOBS];
static struct reference *references[BLOBS];
static uint8_t bytes[64 * KIB];
static uint64_t limit;

static uint64_t below(uint64_t bound) { return random_below(&node.random.source, bound); }

static void set_limit(uint64_t bytes_limit)
{
	limit = bytes_limit;
	must(objects_set_quota(node.objects, &(struct state_quota){ .bytes = bytes_limit }), "quota");
}

static uint64_t used(void)
{
	struct state_usage usage;

	objects_get_usage(node.objects, &usage);
	return usage.used.bytes;
}

static void open_all(void)
{
	for (unsigned i = 0; i < BLOBS; i++)
		references[i] = node_reference(&node, inos[i], RIGHT_READ | RIGHT_WRITE);
}

static void close_all(void)
{
	for (unsigned i = 0; i < BLOBS; i++)
		reference_close(references[i]);
}

/* What was taken is committed: never is there no room. */
static int sync_all(void)
{
	for (unsigned i = 0; i < BLOBS; i++) {
		int r = reference_sync(references[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static const char *step_write(void)
{
	static const uint64_t sizes[] = { 100, 5000, 5000, 20000, sizeof(bytes) };
	struct reference *r = references[below(BLOBS)];
	uint64_t size = below(sizes[below(5)]) + 1, offset = below(FILE_MAX - size);
	ssize_t n = reference_write(r, offset, bytes, size, false);

	if (n != -EDQUOT)
		return n > 0 ? NULL : "a write fails otherwise";
	if (sync_all() < 0)
		return "a commit of what was taken fails";
	n = reference_write(r, offset, bytes, size, false);
	if (n != -EDQUOT)
		return n > 0 ? NULL : "a write fails otherwise";
	uint64_t refused_at = limit;
	set_limit(0);
	if (reference_write(r, offset, bytes, size, false) != (ssize_t)size || reference_sync(r) < 0)
		return "without a quota it fails";
	if (used() <= refused_at)
		return "what fits is refused";
	set_limit(used() + below(200 * KIB));
	return NULL;
}

static const char *step_cut(void)
{
	struct attribute_change change = { .mask = SET_SIZE, .size = below(3) ? below(FILE_MAX) : 0 };
	uint64_t ino = inos[below(BLOBS)];

	if (change.size >= node_size(&node, ino))
		return NULL;
	return object_set(node.objects, ino, &change, NULL) < 0 ? "cutting fails" : NULL;
}

static const char *step_punch(void)
{
	int r = reference_allocate(references[below(BLOBS)], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, below(FILE_MAX), 1 + below(60 * KIB));

	return r < 0 ? "punching fails" : NULL;
}

static const char *step(void)
{
	uint64_t what = below(100);

	if (what < 75)
		return step_write();
	if (what < 83)
		return step_cut();
	if (what < 87)
		return step_punch();
	if (what < 90)
		return sync_all() < 0 ? "a commit of what was taken fails" : used() > limit ? "more is used than may be" : NULL;
	if (what < 97) {
		node.now_ns += NS_PER_SECOND;
		objects_run_due(node.objects);
	} else if (what < 99) {
		if (sync_all() < 0)
			return "a commit of what was taken fails";
		set_limit(used() + below(300 * KIB));
	} else {
		close_all();
		node_kill(&node);
		open_all();
	}
	return NULL;
}

static void at_random(void)
{
	const char *wrong = NULL;
	unsigned steps = 0;

	node_open(&node);
	random_fill(&node.random.source, bytes, sizeof(bytes));
	for (unsigned i = 0; i < BLOBS; i++)
		inos[i] = node_make(&node, (char[]){ (char)('a' + i), 0 }, KIND_BLOB, 0600, 0);
	open_all();
	set_limit(300 * KIB);
	for (; !wrong && steps < STEPS; steps++)
		wrong = step();
	if (!wrong && sync_all() < 0)
		wrong = "a commit of what was taken fails";
	ok(!wrong, "quota_known_at_write: %u random steps: %s", steps, wrong ? wrong : "refused is what does not fit, and only that");
	close_all();
	node_close(&node);
}

static void is_used(uint64_t before, const char *what)
{
	node_settle(&node);
	ok(used() == before, "%s: nothing is left of it (%" PRIu64 ", before %" PRIu64 ")", what, used(), before);
}

static void whole_or_nothing(void)
{
	uint64_t version, other;

	node_open(&node);
	inos[0] = node_make(&node, "from", KIND_BLOB, 0600, 0);
	inos[1] = node_make(&node, "to", KIND_BLOB, 0600, 0);
	uint64_t stream = node_make(&node, "stream", KIND_STREAM, 0600, 0);
	struct reference *from = node_reference(&node, inos[0], RIGHT_READ | RIGHT_WRITE), *to = node_reference(&node, inos[1], RIGHT_READ | RIGHT_WRITE);
	struct reference *records = node_reference(&node, stream, RIGHT_READ | RIGHT_WRITE);
	node_write(from, 0, 50 * KIB, 'a');
	must(reference_sync(from), "sync");
	uint64_t before = used();
	set_limit(60 * KIB);
	must(reference_acquire(from, &version), "version");
	is_int(reference_commit(from, version, 0, 40 * KIB, bytes, 40 * KIB, &other), -EDQUOT, "commit_write that does not fit");
	must(reference_acquire(from, &other), "version");
	ok(other == version && node_reads(from, 0, 50 * KIB, 'a') && node_size(&node, inos[0]) == 50 * KIB, "the object is as it was");
	is_int(reference_commit(to, 0, COMMIT_FORCE, 0, bytes, 20 * KIB, &other), -EDQUOT, "nor into a new head");
	is_int(reference_clone(from, to), -EDQUOT, "a clone that does not fit");
	ok(node_size(&node, inos[1]) == 0, "is none");
	is_int((int)stream_append(records, bytes, 20 * KIB, false), -EDQUOT, "a record that does not fit");
	is_used(before, "what was refused");
	is_int(reference_commit(from, version, 0, 0, bytes, 40 * KIB, &other), 0, "over what is there it goes");
	is_int((int)stream_append(records, bytes, 4 * KIB, false), 4 * KIB, "so does a record that fits");

	node_write(to, 0, 3 * KIB, 'b');
	set_limit(KIB);
	is_int((int)reference_write(to, 3 * KIB, bytes, 1024, false), -EDQUOT, "no more are taken");
	struct attribute_change change = { .mask = SET_SIZE, .size = KIB };
	is_int(object_set(node.objects, inos[1], &change, NULL), 0, "it can be cut");
	ok(node_reads(to, 0, KIB, 'b') && reference_sync(to) == 0, "and the rest is synced");
	set_limit(0);
	node_write(to, KIB, 20 * KIB, 'c');
	is_int(reference_sync(to), 0, "without a quota everything goes");
	reference_close(from);
	reference_close(to);
	reference_close(records);
	node_close(&node);
}

/* What write() has taken in is kept, whatever comes after it: others leave it its room, and a limit that falls takes it too. */
static void taken_in(void)
{
	uint64_t version;

	node_open(&node);
	uint64_t ino = node_make(&node, "waits", KIND_BLOB, 0600, 0), small = node_make(&node, "small", KIND_BLOB, 0600, 0);
	uint64_t other = node_make(&node, "other", KIND_BLOB, 0600, 0), stream = node_make(&node, "stream", KIND_STREAM, 0600, 0);
	struct reference *waits = node_reference(&node, ino, RIGHT_READ | RIGHT_WRITE), *r = node_reference(&node, other, RIGHT_READ | RIGHT_WRITE);
	struct reference *records = node_reference(&node, stream, RIGHT_READ | RIGHT_WRITE), *s = node_reference(&node, small, RIGHT_READ | RIGHT_WRITE);
	set_limit(200 * KIB);
	node_write(waits, 0, 100 * KIB, 'w');
	node_write(s, 0, KIB, 's');
	is_int(reference_commit(r, 0, COMMIT_FORCE, 0, bytes, 60 * KIB, &version), 0, "commit_write has what is left");
	is_int(reference_commit(r, 0, COMMIT_FORCE, 60 * KIB, bytes, 60 * KIB, &version), -EDQUOT, "and nothing of what waits to be committed");
	is_int((int)stream_append(records, bytes, 60 * KIB, false), -EDQUOT, "nor has a stream");
	ok(node_reads(waits, 0, 100 * KIB, 'w') && node_size(&node, other) == 60 * KIB, "each is as it was");
	set_limit(10 * KIB);
	is_int(reference_sync(waits), 0, "quota_keeps_what_was_taken_in: fsync after the limit has fallen");
	ok(used() > limit, "it is above the limit then");
	is_int((int)reference_write(waits, 200 * KIB, bytes, 1, false), -EDQUOT, "no more is taken");
	for (unsigned i = 0; i < 4; i++) {
		struct reference *const all[] = { waits, r, records, s };
		reference_close(all[i]);
	}
	node_kill(&node);
	node_settle(&node);
	node_power_cut(&node);
	waits = node_reference(&node, ino, RIGHT_READ);
	s = node_reference(&node, small, RIGHT_READ);
	ok(node_reads(waits, 0, 100 * KIB, 'w') && node_reads(s, 0, KIB, 's'), "quota_keeps_what_was_taken_in: nor does a kill and a power cut take what nobody synced");
	reference_close(waits);
	reference_close(s);
	node_close(&node);
}

int main(void)
{
	at_random();
	taken_in();
	whole_or_nothing();
	return done_testing();
}
