/* Tasks outlive the daemon. What it knows of one is in a memfd, and that, the socket to the task's processes and a pidfd of the outer one are
 * kept by the holder (struct tasks_keeper). What the processes say while there is no daemon waits in the socket, exit status included.
 *
 * In the memfd are two copies of struct task_saved, of which one is meant, so that a death in the middle of writing leaves the other; and the
 * description by which a task that waits is started. Order at a start: the process is there, waiting for BEGIN -> socket and pidfd are
 * kept -> it is written down as started -> BEGIN. A process that was not written down is killed by the next daemon, and the task begins anew. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "tasks/process.h"
#include "tasks/task.h"

#define PAGE_MAGIC 0x6b736174736f6964ULL
#define PAGE_VERSION 1u
#define PAGE_SIZE 4096u
enum { KEPT_PAGE, KEPT_SOCKET, KEPT_HELPER, KEPT_COUNT };

struct task_saved {
	struct name name, gang;
	uint32_t uid, gang_size;
	uint64_t gang_id;                    /* 0: none */
	struct cgroup_bounds bounds;
	enum task_phase phase;
	bool paused, was_paused, prepared, sent_go, exited, said, said_success, failed;
	int64_t start_ns, start_boot_ns, killed_boot_ns;
	pid_t helper, program, init;
	uint64_t pid_namespace;
	int wait_status, fail_status;
	struct launch_usage usage;
	char error[TASK_ERROR_MAX];
};

struct task_page {
	uint64_t magic;
	uint32_t version, saved_size, launch_size;
	_Atomic uint32_t meant;
	struct task_saved saved[2];
};
_Static_assert(sizeof(struct task_page) <= PAGE_SIZE, "the description follows");

static void keep(const struct task *task, const int *fds, size_t count)
{
	const struct tasks_keeper *k = &task->tasks->keeper;
	int r = k->keep(k->arg, task->ino, fds, count);

	if (r < 0 && count > 0)
		log_error("tasks", "a task will not outlive the daemon task=%s errno=%d", task->text, -r);
}

void task_save(struct task *task)
{
	struct task_page *page = task->page;

	if (!page)
		return;
	uint32_t other = 1 - page->meant;
	struct task_saved *s = &page->saved[other];
	*s = (struct task_saved){ .name = task->name, .uid = task->uid, .bounds = task->bounds, .phase = task->phase, .paused = task->paused,
		.was_paused = task->was_paused, .prepared = task->prepared, .sent_go = task->sent_go, .exited = task->exited, .said = task->said,
		.said_success = task->said_success, .failed = task->failed, .start_ns = task->start_ns, .start_boot_ns = task->start_boot_ns,
		.killed_boot_ns = task->killed_boot_ns, .helper = task->helper, .program = task->program, .init = task->init,
		.pid_namespace = task->pid_namespace, .wait_status = task->wait_status, .fail_status = task->fail_status, .usage = task->usage };
	memcpy(s->error, task->error, sizeof(s->error));
	if (task->gang) {
		s->gang = task->gang->name;
		s->gang_size = task->gang->size;
		s->gang_id = task->gang->id;
	}
	atomic_store_explicit(&page->meant, other, memory_order_release);
}

