/* Processes dios-task: started, told to begin, buried. One may be there before its task is, the spare: name spaces and root are most of what a start
 * costs, and are the same for each task of a mount.
 *
 * A spare is made when a task has taken the one before it, none while a task is being started. It has no name, no token, no control group and not
 * the mount; a task gets no root but one as it would be if it were made now: who has mounted, unmounted, or changed the entries of the
 * machine's root since, finds the spare given up, and so does who starts no task for SPARE_KEPT_NS. Giving up is closing the socket: the processes
 * end by themselves, as they do when this daemon dies.
 *
 * Only the tasks' own thread starts processes: where nobody keeps them, they die with the thread that made them (PR_SET_PDEATHSIG). All of this is
 * under LOCK_TASKS. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "base/log.h"
#include "tasks/task.h"

#define HIGH_FD 16            /* above the number that dios-task finds its socket at */
#define SPARE_KEPT_NS (10 * NS_PER_SECOND)

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
static int spawn(const char *path, int socket, pid_t *ret_pid)
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

static int send_place(const struct tasks *t, int socket)
{
	struct launch_place place = { .mount = t->mount, .hidden = t->hidden, .kept = t->keeper.keep != NULL };
	_cleanup_buffer_ struct buffer packet;

	place.parent = (uint32_t)(place.kept ? t->keeper.pid : getpid());
	buffer_init(&packet, LAUNCH_PLACE_MAX);
	launch_place_encode(&place, &packet);
	int r = buffer_error(&packet);
	return r < 0 ? r : send(socket, packet.data, packet.size, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int helper_start(const struct tasks *t, struct helper *ret_helper)
{
	_cleanup_close_ int own = -1, other = -1;
	pid_t pid;
	int r = make_socket(&own, &other);

	if (r == 0)
		r = send_place(t, own);
	if (r == 0)
		r = spawn(t->helper, other, &pid);
	if (r < 0)
		return r;
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0) {
		r = -errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);     /* it has done nothing yet: this ends at once */
		return r;
	}
	*ret_helper = (struct helper){ .pid = pid, .fd = fd, .socket = TAKE_FD(own) };
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
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* fds[0]: the description. */
static int send_begin(int socket, const int *fds, size_t count)
{
	union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(int) * (1 + LAUNCH_CGROUPS_MAX))]; } control = { 0 };
	struct iovec iov = { .iov_base = (char *)(uintptr_t)LAUNCH_BEGIN, .iov_len = sizeof(LAUNCH_BEGIN) - 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(sizeof(int) * count) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * count);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int helper_begin(const struct task *task)
{
	int fds[1 + LAUNCH_CGROUPS_MAX];
	size_t groups = 0;
	int r = make_description(&task->launch, &fds[0]);

	if (r < 0)
		return r;
	r = cgroup_open(task->tasks->cgroups, task->text, &task->bounds, fds + 1, &groups);
	if (r == 0)
		r = send_begin(task->socket, fds, 1 + groups);
	for (size_t i = 0; i < 1 + groups; i++)
		close(fds[i]);
	return r;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static bool has_ended(int fd)
{
	struct pollfd end = { .fd = fd, .events = POLLIN };
	return poll(&end, 1, 0) == 1;
}

/* Whoever was started by an earlier daemon is buried by the holder. */
static void bury(struct tasks *t, int fd)
{
	siginfo_t info = { 0 };

	waitid(P_PIDFD, (id_t)fd, &info, WEXITED);
	epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, fd, NULL);     /* closing alone does not, while the holder has it too */
	close(fd);
}

void helper_leave(struct tasks *t, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = HELPERS };

	if (fd < 0)
		return;
	if (t->leaving_count == t->leaving_capacity) {
		size_t capacity = t->leaving_capacity ? t->leaving_capacity * 2 : 16;
		int *grown = reallocarray(t->leaving, capacity, sizeof(*grown));
		if (!grown) {
			bury(t, fd);       /* it ends by itself: this waits for it */
			return;
		}
		t->leaving = grown;
		t->leaving_capacity = capacity;
	}
	if (epoll_ctl(t->epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0 && epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		log_error("tasks", "the end of a process will not be seen errno=%d", errno);
	t->leaving[t->leaving_count++] = fd;
}

void helpers_collect(struct tasks *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->leaving_count; i++) {
		if (has_ended(t->leaving[i]))
			bury(t, t->leaving[i]);
		else
			t->leaving[kept++] = t->leaving[i];
	}
	t->leaving_count = kept;
}

