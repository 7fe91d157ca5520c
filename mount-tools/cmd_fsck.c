/* dios fsck: checks a data directory that no daemon has, or through its daemon the one behind a mount; repairs the first. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "cluster/cluster.h"
#include "cluster/state_peek.h"
#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"
#include "mount-tools/fsck_online.h"
#include "mount-tools/text.h"
#include "objects/examine.h"
#include "store/why.h"

#define CACHE_BYTES (64u << 20)

enum { OPTION_REPAIR = 'r' };

static volatile sig_atomic_t cancelled;

static void on_signal(int number)
{
	(void)number;
	cancelled = 1;
}

bool fsck_cancelled(void) { return cancelled; }

/* ---- findings ----------------------------------------------------------------------------------------------------- */

static const char *const kind_words[] = { [FINDING_NOTE] = "note", [FINDING_PROBLEM] = "problem", [FINDING_REPAIRED] = "repaired" };

static void print_json(struct fsck *f, const struct finding *finding)
{
	struct json *out = &f->cli->writer;

	json_open_object(out, NULL);
	json_string(out, "kind", kind_words[finding->kind]);
	if (finding->path)
		json_bytes(out, "path", finding->path, strlen(finding->path));
	else
		json_null(out, "path");
	if (finding->name)
		json_string(out, "name", finding->name);
	else
		json_null(out, "name");
	if (finding->ino)
		json_uint(out, "inode", finding->ino);
	else
		json_null(out, "inode");
	if (finding->file)
		json_string(out, "file", finding->file);
	else
		json_null(out, "file");
	json_string(out, "text", finding->text);
	json_close(out);
}

/* "/a/b: what is wrong (object NAME, inode 12, file heads/ab/...)" */
static void print_line(struct fsck *f, const struct finding *finding)
{
	_cleanup_free_ char *path = finding->path ? text_printable(finding->path) : NULL;
	const char *start = " (";

	progress_clear(&f->progress);
	printf("%s%s%s%s%s", finding->kind == FINDING_PROBLEM ? "" : kind_words[finding->kind], finding->kind == FINDING_PROBLEM ? "" : ": ",
		path ? path : finding->name ? "" : finding->file ? finding->file : "", path || (!finding->name && finding->file) ? ": " : "", finding->text);
	if (finding->name) {
		printf("%sobject %s, inode %" PRIu64, start, finding->name, finding->ino);
		start = ", ";
	}
	if (finding->file && (path || finding->name)) {
		printf("%sfile %s", start, finding->file);
		start = ", ";
	}
	printf("%s\n", start[0] == ',' ? ")" : "");
	fflush(stdout);
}

void fsck_report(void *arg, const struct finding *finding)
{
	struct fsck *f = arg;

	if (f->cli->json)
		print_json(f, finding);
	else
		print_line(f, finding);
}

bool fsck_progress(void *arg, uint64_t done, uint64_t total)
{
	struct fsck *f = arg;

	f->progress.total = total;
	progress_update(&f->progress, done, NULL);
	return !cancelled;
}

void fsck_begin(struct fsck *f)
{
	progress_init(&f->progress, "fsck", PROGRESS_BYTES, 0, f->cli->json || f->cli->quiet);
	if (!f->cli->json || f->begun)
		return;
	f->begun = true;
	json_open_object(&f->cli->writer, NULL);
	json_open_array(&f->cli->writer, "findings");
}

int fsck_end(struct fsck *f, uint64_t problems, uint64_t repaired)
{
	if (f->cli->json) {
		json_close(&f->cli->writer);
		json_uint(&f->cli->writer, "problems", problems);
		json_uint(&f->cli->writer, "repaired", repaired);
		json_bool(&f->cli->writer, "clean", problems + repaired == 0);
		cli_json_end(f->cli);
	} else {
		progress_clear(&f->progress);
		if (repaired > 0)
			printf("%" PRIu64 " repaired%s", repaired, problems > 0 ? ", " : "\n");
		if (problems > 0)
			printf("%" PRIu64 " problem%s\n", problems, problems == 1 ? "" : "s");
		else if (repaired == 0)
			printf("clean\n");
	}
	return (problems > 0 ? FSCK_UNCORRECTED : 0) | (repaired > 0 ? FSCK_CORRECTED : 0);
}

/* ---- a data directory ---------------------------------------------------------------------------------------------- */

struct offline { struct fsck *f; const char *data; struct examine_options options; struct check_result result; bool lossy, tails; };

static int cancel(struct offline *o)
{
	cli_fail(o->f->cli, 0, "cancelled: %s", o->options.repair ? "what was repaired stays so, the rest is as it was" : "nothing was changed");
	return FSCK_CANCELLED;
}

