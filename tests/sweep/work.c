#include "tests/sweep/work.h"

#include <dios-util.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SMALL_BYTES 300
#define LARGE_BYTES (200u << 10)
#define CUT_BYTES 150001
#define COPY_BYTES (64u << 10)
#define OBJECT_BYTES (150u << 10)
#define ALIGN 4096u
#define TASK_NS 30000000000LL
#define TASK_STATUS 3           /* of a program whose output was taken */

enum { SMALL, LARGE, COPY, LINKED, OBJECT };

void work_init(struct work *w, const char *folder, int error)
{
	static const char *const names[WORK_FILES] = { "small", "large", "copy", "linked", "object", "spare" };

	memset(w, 0, sizeof(*w));
	snprintf(w->folder, sizeof(w->folder), "%s", folder);
	w->error = error;
	for (size_t i = 0; i < WORK_FILES; i++) {
		struct work_file *f = &w->files[i];
		snprintf(f->name, sizeof(f->name), "%s", names[i]);
		f->now.bytes = calloc(1, WORK_FILE_MAX);
		f->other.bytes = calloc(1, WORK_FILE_MAX);
		f->synced.bytes = calloc(1, WORK_FILE_MAX);
	}
}

void work_done(struct work *w)
{
	for (size_t i = 0; i < WORK_FILES; i++) {
		free(w->files[i].now.bytes);
		free(w->files[i].other.bytes);
		free(w->files[i].synced.bytes);
	}
}

static void __attribute__((format(printf, 2, 3))) wrong(struct work *w, const char *format, ...)
{
	va_list ap;

	if (w->wrong[0])
		return;
	va_start(ap, format);
	vsnprintf(w->wrong, sizeof(w->wrong), format, ap);
	va_end(ap);
}

/* r: 0, or what a call failed with, negative. */
static bool good(struct work *w, const char *what, long r)
{
	if (r >= 0)
		return true;
	w->failures++;
	if (r == -ENOTCONN || r == -ECONNABORTED)
		w->gone = true;
	else if (r != -w->error && r != -EIO && r != -ENOENT && r != -EBADF)
		wrong(w, "%s: errno %ld where %d was injected", what, -r, w->error);
	return false;
}

static long result(long r) { return r < 0 ? -errno : r; }

static const char *path_of(const struct work *w, const char *name)
{
	static char texts[4][640];
	static unsigned turn;
	char *text = texts[turn++ % 4];

	snprintf(text, sizeof(texts[0]), "%s/%s", w->folder, name);
	return text;
}

static void fill(uint8_t *bytes, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(seed * 131 + i * 7 + (i >> 8) * 13 + 1);
}

/* ---- what was acknowledged ---- */

static void image_write(struct work_image *m, size_t offset, const uint8_t *data, size_t size)
{
	memcpy(m->bytes + offset, data, size);
	m->size = offset + size > m->size ? offset + size : m->size;
}

static void image_resize(struct work_image *m, size_t size)
{
	if (size < m->size)
		memset(m->bytes + size, 0, m->size - size);
	m->size = size;
}

static void image_copy(struct work_image *to, const struct work_image *from)
{
	memcpy(to->bytes, from->bytes, WORK_FILE_MAX);
	to->size = from->size;
}

static void file_written(struct work_file *f, bool done, size_t offset, const uint8_t *data, size_t size)
{
	if (done)
		image_write(&f->now, offset, data, size);
	image_write(&f->other, offset, data, size);
}

static void file_resized(struct work_file *f, bool done, size_t size)
{
	if (done)
		image_resize(&f->now, size);
	image_resize(&f->other, size);
}

static void file_synced(struct work_file *f, bool done)
{
	if (done)
		image_copy(&f->synced, &f->now);
	else
		f->sync_failed = true;
}

/* ---- the work ---- */

static int file_open(struct work *w, struct work_file *f, int flags)
{
	int fd = (int)result(open(path_of(w, f->name), flags | O_CLOEXEC, 0644));
	bool done = good(w, "open", fd);

	if (flags & O_CREAT)
		f->there = done ? WORK_PRESENT : WORK_MAYBE;
	return fd;
}

