/* Works on a small object through libdios, and what they are compared with: single requests to plain-fuse. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench/plain.h"
#include "bench/work.h"
#include "libdios/dios-util.h"
#include "libdios/dios.h"

/* An object of one block, in the folder. Nobody has it open by plain open(2): then it would have no versions meanwhile. */
static dios_ref object_make(const struct sizes *s, const void *data)
{
	char path[4096];
	struct dios_buffer b;
	dios_ref ref;

	snprintf(path, sizeof(path), "%s/object", s->folder);
	struct dios_create_options options = { .path = path, .rights = DIOS_READ | DIOS_WRITE };
	need(dios_create(0, &options, NULL, &ref), "create");
	need(dios_acquire_write(0, ref, 0, SMALL, &b), "acquire_write");
	memcpy(b.data, data, SMALL);
	need(dios_commit_write(0, ref, &b, SMALL), "commit_write");
	return ref;
}

void acquire_commit(const struct sizes *s)
{
	uint64_t count = s->operations * 10;
	int64_t *times = calloc(count, sizeof(*times));
	char *data = buffer_make(SMALL);
	dios_ref ref = object_make(s, data);
	struct dios_buffer b;

	for (uint64_t i = 0; i < count; i++) {
		int64_t begun = now_ns();
		need(dios_acquire_read(0, ref, 0, SMALL, &b), "acquire_read");
		if (b.size != SMALL || memcmp(b.data, data, SMALL) != 0)
			need(-EIO, "the object's bytes");
		need(dios_commit_read(0, ref, &b), "commit_read");
		times[i] = now_ns() - begun;
	}
	say_times(times, count);
	dios_close(ref);
}

void commit_write(const struct sizes *s)
{
	int64_t *times = calloc(s->operations, sizeof(*times));
	char *data = buffer_make(SMALL);
	dios_ref ref = object_make(s, data);
	struct dios_buffer b;

	for (uint64_t i = 0; i < s->operations; i++) {
		int64_t begun = now_ns();
		need(dios_acquire_write(0, ref, 0, SMALL, &b), "acquire_write");
		memcpy(b.data, data, SMALL);
		need(dios_commit_write(0, ref, &b, SMALL), "commit_write");
		times[i] = now_ns() - begun;
	}
	say_times(times, s->operations);
	dios_close(ref);
}

/* ---- plain-fuse --------------------------------------------------------------------------------------------------- */

void bare_ioctl(const struct sizes *s)
{
	uint64_t count = s->operations * 10;
	int64_t *times = calloc(count, sizeof(*times));
	int fd = file_open(s, PLAIN_SINK, O_RDWR);
	struct plain_question q = { 0 };

	for (uint64_t i = 0; i < count; i++) {
		int64_t begun = now_ns();
		if (ioctl(fd, PLAIN_IOC_ASK, &q) < 0)
			fail("ioctl");
		times[i] = now_ns() - begun;
	}
	say_times(times, count);
	close(fd);
}

void plain_write(const struct sizes *s)
{
	uint64_t state = 3, count = s->operations * 10;
	char *data = buffer_make(SMALL);
	int fd = file_open(s, PLAIN_SINK, O_RDWR);
	int64_t begun = now_ns();

	for (uint64_t i = 0; i < count; i++)
		file_write(fd, data, SMALL, (int64_t)(random_next(&state) % (s->bytes / SMALL) * SMALL));
	say_rate(count, now_ns() - begun);
	close(fd);
}
