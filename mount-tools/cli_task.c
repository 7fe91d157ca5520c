/* Tasks by name; see cli_task.h. A task is its object: references come from .dios/name/NAME, what there is from .dios/tasks. */
#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#include "caps/name.h"
#include "mount-tools/cli_task.h"
#include "mount-tools/facts.h"
#include "mount-tools/json_read.h"
#include "mount-tools/text.h"

/* The task's reference with the rights that can be had: to stop it takes the right to write. */
static int open_reference(const char *name, dios_ref *ret_ref)
{
	static const uint32_t rights[] = { DIOS_READ | DIOS_WRITE, DIOS_READ };
	int r = -ENOENT;

	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		size_t count = 1;

		r = dios_lookup(DIOS_NOWAIT, name, rights[i], ret_ref, &count);
		if (r == 0)
			return count == 1 ? 0 : -ENOENT;
		if (r != -EACCES && r != -EPERM && r != -EBADF)
			break;
	}
	return r;
}

static int open_named(const char *name, struct task *ret_task)
{
	struct task t = { .ref = -1 };
	int r = open_reference(name, &t.ref);

	if (r < 0)
		return r;
	snprintf(t.name, sizeof(t.name), "%s", name);
	r = task_refresh(&t);
	if (r == 0 && t.info.kind != DIOS_TASK)
		r = -ENOENT;
	if (r < 0) {
		task_close(&t);
		return r;
	}
	*ret_task = t;
	return 0;
}

/* The one task whose name begins so. -ENOENT, -EEXIST: several. */
static int complete_name(const char *folder, const char *prefix, char name[static DIOS_NAME_TEXT])
{
	DIR *d = opendir(folder);
	int found = 0;
	struct dirent *e;

	if (!d)
		return -errno;
	while ((e = readdir(d)))
		if (strncmp(e->d_name, prefix, strlen(prefix)) == 0 && strlen(e->d_name) == NAME_TEXT_SIZE && found++ == 0)
			memcpy(name, e->d_name, DIOS_NAME_TEXT);
	closedir(d);
	return found == 1 ? 0 : found == 0 ? -ENOENT : -EEXIST;
}

int task_open(struct cli *cli, const char *mount, const char *what, struct task *ret_task)
{
	char name[DIOS_NAME_TEXT];
	size_t size = strlen(what);
	int r;

	if (size == NAME_TEXT_SIZE) {
		snprintf(name, sizeof(name), "%s", what);
	} else {
		_cleanup_free_ char *folder = cli_dios_path(cli, mount, "tasks");

		if (!folder)
			return EXIT_FAILED;
		if (size < TASK_PREFIX_MIN || size > NAME_TEXT_SIZE || strchr(what, '/'))
			return cli_fail_advised(cli, -EINVAL, "expected the 43 characters that 'dios run' printed, or the first few ('dios ps' lists them)",
				"'%s' is not the name of a task", what);
		r = complete_name(folder, what, name);
		if (r == -EEXIST)
			return cli_fail_advised(cli, -EINVAL, "write more of it ('dios ps --all' lists them)", "several tasks begin with '%s'", what);
		if (r < 0)
			return cli_fail_advised(cli, r, "'dios ps --all' lists the tasks", "no task '%s'", what);
	}
	r = open_named(name, ret_task);
	if (r == -ENOENT || r == -EINVAL)
		return cli_fail_advised(cli, -ENOENT, "'dios ps --all' lists the tasks", "no task '%s'", what);
	return r < 0 ? cli_object_failed(cli, r, "open the task", what) : 0;
}

void task_close(struct task *t)
{
	if (t->ref >= 0)
		dios_close(t->ref);
	t->ref = -1;
}

int task_refresh(struct task *t)
{
	return dios_info(t->ref, &t->info);
}

bool task_ended(const struct task *t)
{
	return t->info.task_state >= DIOS_TASK_EXITED;
}

int task_status(const struct task *t)
{
	int status = t->info.exit_status;

	if (t->info.task_state == DIOS_TASK_EXITED && status == 0)
		return 0;
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 1;
}

void task_outcome(const struct task *t, char out[static TASK_OUTCOME_MAX])
{
	const char *state = facts_task_state(t->info.task_state);
	int status = t->info.exit_status;

	if (!task_ended(t) || t->info.task_state == DIOS_TASK_LOST || status == 0)
		snprintf(out, TASK_OUTCOME_MAX, "%s", state);
	else if (WIFSIGNALED(status))
		snprintf(out, TASK_OUTCOME_MAX, "%s: signal %d (%s)", state, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(out, TASK_OUTCOME_MAX, "%s: exit status %d", state, WEXITSTATUS(status));
}

static void json_time(struct json *j, const char *key, int64_t ns)
{
	char text[TEXT_TIME_MAX];

	if (ns == 0) {
		json_null(j, key);
		return;
	}
	text_time(ns, text);
	json_string(j, key, text);
}

char *task_stat(struct cli *cli, const char *mount, const struct task *t, const char *key)
{
	_cleanup_free_ char *path = cli_dios_path(cli, mount, "tasks/%s/stats", t->name);
	_cleanup_buffer_ struct buffer text = { 0 };
	size_t size = strlen(key);

	buffer_init(&text, CLI_FILE_MAX);
	if (!path || cli_read_file(path, &text) < 0)
		return NULL;
	for (const char *line = (char *)text.data; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, size) == 0 && line[size] == ' ')
			return strndup(line + size + 1, strcspn(line + size + 1, "\n"));
	}
	return NULL;
}

char *task_explain(struct cli *cli, const char *mount, const struct task *t)
{
	_cleanup_free_ char *why = task_stat(cli, mount, t, "error");
	char outcome[TASK_OUTCOME_MAX], *text;

	task_outcome(t, outcome);
	if (asprintf(&text, "%s%s%s", outcome, why ? ": " : "", why ? why : "") < 0)
		return NULL;
	return text;
}

