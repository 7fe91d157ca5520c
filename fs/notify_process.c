/* See notify_process.h. One packet a write, one for its result. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "fs/notify_process.h"

#define PACKET_MAX 4096u     /* bytes: the longest name and its headers */

static _Noreturn void serve(int device_fd, int fd)
{
	uint8_t packet[PACKET_MAX];
	ssize_t n;

	while ((n = recv(fd, packet, sizeof(packet), 0)) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		int result = write(device_fd, packet, (size_t)n) < 0 ? -errno : 0;
		if (send(fd, &result, sizeof(result), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

/* All but these two and standard error. */
static void close_others(int device_fd, int fd)
{
	int low = device_fd < fd ? device_fd : fd, high = device_fd < fd ? fd : device_fd;

	if (low > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, (unsigned)low - 1, 0);
	if (high > low + 1)
		close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	close_range((unsigned)high + 1, ~0u, 0);
}

int notify_process_start(int device_fd)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid_t daemon = getpid(), pid = fork();
	if (pid == 0) {
		close_others(device_fd, pair[1]);
		prctl(PR_SET_NAME, "dios-notify");
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != daemon)
			_exit(1);
		serve(device_fd, pair[1]);
	}
	int r = pid < 0 ? -errno : pair[0];
	close(pair[1]);
	if (pid < 0)
		close(pair[0]);
	return r;
}

ssize_t notify_process_write(int fd, const struct iovec *iov, int count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count };
	int result = -EIO;
	ssize_t n, size = 0;

	for (int i = 0; i < count; i++)
		size += (ssize_t)iov[i].iov_len;
	if (size > (ssize_t)PACKET_MAX || sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
		return -1;
	while ((n = recv(fd, &result, sizeof(result), 0)) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof(result))
		errno = EIO;
	else
		errno = -result;
	return n == (ssize_t)sizeof(result) && result == 0 ? size : -1;
}
