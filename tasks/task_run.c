/* run: from a request to a task in the table. Nothing is left behind where it fails. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/counter.h"
#include "tasks/process.h"
#include "tasks/task_request.h"

#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define SETTINGS 5u                    /* made here: PATH, and four of dios */
#define DESCRIPTOR_FIRST 3u            /* of the inputs */
#define CPU_PERCENT_MAX 1000000u

COUNTER(tasks_run_count, "dios_tasks_run_total", "Tasks that were made");

static int check_request(const struct task_request *q)
{
	static const struct name none;
	bool gang = !name_equal(&q->gang, &none);

	if (q->pure)
		return -EOPNOTSUPP;
	if ((q->program != NULL) == (q->path != NULL) || (q->path && (q->path[0] != '/' || strlen(q->path) >= PATH_MAX)))
		return -EINVAL;
	if (q->input_count > TASK_REFERENCES_MAX || q->output_count > TASK_REFERENCES_MAX || q->cpu_percent > CPU_PERCENT_MAX)
		return -EINVAL;
	return gang != (q->gang_size > 0) || q->gang_size > GANG_MAX ? -EINVAL : 0;
}

/* ---- environment ------------------------------------------------------------------------------------------------- */

static int list_descriptors(const char *key, size_t first, size_t count, char **ret_setting)
{
	_cleanup_buffer_ struct buffer text;

	buffer_init(&text, 4096);
	buffer_printf(&text, "%s=", key);
	for (size_t i = 0; i < count; i++)
		buffer_printf(&text, "%s%zu", i ? "," : "", first + i);
	if (buffer_append(&text, "", 1) < 0)
		return buffer_error(&text);
	*ret_setting = (char *)TAKE_PTR(text.data);
	return 0;
}

static bool is_ours(const char *setting)
{
	static const char *const keys[] = { "DIOS_INPUTS=", "DIOS_OUTPUTS=", "DIOS_TASK=", "DIOS_MOUNT=" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strncmp(setting, keys[i], strlen(keys[i])) == 0)
			return true;
	return false;
}

/* What the caller said, and on top what the task must be able to rely on. */
static int make_environment(struct run *run)
{
	const struct task_request *q = run->request;
	size_t given = 0, kept = 0, made = 0;
	const struct task *task = run->task;

	while (q->environment && q->environment[given])
		given++;
	run->launch.environment = calloc(given + SETTINGS + 1, sizeof(char *));
	run->spec.environment = calloc(given + 1, sizeof(char *));
	run->settings = calloc(SETTINGS + 1, sizeof(char *));
	if (!run->launch.environment || !run->spec.environment || !run->settings)
		return -ENOMEM;
	for (size_t i = 0; i < given; i++) {
		run->spec.environment[i] = q->environment[i];
		if (!is_ours(q->environment[i]))
			run->launch.environment[kept++] = q->environment[i];
	}
	int r = list_descriptors("DIOS_INPUTS", DESCRIPTOR_FIRST, q->input_count, &run->settings[made++]);
	if (r == 0)
		r = list_descriptors("DIOS_OUTPUTS", DESCRIPTOR_FIRST + q->input_count, q->output_count, &run->settings[made++]);
	if (r < 0)
		return r;
	if (asprintf(&run->settings[made++], "DIOS_TASK=%s", task->text) < 0 || asprintf(&run->settings[made++], "DIOS_MOUNT=%s", run->tasks->mount) < 0)
		return -ENOMEM;
	if (given == 0 && !(run->settings[made++] = strdup(PATH_DEFAULT)))
		return -ENOMEM;
	for (size_t i = 0; i < made; i++)
		run->launch.environment[kept++] = run->settings[i];
	return 0;
}

static int copy_arguments(const struct task_request *q, const char ***ret_arguments)
{
	size_t count = 0;

	while (q->arguments && q->arguments[count])
		count++;
	const char **arguments = calloc(count + 2, sizeof(*arguments));
	if (!arguments)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		arguments[i] = q->arguments[i];
	if (count == 0)
		arguments[0] = q->path ? q->path : "program";    /* the kernel wants an argv[0] */
	*ret_arguments = arguments;
	return 0;
}

/* ---- putting it together ----------------------------------------------------------------------------------------- */

static void fill_launch(struct run *run)
{
	struct launch *l = &run->launch;

	l->task = run->task->text;
	l->path = run->request->path;
}

static void fill_spec(struct run *run)
{
	const struct task_request *q = run->request;
	struct task_spec *s = &run->spec;

	s->path = q->path;
	s->memory_bytes = q->memory_bytes;
	s->cpu_percent = q->cpu_percent;
	s->job = q->job;
	s->gang = q->gang;
	s->gang_size = q->gang_size;
	s->pure = q->pure;
	s->restart = q->restart;
}

