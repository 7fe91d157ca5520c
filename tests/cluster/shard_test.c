/* A shard over the simulated disk: it is killed, or its power cut, at every step; what it acknowledged is there afterwards. */
#include <sys/stat.h>

#include "base/log.h"
#include "cluster/shard.h"
#include "cluster/state_check.h"
#include "store/disk_sim.h"
#include "tests/tap.h"

#define FILES 24          /* commands of one run; every fifth is durable */
#define CLIENT 77

struct fake_clock { struct clock clock; int64_t now_ns; };
static int64_t fake_now(struct clock *c) { return ((struct fake_clock *)c)->now_ns += 1000; }

struct world {
	struct random_seeded random;
	struct fake_clock clock;
	struct disk *disk;
	struct store *store;
	struct shard *shard;
	uint64_t flush_log_bytes;
	int acknowledged;     /* commands: the realm, then files 0, 1, ... */
	int durable;          /* of these, the first so many are on stable storage */
	int problems;
	uint8_t boot;
};

static void world_new(struct world *w, uint64_t seed)
{
	*w = (struct world){ .clock = { .clock = { .wall_ns = fake_now, .boot_ns = fake_now }, .now_ns = 1 }, .flush_log_bytes = 600 };
	random_seeded_init(&w->random, seed);
	if (disk_sim_new(&w->random.source, 1 << 30, &w->disk) < 0)
		abort();
}

static int world_open(struct world *w)
{
	const uint8_t boot_id[16] = { 1, w->boot };
	struct shard_options options = { .id = 0, .flush_log_bytes = w->flush_log_bytes };

	int r = store_open_sim(w->disk, &w->random.source, boot_id, &w->store);
	return r < 0 ? r : shard_open(w->store, &w->clock.clock, &w->random.source, &options, &w->shard);
}

static void world_power_cut(struct world *w)
{
	disk_sim_power_cut(w->disk);
	w->boot++;
}

static void world_close(struct world *w)
{
	shard_close(w->shard);
	if (w->store)
		store_close(w->store);
	w->shard = NULL;
	w->store = NULL;
}

static void world_free(struct world *w)
{
	world_close(w);
	disk_free(w->disk);
}

/* Command number n of the run, always the same: 0 makes the realm, n the file n - 1. */
static int propose(struct world *w, int n, bool durable, struct result *ret_result)
{
	struct command c = { .client = CLIENT, .seq = (uint64_t)n + 1, .done_below = (uint64_t)n + 1, .time_ns = 1000 + n };
	_cleanup_buffer_ struct buffer encoded;
	char entry[20];

	if (n == 0) {
		c.kind = COMMAND_REALM_INIT;
		c.realm_init = (struct command_realm_init){ .realm = 1, .root = ROOT_INO, .mode = S_IFDIR | 0755 };
		c.realm_init.name.bytes[10] = 1;
	} else {
		c.kind = COMMAND_CREATE;
		int size = snprintf(entry, sizeof(entry), "file-%d", n - 1);
		c.create = (struct command_create){ .parent = ROOT_INO, .entry = { .data = (uint8_t *)entry, .size = (size_t)size }, .kind = KIND_BLOB, .mode = S_IFREG | 0644 };
		c.create.name.bytes[10] = (uint8_t)(n + 1);
	}
	buffer_init(&encoded, COMMAND_MAX);
	if (command_encode(&c, &encoded) < 0)
		abort();
	int r = shard_propose(w->shard, (struct slice){ .data = encoded.data, .size = encoded.size }, durable, ret_result);
	return r < 0 ? r : ret_result->error;
}

/* Goes on from where the state is, which has at least what was acknowledged. */
static int present(struct world *w);
static int work(struct world *w);
static int work_on(struct world *w)
{
	int n = present(w);

	if (n < w->acknowledged)
		w->problems++;
	w->acknowledged = n;
	return work(w);
}

/* Works until the disk dies. The fifth, tenth, ... command is durable, the eighth, sixteenth is followed by a sync. */
static int work(struct world *w)
{
	struct result result;

	for (int n = w->acknowledged; n <= FILES; n++) {
		bool durable = n % 5 == 4;
		int r = propose(w, n, durable, &result);
		if (r < 0)
			return r;
		w->acknowledged = n + 1;
		if (durable)
			w->durable = n + 1;
		if (n % 8 == 7) {
			r = shard_sync(w->shard);
			if (r < 0)
				return r;
			w->durable = n + 1;
		}
		r = shard_maintain(w->shard);
		if (r < 0)
			return r;
	}
	return 0;
}

