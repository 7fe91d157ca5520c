/* Many threads beside the background work: each compares a blob of its own with what it has written, and all make, link, remove and write
 * a few that they share. Afterwards the check of the whole data directory finds nothing, and nothing is kept that was removed. */
#include <fcntl.h>
#include <ftw.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "objects/check.h"
#include "objects/objects.h"
#include "tests/tap.h"

#define THREADS 4
#define STEPS 1200u
#define OWN_BYTES (3u << 20)
#define PIECE_BYTES (200u << 10)
#define RIGHTS (RIGHT_READ | RIGHT_WRITE)

static struct store *store;
static struct cluster *cluster;
static struct objects *objects;
static _Atomic bool ending;
static _Atomic unsigned woken;

struct worker { pthread_t thread; unsigned number; struct random_seeded random; uint64_t ino; uint8_t *want, *bytes; size_t size; char failure[128]; };

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	printf("Bail out! %s: %s\n", what, strerror(-r));
	exit(1);
}

static uint64_t below(struct worker *w, uint64_t bound) { return random_below(&w->random.source, bound); }

static int make(const char *entry, struct reference **ret_reference, struct attributes *ret)
{
	struct command_create create = { .parent = ROOT_INO, .entry = { (const uint8_t *)entry, strlen(entry) }, .kind = KIND_BLOB, .mode = S_IFREG | 0644 };

	return object_create(objects, &create, RIGHTS, ret_reference, ret);
}

/* ---- a blob of its own ---- */

static int own_write(struct worker *w, struct reference *r, bool publish)
{
	size_t at = below(w, 4) ? (size_t)below(w, w->size + 1) : w->size, size = 1 + (size_t)below(w, below(w, 4) ? 9000 : PIECE_BYTES);
	uint64_t version;

	if (at + size > OWN_BYTES)
		return 0;
	for (size_t i = 0; i < size; i++)
		w->want[at + i] = (uint8_t)(random_u64(&w->random.source) >> 56);
	int e = publish ? reference_commit(r, 0, COMMIT_FORCE | COMMIT_RELAXED, at, w->want + at, size, &version)
		: reference_write(r, at, w->want + at, size, false) == (ssize_t)size ? 0 : -EIO;
	if (at + size > w->size)
		w->size = at + size;
	return e;
}

static int own_resize(struct worker *w)
{
	size_t size = below(w, 3) ? (size_t)below(w, w->size + 10000) : 0;
	struct attribute_change change = { .mask = SET_SIZE, .size = size };

	if (size > OWN_BYTES)
		return 0;
	if (size > w->size)
		memset(w->want + w->size, 0, size - w->size);
	w->size = size;
	return object_set(objects, w->ino, &change, NULL);
}

static int own_punch(struct worker *w, struct reference *r)
{
	size_t at = (size_t)below(w, w->size + 1), size = 1 + (size_t)below(w, 60000), end = at + size < w->size ? at + size : w->size;

	if (at < end)
		memset(w->want + at, 0, end - at);
	return reference_allocate(r, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, size);
}

static int own_read(struct worker *w, struct reference *r)
{
	size_t at = (size_t)below(w, w->size + 1);
	ssize_t n = reference_read(r, at, w->bytes, PIECE_BYTES), want = (ssize_t)(w->size - at < PIECE_BYTES ? w->size - at : PIECE_BYTES);

	return n == want && memcmp(w->bytes, w->want + at, (size_t)want) == 0 ? 0 : n < 0 ? (int)n : -EILSEQ;
}

static int own_step(struct worker *w, struct reference *r)
{
	switch (below(w, 12)) {
	case 0:
		return reference_sync(r);
	case 1:
		return own_resize(w);
	case 2:
		return own_punch(w, r);
	case 3:
		return own_write(w, r, true);
	case 4:
	case 5:
	case 6:
		return own_read(w, r);
	default:
		return own_write(w, r, false);
	}
}

/* ---- those of all ---- */

static void name_of(struct worker *w, char name[static 8]) { snprintf(name, 8, "all%u", (unsigned)below(w, 4)); }

static int allowed(int e) { return e == -ENOENT || e == -EEXIST || e == -ESTALE ? 0 : e; }

static void on_change(void *arg)
{
	(void)arg;
	woken++;
}

static int shared_open(struct worker *w, const char *name)
{
	struct reference_options options = { .rights = RIGHTS };
	struct attributes a;
	struct reference *r;
	struct watch *watch;

	int e = object_lookup(objects, ROOT_INO, name, strlen(name), &a);
	if (e == 0)
		e = reference_open(objects, a.record.ino, &options, &r);
	if (e < 0)
		return allowed(e);
	must(object_watch(objects, a.record.ino, on_change, NULL, &watch), "watch");
	ssize_t n = reference_write(r, below(w, 300000), w->bytes, 1 + (size_t)below(w, 30000), false);
	if (n > 0 && below(w, 4) == 0)
		n = reference_sync(r);
	struct reference *same = reference_find(objects, reference_id(r));
	reference_close(same);
	reference_close(r);
	object_unwatch(watch);
	return n < 0 ? (int)n : 0;
}

