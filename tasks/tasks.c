/* The life of the table, and its thread: it sleeps until something happens to a process, an input, or somebody wants something. */
#include <endian.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "tasks/process.h"
#include "tasks/task.h"

#define EVENTS_MAX 64
#define RETRY_MS 20                            /* for control groups that are still in use by a process that is being buried */
#define STOP_WAIT_NS (10 * NS_PER_SECOND)      /* processes that the kernel does not let die by then are left to it */
#define WAKE 0                                 /* as an inode number: there is none */

/* ---- the thread -------------------------------------------------------------------------------------------------- */

/* Kills from outside what a kill of the program has not ended. The next one is due in so many milliseconds, -1: none. */
static int kill_overdue(struct tasks *t)
{
	int64_t now = clock_boot_ns(t->clock), next = INT64_MAX;

	for (struct task *task = t->table; task; task = task->hh.next) {
		if (!task->killed_boot_ns || task->helper_fd < 0)
			continue;
		int64_t due = task->killed_boot_ns + KILL_WAIT_NS;
		if (due > now) {
			next = due < next ? due : next;
			continue;
		}
		syscall(SYS_pidfd_send_signal, task->helper_fd, SIGKILL, NULL, 0);
		task->killed_boot_ns = now;
	}
	return next == INT64_MAX ? -1 : (int)((next - now) / NS_PER_MS + 1);
}

/* All that waits ends, all that runs is killed. */
static void stop_all(struct tasks *t)
{
	for (struct task *task = t->table; task; task = task->hh.next) {
		if (task->over)
			continue;
		if (task->phase == PHASE_WAITING)
			task_fail(task, SIGKILL, "the daemon stopped");
		else if (!task->killed_boot_ns)
			task_kill_now(task, SIGKILL);
	}
}

static void give_up(struct tasks *t)
{
	while (t->table) {
		log_error("tasks", "processes do not die task=%s pid=%d", t->table->text, (int)t->table->helper);
		task_end(t->table);
	}
}

/* Of two times in milliseconds; -1: never. */
static int sooner(int a, int b) { return a < 0 || (b >= 0 && b < a) ? b : a; }

static int handle(struct tasks *t, const struct epoll_event *events, int count)
{
	LOCK_GUARD(&t->lock);
	for (int i = 0; i < count; i++) {
		eventfd_t n;
		struct task *task = events[i].data.u64 == WAKE ? NULL : task_find(t, events[i].data.u64);

		if (events[i].data.u64 == WAKE)
			eventfd_read(t->wake_fd, &n);
		t->spare.stale |= events[i].data.u64 == HELPERS_STALE;
		if (task)
			task_events(task);
	}
	if (t->stopping)
		stop_all(t);
	task_wait_advance(t);
	cgroups_retry(t);
	int due = sooner(kill_overdue(t), ends_retry(t));
	due = sooner(due, helpers_advance(t));
	return sooner(due, t->left_count > 0 ? RETRY_MS : -1);
}

/* Stopping ends when all have ended and nothing of them is left, or when it has taken too long. */
static bool stopped(struct tasks *t, int64_t *deadline_ns)
{
	int64_t now = clock_boot_ns(t->clock);

	LOCK_GUARD(&t->lock);
	if (!t->stopping)
		return false;
	if (*deadline_ns == 0)
		*deadline_ns = now + STOP_WAIT_NS;
	if (now >= *deadline_ns)
		give_up(t);
	return (!t->table && t->left_count == 0 && t->leaving_count == 0) || now >= *deadline_ns;
}

static void *thread_main(void *arg)
{
	struct tasks *t = arg;
	struct epoll_event events[EVENTS_MAX];
	int timeout = -1;
	int64_t deadline_ns = 0;

	do {
		int n = epoll_wait(t->epoll_fd, events, EVENTS_MAX, timeout);
		timeout = handle(t, events, n > 0 ? n : 0);
		task_wait_collect(t);
		if (deadline_ns && (timeout < 0 || timeout > 1000))
			timeout = 1000;
	} while (!stopped(t, &deadline_ns));
	task_wait_collect(t);
	return NULL;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static int open_events(struct tasks *t)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = WAKE };

	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->epoll_fd < 0 || t->wake_fd < 0 || epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->wake_fd, &event) < 0)
		return -errno;
	return 0;
}

