/* dios fsck: checks a data directory that no daemon has, or through its daemon the one behind a mount. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"
#include "mount-tools/progress.h"
#include "objects/check.h"
#include "cluster/cluster.h"

#define CACHE_BYTES (64u << 20)

/* As fsck(8) has them. */
enum { FSCK_CLEAN = 0, FSCK_ERRORS = 4, FSCK_FAILED = 8 };

struct fsck { struct cli *cli; struct progress progress; uint64_t problems, notes; };

static void fsck_line(struct fsck *f, bool problem, const char *line)
{
	if (problem)
		f->problems++;
	else
		f->notes++;
	if (!f->cli->json) {
		progress_clear(&f->progress);
		printf("%s%s\n", problem ? "" : "note: ", line);
		return;
	}
	json_open_object(&f->cli->writer, NULL);
	json_bool(&f->cli->writer, "problem", problem);
	json_string(&f->cli->writer, "text", line);
	json_close(&f->cli->writer);
}

static void fsck_begin(struct fsck *f)
{
	if (!f->cli->json)
		return;
	json_open_object(&f->cli->writer, NULL);
	json_open_array(&f->cli->writer, "lines");
}

static int fsck_end(struct fsck *f, uint64_t problems)
{
	if (f->cli->json) {
		json_close(&f->cli->writer);
		json_uint(&f->cli->writer, "problems", problems);
		json_bool(&f->cli->writer, "clean", problems == 0);
		cli_json_end(f->cli);
	} else if (problems > 0) {
		printf("%" PRIu64 " problem%s\n", problems, problems == 1 ? "" : "s");
	} else {
		printf("clean\n");
	}
	return problems > 0 ? FSCK_ERRORS : FSCK_CLEAN;
}

/* ---- a data directory ----------------------------------------------------------------------------------------------- */

static void offline_report(void *arg, bool problem, const char *line)
{
	fsck_line(arg, problem, line);
}

static bool offline_progress(void *arg, uint64_t done, uint64_t total)
{
	struct fsck *f = arg;

	f->progress.total = total;
	progress_update(&f->progress, done, NULL);
	return true;
}

static int check_store(struct fsck *f, const char *data, struct store *store)
{
	const struct check_options options = { .report = offline_report, .progress = offline_progress, .arg = f };
	struct check_result result = { 0 };
	struct cluster *cluster;
	/* Replays the log into the state, as the daemon's start would; what was written and not committed stays for that. */
	int r = cluster_open(store, &clock_system, &random_system, &cluster);

	if (r < 0) {
		cli_fail_advised(f->cli, r, r == -EBADMSG ? "the log is damaged, or it and the state do not belong together: restore both from one backup" : NULL,
			"the log or the state in %s cannot be read", data);
		return FSCK_FAILED;
	}
	progress_init(&f->progress, "fsck", PROGRESS_BYTES, 0, f->cli->json);
	fsck_begin(f);
	r = objects_check(store, cluster_state(cluster, ROOT_INO), &options, &result);
	progress_finish(&f->progress, result.bytes, NULL);
	cluster_close(cluster);
	if (r < 0) {
		cli_fail(f->cli, r, "the check of %s did not come to its end", data);
		return FSCK_FAILED;
	}
	return fsck_end(f, result.problems);
}

static int check_offline(struct fsck *f, const char *data)
{
	char error[512] = "";
	struct store *store;
	int r = store_open(data, CACHE_BYTES, &store, error, sizeof(error));

	if (r < 0) {
		const char *advice = r == -EBUSY ? "its daemon is running: check it with 'dios fsck', without DATA" :
			r == -ENOENT || r == -EINVAL ? "name a data directory that 'dios init' made" : NULL;

		if (error[0])
			cli_fail_advised(f->cli, 0, advice, "%s", error);
		else
			cli_fail_advised(f->cli, r, advice, "cannot open the data directory %s", data);
		return FSCK_FAILED;
	}
	int status = check_store(f, data, store);
	store_close(store);
	return status;
}

/* ---- a mount -------------------------------------------------------------------------------------------------------- */

/* The daemon's answer: lines, problems among them as they are, others with "note: "; the last is "clean" or "N problems". */
static int print_answer(struct fsck *f, char *text)
{
	uint64_t problems = 0;
	bool complete = false;

	fsck_begin(f);
	for (char *line = text, *end; *line; line = end) {
		size_t size = strcspn(line, "\n");

		end = line + size + (line[size] == '\n');
		line[size] = '\0';
		if (*end) {
			bool note = strncmp(line, "note: ", 6) == 0;
			fsck_line(f, !note, note ? line + 6 : line);
			continue;
		}
		char *rest;
		problems = strtoull(line, &rest, 10);
		complete = strcmp(line, "clean") == 0 || (rest != line && strncmp(rest, " problem", 8) == 0);
	}
	if (!complete) {
		cli_fail(f->cli, -EBADMSG, "the daemon's answer is not complete");
		return FSCK_FAILED;
	}
	return fsck_end(f, problems);
}

static int check_online(struct fsck *f)
{
	struct cli *cli = f->cli;
	const char *mount = cli_mount(cli, NULL);
	_cleanup_free_ char *path = mount ? cli_dios_path(cli, mount, "fsck") : NULL;
	_cleanup_buffer_ struct buffer text = { 0 };

	if (!path)
		return FSCK_FAILED;
	buffer_init(&text, CLI_FILE_MAX);
	int r = cli_read_file(path, &text);
	if (r == -EACCES)
		cli_fail_advised(cli, r, "it reads everybody's data: run it as root", "cannot check %s", mount);
	else if (r < 0)
		cli_object_failed(cli, r, "check", mount);
	return r < 0 ? FSCK_FAILED : print_answer(f, (char *)text.data);
}

static int run_fsck(struct cli *cli)
{
	struct fsck f = { .cli = cli };

	if (cli->argc > 0 && cli->mount_option)
		return cli_usage(cli, "either a data directory or --mount");
	return cli->argc > 0 ? check_offline(&f, cli->argv[0]) : check_online(&f);
}

const struct cli_command command_fsck = {
	.name = "fsck", .arguments = "[DATA]", .summary = "check that everything is there and undamaged",
	.details = "With DATA: a data directory that no daemon has. Without: the one behind the mount, by its daemon, while it works; as root.\n"
		"Every block's checksum is verified, and records, names, entries, links, rows, streams and files against each other. Nothing is\n"
		"changed or dropped, but that the log of DATA is replayed as at a start. The last line is 'clean' or the number of problems; what\n"
		"a start of the daemon clears away by itself is a note.\n"
		"Exit status: 0 clean, 4 problems found, 8 it could not be checked, 2 wrong usage.",
	.arguments_max = 1, .run = run_fsck,
};
