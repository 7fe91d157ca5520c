/* Pausing, resuming, killing; from outside, by signal name through ctl, or by the task itself.
 *
 * Pausing is by freezer where there is one; else each process is stopped. What is paused and what is killed is a task's own, whatever
 * phase it is in: one that waits does not start, one that prepares does not execute. */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "tasks/process.h"
#include "tasks/task.h"

int task_record_state(struct task *task)
{
	struct command_task_update update = { .start_ns = task->start_ns,
		.state = task->paused ? TASK_PAUSED : task->phase == PHASE_WAITING ? TASK_WAITING : TASK_RUNNING };

	return object_update_task(task->tasks->objects, task->ino, &update);
}

/* The task that this caller may steer. Locked. */
static int find_steered(struct tasks *t, const struct caller *caller, uint64_t ino, struct task **ret_task)
{
	struct task *task = task_find(t, ino);

	if (!task)
		return -ESRCH;
	if (caller->uid != 0 && caller->uid != task->uid)
		return -EPERM;
	if (t->stopping || task->over)
		return -ESRCH;
	*ret_task = task;
	return 0;
}

/* ---- pausing ----------------------------------------------------------------------------------------------------- */

static int stop_processes(struct task *task, bool stop)
{
	struct tasks *t = task->tasks;

	if (task->phase == PHASE_WAITING)
		return 0;
	if (cgroups_can_freeze(t->cgroups))
		return cgroup_freeze(t->cgroups, task->text, stop);
	/* Not its first process, which is to say how it ends; but it may have been stopped before it was known as that. */
	if (task->sent_go && task->pid_namespace)
		return processes_signal(task->pid_namespace, stop ? task->init : 0, stop ? SIGSTOP : SIGCONT);
	return 0;       /* held back before it executes */
}

int tasks_pause(struct tasks *t, const struct caller *caller, uint64_t ino, bool resume)
{
	struct task *task;

	LOCK_GUARD(&t->lock);
	int r = find_steered(t, caller, ino, &task);
	if (r < 0 || task->paused == !resume)
		return r;
	task->was_paused |= !resume;
	r = stop_processes(task, !resume);
	if (r < 0)
		return r;
	task->paused = !resume;
	task_save(task);
	r = task_record_state(task);
	if (resume && task->phase != PHASE_WAITING)
		task_go(task);
	tasks_wake(t);
	return r;
}

bool tasks_was_paused(struct tasks *t, pid_t pid)
{
	struct name name;

	if (tasks_find_process(t, pid, &name) < 0)
		return false;
	LOCK_GUARD(&t->lock);
	const struct task *task = task_find_name(t, &name);
	return task && task->was_paused;
}

void tasks_count(struct tasks *t, size_t *ret_running, size_t *ret_waiting)
{
	size_t waiting = 0;

	LOCK_GUARD(&t->lock);
	for (const struct task *task = t->table; task; task = task->hh.next)
		waiting += task->phase == PHASE_WAITING;
	*ret_running = HASH_COUNT(t->table) - waiting;
	*ret_waiting = waiting;
}

/* ---- killing ----------------------------------------------------------------------------------------------------- */

static int send_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

/* The first process of the name space ends the others, and says how the program ended; the thread sees to it that it really does. A frozen or
 * stopped task would not die. */
void task_kill_now(struct task *task, int signal)
{
	struct tasks *t = task->tasks;

	if (task->phase == PHASE_WAITING)
		return;
	if (signal == SIGKILL && !task->killed_boot_ns) {
		task->killed_boot_ns = clock_boot_ns(t->clock);
		task_save(task);
		tasks_wake(t);
	}
	if (task->program_fd >= 0 && task->sent_go)
		send_signal(task->program_fd, signal);
	else if (signal == SIGKILL)
		send_signal(task->helper_fd, SIGKILL);
	if (signal == SIGKILL && task->paused) {
		task->paused = false;
		stop_processes(task, false);
	}
}

/* Signals that end a process which has not said otherwise. */
static bool ends_by_default(int signal)
{
	switch (signal) {
	case 0: case SIGCHLD: case SIGCONT: case SIGSTOP: case SIGTSTP: case SIGTTIN: case SIGTTOU: case SIGURG: case SIGWINCH:
		return false;
	default:
		return true;
	}
}

int tasks_kill(struct tasks *t, const struct caller *caller, uint64_t ino, int signal)
{
	struct task *task;

	if (signal < 0 || signal > SIGRTMAX)
		return -EINVAL;
	LOCK_GUARD(&t->lock);
	int r = find_steered(t, caller, ino, &task);
	if (r < 0)
		return r;
	if (task->sent_go && signal != SIGKILL)
		return send_signal(task->program_fd, signal);
	if (task->sent_go)
		task_kill_now(task, SIGKILL);
	else if (ends_by_default(signal))
		task_fail(task, signal, "killed before it began");
	tasks_wake(t);
	return 0;
}

/* ---- its own end ------------------------------------------------------------------------------------------------- */

int tasks_exit_named(struct tasks *t, const struct name *name, bool success)
{
	LOCK_GUARD(&t->lock);
	struct task *task = task_find_name(t, name);
	if (!task || t->stopping)
		return -ESRCH;
	if (!task->said) {
		task->said = true;
		task->said_success = success;
		task_save(task);
	}
	task_kill_now(task, SIGKILL);
	return 0;
}

int tasks_exit(struct tasks *t, pid_t pid, bool success)
{
	struct name name;
	int r = tasks_find_process(t, pid, &name);

	return r < 0 ? r : tasks_exit_named(t, &name, success);
}

/* ---- ctl --------------------------------------------------------------------------------------------------------- */

/* "TERM", "SIGTERM", "15"; -EINVAL. */
static int parse_signal(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (end != text)
		return *end == '\0' && number > 0 && number <= SIGRTMAX ? (int)number : -EINVAL;
	if (strncmp(text, "SIG", 3) == 0)
		text += 3;
	for (int signal = 1; signal < SIGRTMIN; signal++) {
		const char *name = sigabbrev_np(signal);
		if (name && strcmp(name, text) == 0)
			return signal;
	}
	return -EINVAL;
}

int tasks_control(struct tasks *t, uint64_t ino, uint32_t uid, const char *line, size_t size)
{
	struct caller caller = { .uid = uid };
	char text[64];

	if (size >= sizeof(text))
		return -EINVAL;
	memcpy(text, line, size);
	text[size] = '\0';
	if (strlen(text) != size)
		return -EINVAL;
	if (strcmp(text, "pause") == 0 || strcmp(text, "resume") == 0)
		return tasks_pause(t, &caller, ino, text[0] == 'r');
	if (strcmp(text, "kill") == 0)
		return tasks_kill(t, &caller, ino, SIGKILL);
	int signal = strncmp(text, "kill ", 5) == 0 ? parse_signal(text + 5) : -EINVAL;
	return signal < 0 ? signal : tasks_kill(t, &caller, ino, signal);
}