static void report(void *arg, uint64_t ino, const char *text)
{
	printf("# object %llu: %s\n", (unsigned long long)ino, text);
	++*(int *)arg;
}

/* How many commands the state has; they must be the first ones. */
static int present(struct world *w)
{
	struct state *s = shard_state(w->shard);
	struct state_check check = { .report = report, .arg = &w->problems };
	struct record root;
	uint64_t ino;
	int n = 0;

	if (state_check(s, &check) < 0)
		w->problems++;
	free(check.pieces);
	if (state_get(s, ROOT_INO, &root) < 0)
		return 0;
	for (n = 1; n <= FILES; n++) {
		char entry[20];
		int size = snprintf(entry, sizeof(entry), "file-%d", n - 1);
		if (state_lookup(s, ROOT_INO, entry, (size_t)size, &ino) < 0)
			break;
	}
	if (root.entries != (uint64_t)n - 1)
		w->problems++;
	return n;
}

enum how { KILLED, POWER_CUT };

static void die(struct world *w, enum how how)
{
	world_close(w);
	if (how == KILLED)
		disk_sim_process_kill(w->disk);
	else
		world_power_cut(w);
	disk_sim_crash_after(w->disk, 0);
	if (how == POWER_CUT)
		w->acknowledged = w->durable;
}

/* After a death the state has everything acknowledged, and a beginning of the rest; the command that was under way can be retried. */
static void check_after(struct world *w)
{
	struct result result;
	int n = present(w);

	if (n < w->acknowledged)
		w->problems++;
	if (n > 0 && propose(w, n - 1, false, &result) != 0)
		w->problems++;   /* the last one again, acknowledged or not: its result is remembered, no EEXIST */
	int after = present(w);
	if (after != n)
		w->problems++;
	w->acknowledged = n;
	if (work(w) < 0 || present(w) != FILES + 1)
		w->problems++;
}

/* Dies at step n of a run, and again at some step of what follows; returns false when there is no step n any more. */
static bool crash_run(uint64_t n, enum how how, int *problems)
{
	struct world w;
	bool crashed;

	world_new(&w, n * 2 + how);
	disk_sim_crash_after(w.disk, n);
	int r = world_open(&w);
	if (r == 0)
		r = work(&w);
	crashed = disk_sim_crashed(w.disk);
	if (!crashed && r < 0)
		w.problems++;
	if (!crashed) {
		world_close(&w);
		crashed = disk_sim_crashed(w.disk);   /* in the closing steps */
	}
	die(&w, how);

	disk_sim_crash_after(w.disk, 1 + random_below(&w.random.source, 60));
	r = world_open(&w);
	if (r == 0)
		r = work_on(&w);
	if (r < 0 && !disk_sim_crashed(w.disk))
		w.problems++;
	die(&w, how);

	r = world_open(&w);
	if (r < 0) {
		printf("# step %llu: does not open: %d\n", (unsigned long long)n, r);
		w.problems++;
	} else {
		check_after(&w);
	}
	if (w.problems)
		printf("# step %llu, %s: %d problems\n", (unsigned long long)n, how == KILLED ? "killed" : "power cut", w.problems);
	*problems += w.problems;
	world_free(&w);
	return crashed;
}

static void dies_at_every_step(enum how how, const char *what)
{
	uint64_t n = 1;
	int problems = 0;

	while (crash_run(n, how, &problems))
		n++;
	is_int(problems, 0, "%s at each of %llu steps, and again later: nothing acknowledged is lost", what, (unsigned long long)n - 1);
	ok(n > 200, "there are many steps");
}

static void a_clean_close_leaves_nothing_to_replay(void)
{
	struct world w;

	world_new(&w, 5);
	w.flush_log_bytes = 1 << 20;
	is_int(world_open(&w), 0, "opens");
	is_int(work(&w), 0, "works");
	struct shard_info before, after;
	shard_get_info(w.shard, &before);
	world_close(&w);
	is_int(world_open(&w), 0, "opens again");
	shard_get_info(w.shard, &after);
	ok(after.leader && after.term > before.term, "and leads, in a later term");
	is_int(after.first_index, before.applied_index + 1, "the log begins behind what was applied");
	is_int(after.applied_index, before.applied_index + 1, "only the barrier of the new term has been added");
	is_int(present(&w), FILES + 1, "everything is there");
	is_int(w.problems, 0, "and right");
	world_free(&w);
}

