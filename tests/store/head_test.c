/* The promises of store/head.h: heads and side files, on both disks; what is durable, on the simulated one. */
#include <sys/resource.h>

#include "store/head.h"
#include "tests/store/store_test.h"

static int put(struct heads *h, uint64_t ino, const char *text, bool sync)
{
	struct head *head;
	int r = head_get(h, ino, true, &head);

	if (r < 0)
		return r;
	r = disk_pwrite(head_file(head), text, strlen(text), 0);
	if (r == 0 && sync)
		r = head_sync(h, head);
	head_put(h, head);
	return r;
}

static const char *get(struct heads *h, uint64_t ino)
{
	static char text[64];
	struct head *head;
	int r = head_get(h, ino, false, &head);

	if (r < 0)
		return r == -ENOENT ? "-" : "error";
	ssize_t n = disk_pread(head_file(head), text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	head_put(h, head);
	return text;
}

struct seen { int count; uint64_t sum; };

static int see(void *arg, uint64_t id)
{
	struct seen *s = arg;

	s->count++;
	s->sum += id;
	return 0;
}

static int stop(void *arg, uint64_t id)
{
	(void)arg; (void)id;
	return 5;
}

static void use(struct disk *d)
{
	struct seen seen = { 0 };
	struct heads *h = NULL;
	struct head *a, *b;
	int wrong = 0;

	is_int(heads_open(d, 8, &h), 0, "folders are made");
	is_str(get(h, 5), "-", "a head that is not there: ENOENT");
	is_int(put(h, 5, "five", true), 0, "made, written, synced");
	is_str(get(h, 5), "five", "read");
	is_int(head_get(h, 5, false, &a), 0, "held");
	is_int(head_get(h, 5, true, &b), 0, "held again");
	ok(a == b, "it is one head");
	is_int(head_remove(h, 5), 0, "removed while it is held");
	char text[8] = "";
	is_int(disk_pread(head_file(a), text, 4, 0), 4, "the holder reads on");
	is_int(put(h, 5, "new", true), 0, "a new one of that number");
	is_int(disk_pread(head_file(a), text, 4, 0), 4, "is another file");
	is_str(text, "five", "the holder still has the old one");
	head_put(h, a);
	head_put(h, b);
	is_str(get(h, 5), "new", "the new one is there");
	is_int(head_remove(h, 5), 0, "removed");
	is_int(head_remove(h, 5), 0, "removing what is not there is fine");
	is_str(get(h, 5), "-", "it is gone");

	for (uint64_t i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "%d", (int)i);
		wrong += put(h, i << 40 | i, text, false) != 0;
	}
	for (uint64_t i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "%d", (int)i);
		wrong += strcmp(get(h, i << 40 | i), text) != 0;
	}
	is_int(wrong, 0, "500 heads through a cache of 8");
	is_int(heads_list(h, see, &seen), 0, "listed");
	ok(seen.count == 500 && seen.sum == (499 * 500 / 2) * ((1ull << 40) + 1), "each once");
	is_int(heads_list(h, stop, NULL), 5, "what the caller returns ends the list");
	heads_close(h);
	is_int(heads_open(d, 8, &h), 0, "opened again");
	is_str(get(h, 7ull << 40 | 7), "7", "they are there");
	heads_close(h);
}

static void sides(struct disk *d)
{
	struct seen seen = { 0 };
	struct heads *h = NULL;
	char text[16] = "";

	heads_open(d, 8, &h);
	is_int(side_read(h, 9, text, 1, 0), -EIO, "reading a side file that is not there: EIO");
	is_int(side_write(h, 9, "hello", 5, 100), 0, "made at the first write");
	is_int(side_write(h, 9, "HE", 2, 100), 0, "written over");
	is_int(side_sync(h, 9), 0, "synced");
	is_int(side_read(h, 9, text, 5, 100), 0, "read");
	is_str(text, "HEllo", "as written");
	is_int(side_read(h, 9, text, 6, 100), -EIO, "fewer bytes than asked: EIO");
	is_int(side_write(h, 77, "x", 1, 0), 0, "another");
	is_int(sides_list(h, see, &seen), 0, "listed");
	ok(seen.count == 2 && seen.sum == 86, "both");
	is_int(side_remove(h, 9), 0, "removed");
	is_int(side_remove(h, 9), 0, "removing again is fine");
	is_int(side_read(h, 9, text, 1, 0), -EIO, "gone");
	heads_close(h);
}

/* Descriptors in use are not taken away, whatever the bound says. */
static void pinned(struct disk *d)
{
	struct heads *h = NULL;
	struct head *held[20];
	int wrong = 0;

	heads_open(d, 2, &h);
	for (uint64_t i = 0; i < 20; i++)
		wrong += head_get(h, 1000 + i, true, &held[i]) != 0;
	for (uint64_t i = 0; i < 20; i++)
		wrong += disk_pwrite(head_file(held[i]), "p", 1, 0) != 0;
	for (uint64_t i = 0; i < 20; i++)
		head_put(h, held[i]);
	is_int(wrong, 0, "20 heads are held with a cache of 2");
	heads_close(h);
}

