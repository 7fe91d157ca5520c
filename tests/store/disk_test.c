/* The promises of store/disk.h, kept by both implementations. */
#include "tests/store/store_test.h"

static void reads_and_writes(struct disk *d)
{
	struct disk_file *f;
	char text[32] = "";
	uint64_t size;
	struct iovec iov[3] = { { (void *)(uintptr_t)"one ", 4 }, { (void *)(uintptr_t)"", 0 }, { (void *)(uintptr_t)"two", 3 } };

	is_int(disk_open(d, "missing", O_RDONLY, &f), -ENOENT, "a file that is not there: ENOENT");
	is_int(disk_open(d, "a", O_RDWR | O_CREAT | O_EXCL, &f), 0, "a file is made");
	is_int(disk_pwritev(f, iov, 3, 10), 0, "vectors are written at an offset");
	is_int(disk_size(f, &size), 0, "size is known");
	is_int(size, 17, "size is the end of what was written");
	is_int(disk_pread(f, text, sizeof(text), 0), 17, "a read ends at the end of the file");
	is_mem(text, "\0\0\0\0\0\0\0\0\0\0one two", 17, "bytes before the first write are zeros");
	is_int(disk_pread(f, text, sizeof(text), 17), 0, "at the end there is nothing to read");
	is_int(disk_pread(f, text, sizeof(text), 5000), 0, "nor beyond it");
	is_int(disk_sync(f), 0, "sync");
	disk_close(f);
	is_int(disk_open(d, "a", O_RDWR | O_CREAT | O_EXCL, &f), -EEXIST, "O_EXCL on a file that is there: EEXIST");
	is_int(disk_open(d, "a", O_RDONLY, &f), 0, "opened for reading");
	is_int(disk_pwrite(f, "x", 1, 0), -EROFS, "writing through it: EROFS");
	disk_close(f);
	is_int(disk_open(d, "a", O_RDWR | O_TRUNC, &f), 0, "opened and cut");
	is_int(disk_size(f, &size), 0, "size after O_TRUNC");
	is_int(size, 0, "O_TRUNC empties the file");
	disk_close(f);
}

/* More vectors than the kernel takes at once, and a block larger than any short write. */
static void many_vectors(struct disk *d)
{
	enum { COUNT = 3000 };
	static uint8_t bytes[COUNT], back[COUNT];
	static struct iovec iov[COUNT];
	struct disk_file *f;

	for (size_t i = 0; i < COUNT; i++) {
		bytes[i] = (uint8_t)(i * 7);
		iov[i] = (struct iovec){ &bytes[i], 1 };
	}
	is_int(disk_open(d, "many", O_RDWR | O_CREAT, &f), 0, "open");
	is_int(disk_pwritev(f, iov, COUNT, 3), 0, "3,000 vectors are written");
	is_int(disk_pread(f, back, COUNT, 3), COUNT, "and read back");
	is_mem(back, bytes, COUNT, "in order");
	disk_close(f);
}

static void cuts_and_holes(struct disk *d)
{
	static uint8_t data[20000], back[20000], zeros[20000];
	struct disk_file *f;
	uint64_t size;

	memset(data, 'x', sizeof(data));
	is_int(disk_open(d, "holes", O_RDWR | O_CREAT, &f), 0, "open");
	is_int(disk_pwrite(f, data, sizeof(data), 0), 0, "20,000 bytes");
	is_int(disk_punch(f, 4096, 8192), 0, "a hole in the middle");
	disk_size(f, &size);
	is_int(size, 20000, "leaves the size");
	is_int(disk_pread(f, back, sizeof(back), 0), 20000, "read");
	ok(memcmp(back, data, 4096) == 0 && memcmp(back + 4096, zeros, 8192) == 0 && memcmp(back + 12288, data, 7712) == 0,
	   "it reads as zeros, its neighbours are untouched");
	is_int(disk_punch(f, 100, 10), 0, "a hole of ten bytes");
	disk_pread(f, back, 200, 0);
	ok(memcmp(back, data, 100) == 0 && memcmp(back + 100, zeros, 10) == 0 && memcmp(back + 110, data, 90) == 0, "is exact");
	is_int(disk_punch(f, 19000, 1 << 20), 0, "a hole past the end");
	disk_size(f, &size);
	is_int(size, 20000, "does not grow the file");
	is_int(disk_truncate(f, 50), 0, "cut to 50 bytes");
	is_int(disk_truncate(f, 9000), 0, "grown to 9,000");
	is_int(disk_pread(f, back, sizeof(back), 0), 9000, "read");
	ok(memcmp(back, data, 50) == 0 && memcmp(back + 50, zeros, 8950) == 0, "what was cut does not come back");
	int r = disk_allocate(f, 0, 100000);
	ok(r == 0 || r == -EOPNOTSUPP, "room is made, or cannot be (%d)", r);
	disk_size(f, &size);
	is_int(size, 9000, "making room leaves the size");
	is_int(disk_drop_cache(f, 0, 9000), 0, "the cache is dropped");
	is_int(disk_pread(f, back, sizeof(back), 0), 9000, "and the file is still read");
	disk_close(f);
}