static struct task *new_task(struct tasks *t, const struct task_request *q)
{
	static const struct name no_parent;
	struct task *task = calloc(1, sizeof(*task));
	struct random_source *random = cluster_random(objects_cluster(t->objects));

	if (!task)
		return NULL;
	task->tasks = t;
	task->uid = q->caller.uid;
	task->helper_fd = task->program_fd = task->socket = task->page_fd = -1;
	task->bounds = (struct cgroup_bounds){ .memory_bytes = q->memory_bytes, .cpu_percent = q->cpu_percent };
	buffer_init(&task->launch, LAUNCH_MAX);
	/* The same when the call is done again by a later daemon (D2): the tokens say it. */
	uint64_t seed = redo_keep_place(random_u64(random));
	if (name_deterministic(&no_parent, seed, (uint16_t)(seed >> 48), &task->name) < 0) {
		free(task);
		return NULL;
	}
	name_to_text(&task->name, task->text);
	return task;
}

static int too_big(int r) { return r == -ENOBUFS ? -E2BIG : r; }

static int make_object(struct run *run)
{
	const struct task_request *q = run->request;
	struct command_create create = { .kind = KIND_TASK, .mode = S_IFREG | 0600, .uid = run->launch.uid, .gid = run->launch.gid, .name = run->task->name,
		.lifecycle = LIFECYCLE_SINGLE_DELETE, .job = q->job };
	_cleanup_buffer_ struct buffer spec;
	struct attributes a;

	if (q->caller.task)
		create.creator = *q->caller.task;
	buffer_init(&spec, TASK_SPEC_MAX);
	task_spec_encode(&run->spec, &spec);
	int r = too_big(buffer_error(&spec));
	if (r < 0)
		return r;
	create.spec = (struct slice){ .data = spec.data, .size = spec.size };
	r = object_create(run->tasks->objects, &create, 0, NULL, &a);
	if (r == 0)
		run->task->ino = a.record.ino;
	return r;
}

static int prepare(struct run *run)
{
	const struct task_request *q = run->request;
	int r = process_identity(q->pid, q->caller.uid, q->caller.gid, &run->launch);

	if (r == 0)
		r = run_take_places(run);
	if (r == 0)
		r = copy_arguments(q, &run->spec.arguments);
	if (r == 0)
		r = copy_arguments(q, &run->launch.arguments);
	if (r == 0)
		r = make_environment(run);
	return r;
}

static int insert(struct run *run)
{
	struct tasks *t = run->tasks;

	int r = task_keep(run->task);
	if (r < 0)
		return r;
	LOCK_GUARD(&t->lock);
	return task_insert(t, run->task, &run->request->gang, run->request->gang_size);
}

static void run_done(struct run *run)
{
	task_free(run->task);
	/* Tokens of a task that runs are secrets of its processes. */
	if (run->minted)
		explicit_bzero(run->minted, run->minted_count * sizeof(*run->minted));
	free(run->minted);
	for (size_t i = 0; run->settings && i <= SETTINGS; i++)
		free(run->settings[i]);
	free(run->settings);
	task_spec_done(&run->spec);
	launch_done(&run->launch);
}

static bool is_there(struct run *run)
{
	LOCK_GUARD(&run->tasks->lock);
	return task_find(run->tasks, run->task->ino) != NULL;
}

static int run_make(struct run *run, uint64_t *ret_ino)
{
	int r = prepare(run);

	if (r == 0)
		r = run_make_streams(run);
	if (r == 0) {
		fill_launch(run);
		fill_spec(run);
		launch_encode(&run->launch, &run->task->launch);
		r = too_big(buffer_error(&run->task->launch));
	}
	if (r == 0)
		r = make_object(run);
	*ret_ino = run->task->ino;
	/* An earlier daemon has come so far (D2), and the task goes on already. */
	if (r == 0 && is_there(run))
		return 0;
	if (r == 0)
		r = insert(run);
	if (r == 0) {
		run->task = NULL;     /* the table's: it may have ended by now */
		return 0;
	}
	if (run->task->page)
		task_unkeep(run->task);
	if (*ret_ino)
		object_delete(run->tasks->objects, *ret_ino);
	run_delete_streams(run);
	return r;
}

int tasks_run(struct tasks *t, const struct task_request *request, uint64_t *ret_ino, struct name *ret_name)
{
	int r = check_request(request);
	uint64_t ino;

	if (r < 0)
		return r;
	struct run run = { .tasks = t, .request = request, .task = new_task(t, request) };
	if (!run.task)
		return -ENOMEM;
	struct name name = run.task->name;
	r = run_make(&run, &ino);
	if (r == 0) {
		*ret_ino = ino;
		*ret_name = name;
		counter_add(&tasks_run_count, 1);
		tasks_wake(t);
	}
	run_done(&run);
	return r;
}
