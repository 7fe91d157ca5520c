/* power_disk IMAGE LOG FOLDER: a disk for a loop device that writes down what a power cut needs to know.
 *
 * FOLDER becomes a mount with two files. `disk` is IMAGE, which must exist: the loop driver's writes come here as writes, its flushes (and the
 * flush after a write with FUA, which the block layer makes of it) as fsync. What is written to `control` is a mark: text of the
 * test's own, one mark a write. Writes, flushes and marks are records of LOG in the one order in which they were answered; requests are
 * served one at a time, so a flush covers exactly the writes before it. Power-cut images are made from LOG afterwards (cut.py).
 *
 * A record: kind 4, size 4, offset 8, time 8 (CLOCK_BOOTTIME, ns), native byte order; then the bytes of a write, or a mark's text.
 * Ends when FOLDER is unmounted. "ready" on standard output: it is mounted. */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { EVENT_WRITE = 1, EVENT_FLUSH = 2, EVENT_MARK = 3 };
enum { FILE_DISK = 1, FILE_CONTROL = 2 };   /* file handles */

struct event { uint32_t kind, size; uint64_t offset; int64_t time_ns; };

static int image_fd, log_fd;

/* An incomplete log would make every check after it worthless: better no disk at all. */
static void log_event(uint32_t kind, uint64_t offset, const void *data, size_t size)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	struct event e = { .kind = kind, .size = (uint32_t)size, .offset = offset, .time_ns = now.tv_sec * 1000000000ll + now.tv_nsec };
	struct iovec iov[2] = { { &e, sizeof(e) }, { (void *)(uintptr_t)data, size } };

	if (writev(log_fd, iov, size ? 2 : 1) != (ssize_t)(sizeof(e) + size)) {
		perror("power_disk: the log");
		_exit(1);
	}
}

static uint64_t file_of(const char *path)
{
	return strcmp(path, "/disk") == 0 ? FILE_DISK : strcmp(path, "/control") == 0 ? FILE_CONTROL : 0;
}

static int op_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	uint64_t file = file_of(path);

	(void)fi;
	memset(st, 0, sizeof(*st));
	if (strcmp(path, "/") == 0) {
		st->st_mode = S_IFDIR | 0700;
		st->st_nlink = 2;
		return 0;
	}
	if (!file)
		return -ENOENT;
	if (file == FILE_DISK && fstat(image_fd, st) < 0)
		return -errno;
	st->st_mode = S_IFREG | 0600;
	st->st_nlink = 1;
	return 0;
}

static int op_open(const char *path, struct fuse_file_info *fi)
{
	fi->fh = file_of(path);
	fi->direct_io = 1;   /* no pages in between: what the loop driver has written is in the log */
	return fi->fh ? 0 : -ENOENT;
}

static int op_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	(void)fi;
	return file_of(path) == FILE_CONTROL && size == 0 ? 0 : -EPERM;
}

static int op_read(const char *path, char *data, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)path;
	if (fi->fh != FILE_DISK)
		return 0;
	ssize_t n = pread(image_fd, data, size, offset);
	return n < 0 ? -errno : (int)n;
}

static int op_write(const char *path, const char *data, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)path;
	if (fi->fh == FILE_CONTROL) {
		log_event(EVENT_MARK, 0, data, size);
		return (int)size;
	}
	ssize_t n = pwrite(image_fd, data, size, offset);
	if (n < 0)
		return -errno;
	log_event(EVENT_WRITE, (uint64_t)offset, data, (size_t)n);
	return (int)n;
}

static int op_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)path;
	(void)datasync;
	if (fi->fh == FILE_DISK)
		log_event(EVENT_FLUSH, 0, NULL, 0);
	return 0;
}

static void *op_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
	(void)connection;
	config->attr_timeout = config->entry_timeout = 3600;
	puts("ready");
	fflush(stdout);
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct fuse_operations operations = { .init = op_init, .getattr = op_getattr, .open = op_open, .truncate = op_truncate,
		.read = op_read, .write = op_write, .fsync = op_fsync };

	if (argc != 4) {
		fprintf(stderr, "usage: power_disk IMAGE LOG FOLDER\n");
		return 2;
	}
	image_fd = open(argv[1], O_RDWR | O_CLOEXEC);
	log_fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (image_fd < 0 || log_fd < 0) {
		perror("power_disk");
		return 1;
	}
	/* One thread, in the foreground. */
	char *arguments[] = { argv[0], "-f", "-s", argv[3], NULL };
	return fuse_main(4, arguments, &operations, NULL);
}
