/* How fast the state machine applies: state_bench DIRECTORY, an empty folder for a RocksDB. Not a test. Prints processor time of the applying
 * thread, which a busy machine does not falsify; encoding is counted apart. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cluster/state.h"

#define CREATES 200000u
#define COMMITS 100000u
#define HEAD_BLOCKS 65536u       /* a head of 256 MiB */
#define CACHE_BYTES (96u << 20)  /* as the daemon has */

static struct kv *kv;
static struct state *state;
static uint64_t index_, seq;
static struct random_seeded seeded;
static struct buffer encoded;
static double encode_seconds;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct result propose(struct command *c)
{
	struct result result;
	double start = now();

	c->client = 1;
	c->seq = ++seq;
	c->done_below = seq > 100 ? seq - 100 : 0;
	c->time_ns = 1000000000000000000LL + (int64_t)seq;
	buffer_reset(&encoded);
	int r = command_encode(c, &encoded);
	encode_seconds += now() - start;
	if (r == 0)
		r = state_apply(state, ++index_, 1, (struct slice){ encoded.data, encoded.size }, &result);
	if (r < 0 || result.error < 0) {
		fprintf(stderr, "%s: %s\n", command_name(c->kind), strerror(r < 0 ? -r : -result.error));
		exit(1);
	}
	return result;
}

static uint64_t create(const char *entry, enum object_kind kind)
{
	struct command c = { .kind = COMMAND_CREATE };

	c.create = (struct command_create){ .parent = ROOT_INO, .kind = kind, .mode = (kind == KIND_DIRECTORY ? S_IFDIR : S_IFREG) | 0644, .uid = 1000, .gid = 1000 };
	c.create.entry = (struct slice){ (const uint8_t *)entry, strlen(entry) };
	name_random(&seeded.source, 0, &c.create.name);
	return propose(&c).record.ino;
}

static void report(const char *what, unsigned count, double start)
{
	double seconds = now() - start - encode_seconds;
	printf("%-34s %8.0f a second, %5.2f us each (encoding %.2f us)\n", what, count / seconds, seconds / count * 1e6, encode_seconds / count * 1e6);
	encode_seconds = 0;
}

static void bench_creates(void)
{
	char entry[32];
	double start = now();

	for (unsigned i = 0; i < CREATES; i++) {
		snprintf(entry, sizeof(entry), "file-%06u", i);
		create(entry, KIND_BLOB);
	}
	report("creates in one directory", CREATES, start);
}

static void bench_small_writes(void)
{
	static uint8_t content[1000];
	struct command_patch patch = { 0, { content, sizeof(content) } };
	double start = now();

	for (unsigned i = 0; i < COMMITS; i++) {
		struct command c = { .kind = COMMAND_COMMIT };
		c.commit = (struct command_commit){ .ino = 2 + i, .size = sizeof(content), .patches = &patch, .patch_count = 1 };
		propose(&c);
	}
	report("1,000 bytes into each of many files", COMMITS, start);
}

static void bench_rows(void)
{
	static uint8_t block[BLOCK_SIZE];
	uint32_t *crcs = calloc(HEAD_BLOCKS, sizeof(*crcs));
	uint64_t ino = create("large", KIND_BLOB);
	struct command c = { .kind = COMMAND_COMMIT };
	uint64_t blocks[64], versions[64];
	unsigned kept = 0;

	c.commit = (struct command_commit){ .ino = ino, .size = (uint64_t)HEAD_BLOCKS * BLOCK_SIZE, .to_head = true, .tail_crcs = crcs, .tail_count = HEAD_BLOCKS };
	double start = now();
	propose(&c);
	report("a head of 256 MiB committed", 1, start);
	start = now();
	for (unsigned i = 0; i < COMMITS; i++) {
		struct command_row row = { .block = random_below(&seeded.source, HEAD_BLOCKS), .bytes = { block, BLOCK_SIZE } };
		c = (struct command){ .kind = COMMAND_COMMIT };
		c.commit = (struct command_commit){ .ino = ino, .size = (uint64_t)HEAD_BLOCKS * BLOCK_SIZE, .rows = &row, .row_count = 1 };
		memcpy(block, &i, sizeof(i));
		versions[kept] = propose(&c).record.version;
		blocks[kept++] = row.block;
		if (kept == 64) {   /* as the background does, so that the rows stay bounded */
			struct command_absorbed_row rows[64];
			for (unsigned j = 0; j < 64; j++)
				rows[j] = (struct command_absorbed_row){ blocks[j], versions[j] };
			c = (struct command){ .kind = COMMAND_ABSORBED };
			c.absorbed = (struct command_absorbed){ .ino = ino, .rows = rows, .row_count = 64 };
			propose(&c);
			kept = 0;
		}
	}
	report("4 KiB rows at random, and absorbed", COMMITS, start);
	free(crcs);
}

static void bench_renames(void)
{
	char entry[32], new_entry[32];
	double start = now();

	for (unsigned i = 0; i < COMMITS; i++) {
		struct command c = { .kind = COMMAND_RENAME };
		snprintf(entry, sizeof(entry), "file-%06u", i);
		snprintf(new_entry, sizeof(new_entry), "renamed-%06u", i);
		c.rename = (struct command_rename){ .parent = ROOT_INO, .entry = { (uint8_t *)entry, strlen(entry) }, .new_parent = ROOT_INO, .new_entry = { (uint8_t *)new_entry, strlen(new_entry) } };
		propose(&c);
	}
	report("renames in one directory", COMMITS, start);
}

static void bench_unlinks(void)
{
	char entry[32];
	uint64_t inos[64];
	unsigned count = 0;
	double start = now();

	for (unsigned i = 0; i < COMMITS; i++) {
		struct command c = { .kind = COMMAND_UNLINK };
		snprintf(entry, sizeof(entry), "renamed-%06u", i);
		c.unlink = (struct command_unlink){ .parent = ROOT_INO, .entry = { (uint8_t *)entry, strlen(entry) } };
		inos[count++] = propose(&c).orphaned;
		if (count == 64) {
			c = (struct command){ .kind = COMMAND_REAP };
			c.reap = (struct command_reap){ .inos = inos, .count = count };
			propose(&c);
			count = 0;
		}
	}
	report("unlinks, and reaped", COMMITS, start);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: state_bench DIRECTORY\n");
		return 2;
	}
	random_seeded_init(&seeded, 1);
	buffer_init(&encoded, COMMAND_MAX);
	int r = kv_rocksdb_open(argv[1], true, CACHE_BYTES, &kv);
	if (r == 0)
		r = state_open(kv, &state);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
		return 1;
	}
	struct command c = { .kind = COMMAND_REALM_INIT };
	c.realm_init = (struct command_realm_init){ .realm = 1, .root = ROOT_INO, .mode = 0755 };
	name_random(&seeded.source, 0, &c.realm_init.name);
	propose(&c);
	bench_creates();
	bench_small_writes();
	bench_rows();
	bench_renames();
	bench_unlinks();
	buffer_done(&encoded);
	state_free(state);
	kv_close(kv);
	return 0;
}
