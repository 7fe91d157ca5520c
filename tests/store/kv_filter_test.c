/* The filter of a large table stays in a small cache: to look for a key that is not there reads nothing from the disk. Counted, not timed. */
#include <dirent.h>
#include <poll.h>
#include <sys/inotify.h>

#include "store/kv.h"
#include "tests/store/store_test.h"

#define CACHE_BYTES (8u << 20)       /* four MiB of it are the memtables' */
#define KEYS 600000u                 /* a filter of 730 KiB, more than RocksDB's own division of such a cache has room for in one part */
#define BATCH_KEYS 10000u
#define TABLE_MIN (12u << 20)        /* bytes of the table that most keys are in at the end */
#define LOOKS 2000u
#define READS_MAX (LOOKS / 4)        /* the filters, one a table, are wrong for one key in a hundred */
#define WAIT_MS 60000               /* for RocksDB's next file */

/* Even numbers are there, odd ones are not. Unlike the number itself, what it is multiplied to is anywhere among the others. */
static struct slice key_of(uint64_t number, uint8_t bytes[static 16])
{
	uint64_t mixed = number * 0x9e3779b97f4a7c15ULL;

	memcpy(bytes, &mixed, sizeof(mixed));
	memcpy(bytes + sizeof(mixed), &number, sizeof(number));
	return (struct slice){ bytes, 16 };
}

static int write_keys(struct kv *kv)
{
	static const uint8_t value[16];
	struct kv_batch *b = kv_batch_new(kv);
	uint8_t bytes[16];
	int r = b ? 0 : -ENOMEM;

	for (uint64_t i = 0; r == 0 && i < KEYS; i++) {
		r = kv_batch_put(kv, b, key_of(i * 2, bytes), (struct slice){ value, sizeof(value) });
		if (r == 0 && (i + 1) % BATCH_KEYS == 0) {
			r = kv_write(kv, b);
			kv_batch_clear(kv, b);
		}
	}
	kv_batch_free(kv, b);
	return r == 0 ? kv_flush(kv) : r;
}

static uint64_t largest_table(const char *directory)
{
	uint64_t largest = 0;
	DIR *d = opendir(directory);
	struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d))) {
		size_t size = strlen(e->d_name);
		if (size > 4 && strcmp(e->d_name + size - 4, ".sst") == 0 && fstatat(dirfd(d), e->d_name, &st, 0) == 0 && (uint64_t)st.st_size > largest)
			largest = (uint64_t)st.st_size;
	}
	if (d)
		closedir(d);
	return largest;
}

/* RocksDB puts the small tables together by itself: each file that comes or goes may have been the last step. */
static bool tables_are_merged(const char *directory)
{
	char events[4096];
	struct pollfd changes = { .fd = inotify_init1(IN_CLOEXEC), .events = POLLIN };
	bool watched = changes.fd >= 0 && inotify_add_watch(changes.fd, directory, IN_CLOSE_WRITE | IN_DELETE) >= 0;

	while (watched && largest_table(directory) < TABLE_MIN)
		watched = poll(&changes, 1, WAIT_MS) == 1 && read(changes.fd, events, sizeof(events)) > 0;
	if (changes.fd >= 0)
		close(changes.fd);
	return largest_table(directory) >= TABLE_MIN;
}

/* Reads of this thread, whatever the others do. -1: this kernel does not count them. */
static long reads(void)
{
	char line[128];
	long count = -1;
	FILE *f = fopen("/proc/thread-self/io", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "syscr: %ld", &count) == 1)
			break;
	if (f)
		fclose(f);
	return count;
}

static unsigned look_for_missing(struct kv *kv, uint64_t first)
{
	struct buffer value;
	uint8_t bytes[16];
	unsigned missing = 0;

	buffer_init(&value, 64);
	for (uint64_t i = 0; i < LOOKS; i++)
		missing += kv_get(kv, NULL, key_of((first + i * 97) * 2 + 1, bytes), &value) == -ENOENT;
	buffer_done(&value);
	return missing;
}

int main(void)
{
	char directory[PATH_MAX];
	struct kv *kv;

	folder_make(directory);
	if (!ok(kv_rocksdb_open(directory, true, CACHE_BYTES, &kv) == 0, "a store")) {
		folder_remove(directory);
		return done_testing();
	}
	is_int(write_keys(kv), 0, "%u keys", KEYS);
	if (reads() < 0) {
		skip("reads of the disk", "this kernel does not count them");
	} else if (ok(tables_are_merged(directory), "are in one table")) {
		is_int(look_for_missing(kv, 0), LOOKS, "others are not there");
		long before = reads();
		is_int(look_for_missing(kv, 31), LOOKS, "nor are others");
		long count = reads() - before;
		ok(count <= READS_MAX, "which is known without reading: %ld reads for %u look-ups", count, LOOKS);
	}
	kv_close(kv);
	folder_remove(directory);
	return done_testing();
}
