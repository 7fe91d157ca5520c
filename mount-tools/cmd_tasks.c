/* dios ps, wait, pause, resume, kill: what becomes of tasks. */
#include <ctype.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "mount-tools/cli_task.h"
#include "mount-tools/commands.h"
#include "mount-tools/facts.h"
#include "mount-tools/table.h"
#include "mount-tools/text.h"

#define WAIT_TASKS_MAX 4096u   /* references in one dios_select */

enum { TASKS_JOB = 'j', PS_ALL = 'a', WAIT_TIMEOUT = 't', KILL_SIGNAL = 's' };

#define JOB_OPTION { TASKS_JOB, "job", "JOB", "all tasks of this job" }

/* ---- ps ----------------------------------------------------------------------------------------------------------- */

struct ps { struct cli *cli; const char *mount; struct table table; bool all, of_job; struct dios_name job; };

static void ps_row(struct ps *ps, const struct task *t, const char *command)
{
	char text[TEXT_TIME_MAX], outcome[TASK_OUTCOME_MAX];
	int64_t end = task_ended(t) ? t->info.end_ns : clock_wall_ns(&clock_system);

	task_outcome(t, outcome);
	table_cell(&ps->table, t->name);
	table_cell(&ps->table, outcome);
	if (t->info.start_ns == 0) {
		table_cell(&ps->table, "-");
		table_cell(&ps->table, "-");
	} else {
		text_time(t->info.start_ns, text);
		table_printf(&ps->table, "%.19s", text);
		text_duration(end - t->info.start_ns, text);
		table_cell(&ps->table, text);
	}
	table_cell(&ps->table, command ? command : "-");
}

static int ps_each(void *arg, struct task *t)
{
	struct ps *ps = arg;
	bool wanted = (ps->all || ps->of_job || !task_ended(t)) &&
		(!ps->of_job || memcmp(t->info.job, ps->job.bytes, sizeof(ps->job.bytes)) == 0);

	if (wanted) {
		_cleanup_free_ char *command = task_command(ps->cli, ps->mount, t);

		if (ps->cli->json)
			task_json(ps->cli, ps->mount, t, command);
		else
			ps_row(ps, t, command);
	}
	task_close(t);
	return 0;
}

static int run_ps(struct cli *cli)
{
	static const char *const titles[] = { "NAME", "STATE", "STARTED", ">TIME", "COMMAND" };
	struct ps ps = { .cli = cli, .mount = cli_mount(cli, NULL), .all = cli_has(cli, PS_ALL), .of_job = cli_has(cli, TASKS_JOB) };

	if (!ps.mount)
		return EXIT_FAILED;
	int status = ps.of_job ? job_name(cli, cli_value(cli, TASKS_JOB), &ps.job) : 0;
	if (status != 0)
		return status;
	if (cli->json) {
		json_open_object(&cli->writer, NULL);
		json_open_array(&cli->writer, "tasks");
	} else {
		table_init(&ps.table, stdout, sizeof(titles) / sizeof(titles[0]), titles);
	}
	status = tasks_each(cli, ps.mount, ps_each, &ps);
	if (!cli->json && table_finish(&ps.table) < 0)
		return cli_fail(cli, -ENOMEM, "the list is not complete");
	if (cli->json && !cli->writer.done)
		cli_json_end(cli);
	return status;
}

static const struct cli_option ps_options[] = {
	{ PS_ALL, "all", NULL, "also tasks that have ended" },
	{ TASKS_JOB, "job", "JOB", "only the tasks of this job, also those that have ended" },
	{ 0 },
};
const struct cli_command command_ps = {
	.name = "ps", .summary = "list tasks", .details = "Tasks of others are left out, except for root.", .options = ps_options, .run = run_ps,
};

/* ---- wait --------------------------------------------------------------------------------------------------------- */

static size_t count_running(const struct tasks *tasks)
{
	size_t count = 0;

	for (size_t i = 0; i < tasks->count; i++)
		count += !task_ended(&tasks->task[i]);
	return count;
}

