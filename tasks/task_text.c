/* What .dios/tasks/NAME shows: status, stats, spec, and which objects are its standard ones. From the record, and for a task that has not
 * ended from its processes. */
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "tasks/process.h"
#include "tasks/task.h"

/* ---- statistics -------------------------------------------------------------------------------------------------- */

static uint64_t machine_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

static enum task_bound bound(bool asked, bool kept)
{
	return !asked ? TASK_BOUND_NONE : kept ? TASK_BOUND_KEPT : TASK_BOUND_NOT_ENFORCED;
}

void task_live_stats(const struct task *task, struct task_stats *s)
{
	struct tasks *t = task->tasks;
	struct process_status status;
	uint64_t out_of_memory;

	*s = (struct task_stats){ .rss_bytes = LAUNCH_UNKNOWN, .page_cache_bytes = LAUNCH_UNKNOWN, .memory_bytes = machine_memory(),
		.memory_bound = bound(task->bounds.memory_bytes > 0, task->bounds.memory_kept),
		.cpu_bound = bound(task->bounds.cpu_percent > 0, task->bounds.cpu_kept) };
	task_usage_unknown(&s->usage);
	if (task->start_boot_ns)
		s->runtime_ns = clock_boot_ns(t->clock) - task->start_boot_ns;
	if (task->phase == PHASE_WAITING)
		return;
	if (task->program > 0) {
		process_usage(task->program, &s->usage);
		if (process_get_status(task->program, &status) == 0)
			s->rss_bytes = status.rss_bytes;
	}
	cgroup_usage(t->cgroups, task->text, &s->page_cache_bytes, &out_of_memory);
	s->out_of_memory = out_of_memory == LAUNCH_UNKNOWN ? 0 : out_of_memory;
}

int tasks_print_stats(struct tasks *t, uint64_t ino, struct buffer *out)
{
	struct task_stats stats;

	lock_acquire(&t->lock);
	const struct task *task = task_find(t, ino);
	if (task && task->over)
		stats = task->end_stats;
	else if (task)
		task_live_stats(task, &stats);
	lock_release(&t->lock);
	if (task)
		return task_stats_print(&stats, out);
	int r = state_get_task_stats(cluster_state(objects_cluster(t->objects), ino), ino, out);
	return r == -ENOENT ? 0 : r;
}

/* ---- specification ----------------------------------------------------------------------------------------------- */

static int read_spec(struct tasks *t, uint64_t ino, struct buffer *bytes, struct task_spec *ret_spec)
{
	buffer_init(bytes, TASK_SPEC_MAX);
	int r = state_get_task_spec(cluster_state(objects_cluster(t->objects), ino), ino, bytes);
	return r < 0 ? r : task_spec_decode((struct slice){ .data = bytes->data, .size = bytes->size }, ret_spec);
}

int tasks_print_spec(struct tasks *t, uint64_t ino, struct buffer *out)
{
	_cleanup_buffer_ struct buffer bytes;
	struct task_spec spec;
	int r = read_spec(t, ino, &bytes, &spec);

	if (r < 0)
		return r;
	r = task_spec_print(&spec, out);
	task_spec_done(&spec);
	return r;
}

int tasks_get_stream(struct tasks *t, uint64_t ino, int which, uint64_t *ret_ino)
{
	_cleanup_buffer_ struct buffer bytes = { 0 };
	struct task_spec spec;

	if (which < 0 || which > 2)
		return -EINVAL;
	int r = read_spec(t, ino, &bytes, &spec);
	if (r < 0)
		return r;
	uint64_t found = spec.standard[which].ino;
	task_spec_done(&spec);
	if (found == 0)
		return -ENOENT;
	*ret_ino = found;
	return 0;
}

/* ---- status ------------------------------------------------------------------------------------------------------ */