static void file_write(struct work *w, struct work_file *f, int fd, size_t offset, size_t size, unsigned seed)
{
	static uint8_t data[LARGE_BYTES];

	if (fd < 0)
		return;
	fill(data, size, seed);
	long n = result(pwrite(fd, data, size, (off_t)offset));
	bool done = good(w, "write", n);
	if (done && (size_t)n < size) {
		file_written(f, true, offset, data, (size_t)n);
		done = false;
	}
	file_written(f, done, offset, data, size);
}

static void file_sync(struct work *w, struct work_file *f, int fd)
{
	if (fd >= 0)
		file_synced(f, good(w, "fsync", result(fsync(fd))));
}

static void file_close(struct work *w, struct work_file *f, int fd)
{
	if (fd >= 0 && !good(w, "close", result(close(fd))))
		f->sync_failed = true;
}

static void do_small(struct work *w)
{
	struct work_file *f = &w->files[SMALL];
	int fd = file_open(w, f, O_RDWR | O_CREAT);

	file_write(w, f, fd, 0, SMALL_BYTES, 1);
	file_sync(w, f, fd);
	file_write(w, f, fd, SMALL_BYTES / 2, SMALL_BYTES, 2);
	if (fd >= 0) {
		good(w, "fchmod", result(fchmod(fd, 0600)));
		good(w, "fsetxattr", result(fsetxattr(fd, "user.sweep", "x", 1, 0)));
		good(w, "futimens", result(futimens(fd, NULL)));
	}
	file_close(w, f, fd);
}

/* Tail, rows, a cut, and the absorbing that growing again after it demands. */
static void do_large(struct work *w)
{
	struct work_file *f = &w->files[LARGE];
	int fd = file_open(w, f, O_RDWR | O_CREAT);

	file_write(w, f, fd, 0, LARGE_BYTES, 3);
	file_sync(w, f, fd);
	file_write(w, f, fd, 8 * ALIGN + 100, ALIGN, 4);
	file_sync(w, f, fd);
	if (fd >= 0)
		file_resized(f, good(w, "ftruncate", result(ftruncate(fd, CUT_BYTES))), CUT_BYTES);
	file_write(w, f, fd, CUT_BYTES, LARGE_BYTES, 5);
	if (fd >= 0 && good(w, "fallocate", result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, ALIGN, 2 * ALIGN)))) {
		memset(f->now.bytes + ALIGN, 0, 2 * ALIGN);
		memset(f->other.bytes + ALIGN, 0, 2 * ALIGN);
	} else {
		memset(f->other.bytes + ALIGN, 0, 2 * ALIGN);
	}
	file_sync(w, f, fd);
	file_close(w, f, fd);
}

static void do_copy(struct work *w)
{
	struct work_file *f = &w->files[COPY], *from = &w->files[LARGE];
	int in = file_open(w, from, O_RDONLY), out = file_open(w, f, O_RDWR | O_CREAT);
	off_t at = 0;

	long n = in < 0 || out < 0 ? -EBADF : result(copy_file_range(in, &at, out, NULL, COPY_BYTES, 0));
	size_t copied = n > 0 ? (size_t)n : 0, most = from->other.size < COPY_BYTES ? from->other.size : COPY_BYTES;
	good(w, "copy_file_range", n);
	image_write(&f->now, 0, from->now.bytes, copied);
	image_write(&f->other, 0, from->other.bytes, copied ? copied : most);
	file_close(w, f, out);
	if (in >= 0)
		close(in);
}

static void do_tree(struct work *w)
{
	struct work_file *f = &w->files[LINKED];
	char text[64];
	int fd = file_open(w, f, O_WRONLY | O_CREAT);

	file_write(w, f, fd, 0, SMALL_BYTES, 6);
	file_close(w, f, fd);
	good(w, "mkdir", result(mkdir(path_of(w, "folder"), 0755)));
	good(w, "symlink", result(symlink("nowhere", path_of(w, "folder/symlink"))));
	good(w, "readlink", result(readlink(path_of(w, "folder/symlink"), text, sizeof(text))));
	good(w, "link", result(link(path_of(w, f->name), path_of(w, "folder/second"))));
	good(w, "rename", result(rename(path_of(w, "folder/second"), path_of(w, "folder/third"))));
	DIR *d = opendir(path_of(w, "folder"));
	if (d) {
		while (readdir(d)) {}
		closedir(d);
	}
	good(w, "opendir", d ? 0 : -errno);
	good(w, "unlink", result(unlink(path_of(w, "folder/third"))));
	/* An open file without a name. */
	fd = (int)result(open(path_of(w, "folder/fourth"), O_RDWR | O_CREAT, 0600));
	good(w, "open", fd);
	good(w, "unlink", result(unlink(path_of(w, "folder/fourth"))));
	if (fd >= 0) {
		good(w, "write", result(pwrite(fd, text, sizeof(text), 0)));
		close(fd);
	}
}