static void compaction_follows_the_flush(void)
{
	struct world w;
	struct shard_info info;
	uint64_t compactions = 0, first = 1;

	world_new(&w, 6);
	is_int(world_open(&w), 0, "opens");
	for (int n = 0; n <= FILES; n++) {
		struct result result;
		if (propose(&w, n, false, &result) < 0 || shard_maintain(w.shard) < 0)
			w.problems++;
		shard_get_info(w.shard, &info);
		compactions += info.first_index != first;
		first = info.first_index;
		if (info.log_bytes > w.flush_log_bytes)
			w.problems++;
	}
	is_int(w.problems, 0, "the log never stays above its bound");
	ok(compactions >= 3, "it has been compacted %d times", (int)compactions);
	world_free(&w);
}

static void a_failed_sync_stops_the_shard(void)
{
	struct world w;
	struct result result;

	world_new(&w, 7);
	is_int(world_open(&w), 0, "opens");
	is_int(propose(&w, 0, true, &result), 0, "works");
	is_int(propose(&w, 1, true, &result), 0, "and works");
	disk_sim_fail_sync(w.disk, 1);
	is_int(propose(&w, 2, true, &result), -EIO, "a sync fails: a durable command is not acknowledged");
	is_int(propose(&w, 3, false, &result), -EIO, "and nothing is any more");
	is_int(shard_sync(w.shard), -EIO, "nor synced");
	struct shard_info info;
	shard_get_info(w.shard, &info);
	ok(!info.leader, "it does not lead");
	world_close(&w);
	world_power_cut(&w);
	is_int(world_open(&w), 0, "the next start finds");
	ok(present(&w) >= 2, "what was acknowledged");
	is_int(w.problems, 0, "and all is right");
	world_free(&w);
}

static void a_full_disk_is_the_callers_error(void)
{
	struct world w;
	struct result result;
	int r = 0, n;

	world_new(&w, 8);
	w.flush_log_bytes = 1 << 30;
	is_int(world_open(&w), 0, "opens");
	static uint8_t value[60000];
	_cleanup_buffer_ struct buffer encoded;
	struct command c = { .kind = COMMAND_SETXATTR, .client = CLIENT, .seq = 1000, .time_ns = 5,
		.setxattr = { .ino = ROOT_INO, .key = { .data = (const uint8_t *)"user.x", .size = 6 }, .value = { .data = value, .size = sizeof(value) } } };
	buffer_init(&encoded, COMMAND_MAX);
	command_encode(&c, &encoded);
	is_int(propose(&w, 0, true, &result), 0, "works");
	disk_sim_set_capacity(w.disk, 60 << 20);
	for (n = 0; n < 5000 && r == 0; n++)
		r = shard_propose(w.shard, (struct slice){ .data = encoded.data, .size = encoded.size }, false, &result);
	is_int(r, -ENOSPC, "a log that can't grow says so, after %d commands", n);
	is_int(shard_propose(w.shard, (struct slice){ .data = encoded.data, .size = encoded.size }, false, &result), -ENOSPC, "again");
	disk_sim_set_capacity(w.disk, 1 << 30);
	is_int(propose(&w, 1, true, &result), 0, "once there is room it goes on");
	world_close(&w);
	world_power_cut(&w);
	is_int(world_open(&w), 0, "and opens again");
	is_int(present(&w), 2, "with what was acknowledged");
	is_int(w.problems, 0, "and all is right");
	world_free(&w);
}

static void what_is_no_command_is_refused(void)
{
	struct world w;
	struct result result;
	static uint8_t big[COMMAND_MAX + 1];

	world_new(&w, 9);
	is_int(world_open(&w), 0, "opens");
	is_int(shard_propose(w.shard, (struct slice){ 0 }, false, &result), -EMSGSIZE, "nothing is no command");
	is_int(shard_propose(w.shard, (struct slice){ .data = big, .size = sizeof(big) }, false, &result), -EMSGSIZE, "nor is more than the bound");
	is_int(propose(&w, 0, false, &result), 0, "and the shard works");
	world_free(&w);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);   /* thousands of starts */
	a_clean_close_leaves_nothing_to_replay();
	compaction_follows_the_flush();
	a_failed_sync_stops_the_shard();
	a_full_disk_is_the_callers_error();
	what_is_no_command_is_refused();
	dies_at_every_step(KILLED, "killed");
	dies_at_every_step(POWER_CUT, "power cut");
	return done_testing();
}