/* ---- the spare --------------------------------------------------------------------------------------------------- */

static void give_up_spare(struct tasks *t)
{
	close(t->spare.helper.socket);
	helper_leave(t, t->spare.helper.fd);
	t->spare.there = false;
}

/* The kernel says so by a condition of the mount table's file, and by inotify. What epoll has been told, this is not told again: HELPERS_STALE. */
static bool machine_has_changed(struct tasks *t)
{
	struct pollfd fds[] = { { .fd = t->spare.mounts_fd, .events = POLLPRI }, { .fd = t->spare.root_fd, .events = POLLIN } };

	return t->spare.stale || poll(fds, 2, 0) != 0;
}

static void look_at_spare(struct tasks *t)
{
	if (t->spare.there && (t->stopping || machine_has_changed(t) || has_ended(t->spare.helper.fd)))
		give_up_spare(t);
}

static int watch_machine(struct tasks *t)
{
	struct epoll_event mounts = { .events = EPOLLPRI, .data.u64 = HELPERS_STALE }, root = { .events = EPOLLIN | EPOLLET, .data.u64 = HELPERS_STALE };

	if (t->spare.root_fd >= 0)
		return 0;
	t->spare.mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	t->spare.root_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (t->spare.mounts_fd >= 0 && t->spare.root_fd >= 0 &&
	    inotify_add_watch(t->spare.root_fd, "/", IN_CREATE | IN_DELETE | IN_MOVE | IN_ONLYDIR) >= 0 &&
	    epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->spare.mounts_fd, &mounts) == 0 && epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->spare.root_fd, &root) == 0)
		return 0;
	int r = -errno;
	helpers_unwatch(t);
	return r;
}

/* From here on a change is seen. */
static void forget_changes(struct tasks *t)
{
	char events[4096];

	while (read(t->spare.root_fd, events, sizeof(events)) > 0)
		;
	t->spare.stale = false;
	machine_has_changed(t);
}

static bool starts_some(const struct tasks *t)
{
	for (const struct task *task = t->table; task; task = task->hh.next)
		if (task->phase == PHASE_STARTING && !task->failed && !task->sent_go)
			return true;
	return false;
}

static void make_spare(struct tasks *t)
{
	t->spare.wanted = false;
	int r = watch_machine(t);
	if (r == 0) {
		forget_changes(t);
		r = helper_start(t, &t->spare.helper);
	}
	if (r < 0) {
		log_debug("tasks", "no process is made ahead errno=%d", -r);     /* the next task gets one of its own, or says why not */
		return;
	}
	t->spare.there = true;
	t->spare.made_boot_ns = clock_boot_ns(t->clock);
	fault_point("tasks.spare");
}

int helper_take(struct tasks *t, struct helper *ret_helper)
{
	look_at_spare(t);
	t->spare.wanted = true;
	if (!t->spare.there)
		return helper_start(t, ret_helper);
	*ret_helper = t->spare.helper;
	t->spare.there = false;
	return 0;
}

int helpers_advance(struct tasks *t)
{
	int64_t now = clock_boot_ns(t->clock), due = t->spare.made_boot_ns + SPARE_KEPT_NS;

	helpers_collect(t);
	look_at_spare(t);
	if (t->spare.there && now >= due)
		give_up_spare(t);
	if (!t->spare.there && t->spare.wanted && !t->stopping && !starts_some(t)) {
		make_spare(t);
		due = now + SPARE_KEPT_NS;
	}
	return t->spare.there ? (int)((due - now) / NS_PER_MS + 1) : -1;
}

void helpers_unwatch(struct tasks *t)
{
	if (t->spare.mounts_fd >= 0)
		close(t->spare.mounts_fd);
	if (t->spare.root_fd >= 0)
		close(t->spare.root_fd);
	t->spare.mounts_fd = t->spare.root_fd = -1;
}