/* ---- the calls of libdios ---- */

static void do_stream(struct work *w)
{
	struct dios_create_options options = { .kind = DIOS_STREAM, .rights = DIOS_READ | DIOS_WRITE | DIOS_APPEND | DIOS_DELETE };
	struct dios_buffer b;
	dios_ref ref = -1;

	if (!good(w, "create a stream", dios_create(0, &options, NULL, &ref)))
		return;
	bool sent = good(w, "write a record", result(write(ref, "record", 6)));
	int r = dios_acquire_read(DIOS_RECORD | DIOS_NOWAIT, ref, 0, 6, &b);
	if (r == 0) {
		if (sent && (b.size != 6 || memcmp(b.data, "record", 6) != 0))
			wrong(w, "a record is not what was written");
		dios_commit_read(DIOS_DISCARD, ref, &b);
	} else if (sent || r != -EAGAIN) {
		good(w, "read a record", r);
	}
	if (!good(w, "delete a stream", dios_delete(0, ref)))
		close(ref);   /* refused, the reference stays */
}

static void do_object(struct work *w)
{
	struct work_file *f = &w->files[OBJECT];
	static uint8_t data[OBJECT_BYTES];
	char path[256], token[DIOS_TOKEN_SIZE];
	struct dios_buffer b;
	dios_ref ref = -1, other = -1;
	size_t count = 1;

	snprintf(path, sizeof(path), "%s/%s", dios_mount(), path_of(w, f->name));
	struct dios_create_options options = { .path = path, .rights = DIOS_READ | DIOS_WRITE | DIOS_DELEGATE };
	int r = dios_create(0, &options, NULL, &ref);
	f->there = good(w, "dios_create", r) ? WORK_PRESENT : WORK_MAYBE;
	if (r < 0)
		return;
	fill(data, sizeof(data), 7);
	if (good(w, "dios_acquire_write", r = dios_acquire_write(0, ref, 0, sizeof(data), &b))) {
		memcpy(b.data, data, sizeof(data));
		bool done = good(w, "dios_commit_write", dios_commit_write(0, ref, &b, sizeof(data)));
		file_written(f, done, 0, data, sizeof(data));
		file_synced(f, done);
	}
	if (good(w, "dios_acquire_read", dios_acquire_read(DIOS_PIN, ref, 0, ALIGN, &b)))
		good(w, "dios_commit_read", dios_commit_read(0, ref, &b));
	struct dios_copy_options narrow = { .rights = DIOS_READ };
	if (good(w, "dios_copy", dios_copy(DIOS_TOKEN, ref, &narrow, NULL, token)) &&
		good(w, "dios_lookup", dios_lookup(0, token, DIOS_READ, &other, &count)))
		close(other);
	close(ref);
}

/* What a task has written is there once it has ended: it ends otherwise if it could not. */
static void check_output(struct work *w, const struct dios_ioctl_info *info)
{
	char name[DIOS_NAME_TEXT], path[128], text[8] = "";
	struct dios_name of;

	memcpy(of.bytes, info->name, sizeof(of.bytes));
	dios_name_to_text(&of, name);
	snprintf(path, sizeof(path), ".dios/tasks/%s/stdout", name);
	int fd = (int)result(open(path, O_RDONLY | O_CLOEXEC));
	long n = fd < 0 ? fd : result(read(fd, text, sizeof(text)));
	if (good(w, "read a task's output", n) && (n != 5 || memcmp(text, "text\n", 5) != 0))
		wrong(w, "what a task has written is not there");
	if (fd >= 0)
		close(fd);
}