static int copy_paths(struct tasks *t, const struct tasks_options *options)
{
	t->mount = strdup(options->mount);
	t->helper = strdup(options->helper);
	t->hidden = options->hidden ? strdup(options->hidden) : NULL;
	return t->mount && t->helper && (t->hidden || !options->hidden) ? 0 : -ENOMEM;
}

/* The node, among all on this machine: the same after a restart, another one's never. */
static uint64_t instance_of(struct objects *os)
{
	struct cluster_info info;
	uint64_t cluster;

	cluster_get_info(objects_cluster(os), &info);
	memcpy(&cluster, info.cluster_id, sizeof(cluster));
	return be64toh(cluster) + info.node_id;
}

static void tasks_free(struct tasks *t)
{
	if (t->epoll_fd >= 0)
		close(t->epoll_fd);
	if (t->wake_fd >= 0)
		close(t->wake_fd);
	cgroups_free(t->cgroups);
	lock_done(&t->lock);
	lock_done(&t->member_lock);
	free(t->ended);
	free(t->recorded.inos);
	free(t->left);
	for (size_t i = 0; i < t->leaving_count; i++)
		close(t->leaving[i]);
	free(t->leaving);
	helpers_unwatch(t);
	free(t->members);
	free(t->mount);
	free(t->helper);
	free(t->hidden);
	free(t);
}

int tasks_open(struct objects *os, const struct tasks_options *options, struct tasks **ret_tasks)
{
	struct tasks *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->objects = os;
	t->clock = cluster_clock(objects_cluster(os));
	t->keeper = options->keeper;
	t->epoll_fd = t->wake_fd = t->spare.mounts_fd = t->spare.root_fd = -1;
	lock_init(&t->lock, "tasks", LOCK_TASKS);
	lock_init(&t->member_lock, "members of tasks", LOCK_LEAF);
	int r = copy_paths(t, options);
	if (r == 0 && !(t->ended = calloc(TASKS_KEPT, sizeof(*t->ended))))
		r = -ENOMEM;
	if (r == 0)
		r = process_namespace(getpid(), &t->own_namespace);
	if (r == 0)
		r = open_events(t);
	if (r == 0)
		r = cgroups_new(options->cgroups, instance_of(os), &t->cgroups);
	if (r == 0)
		r = tasks_list_recorded(t);
	if (r < 0) {
		tasks_free(t);
		return r;
	}
	*ret_tasks = t;
	return 0;
}

/* Control groups of tasks that have been adopted are theirs. */
static bool goes_on(void *arg, const char *name)
{
	struct tasks *t = arg;

	LOCK_GUARD(&t->lock);
	for (struct task *task = t->table; task; task = task->hh.next)
		if (strcmp(task->text, name) == 0)
			return true;
	return false;
}

int tasks_start(struct tasks *t)
{
	cgroups_clear(t->cgroups, goes_on, t);
	tasks_recover(t);
	int r = -pthread_create(&t->thread, NULL, thread_main, t);
	if (r < 0)
		return r;
	t->running = true;
	lock_acquire(&t->lock);
	t->started = true;
	lock_release(&t->lock);
	tasks_wake(t);
	return 0;
}

void tasks_stop(struct tasks *t)
{
	lock_acquire(&t->lock);
	bool first = !t->stopping;
	t->stopping = true;
	if (!t->running) {
		stop_all(t);
		task_wait_advance(t);
	}
	lock_release(&t->lock);
	if (!t->running) {
		task_wait_collect(t);
		return;
	}
	if (!first)
		return;
	tasks_wake(t);
	pthread_join(t->thread, NULL);
}

void tasks_close(struct tasks *t)
{
	if (!t)
		return;
	tasks_stop(t);
	tasks_free(t);
}
