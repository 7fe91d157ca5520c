/* dios run: starts a program as a task. */
#include <fcntl.h>
#include <string.h>

#include "mount-tools/cli_task.h"
#include "mount-tools/commands.h"
#include "mount-tools/run_refs.h"

enum { RUN_INPUT = 'i', RUN_OUTPUT = 'o', RUN_ENVIRONMENT = 'e', RUN_WAIT = 'w', RUN_JOB = 'j',
	RUN_STDIN = 256, RUN_STDOUT, RUN_STDERR, RUN_OVERWRITE, RUN_MEMORY, RUN_CPU, RUN_NODE, RUN_GANG, RUN_GANG_SIZE, RUN_PURE, RUN_RESTART };

struct run {
	struct cli *cli;
	const char *mount;
	struct program program;
	struct refs inputs, outputs;
	dios_ref standard[3];           /* -1: the task's own */
	bool shared_error;              /* standard[2] is standard[1] */
	char **environment;
	struct dios_name job, gang;
	struct dios_run_options options;
	uint32_t flags;
};

static int run_numbers(struct run *r)
{
	uint64_t cpu = 0, gang = 0;
	struct cli *cli = r->cli;

	if (cli_size(cli, RUN_MEMORY, &r->options.memory_bytes) != 0 || cli_count_value(cli, RUN_CPU, 1, 1000000, &cpu) != 0 ||
	    cli_count_value(cli, RUN_NODE, 1, UINT64_MAX, &r->options.node) != 0 || cli_count_value(cli, RUN_GANG_SIZE, 1, 1000, &gang) != 0)
		return EXIT_USAGE;
	if (cli_has(cli, RUN_GANG) != cli_has(cli, RUN_GANG_SIZE))
		return cli_usage(cli, "--gang and --gang-size come together");
	r->options.cpu_percent = (uint32_t)cpu;
	r->options.gang_size = (uint32_t)gang;
	if (cli_has(cli, RUN_PURE))
		r->flags |= DIOS_PURE;
	if (cli_has(cli, RUN_RESTART))
		r->flags |= DIOS_RESTART;
	return 0;
}

static int run_groups(struct run *r)
{
	const char *job = cli_value(r->cli, RUN_JOB), *gang = cli_value(r->cli, RUN_GANG);

	if (job) {
		int status = job_name(r->cli, job, &r->job);
		if (status != 0)
			return status;
		r->options.job = &r->job;
	}
	if (gang) {
		int status = job_name(r->cli, gang, &r->gang);
		if (status != 0)
			return status;
		r->options.gang = &r->gang;
	}
	return 0;
}

static int run_open_references(struct run *r)
{
	struct cli *cli = r->cli;
	bool overwrite = cli_has(cli, RUN_OVERWRITE);
	const char *in = cli_value(cli, RUN_STDIN), *out = cli_value(cli, RUN_STDOUT), *err = cli_value(cli, RUN_STDERR);
	int status = 0;

	/* Inputs first: a missing one must not leave outputs behind. */
	for (size_t i = 0; status == 0 && i < cli->given_count; i++) {
		dios_ref ref;

		if (cli->given[i].id != RUN_INPUT)
			continue;
		status = input_open(cli, cli->given[i].value, &ref);
		if (status == 0)
			status = refs_add(cli, &r->inputs, ref, cli->given[i].value);
	}
	if (status == 0 && in)
		status = input_open(cli, in, &r->standard[0]);
	for (size_t i = 0; status == 0 && i < cli->given_count; i++) {
		dios_ref ref;

		if (cli->given[i].id != RUN_OUTPUT)
			continue;
		status = output_open(cli, cli->given[i].value, overwrite, &ref);
		if (status == 0)
			status = refs_add(cli, &r->outputs, ref, cli->given[i].value);
	}
	if (status == 0 && out)
		status = output_open(cli, out, overwrite, &r->standard[1]);
	r->shared_error = out && err && strcmp(out, err) == 0;
	if (status == 0 && err)
		status = r->shared_error ? (r->standard[2] = r->standard[1], 0) : output_open(cli, err, overwrite, &r->standard[2]);
	return status;
}

static void run_done(struct run *r)
{
	program_close(&r->program);
	refs_close(&r->inputs);
	refs_close(&r->outputs);
	for (int i = 0; i < 3; i++)
		if (r->standard[i] >= 0 && !(i == 2 && r->shared_error))
			dios_close(r->standard[i]);
	environment_free(r->environment);
}

/* Says of every output that it never will be: its readers must not wait for a task that did not start. */
static void run_give_up(struct run *r)
{
	for (size_t i = 0; i < r->outputs.count; i++)
		dios_set_produced(r->outputs.ref[i], 1);
	for (int i = 1; i < 3; i++)
		if (r->standard[i] >= 0)
			dios_set_produced(r->standard[i], 1);
}

static int run_start(struct run *r, struct task *ret_task)
{
	struct dios_run_options *o = &r->options;
	struct task t = { .ref = -1 };
	struct dios_name name;

	o->path = r->program.path;
	o->arguments = (const char *const *)r->cli->argv;
	o->environment = (const char *const *)r->environment;
	o->inputs = r->inputs.ref;
	o->input_count = r->inputs.count;
	o->outputs = r->outputs.ref;
	o->output_count = r->outputs.count;
	o->standard_input = r->standard[0] >= 0 ? &r->standard[0] : NULL;
	o->standard_output = r->standard[1] >= 0 ? &r->standard[1] : NULL;
	o->standard_error = r->standard[2] >= 0 ? &r->standard[2] : NULL;
	int e = dios_run(r->flags, r->program.ref, o, &t.ref);
	if (e < 0) {
		run_give_up(r);
		if (e == -EOPNOTSUPP && (r->flags & DIOS_PURE))
			return cli_fail_advised(r->cli, e, "this version has no pure tasks: leave --pure away", "cannot run %s", r->cli->argv[0]);
		return e == -ENOEXEC ? cli_fail_advised(r->cli, e, "a task needs an executable file, or a script that begins with #!", "cannot run %s",
			r->cli->argv[0]) : cli_object_failed(r->cli, e, "run", r->cli->argv[0]);
	}
	e = task_refresh(&t);
	if (e < 0) {
		task_close(&t);
		return cli_fail(r->cli, e, "the task was started, but cannot be asked for its name");
	}
	memcpy(name.bytes, t.info.name, sizeof(name.bytes));
	dios_name_to_text(&name, t.name);
	*ret_task = t;
	return 0;
}

