/* The life of a task, from outside to its last process; the parts are in dios-task-*.c.
 *
 * Whoever dies takes the rest along: the outer process dies with the holder, or with the daemon where no holder keeps tasks, process 1 with the
 * outer one (PR_SET_PDEATHSIG, and a look at the parent after it, for the time before), and with process 1 the kernel kills the whole name space. Only the program's end
 * ends a task: what it has left running is killed. */
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/error.h"
#include "mount-tools/dios-task.h"

static int daemon_socket = LAUNCH_SOCKET_FD;

/* ---- talking to the daemon --------------------------------------------------------------------------------------- */

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

int await_word(const char *word)
{
	char received[16];
	ssize_t n;

	do
		n = recv(daemon_socket, received, sizeof(received), 0);
	while (n < 0 && errno == EINTR);
	return n > 0 && (size_t)n == strlen(word) && memcmp(received, word, (size_t)n) == 0 ? 0 : -EPIPE;
}

int move_high(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_HIGH);

	if (high < 0)
		fail(LAUNCH_PROCESS, errno, "descriptors");
	close(fd);
	return high;
}

/* The texts in *l borrow from what is read here, for as long as the process lives. */
static void read_description(struct launch *l)
{
	struct stat st;
	size_t done = 0;

	if (fstat(LAUNCH_DESCRIPTION_FD, &st) < 0)
		fail(LAUNCH_READ_DESCRIPTION, errno, "");
	if (st.st_size < 0 || st.st_size > LAUNCH_MAX)
		fail(LAUNCH_READ_DESCRIPTION, EFBIG, "");
	uint8_t *bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		fail(LAUNCH_READ_DESCRIPTION, ENOMEM, "");
	while (done < (size_t)st.st_size) {
		ssize_t n = pread(LAUNCH_DESCRIPTION_FD, bytes + done, (size_t)st.st_size - done, (off_t)done);
		if (n <= 0)
			fail(LAUNCH_READ_DESCRIPTION, n < 0 ? errno : EIO, "");
		done += (size_t)n;
	}
	int r = launch_decode((struct slice){ .data = bytes, .size = done }, l);
	if (r < 0)
		fail(LAUNCH_READ_DESCRIPTION, -r, "");
	close(LAUNCH_DESCRIPTION_FD);
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

/* A pipe from process 1 that opens the way, and one back that an exec closes. */
struct handshake { int gate[2], executed[2]; };

static void handshake_open(struct handshake *h)
{
	for (int i = 0; i < 2; i++) {
		int *ends = i == 0 ? h->gate : h->executed;
		if (pipe2(ends, O_CLOEXEC) < 0)
			fail(LAUNCH_PROCESS, errno, "pipe");
		ends[0] = move_high(ends[0]);
		ends[1] = move_high(ends[1]);
	}
}

static void execute(const struct launch *l, int program, const struct handshake *h)
{
	if (program >= 0)
		syscall(SYS_execveat, program, "", l->arguments, l->environment, AT_EMPTY_PATH);
	else
		execve(l->path, (char *const *)(uintptr_t)l->arguments, (char *const *)(uintptr_t)l->environment);
	int error = errno;
	const char *what = l->path ? l->path : l->arguments[0] ? l->arguments[0] : "";

	/* Process 1 must not take this end for an exec. */
	if (write(h->executed[1], "x", 1) < 0)
		error = error ? error : errno;
	dprintf(STDERR_FILENO, "dios-task: cannot execute %s: %s\n", what, strerror(error));
	fail(LAUNCH_EXECUTE, error, what);
}

static void program_main(const struct launch *l, int program, const struct handshake *h)
{
	char open;

	close(h->gate[1]);
	close(h->executed[0]);
	if (read(h->gate[0], &open, 1) != 1)
		_exit(1);
	if (setsid() < 0)
		fail(LAUNCH_PROCESS, errno, "session");
	umask(022);
	take_identity(l);
	send_event(&(struct launch_event){ .kind = LAUNCH_PREPARED });
	if (await_word(LAUNCH_GO) < 0)
		_exit(1);
	execute(l, program, h);
}

/* ---- process 1 --------------------------------------------------------------------------------------------------- */

/* Moving a process between groups of version 2, or all threads of one in version 1, waits until each processor has passed through the scheduler, 10 ms and more,
 * unless somebody has just done so. Process 1 is therefore born in the former (born_in: that file of a group), and in the latter moves the one thread that it has. */
static bool is_born_in(const char *path, const char *born_in) { return born_in && strcmp(path, born_in) == 0; }

static void join_cgroups(const struct launch *l, const char *born_in)
{
	for (size_t i = 0; i < l->cgroup_count; i++) {
		if (is_born_in(l->cgroups[i], born_in))
			continue;
		_cleanup_close_ int fd = open(l->cgroups[i], O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1)
			fail(LAUNCH_CGROUP, errno, l->cgroups[i]);
	}
}

/* A group that is frozen is joined by a process that has said with whom it dies. */
static bool is_frozen(int folder)
{
	_cleanup_close_ int fd = openat(folder, "cgroup.freeze", O_RDONLY | O_CLOEXEC);
	char state = '1';

	return fd < 0 || read(fd, &state, 1) != 1 || state != '0';
}

/* As fork(2). *ret_born_in: where, or NULL. */
static pid_t fork_in_cgroup(const struct launch *l, const char **ret_born_in)
{
	char folder[PATH_MAX];

	*ret_born_in = NULL;
	for (size_t i = 0; i < l->cgroup_count; i++) {
		const char *slash = strrchr(l->cgroups[i], '/');
		if (!slash || strcmp(slash, "/" CGROUP_FILE_2) != 0)
			continue;
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - l->cgroups[i]), l->cgroups[i]);
		_cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || is_frozen(fd))
			break;
		struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)fd };
		*ret_born_in = l->cgroups[i];
		pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
		if (pid >= 0)
			return pid;
		*ret_born_in = NULL;      /* joining it says why not */
		break;
	}
	return fork();
}

