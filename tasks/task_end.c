/* The end of a task: what it was given is given back, its outputs are there or failed, its record says how it went.
 *
 * In this order, so that whoever hears of one thing finds the others done: outputs, the task's own streams, the record. */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "base/counter.h"
#include "base/log.h"
#include "tasks/task.h"

COUNTER(tasks_ended, "dios_tasks_ended_total", "Tasks that have ended");
COUNTER(tasks_failed, "dios_tasks_failed_total", "Tasks that have failed");

/* ---- failing before it has begun --------------------------------------------------------------------------------- */

static void fail_one(struct task *task, int status, const char *error)
{
	if (task->failed || task->over)
		return;
	task->failed = true;
	task->fail_status = status;
	snprintf(task->error, sizeof(task->error), "%s", error);
	for (char *c = task->error; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = '?';     /* it becomes a line of the statistics */
	task_save(task);
	if (task->phase != PHASE_WAITING)
		task_kill_now(task, SIGKILL);
}

/* A gang starts all or none: who leaves before it has started takes the others along. */
static void fail_gang(struct task *task)
{
	struct gang *g = task->gang;

	if (!g || g->failed)
		return;
	g->failed = true;
	for (struct task *other = task->tasks->table; other; other = other->hh.next)
		if (other->gang == g && other != task)
			fail_one(other, 1 << 8, "another task of its gang did not start");
}

void task_fail(struct task *task, int status, const char *format, ...)
{
	char error[TASK_ERROR_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(error, sizeof(error), format, ap);
	va_end(ap);
	fail_one(task, status, error);
	fail_gang(task);
}

/* ---- objects ----------------------------------------------------------------------------------------------------- */

/* An object that is gone needs nothing. *error: the first one, for whoever can do it again. */
static void complain(int r, const char *what, uint64_t ino, int *error)
{
	if (r >= 0 || r == -ENOENT)
		return;
	log_error("tasks", "an object cannot be told what became of its task what=%s ino=%" PRIu64 " errno=%d", what, ino, -r);
	*error = *error ? *error : r;
}

/* Nobody must go on as if all had been said: readers and writers of a stream that the task shared get -EPIPE. */
static void break_stream(struct objects *os, const struct task_place *p, int *error)
{
	if (p->kind == KIND_STREAM && p->direct && !p->own)
		complain(stream_configure(os, p->ino, &(struct command_stream_update){ .end = true, .broken = true }), "stream", p->ino, error);
}

static void settle_output(struct objects *os, const struct task_place *p, bool success, int *error)
{
	struct attributes a;

	if (p->own) {
		complain(stream_configure(os, p->ino, &(struct command_stream_update){ .end = true }), "own stream", p->ino, error);
		return;
	}
	int r = object_get(os, p->ino, &a);
	if (r == 0 && !success)
		break_stream(os, p, error);
	if (r == 0 && a.record.produced == PRODUCED_NOT_YET)
		r = object_set_produced(os, p->ino, success ? PRODUCED_YES : PRODUCED_FAILED);
	complain(r, "output", p->ino, error);
}

int places_settle(struct objects *os, const struct task_places *inputs, const struct task_places *outputs, bool success)
{
	int error = 0;

	for (size_t i = 0; i < outputs->count; i++)
		if (!outputs->place[i].own)
			settle_output(os, &outputs->place[i], success, &error);
	/* Ends a stream that ends with its last writer. */
	for (size_t i = 0; i < outputs->count; i++) {
		reference_close(outputs->place[i].held);
		outputs->place[i].held = NULL;
	}
	for (size_t i = 0; i < outputs->count; i++)
		if (outputs->place[i].own)
			settle_output(os, &outputs->place[i], success, &error);
	for (size_t i = 0; !success && i < inputs->count; i++)
		break_stream(os, &inputs->place[i], &error);
	return error;
}

int task_record_end(struct tasks *t, uint64_t ino, enum task_state state, int status, int64_t start_ns, const struct task_stats *stats)
{
	struct command_task_update update = { .state = state, .exit_status = status, .start_ns = start_ns, .end_ns = clock_wall_ns(t->clock) };
	_cleanup_buffer_ struct buffer text;

	buffer_init(&text, TASK_STATS_MAX);
	if (task_stats_print(stats, &text) == 0)
		update.stats = (struct slice){ .data = text.data, .size = text.size };
	return object_update_task(t->objects, ino, &update);
}

/* ---- what is kept of tasks that have ended ----------------------------------------------------------------------- */

/* The record, and the streams that were made for it. */
static void forget(struct tasks *t, uint64_t ino)
{
	_cleanup_buffer_ struct buffer bytes;
	struct task_spec spec;
	int error = 0;

	buffer_init(&bytes, TASK_SPEC_MAX);
	if (state_get_task_spec(cluster_state(objects_cluster(t->objects), ino), ino, &bytes) == 0 &&
	    task_spec_decode((struct slice){ .data = bytes.data, .size = bytes.size }, &spec) == 0) {
		for (size_t i = 0; i < 3; i++)
			if (spec.own[i])
				complain(object_delete(t->objects, spec.standard[i].ino), "own stream", spec.standard[i].ino, &error);
		task_spec_done(&spec);
	}
	complain(object_delete(t->objects, ino), "task", ino, &error);
}

void task_remember_ended(struct tasks *t, uint64_t ino)
{
	if (t->ended_count == TASKS_KEPT) {
		uint64_t oldest = t->ended[t->ended_first];
		t->ended_first = (t->ended_first + 1) % TASKS_KEPT;
		t->ended_count--;
		forget(t, oldest);
	}
	t->ended[(t->ended_first + t->ended_count++) % TASKS_KEPT] = ino;
}

/* ---- control groups ---------------------------------------------------------------------------------------------- */

static void cgroup_leave(struct tasks *t, const char *name)
{
	if (cgroup_remove(t->cgroups, name) == 0)
		return;
	if (t->left_count == t->left_capacity) {
		size_t capacity = t->left_capacity ? t->left_capacity * 2 : 16;
		void *grown = reallocarray(t->left, capacity, sizeof(*t->left));
		if (!grown)
			return;       /* found and removed when the daemon starts again */
		t->left = grown;
		t->left_capacity = capacity;
	}
	memcpy(t->left[t->left_count++], name, sizeof(*t->left));
}

void cgroups_retry(struct tasks *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->left_count; i++)
		if (cgroup_remove(t->cgroups, t->left[i]) < 0)
			memmove(t->left[kept++], t->left[i], sizeof(*t->left));
	t->left_count = kept;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static enum task_state outcome(const struct task *task, int *ret_status)
{
	if (task->tasks->stopping && (!task->exited || task->killed_boot_ns)) {
		*ret_status = 0;
		return TASK_LOST;
	}
	if (task->said)
		*ret_status = task->said_success ? 0 : 1 << 8;
	else if (task->failed)
		*ret_status = task->fail_status;
	else if (task->exited)
		*ret_status = task->wait_status;
	else
		*ret_status = SIGKILL;     /* its processes were killed before they could say so */
	return *ret_status == 0 ? TASK_EXITED : TASK_FAILED;
}

static void fill_stats(const struct task *task, struct task_stats *s)
{
	struct tasks *t = task->tasks;

	task_live_stats(task, s);
	s->ended = true;
	if (task->exited)
		s->usage = task->usage;
	else
		task_usage_unknown(&s->usage);
	if (task->error[0])
		s->error = task->error;
	else if (t->stopping && (!task->exited || task->killed_boot_ns))
		s->error = "the daemon stopped";
	else if (s->out_of_memory > 0)
		s->error = "it needed more memory than it was allowed";
}

/* The record comes last: an error of an output keeps it back. -ENOENT, -EINVAL: nobody is there to be told. */
static int tell_end(struct task *task)
{
	struct tasks *t = task->tasks;
	int r = places_settle(t->objects, &task->inputs, &task->outputs, task->end_state == TASK_EXITED);

	if (r == 0 || t->stopping)
		r = task_record_end(t, task->ino, task->end_state, task->end_status, task->start_ns, &task->end_stats);
	if (r < 0)
		log_error("tasks", "an end is not recorded task=%s errno=%d", task->text, -r);
	return r == -ENOENT || r == -EINVAL ? 0 : r;
}

/* Numbers of processes are others' from now on. */
static void part_from_processes(struct task *task)
{
	struct tasks *t = task->tasks;

	if (task->helper)
		member_remove(t, task->helper);
	if (task->socket >= 0)
		epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, task->socket, NULL);
	task->helper = task->program = task->init = 0;
	task->killed_boot_ns = 0;
}

/* It stays with the holder until then, so that the next daemon tells it if this one dies. */
static void tell_later(struct task *task)
{
	part_from_processes(task);
	task->tasks->tell_boot_ns = clock_boot_ns(task->tasks->clock) + TELL_AGAIN_NS;
}

static void gone(struct task *task)
{
	task_remember_ended(task->tasks, task->ino);
	task_remove(task->tasks, task);
}

void task_end(struct task *task)
{
	struct tasks *t = task->tasks;

	task->end_state = outcome(task, &task->end_status);
	task->over = true;
	fill_stats(task, &task->end_stats);
	if (!task->sent_go)
		fail_gang(task);
	int r = tell_end(task);
	const char *error = task->end_stats.error;
	log_info("tasks", "ended task=%s status=%d%s%s", task->text, task->end_status, error ? " error=" : "", error ? error : "");
	counter_add(&tasks_ended, 1);
	counter_add(&tasks_failed, task->end_state != TASK_EXITED);
	cgroup_leave(t, task->text);
	helper_leave(t, TAKE_FD(task->helper_fd));
	if (r < 0 && !t->stopping)
		tell_later(task);
	else
		gone(task);
}

int ends_retry(struct tasks *t)
{
	struct task *task, *next;
	int64_t now = clock_boot_ns(t->clock);
	bool due = t->stopping || now >= t->tell_boot_ns, more = false;

	HASH_ITER(hh, t->table, task, next) {
		if (!task->over)
			continue;
		if (due && (tell_end(task) == 0 || t->stopping))
			gone(task);
		else
			more = true;
	}
	if (due)
		t->tell_boot_ns = now + TELL_AGAIN_NS;
	return more ? (int)((t->tell_boot_ns - now) / NS_PER_MS + 1) : -1;
}
