/* The promises of store/kv.h, kept by both implementations; and both give the same answers to the same random calls. */
#include <sys/wait.h>

#include "store/kv.h"
#include "tests/store/store_test.h"

static int put(struct kv *kv, struct kv_batch *b, const char *key, const char *value)
{
	return kv_batch_put(kv, b, text_slice(key), text_slice(value));
}

/* The value as text; "-" if there is none. */
static const char *get(struct kv *kv, struct kv_batch *overlay, const char *key)
{
	static char text[64];
	struct buffer value;

	buffer_init(&value, sizeof(text) - 1);
	int r = kv_get(kv, overlay, text_slice(key), &value);
	if (r == 0)
		memcpy(text, value.data, value.size);
	text[r == 0 ? value.size : 0] = '\0';
	buffer_done(&value);
	return r == 0 ? text : r == -ENOENT ? "-" : "error";
}

/* All keys of an iterator in order (backwards if asked), "a=1 b=2". */
static const char *range(struct kv *kv, struct kv_batch *overlay, const char *lower, const char *upper, bool backwards)
{
	static char text[256];
	size_t at = 0;
	struct kv_iter *it = kv_iter_new(kv, overlay, text_slice(lower), text_slice(upper));

	text[0] = '\0';
	for (backwards ? kv_iter_seek_last(kv, it) : (void)0; kv_iter_valid(kv, it); backwards ? kv_iter_prev(kv, it) : kv_iter_next(kv, it)) {
		struct slice k = kv_iter_key(kv, it), v = kv_iter_value(kv, it);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s=%.*s", at ? " " : "", (int)k.size, (const char *)k.data, (int)v.size, (const char *)v.data);
	}
	if (kv_iter_error(kv, it))
		snprintf(text, sizeof(text), "error");
	kv_iter_free(kv, it);
	return text;
}

static void batches(struct kv *kv)
{
	struct kv_batch *b = kv_batch_new(kv);
	struct buffer small;

	is_str(get(kv, NULL, "a"), "-", "nothing there yet");
	put(kv, b, "a", "1");
	put(kv, b, "b", "2");
	put(kv, b, "b", "3");
	is_str(get(kv, NULL, "a"), "-", "a batch that is not written is not seen");
	is_str(get(kv, b, "a"), "1", "but through itself");
	is_str(get(kv, b, "b"), "3", "where the last change counts");
	is_int(kv_write(kv, b), 0, "it is written");
	is_str(get(kv, NULL, "b"), "3", "and seen");
	kv_batch_clear(kv, b);
	is_int(kv_batch_delete(kv, b, text_slice("a")), 0, "a key is deleted in a batch");
	is_str(get(kv, b, "a"), "-", "through which it is gone");
	is_str(get(kv, b, "b"), "3", "and the others are seen");
	is_str(get(kv, NULL, "a"), "1", "the store still has it");
	kv_batch_clear(kv, b);
	kv_write(kv, b);
	is_str(get(kv, NULL, "a"), "1", "a cleared batch changes nothing");
	kv_batch_free(kv, b);

	buffer_init(&small, 0);
	is_int(kv_get(kv, NULL, text_slice("b"), &small), -ENOBUFS, "a value past the buffer's limit: ENOBUFS");
	buffer_done(&small);
}