/* How the program ended; orphans of the task that end before it are reaped on the way. */
static int wait_for(pid_t program)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, 0);
		if (pid == program)
			return status;
		if (pid < 0 && errno != EINTR)
			fail(LAUNCH_PROCESS, errno, "wait");
	}
}

static void kill_rest(void)
{
	kill(-1, SIGKILL);     /* all of the name space but this process */
	while (waitpid(-1, NULL, 0) >= 0 || errno == EINTR)
		;
}

/* True if the program executes: its end of the pipe was closed without a word. */
static bool await_executed(const struct handshake *h)
{
	char word;
	ssize_t n;

	do
		n = read(h->executed[0], &word, 1);
	while (n < 0 && errno == EINTR);
	return n == 0;
}

static void die_with_parent(int parent_fd)
{
	struct pollfd parent = { .fd = parent_fd, .events = POLLIN };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&parent, 1, 0) != 0)
		_exit(1);
	close(parent_fd);
}

static void init_main(const struct launch *l, int parent_fd, const char *born_in)
{
	struct usage_counters counters;
	struct launch_event ended = { .kind = LAUNCH_EXITED };
	struct launch_usage before;
	struct handshake h;

	die_with_parent(parent_fd);
	join_cgroups(l, born_in);
	arrange_mounts(l);
	daemon_socket = move_high(daemon_socket);
	int program = open_references(l);
	handshake_open(&h);
	usage_of_self(&before);
	pid_t pid = fork();
	if (pid < 0)
		fail(LAUNCH_PROCESS, errno, "fork");
	if (pid == 0)
		program_main(l, program, &h);
	/* The task must not look into this process, which knows the daemon's socket. */
	prctl(PR_SET_DUMPABLE, 0);
	close_references(l);
	if (program >= 0)
		close(program);
	close(h.gate[0]);
	close(h.executed[1]);
	counters_open(&counters, pid);
	if (write(h.gate[1], "x", 1) == 1 && await_executed(&h))
		send_event(&(struct launch_event){ .kind = LAUNCH_RUNNING });
	ended.wait_status = wait_for(pid);
	kill_rest();
	usage_collect(&counters, &before, &ended.usage);
	send_event(&ended);
	_exit(0);
}

/* ---- outside ----------------------------------------------------------------------------------------------------- */

/* Returns when process 1 has ended. It does not outlive the keeper, if there is one. */
static void await_end(pid_t init, int keeper_fd)
{
	struct pollfd fds[] = { { .fd = (int)syscall(SYS_pidfd_open, init, 0), .events = POLLIN }, { .fd = keeper_fd, .events = POLLIN } };

	while (keeper_fd >= 0 && fds[0].fd >= 0 && fds[0].revents == 0) {
		if (poll(fds, 2, -1) > 0 && fds[1].revents && !fds[0].revents) {
			kill(init, SIGKILL);
			break;
		}
	}
	if (fds[0].fd >= 0)
		close(fds[0].fd);
}

/* Process 1 says itself how the program ended. If it was killed before it could, this does. */
static void wait_outside(pid_t init, int keeper_fd)
{
	struct launch_event ended = { .kind = LAUNCH_EXITED };
	struct usage_counters none;
	struct launch_usage before;
	int status;

	await_end(init, keeper_fd);
	while (waitpid(init, &status, 0) < 0)
		if (errno != EINTR)
			_exit(1);
	if (!WIFSIGNALED(status))
		_exit(WEXITSTATUS(status));
	for (size_t i = 0; i < LAUNCH_COUNTERS; i++)
		none.fd[i] = -1;
	usage_of_self(&before);
	usage_collect(&none, &before, &ended.usage);
	ended.usage.bytes_read = ended.usage.bytes_written = ended.usage.disk_bytes_read = ended.usage.disk_bytes_written = LAUNCH_UNKNOWN;
	ended.wait_status = status;
	send_event(&ended);
	_exit(1);
}

int main(void)
{
	struct launch l;

	signal(SIGPIPE, SIG_DFL);
	read_description(&l);
	if (fcntl(LAUNCH_SOCKET_FD, F_SETFD, FD_CLOEXEC) < 0)
		_exit(1);
	int keeper = l.kept ? (int)syscall(SYS_pidfd_open, l.parent, 0) : -1;
	if (l.kept ? keeper < 0 : prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || (uint32_t)getppid() != l.parent)
		_exit(1);
	if (await_word(LAUNCH_BEGIN) < 0)
		_exit(1);
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (self < 0)
		fail(LAUNCH_PROCESS, errno, "pidfd_open");
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID) < 0)
		fail(LAUNCH_NAMESPACES, errno, "");
	const char *born_in;
	pid_t init = fork_in_cgroup(&l, &born_in);
	if (init < 0)
		fail(LAUNCH_PROCESS, errno, "fork");
	if (init == 0)
		init_main(&l, self, born_in);
	close(self);
	wait_outside(init, keeper);
}
