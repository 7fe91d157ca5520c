/* How often the calls cross into the daemon, by its own count of requests: a small call is one ioctl and nothing else. */
#include "tests/libdios/live.h"

#define TIMES 200

struct requests { long ioctl, open, lookup, read, write; };

/* The statistics file is read once before and once after: one open, and the reads that it takes. */
static struct requests counted(void)
{
	static char text[1 << 16];
	struct requests r = { 0 };
	int file = open(at(".dios/stats"), O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	ssize_t n;

	while (file >= 0 && (n = read(file, text + size, sizeof(text) - 1 - size)) > 0)
		size += (size_t)n;
	close(file);
	text[size] = '\0';
	for (char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		sscanf(line, "dios_fs_ioctl_seconds_count %ld", &r.ioctl);
		sscanf(line, "dios_fs_open_seconds_count %ld", &r.open);
		sscanf(line, "dios_fs_lookup_seconds_count %ld", &r.lookup);
		sscanf(line, "dios_fs_read_seconds_count %ld", &r.read);
		sscanf(line, "dios_fs_write_seconds_count %ld", &r.write);
	}
	return r;
}

static struct requests before;
static void begin(void) { before = counted(); }

/* A request is counted by its worker just after it has been answered, so that the last one of each worker may be missing here and be
 * there the next time. */
#define LAG 16

/* Of the requests since begin(): so many ioctls for each of TIMES calls, and nothing else for each. */
static void took(long ioctls, const char *what)
{
	struct requests after = counted();
	long n = after.ioctl - before.ioctl, want = ioctls * TIMES;
	ok(n >= want - LAG && n <= want + LAG, "%s: %ld ioctl%s a time (%ld for %d)", what, ioctls, ioctls == 1 ? "" : "s", n, TIMES);
	ok(after.open - before.open < LAG && after.write - before.write < LAG, "and nothing opened or written");
}

int main(void)
{
	struct dios_buffer b;
	struct dios_ioctl_info info;
	dios_ref blob = made(0, (struct dios_create_options){ 0 }, "a blob"), stream = made(0, (struct dios_create_options){ .kind = DIOS_STREAM }, "a stream");
	int failed = 0;

	is_int(put(0, blob, 0, "some bytes"), 0, "some bytes");
	counted();
	begin();
	for (int i = 0; i < TIMES; i++)
		failed += dios_info(blob, &info) < 0;
	took(1, "info");
	begin();
	for (int i = 0; i < TIMES; i++)
		failed += dios_acquire_read(0, blob, 0, DIOS_INLINE_MAX, &b) < 0 || dios_commit_read(0, blob, &b) < 0;
	took(2, "reading: acquire and commit");
	begin();
	for (int i = 0; i < TIMES; i++)
		failed += dios_acquire_read(0, blob, 0, 10, &b) < 0 || dios_commit_read(DIOS_DISCARD, blob, &b) < 0;
	took(1, "reading without asking again");
	begin();
	for (int i = 0; i < TIMES; i++)
		failed += dios_acquire_write(0, blob, 0, 100, &b) < 0 || dios_commit_write(DIOS_RELAXED, blob, &b, 100) < 0;
	took(2, "writing: acquire and commit");
	begin();
	for (int i = 0; i < TIMES; i++)
		failed += put(DIOS_AT_END | DIOS_RELAXED, stream, 0, "a record") < 0;
	took(1, "appending a record");
	begin();
	for (int i = 0; i < TIMES; i++)
		failed += dios_acquire_read(DIOS_RECORD, stream, DIOS_NEXT, 100, &b) < 0 || dios_commit_read(0, stream, &b) < 0;
	took(1, "reading a record");
	is_int(failed, 0, "and all went well");
	dios_close(blob);
	dios_close(stream);
	return done_testing();
}
