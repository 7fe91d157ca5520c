/* The simulated disk's own promises: what a power cut keeps and loses, what a kill keeps, faults, determinism. */
#include "tests/store/store_test.h"

#define SECTOR 512u

static struct disk *new_disk(struct random_seeded *random, uint64_t seed)
{
	struct disk *d = NULL;

	random_seeded_init(random, seed);
	if (disk_sim_new(&random->source, 4 << 20, &d) < 0)
		abort();
	return d;
}

static struct disk_file *new_file(struct disk *d, const char *path)
{
	struct disk_file *f = NULL;

	if (disk_open(d, path, O_RDWR | O_CREAT, &f) < 0)
		abort();
	return f;
}

static void synced_stays(void)
{
	struct random_seeded random;
	uint8_t data[3000], back[3000];
	int lost_bytes = 0, lost_name = 0, kept_name = 0, lost_unsynced_bytes = 0;

	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct disk *d = new_disk(&random, seed);
		struct disk_file *f = new_file(d, "a");
		memset(data, (int)seed, sizeof(data));
		disk_pwrite(f, data, sizeof(data), 0);
		disk_sync(f);
		disk_sync_dir(d, ".");
		disk_pwrite(f, "more", 4, 3000);
		disk_close(f);
		file_put(d, "b", "its name is not synced");
		disk_sim_power_cut(d);
		if (disk_open(d, "a", O_RDONLY, &f) == 0) {
			ssize_t n = disk_pread(f, back, sizeof(back), 0);
			lost_bytes += n != 3000 || memcmp(back, data, sizeof(data)) != 0;
			uint64_t size = 0;
			disk_size(f, &size);
			lost_unsynced_bytes += size == 3000;
			disk_close(f);
		} else {
			lost_bytes++;
		}
		file_exists(d, "b") ? kept_name++ : lost_name++;
		disk_free(d);
	}
	is_int(lost_bytes, 0, "bytes and name that were synced are there after each of 200 power cuts");
	ok(lost_name > 50 && kept_name > 50, "a name that was not is lost (%d) or kept (%d)", lost_name, kept_name);
	ok(lost_unsynced_bytes > 50 && lost_unsynced_bytes < 150, "so are bytes appended after the sync (lost %d times)", lost_unsynced_bytes);
}

/* Eight sectors overwritten: each old or new, every mixture at some time, no sector torn. */
static void sectors_alone(void)
{
	struct random_seeded random;
	uint8_t data[8 * SECTOR], back[8 * SECTOR];
	int torn = 0, out_of_order = 0, seen_old = 0, seen_new = 0;

	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct disk *d = new_disk(&random, seed);
		struct disk_file *f = new_file(d, "a");
		memset(data, 'o', sizeof(data));
		disk_pwrite(f, data, sizeof(data), 0);
		disk_sync(f);
		disk_sync_dir(d, ".");
		memset(data, 'n', sizeof(data));
		disk_pwrite(f, data, sizeof(data), 0);
		disk_close(f);
		disk_sim_power_cut(d);
		f = new_file(d, "a");
		disk_pread(f, back, sizeof(back), 0);
		for (size_t s = 0; s < 8; s++) {
			for (size_t i = 1; i < SECTOR; i++)
				torn += back[s * SECTOR + i] != back[s * SECTOR];
			out_of_order += s > 0 && back[s * SECTOR] == 'n' && back[(s - 1) * SECTOR] == 'o';
			back[s * SECTOR] == 'o' ? seen_old++ : seen_new++;
		}
		disk_close(f);
		disk_free(d);
	}
	is_int(torn, 0, "a sector is old or new, never torn");
	ok(seen_old > 500 && seen_new > 500 && out_of_order > 200, "each for itself: %d old, %d new, %d later ones without the earlier", seen_old, seen_new, out_of_order);
}

static void versions_between(void)
{
	struct random_seeded random;
	int seen[4] = { 0 };

	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct disk *d = new_disk(&random, seed);
		struct disk_file *f = new_file(d, "a");
		char c = 0;
		disk_pwrite(f, "0", 1, 0);
		disk_sync(f);
		disk_sync_dir(d, ".");
		for (const char *text = "123"; *text; text++)
			disk_pwrite(f, text, 1, 0);
		disk_close(f);
		disk_sim_power_cut(d);
		f = new_file(d, "a");
		disk_pread(f, &c, 1, 0);
		if (c >= '0' && c <= '3')
			seen[c - '0']++;
		disk_close(f);
		disk_free(d);
	}
	ok(seen[0] > 10 && seen[1] > 10 && seen[2] > 10 && seen[3] > 10 && seen[0] + seen[1] + seen[2] + seen[3] == 300,
	   "a sector written three times since the sync comes back as of any of them: %d %d %d %d", seen[0], seen[1], seen[2], seen[3]);
}

