/* Bytes of files on a mount: append, truncation, holes, allocation, copies, sync, temporary files. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/fs/mount.h"
#include "tests/tap.h"

static uint64_t size_of(const char *path)
{
	struct stat st = { 0 };

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : UINT64_MAX;
}

static bool zeros(int fd, off_t from, size_t size)
{
	char *data = malloc(size);
	bool good = pread(fd, data, size, from) == (ssize_t)size;

	for (size_t i = 0; good && i < size; i++)
		good = data[i] == 0;
	free(data);
	return good;
}

/* Bytes that say where they are. */
static void pattern(char *data, size_t size, uint64_t offset, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (char)((offset + i) * 2654435761u >> 13 ^ seed);
}

static bool has_pattern(int fd, uint64_t offset, size_t size, unsigned seed)
{
	char *want = malloc(size), *got = malloc(size);
	bool good;

	pattern(want, size, offset, seed);
	good = pread(fd, got, size, (off_t)offset) == (ssize_t)size && memcmp(want, got, size) == 0;
	free(want);
	free(got);
	return good;
}

static bool write_pattern(int fd, uint64_t offset, size_t size, unsigned seed)
{
	char *data = malloc(size);
	bool good;

	pattern(data, size, offset, seed);
	good = pwrite(fd, data, size, (off_t)offset) == (ssize_t)size;
	free(data);
	return good;
}

static void appends(void)
{
	put("log", "one\n");
	int a = open("log", O_WRONLY | O_APPEND), b = open("log", O_WRONLY | O_APPEND), plain = open("log", O_RDWR);
	ok(write(a, "two\n", 4) == 4 && write(b, "three\n", 6) == 6 && write(a, "four\n", 5) == 5, "two handles append");
	ok(holds("log", "one\ntwo\nthree\nfour\n"), "each at the end of what is there");
	ok(pwrite(plain, "ONE", 3, 0) == 3 && write(a, "five\n", 5) == 5 && holds("log", "ONE\ntwo\nthree\nfour\nfive\n"),
		"also beside one that writes elsewhere");
	ok(fcntl(plain, F_SETFL, O_APPEND) == 0 && lseek(plain, 0, SEEK_SET) == 0 && write(plain, "six\n", 4) == 4 &&
		holds("log", "ONE\ntwo\nthree\nfour\nfive\nsix\n"), "O_APPEND set by fcntl appends");
	ok(fcntl(plain, F_SETFL, 0) == 0 && pwrite(plain, "o", 1, 0) == 1 && size_of("log") == 28, "and taken away it does not");
	close(a);
	close(b);
	close(plain);
}

static void truncation(void)
{
	put("cut", "0123456789");
	ok(truncate("cut", 4) == 0 && holds("cut", "0123"), "a file is cut");
	int fd = open("cut", O_RDWR);
	ok(ftruncate(fd, 8) == 0 && size_of("cut") == 8 && zeros(fd, 4, 4), "and grows with zeros");
	ok(ftruncate(fd, 100000) == 0 && zeros(fd, 4, 99996) && size_of("cut") == 100000, "past the size that lies in the record");
	ok(ftruncate(fd, 2) == 0 && holds("cut", "01") && ftruncate(fd, 6) == 0 && zeros(fd, 2, 4), "what was cut does not come back");
	close(fd);
	fd = open("cut", O_WRONLY | O_TRUNC);
	ok(fd >= 0 && size_of("cut") == 0, "O_TRUNC empties");
	close(fd);
	ok(truncate("cut", -1) < 0 && errno == EINVAL, "a negative size is EINVAL");
	put("rd", "x");
	fd = open("rd", O_RDONLY);
	ok(ftruncate(fd, 0) < 0 && (errno == EINVAL || errno == EBADF), "a handle for reading does not cut");
	ok(write(fd, "x", 1) < 0 && errno == EBADF, "nor write");
	close(fd);
	fd = open("rd", O_WRONLY);
	char byte;
	ok(read(fd, &byte, 1) < 0 && errno == EBADF, "a handle for writing does not read");
	close(fd);
}

