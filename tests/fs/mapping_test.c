/* Mappings and several opens of one file: one file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fs/mount.h"
#include "tests/tap.h"

#define SIZE (1 << 20)

static char *map(int fd, int protection, int flags)
{
	char *m = mmap(NULL, SIZE, protection, flags, fd, 0);

	return m == MAP_FAILED ? NULL : m;
}

static void fill(const char *path, char byte)
{
	char *data = malloc(SIZE);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

	memset(data, byte, SIZE);
	if (write(fd, data, SIZE) != SIZE)
		ok(false, "filling %s", path);
	close(fd);
	free(data);
}

static void shared(void)
{
	char text[8] = "";

	fill("s", 'a');
	int fd = open("s", O_RDWR), other = open("s", O_RDWR);
	char *m = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED), *n = map(other, PROT_READ, MAP_SHARED);
	ok(m && n && m[5000] == 'a', "a shared mapping shows the file");
	memcpy(m + 100000, "HELLO", 5);
	ok(memcmp(n + 100000, "HELLO", 5) == 0, "a store is seen in another mapping");
	ok(pread(other, text, 5, 100000) == 5 && memcmp(text, "HELLO", 5) == 0, "and by read");
	ok(pwrite(other, "WORLD", 5, 200000) == 5 && memcmp(m + 200000, "WORLD", 5) == 0, "a write is seen in the mapping");
	ok(msync(m, SIZE, MS_SYNC) == 0 && fsync(fd) == 0, "msync and fsync");
	munmap(n, SIZE);
	close(fd);
	close(other);
	memcpy(m + 300000, "LATER", 5);
	munmap(m, SIZE);
	fd = open("s", O_RDONLY);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	ok(pread(fd, text, 5, 300000) == 5 && memcmp(text, "LATER", 5) == 0, "a store after the descriptor's close is kept");
	ok(pread(fd, text, 5, 100000) == 5 && memcmp(text, "HELLO", 5) == 0, "so is the first");
	close(fd);
}

static void private(void)
{
	char text[8] = "";

	fill("p", 'b');
	int fd = open("p", O_RDONLY);
	char *m = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	ok(m && m[777] == 'b', "a private mapping of a file open for reading");
	memcpy(m, "PRIVATE", 7);
	ok(pread(fd, text, 7, 0) == 7 && memcmp(text, "bbbbbbb", 7) == 0, "keeps its stores to itself");
	ok(map(fd, PROT_READ | PROT_WRITE, MAP_SHARED) == NULL && errno == EACCES, "a shared one for writing is refused there");
	munmap(m, SIZE);
	close(fd);
}

static void mapped_append(void)
{
	char text[8] = "";

	fill("q", 'c');
	int fd = open("q", O_RDWR | O_APPEND);
	char *m = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	ok(m != NULL, "a file open for appending is mapped");
	memcpy(m + 4096, "PLACE", 5);
	ok(msync(m, SIZE, MS_SYNC) == 0 && write(fd, "END", 3) == 3, "stored to, and appended to");
	struct stat st;
	ok(fstat(fd, &st) == 0 && st.st_size == SIZE + 3 && pread(fd, text, 5, 4096) == 5 && memcmp(text, "PLACE", 5) == 0,
		"P7_mapped_pages_keep_their_place");
	munmap(m, SIZE);
	close(fd);
}

static void truncated_mapping(void)
{
	fill("r", 'd');
	int fd = open("r", O_RDWR);
	char *m = map(fd, PROT_READ, MAP_SHARED);
	ok(m && m[SIZE - 1] == 'd' && ftruncate(fd, 5000) == 0 && m[4999] == 'd' && m[5000] == 0, "what is cut is gone from a mapping");
	ok(ftruncate(fd, SIZE) == 0 && m[5000] == 0 && m[SIZE - 1] == 0, "and zeros when it grows again");
	munmap(m, SIZE);
	close(fd);
}

static void readers_see_writers(void)
{
	char got[5000], want[5000];
	bool good = true;

	fill("w", '0');
	int readers[3], w = open("w", O_RDWR);
	for (int i = 0; i < 3; i++)
		readers[i] = open("w", O_RDONLY);
	char *m = map(readers[0], PROT_READ, MAP_SHARED);
	for (int i = 0; good && i < 50; i++) {
		memset(want, 'A' + i % 26, sizeof(want));
		good = pwrite(w, want, sizeof(want), i * 4096) == sizeof(want);
		if (i % 7 == 0)
			good = good && fsync(w) == 0;
		for (int r = 0; good && r < 3; r++)
			good = pread(readers[r], got, sizeof(got), i * 4096) == sizeof(got) && memcmp(got, want, sizeof(got)) == 0;
		good = good && memcmp(m + i * 4096, want, sizeof(want)) == 0;
	}
	ok(good, "every read and mapping made before a write sees it");
	munmap(m, SIZE);
	for (int i = 0; i < 3; i++)
		close(readers[i]);
	close(w);
}

static void executed(void)
{
	char output[64] = "";
	int in = open("/bin/true", O_RDONLY), out = open("program", O_WRONLY | O_CREAT, 0755);
	ssize_t n;

	while ((n = copy_file_range(in, NULL, out, NULL, 1 << 20, 0)) > 0)
		;
	if (n < 0) {
		char data[65536];
		while ((n = read(in, data, sizeof(data))) > 0)
			n = write(out, data, (size_t)n);
	}
	close(in);
	close(out);
	char path[400];
	snprintf(path, sizeof(path), "%s/program", mount_point);
	setenv("DIOS_PROGRAMS", mount_point, 1);
	is_int(mount_run(output, sizeof(output), "program", NULL), 0, "a program runs from the mount");
}

int main(void)
{
	if (!mount_start())
		return mount_result();
	shared();
	private();
	mapped_append();
	truncated_mapping();
	readers_see_writers();
	executed();
	return done_testing();
}
