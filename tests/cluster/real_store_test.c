/* Shard and client over a real data directory (RocksDB, files): works, survives being left without a word, and many threads at once.
 *
 *   real_store_test [--bench [SECONDS]]     measures cluster_propose of a small command instead */
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "cluster/cluster.h"
#include "store/store.h"
#include "tests/tap.h"

#define CACHE_BYTES (16u << 20)
#define THREADS 8
#define EACH 200          /* commands of a thread */

static char folder[] = "/tmp/dios-real-store-XXXXXX";
static struct store *store;
static struct cluster *cluster;

static int node_open(void)
{
	char error[256];
	int r = store_open(folder, CACHE_BYTES, &store, error, sizeof(error));

	if (r < 0) {
		printf("# %s\n", error);
		return r;
	}
	return cluster_open(store, &clock_system, &random_system, &cluster);
}

static void node_close(void)
{
	cluster_close(cluster);
	store_close(store);
	cluster = NULL;
	store = NULL;
}

static int create(const char *prefix, int i, bool durable)
{
	char entry[40];
	int size = snprintf(entry, sizeof(entry), "%s-%d", prefix, i);
	struct command c = { .kind = COMMAND_CREATE,
		.create = { .parent = ROOT_INO, .entry = { .data = (uint8_t *)entry, .size = (size_t)size }, .kind = KIND_BLOB, .mode = S_IFREG | 0644 } };
	struct result result;

	name_random(&random_system, 0, &c.create.name);
	return cluster_propose(cluster, &c, durable, &result);
}

static uint64_t entries(void)
{
	struct record root;
	return state_get(cluster_state(cluster, ROOT_INO), ROOT_INO, &root) < 0 ? 0 : root.entries;
}

static void *worker(void *arg)
{
	char prefix[16];
	intptr_t wrong = 0;

	snprintf(prefix, sizeof(prefix), "t%d", (int)(intptr_t)arg);
	for (int i = 0; i < EACH; i++)
		wrong += create(prefix, i, i % 10 == 0) != 0;
	return (void *)wrong;
}

static void *maintainer(void *arg)
{
	for (int i = 0; i < 30; i++) {
		cluster_sync(cluster);
		cluster_maintain(cluster);
	}
	return arg;
}

static void many_threads(void)
{
	pthread_t threads[THREADS], other;
	intptr_t wrong = 0;
	uint64_t before = entries();

	pthread_create(&other, NULL, maintainer, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, worker, (void *)(intptr_t)i);
	for (int i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(threads[i], &result);
		wrong += (intptr_t)result;
	}
	pthread_join(other, NULL);
	is_int(wrong, 0, "%d threads propose %d commands each, while the state is flushed", THREADS, EACH);
	is_int(entries() - before, THREADS * EACH, "each takes effect once");
}

/* In a process of its own: works, and exits without closing anything. */
static int work_and_go(void)
{
	int wrong = node_open() != 0;

	for (int i = 0; i < 500 && !wrong; i++)
		wrong = create("killed", i, false) != 0;
	_exit(wrong);
}

/* What it acknowledged unsynced is in the page cache. A new program, not only a new process: RocksDB has threads. */
static void left_without_a_word(void)
{
	fflush(stdout);
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		execl("/proc/self/exe", "real_store_test", "--work", folder, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	is_int(status, 0, "a process acknowledges 500 commands and is gone");
	is_int(node_open(), 0, "the next one opens");
	is_int(entries(), 500, "and has them all");
	for (int i = 500; i < 510; i++)
		create("killed", i, true);
	is_int(entries(), 510, "and goes on");
}

static double now_s(void)
{
	return (double)clock_boot_ns(&clock_system) / NS_PER_SECOND;
}

/* A setattr of one file, over and over: the smallest command there is. */
static void bench_one(const char *what, bool durable, double seconds)
{
	struct result result;
	struct command c;
	uint64_t count = 0;
	double begun = now_s(), slept = begun, end = begun + seconds;
	struct timespec cpu_begun, cpu_end;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_begun);
	for (; now_s() < end; count++) {
		c = (struct command){ .kind = COMMAND_SETATTR, .setattr = { .ino = ROOT_INO, .mask = ATTR_MODE, .mode = S_IFDIR | 0755 } };
		if (cluster_propose(cluster, &c, durable, &result) != 0)
			abort();
		if (now_s() - slept > 1) {
			cluster_maintain(cluster);
			slept = now_s();
		}
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_end);
	double wall = now_s() - begun, cpu = (double)(cpu_end.tv_sec - cpu_begun.tv_sec) + (double)(cpu_end.tv_nsec - cpu_begun.tv_nsec) / 1e9;
	printf("# %s: %.2f us a command, %.2f us of processor, %.0f a second\n", what, wall / (double)count * 1e6, cpu / (double)count * 1e6, (double)count / wall);
}

struct bench { bool durable; double seconds; };
static void *bench_thread(void *arg)
{
	struct bench *b = arg;
	uint64_t count = 0;
	struct result result;

	for (double end = now_s() + b->seconds; now_s() < end; count++) {
		struct command c = { .kind = COMMAND_SETATTR, .setattr = { .ino = ROOT_INO, .mask = ATTR_MODE, .mode = S_IFDIR | 0755 } };
		if (cluster_propose(cluster, &c, b->durable, &result) != 0)
			abort();
	}
	return (void *)(uintptr_t)count;
}

static void bench_many(bool durable, double seconds)
{
	pthread_t threads[16];
	struct bench b = { .durable = durable, .seconds = seconds };
	uint64_t count = 0;

	for (int i = 0; i < 16; i++)
		pthread_create(&threads[i], NULL, bench_thread, &b);
	for (int i = 0; i < 16; i++) {
		void *result;
		pthread_join(threads[i], &result);
		count += (uint64_t)(uintptr_t)result;
	}
	printf("# 16 threads, %s: %.0f a second\n", durable ? "durable" : "unsynced", (double)count / seconds);
}

static int bench(double seconds)
{
	if (node_open() < 0)
		return 1;
	bench_one("warming up", false, seconds / 4);
	bench_one("unsynced", false, seconds);
	bench_one("durable", true, seconds);
	bench_many(false, seconds);
	bench_many(true, seconds);
	node_close();
	return 0;
}

static void remove_folder(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", folder, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	char error[256];
	int failed;

	log_set_level(LOG_LEVEL_WARNING);
	if (argc > 2 && strcmp(argv[1], "--work") == 0 && strlen(argv[2]) < sizeof(folder)) {
		snprintf(folder, sizeof(folder), "%s", argv[2]);
		return work_and_go();
	}
	if (!mkdtemp(folder))
		return 1;
	is_int(store_init(folder, &random_system, &clock_system, error, sizeof(error)), 0, "a data directory");
	if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
		failed = bench(argc > 2 ? strtod(argv[2], NULL) : 2);
	} else {
		is_int(node_open(), 0, "opens");
		is_int(entries(), 0, "empty");
		node_close();
		left_without_a_word();
		many_threads();
		uint64_t before = entries();
		node_close();
		is_int(node_open(), 0, "opens again after a clean end");
		is_int(entries(), before, "with everything");
		node_close();
		failed = done_testing();
	}
	remove_folder();
	return failed;
}