static void large_files(void)
{
	int fd = open("large", O_RDWR | O_CREAT, 0644);
	bool good = true;

	for (uint64_t at = 0; at < 8 << 20; at += 1 << 20)
		good = good && write_pattern(fd, at, 1 << 20, 1);
	ok(good && has_pattern(fd, 0, 8 << 20, 1), "8 MiB are read as written");
	ok(write_pattern(fd, 123457, 70001, 2) && has_pattern(fd, 123457, 70001, 2) && has_pattern(fd, 0, 123457, 1) &&
		has_pattern(fd, 193458, 500000, 1), "an overwrite across blocks changes these bytes only");
	ok(fsync(fd) == 0 && has_pattern(fd, 123457, 70001, 2), "after fsync too");
	ok(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0 && has_pattern(fd, 123457, 70001, 2) && has_pattern(fd, 193458, 500000, 1),
		"and without the kernel's cache");
	struct iovec iov[2] = { { (void *)(uintptr_t)"ab", 2 }, { (void *)(uintptr_t)"cd", 2 } };
	char four[5] = "";
	ok(pwritev(fd, iov, 2, 4094) == 4 && pread(fd, four, 4, 4094) == 4 && strcmp(four, "abcd") == 0, "across a block's border");
	close(fd);
	fd = open("far", O_RDWR | O_CREAT, 0644);
	ok(pwrite(fd, "end", 3, 1LL << 40) == 3 && size_of("far") == (1ULL << 40) + 3 && pread(fd, four, 3, 1LL << 40) == 3, "a byte at 1 TiB");
	struct stat st;
	ok(fsync(fd) == 0 && fstat(fd, &st) == 0 && st.st_blocks < 1000, "costs no room before it");
	close(fd);
	unlink("far");
}

static void holes(void)
{
	int fd = open("holes", O_RDWR | O_CREAT, 0644);

	write_pattern(fd, 0, 65536, 3);
	write_pattern(fd, 1 << 20, 65536, 3);
	is_int(lseek(fd, 0, SEEK_DATA), 0, "SEEK_DATA finds the first bytes");
	is_int(lseek(fd, 0, SEEK_HOLE), 65536, "SEEK_HOLE their end");
	is_int(lseek(fd, 65536, SEEK_DATA), 1 << 20, "SEEK_DATA the next");
	is_int(lseek(fd, 1 << 20, SEEK_HOLE), (1 << 20) + 65536, "the end is a hole");
	ok(lseek(fd, 2 << 20, SEEK_DATA) < 0 && errno == ENXIO, "past the end is ENXIO");
	ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 16384) == 0 && zeros(fd, 8192, 16384) && has_pattern(fd, 0, 8192, 3) &&
		has_pattern(fd, 24576, 40960, 3), "a punched hole reads as zeros, its neighbours stay");
	is_int(lseek(fd, 0, SEEK_HOLE), 8192, "and is a hole");
	ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 100) == 0 && zeros(fd, 1000, 100) && has_pattern(fd, 0, 1000, 3) &&
		has_pattern(fd, 1100, 7092, 3), "also within a block");
	is_int(size_of("holes"), (1 << 20) + 65536, "the size stays");
	ok(fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0 && zeros(fd, 8192, 16384) && has_pattern(fd, 1 << 20, 65536, 3),
		"all of it after a sync");
	close(fd);
}