/* What head_sync and side_sync promised is there after a power cut at any later time, also when another daemon made the file. */
static void synced_is_durable(void)
{
	int lost = 0, lost_other = 0;

	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct random_seeded random;
		struct heads *h = NULL;
		struct disk *d;
		char text[8];

		random_seeded_init(&random, seed);
		disk_sim_new(&random.source, 4 << 20, &d);
		heads_open(d, 2, &h);
		put(h, 1, "one", true);
		put(h, 2, "two", false);
		side_write(h, 3, "three", 5, 0);
		side_sync(h, 3);
		side_write(h, 4, "after", 5, 0);   /* in a folder that was synced before */
		side_sync(h, 4);
		heads_close(h);
		disk_sim_process_kill(d);
		heads_open(d, 2, &h);
		put(h, 2, "TWO", true);   /* made by the daemon before, its name never synced */
		for (uint64_t i = 10; i < 20; i++)
			put(h, i, "others", false);
		put(h, 2, "TWO", true);
		heads_close(h);
		disk_sim_power_cut(d);
		heads_open(d, 2, &h);
		lost += side_read(h, 4, text, 5, 0) != 0 || memcmp(text, "after", 5) != 0;
		lost += strcmp(get(h, 1), "one") != 0 || side_read(h, 3, text, 5, 0) != 0 || memcmp(text, "three", 5) != 0;
		lost_other += strcmp(get(h, 2), "TWO") != 0;
		heads_close(h);
		disk_free(d);
	}
	is_int(lost, 0, "a head and a side file that were synced survive 100 power cuts");
	is_int(lost_other, 0, "so does a head that an earlier daemon made and this one synced");
}

static void failed_sync(void)
{
	struct random_seeded random;
	struct heads *h = NULL;
	struct head *head;
	struct disk *d;

	random_seeded_init(&random, 1);
	disk_sim_new(&random.source, 4 << 20, &d);
	heads_open(d, 1, &h);
	put(h, 1, "old", true);
	head_get(h, 1, false, &head);
	disk_pwrite(head_file(head), "new", 3, 0);
	disk_sim_fail_sync(d, 1);
	is_int(head_sync(h, head), -EIO, "a failed sync: EIO");
	is_int(head_sync(h, head), -EIO, "the head is doubtful: EIO again, though the disk would say 0");
	head_put(h, head);
	for (uint64_t i = 10; i < 20; i++)
		put(h, i, "others", false);
	head_get(h, 1, false, &head);
	is_int(head_sync(h, head), -EIO, "also when others have gone through the cache meanwhile");
	head_trust(h, head);
	disk_pwrite(head_file(head), "new", 3, 0);
	is_int(head_sync(h, head), 0, "trusted, written again and synced");
	head_put(h, head);

	side_write(h, 5, "old", 3, 0);
	disk_sim_fail_sync(d, 1);
	is_int(side_sync(h, 5), -EIO, "a side file's failed sync: EIO");
	is_int(side_sync(h, 5), -EIO, "and again");
	side_remove(h, 5);
	side_write(h, 5, "new", 3, 0);
	is_int(side_sync(h, 5), 0, "a new one of that number is another file");
	heads_close(h);
	disk_free(d);
}

/* A process with few descriptors left. */
static void out_of_descriptors(struct disk *d)
{
	struct heads *h = NULL;
	struct head *held;
	int fds[512], count = 0, wrong = 0;

	heads_open(d, 100, &h);
	for (uint64_t i = 0; i < 20; i++)
		put(h, 5000 + i, "x", false);
	struct rlimit before, small;
	getrlimit(RLIMIT_NOFILE, &before);
	small = before;
	small.rlim_cur = 128;
	setrlimit(RLIMIT_NOFILE, &small);
	while (count < 512 && (fds[count] = dup(0)) >= 0)
		count++;
	for (uint64_t i = 0; i < 20; i++)
		wrong += put(h, 6000 + i, "y", false) != 0;
	is_int(head_get(h, 5001, false, &held), 0, "with no descriptor left, cached ones give way");
	head_put(h, held);
	is_int(wrong, 0, "for new heads too");
	while (count > 0)
		close(fds[--count]);
	setrlimit(RLIMIT_NOFILE, &before);
	heads_close(h);
}

static void suite(struct disk *d, const char *which)
{
	printf("# %s\n", which);
	use(d);
	sides(d);
	pinned(d);
}

int main(void)
{
	struct random_seeded random;
	struct disk *d;
	char path[PATH_MAX];

	folder_make(path);
	disk_posix_new(path, &d);
	suite(d, "posix");
	out_of_descriptors(d);
	disk_free(d);
	folder_remove(path);

	random_seeded_init(&random, 1);
	disk_sim_new(&random.source, 64 << 20, &d);
	suite(d, "simulated");
	disk_free(d);
	synced_is_durable();
	failed_sync();
	return done_testing();
}
