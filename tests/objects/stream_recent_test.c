/* The newest records of a durable stream are read from memory: nobody sees that, whatever happens to the stream, with several threads as with one. */
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "objects/objects.h"
#include "tests/tap.h"

#define EACH 3000u                 /* records of each writer; twice as many as are kept in memory */
#define WRITERS 2u
#define FOLLOWERS 2u

static struct store *store;
static struct cluster *cluster;
static struct objects *objects;
static char entry = 'a';

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	printf("Bail out! %s: %s\n", what, strerror(-r));
	exit(1);
}

static uint64_t make(void)
{
	const char name[2] = { entry++, '\0' };
	struct command_create create = { .parent = ROOT_INO, .entry = { (const uint8_t *)name, 1 }, .kind = KIND_STREAM, .mode = S_IFREG | 0600,
		.limit_bytes = 64 << 20 };
	struct attributes a;

	must(object_create(objects, &create, 0, NULL, &a), "making a stream");
	return a.record.ino;
}

static struct reference *open_stream(uint64_t ino, uint32_t rights)
{
	struct reference *r;

	must(reference_open(objects, ino, &(struct reference_options){ .rights = rights }, &r), "opening it");
	return r;
}

static bool put(struct reference *w, const char *text) { return stream_append(w, text, strlen(text), false) == (ssize_t)strlen(text); }

/* ---- one thread ---- */

static void begins_in_the_state(void)
{
	uint64_t ino = make(), at = 0;
	struct reference *w = open_stream(ino, RIGHT_WRITE);
	char bytes[64];

	put(w, "one ");
	put(w, "two ");
	struct reference *f = open_stream(ino, RIGHT_READ);
	put(w, "three ");
	put(w, "four ");
	is_int(stream_read(f, &at, true, bytes, sizeof(bytes)), 19, "what was written before a follower came is read with what came after");
	ok(memcmp(bytes, "one two three four ", 19) == 0 && at == 19, "in order");
	at = 10;
	is_int(stream_read(f, &at, false, bytes, 6), 6, "and from inside of a record");
	ok(memcmp(bytes, "ree fo", 6) == 0, "what lies there");
	reference_close(f);
	put(w, "five ");
	f = open_stream(ino, RIGHT_READ);
	put(w, "six ");
	at = 14;
	is_int(stream_read(f, &at, false, bytes, sizeof(bytes)), 14, "a time without followers leaves no gap");
	ok(memcmp(bytes, "four five six ", 14) == 0, "nor anything twice");
	reference_close(f);
	reference_close(w);
}

static void trimmed_by_a_command(void)
{
	uint64_t ino = make(), at = 0;
	struct reference *w = open_stream(ino, RIGHT_WRITE), *f = open_stream(ino, RIGHT_READ);
	char bytes[64];

	put(w, "one ");
	put(w, "two ");
	must(stream_configure(objects, ino, &(struct command_stream_update){ .ino = ino, .set_start = true, .start = 4 }), "trimming");
	is_int(stream_read(f, &at, false, bytes, sizeof(bytes)), -EIO, "a record that is trimmed is not read from memory");
	at = 0;
	ok(stream_read(f, &at, true, bytes, sizeof(bytes)) == 4 && memcmp(bytes, "two ", 4) == 0, "the one behind it is");
	reference_close(f);
	reference_close(w);
}

static void broken(void)
{
	uint64_t ino = make(), at = 0;
	struct reference *w = open_stream(ino, RIGHT_WRITE), *f = open_stream(ino, RIGHT_READ);
	char bytes[64];

	put(w, "one ");
	must(stream_configure(objects, ino, &(struct command_stream_update){ .ino = ino, .end = true, .broken = true }), "breaking it");
	is_int(stream_read(f, &at, false, bytes, sizeof(bytes)), -EPIPE, "a broken stream says so, whatever memory holds");
	reference_close(f);
	reference_close(w);
}

