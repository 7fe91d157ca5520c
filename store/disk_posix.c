/* The real disk: a directory of this machine, reached through one descriptor, so that nobody who renames or mounts over
 * the path can move us elsewhere. Keeps no state but descriptors. */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/fault.h"
#include "store/disk.h"
#include "store/disk_posix.h"

#define IOV_BATCH 64                   /* vectors handed to the kernel at once; they are copied to be moved past short writes */
#define PUNCH_BUFFER (64 * 1024)       /* bytes of zeros written at once where the file system can't punch */

HISTOGRAM(disk_sync_time, "dios_disk_sync_seconds", "time taken by fdatasync");
COUNTER(disk_errors, "dios_disk_errors_total", "reads, writes and syncs of the data directory that failed");

struct posix_disk { struct disk disk; int fd; };
struct posix_file { struct disk_file file; int fd; bool read_only; };

static struct posix_disk *to_disk(struct disk *d) { return (struct posix_disk *)d; }
static struct posix_file *to_file(struct disk_file *f) { return (struct posix_file *)f; }

static const struct disk_ops posix_ops;

static int disk_failed(int error)
{
	counter_add(&disk_errors, 1);
	return -error;
}

static int posix_open(struct disk *d, const char *path, int flags, struct disk_file **ret_file)
{
	struct posix_file *f = malloc(sizeof(*f));
	int fd;

	if (!f)
		return -ENOMEM;
	assert((flags & ~(O_RDWR | O_CREAT | O_EXCL | O_TRUNC)) == 0);
	do
		fd = openat(to_disk(d)->fd, path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	while (fd < 0 && errno == EINTR);
	if (fd < 0) {
		int r = -errno;
		free(f);
		return r;
	}
	*f = (struct posix_file){ .file.ops = &posix_ops, .fd = fd, .read_only = (flags & O_ACCMODE) == O_RDONLY };
	*ret_file = &f->file;
	return 0;
}

static void posix_close(struct disk_file *f)
{
	close(to_file(f)->fd);
	free(to_file(f));
}

static ssize_t posix_pread(struct disk_file *f, void *data, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(to_file(f)->fd, (uint8_t *)data + done, size - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return disk_failed(errno);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Writes the vectors of one batch, which it changes. */
static int write_batch(int fd, struct iovec *iov, int count, uint64_t *offset)
{
	while (count > 0) {
		ssize_t n = pwritev(fd, iov, count, (off_t)*offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return disk_failed(errno);
		*offset += (uint64_t)n;
		while (count > 0 && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (count > 0) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

static int posix_pwritev(struct disk_file *f, const struct iovec *iov, int count, uint64_t offset)
{
	struct iovec batch[IOV_BATCH];
	int r = to_file(f)->read_only ? -EROFS : fault_point("disk.write");

	while (r == 0 && count > 0) {
		int n = count < IOV_BATCH ? count : IOV_BATCH;
		memcpy(batch, iov, (size_t)n * sizeof(*iov));
		r = write_batch(to_file(f)->fd, batch, n, &offset);
		iov += n;
		count -= n;
	}
	return r;
}

static int posix_sync(struct disk_file *f)
{
	int64_t start = clock_boot_ns(&clock_system);
	int r = fault_point("disk.sync");

	if (r < 0)
		return r;
	/* Not again after EINTR: the first call may have reported, and so cleared, an error. */
	if (fdatasync(to_file(f)->fd) < 0)
		return disk_failed(errno);
	histogram_record(&disk_sync_time, clock_boot_ns(&clock_system) - start);
	return 0;
}

static int posix_truncate(struct disk_file *f, uint64_t size)
{
	int r;

	if (to_file(f)->read_only)
		return -EROFS;
	do
		r = ftruncate(to_file(f)->fd, (off_t)size);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int posix_allocate(struct disk_file *f, uint64_t offset, uint64_t size)
{
	int r;

	if (to_file(f)->read_only)
		return -EROFS;
	do
		r = fallocate(to_file(f)->fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return 0;
	return errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

/* Where the file system has no holes: zeros, but not past the size. */
static int punch_by_hand(struct disk_file *f, uint64_t offset, uint64_t size)
{
	static const uint8_t zeros[PUNCH_BUFFER];
	struct stat st;

	if (fstat(to_file(f)->fd, &st) < 0)
		return -errno;
	uint64_t end = size > UINT64_MAX - offset || offset + size > (uint64_t)st.st_size ? (uint64_t)st.st_size : offset + size;
	while (offset < end) {
		size_t n = end - offset < sizeof(zeros) ? (size_t)(end - offset) : sizeof(zeros);
		int r = disk_pwrite(f, zeros, n, offset);
		if (r < 0)
			return r;
		offset += n;
	}
	return 0;
}

static int posix_punch(struct disk_file *f, uint64_t offset, uint64_t size)
{
	int r;

	if (size == 0)
		return 0;
	if (to_file(f)->read_only)
		return -EROFS;
	do
		r = fallocate(to_file(f)->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return 0;
	return errno == EOPNOTSUPP || errno == ENOSYS ? punch_by_hand(f, offset, size) : -errno;
}

static int posix_size(struct disk_file *f, uint64_t *ret_size)
{
	struct stat st;

	if (fstat(to_file(f)->fd, &st) < 0)
		return -errno;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

static int posix_stat(struct disk_file *f, struct disk_stat *ret_stat)
{
	struct stat st;

	if (fstat(to_file(f)->fd, &st) < 0)
		return -errno;
	*ret_stat = (struct disk_stat){ .size = (uint64_t)st.st_size, .blocks = (uint64_t)st.st_blocks,
		.mtime_ns = (int64_t)st.st_mtim.tv_sec * NS_PER_SECOND + st.st_mtim.tv_nsec };
	return 0;
}

static int posix_set_mtime(struct disk_file *f, int64_t mtime_ns)
{
	int64_t seconds = mtime_ns / NS_PER_SECOND, rest = mtime_ns % NS_PER_SECOND;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = rest < 0 ? seconds - 1 : seconds, .tv_nsec = rest < 0 ? rest + NS_PER_SECOND : rest } };

	return futimens(to_file(f)->fd, times) < 0 ? -errno : 0;
}

/* The position that lseek moves is nobody's: all else here says where. */
static int posix_seek(struct disk_file *f, uint64_t offset, bool hole, uint64_t *ret_offset)
{
	off_t found = lseek(to_file(f)->fd, (off_t)offset, hole ? SEEK_HOLE : SEEK_DATA);

	if (found < 0)
		return -errno;
	*ret_offset = (uint64_t)found;
	return 0;
}

static int posix_clone(struct disk_file *from, struct disk_file *to)
{
	return to_file(to)->read_only ? -EROFS : disk_posix_copy(to_file(from)->fd, to_file(to)->fd);
}

static void posix_begin_sync(struct disk_file *f, uint64_t offset, uint64_t size)
{
	/* An error of the writing itself is left for the sync to find. */
	(void)sync_file_range(to_file(f)->fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
}

static int posix_drop_cache(struct disk_file *f, uint64_t offset, uint64_t size)
{
	return -posix_fadvise(to_file(f)->fd, (off_t)offset, (off_t)size, POSIX_FADV_DONTNEED);
}

static int posix_fd(struct disk_file *f)
{
	return to_file(f)->fd;
}

/* The length of a path's folder part, without the slash. */
static size_t folder_size(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) : 0;
}

static int posix_rename(struct disk *d, const char *from, const char *to)
{
	size_t size = folder_size(from);

	if (size != folder_size(to) || memcmp(from, to, size) != 0)
		return -EXDEV;
	return renameat(to_disk(d)->fd, from, to_disk(d)->fd, to) < 0 ? -errno : 0;
}

static int posix_unused(struct disk *d, const char *path, bool unread)
{
	_cleanup_close_ int fd = openat(to_disk(d)->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	/* The kernel gives a lease only where no other use of the file goes against it. It is given back before anybody can come. */
	if (fcntl(fd, F_SETLEASE, unread ? F_WRLCK : F_RDLCK) < 0)
		return errno == EAGAIN || errno == EACCES ? -EAGAIN : errno == EINVAL || errno == ENOLCK ? -EOPNOTSUPP : -errno;
	return fcntl(fd, F_SETLEASE, F_UNLCK) < 0 ? -errno : 0;
}

static int posix_unlink(struct disk *d, const char *path)
{
	return unlinkat(to_disk(d)->fd, path, 0) < 0 ? -errno : 0;
}

static int posix_mkdir(struct disk *d, const char *path)
{
	struct stat st;

	if (mkdirat(to_disk(d)->fd, path, 0700) == 0)
		return 0;
	if (errno != EEXIST || fstatat(to_disk(d)->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int open_folder(struct disk *d, const char *path)
{
	int fd;

	do
		fd = openat(to_disk(d)->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

static int posix_sync_dir(struct disk *d, const char *path)
{
	_cleanup_close_ int fd = open_folder(d, path);
	int r = fault_point("disk.sync_dir");

	if (fd < 0)
		return fd;
	if (r < 0)
		return r;
	/* EINVAL: this file system has nothing to sync for a folder. */
	if (fsync(fd) < 0 && errno != EINVAL)
		return disk_failed(errno);
	return 0;
}

static int posix_list(struct disk *d, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	_cleanup_close_ int fd = open_folder(d, path);
	int r = 0;

	if (fd < 0)
		return fd;
	DIR *dir = fdopendir(fd);
	if (!dir)
		return -errno;
	(void)TAKE_FD(fd);
	while (r == 0) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (!entry) {
			r = -errno;
			break;
		}
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = each(arg, entry->d_name);
	}
	closedir(dir);
	return r;
}

static int posix_space(struct disk *d, struct disk_space *ret_space)
{
	struct statvfs st;

	if (fstatvfs(to_disk(d)->fd, &st) < 0)
		return -errno;
	*ret_space = (struct disk_space){ .total_bytes = (uint64_t)st.f_blocks * st.f_frsize, .free_bytes = (uint64_t)st.f_bavail * st.f_frsize,
		.total_inodes = st.f_files, .free_inodes = st.f_favail };
	return 0;
}

static void posix_free(struct disk *d)
{
	close(to_disk(d)->fd);
	free(to_disk(d));
}

static const struct disk_ops posix_ops = {
	.open = posix_open, .close = posix_close, .pread = posix_pread, .pwritev = posix_pwritev, .sync = posix_sync,
	.begin_sync = posix_begin_sync,
	.truncate = posix_truncate, .allocate = posix_allocate, .punch = posix_punch, .size = posix_size, .stat = posix_stat,
	.set_mtime = posix_set_mtime, .seek = posix_seek, .unused = posix_unused, .clone = posix_clone,
	.drop_cache = posix_drop_cache, .fd = posix_fd, .rename = posix_rename, .unlink = posix_unlink, .mkdir = posix_mkdir,
	.sync_dir = posix_sync_dir, .list = posix_list, .space = posix_space, .free = posix_free,
};

int disk_posix_new(const char *directory, struct disk **ret_disk)
{
	struct sigaction action;
	int fd;

	do
		fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -errno;
	struct posix_disk *d = malloc(sizeof(*d));
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	if (sigaction(SIGXFSZ, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
		signal(SIGXFSZ, SIG_IGN);
	if (sigaction(SIGIO, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
		signal(SIGIO, SIG_IGN);
	*d = (struct posix_disk){ .disk = { .ops = &posix_ops, .random = &random_system }, .fd = fd };
	*ret_disk = &d->disk;
	return 0;
}