int task_keep(struct task *task)
{
	const struct buffer *launch = &task->launch;

	if (!task->tasks->keeper.keep)
		return 0;
	task->page_fd = memfd_create("dios-task-state", MFD_CLOEXEC);
	if (task->page_fd < 0 || ftruncate(task->page_fd, PAGE_SIZE) < 0)
		return -errno;
	for (size_t done = 0; done < launch->size;) {
		ssize_t n = pwrite(task->page_fd, launch->data + done, launch->size - done, (off_t)(PAGE_SIZE + done));
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	void *map = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, task->page_fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	task->page = map;
	*task->page = (struct task_page){ .magic = PAGE_MAGIC, .version = PAGE_VERSION, .saved_size = sizeof(struct task_saved),
		.launch_size = (uint32_t)launch->size };
	task_save(task);
	keep(task, &task->page_fd, 1);
	return 0;
}

void task_keep_processes(struct task *task)
{
	if (task->page)
		keep(task, (const int[]){ [KEPT_PAGE] = task->page_fd, [KEPT_SOCKET] = task->socket, [KEPT_HELPER] = task->helper_fd }, KEPT_COUNT);
}

void task_unkeep(struct task *task)
{
	if (task->page)
		keep(task, NULL, 0);
}

void task_page_done(struct task *task)
{
	if (task->page)
		munmap(task->page, PAGE_SIZE);
	if (task->page_fd >= 0)
		close(task->page_fd);
	task->page = NULL;
	task->page_fd = -1;
}

/* ---- adopting ---------------------------------------------------------------------------------------------------- */

static int read_page(struct task *task, int fd)
{
	struct stat st;

	task->page_fd = fd;
	if (fstat(fd, &st) < 0 || st.st_size < (off_t)PAGE_SIZE)
		return -EBADMSG;
	void *map = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	task->page = map;
	const struct task_page *p = task->page;
	if (p->magic != PAGE_MAGIC || p->version != PAGE_VERSION || p->saved_size != sizeof(struct task_saved))
		return -ENOTSUP;
	if (p->meant > 1 || (uint64_t)st.st_size < PAGE_SIZE + (uint64_t)p->launch_size)
		return -EBADMSG;
	const struct task_saved *s = &p->saved[p->meant];
	task->name = s->name;
	name_to_text(&task->name, task->text);
	task->uid = s->uid;
	task->bounds = s->bounds;
	task->phase = s->phase;
	task->paused = s->paused;
	task->was_paused = s->was_paused;
	task->prepared = s->prepared;
	task->sent_go = s->sent_go;
	task->exited = s->exited;
	task->said = s->said;
	task->said_success = s->said_success;
	task->failed = s->failed;
	task->start_ns = s->start_ns;
	task->start_boot_ns = s->start_boot_ns;
	task->killed_boot_ns = s->killed_boot_ns;
	task->helper = s->helper;
	task->program = s->program;
	task->init = s->init;
	task->pid_namespace = s->pid_namespace;
	task->wait_status = s->wait_status;
	task->fail_status = s->fail_status;
	task->usage = s->usage;
	memcpy(task->error, s->error, sizeof(task->error));
	return 0;
}

static int read_launch(struct task *task)
{
	uint32_t size = task->page->launch_size;
	uint8_t *bytes = size <= LAUNCH_MAX ? malloc(size + 1) : NULL;

	if (!bytes)
		return -ENOMEM;
	ssize_t n = pread(task->page_fd, bytes, size, PAGE_SIZE);
	int r = n == (ssize_t)size ? buffer_append(&task->launch, bytes, size) : -EIO;
	free(bytes);
	return r;
}

/* Its processes: they may have ended meanwhile, which their descriptors say. */
static int adopt_processes(struct task *task)
{
	struct tasks *t = task->tasks;
	uint64_t found;
	int r = member_add(t, task->helper, &task->name);

	if (r == 0)
		r = task_watch_processes(task);
	if (r < 0 || !task->prepared)
		return r;
	/* The number may be another's by now; the name space then is not the task's. */
	task->program_fd = (int)syscall(SYS_pidfd_open, task->program, 0);
	if (task->program_fd >= 0 && (process_namespace(task->program, &found) < 0 || found != task->pid_namespace))
		close(TAKE_FD(task->program_fd));
	return 0;
}

/* It was started, but not written down as started. */
static void kill_unfinished(struct task *task)
{
	if (task->helper_fd >= 0) {
		syscall(SYS_pidfd_send_signal, task->helper_fd, SIGKILL, NULL, 0);
		close(TAKE_FD(task->helper_fd));
	}
	if (task->socket >= 0)
		close(TAKE_FD(task->socket));
	task->helper = 0;
}

static int adopt(struct tasks *t, struct task *task)
{
	struct attributes a;
	int r = object_get(t->objects, task->ino, &a);

	if (r < 0)
		return r;
	if (a.record.kind != KIND_TASK || a.record.task.state >= TASK_EXITED)
		return -ESRCH;
	r = task_adopt_places(task);
	if (r == 0 && task->phase == PHASE_WAITING) {
		kill_unfinished(task);
		r = read_launch(task);
	} else if (r == 0) {
		r = task->helper_fd < 0 || task->socket < 0 ? -ESRCH : adopt_processes(task);
	}
	const struct task_saved *s = &task->page->saved[task->page->meant];
	if (r == 0)
		r = task_adopt(t, task, s->gang_id, &s->gang, s->gang_size);
	return r;
}

void tasks_adopt(struct tasks *t, uint64_t ino, const int *fds, size_t count)
{
	struct task *task = count > 0 ? calloc(1, sizeof(*task)) : NULL;

	if (!task) {
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
		return;
	}
	task->tasks = t;
	task->ino = ino;
	task->program_fd = task->page_fd = -1;
	task->socket = count > KEPT_SOCKET ? fds[KEPT_SOCKET] : -1;
	task->helper_fd = count > KEPT_HELPER ? fds[KEPT_HELPER] : -1;
	buffer_init(&task->launch, LAUNCH_MAX);
	int r = read_page(task, fds[KEPT_PAGE]);
	LOCK_GUARD(&t->lock);
	if (r == 0)
		r = adopt(t, task);
	if (r == 0) {
		log_info("tasks", "goes on task=%s pid=%d", task->text, (int)task->helper);
		return;
	}
	/* -ESRCH: it has ended, and only that was still to be told to the holder. */
	if (r != -ESRCH)
		log_error("tasks", "a task cannot be gone on with ino=%llu error=%d: it is lost", (unsigned long long)ino, -r);
	kill_unfinished(task);
	task_unkeep(task);
	task_free(task);
}
