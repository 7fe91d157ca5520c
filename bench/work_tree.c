/* Works on many small files: create_files makes those that the others use, unlink_files takes them away. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/work.h"

static void path_of(const struct sizes *s, uint64_t i, char path[4096]) { snprintf(path, 4096, "%s/file-%06" PRIu64, s->folder, i); }

static void make_file(const struct sizes *s, uint64_t i, const void *data, bool sync)
{
	char path[4096];

	path_of(s, i, path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		fail("%s", path);
	file_write(fd, data, SMALL, 0);
	if ((sync && fsync(fd) < 0) || close(fd) < 0)
		fail("%s", path);
}

static void make_files(const struct sizes *s, uint64_t count, bool sync)
{
	char *data = buffer_make(SMALL);
	int64_t begun = now_ns();

	for (uint64_t i = 0; i < count; i++)
		make_file(s, i, data, sync);
	say_rate(count, now_ns() - begun);
}

void create_files(const struct sizes *s) { make_files(s, s->files, false); }
void create_files_sync(const struct sizes *s) { make_files(s, s->files / 5, true); }

static int64_t stat_all(const struct sizes *s)
{
	char path[4096];
	struct stat st;
	int64_t begun = now_ns();

	for (uint64_t i = 0; i < s->files; i++) {
		path_of(s, i, path);
		if (stat(path, &st) < 0 || st.st_size != SMALL)
			fail("%s", path);
	}
	return now_ns() - begun;
}

void stat_again(const struct sizes *s)
{
	stat_all(s);
	say_rate(s->files, stat_all(s));
}

static int64_t read_each(const struct sizes *s)
{
	static char data[2 * SMALL];
	char path[4096];
	int64_t begun = now_ns();

	for (uint64_t i = 0; i < s->files; i++) {
		path_of(s, i, path);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, data, sizeof(data)) != SMALL || close(fd) < 0)
			fail("%s", path);
	}
	return now_ns() - begun;
}

void read_files(const struct sizes *s) { say_rate(s->files, read_each(s)); }

void read_files_again(const struct sizes *s)
{
	read_each(s);
	say_rate(s->files, read_each(s));
}

#define FOLDER_FILES 1000u
#define TINY 100u              /* bytes */

/* As many small objects as there is patience for, a thousand in a folder; says how many there are after each folder. */
void many_files(const struct sizes *s)
{
	char path[4096], *data = buffer_make(SMALL);

	for (uint64_t i = 0; i < s->files; i++) {
		if (i % FOLDER_FILES == 0) {
			snprintf(path, sizeof(path), "%s/%06" PRIu64, s->folder, i / FOLDER_FILES);
			if (mkdir(path, 0755) < 0)
				fail("%s", path);
			printf("files %" PRIu64 "\n", i);
			fflush(stdout);
		}
		snprintf(path, sizeof(path), "%s/%06" PRIu64 "/file-%06" PRIu64, s->folder, i / FOLDER_FILES, i);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0)
			fail("%s", path);
		file_write(fd, data, TINY, 0);
		if (close(fd) < 0)
			fail("%s", path);
	}
}

void unlink_files(const struct sizes *s)
{
	char path[4096];
	int64_t begun = now_ns();

	for (uint64_t i = 0; i < s->files; i++) {
		path_of(s, i, path);
		if (unlink(path) < 0)
			fail("%s", path);
	}
	say_rate(s->files, now_ns() - begun);
}
