/* dios mapreduce: a MapReduce of tasks over files of the mount, its result one file. */
#include <glob.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/random.h"
#include "mount-tools/commands.h"
#include "mount-tools/mapreduce.h"
#include "mount-tools/text.h"

#define MAPPERS_DEFAULT 3u
#define REDUCERS_DEFAULT 1u

enum { MR_INPUT = 'i', MR_OUTPUT = 'o', MR_REDUCERS = 'r', MR_MAPPERS = 'm', MR_JOB = 'j', MR_ENVIRONMENT = 'e', MR_MAP = 256, MR_REDUCE, MR_OVERWRITE };

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };   /* the second one ends us */

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static int add_input(struct mapreduce *m, const char *path)
{
	struct input *grown = reallocarray(m->inputs, m->input_count + 1, sizeof(*grown));
	struct stat st;

	if (!grown)
		return cli_fail(m->cli, -ENOMEM, "%s", path);
	m->inputs = grown;
	if (stat(path, &st) < 0)
		return cli_object_failed(m->cli, -errno, "look at the input", path);
	if (!S_ISREG(st.st_mode))
		return 0;   /* a pattern may well match folders */
	m->inputs[m->input_count].path = strdup(path);
	m->inputs[m->input_count].size = (uint64_t)st.st_size;
	if (!m->inputs[m->input_count].path)
		return cli_fail(m->cli, -ENOMEM, "%s", path);
	m->input_count++;
	return 0;
}

static int compare_inputs(const void *a, const void *b)
{
	const struct input *x = a, *y = b;

	if (x->size != y->size)
		return x->size < y->size ? 1 : -1;
	return strcmp(x->path, y->path);
}

static int find_inputs(struct mapreduce *m)
{
	struct cli *cli = m->cli;
	int status = 0;

	for (size_t i = 0; status == 0 && i < cli->given_count; i++) {
		const char *pattern = cli->given[i].value;
		glob_t found;
		size_t before = m->input_count;

		if (cli->given[i].id != MR_INPUT)
			continue;
		int r = glob(pattern, GLOB_BRACE, NULL, &found);
		if (r == GLOB_NOMATCH)
			return cli_fail(cli, -ENOENT, "no file matches the input '%s'", pattern);
		if (r != 0)
			return cli_fail(cli, r == GLOB_NOSPACE ? -ENOMEM : -EIO, "cannot look for the input '%s'", pattern);
		for (size_t k = 0; status == 0 && k < found.gl_pathc; k++)
			status = add_input(m, found.gl_pathv[k]);
		globfree(&found);
		if (status == 0 && m->input_count == before)
			status = cli_fail(cli, -EISDIR, "the input '%s' matches folders only", pattern);
	}
	if (status == 0)
		qsort(m->inputs, m->input_count, sizeof(*m->inputs), compare_inputs);
	return status;
}

static int read_options(struct mapreduce *m)
{
	struct cli *cli = m->cli;
	uint64_t mappers = MAPPERS_DEFAULT, reducers = REDUCERS_DEFAULT;
	static const struct { int id; const char *what; } needed[] = {
		{ MR_MAP, "--map PROG" }, { MR_REDUCE, "--reduce PROG" }, { MR_INPUT, "--input GLOB" }, { MR_OUTPUT, "--output FILE" },
	};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!cli_has(cli, needed[i].id))
			return cli_usage(cli, "needs %s", needed[i].what);
	if (cli_count_value(cli, MR_MAPPERS, 1, MAPPERS_MAX, &mappers) != 0 || cli_count_value(cli, MR_REDUCERS, 1, REDUCERS_MAX, &reducers) != 0)
		return EXIT_USAGE;
	m->out = cli_value(cli, MR_OUTPUT);
	m->map_name = cli_value(cli, MR_MAP);
	m->reduce_name = cli_value(cli, MR_REDUCE);
	m->mappers = mappers;
	m->reducers = reducers;
	return 0;
}