static const char *state_text(enum task_state state)
{
	static const char *const text[] = { [TASK_WAITING] = "waiting", [TASK_RUNNING] = "running", [TASK_PAUSED] = "paused",
		[TASK_EXITED] = "exited", [TASK_FAILED] = "failed", [TASK_LOST] = "lost" };
	return (unsigned)state < sizeof(text) / sizeof(text[0]) ? text[state] : "unknown";
}

/* RFC 3339, UTC, to the millisecond. */
static void print_time(struct buffer *out, const char *key, int64_t ns)
{
	time_t seconds = (time_t)(ns / NS_PER_SECOND);
	struct tm tm;
	char text[32];

	if (ns == 0 || !gmtime_r(&seconds, &tm))
		return;
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buffer_printf(out, "%s: %s.%03dZ\n", key, text, (int)(ns / NS_PER_MS % 1000));
}

static void print_name(struct buffer *out, const char *key, const struct name *name)
{
	char text[NAME_TEXT_SIZE + 1];

	name_to_text(name, text);
	buffer_printf(out, "%s: %s\n", key, text);
}

static void print_exit(struct buffer *out, const struct task_status *s)
{
	if (s->state != TASK_EXITED && s->state != TASK_FAILED)
		return;
	if (WIFSIGNALED(s->exit_status))
		buffer_printf(out, "signal: %d\n", WTERMSIG(s->exit_status));
	else
		buffer_printf(out, "exit_status: %d\n", WEXITSTATUS(s->exit_status));
}

/* Why it failed, out of its statistics. */
static void print_error(struct tasks *t, uint64_t ino, struct buffer *out)
{
	_cleanup_buffer_ struct buffer stats;
	struct slice error;

	buffer_init(&stats, TASK_STATS_MAX);
	if (state_get_task_stats(cluster_state(objects_cluster(t->objects), ino), ino, &stats) == 0 &&
	    task_stats_find((struct slice){ .data = stats.data, .size = stats.size }, "error", &error))
		buffer_printf(out, "error: %.*s\n", (int)error.size, (const char *)error.data);
}

static void print_waits(const struct task *task, struct buffer *out)
{
	size_t inputs = 0;

	for (size_t i = 0; i < task->inputs.count; i++)
		inputs += task->inputs.place[i].waits;
	if (inputs > 0)
		buffer_printf(out, "waits_for_inputs: %zu\n", inputs);
	if (task->gang && task->gang->count < task->gang->size)
		buffer_printf(out, "waits_for_gang: %u\n", task->gang->size - task->gang->count);
}

int tasks_print_status(struct tasks *t, uint64_t ino, struct buffer *out)
{
	static const char *const standard[] = { "stdin", "stdout", "stderr" };
	static const struct name none;
	_cleanup_buffer_ struct buffer bytes = { 0 };
	struct task_spec spec;
	struct attributes a;
	int r = object_get(t->objects, ino, &a);

	if (r == 0)
		r = a.record.kind == KIND_TASK ? read_spec(t, ino, &bytes, &spec) : -ENOENT;
	if (r < 0)
		return r;
	const struct task_status *s = &a.record.task;
	buffer_printf(out, "state: %s\n", state_text(s->state));
	lock_acquire(&t->lock);
	const struct task *task = task_find(t, ino);
	if (task && task->program > 0)
		buffer_printf(out, "pid: %d\n", (int)task->program);
	if (task && task->phase == PHASE_WAITING)
		print_waits(task, out);
	lock_release(&t->lock);
	print_exit(out, s);
	print_time(out, "start", s->start_ns);
	print_time(out, "end", s->end_ns);
	if (s->state >= TASK_EXITED)
		print_error(t, ino, out);
	if (!name_equal(&s->job, &none))
		print_name(out, "job", &s->job);
	for (size_t i = 0; i < 3; i++)
		if (spec.standard[i].ino)
			print_name(out, standard[i], &spec.standard[i].name);
	task_spec_done(&spec);
	return buffer_error(out);
}
