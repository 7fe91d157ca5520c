/* From a task that is ready to one that runs: control group, dios-task, and what its processes say. */
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/fault.h"
#include "base/log.h"
#include "tasks/process.h"
#include "tasks/task.h"

#define STATUS_NOT_FOUND (127 << 8)
#define STATUS_NOT_STARTED (126 << 8)

/* ---- starting ---------------------------------------------------------------------------------------------------- */

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

/* It is told to begin when it is known as the task's: only then do the task's tokens open for it. A daemon that dies before that is written down leaves a
 * process that the next one kills: it has executed nothing, for that it needs the word to go. */
static int start_process(struct task *task)
{
	struct tasks *t = task->tasks;
	struct helper h;
	int r = helper_take(t, &h);

	if (r < 0)
		return r;
	task->socket = h.socket;
	r = member_add(t, h.pid, &task->name);
	if (r < 0) {
		helper_leave(t, h.fd);     /* it ends with its socket */
		return r;
	}
	task->helper = h.pid;
	task->helper_fd = h.fd;
	r = task_watch_processes(task);
	if (r == 0) {
		task_keep_processes(task);
		r = helper_begin(task);
	}
	if (r == -EPIPE) {
		log_debug("tasks", "a helper has ended already pid=%d", (int)h.pid);     /* its end will be seen */
		r = 0;
	}
	if (r < 0)
		return r;
	task->phase = PHASE_STARTING;
	task_save(task);
	return 0;
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
	struct pollfd end = { .fd = task->helper_fd, .events = POLLIN };

	if (task->phase == PHASE_WAITING || task->over)
		return;
	/* First whether they have ended: then all they said is there. Process 1 says how the program ended when all others are dead: what it and the outer one
	 * still have to do, taking down their name spaces, nobody needs to wait for. */
	bool ended = poll(&end, 1, 0) == 1;
	receive_all(task);
	if (ended || task->exited)
		task_end(task);
}
