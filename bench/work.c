/* bench-work NAME FOLDER [BYTES FILES OPERATIONS RECORDS]: runs one work once and prints what it measured. Started by bench/run. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/work.h"

static const struct { const char *name; void (*run)(const struct sizes *s); } works[] = {
	{ "sequential_write", sequential_write }, { "sequential_read", sequential_read }, { "sequential_read_again", sequential_read_again },
	{ "mapped_read_again", mapped_read_again }, { "random_read_again", random_read_again }, { "random_write_sync", random_write_sync },
	{ "random_write", random_write }, { "block_sync", block_sync }, { "create_files", create_files }, { "create_files_sync", create_files_sync },
	{ "stat_again", stat_again }, { "read_files", read_files }, { "read_files_again", read_files_again }, { "unlink_files", unlink_files },
	{ "acquire_commit", acquire_commit }, { "commit_write", commit_write }, { "bare_ioctl", bare_ioctl }, { "plain_write", plain_write },
	{ "stream_batched", stream_batched }, { "stream_single", stream_single }, { "plain_stream", plain_stream }, { "run_task", run_task },
	{ "fork_exec", fork_exec }, { "many_files", many_files },
};

void fail(const char *format, ...)
{
	int error = errno;
	va_list ap;

	fprintf(stderr, "bench-work: ");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(1);
}

void need(int r, const char *what)
{
	if (r >= 0)
		return;
	errno = -r;
	fail("%s", what);
}

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* xorshift64*: the same places in each run, on each file system. */
uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717ULL;
}

/* One work, and the program ends: what it has allocated goes with it, and no sanitizer calls that a leak. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return 1; }

void *buffer_make(size_t size)
{
	uint64_t state = 88172645463325252ULL;
	uint64_t *data;

	if (posix_memalign((void **)&data, 4096, size) != 0)
		fail("no memory for %zu bytes", size);
	for (size_t i = 0; i < size / sizeof(*data); i++)
		data[i] = random_next(&state);
	return data;
}

int file_open(const struct sizes *s, const char *name, int flags)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", s->folder, name);
	int fd = open(path, flags | O_CLOEXEC, 0644);
	if (fd < 0)
		fail("%s", path);
	return fd;
}

void file_write(int fd, const void *data, size_t size, int64_t offset)
{
	if (pwrite(fd, data, size, offset) != (ssize_t)size)
		fail("a write of %zu bytes at %" PRId64, size, offset);
}

void say_rate(uint64_t count, int64_t ns) { printf("rate %.3f\n", (double)count * 1e9 / (double)ns); }
void say_bytes(uint64_t bytes, int64_t ns) { printf("rate %.3f\n", (double)bytes / (1 << 20) * 1e9 / (double)ns); }

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

void say_times(int64_t *ns, uint64_t count)
{
	qsort(ns, count, sizeof(*ns), compare);
	printf("p50_us %.3f\np99_us %.3f\n", (double)ns[count / 2] / 1000, (double)ns[count * 99 / 100] / 1000);
}

static uint64_t number(const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (*end != '\0' || n == 0) {
		errno = EINVAL;
		fail("'%s' is not a number above 0", text);
	}
	return n;
}

int main(int argc, char **argv)
{
	if (argc != 3 && argc != 7) {
		fprintf(stderr, "usage: bench-work NAME FOLDER [BYTES FILES OPERATIONS RECORDS]\n");
		return 2;
	}
	struct sizes s = { .folder = argv[2], .bytes = 1u << 30, .files = 5000, .operations = 2000, .records = 100000 };
	if (argc == 7)
		s = (struct sizes){ argv[2], number(argv[3]), number(argv[4]), number(argv[5]), number(argv[6]) };
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		if (strcmp(works[i].name, argv[1]) == 0) {
			works[i].run(&s);
			return 0;
		}
	}
	fprintf(stderr, "bench-work: there is no work '%s'\n", argv[1]);
	return 2;
}
