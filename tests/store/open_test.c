/* The data directory as a whole (store/store.h): making, opening, and each way in which a directory is refused, with the
 * sentence that the user sees. */
#include <sys/wait.h>

#include "base/crc32c.h"
#include "store/store.h"
#include "tests/store/store_test.h"

#define CACHE (8u << 20)

static char error[1024];

static void path_in(char out[PATH_MAX + 64], const char *directory, const char *name)
{
	snprintf(out, PATH_MAX + 64, "%.4000s/%.64s", directory, name);
}

static bool said(const char *what)
{
	bool found = strstr(error, what) != NULL;

	if (!found)
		printf("# said: %s\n", error);
	return found;
}

static int open_only(const char *directory)
{
	struct store *s = NULL;
	int r = store_open(directory, CACHE, &s, error, sizeof(error));

	store_close(s);
	return r;
}

static void write_file(const char *directory, const char *name, const char *text)
{
	char path[PATH_MAX + 64];
	FILE *f;

	path_in(path, directory, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

/* A whole format file, its checksum right, with another version. */
static void write_format(const char *directory, unsigned version, const char *more)
{
	char text[600];
	int n = snprintf(text, sizeof(text), "dios data directory\nversion %u\ncluster 00112233445566778899aabbccddeeff\nnode 1\n"
		"disk 00112233445566778899aabbccddeeff\nmade 1\n%s", version, more);

	snprintf(text + n, sizeof(text) - (size_t)n, "checksum %08x\n", crc32c(0, text, (size_t)n));
	write_file(directory, "format", text);
}

static void made_and_opened(const char *base)
{
	char directory[PATH_MAX + 64], path[2 * PATH_MAX];
	struct store *s = NULL, *second = NULL;
	struct stat st;

	path_in(directory, base, "data");
	is_int(store_open(directory, CACHE, &s, error, sizeof(error)), -ENOENT, "nothing there: ENOENT");
	ok(said(directory), "the message names it");
	is_int(store_init(directory, &random_system, &clock_system, error, sizeof(error)), 0, "a missing directory is made");
	snprintf(path, sizeof(path), "%s/key", directory);
	ok(stat(path, &st) == 0 && (st.st_mode & 077) == 0, "nobody else can read the key");
	static const char *const folders[] = { "state", "log", "stage", "heads", "side" };
	size_t made = 0;
	for (size_t i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, folders[i]);
		made += stat(path, &st) == 0 && S_ISDIR(st.st_mode);
	}
	is_int((int)made, 5, "each folder is there before the first start: one missing after it is damage");
	is_int(store_init(directory, &random_system, &clock_system, error, sizeof(error)), -EEXIST, "made again: EEXIST");
	ok(said(directory), "the message names it");
	is_int(store_open(directory, CACHE, &s, error, sizeof(error)), 0, "opened");
	if (!s)
		return;
	ok(s->node_id == 1 && s->disk && s->kv && s->log && s->stage && s->heads, "with all its parts");
	uint8_t cluster[16], key[32];
	memcpy(cluster, s->cluster_id, 16);
	memcpy(key, s->cluster_key, 32);
	is_int(store_open(directory, CACHE, &second, error, sizeof(error)), -EBUSY, "opened by a second daemon: EBUSY");
	char pid[32];
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	ok(said(directory) && said(pid), "the message names the directory and who has it");
	ok(store_has_room(s, 1 << 20), "there is room");
	ok(!store_has_room(s, 1ull << 60), "but not for an exabyte");

	struct log_entry e = { .index = 1, .term = 1, .type = 1, .data = text_slice("x") };
	is_int(log_append(s->log, 1, &e, 1), 0, "its log is used");
	struct stage_record r = { .ino = 1, .kind = STAGE_DATA, .size = 1 };
	is_int(stage_append(s->stage, &r, "x"), 0, "its staging log");
	uint64_t seq = r.seq;
	store_close(s);
	is_int(store_open(directory, CACHE, &s, error, sizeof(error)), 0, "opened again");
	if (!s)
		return;
	ok(memcmp(cluster, s->cluster_id, 16) == 0 && memcmp(key, s->cluster_key, 32) == 0, "it is the same cluster with the same key");
	struct log_group g;
	log_get_group(s->log, 1, &g);
	is_int(g.last_index, 1, "the log's entry is there");
	r = (struct stage_record){ .ino = 1, .kind = STAGE_DATA, .size = 1 };
	stage_append(s->stage, &r, "x");
	ok(r.seq > seq, "staging numbers go on");
	store_close(s);
}

static void refused(const char *base)
{
	char directory[PATH_MAX + 64];
	struct stat st;

	path_in(directory, base, "foreign");
	mkdir(directory, 0700);
	write_file(directory, "photos.txt", "mine");
	is_int(open_only(directory), -ENOENT, "a foreign directory is not opened: ENOENT");
	ok(said(directory) && said("format"), "the message names it and what was looked for");
	is_int(store_init(directory, &random_system, &clock_system, error, sizeof(error)), -ENOTEMPTY, "nor made one in: ENOTEMPTY");
	ok(said(directory) && said("photos.txt"), "the message names what is in it");
	char path[2 * PATH_MAX];
	snprintf(path, sizeof(path), "%s/key", directory);
	ok(stat(path, &st) < 0, "nothing was made in it");

	path_in(directory, base, "otherformat");
	mkdir(directory, 0700);
	write_file(directory, "format", "<?xml version=\"1.0\"?>\n");
	is_int(open_only(directory), -EINVAL, "a file 'format' of something else: EINVAL");
	ok(said("dios data directory"), "the message says what was expected");

	path_in(directory, base, "newer");
	mkdir(directory, 0700);
	write_format(directory, STORE_FORMAT_VERSION + 1, "shape round\n");
	is_int(open_only(directory), -ENOTSUP, "made by a newer format: ENOTSUP");
	char found[32], known[32];
	snprintf(found, sizeof(found), "%d", STORE_FORMAT_VERSION + 1);
	snprintf(known, sizeof(known), "%d", STORE_FORMAT_VERSION);
	ok(said(found) && said(known), "the message names its version and what is understood");

	path_in(directory, base, "file");
	write_file(base, "file", "");
	is_int(open_only(directory), -ENOTDIR, "a file: ENOTDIR");
	is_int(store_init(directory, &random_system, &clock_system, error, sizeof(error)), -ENOTDIR, "nor made one over");
	path_in(directory, base, "no/such/parent");
	is_int(store_init(directory, &random_system, &clock_system, error, sizeof(error)), -ENOENT, "no folder to make it in: ENOENT");
	ok(said(directory), "the message names it");
}

static void damaged(const char *base)
{
	char directory[PATH_MAX + 64], path[2 * PATH_MAX], good[1024], bad[1024];
	int wrong = 0;

	path_in(directory, base, "damaged");
	store_init(directory, &random_system, &clock_system, error, sizeof(error));
	snprintf(path, sizeof(path), "%s/format", directory);
	FILE *f = fopen(path, "r");
	size_t n = fread(good, 1, sizeof(good) - 1, f);
	good[n] = '\0';
	fclose(f);
	for (size_t i = 0; i < n; i++) {
		memcpy(bad, good, n + 1);
		bad[i] ^= 1;
		write_file(directory, "format", bad);
		int r = open_only(directory);
		wrong += r != -EBADMSG && r != -EINVAL && r != -ENOTSUP;
	}
	is_int(wrong, 0, "each of %zu damaged bytes of the file 'format' is refused", n);
	for (size_t i = 0; i < n; i++) {
		memcpy(bad, good, n + 1);
		bad[i] = '\0';
		write_file(directory, "format", bad);
		int r = open_only(directory);
		wrong += r != -EBADMSG && r != -EINVAL;
	}
	is_int(wrong, 0, "so is one cut at each of them");
	write_file(directory, "format", good);
	is_int(open_only(directory), 0, "as it was it is accepted");
	write_file(directory, "key", "short\n");
	is_int(open_only(directory), -EBADMSG, "a damaged key: EBADMSG");
	ok(said("key") && said("key.copy") && said("--repair"), "the message names the file and what to do");
	snprintf(path, sizeof(path), "%s/key", directory);
	unlink(path);
	is_int(open_only(directory), -EBADMSG, "a missing key too");
	snprintf(path, sizeof(path), "%s/key.copy", directory);
	unlink(path);
	is_int(open_only(directory), -EBADMSG, "without its copy too");
	ok(said("'key'") && said("64"), "the message names the file and what was expected");
}

/* store_init dies at any time; the next one finishes its work, or says what to do. */
static void half_made(const char *base)
{
	char directory[PATH_MAX + 64], path[2 * PATH_MAX];

	path_in(directory, base, "half");
	store_init(directory, &random_system, &clock_system, error, sizeof(error));
	snprintf(path, sizeof(path), "%s/format", directory);
	unlink(path);
	snprintf(path, sizeof(path), "%s/format.copy", directory);
	unlink(path);
	write_file(directory, "unfinished", "");
	is_int(open_only(directory), -ENOENT, "one whose making was interrupted is not opened: ENOENT");
	ok(said(directory) && said("interrupted"), "the message says so");
	is_int(store_init(directory, &random_system, &clock_system, error, sizeof(error)), 0, "it can be made again");
	is_int(open_only(directory), 0, "and opened");

	path_in(directory, base, "lostformat");
	store_init(directory, &random_system, &clock_system, error, sizeof(error));
	snprintf(path, sizeof(path), "%s/format", directory);
	unlink(path);
	is_int(store_init(directory, &random_system, &clock_system, error, sizeof(error)), -ENOTEMPTY, "a whole one that has lost its format file is not made anew over its data: ENOTEMPTY");
	ok(said(directory) && said("format"), "the message names what is missing");
	snprintf(path, sizeof(path), "%s/unfinished", directory);
	struct stat st;
	ok(stat(path, &st) < 0, "and it is left as it is");
}

/* On the simulated disk: making dies at every step, by power cut and kill; it opens all the same, and what it had promised is there. */
static void making_dies(void)
{
	int failed = 0, steps = 0, changed = 0;
	bool died = true;

	for (uint64_t step = 1; died; step++) {
		for (int power = 0; power < 2; power++) {
			struct random_seeded random, chance;
			struct store *s = NULL;
			struct disk *d;
			uint8_t boot[16] = { 1 }, cluster[16];

			random_seeded_init(&random, step);
			random_seeded_init(&chance, step + 1);
			disk_sim_new(&chance.source, 256 << 20, &d);
			disk_sim_crash_after(d, step);
			int r = store_open_sim(d, &random.source, boot, &s);
			died = r < 0;
			failed += died != disk_sim_crashed(d);
			if (s)
				memcpy(cluster, s->cluster_id, sizeof(cluster));
			bool whole = s != NULL;
			if (!died) {
				disk_sim_crash_after(d, 1);
				file_put(d, "stage/x", "");
			}
			store_close(s);
			s = NULL;
			if (power)
				disk_sim_power_cut(d);
			else
				disk_sim_process_kill(d);
			boot[0] += (uint8_t)power;
			failed += store_open_sim(d, &random.source, boot, &s) != 0;
			changed += s && whole && memcmp(cluster, s->cluster_id, sizeof(cluster)) != 0;
			store_close(s);
			disk_free(d);
		}
		steps++;
	}
	is_int(failed, 0, "making dies at each of %d steps, by power cut and kill: the next start makes or opens it", steps);
	is_int(changed, 0, "and what was once open keeps its identity");
}

/* Two that make one at the same time. */
static void two_makers(const char *base)
{
	char directory[PATH_MAX + 64];
	int made = 0, refused_well = 0;
	pid_t child[2];

	path_in(directory, base, "race");
	for (int i = 0; i < 2; i++) {
		child[i] = fork();
		if (child[i] == 0) {
			int r = store_init(directory, &random_system, &clock_system, error, sizeof(error));
			_exit(r == 0 ? 0 : r == -EEXIST || r == -EBUSY ? 1 : 2);
		}
	}
	for (int i = 0; i < 2; i++) {
		int status;
		waitpid(child[i], &status, 0);
		made += WIFEXITED(status) && WEXITSTATUS(status) == 0;
		refused_well += WIFEXITED(status) && WEXITSTATUS(status) == 1;
	}
	ok(made == 1 && refused_well == 1, "of two makers one makes it and the other is told (%d, %d)", made, refused_well);
	is_int(open_only(directory), 0, "it opens");
}

static void room_on_a_full_disk(void)
{
	struct random_seeded random;
	struct store *s = NULL;
	struct disk_space space;
	static uint8_t bytes[100000];
	struct disk *d;
	uint8_t boot[16] = { 1 };
	struct log_entry e = { .term = 1, .type = 1, .data = { bytes, sizeof(bytes) } };
	int r = 0;

	random_seeded_init(&random, 1);
	disk_sim_new(&random.source, 64 << 20, &d);
	is_int(store_open_sim(d, &random.source, boot, &s), 0, "a store on 64 MiB");
	store_close(s);
	struct disk_file *f = NULL;
	disk_open(d, "reserve", O_RDWR | O_CREAT, &f);
	disk_truncate(f, 6 << 20);
	disk_close(f);
	s = NULL;
	is_int(store_open_sim(d, &random.source, boot, &s), 0, "opened with a reserve of 6 MiB");
	if (!s)
		return;
	disk_space(d, &space);
	ok(space.free_bytes < (50 << 20), "whose room is taken");
	ok(store_has_room(s, 4096), "has room at first");
	/* Something else takes all there is. */
	disk_space(d, &space);
	disk_sim_set_capacity(d, space.total_bytes - space.free_bytes);
	for (int i = 0; i < 100 && store_has_room(s, 1 << 20); i++)
		;
	ok(!store_has_room(s, 1 << 20), "growth is refused when the disk is full");
	/* Two segments of 4 MiB are there, a third comes out of the reserve, a fourth does not. */
	for (e.index = 1; e.index <= 100 && r == 0; e.index++)
		r = log_append(s->log, 1, &e, 1);
	is_int(r, 0, "the log goes on into what was kept for it: 10 MB");
	ok(!store_has_room(s, 1), "nothing else does");
	for (; e.index <= 200 && r == 0; e.index++)
		r = log_append(s->log, 1, &e, 1);
	is_int(r, -ENOSPC, "until that is used up too");
	ok(e.index > 115 && e.index < 130, "after %" PRIu64 " entries of 100 kB", e.index);
	is_int(log_sync(s->log), 0, "synced");
	disk_sim_set_capacity(d, 128 << 20);
	ok(store_has_room(s, 4096), "when there is room again growth is allowed again");
	ok(s->reserve_held, "and the reserve is held again");
	store_close(s);
	disk_free(d);
}

/* What a power cut and e2fsck can leave on a file system without a journal: names of files and folders whose inode was not yet written, and is
 * that of another file. */
static void names_of_other_files(const char *base)
{
	char directory[PATH_MAX + 64], head[2 * PATH_MAX], other[2 * PATH_MAX];
	uint8_t found[4096] = { 1 }, zeros[sizeof(found)] = { 0 };
	struct store *s = NULL;
	struct stat st;

	path_in(directory, base, "no-journal");
	if (store_init(directory, &random_system, &clock_system, error, sizeof(error)) < 0 || open_only(directory) < 0)
		abort();
	snprintf(other, sizeof(other), "%s/heads/3f", directory);
	ok(rmdir(other) == 0 && (close(open(other, O_CREAT | O_WRONLY, 0600)), true), "a folder of heads is a file");
	snprintf(head, sizeof(head), "%s/heads/00/0000000000000007", directory);
	int fd = open(head, O_CREAT | O_RDWR, 0600);
	ok(fd >= 0 && write(fd, zeros, sizeof(zeros)) == (ssize_t)sizeof(zeros), "a head begins with zeros");
	snprintf(other, sizeof(other), "%s/stage/000000ff", directory);
	is_int(link(head, other), 0, "and has the name of a staging segment too");
	snprintf(other, sizeof(other), "%s/log/000000ff.old", directory);
	is_int(link(head, other), 0, "and that of a segment of the log whose deletion was cut short");
	is_int(store_open(directory, CACHE, &s, error, sizeof(error)), 0, "it is opened: %s", error);
	struct stage_record record = { .ino = 2, .kind = STAGE_DATA, .size = 4 };
	if (s)
		is_int(stage_append(s->stage, &record, "abcd"), 0, "and written");
	store_close(s);
	ok(pread(fd, found, sizeof(found), 0) == (ssize_t)sizeof(found) && memcmp(found, zeros, sizeof(found)) == 0, "nothing has written into the head");
	ok(fstat(fd, &st) == 0 && st.st_nlink == 1, "and it has its own name only");
	snprintf(other, sizeof(other), "%s/heads/3f", directory);
	ok(stat(other, &st) == 0 && S_ISDIR(st.st_mode), "the folder is one again");
	close(fd);
}

int main(void)
{
	char base[PATH_MAX];

	folder_make(base);
	two_makers(base);   /* first: RocksDB's threads would not be in a child */
	made_and_opened(base);
	refused(base);
	damaged(base);
	half_made(base);
	names_of_other_files(base);
	folder_remove(base);
	making_dies();
	room_on_a_full_disk();
	return done_testing();
}