/* Waits until all have ended. 0, or a negative errno: -ETIMEDOUT. */
static int wait_all(struct tasks *tasks, int64_t timeout_ns)
{
	_cleanup_free_ struct dios_wait *waits = calloc(tasks->count, sizeof(*waits));
	int64_t deadline = timeout_ns < 0 ? -1 : clock_boot_ns(&clock_system) + timeout_ns;

	if (!waits)
		return -ENOMEM;
	while (count_running(tasks) > 0) {
		int64_t left = deadline < 0 ? -1 : deadline - clock_boot_ns(&clock_system);

		for (size_t i = 0; i < tasks->count; i++)
			waits[i] = (struct dios_wait){ .ref = task_ended(&tasks->task[i]) ? -1 : tasks->task[i].ref, .wanted = DIOS_ENDED };
		int r = dios_select(0, waits, tasks->count, deadline >= 0 && left < 0 ? 0 : left);
		if (r < 0 && r != -EINTR)
			return r;
		for (size_t i = 0; i < tasks->count; i++) {
			if (waits[i].ref < 0 || !waits[i].ready)
				continue;
			r = task_refresh(&tasks->task[i]);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int report_waited(struct cli *cli, const char *mount, struct tasks *tasks)
{
	int status = EXIT_OK;

	for (size_t i = 0; i < tasks->count; i++) {
		struct task *t = &tasks->task[i];

		if (task_status(t) != 0) {
			_cleanup_free_ char *outcome = task_explain(cli, mount, t);

			status = task_status(t);
			cli_warn(cli, "%s %s", t->name, outcome ? outcome : "failed");
		}
	}
	if (cli->json) {
		json_open_object(&cli->writer, NULL);
		json_open_array(&cli->writer, "tasks");
		for (size_t i = 0; i < tasks->count; i++)
			task_json(cli, mount, &tasks->task[i], NULL);
		cli_json_end(cli);
	}
	return status;
}

static int run_wait(struct cli *cli)
{
	struct tasks tasks = { 0 };
	int64_t timeout_ns = -1;
	const char *mount;
	int status;

	if (cli_duration(cli, WAIT_TIMEOUT, &timeout_ns) != 0)
		return EXIT_USAGE;
	mount = cli_mount(cli, NULL);
	if (!mount)
		return EXIT_LOST;
	status = tasks_open(cli, mount, cli_value(cli, TASKS_JOB), &tasks);
	if (status != 0)
		return status == EXIT_USAGE ? status : EXIT_LOST;
	if (tasks.count > WAIT_TASKS_MAX) {
		cli_fail(cli, -E2BIG, "%zu tasks are too many to wait for at once: at most %u", tasks.count, WAIT_TASKS_MAX);
		status = EXIT_LOST;
	} else {
		int r = wait_all(&tasks, timeout_ns);

		if (r == -ETIMEDOUT) {
			cli_fail(cli, r, "%zu of %zu tasks have not ended", count_running(&tasks), tasks.count);
			status = EXIT_TIMED_OUT;
		} else if (r < 0) {
			cli_object_failed(cli, r, "wait for", tasks.count == 1 ? tasks.task[0].name : "the tasks");
			status = EXIT_LOST;
		} else {
			status = report_waited(cli, mount, &tasks);
		}
	}
	tasks_close(&tasks);
	return status;
}

static const struct cli_option wait_options[] = {
	JOB_OPTION,
	{ WAIT_TIMEOUT, "timeout", "DURATION", "wait no longer (default: for ever)" },
	{ 0 },
};
const struct cli_command command_wait = {
	.name = "wait", .arguments = "[TASK]...", .summary = "wait until tasks have ended, and exit with their status",
	.details = "TASK is a name, or the first characters of one.\n"
		"Exit status: 0 when all succeeded; else that of the last one that failed: its own, 128 + N where signal N ended it, 1 where it\n"
		"has none. 124: the timeout passed. 125: they could not be waited for.",
	.options = wait_options, .arguments_max = -1, .run = run_wait,
};

/* ---- pause, resume, kill ------------------------------------------------------------------------------------------ */

static int act(struct cli *cli, const char *action, int (*one)(struct task *t, int argument), int argument)
{
	struct tasks tasks = { 0 };
	const char *mount = cli_mount(cli, NULL), *job = cli_value(cli, TASKS_JOB);
	int status;

	if (!mount)
		return EXIT_FAILED;
	status = tasks_open(cli, mount, job, &tasks);
	if (status != 0)
		return status;
	for (size_t i = 0; i < tasks.count && !cli->writer.done; i++) {
		struct task *t = &tasks.task[i];
		int r = one(t, argument);

		if (r == -ESRCH && job)
			continue;   /* of a job, those that have ended are as wanted */
		if (r == -ESRCH)
			status = cli_fail_advised(cli, r, "'dios wait' says how", "%s has ended", t->name);
		else if (r < 0)
			status = cli_object_failed(cli, r, action, t->name);
		else
			task_refresh(t);
	}
	if (cli->json && !cli->writer.done) {
		json_open_object(&cli->writer, NULL);
		json_open_array(&cli->writer, "tasks");
		for (size_t i = 0; i < tasks.count; i++)
			task_json(cli, mount, &tasks.task[i], NULL);
		cli_json_end(cli);
	}
	tasks_close(&tasks);
	return status;
}

static int pause_one(struct task *t, int resume)
{
	return dios_pause(resume ? DIOS_RESUME : 0, t->ref);
}

static int run_pause(struct cli *cli)
{
	return act(cli, "pause", pause_one, 0);
}

static int run_resume(struct cli *cli)
{
	return act(cli, "resume", pause_one, 1);
}

static int kill_one(struct task *t, int signal_number)
{
	return dios_task_kill(t->ref, signal_number);
}

/* "9", "TERM", "SIGTERM", "term". 0: none. */
static int parse_signal(const char *text)
{
	char name[16];
	size_t size = 0;

	if (isdigit((unsigned char)text[0])) {
		char *end;
		long n = strtol(text, &end, 10);

		return *end || n < 1 || n > 64 ? 0 : (int)n;
	}
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (; text[size] && size < sizeof(name) - 1; size++)
		name[size] = (char)toupper((unsigned char)text[size]);
	name[size] = '\0';
	for (int i = 1; i < NSIG; i++)
		if (sigabbrev_np(i) && strcmp(sigabbrev_np(i), name) == 0)
			return i;
	return 0;
}

static int run_kill(struct cli *cli)
{
	const char *text = cli_value(cli, KILL_SIGNAL);
	int signal_number = text ? parse_signal(text) : SIGKILL;

	if (!signal_number)
		return cli_usage(cli, "--signal: '%s' is no signal: expected a number from 1 to 64, or a name as TERM", text);
	return act(cli, "kill", kill_one, signal_number);
}

static const struct cli_option job_options[] = { JOB_OPTION, { 0 } };
static const struct cli_option kill_options[] = {
	JOB_OPTION,
	{ KILL_SIGNAL, "signal", "SIGNAL", "a name or a number (default: KILL)" },
	{ 0 },
};
#define TASK_DETAILS "TASK is a name, or the first characters of one."
const struct cli_command command_pause = {
	.name = "pause", .arguments = "[TASK]...", .summary = "stop the threads of tasks", .details = TASK_DETAILS,
	.options = job_options, .arguments_max = -1, .run = run_pause,
};
const struct cli_command command_resume = {
	.name = "resume", .arguments = "[TASK]...", .summary = "let paused tasks go on", .details = TASK_DETAILS,
	.options = job_options, .arguments_max = -1, .run = run_resume,
};
const struct cli_command command_kill = {
	.name = "kill", .arguments = "[TASK]...", .summary = "send a signal to tasks: SIGKILL to all their processes, others to the program", .details = TASK_DETAILS,
	.options = kill_options, .arguments_max = -1, .run = run_kill,
};
