/* From a task that is ready to one that runs: control group, description, dios-task, and what its processes say.
 *
 * Only the tasks' own thread starts processes: where nobody keeps them, they die with the thread that made them (PR_SET_PDEATHSIG). */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "base/log.h"
#include "tasks/process.h"
#include "tasks/task.h"

#define HIGH_FD 16            /* above the numbers that dios-task finds its descriptors at */
#define STATUS_NOT_FOUND (127 << 8)
#define STATUS_NOT_STARTED (126 << 8)

/* ---- starting ---------------------------------------------------------------------------------------------------- */

static int move_high(int *fd)
{
	int high = fcntl(*fd, F_DUPFD_CLOEXEC, HIGH_FD);

	if (high < 0)
		return -errno;
	close(*fd);
	*fd = high;
	return 0;
}

static int make_description(const struct buffer *bytes, int *ret_fd)
{
	_cleanup_close_ int fd = memfd_create("dios-task", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (size_t done = 0; done < bytes->size;) {
		ssize_t n = write(fd, bytes->data + done, bytes->size - done);
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	int r = move_high(&fd);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

static int make_socket(int *ret_own, int *ret_other)
{
	int ends[2], on = 1, r = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	if (setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r == 0)
		r = move_high(&ends[1]);
	if (r < 0) {
		close(ends[0]);
		close(ends[1]);
		return r;
	}
	*ret_own = ends[0];
	*ret_other = ends[1];
	return 0;
}

/* A process with nothing of the daemon's: no descriptors, signals as at boot, no environment. */
static int spawn(const char *path, int description, int socket, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	char *const argv[] = { (char *)(uintptr_t)"dios-task", NULL }, *const environment[] = { NULL };

	sigemptyset(&none);
	sigfillset(&all);
	int r = posix_spawn_file_actions_init(&actions);
	if (r == 0 && (r = posix_spawnattr_init(&attributes)) != 0)
		posix_spawn_file_actions_destroy(&actions);
	if (r != 0)
		return -r;
	for (int fd = 0; r == 0 && fd < 3; fd++)
		r = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", fd == 0 ? O_RDONLY : O_WRONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, description, LAUNCH_DESCRIPTION_FD);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, socket, LAUNCH_SOCKET_FD);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(&actions, LAUNCH_SOCKET_FD + 1);
	if (r == 0)
		r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	if (r == 0)
		r = posix_spawnattr_setsigmask(&attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(&attributes, &all);
	if (r == 0)
		r = posix_spawn(ret_pid, path, &actions, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int watch_fd(struct task *task, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = task->ino };
	return epoll_ctl(task->tasks->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int task_watch_processes(struct task *task)
{
	int r = watch_fd(task, task->helper_fd);
	return r < 0 ? r : watch_fd(task, task->socket);
}

/* The process is there from here on: it is waited for, whatever else goes wrong. */
static int take_helper(struct task *task, pid_t pid)
{
	struct tasks *t = task->tasks;

	task->helper = pid;
	task->helper_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r = task->helper_fd < 0 ? -errno : member_add(t, pid, &task->name);
	if (r == 0)
		r = task_watch_processes(task);
	if (r == 0)
		return 0;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);     /* it has done nothing yet: this ends at once */
	member_remove(t, pid);
	task->helper = 0;
	return r;
}

static int start_process(struct task *task)
{
	struct tasks *t = task->tasks;
	_cleanup_close_ int description = -1, other = -1;
	pid_t pid;
	int r = make_description(&task->launch, &description);

	if (r == 0)
		r = make_socket(&task->socket, &other);
	if (r < 0)
		return r;
	r = spawn(t->helper, description, other, &pid);
	if (r < 0)
		return r;
	r = take_helper(task, pid);
	if (r == 0) {
		task_keep_processes(task);
		task->phase = PHASE_STARTING;
		task_save(task);
	}
	/* No token of the task opens for a process that is not known as the task's: only now may it begin. */
	if (r == 0 && send(task->socket, LAUNCH_BEGIN, sizeof(LAUNCH_BEGIN) - 1, MSG_NOSIGNAL) < 0)
		log_debug("tasks", "a helper has ended already pid=%d", (int)pid);     /* its end will be seen */
	return r;
}

void task_start(struct task *task)
{
	struct tasks *t = task->tasks;

	task_wait_stop(task);
	task->start_ns = clock_wall_ns(t->clock);
	task->start_boot_ns = clock_boot_ns(t->clock);
	int r = cgroup_make(t->cgroups, task->text, &task->bounds);
	if (r < 0) {
		task_fail(task, STATUS_NOT_STARTED, "cannot make its control group: %s", strerror(-r));
		return;
	}
	if (task->paused)
		cgroup_freeze(t->cgroups, task->text, true);
	r = start_process(task);
	if (r < 0) {
		task_fail(task, STATUS_NOT_STARTED, "cannot start %s: %s", t->helper, strerror(-r));
		return;
	}
	buffer_done(&task->launch);
	r = task_record_state(task);
	if (r < 0)
		log_error("tasks", "a start is not recorded task=%s errno=%d", task->text, -r);
	log_info("tasks", "started task=%s uid=%u pid=%d", task->text, task->uid, (int)task->helper);
}

/* ---- what its processes say -------------------------------------------------------------------------------------- */

static void send_go(struct task *task)
{
	if (task->sent_go || send(task->socket, LAUNCH_GO, sizeof(LAUNCH_GO) - 1, MSG_NOSIGNAL) < 0)
		return;
	task->sent_go = true;
	task_save(task);
	fault_point("tasks.go");
}

/* Without a freezer a paused task is held here; with one it is frozen. */
static bool held_back(const struct task *task)
{
	return !task->prepared || task->failed || task->killed_boot_ns || (task->paused && !cgroups_can_freeze(task->tasks->cgroups));
}

void task_go(struct task *task)
{
	uint32_t prepared = 0;

	if (held_back(task))
		return;
	if (!task->gang) {
		send_go(task);
		return;
	}
	for (struct task *other = task->tasks->table; other; other = other->hh.next)
		prepared += other->gang == task->gang && !held_back(other);
	if (prepared < task->gang->size)
		return;
	for (struct task *other = task->tasks->table; other; other = other->hh.next)
		if (other->gang == task->gang)
			send_go(other);
}

static void on_prepared(struct task *task, pid_t pid)
{
	if (task->prepared)
		return;
	task->program = pid;
	task->program_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (task->program_fd < 0 || process_namespace(pid, &task->pid_namespace) < 0) {
		task_fail(task, STATUS_NOT_STARTED, "its process is gone");
		return;
	}
	task->prepared = true;
	task_go(task);
}

static void on_failed(struct task *task, const struct launch_event *e)
{
	int status = e->stage == LAUNCH_EXECUTE && e->error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_STARTED;

	task_fail(task, status, "cannot %s%s%s: %s", launch_stage_text(e->stage), e->what[0] ? " " : "", e->what, strerror(e->error));
}

static void on_event(struct task *task, const struct launch_event *e, pid_t pid)
{
	switch (e->kind) {
	case LAUNCH_PREPARED:
		on_prepared(task, pid);
		break;
	case LAUNCH_RUNNING:
		task->init = pid;
		task->phase = PHASE_RUNNING;
		break;
	case LAUNCH_FAILED:
		on_failed(task, e);
		break;
	case LAUNCH_EXITED:
		if (task->exited)
			break;
		task->exited = true;
		task->wait_status = e->wait_status;
		task->usage = e->usage;
		break;
	}
}

/* One packet and the process that sent it; 0: there is none now, or never will be again. */
static int receive(struct task *task, uint8_t *bytes, size_t size, pid_t *ret_pid)
{
	union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(struct ucred))]; } control;
	struct iovec iov = { .iov_base = bytes, .iov_len = size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = task->socket < 0 ? 0 : recvmsg(task->socket, &message, MSG_CMSG_CLOEXEC | MSG_PEEK);

	if (n <= 0) {
		if (n == 0 && task->socket >= 0) {
			close(task->socket);
			task->socket = -1;
		}
		return 0;
	}
	*ret_pid = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred credentials;
			memcpy(&credentials, CMSG_DATA(c), sizeof(credentials));
			*ret_pid = credentials.pid;
		}
	return (int)n;
}

/* A packet is taken out of the socket once what it says is written down: a daemon that dies in between leaves it to the next, and to hear it twice
 * does no harm. */
static void receive_all(struct task *task)
{
	uint8_t bytes[LAUNCH_EVENT_MAX];
	struct launch_event event;
	pid_t pid;
	int n;

	while ((n = receive(task, bytes, sizeof(bytes), &pid)) > 0) {
		if (launch_event_decode((struct slice){ .data = bytes, .size = (size_t)n }, &event) == 0)
			on_event(task, &event, pid);
		else
			task_fail(task, STATUS_NOT_STARTED, "%s is of another version", task->tasks->helper);
		task_save(task);
		recv(task->socket, bytes, sizeof(bytes), 0);
	}
}

void task_events(struct task *task)
{
	siginfo_t info = { 0 };

	if (task->phase == PHASE_WAITING || task->over)
		return;
	/* First whether they have ended: then all they said is there. Whoever was started by an earlier daemon is buried by the holder. */
	struct pollfd end = { .fd = task->helper_fd, .events = POLLIN };
	bool ended = poll(&end, 1, 0) == 1;
	if (ended)
		waitid(P_PIDFD, (id_t)task->helper_fd, &info, WEXITED | WNOHANG);
	receive_all(task);
	if (ended)
		task_end(task);
}