/* A task that writes a stream of its own and ends with a status. One that could not be started has failed with another. */
static void do_task(struct work *w)
{
	static const char *const arguments[] = { "sh", "-c", "echo text && exit 3; exit 4", NULL };
	struct dios_run_options options = { .path = "/bin/sh", .arguments = arguments };
	struct dios_ioctl_info info = { 0 };
	dios_ref task = -1;

	if (!good(w, "dios_run", dios_run(0, -1, &options, &task)))
		return;
	struct dios_wait wait = { .ref = task, .wanted = DIOS_ENDED };
	if (good(w, "wait for a task", dios_select(0, &wait, 1, TASK_NS)) && good(w, "dios_info", dios_info(task, &info))) {
		/* A poll(2) that failed says POLLERR, and no errno. */
		if (!(wait.ready & DIOS_ENDED) && (wait.ready & DIOS_ERROR))
			w->failures++;
		else if (info.task_state != DIOS_TASK_FAILED)
			wrong(w, "a task that fails has state %u and status %#x", (unsigned)info.task_state, (unsigned)info.exit_status);
		else if (info.exit_status == TASK_STATUS << 8)
			check_output(w, &info);
		else
			w->failures++;
	}
	close(task);
}

void work_run(struct work *w)
{
	if (!good(w, "mkdir", result(mkdir(w->folder, 0755))))
		return;
	do_small(w);
	do_large(w);
	do_copy(w);
	do_tree(w);
	do_stream(w);
	do_object(w);
	do_task(w);
	int fd = open(w->folder, O_RDONLY | O_DIRECTORY);
	if (fd >= 0) {
		good(w, "syncfs", result(syncfs(fd)));
		close(fd);
	}
}

/* ---- afterwards ---- */

static bool byte_right(const struct work_file *f, size_t i, uint8_t got)
{
	if (got == (i < f->now.size ? f->now.bytes[i] : 0) || got == (i < f->other.size ? f->other.bytes[i] : 0))
		return true;
	/* R6: what a failed sync was to make durable may be void; its caller was told. */
	return f->sync_failed && (got == 0 || (i < f->synced.size && got == f->synced.bytes[i]));
}

static void check_content(struct work *w, const struct work_file *f, const uint8_t *got, size_t size)
{
	size_t low = f->now.size < f->other.size ? f->now.size : f->other.size, high = f->now.size > f->other.size ? f->now.size : f->other.size;

	if (f->sync_failed && f->synced.size < low)
		low = f->synced.size;
	if (size < low || size > high)
		wrong(w, "%s/%s has %zu bytes, not %zu to %zu", w->folder, f->name, size, low, high);
	for (size_t i = 0; i < size && i < WORK_FILE_MAX; i++) {
		if (byte_right(f, i, got[i]))
			continue;
		wrong(w, "%s/%s: byte %zu is %#x, not %#x", w->folder, f->name, i, got[i], f->now.bytes[i]);
		return;
	}
}

/* O_DIRECT: what the daemon says, not what the kernel remembers. */
static void check_file(struct work *w, struct work_file *f)
{
	static _Alignas(4096) uint8_t got[WORK_FILE_MAX + 4096];
	size_t size = 0;
	long n = 0;

	int fd = open(path_of(w, f->name), O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0) {
		if (f->there == WORK_PRESENT || errno != ENOENT)
			wrong(w, "%s/%s cannot be opened: errno %d", w->folder, f->name, errno);
		return;
	}
	while (size < sizeof(got) && (n = result(pread(fd, got + size, sizeof(got) - size, (off_t)size))) > 0)
		size += (size_t)n;
	close(fd);
	if (n < 0)
		wrong(w, "%s/%s cannot be read: errno %ld", w->folder, f->name, -n);
	else
		check_content(w, f, got, size);
}

bool work_check(struct work *w)
{
	for (size_t i = 0; i < WORK_FILES; i++)
		if (w->files[i].there != WORK_ABSENT)
			check_file(w, &w->files[i]);
	return w->wrong[0] == '\0';
}

static int remove_below(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	int r = d ? 0 : -errno;

	while (r == 0 && (e = readdir(d))) {
		char path[512];
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		r = e->d_type == DT_DIR ? remove_below(path) : (int)result(unlink(path));
		if (r == 0)
			rewinddir(d);
	}
	if (d)
		closedir(d);
	return r < 0 ? r : (int)result(rmdir(folder));
}

int work_remove(struct work *w)
{
	int r = remove_below(w->folder);

	return r == -ENOENT ? 0 : r;
}