void task_json(struct cli *cli, const char *mount, const struct task *t, const char *command)
{
	static const uint8_t none[DIOS_NAME_BYTES];
	_cleanup_free_ char *why = task_ended(t) ? task_stat(cli, mount, t, "error") : NULL;
	struct json *j = &cli->writer;
	struct dios_name job;
	char text[DIOS_NAME_TEXT];

	json_open_object(j, NULL);
	json_string(j, "name", t->name);
	json_string(j, "state", facts_task_state(t->info.task_state));
	if (task_ended(t))
		json_int(j, "status", task_status(t));
	else
		json_null(j, "status");
	json_time(j, "started", t->info.start_ns);
	json_time(j, "ended", t->info.end_ns);
	memcpy(job.bytes, t->info.job, sizeof(job.bytes));
	dios_name_to_text(&job, text);
	if (memcmp(job.bytes, none, sizeof(none)) != 0)
		json_string(j, "job", text);
	else
		json_null(j, "job");
	if (command)
		json_string(j, "command", command);
	else
		json_null(j, "command");
	if (why)
		json_string(j, "error", why);
	else
		json_null(j, "error");
	json_close(j);
}

/* ---- several ------------------------------------------------------------------------------------------------------ */

int job_name(struct cli *cli, const char *text, struct dios_name *ret_name)
{
	int r = dios_name_from_text(text, ret_name);

	if (r < 0)
		r = dios_name_from_string(text, ret_name);
	return r < 0 ? cli_fail(cli, r, "cannot make the job's name from '%s'", text) : 0;
}

int tasks_each(struct cli *cli, const char *mount, int (*each)(void *arg, struct task *t), void *arg)
{
	_cleanup_free_ char *folder = cli_dios_path(cli, mount, "tasks");
	DIR *d = folder ? opendir(folder) : NULL;
	struct dirent *e;
	int status = 0;

	if (!folder)
		return EXIT_FAILED;
	if (!d)
		return cli_object_failed(cli, -errno, "list", folder);
	while (status == 0 && (e = readdir(d))) {
		struct task t;

		/* Others' tasks, and those that are gone by now, are passed over. */
		if (strlen(e->d_name) == NAME_TEXT_SIZE && open_named(e->d_name, &t) == 0)
			status = each(arg, &t);
	}
	closedir(d);
	return status;
}

static int tasks_add(struct tasks *tasks, struct task *t)
{
	struct task *grown = reallocarray(tasks->task, tasks->count + 1, sizeof(*grown));

	if (!grown) {
		task_close(t);
		return -ENOMEM;
	}
	tasks->task = grown;
	tasks->task[tasks->count++] = *t;
	return 0;
}

struct job_filter { struct tasks *tasks; struct dios_name job; };

static int add_of_job(void *arg, struct task *t)
{
	struct job_filter *f = arg;

	if (memcmp(t->info.job, f->job.bytes, sizeof(f->job.bytes)) != 0) {
		task_close(t);
		return 0;
	}
	return tasks_add(f->tasks, t) < 0 ? EXIT_FAILED : 0;
}

int tasks_open(struct cli *cli, const char *mount, const char *job, struct tasks *ret_tasks)
{
	struct tasks tasks = { 0 };
	struct job_filter filter = { .tasks = &tasks };
	int status = 0;

	if (!job && cli->argc == 0)
		return cli_usage(cli, "needs a task's name, or --job");
	if (job) {
		status = job_name(cli, job, &filter.job);
		if (status == 0)
			status = tasks_each(cli, mount, add_of_job, &filter);
		if (status == 0 && tasks.count == 0)
			status = cli_fail(cli, -ENOENT, "no task belongs to the job '%s'", job);
	}
	for (int i = 0; status == 0 && i < cli->argc; i++) {
		struct task t;

		status = task_open(cli, mount, cli->argv[i], &t);
		if (status == 0 && tasks_add(&tasks, &t) < 0)
			status = cli_fail(cli, -ENOMEM, "no memory for so many tasks");
	}
	if (status != 0) {
		tasks_close(&tasks);
		return status;
	}
	*ret_tasks = tasks;
	return 0;
}

void tasks_close(struct tasks *t)
{
	for (size_t i = 0; i < t->count; i++)
		task_close(&t->task[i]);
	free(t->task);
	*t = (struct tasks){ 0 };
}

/* ---- the command line ---------------------------------------------------------------------------------------------- */

char *task_command(struct cli *cli, const char *mount, const struct task *t)
{
	_cleanup_free_ char *path = cli_dios_path(cli, mount, "tasks/%s/spec", t->name);
	_cleanup_buffer_ struct buffer text = { 0 }, line = { 0 };
	struct json_value *spec = NULL;

	buffer_init(&text, CLI_FILE_MAX);
	buffer_init(&line, CLI_FILE_MAX);
	if (!path || cli_read_file(path, &text) < 0 || json_parse((char *)text.data, text.size, &spec) < 0)
		return NULL;
	const struct json_value *arguments = json_get(spec, "arguments");
	const char *program = json_get_string(spec, "program");
	if (arguments && arguments->type == JSON_ARRAY && arguments->child)
		for (const struct json_value *v = arguments->child; v; v = v->next)
			buffer_printf(&line, "%s%s", v == arguments->child ? "" : " ", v->text ? v->text : "?");
	else if (program)
		buffer_printf(&line, "%s", program);
	json_value_free(spec);
	if (line.size == 0 || buffer_append(&line, "", 1) < 0)
		return NULL;
	return (char *)TAKE_PTR(line.data);
}