static void iterators(struct kv *kv)
{
	struct kv_batch *b = kv_batch_new(kv);
	struct kv_iter *it;

	for (const char *k = "bdfh"; *k; k++)
		put(kv, b, (char[]){ *k, '\0' }, "0");
	kv_batch_delete(kv, b, text_slice("a"));
	kv_write(kv, b);
	kv_batch_clear(kv, b);
	is_str(range(kv, NULL, "", "", false), "b=0 d=0 f=0 h=0", "all, in order");
	is_str(range(kv, NULL, "", "", true), "h=0 f=0 d=0 b=0", "all, backwards");
	is_str(range(kv, NULL, "c", "h", false), "d=0 f=0", "a range without its upper end");
	is_str(range(kv, NULL, "d", "i", true), "h=0 f=0 d=0", "a range with its lower end, backwards");
	is_str(range(kv, NULL, "i", "", false), "", "past all: nothing");
	is_str(range(kv, NULL, "dd", "e", false), "", "between two: nothing");

	put(kv, b, "a", "1");
	put(kv, b, "d", "1");
	put(kv, b, "e", "1");
	put(kv, b, "z", "1");
	kv_batch_delete(kv, b, text_slice("f"));
	is_str(range(kv, b, "", "", false), "a=1 b=0 d=1 e=1 h=0 z=1", "an overlay is merged in");
	is_str(range(kv, b, "", "", true), "z=1 h=0 e=1 d=1 b=0 a=1", "also backwards");
	is_str(range(kv, b, "b", "h", false), "b=0 d=1 e=1", "the bounds hold for the overlay's keys");
	is_str(range(kv, b, "b", "h", true), "e=1 d=1 b=0", "also backwards");
	is_str(range(kv, b, "f", "g", true), "", "where the overlay deletes the only key there is none");
	is_str(range(kv, b, "", "b", true), "a=1", "an overlay's key alone");

	it = kv_iter_new(kv, b, text_slice("b"), text_slice("h"));
	kv_iter_seek(kv, it, text_slice("a"));
	is_mem(kv_iter_key(kv, it).data, "b", 1, "seek below the range: its first key");
	kv_iter_seek(kv, it, text_slice("da"));
	is_mem(kv_iter_key(kv, it).data, "e", 1, "seek between: the next key");
	kv_iter_prev(kv, it);
	is_mem(kv_iter_key(kv, it).data, "d", 1, "and back");
	kv_iter_next(kv, it);
	is_mem(kv_iter_key(kv, it).data, "e", 1, "and forth");
	kv_iter_next(kv, it);
	ok(!kv_iter_valid(kv, it), "past the end it is not valid");
	kv_iter_seek(kv, it, text_slice("h"));
	ok(!kv_iter_valid(kv, it), "seek past the end: not valid");
	kv_iter_seek(kv, it, text_slice("b"));
	kv_iter_prev(kv, it);
	ok(!kv_iter_valid(kv, it), "before the first: not valid, though the overlay has a key there");
	kv_iter_free(kv, it);

	it = kv_iter_new(kv, NULL, text_slice(""), text_slice(""));
	kv_write(kv, b);
	is_mem(kv_iter_key(kv, it).data, "b", 1, "an iterator sees what was there when it was made");
	kv_iter_free(kv, it);
	kv_batch_free(kv, b);
}

/* The same random changes and walks on both; any difference is a bug of one. */
static void compare(struct kv *one, struct kv *two, uint64_t seed)
{
	struct random_seeded random;
	struct kv *kv[2] = { one, two };
	struct kv_batch *b[2] = { kv_batch_new(one), kv_batch_new(two) };
	int differences = 0;

	random_seeded_init(&random, seed);
	for (int round = 0; round < 300 && !differences; round++) {
		for (int i = (int)random_below(&random.source, 8); i >= 0; i--) {
			char key[8], value[24];
			snprintf(key, sizeof(key), "%02x", (unsigned)random_below(&random.source, 64));
			snprintf(value, sizeof(value), "%d.%d", round, i);
			bool gone = random_below(&random.source, 3) == 0;
			for (int w = 0; w < 2; w++)
				(void)(gone ? kv_batch_delete(kv[w], b[w], text_slice(key)) : put(kv[w], b[w], key, value));
		}
		char low[8], high[8];
		snprintf(low, sizeof(low), "%02x", (unsigned)random_below(&random.source, 64));
		snprintf(high, sizeof(high), "%02x", (unsigned)random_below(&random.source, 80));
		bool overlay = random_below(&random.source, 4) > 0;
		struct kv_iter *it[2];
		for (int w = 0; w < 2; w++)
			it[w] = kv_iter_new(kv[w], overlay ? b[w] : NULL, text_slice(low), strcmp(low, high) < 0 ? text_slice(high) : text_slice(""));
		for (int step = 0; step < 40 && !differences; step++) {
			bool valid = kv_iter_valid(kv[0], it[0]);
			differences += valid != kv_iter_valid(kv[1], it[1]);
			if (valid && !differences) {
				struct slice k0 = kv_iter_key(kv[0], it[0]), k1 = kv_iter_key(kv[1], it[1]);
				struct slice v0 = kv_iter_value(kv[0], it[0]), v1 = kv_iter_value(kv[1], it[1]);
				differences += k0.size != k1.size || memcmp(k0.data, k1.data, k0.size) != 0;
				differences += v0.size != v1.size || memcmp(v0.data, v1.data, v0.size) != 0;
			}
			uint64_t move = random_below(&random.source, valid ? 10 : 2);
			char key[8];
			snprintf(key, sizeof(key), "%02x", (unsigned)random_below(&random.source, 80));
			for (int w = 0; w < 2 && !differences; w++) {
				if (move == 0)
					kv_iter_seek(kv[w], it[w], text_slice(key));
				else if (move == 1)
					kv_iter_seek_last(kv[w], it[w]);
				else if (move < 6)
					kv_iter_next(kv[w], it[w]);
				else
					kv_iter_prev(kv[w], it[w]);
			}
		}
		bool write = random_below(&random.source, 3) == 0;
		for (int w = 0; w < 2; w++) {
			kv_iter_free(kv[w], it[w]);
			if (write) {
				differences += kv_write(kv[w], b[w]) != 0;
				kv_batch_clear(kv[w], b[w]);
			}
		}
	}
	is_int(differences, 0, "300 rounds of changes and walks of seed %" PRIu64 " give the same on both", seed);
	kv_batch_free(one, b[0]);
	kv_batch_free(two, b[1]);
}