static int run_wait(struct cli *cli, const char *mount, struct task *t)
{
	struct dios_wait wait = { .ref = t->ref, .wanted = DIOS_ENDED };
	int e;

	do
		e = dios_select(0, &wait, 1, -1);
	while (e == -EINTR);
	if (e == 0)
		e = task_refresh(t);
	if (e < 0) {
		cli_fail(cli, e, "cannot wait for the task %s", t->name);
		return EXIT_LOST;
	}
	if (task_status(t) != 0) {
		_cleanup_free_ char *outcome = task_explain(cli, mount, t);
		cli_warn(cli, "the task %s", outcome ? outcome : "failed");
	}
	return task_status(t);
}

static int run_report(struct run *r, struct task *t)
{
	struct cli *cli = r->cli;
	int status = EXIT_OK;

	if (!cli->json) {
		printf("%s\n", t->name);
		fflush(stdout);
	}
	if (cli_has(cli, RUN_WAIT))
		status = run_wait(cli, r->mount, t);
	if (cli->json && !cli->writer.done) {
		json_open_object(&cli->writer, NULL);
		json_open_array(&cli->writer, "tasks");
		task_json(cli, r->mount, t, NULL);
		cli_json_end(cli);
	}
	return status;
}

/* A file that says which mount is meant, if there are several. */
static const char *run_some_file(const struct cli *cli)
{
	static const int options[] = { RUN_INPUT, RUN_OUTPUT, RUN_STDIN, RUN_STDOUT, RUN_STDERR };

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (cli_value(cli, options[i]))
			return cli_value(cli, options[i]);
	return cli->argv[0];
}

static int run_run(struct cli *cli)
{
	struct run r = { .cli = cli, .program.ref = -1, .standard = { -1, -1, -1 } };
	struct task t;

	r.mount = cli_mount(cli, run_some_file(cli));
	if (!r.mount)
		return EXIT_FAILED;
	int status = run_numbers(&r);
	if (status == 0)
		status = run_groups(&r);
	if (status == 0)
		status = program_open(cli, r.mount, cli->argv[0], &r.program);
	if (status == 0) {
		r.environment = environment_new(cli, RUN_ENVIRONMENT);
		status = r.environment ? 0 : EXIT_FAILED;
	}
	if (status == 0) {
		status = run_open_references(&r);
		if (status != 0)
			run_give_up(&r);
	}
	if (status == 0)
		status = run_start(&r, &t);
	run_done(&r);   /* the task has references of its own by now */
	if (status != 0)
		return status;
	status = run_report(&r, &t);
	task_close(&t);
	return status;
}

static const struct cli_option run_options[] = {
	{ RUN_INPUT, "input", "OBJECT", "an input: descriptors from 3 up, listed in DIOS_INPUTS; may be given 256 times" },
	{ RUN_OUTPUT, "output", "FILE", "an output: descriptors after the inputs, listed in DIOS_OUTPUTS; may be given 256 times" },
	{ RUN_STDIN, "stdin", "OBJECT", "standard input (default: nothing to read)" },
	{ RUN_STDOUT, "stdout", "FILE", "standard output (default: a stream, see 'dios logs')" },
	{ RUN_STDERR, "stderr", "FILE", "standard error (default: a stream, see 'dios logs'); may be the same as --stdout" },
	{ RUN_OVERWRITE, "overwrite", NULL, "replace outputs that are there already" },
	{ RUN_ENVIRONMENT, "env", "KEY[=VALUE]", "a variable of its environment, which is empty but for PATH and what dios adds; KEY alone: as here" },
	{ RUN_JOB, "job", "JOB", "the job it belongs to: any text, or a name of 43 characters" },
	{ RUN_GANG, "gang", "GANG", "start together with the others of this gang, all or none" },
	{ RUN_GANG_SIZE, "gang-size", "N", "how many tasks the gang has" },
	{ RUN_MEMORY, "memory", "SIZE", "bound on its memory (default: none)" },
	{ RUN_CPU, "cpu", "PERCENT", "bound on processor time, 100 is one processor (default: none)" },
	{ RUN_NODE, "node", "ID", "run it on this node (default: near its inputs)" },
	{ RUN_PURE, "pure", NULL, "give it no power but its references" },
	{ RUN_RESTART, "restart", NULL, "run it again elsewhere if its node is lost" },
	{ RUN_WAIT, "wait", NULL, "wait until it has ended, and exit as 'dios wait' does" },
	{ 0 },
};
const struct cli_command command_run = {
	.name = "run", .arguments = "[--] PROG [ARG]...", .summary = "start a program as a task, and print the task's name",
	.details = "PROG is an object of the mount, a path of this node, or a word that is looked for in $PATH. The task waits for inputs that other\n"
		"tasks have still to produce. An output that is a stream is appended to; any other is a new blob, whose readers wait until the\n"
		"task has produced it, and get an error if it fails.",
	.options = run_options, .arguments_min = 1, .arguments_max = -1, .stop_at_argument = true, .run = run_run,
};
