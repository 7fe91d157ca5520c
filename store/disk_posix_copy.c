/* One file becomes a copy of another, in the cheapest way that the file system has: shared extents, a copy inside the
 * kernel, reads and writes. Holes stay holes. */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "store/disk_posix.h"

#define COPY_BUFFER (256 * 1024)       /* bytes: past it a larger buffer no longer copies faster */
#define COPY_RANGE_MAX (1 << 30)       /* bytes a call: some kernels refuse 2 GiB and more */

static int write_all(int fd, const uint8_t *data, size_t size, off_t offset)
{
	while (size > 0) {
		ssize_t n = pwrite(fd, data, size, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
		offset += n;
	}
	return 0;
}

static int copy_by_hand(int from, int to, off_t offset, off_t end)
{
	_cleanup_free_ uint8_t *buffer = malloc(COPY_BUFFER);

	if (!buffer)
		return -ENOMEM;
	while (offset < end) {
		size_t size = end - offset < COPY_BUFFER ? (size_t)(end - offset) : COPY_BUFFER;
		ssize_t n = pread(from, buffer, size, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;   /* it became shorter meanwhile: the rest reads as zeros */
		int r = write_all(to, buffer, (size_t)n, offset);
		if (r < 0)
			return r;
		offset += n;
	}
	return 0;
}

static int copy_range(int from, int to, off_t offset, off_t end)
{
	off_t in = offset, out = offset;

	while (in < end) {
		size_t size = end - in < COPY_RANGE_MAX ? (size_t)(end - in) : COPY_RANGE_MAX;
		ssize_t n = copy_file_range(from, &in, to, &out, size, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == ENOSPC || errno == EIO || errno == EDQUOT || errno == EFBIG))
			return -errno;
		if (n <= 0)
			return copy_by_hand(from, to, in, end);
	}
	return 0;
}

int disk_posix_copy(int from, int to)
{
	struct stat st;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	/* A cloned file may be longer than the one it replaces was, so cut first: nothing old shows through the holes. */
	if (fstat(from, &st) < 0 || ftruncate(to, 0) < 0 || ftruncate(to, st.st_size) < 0)
		return -errno;

	off_t offset = 0;
	while (offset < st.st_size) {
		off_t data = lseek(from, offset, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return 0;   /* only a hole is left */
		off_t hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
		if (data < 0 || hole < 0) {
			data = offset;
			hole = st.st_size;
		}
		int r = copy_range(from, to, data, hole < st.st_size ? hole : st.st_size);
		if (r < 0)
			return r;
		offset = hole;
	}
	return 0;
}
