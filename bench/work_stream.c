/* Works on streams: this process writes records, another one reads them. Timed from the first record written to the last one read. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/plain.h"
#include "bench/work.h"
#include "libdios/dios-util.h"
#include "libdios/dios.h"

#define BATCH 48u               /* records: what one ioctl carries */
#define BATCHED_TIMES 10u       /* so many more records, because they take less time each */

static void stream_make(const struct sizes *s, char path[4096], dios_ref *ret_ref)
{
	snprintf(path, 4096, "%s/stream", s->folder);
	struct dios_create_options options = { .kind = DIOS_STREAM, .path = path, .limit_bytes = 1ull << 30 };
	need(dios_create(0, &options, NULL, ret_ref), "create");
}

/* The reader: a child that exits with success once it has read `bytes`. It says when it is ready to read. */
static pid_t reader_start(void (*read_all)(int fd, uint64_t bytes), const char *path, uint64_t bytes)
{
	int ready[2];
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		fail("pipe");
	pid_t reader = fork();
	if (reader < 0)
		fail("fork");
	if (reader == 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || write(ready[1], "", 1) != 1)
			fail("%s", path);
		read_all(fd, bytes);
		_exit(0);
	}
	if (read(ready[0], &byte, 1) != 1)
		fail("the reader");
	close(ready[0]);
	close(ready[1]);
	return reader;
}

static void reader_wait(pid_t reader)
{
	int status;

	if (waitpid(reader, &status, 0) < 0)
		fail("waitpid");
	if (status != 0)
		need(-EIO, "the reader has failed");
}

/* ---- dios --------------------------------------------------------------------------------------------------------- */

static void take(int fd, uint32_t flags, size_t most, uint64_t bytes)
{
	struct dios_buffer b;

	while (bytes > 0) {
		need(dios_acquire_read(flags, fd, DIOS_NEXT, most, &b), "acquire_read");
		if (b.size == 0 || b.size > bytes || ((flags & DIOS_RECORD) && b.size != RECORD))
			need(-EIO, "what was read");
		bytes -= b.size;
		need(dios_commit_read(0, fd, &b), "commit_read");
	}
}

static void take_many(int fd, uint64_t bytes) { take(fd, 0, DIOS_INLINE_MAX, bytes); }
static void take_one(int fd, uint64_t bytes) { take(fd, DIOS_RECORD, RECORD, bytes); }

static void pass(const struct sizes *s, size_t batch, uint64_t records, void (*read_all)(int fd, uint64_t bytes))
{
	char path[4096];
	char *data = buffer_make(LARGE);
	struct dios_buffer b;
	dios_ref ref;

	records -= records % batch;
	stream_make(s, path, &ref);
	pid_t reader = reader_start(read_all, path, records * RECORD);
	int64_t begun = now_ns();
	for (uint64_t i = 0; i < records; i += batch) {
		need(dios_acquire_write(DIOS_AT_END, ref, 0, batch * RECORD, &b), "acquire_write");
		memcpy(b.data, data, batch * RECORD);
		need(dios_commit_write(DIOS_AT_END | DIOS_RELAXED, ref, &b, batch * RECORD), "commit_write");
	}
	reader_wait(reader);
	say_rate(records, now_ns() - begun);
	dios_close(ref);
	if (unlink(path) < 0)
		fail("%s", path);
}

void stream_batched(const struct sizes *s) { pass(s, BATCH, s->records * BATCHED_TIMES, take_many); }
void stream_single(const struct sizes *s) { pass(s, 1, s->records, take_one); }

/* ---- plain-fuse --------------------------------------------------------------------------------------------------- */

static void take_plain(int fd, uint64_t bytes)
{
	char data[RECORD];

	for (; bytes > 0; bytes -= RECORD)
		if (read(fd, data, RECORD) != RECORD)
			fail("read");
}

void plain_stream(const struct sizes *s)
{
	char path[4096];
	char *data = buffer_make(SMALL);

	snprintf(path, sizeof(path), "%s/%s", s->folder, PLAIN_STREAM);
	int fd = file_open(s, PLAIN_STREAM, O_WRONLY);
	pid_t reader = reader_start(take_plain, path, s->records * RECORD);
	int64_t begun = now_ns();
	for (uint64_t i = 0; i < s->records; i++)
		file_write(fd, data, RECORD, 0);
	reader_wait(reader);
	say_rate(s->records, now_ns() - begun);
	close(fd);
}