static void cut_whole_or_not(void)
{
	struct random_seeded random;
	static uint8_t data[6000], back[6000];
	int wrong = 0, kept = 0;

	memset(data, 'x', sizeof(data));
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct disk *d = new_disk(&random, seed);
		struct disk_file *f = new_file(d, "a");
		disk_pwrite(f, data, sizeof(data), 0);
		disk_sync(f);
		disk_sync_dir(d, ".");
		disk_truncate(f, 1024);
		disk_close(f);
		disk_sim_power_cut(d);
		f = new_file(d, "a");
		ssize_t n = disk_pread(f, back, sizeof(back), 0);
		wrong += !(n == 1024 || n == 6000) || memcmp(back, data, (size_t)n) != 0;
		kept += n == 1024;
		disk_close(f);
		disk_free(d);
	}
	is_int(wrong, 0, "a cut that was not synced happened wholly or not at all");
	ok(kept > 20 && kept < 80, "and either does happen (%d of 100)", kept);
}

/* create a, create b, rename a over b, create c: what is left is a beginning of that. */
static void names_in_order(void)
{
	struct random_seeded random;
	int wrong = 0, seen[5] = { 0 };

	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct disk *d = new_disk(&random, seed);
		file_put(d, "a", "");
		file_put(d, "b", "");
		disk_rename(d, "a", "b");
		file_put(d, "c", "");
		disk_sim_power_cut(d);
		int a = file_exists(d, "a"), b = file_exists(d, "b"), c = file_exists(d, "c");
		int state = !a && !b && !c ? 0 : a && !b && !c ? 1 : a && b && !c ? 2 : !a && b && !c ? 3 : !a && b && c ? 4 : -1;
		if (state < 0)
			wrong++;
		else
			seen[state]++;
		disk_free(d);
	}
	is_int(wrong, 0, "names of one folder are lost from the end");
	ok(seen[0] > 10 && seen[1] > 10 && seen[2] > 10 && seen[3] > 10 && seen[4] > 10, "at any place: %d %d %d %d %d", seen[0], seen[1], seen[2], seen[3], seen[4]);

	struct disk *d = new_disk(&random, 1);
	disk_mkdir(d, "folder");
	file_put(d, "folder/a", "");
	disk_sync_dir(d, "folder");
	int gone = 0;
	disk_sim_power_cut(d);
	for (uint64_t seed = 1; seed <= 100; seed++) {
		disk_free(d);
		d = new_disk(&random, seed);
		disk_mkdir(d, "folder");
		file_put(d, "folder/a", "");
		disk_sync_dir(d, "folder");
		disk_sim_power_cut(d);
		gone += !file_exists(d, "folder/a");
	}
	ok(gone > 20, "a synced folder whose own name was not synced may be gone (%d of 100)", gone);
	disk_free(d);
}

static void kill_keeps_all(void)
{
	struct random_seeded random;
	struct disk *d = new_disk(&random, 1);
	struct disk_file *f = new_file(d, "a");
	char text[16] = "";

	disk_pwrite(f, "written", 7, 0);
	disk_close(f);
	disk_sim_process_kill(d);
	f = new_file(d, "a");
	is_int(disk_pread(f, text, 7, 0), 7, "what was written is there after a kill");
	is_str(text, "written", "all of it");
	disk_close(f);
	disk_free(d);
}

static void steps_and_death(void)
{
	struct random_seeded random;
	struct disk *d = new_disk(&random, 1);
	struct disk_file *f = new_file(d, "a");
	uint64_t before = disk_sim_steps(d), size;
	char c;

	disk_pread(f, &c, 1, 0);
	disk_size(f, &size);
	file_exists(d, "a");
	is_int(disk_sim_steps(d), before, "reading takes no step");
	disk_pwrite(f, "x", 1, 0);
	disk_sync(f);
	is_int(disk_sim_steps(d), before + 2, "writing and syncing do");
	disk_sim_crash_after(d, 2);
	is_int(disk_pwrite(f, "y", 1, 0), 0, "the step before the last");
	is_int(disk_sync(f), -ESHUTDOWN, "the last one fails: ESHUTDOWN");
	ok(disk_sim_crashed(d), "it is dead");
	is_int(disk_pwrite(f, "z", 1, 0), -ESHUTDOWN, "it writes nothing any more");
	is_int(disk_pread(f, &c, 1, 0), -ESHUTDOWN, "reads nothing");
	is_int(disk_mkdir(d, "x"), -ESHUTDOWN, "makes nothing");
	disk_close(f);
	disk_sim_process_kill(d);
	ok(!disk_sim_crashed(d), "and is back");
	is_int(file_put(d, "b", "x"), 0, "and works");
	disk_free(d);

	int whole = 0, none = 0, part = 0;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		static uint8_t data[2048];
		d = new_disk(&random, seed);
		f = new_file(d, "a");
		disk_sim_crash_after(d, 1);
		disk_pwrite(f, data, sizeof(data), 0);
		disk_close(f);
		disk_sim_process_kill(d);
		f = new_file(d, "a");
		disk_size(f, &size);
		size == 0 ? none++ : size == sizeof(data) ? whole++ : part++;
		if (size % SECTOR)
			ok(false, "a write ended within a sector");
		disk_close(f);
		disk_free(d);
	}
	ok(none > 10 && part > 50 && whole + none + part == 200, "who dies while writing has written nothing (%d), a part (%d), all (%d)", none, part, whole);
}

