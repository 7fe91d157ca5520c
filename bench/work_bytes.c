/* Works on one large file, and the disk's own time for one block. sequential_write makes the file that the others use. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/work.h"

#define FILE_NAME "large"
#define BLOCK_FILE (16u << 20)    /* bytes: what block_sync goes round in */

void sequential_write(const struct sizes *s)
{
	char *data = buffer_make(LARGE);
	int fd = file_open(s, FILE_NAME, O_WRONLY | O_CREAT | O_EXCL);
	int64_t begun = now_ns();

	for (uint64_t at = 0; at < s->bytes; at += LARGE)
		file_write(fd, data, LARGE, (int64_t)at);
	if (fsync(fd) < 0)
		fail("fsync");
	say_bytes(s->bytes, now_ns() - begun);
	close(fd);
}

static int64_t read_all(const struct sizes *s, char *data)
{
	int fd = file_open(s, FILE_NAME, O_RDONLY);
	int64_t begun = now_ns();
	uint64_t done = 0;
	ssize_t n;

	while ((n = read(fd, data, LARGE)) > 0)
		done += (uint64_t)n;
	int64_t ns = now_ns() - begun;
	if (n < 0 || done != s->bytes)
		fail("%" PRIu64 " bytes were read instead of %" PRIu64, done, s->bytes);
	close(fd);
	return ns;
}

void sequential_read(const struct sizes *s) { say_bytes(s->bytes, read_all(s, buffer_make(LARGE))); }

void sequential_read_again(const struct sizes *s)
{
	char *data = buffer_make(LARGE);

	read_all(s, data);
	say_bytes(s->bytes, read_all(s, data));
}

static int64_t copy_mapping(const char *map, uint64_t size, char *data)
{
	int64_t begun = now_ns();

	for (uint64_t at = 0; at < size; at += LARGE) {
		memcpy(data, map + at, LARGE);
		__asm__ volatile("" : : "r"(data) : "memory");
	}
	return now_ns() - begun;
}

/* The second mapping finds the pages in the cache and maps them; faults are part of it. */
void mapped_read_again(const struct sizes *s)
{
	char *data = buffer_make(LARGE);
	int fd = file_open(s, FILE_NAME, O_RDONLY);
	int64_t ns = 0;

	for (int pass = 0; pass < 2; pass++) {
		char *map = mmap(NULL, s->bytes, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			fail("mmap");
		ns = copy_mapping(map, s->bytes, data);
		munmap(map, s->bytes);
	}
	say_bytes(s->bytes, ns);
	close(fd);
}

static int64_t random_place(const struct sizes *s, uint64_t *state) { return (int64_t)(random_next(state) % (s->bytes / SMALL) * SMALL); }

void random_read_again(const struct sizes *s)
{
	uint64_t state = 1, count = s->operations * 20;
	char *data = buffer_make(LARGE);

	read_all(s, data);
	int fd = file_open(s, FILE_NAME, O_RDONLY);
	int64_t begun = now_ns();
	for (uint64_t i = 0; i < count; i++)
		if (pread(fd, data, SMALL, random_place(s, &state)) != SMALL)
			fail("pread");
	say_rate(count, now_ns() - begun);
	close(fd);
}

void random_write_sync(const struct sizes *s)
{
	int64_t *times = calloc(s->operations, sizeof(*times)), all = 0;
	uint64_t state = 2;
	char *data = buffer_make(SMALL);
	int fd = file_open(s, FILE_NAME, O_RDWR);

	for (uint64_t i = 0; i < s->operations; i++) {
		int64_t begun = now_ns();
		file_write(fd, data, SMALL, random_place(s, &state));
		if (fsync(fd) < 0)
			fail("fsync");
		all += times[i] = now_ns() - begun;
	}
	say_rate(s->operations, all);
	say_times(times, s->operations);
	close(fd);
}

void random_write(const struct sizes *s)
{
	uint64_t state = 3, count = s->operations * 10;
	char *data = buffer_make(SMALL);
	int fd = file_open(s, FILE_NAME, O_RDWR);
	int64_t begun = now_ns();

	for (uint64_t i = 0; i < count; i++)
		file_write(fd, data, SMALL, random_place(s, &state));
	say_rate(count, now_ns() - begun);
	if (fsync(fd) < 0)
		fail("fsync");
	close(fd);
}

/* One block written over in a file that has its blocks, and fdatasync: the least that a durable change costs on this disk. */
void block_sync(const struct sizes *s)
{
	int64_t *times = calloc(s->operations, sizeof(*times));
	char *data = buffer_make(SMALL);
	int fd = file_open(s, "block", O_RDWR | O_CREAT);

	for (uint32_t at = 0; at < BLOCK_FILE; at += SMALL)
		file_write(fd, data, SMALL, at);
	if (fsync(fd) < 0)
		fail("fsync");
	for (uint64_t i = 0; i < s->operations; i++) {
		int64_t begun = now_ns();
		file_write(fd, data, SMALL, (int64_t)(i * SMALL % BLOCK_FILE));
		if (fdatasync(fd) < 0)
			fail("fdatasync");
		times[i] = now_ns() - begun;
	}
	say_times(times, s->operations);
	close(fd);
}
