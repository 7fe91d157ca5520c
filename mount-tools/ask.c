/* The child holds none of our files, for whoever waits for their end; its exit status is the errno. */
#include "mount-tools/ask.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "mount-tools/cli_mount.h"

/* Writes what is to be told to `to`. 0, or a negative errno. */
typedef int question(const char *path, int to);

static int read_file(const char *path, int to)
{
	struct buffer text;

	buffer_init(&text, CLI_FILE_MAX);
	int r = cli_read_file(path, &text);
	for (size_t at = 0; r == 0 && at < text.size;) {
		ssize_t n = write(to, text.data + at, text.size - at);
		if (n < 0 && errno != EINTR)
			r = -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return r;
}

/* Past what the kernel remembers. */
static int look_at(const char *path, int to)
{
	struct statx stx;

	(void)to;
	return statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx) < 0 ? -errno : 0;
}

static void ask_in_child(question *ask, const char *path, int to)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3; fd++) {
		if (fd != to && dup2(null, fd) < 0)
			_exit(EIO);
	}
	_exit(-ask(path, to));
}

/* All that comes until the end, NUL-terminated. -ETIMEDOUT: that does not come. */
static int collect(int from, struct buffer *text)
{
	int64_t until = clock_boot_ns(&clock_system) + ASK_S * NS_PER_SECOND;

	for (;;) {
		struct pollfd poll_fd = { .fd = from, .events = POLLIN };
		int64_t left = until - clock_boot_ns(&clock_system);
		char chunk[16384];

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&poll_fd, 1, (int)(left / NS_PER_MS) + 1) <= 0)
			continue;
		ssize_t n = read(from, chunk, sizeof(chunk));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		if (n > 0)
			buffer_append(text, chunk, (size_t)n);
	}
	buffer_append(text, "", 1);
	if (buffer_error(text) == 0)
		text->size--;
	return buffer_error(text);
}

static int ask_within(question *ask, const char *path, struct buffer *text)
{
	int ends[2], status;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	int r = pid < 0 ? -errno : 0;
	if (pid == 0)
		ask_in_child(ask, path, ends[1]);
	close(ends[1]);
	if (r == 0)
		r = collect(ends[0], text);
	close(ends[0]);
	if (pid < 0 || r == -ETIMEDOUT)
		return r;
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return -EIO;
	return r < 0 ? r : -WEXITSTATUS(status);
}

int ask_read(const char *path, struct buffer *text) { return ask_within(read_file, path, text); }

bool ask_answers(const char *mount)
{
	_cleanup_buffer_ struct buffer nothing;

	buffer_init(&nothing, 16);
	return ask_within(look_at, mount, &nothing) != -ETIMEDOUT;
}

int ask_failed(struct cli *cli, const char *mount)
{
	return cli_fail_advised(cli, -ETIMEDOUT, "its daemon hangs, or dies at each start, and what is asked of the mount waits: its log says why (DATA/diosd.log, or "
		"journalctl -u 'dios@*'); what the holder does stands there too", "the mount %s has not answered for %d s", mount, ASK_S);
}