static int failed(struct offline *o, int r, const char *error)
{
	const char *advice = r == -EBUSY ? "its daemon is running: check it with 'dios fsck', without DATA" :
		r == -ENOENT || r == -EINVAL || r == -ENOTDIR ? "name a data directory that 'dios init' made" : NULL;

	if (cancelled)
		return cancel(o);
	if (error[0])
		cli_fail_advised(o->f->cli, 0, advice, "%s", error);
	else
		cli_fail_advised(o->f->cli, r, advice, "cannot check the data directory %s", o->data);
	return FSCK_FAILED;
}

static int check_objects(struct offline *o, struct store *store)
{
	const struct check_options options = { .report = fsck_report, .progress = fsck_progress, .arg = o->f };
	struct check_result result = { 0 };
	struct cluster *cluster;

	store_why_clear();
	/* Replays the log into the state, as the daemon's start would; what was written and not committed stays for that. */
	int r = cluster_open(store, &clock_system, &random_system, &cluster);
	if (r == -EBADMSG) {
		o->result.problems++;
		fsck_report(o->f, &(struct finding){ .kind = FINDING_PROBLEM, .file = "state", .text = store_why()[0] ? store_why() :
			"an entry of the log cannot be applied to it: restore both from one backup" });
		return 0;
	}
	if (r < 0)
		return r;
	struct state *state = cluster_state(cluster, ROOT_INO);
	if (o->lossy)
		r = examine_keep_heads(o->data, store, state, &o->options, &o->result);
	if (r == 0)
		r = examine_tails(o->data, store, state, &o->options, &o->result, &o->tails);
	if (r == 0)
		r = objects_check(store, state, &options, &result);
	cluster_close(cluster);
	o->result.problems += result.problems;
	return r;
}

static int check_directory(struct offline *o, char error[static 1024])
{
	struct store *store;
	int r = objects_examine(o->data, &o->options, &o->result, &o->lossy, error, 1024);

	if (r == 0)
		r = store_open_judged(o->data, CACHE_BYTES, state_fits_log, &store, error, 1024);
	if (r < 0)
		return r;
	r = check_objects(o, store);
	store_close(store);
	/* What staged writes put into heads: known only now that the log is in the state. */
	if (r == 0 && o->tails && o->options.repair) {
		o->options.replayed = true;
		r = objects_examine(o->data, &o->options, &o->result, &o->lossy, error, 1024);
	}
	return r;
}

static int check_offline(struct fsck *f, const char *data)
{
	struct offline o = { .f = f, .data = data,
		.options = { .repair = cli_has(f->cli, OPTION_REPAIR), .report = fsck_report, .progress = fsck_progress, .arg = f } };
	char error[1024] = "";
	struct disk *disk;
	int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* What the floors below would log is what is found. */
	if (quiet >= 0)
		log_set_fd(quiet);
	/* Before anything is printed: is it one at all? */
	int r = disk_posix_new(data, &disk);
	if (r == 0)
		disk_free(disk);
	if (r < 0) {
		snprintf(error, sizeof(error), "cannot open %s: %s", data, strerror(-r));
		return failed(&o, r, error);
	}
	fsck_begin(f);
	r = check_directory(&o, error);
	if (cancelled)
		return cancel(&o);
	if (r < 0 && !(r == -EBADMSG && o.result.problems > 0))
		return failed(&o, r, error);
	return fsck_end(f, o.result.problems, o.result.repaired);
}

static int run_fsck(struct cli *cli)
{
	struct fsck f = { .cli = cli };
	struct sigaction action = { .sa_handler = on_signal };   /* without SA_RESTART: who waits for the daemon wakes up */

	if (cli->argc > 0 && cli->mount_option)
		return cli_usage(cli, "either a data directory or --mount");
	if (cli->argc == 0 && cli_has(cli, OPTION_REPAIR))
		return cli_usage(cli, "--repair needs DATA, whose daemon is stopped: beside a working daemon nothing is repaired");
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return cli->argc > 0 ? check_offline(&f, cli->argv[0]) : fsck_online(&f);
}

static const struct cli_option options[] = {
	{ OPTION_REPAIR, "repair", NULL, "mend what can be mended, with nothing dropped: what is taken out of use is kept in DATA/lost" },
	{ 0 },
};

const struct cli_command command_fsck = {
	.name = "fsck", .arguments = "[DATA]", .summary = "check that everything is there and undamaged, and repair it",
	.details = "With DATA: a data directory that no daemon has. Without: the one behind the mount, by its daemon, while it works; as root.\n"
		"Every block's checksum is verified, and records, names, entries, links, rows, streams and files against each other. Nothing is\n"
		"changed without --repair, but that the log of DATA is replayed as at a start. The last line is 'clean' or the number of\n"
		"problems; what a start of the daemon clears away by itself is a note.\n"
		"Exit status, a sum: 0 clean, 1 problems were repaired, 4 problems are left, 8 it could not be checked, 16 wrong usage, 32 cancelled.",
	.options = options, .arguments_max = 1, .usage_status = FSCK_USAGE, .run = run_fsck,
};
