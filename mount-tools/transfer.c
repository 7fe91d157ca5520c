/* Copying files; see transfer.h. */
#include <fcntl.h>
#include <string.h>

#include "mount-tools/cli_mount.h"
#include "mount-tools/run_refs.h"
#include "mount-tools/transfer.h"

#define CHUNK (1u << 20)          /* bytes: the largest FUSE request */
#define KERNEL_CHUNK (16u << 20)  /* bytes in one copy_file_range: short enough for a moving bar */

int transfer_init(struct transfer *t, struct cli *cli, const char *label, uint64_t total)
{
	*t = (struct transfer){ .cli = cli, .chunk = malloc(CHUNK) };
	if (!t->chunk)
		return cli_fail(cli, -ENOMEM, "no memory for a buffer");
	progress_init(&t->progress, label, PROGRESS_BYTES, total, cli->json || cli->quiet);
	return 0;
}

void transfer_done(struct transfer *t)
{
	progress_finish(&t->progress, t->bytes, NULL);
	free(t->chunk);
	t->chunk = NULL;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static void transfer_count(struct transfer *t, size_t n, uint64_t *size)
{
	t->bytes += n;
	*size += n;
	progress_update(&t->progress, t->bytes, NULL);
}

int transfer_descriptor(struct transfer *t, int from, int to, bool *written, uint64_t *ret_size)
{
	bool in_kernel = true;
	uint64_t size = 0;

	*written = false;
	for (;;) {
		ssize_t n = in_kernel ? copy_file_range(from, NULL, to, NULL, KERNEL_CHUNK, 0) : read(from, t->chunk, CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		/* It refuses other file systems and pipes, and says 0 at the size known so far, which a stream or a file of /proc goes
		 * beyond: read tells. */
		if (in_kernel && n <= 0) {
			in_kernel = false;
			continue;
		}
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		if (!in_kernel) {
			int r = write_all(to, t->chunk, (size_t)n);

			if (r < 0) {
				*written = true;
				return r;
			}
		}
		transfer_count(t, (size_t)n, &size);
	}
	*ret_size = size;
	return 0;
}

static int set_times(int fd, const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };

	return futimens(fd, times) < 0 ? -errno : 0;
}

/* Puts the finished temporary file in its place. */
static int rename_over(const struct transfer *t, const char *temporary, const char *destination)
{
	if (renameat2(AT_FDCWD, temporary, AT_FDCWD, destination, t->no_clobber ? RENAME_NOREPLACE : 0) == 0)
		return 0;
	/* Where the file system knows no such flag, link says whether the place is free. */
	if (errno == EINVAL && t->no_clobber && link(temporary, destination) == 0) {
		unlink(temporary);
		return 0;
	}
	return -errno;
}

/* Fills the temporary file and renames it. Status, after a message. */
static int fill_and_rename(struct transfer *t, int from, const struct stat *st, const char *source, const char *destination,
	const char *temporary, uint64_t *ret_size)
{
	_cleanup_close_ int to = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	mode_t mask = umask(0);
	bool written;
	int r;

	umask(mask);
	if (to < 0)
		return cli_object_failed(t->cli, -errno, "write beside", destination);
	r = transfer_descriptor(t, from, to, &written, ret_size);
	if (r < 0) {
		unlink(temporary);
		return cli_object_failed(t->cli, r, written ? "write" : "read", written ? destination : source);
	}
	r = fchmod(to, S_ISREG(st->st_mode) ? st->st_mode & 0777 & ~mask : 0666 & ~mask) < 0 ? -errno : 0;
	if (r == 0 && t->times)
		r = set_times(to, st);
	if (r == 0 && fsync(to) < 0)
		r = -errno;
	int fd = TAKE_FD(to);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0)
		r = rename_over(t, temporary, destination);
	if (r < 0) {
		unlink(temporary);
		return cli_fail_advised(t->cli, r, r == -EEXIST ? "leave --no-clobber out to replace it" : NULL, "cannot put %s in its place", destination);
	}
	return 0;
}

int transfer_file(struct transfer *t, const char *source, const char *destination, uint64_t *ret_size)
{
	_cleanup_close_ int opened = -1;
	_cleanup_free_ char *temporary = NULL;
	bool from_input = strcmp(source, "-") == 0, written;
	int from = STDIN_FILENO;
	struct stat st;

	if (!from_input) {
		from = opened = open(source, O_RDONLY | O_CLOEXEC);
		if (opened < 0)
			return cli_object_failed(t->cli, -errno, "open", source);
	}
	if (fstat(from, &st) < 0)
		return cli_object_failed(t->cli, -errno, "look at", source);
	if (S_ISDIR(st.st_mode))
		return cli_fail_advised(t->cli, -EISDIR, "name its files, or use cp -r, rsync or tar", "cannot copy %s", source);
	if (strcmp(destination, "-") == 0) {
		int r = transfer_descriptor(t, from, STDOUT_FILENO, &written, ret_size);

		if (r < 0)
			return cli_object_failed(t->cli, r, written ? "write" : "read", written ? "standard output" : source);
		t->files++;
		return 0;
	}
	temporary = temporary_path(destination);
	if (!temporary)
		return cli_fail(t->cli, -ENOMEM, "%s", destination);
	int status = fill_and_rename(t, from, &st, source, destination, temporary, ret_size);
	if (status == 0)
		t->files++;
	return status;
}

char *transfer_place(const char *source, const char *destination, bool folder)
{
	const char *slash = strrchr(source, '/');
	char *place;

	if (!folder)
		return strdup(destination);
	if (asprintf(&place, "%s/%s", destination, slash ? slash + 1 : source) < 0)
		return NULL;
	return place;
}
