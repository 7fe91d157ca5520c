/* dios logs: what a task has written to its standard output and error. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "mount-tools/cli_task.h"
#include "mount-tools/commands.h"

#define CHUNK 65536u

enum { LOGS_FOLLOW = 'f', LOGS_STDOUT = 256, LOGS_STDERR };

struct log_source {
	const char *name;       /* "stdout", "stderr" */
	FILE *out;              /* where it goes */
	int fd;                 /* -1: ended, or not wanted */
};

/* The file behind a task's output: its own stream, or what --stdout said. */
static int source_open(struct cli *cli, const char *mount, const struct task *t, struct log_source *s)
{
	_cleanup_free_ char *path = cli_dios_path(cli, mount, "tasks/%s/%s", t->name, s->name);

	if (!path)
		return EXIT_FAILED;
	s->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (s->fd < 0 && errno == EAGAIN && !cli_has(cli, LOGS_FOLLOW))
		return cli_fail_advised(cli, -EAGAIN, "say --follow to wait for it", "the %s of %s is a blob that is not produced yet", s->name, t->name);
	if (s->fd < 0 && errno == EAGAIN)
		s->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0 && errno == ENOENT)
		return 0;   /* it has none, or it is gone */
	if (s->fd < 0)
		return cli_object_failed(cli, -errno, "open", path);
	return 0;
}

static void source_end(struct log_source *s)
{
	close(s->fd);
	s->fd = -1;
}

static int source_put(struct cli *cli, struct log_source *s, const char *data, size_t size)
{
	if (cli->json) {
		/* One object a line: a log may go on for ever. */
		struct json line;

		json_init(&line, stdout);
		json_open_object(&line, NULL);
		json_string(&line, "stream", s->name);
		json_string(&line, "encoding", "base64");
		json_base64_open(&line, "content");
		json_base64_add(&line, data, size);
		json_close(&line);
		json_close(&line);
	} else {
		fwrite(data, 1, size, s->out);
	}
	return fflush(cli->json ? stdout : s->out) != 0 ? EXIT_FAILED : 0;
}

/* Reads what is there. 0 also when nothing is; a status after a message. */
static int source_drain(struct cli *cli, struct log_source *s)
{
	char chunk[CHUNK];

	while (s->fd >= 0) {
		ssize_t n = read(s->fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return cli_fail(cli, -errno, "cannot read %s", s->name);
		if (n == 0) {
			source_end(s);
			return 0;
		}
		if (source_put(cli, s, chunk, (size_t)n) != 0)
			return EXIT_FAILED;
	}
	return 0;
}

static int logs_read(struct cli *cli, struct log_source *sources, size_t count)
{
	for (;;) {
		struct dios_wait waits[2];
		bool open = false;

		for (size_t i = 0; i < count; i++) {
			int status = source_drain(cli, &sources[i]);

			if (status != 0)
				return status;
			open |= sources[i].fd >= 0;
			waits[i] = (struct dios_wait){ .ref = sources[i].fd, .wanted = DIOS_READABLE };
		}
		if (!open || !cli_has(cli, LOGS_FOLLOW))
			return EXIT_OK;
		int r = dios_select(0, waits, count, -1);
		if (r < 0 && r != -EINTR)
			return cli_fail(cli, r, "cannot wait for the task's output");
	}
}

/* The task has both in one place: once is enough. */
static bool same_object(int a, int b)
{
	struct stat x, y;

	return a >= 0 && b >= 0 && fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int run_logs(struct cli *cli)
{
	struct log_source sources[] = { { .name = "stdout", .out = stdout, .fd = -1 }, { .name = "stderr", .out = stderr, .fd = -1 } };
	const int options[] = { LOGS_STDOUT, LOGS_STDERR };
	bool both = cli_has(cli, LOGS_STDOUT) == cli_has(cli, LOGS_STDERR);
	const char *mount = cli_mount(cli, NULL);
	struct task t;
	int status;

	if (!mount)
		return EXIT_FAILED;
	status = task_open(cli, mount, cli->argv[0], &t);
	if (status != 0)
		return status;
	/* One alone is the result, wherever the task wrote it. */
	if (!both)
		sources[1].out = stdout;
	for (size_t i = 0; status == 0 && i < 2; i++)
		if (both || cli_has(cli, options[i]))
			status = source_open(cli, mount, &t, &sources[i]);
	if (same_object(sources[0].fd, sources[1].fd))
		source_end(&sources[1]);
	if (status == 0 && sources[0].fd < 0 && sources[1].fd < 0)
		status = cli_fail(cli, 0, "the task %s has no output that is still kept", t.name);
	if (status == 0)
		status = logs_read(cli, sources, 2);
	for (size_t i = 0; i < 2; i++)
		if (sources[i].fd >= 0)
			close(sources[i].fd);
	task_close(&t);
	return status;
}

static const struct cli_option logs_options[] = {
	{ LOGS_FOLLOW, "follow", NULL, "go on until the task closes its output" },
	{ LOGS_STDOUT, "stdout", NULL, "only its standard output" },
	{ LOGS_STDERR, "stderr", NULL, "only its standard error, to standard output" },
	{ 0 },
};
const struct cli_command command_logs = {
	.name = "logs", .arguments = "TASK", .summary = "print what a task has written to standard output and error",
	.details = "TASK is a name, or the first characters of one. Its standard error goes to standard error.",
	.options = logs_options, .arguments_min = 1, .arguments_max = 1, .run = run_logs,
};
