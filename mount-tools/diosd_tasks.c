/* Tasks in the daemon: what fs/ shows and asks (struct magic_tasks, struct ioctl_tasks), answered by tasks/.
 *
 * fs/ is given the functions before there are objects to run tasks on, and may still call them after the tasks have been stopped; so their
 * argument is this struct, which lives as long as the daemon. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "fs/ioctl_calls.h"
#include "fs/magic_tasks.h"
#include "libdios/dios.h"
#include "mount-tools/beside.h"
#include "mount-tools/diosd.h"
#include "mount-tools/keep.h"
#include "tasks/tasks.h"

struct diosd_tasks {
	struct magic_tasks magic;
	struct ioctl_tasks ioctl;
	struct tasks *tasks;          /* NULL: not opened, or closed after the mount's end */
	uint64_t node_id;
};

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static struct tasks *of(void *arg) { return ((struct diosd_tasks *)arg)->tasks; }

static int print_status(void *arg, uint64_t task, struct buffer *out) { return tasks_print_status(of(arg), task, out); }
static int print_stats(void *arg, uint64_t task, struct buffer *out) { return tasks_print_stats(of(arg), task, out); }
static int print_spec(void *arg, uint64_t task, struct buffer *out) { return tasks_print_spec(of(arg), task, out); }

static int get_stream(void *arg, uint64_t task, enum magic_task_stream which, uint64_t *ret_ino)
{
	return tasks_get_stream(of(arg), task, (int)which, ret_ino);
}

static int control(void *arg, uint64_t task, uint32_t uid, const char *line, size_t size)
{
	return tasks_control(of(arg), task, uid, line, size);
}

static int find_process(void *arg, pid_t pid, struct name *ret_task) { return tasks_find_process(of(arg), pid, ret_task); }
static bool was_paused(void *arg, pid_t pid) { return tasks_was_paused(of(arg), pid); }

static void count(void *arg, struct magic_task_counts *ret)
{
	if (of(arg))
		tasks_count(of(arg), &ret->running, &ret->waiting);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

/* Who may steer has been decided by fs/, which knows the right that the caller's reference gives. */
static const struct caller steering = { .uid = 0 };

static int pause_task(void *arg, uint64_t ino, bool resume) { return tasks_pause(of(arg), &steering, ino, resume); }
static int kill_task(void *arg, uint64_t ino, int signal) { return tasks_kill(of(arg), &steering, ino, signal); }
static int exit_task(void *arg, const struct name *task, bool failed) { return tasks_exit_named(of(arg), task, !failed); }

/* Texts of a specification, with their NULs. One block: the pointers, then the bytes. To be freed. */
static const char **copy_texts(const struct run_text *texts, size_t count)
{
	size_t size = (count + 1) * sizeof(char *);

	for (size_t i = 0; i < count; i++)
		size += texts[i].size + 1;
	const char **copy = malloc(size);
	if (!copy)
		return NULL;
	char *at = (char *)(copy + count + 1);
	for (size_t i = 0; i < count; i++) {
		memcpy(at, texts[i].text, texts[i].size);
		at[texts[i].size] = '\0';
		copy[i] = at;
		at += texts[i].size + 1;
	}
	copy[count] = NULL;
	return copy;
}

static int run(void *arg, const struct caller *caller, pid_t pid, uint32_t flags, struct reference *program, const struct run_spec *spec,
	struct name *ret_name, uint64_t *ret_ino)
{
	const struct diosd_tasks *glue = arg;
	_cleanup_free_ char *path = spec->path.size ? strndup(spec->path.text, spec->path.size) : NULL;
	_cleanup_free_ const char **arguments = copy_texts(spec->arguments, spec->argument_count);
	_cleanup_free_ const char **environment = copy_texts(spec->environment, spec->environment_count);

	if (!arguments || !environment || (spec->path.size && !path))
		return -ENOMEM;
	/* This is the only node. */
	if (spec->node != 0 && spec->node != glue->node_id)
		return -EHOSTUNREACH;
	if (spec->cpu_percent > UINT32_MAX)
		return -EINVAL;
	struct task_request request = {
		.caller = *caller, .pid = pid, .program = program, .path = path, .arguments = arguments, .environment = environment,
		.inputs = spec->inputs, .input_count = spec->input_count, .outputs = spec->outputs, .output_count = spec->output_count,
		.standard_input = spec->standard[0], .standard_output = spec->standard[1], .standard_error = spec->standard[2],
		.memory_bytes = spec->memory_bytes, .cpu_percent = (uint32_t)spec->cpu_percent, .job = spec->job, .gang = spec->gang,
		.gang_size = (uint32_t)spec->gang_size, .pure = flags & DIOS_PURE, .restart = flags & DIOS_RESTART,
	};
	return tasks_run(glue->tasks, &request, ret_ino, ret_name);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

int diosd_tasks_fill(struct diosd *d, struct fs_options *options)
{
	struct diosd_tasks *glue = calloc(1, sizeof(*glue));

	if (!glue)
		return -ENOMEM;
	glue->magic = (struct magic_tasks){ .arg = glue, .print_status = print_status, .print_stats = print_stats, .print_spec = print_spec,
		.get_stream = get_stream, .control = control, .find_process = find_process, .was_paused = was_paused, .count = count };
	glue->ioctl = (struct ioctl_tasks){ .arg = glue, .run = run, .pause = pause_task, .kill = kill_task, .exit = exit_task };
	options->tasks = &glue->magic;
	options->ioctl_tasks = &glue->ioctl;
	d->tasks = glue;
	return 0;
}

static int keep(void *arg, uint64_t ino, const int *fds, size_t count) { return keep_send(((struct diosd *)arg)->keep_fd, ino, fds, count); }
static void adopt(void *arg, uint64_t ino, const int *fds, size_t count) { tasks_adopt(arg, ino, fds, count); }

int diosd_tasks_open(struct diosd *d, const char *mount)
{
	char helper[4096];
	struct tasks_options options = { .mount = mount, .helper = helper, .hidden = d->region.header->data,
		.cgroups = strcmp(config_string(d->config, "task.cgroup"), "off") != 0,
		.keeper = { .arg = d, .keep = keep, .pid = d->region.header->holder_pid } };

	if (program_beside("dios-task", helper, sizeof(helper)) < 0)
		snprintf(helper, sizeof(helper), "%s", DIOS_LIBEXECDIR "/dios-task");
	/* Without it tasks are made, and fail with a sentence that names it. */
	if (access(helper, X_OK) < 0)
		log_error("diosd", "tasks cannot run: dios-task is neither beside diosd nor in " DIOS_LIBEXECDIR);
	d->tasks->node_id = cluster_node_id(d->cluster);
	int r = tasks_open(d->objects, &options, &d->tasks->tasks);
	return r < 0 ? r : keep_recall(d->keep_fd, adopt, d->tasks->tasks);
}

int diosd_tasks_start(struct diosd *d) { return tasks_start(d->tasks->tasks); }

void diosd_tasks_stop(struct diosd *d)
{
	if (d->tasks && d->tasks->tasks)
		tasks_stop(d->tasks->tasks);
}

void diosd_tasks_close(struct diosd *d)
{
	if (!d->tasks)
		return;
	tasks_close(d->tasks->tasks);
	d->tasks->tasks = NULL;
}

void diosd_tasks_free(struct diosd *d)
{
	free(d->tasks);
	d->tasks = NULL;
}