static void write_one(struct kv *kv, const char *key, const char *value)
{
	struct kv_batch *b = kv_batch_new(kv);

	put(kv, b, key, value);
	kv_write(kv, b);
	kv_batch_free(kv, b);
}

/* A child writes, flushes, writes again and dies without closing. */
static void rocksdb_keeps_what_was_flushed(const char *directory)
{
	struct kv *kv;
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (kv_rocksdb_open(directory, true, 8 << 20, &kv) < 0)
			_exit(1);
		write_one(kv, "flushed", "yes");
		if (kv_flush(kv) < 0)
			_exit(2);
		write_one(kv, "later", "maybe");
		_exit(0);
	}
	waitpid(child, &status, 0);
	is_int(status, 0, "a process writes, flushes, writes again and ends without closing");
	is_int(kv_rocksdb_open(directory, false, 8 << 20, &kv), 0, "the store is opened again");
	is_str(get(kv, NULL, "flushed"), "yes", "what was flushed is there");
	is_str(get(kv, NULL, "later"), "-", "what was not is gone: there is no log of RocksDB's own");
	kv_close(kv);
}

static void rocksdb_refuses(const char *directory)
{
	char path[PATH_MAX + 16];
	struct kv *kv, *second;
	FILE *f;

	snprintf(path, sizeof(path), "%s/nothing", directory);
	is_int(kv_rocksdb_open(path, false, 0, &kv), -ENOENT, "nothing there, and not to be made: ENOENT");
	snprintf(path, sizeof(path), "%s/state", directory);
	is_int(kv_rocksdb_open(path, true, 0, &kv), 0, "made");
	is_int(kv_rocksdb_open(path, true, 0, &second), -EBUSY, "opened twice: EBUSY");
	kv_close(kv);
	snprintf(path, sizeof(path), "%s/state/CURRENT", directory);
	f = fopen(path, "w");
	fputs("rubbish", f);
	fclose(f);
	snprintf(path, sizeof(path), "%s/state", directory);
	is_int(kv_rocksdb_open(path, true, 0, &kv), -EBADMSG, "damaged: EBADMSG");
}

static void sim_keeps_what_was_flushed(struct disk *d, struct kv *kv)
{
	write_one(kv, "flushed", "yes");
	is_int(kv_flush(kv), 0, "flush");
	write_one(kv, "flushed", "no");
	struct kv *second;
	is_int(kv_sim_open(d, "state", &second), -EBUSY, "opened twice: EBUSY");
	kv_close(kv);
	disk_sim_power_cut(d);
	is_int(kv_sim_open(d, "state", &kv), 0, "the store is opened again");
	is_str(get(kv, NULL, "flushed"), "yes", "what was flushed is there, what was not is gone");
	disk_sim_crash_after(d, 1);
	write_one(kv, "flushed", "no");
	ok(disk_sim_crashed(d), "a write is a step");
	is_str(get(kv, NULL, "flushed"), "error", "a dead machine answers nothing");
	kv_close(kv);
}

int main(void)
{
	struct random_seeded random;
	struct kv *rocks, *sim;
	struct disk *d;
	char path[PATH_MAX], state[PATH_MAX + 16];

	folder_make(path);
	snprintf(state, sizeof(state), "%s/killed", path);
	rocksdb_keeps_what_was_flushed(state);   /* first: RocksDB's threads would not be in a child */
	rocksdb_refuses(path);
	snprintf(state, sizeof(state), "%s/suite", path);
	is_int(kv_rocksdb_open(state, true, 8 << 20, &rocks), 0, "a RocksDB");
	batches(rocks);
	iterators(rocks);

	random_seeded_init(&random, 3);
	disk_sim_new(&random.source, 1 << 20, &d);
	is_int(kv_sim_open(d, "state", &sim), 0, "a simulated store");
	batches(sim);
	iterators(sim);
	for (uint64_t seed = 1; seed <= 20; seed++)
		compare(rocks, sim, seed);
	kv_close(rocks);
	sim_keeps_what_was_flushed(d, sim);
	disk_free(d);
	folder_remove(path);
	return done_testing();
}