static int prepare(struct mapreduce *m)
{
	struct cli *cli = m->cli;
	struct stat st;
	int status;

	m->mount = cli_mount(cli, m->out);
	if (!m->mount)
		return EXIT_FAILED;
	if (!cli_has(cli, MR_OVERWRITE) && lstat(m->out, &st) == 0)
		return cli_fail_advised(cli, -EEXIST, "remove it first, or say --overwrite", "cannot make the result %s", m->out);
	status = find_inputs(m);
	if (status != 0)
		return status;
	if (m->mappers > m->input_count)
		m->mappers = m->input_count;
	if (cli_value(cli, MR_JOB))
		status = job_name(cli, cli_value(cli, MR_JOB), &m->job);
	else
		random_fill(&random_system, m->job.bytes, sizeof(m->job.bytes));
	random_fill(&random_system, m->gang.bytes, sizeof(m->gang.bytes));
	if (status == 0)
		status = program_open(cli, m->mount, m->map_name, &m->map);
	if (status == 0)
		status = program_open(cli, m->mount, m->reduce_name, &m->reduce);
	if (status == 0) {
		m->environment = environment_new(cli, MR_ENVIRONMENT);
		status = m->environment ? 0 : EXIT_FAILED;
	}
	return status;
}

static void report(struct mapreduce *m, uint64_t size)
{
	struct cli *cli = m->cli;
	char job[DIOS_NAME_TEXT], in[TEXT_SIZE_MAX], out[TEXT_SIZE_MAX];

	dios_name_to_text(&m->job, job);
	if (!cli->json) {
		text_size(m->input_bytes, in);
		text_size(size, out);
		printf("%zu inputs (%s), %zu mappers, %zu reducers: %s (%s)\n", m->input_count, in, m->mappers, m->reducers, m->out, out);
		return;
	}
	json_open_object(&cli->writer, NULL);
	json_string(&cli->writer, "job", job);
	json_string(&cli->writer, "output", m->out);
	json_uint(&cli->writer, "size", size);
	json_uint(&cli->writer, "inputs", m->input_count);
	json_uint(&cli->writer, "input_bytes", m->input_bytes);
	json_uint(&cli->writer, "mappers", m->mappers);
	json_uint(&cli->writer, "reducers", m->reducers);
	json_open_array(&cli->writer, "tasks");
	for (size_t i = 0; i < m->started; i++)
		task_json(cli, m->mount, &m->tasks[i], i < m->mappers ? "map" : "reduce");
	json_close(&cli->writer);
	json_close(&cli->writer);
}

static int run_mapreduce(struct cli *cli)
{
	struct mapreduce m = { .cli = cli, .map.ref = -1, .reduce.ref = -1 };
	uint64_t size = 0;
	int status = read_options(&m);

	if (status != 0)
		return status;
	catch_signals();
	status = prepare(&m);
	if (status == 0)
		status = mapreduce_start(&m);
	if (status == 0)
		status = mapreduce_wait(&m, &stop);
	if (status == 0)
		status = mapreduce_join(&m, cli_has(cli, MR_OVERWRITE), &size);
	if (status == 0)
		report(&m, size);
	mapreduce_done(&m);
	return status;
}

static const struct cli_option mapreduce_options[] = {
	{ MR_MAP, "map", "PROG", "the mappers' program" },
	{ MR_REDUCE, "reduce", "PROG", "the reducers' program" },
	{ MR_INPUT, "input", "GLOB", "inputs: a path or a quoted pattern; may be given many times" },
	{ MR_OUTPUT, "output", "FILE", "the result, one file: the reducers' parts one after the other" },
	{ MR_REDUCERS, "reducers", "N", "how many reducers (default: 1)" },
	{ MR_MAPPERS, "mappers", "N", "how many mappers at most (default: 3); the inputs are shared among them" },
	{ MR_JOB, "job", "JOB", "the job they belong to (default: one of their own)" },
	{ MR_ENVIRONMENT, "env", "KEY[=VALUE]", "a variable of their environment, as for 'dios run'" },
	{ MR_OVERWRITE, "overwrite", NULL, "replace a result that is there already" },
	{ 0 },
};
const struct cli_command command_mapreduce = {
	.name = "mapreduce", .summary = "run mappers and reducers as tasks, joined by streams, and wait for their result",
	.details = "A mapper finds its inputs in DIOS_INPUTS, and in DIOS_OUTPUTS a stream for each reducer: it chooses one by key, and writes whole\n"
		"records. A reducer finds its stream in DIOS_INPUTS, and in DIOS_OUTPUTS its part of the result. PROG is as for 'dios run'.\n"
		"If one fails, or on ctrl-C, all are ended, and there is no result. The streams go with the tasks.",
	.options = mapreduce_options, .run = run_mapreduce,
};