static void too_large(void)
{
	uint64_t ino = make(), at = 0;
	struct reference *w = open_stream(ino, RIGHT_WRITE), *f = open_stream(ino, RIGHT_READ);
	static char large[STREAM_RECORD_MAX], bytes[STREAM_RECORD_MAX];
	size_t size = 0;

	memset(large, 'x', sizeof(large));
	put(w, "one ");
	is_int(stream_append(w, large, sizeof(large), false), sizeof(large), "a record is larger than what is kept in memory");
	put(w, "two ");
	is_int(stream_next(f, &at, bytes, sizeof(bytes), &size), 4, "the one before it is read");
	ok(stream_next(f, &at, bytes, sizeof(bytes), &size) == (ssize_t)sizeof(bytes) && memcmp(bytes, large, sizeof(large)) == 0, "and itself");
	ok(stream_next(f, &at, bytes, sizeof(bytes), &size) == 4 && memcmp(bytes, "two ", 4) == 0, "and the one behind");
	is_int(stream_next(f, &at, bytes, sizeof(bytes), &size), -EAGAIN, "then there is nothing yet");
	reference_close(f);
	reference_close(w);
}

/* ---- several ---- */

struct numbered { uint32_t writer, number; char bytes[248]; };
struct worker { pthread_t thread; uint64_t ino; unsigned number; unsigned bad, seen; };

static void *writer_main(void *arg)
{
	struct worker *w = arg;
	struct reference *r = open_stream(w->ino, RIGHT_WRITE);

	for (unsigned i = 0; i < EACH; i++) {
		struct numbered record = { .writer = w->number, .number = i };
		memset(record.bytes, (int)(i + w->number), sizeof(record.bytes));
		if (stream_append(r, &record, sizeof(record), false) != sizeof(record))
			w->bad++;
	}
	reference_close(r);
	return NULL;
}

static bool is_whole(const struct numbered *r)
{
	for (size_t i = 0; i < sizeof(r->bytes); i++)
		if (r->bytes[i] != (char)(r->number + r->writer))
			return false;
	return r->writer < WRITERS;
}

static void *follower_main(void *arg)
{
	struct worker *w = arg;
	struct reference *r = open_stream(w->ino, RIGHT_READ);
	unsigned next[WRITERS] = { 0 };
	struct numbered record;
	uint64_t at = 0;
	size_t size;

	while (w->seen < WRITERS * EACH && w->bad == 0) {
		ssize_t n = stream_next(r, &at, &record, sizeof(record), &size);
		if (n == -EAGAIN) {
			sched_yield();
			continue;
		}
		if (n != sizeof(record) || at != (uint64_t)++w->seen * sizeof(record) || !is_whole(&record) || record.number != next[record.writer]++)
			w->bad++;
	}
	reference_close(r);
	return NULL;
}

static void many_threads(void)
{
	struct worker writers[WRITERS] = { 0 }, followers[FOLLOWERS] = { 0 };
	uint64_t ino = make();
	unsigned bad = 0;

	for (unsigned i = 0; i < FOLLOWERS; i++) {
		followers[i].ino = ino;
		must(-pthread_create(&followers[i].thread, NULL, follower_main, &followers[i]), "a thread");
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct worker){ .ino = ino, .number = i };
		must(-pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]), "a thread");
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		bad += writers[i].bad;
	}
	is_int(bad, 0, "each record was appended");
	for (unsigned i = 0; i < FOLLOWERS; i++) {
		pthread_join(followers[i].thread, NULL);
		ok(followers[i].bad == 0 && followers[i].seen == WRITERS * EACH, "follower %u has read each one once, whole, and each writer's in order", i);
	}
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

int main(void)
{
	const struct objects_options options = { .commit_interval_ns = NS_PER_SECOND, .inline_max = 12000, .dirty_max_bytes = 1 << 20,
		.stage_max_bytes = 64 << 20, .cached_max = 16, .stream_limit_bytes = 64 << 20 };
	char directory[] = "/var/tmp/dios-recent.XXXXXX", error[256] = "";

	must(mkdtemp(directory) ? 0 : -errno, "a folder");
	must(store_init(directory, &random_system, &clock_system, error, sizeof(error)), error);
	must(store_open(directory, 64 << 20, &store, error, sizeof(error)), error);
	must(cluster_open(store, &clock_system, &random_system, &cluster), "cluster");
	must(objects_open(cluster, store, &options, &objects), "objects");
	begins_in_the_state();
	trimmed_by_a_command();
	broken();
	too_large();
	many_threads();
	objects_close(objects);
	cluster_close(cluster);
	store_close(store);
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return done_testing();
}