static void allocation(void)
{
	int fd = open("room", O_RDWR | O_CREAT, 0644);

	ok(fallocate(fd, 0, 0, 100000) == 0 && size_of("room") == 100000 && zeros(fd, 0, 100000), "fallocate makes room that reads as zeros");
	ok(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 200000) == 0 && size_of("room") == 100000, "FALLOC_FL_KEEP_SIZE keeps the size");
	write_pattern(fd, 0, 100000, 4);
	ok(fallocate(fd, FALLOC_FL_ZERO_RANGE, 5000, 50000) == 0 && zeros(fd, 5000, 50000) && has_pattern(fd, 0, 5000, 4) &&
		has_pattern(fd, 55000, 45000, 4), "FALLOC_FL_ZERO_RANGE zeroes");
	ok(posix_fallocate(fd, 0, 100000) == 0 && has_pattern(fd, 0, 5000, 4), "allocating what is there changes nothing");
	ok(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) < 0 && errno == EOPNOTSUPP, "what is not supported is EOPNOTSUPP");
	close(fd);
}

static void copies(void)
{
	int from = open("large", O_RDONLY), to = open("copy", O_RDWR | O_CREAT, 0644);
	off_t in = 0, out = 0;
	ssize_t n, total = 0;

	while ((n = copy_file_range(from, &in, to, &out, 8 << 20, 0)) > 0)
		total += n;
	is_int(total, 8 << 20, "copy_file_range copies all");
	ok(has_pattern(to, 123457, 70001, 2) && has_pattern(to, 5 << 20, 1 << 20, 1), "the same bytes");
	in = 100;
	out = 50;
	ok(copy_file_range(from, &in, to, &out, 1000, 0) == 1000, "a piece, between other offsets");
	char a[1000], b[1000];
	ok(pread(from, a, 1000, 100) == 1000 && pread(to, b, 1000, 50) == 1000 && memcmp(a, b, 1000) == 0, "is the same too");
	ok(write_pattern(to, 0, 4096, 9) && has_pattern(from, 8192, 4096, 1), "the copy is a file of its own");
	close(from);
	close(to);
}

static void syncs(void)
{
	int fd = open("durable", O_WRONLY | O_CREAT | O_SYNC, 0644), directory = open(".", O_RDONLY | O_DIRECTORY);

	ok(fd >= 0 && write(fd, "now", 3) == 3, "O_SYNC writes");
	ok(fsync(fd) == 0 && fdatasync(fd) == 0, "fsync and fdatasync");
	ok(fsync(directory) == 0, "fsync of a directory");
	ok(syncfs(fd) == 0, "syncfs");
	close(fd);
	close(directory);
	fd = open("durable", O_WRONLY | O_DSYNC);
	ok(write(fd, "NOW", 3) == 3 && holds("durable", "NOW"), "O_DSYNC writes");
	close(fd);
}

static void unnamed(void)
{
	char path[64];
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);

	if (fd < 0 && errno == EOPNOTSUPP) {
		skip("O_TMPFILE", "this libfuse has no tmpfile");
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ok(fd >= 0 && write(fd, "nameless", 8) == 8, "O_TMPFILE makes a file without a name");
	ok(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0 && holds("named", "nameless"), "it is given one");
	close(fd);
}

static void file_system(void)
{
	struct statvfs st;

	ok(statvfs(".", &st) == 0 && st.f_blocks > 0 && st.f_bavail <= st.f_blocks && st.f_namemax == 255, "statvfs says how much room there is");
	put("file", "x");
	ok(open("file/below", O_RDONLY) < 0 && errno == ENOTDIR, "below a file there is nothing");
	ok(open("missing", O_RDONLY) < 0 && errno == ENOENT, "what is missing is ENOENT");
	ok(open("file", O_RDONLY | O_CREAT | O_EXCL, 0644) < 0 && errno == EEXIST, "O_EXCL refuses what is there");
	ok(open(".", O_WRONLY) < 0 && errno == EISDIR, "a directory is not written");
}

int main(void)
{
	if (!mount_start())
		return mount_result();
	appends();
	truncation();
	large_files();
	holes();
	allocation();
	copies();
	syncs();
	unnamed();
	file_system();
	return done_testing();
}
