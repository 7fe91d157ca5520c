/* The socket to the daemon; see tasks/launch.h. */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/error.h"
#include "mount-tools/dios-task.h"

#define BEGIN_FDS_MAX (1 + LAUNCH_CGROUPS_MAX)

static int daemon_socket = LAUNCH_SOCKET_FD;

void send_event(const struct launch_event *e)
{
	struct buffer packet;

	buffer_init(&packet, LAUNCH_EVENT_MAX);
	launch_event_encode(e, &packet);
	/* The daemon learns from the end of the processes what an event can't tell it. */
	if (buffer_error(&packet) == 0 && send(daemon_socket, packet.data, packet.size, MSG_NOSIGNAL) < 0 && errno == EPIPE)
		_exit(1);
	buffer_done(&packet);
}

void fail(enum launch_stage stage, int error, const char *what)
{
	send_event(&(struct launch_event){ .kind = LAUNCH_FAILED, .stage = stage, .error = error, .what = what });
	_exit(1);
}

int move_high(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_HIGH);

	if (high < 0)
		fail(LAUNCH_PROCESS, errno, "descriptors");
	close(fd);
	return high;
}

/* One packet, and at most count descriptors, all moved high. The daemon's end or death: this process's. */
static size_t receive(void *bytes, size_t size, int *fds, size_t count, size_t *ret_count)
{
	union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(int) * BEGIN_FDS_MAX)]; } control;
	struct iovec iov = { .iov_base = bytes, .iov_len = size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n;

	do
		n = recvmsg(daemon_socket, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		_exit(1);
	*ret_count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t held = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < held && *ret_count < count; i++)
			memcpy(&fds[(*ret_count)++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
	for (size_t i = 0; i < *ret_count; i++)
		fds[i] = move_high(fds[i]);
	return (size_t)n;
}

void receive_place(struct launch_place *ret_place)
{
	static uint8_t bytes[LAUNCH_PLACE_MAX];
	size_t none;

	daemon_socket = move_high(daemon_socket);
	size_t size = receive(bytes, sizeof(bytes), NULL, 0, &none);
	int r = launch_place_decode((struct slice){ .data = bytes, .size = size }, ret_place);
	if (r < 0)
		fail(LAUNCH_READ_DESCRIPTION, -r, "");
}

/* *ret_launch borrows from what is read here. */
static void read_description(int fd, struct launch *ret_launch)
{
	struct stat st;
	size_t done = 0;

	if (fstat(fd, &st) < 0)
		fail(LAUNCH_READ_DESCRIPTION, errno, "");
	if (st.st_size < 0 || st.st_size > LAUNCH_MAX)
		fail(LAUNCH_READ_DESCRIPTION, EFBIG, "");
	uint8_t *bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		fail(LAUNCH_READ_DESCRIPTION, ENOMEM, "");
	while (done < (size_t)st.st_size) {
		ssize_t n = pread(fd, bytes + done, (size_t)st.st_size - done, (off_t)done);
		if (n <= 0)
			fail(LAUNCH_READ_DESCRIPTION, n < 0 ? errno : EIO, "");
		done += (size_t)n;
	}
	int r = launch_decode((struct slice){ .data = bytes, .size = done }, ret_launch);
	if (r < 0)
		fail(LAUNCH_READ_DESCRIPTION, -r, "");
	close(fd);
}

static bool is_word(const char *bytes, size_t size, const char *word) { return size == strlen(word) && memcmp(bytes, word, size) == 0; }

void receive_begin(struct launch *ret_launch, struct group_fds *ret_groups)
{
	int fds[BEGIN_FDS_MAX];
	char word[16];
	size_t count, size = receive(word, sizeof(word), fds, BEGIN_FDS_MAX, &count);

	if (!is_word(word, size, LAUNCH_BEGIN) || count == 0)
		fail(LAUNCH_READ_DESCRIPTION, EBADMSG, "");
	read_description(fds[0], ret_launch);
	*ret_groups = (struct group_fds){ .count = count - 1 };
	memcpy(ret_groups->fd, fds + 1, (count - 1) * sizeof(int));
}

void receive_go(void)
{
	char word[16];
	size_t none, size = receive(word, sizeof(word), NULL, 0, &none);

	if (!is_word(word, size, LAUNCH_GO))
		_exit(1);
}