static void clones(struct disk *d)
{
	static uint8_t back[300000], want[300000];
	struct disk_file *from, *to;
	uint64_t size;

	disk_open(d, "from", O_RDWR | O_CREAT, &from);
	disk_open(d, "to", O_RDWR | O_CREAT, &to);
	memset(want, 0, sizeof(want));
	memcpy(want, "begin", 5);
	memcpy(want + 200000, "middle", 6);
	disk_pwrite(from, "begin", 5, 0);
	disk_pwrite(from, "middle", 6, 200000);
	disk_truncate(from, 250000);
	memset(back, 'z', sizeof(back));
	disk_pwrite(to, back, 300000, 0);
	is_int(disk_clone(from, to), 0, "a file is cloned over a longer one");
	disk_size(to, &size);
	is_int(size, 250000, "the clone has the size");
	is_int(disk_pread(to, back, sizeof(back), 0), 250000, "the clone is read");
	is_mem(back, want, 250000, "the clone has the bytes, holes included");
	disk_pwrite(from, "BEGIN", 5, 0);
	disk_pread(to, back, 5, 0);
	is_mem(back, "begin", 5, "later changes of the one don't show in the other");
	disk_close(from);
	disk_close(to);
}

struct seen { int count; bool a, b, other; };

static int see(void *arg, const char *name)
{
	struct seen *seen = arg;

	seen->count++;
	seen->a |= strcmp(name, "a") == 0;
	seen->b |= strcmp(name, "b") == 0;
	seen->other |= strcmp(name, "a") != 0 && strcmp(name, "b") != 0;
	return 0;
}

static int stop(void *arg, const char *name)
{
	(void)arg; (void)name;
	return 42;
}

static void names(struct disk *d)
{
	struct disk_file *f;
	struct seen seen = { 0 };
	char text[8] = "";

	is_int(disk_mkdir(d, "folder"), 0, "a folder is made");
	is_int(disk_mkdir(d, "folder"), 0, "making it again is fine");
	is_int(disk_mkdir(d, "no/folder"), -ENOENT, "below one that is not there: ENOENT");
	is_int(file_put(d, "folder/a", "first"), 0, "a file in it");
	is_int(file_put(d, "folder/b", "second"), 0, "another");
	is_int(disk_list(d, "folder", see, &seen), 0, "it is listed");
	ok(seen.count == 2 && seen.a && seen.b && !seen.other, "with its two entries and no dots");
	is_int(disk_list(d, "folder", stop, NULL), 42, "what the caller returns ends the list");
	is_int(disk_list(d, "nothing", see, &seen), -ENOENT, "no such folder to list: ENOENT");
	disk_open(d, "folder/b", O_RDONLY, &f);
	is_int(disk_rename(d, "folder/a", "folder/b"), 0, "rename over the other");
	is_int(disk_pread(f, text, 6, 0), 6, "who has it open reads on");
	is_str(text, "second", "the replaced file");
	disk_close(f);
	ok(!file_exists(d, "folder/a") && file_exists(d, "folder/b"), "the old name is gone");
	is_int(disk_rename(d, "folder/a", "folder/c"), -ENOENT, "no file to rename: ENOENT");
	is_int(disk_rename(d, "folder/b", "b"), -EXDEV, "rename into another folder: EXDEV");
	is_int(disk_unlink(d, "folder/b"), 0, "unlink");
	is_int(disk_unlink(d, "folder/b"), -ENOENT, "unlink again: ENOENT");
	is_int(disk_unlink(d, "folder"), -EISDIR, "unlink of a folder: EISDIR");
	is_int(disk_sync_dir(d, "folder"), 0, "the folder is synced");
	is_int(disk_sync_dir(d, "."), 0, "and the directory itself");
	is_int(disk_sync_dir(d, "nothing"), -ENOENT, "no such folder to sync: ENOENT");
}

static void space(struct disk *d)
{
	struct disk_space s;

	is_int(disk_space(d, &s), 0, "space is told");
	ok(s.total_bytes >= s.free_bytes && s.free_bytes > 0, "%" PRIu64 " of %" PRIu64 " bytes are free", s.free_bytes, s.total_bytes);
}

static void suite(struct disk *d, const char *which)
{
	printf("# %s\n", which);
	reads_and_writes(d);
	many_vectors(d);
	cuts_and_holes(d);
	clones(d);
	names(d);
	space(d);
}

int main(void)
{
	struct random_seeded random;
	struct disk *d;
	char path[PATH_MAX];

	folder_make(path);
	is_int(disk_posix_new(path, &d), 0, "a directory of this machine");
	suite(d, "posix");
	disk_free(d);
	is_int(disk_posix_new("/nonexistent/x", &d), -ENOENT, "a directory that is not there: ENOENT");
	is_int(disk_posix_new("/dev/null", &d), -ENOTDIR, "something else: ENOTDIR");
	folder_remove(path);

	random_seeded_init(&random, 1);
	is_int(disk_sim_new(&random.source, 64 << 20, &d), 0, "a simulated disk");
	suite(d, "simulated");
	disk_free(d);
	return done_testing();
}