static int shared_link(struct worker *w, const char *name)
{
	struct attributes a;
	char other[8];

	name_of(w, other);
	int e = object_lookup(objects, ROOT_INO, name, strlen(name), &a);
	if (e == 0)
		e = object_link(objects, a.record.ino, ROOT_INO, other, strlen(other), &a);
	return allowed(e);
}

static int shared_step(struct worker *w)
{
	struct attributes a;
	struct reference *r;
	char name[8], other[8];

	name_of(w, name);
	name_of(w, other);
	switch (below(w, 6)) {
	case 0:
	case 1: {
		int e = make(name, &r, &a);
		if (e == 0)
			reference_close(r);
		return allowed(e);
	}
	case 2:
		return allowed(object_unlink(objects, ROOT_INO, name, strlen(name), false));
	case 3:
		return allowed(object_rename(objects, ROOT_INO, name, strlen(name), ROOT_INO, other, strlen(other), (uint32_t)below(w, 3)));
	case 4:
		return shared_link(w, name);
	default:
		return shared_open(w, name);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct attributes a;
	struct reference *r;
	char name[16];

	snprintf(name, sizeof(name), "own%u", w->number);
	must(make(name, &r, &a), name);
	w->ino = a.record.ino;
	for (unsigned i = 0; i < STEPS && !w->failure[0]; i++) {
		bool own = below(w, 2);
		int e = own ? own_step(w, r) : shared_step(w);
		if (e < 0)
			snprintf(w->failure, sizeof(w->failure), "step %u, %s blob: %s", i, own ? "own" : "shared", strerror(-e));
	}
	if (!w->failure[0] && reference_read(r, 0, w->bytes, OWN_BYTES) != (ssize_t)w->size)
		snprintf(w->failure, sizeof(w->failure), "another size at the end");
	if (!w->failure[0] && memcmp(w->bytes, w->want, w->size) != 0)
		snprintf(w->failure, sizeof(w->failure), "other bytes at the end");
	reference_close(r);
	return NULL;
}

static void *background(void *arg)
{
	(void)arg;
	while (!ending)
		objects_run_due(objects);
	return NULL;
}

/* ---- the whole ---- */

static void node_start(const char *directory)
{
	const struct objects_options options = { .commit_interval_ns = NS_PER_MS, .inline_max = 20000, .dirty_max_bytes = 256 << 10,
		.stage_max_bytes = 256 << 20, .cached_max = 2, .stream_limit_bytes = 1 << 20 };
	char error[256] = "";

	must(store_open(directory, 64 << 20, &store, error, sizeof(error)), error);
	must(cluster_open(store, &clock_system, &random_system, &cluster), "cluster");
	must(objects_open(cluster, store, &options, &objects), "objects");
}

static void node_stop(void)
{
	objects_close(objects);
	cluster_close(cluster);
	store_close(store);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void on_report(void *arg, const struct finding *finding)
{
	(void)arg;
	if (finding->kind == FINDING_PROBLEM)
		printf("# %s\n", finding->text);
}

static void run_workers(void)
{
	static struct worker workers[THREADS];
	pthread_t maintenance;

	must(-pthread_create(&maintenance, NULL, background, NULL), "a thread");
	for (unsigned i = 0; i < THREADS; i++) {
		struct worker *w = &workers[i];
		w->number = i;
		w->want = calloc(1, OWN_BYTES);
		w->bytes = calloc(1, OWN_BYTES);
		random_seeded_init(&w->random, i + 1);
		if (!w->want || !w->bytes)
			abort();
		must(-pthread_create(&w->thread, NULL, work, w), "a thread");
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		ok(!workers[i].failure[0], "thread %u found what it had written %s", i, workers[i].failure);
	}
	ending = true;
	pthread_join(maintenance, NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		free(workers[i].want);
		free(workers[i].bytes);
	}
}

static void remove_all(void)
{
	char name[16];

	for (unsigned i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "all%u", i);
		must(allowed(object_unlink(objects, ROOT_INO, name, strlen(name), false)), name);
		snprintf(name, sizeof(name), "own%u", i);
		must(object_unlink(objects, ROOT_INO, name, strlen(name), false), name);
	}
}

static int count_head(void *arg, uint64_t ino)
{
	(void)ino;
	++*(unsigned *)arg;
	return 0;
}

int main(void)
{
	const struct check_options options = { .report = on_report };
	char directory[] = "/var/tmp/dios-threads.XXXXXX", error[256] = "";
	struct check_result result;
	struct cluster_info info;
	unsigned heads = 0;

	must(mkdtemp(directory) ? 0 : -errno, "a folder");
	must(store_init(directory, &random_system, &clock_system, error, sizeof(error)), error);
	node_start(directory);
	run_workers();
	ok(woken > 0, "watchers were called");
	must(objects_sync(objects), "sync");
	is_int(objects_check(store, cluster_state(cluster, ROOT_INO), &options, &result), 0, "the check comes to its end");
	is_int(result.problems, 0, "and finds nothing wrong");
	node_stop();
	node_start(directory);
	remove_all();
	for (unsigned i = 0; i < 3; i++)
		objects_run_due(objects);
	cluster_get_info(cluster, &info);
	must(heads_list(store->heads, count_head, &heads), "listing heads");
	ok(info.objects == 1 && heads == 0, "what is removed leaves nothing (%llu objects, %u heads)", (unsigned long long)info.objects, heads);
	node_stop();
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return done_testing();
}
