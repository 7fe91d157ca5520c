/* The life of a task, from outside to its last process; the parts are in dios-task-*.c.
 *
 * Whoever dies takes the rest along: the outer process dies with the holder, or with the daemon where no holder keeps tasks, process 1 with the
 * outer one (PR_SET_PDEATHSIG, and a look at the parent after it, for the time before), and with process 1 the kernel kills the whole name space. Only the program's end
 * ends a task: what it has left running is killed. */
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/error.h"
#include "mount-tools/dios-task.h"

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

/* Moving a process between groups of version 2, or all threads of one in version 1, waits until each processor has passed through the scheduler, 10 ms and more,
 * unless somebody has just done so. The program is therefore born in the former, and in the latter moves the one thread that it has. */
static bool is_folder(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* As fork(2). *ret_born: it is in all groups of version 2. */
static pid_t fork_in_groups(const struct group_fds *g, bool *ret_born)
{
	*ret_born = false;
	for (size_t i = 0; i < g->count && !*ret_born; i++) {
		struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)g->fd[i] };
		if (!is_folder(g->fd[i]))
			continue;
		*ret_born = true;
		pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
		if (pid >= 0)
			return pid;
		*ret_born = false;      /* joining it says why not */
		break;
	}
	return fork();
}

static void join_groups(const struct group_fds *g, bool born)
{
	for (size_t i = 0; i < g->count; i++) {
		bool two = is_folder(g->fd[i]);
		if (two && born)
			continue;
		int fd = two ? openat(g->fd[i], "cgroup.procs", O_WRONLY | O_CLOEXEC) : g->fd[i];
		if (fd < 0 || write(fd, "0", 1) != 1)
			fail(LAUNCH_CGROUP, errno, two ? "of version 2" : "of version 1");
		if (two)
			close(fd);
	}
}

static void groups_done(const struct group_fds *g)
{
	for (size_t i = 0; i < g->count; i++)
		close(g->fd[i]);
}

static void program_main(const struct launch *l, const struct group_fds *g, bool born, const struct handshake *h)
{
	char open;

	close(h->gate[1]);
	close(h->executed[0]);
	join_groups(g, born);
	groups_done(g);
	int program = open_references(l);
	if (setsid() < 0)
		fail(LAUNCH_PROCESS, errno, "session");
	umask(022);
	take_identity(l);
	if (read(h->gate[0], &open, 1) != 1)
		_exit(1);
	send_event(&(struct launch_event){ .kind = LAUNCH_PREPARED });
	receive_go();
	execute(l, program, h);
}

/* ---- process 1 --------------------------------------------------------------------------------------------------- */

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

static void init_main(const struct launch_place *p, int parent_fd, struct mount_namespaces *n)
{
	struct usage_counters counters;
	struct launch_event ended = { .kind = LAUNCH_EXITED };
	struct launch_usage before;
	struct group_fds groups;
	struct handshake h;
	struct launch l;
	bool born;

	die_with_parent(parent_fd);
	arrange_mounts(p);
	receive_begin(&l, &groups);
	complete_mounts(p, &l, n);
	handshake_open(&h);
	usage_of_self(&before);
	pid_t pid = fork_in_groups(&groups, &born);
	if (pid < 0)
		fail(LAUNCH_PROCESS, errno, "fork");
	if (pid == 0)
		program_main(&l, &groups, born, &h);
	/* The task must not look into this process, which knows the daemon's socket. */
	prctl(PR_SET_DUMPABLE, 0);
	groups_done(&groups);
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

static int open_high(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		fail(LAUNCH_NAMESPACES, errno, path);
	return move_high(fd);
}

int main(void)
{
	struct mount_namespaces n;
	struct launch_place p;

	signal(SIGPIPE, SIG_DFL);
	receive_place(&p);
	int keeper = p.kept ? (int)syscall(SYS_pidfd_open, p.parent, 0) : -1;
	if (p.kept ? keeper < 0 : prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || (uint32_t)getppid() != p.parent)
		_exit(1);
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (self < 0)
		fail(LAUNCH_PROCESS, errno, "pidfd_open");
	n.outside = open_high("/proc/self/ns/mnt", O_RDONLY);
	n.outside_root = open_high("/", O_PATH | O_DIRECTORY);
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID) < 0)
		fail(LAUNCH_NAMESPACES, errno, "");
	n.own = open_high("/proc/self/ns/mnt", O_RDONLY);
	pid_t init = fork();
	if (init < 0)
		fail(LAUNCH_PROCESS, errno, "fork");
	if (init == 0) {
		if (keeper >= 0)
			close(keeper);
		init_main(&p, self, &n);
	}
	close(self);
	close(n.outside);
	close(n.outside_root);
	close(n.own);
	wait_outside(init, keeper);
}