static void faults(void)
{
	struct random_seeded random;
	struct disk *d = new_disk(&random, 1);
	struct disk_file *f = new_file(d, "a");
	struct disk_space space;
	uint64_t size;
	char text[8] = "";

	disk_sync_dir(d, ".");
	disk_pwrite(f, "old", 3, 0);
	disk_sync(f);
	disk_pwrite(f, "new", 3, 0);
	disk_sim_fail_sync(d, 1);
	is_int(disk_sync(f), -EIO, "the chosen sync fails");
	is_int(disk_sync(f), 0, "the next one does not");
	disk_pread(f, text, 3, 0);
	is_str(text, "new", "the bytes are still read");
	disk_drop_cache(f, 0, 3);
	disk_pread(f, text, 3, 0);
	is_str(text, "old", "until the cache is dropped: the disk has the old ones");
	disk_pwrite(f, "new", 3, 0);
	disk_sync(f);
	disk_close(f);
	disk_sim_power_cut(d);
	f = new_file(d, "a");
	disk_pread(f, text, 3, 0);
	is_str(text, "new", "written again and synced they stay");
	is_int(disk_sim_flip_bit(d, "a", 1), 0, "a bit flips");
	disk_pread(f, text, 3, 0);
	is_str(text, "lew", "silently");
	is_int(disk_sim_flip_bit(d, "a", 24), -ERANGE, "beyond the end: ERANGE");
	is_int(disk_sim_flip_bit(d, "b", 0), -ENOENT, "no such file: ENOENT");

	disk_sim_set_capacity(d, 16 << 10);
	disk_space(d, &space);
	is_int(space.free_bytes, 12 << 10, "free space is what the capacity leaves");
	static uint8_t big[13 << 10];
	is_int(disk_pwrite(f, big, sizeof(big), 4096), -ENOSPC, "beyond the capacity: ENOSPC");
	disk_size(f, &size);
	is_int(size, 16 << 10, "but what fits is written");
	is_int(disk_pwrite(f, big, 12 << 10, 4096), 0, "up to it is fine");
	is_int(disk_pwrite(f, big, 16, 0), 0, "overwriting takes no room");
	is_int(disk_punch(f, 4096, 12 << 10), 0, "a hole");
	disk_space(d, &space);
	is_int(space.free_bytes, 12 << 10, "gives room back");
	is_int(disk_allocate(f, 4096, 12 << 10), 0, "room can be kept");
	is_int(disk_allocate(f, 4096, 16 << 10), -ENOSPC, "not more than there is");
	disk_close(f);
	disk_unlink(d, "a");
	disk_space(d, &space);
	is_int(space.free_bytes, 16 << 10, "a file that goes gives its room back");
	disk_free(d);
}

/* The same seed and calls give the same disk. */
static uint64_t history(uint64_t seed)
{
	struct random_seeded random;
	struct disk *d = new_disk(&random, seed);
	uint64_t sum = 0;

	for (int i = 0; i < 200; i++) {
		struct disk_file *f = NULL;
		char path[8];
		uint8_t data[1500];
		snprintf(path, sizeof(path), "%d", i % 7);
		memset(data, i, sizeof(data));
		if (disk_open(d, path, O_RDWR | O_CREAT, &f) == 0) {
			disk_pwrite(f, data, sizeof(data), (uint64_t)(i * 321 % 5000));
			disk_close(f);
		}
		if (i % 20 == 19)
			disk_sim_power_cut(d);
		if (disk_open(d, path, O_RDONLY, &f) == 0) {
			ssize_t n = disk_pread(f, data, sizeof(data), 0);
			for (ssize_t k = 0; k < n; k++)
				sum = sum * 31 + data[k];
			disk_close(f);
		}
	}
	disk_free(d);
	return sum;
}

static void deterministic(void)
{
	int other = 0;

	for (uint64_t seed = 1; seed <= 5; seed++) {
		ok(history(seed) == history(seed), "seed %" PRIu64 " replays to the same bytes", seed);
		other += history(seed) != history(seed + 100);
	}
	ok(other > 0, "and other seeds to others");
}

int main(void)
{
	synced_stays();
	sectors_alone();
	versions_between();
	cut_whole_or_not();
	names_in_order();
	kill_keeps_all();
	steps_and_death();
	faults();
	deterministic();
	return done_testing();
}
