/* dios put, get: files into the mount and out of it, whole or not at all, with progress. */
#include <fcntl.h>
#include <string.h>

#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"
#include "mount-tools/facts.h"
#include "mount-tools/transfer.h"

enum { COPY_TIMES = 'p', COPY_NO_CLOBBER = 'n' };

static uint64_t sum_sizes(char **paths, int count)
{
	uint64_t total = 0;

	for (int i = 0; i < count; i++) {
		struct stat st;

		if (stat(paths[i], &st) == 0 && S_ISREG(st.st_mode))
			total += (uint64_t)st.st_size;
	}
	return total;
}

static void json_copied(struct cli *cli, const char *from, const char *to, const char *object, uint64_t size)
{
	struct json *j = &cli->writer;
	struct facts f;

	json_open_object(j, NULL);
	json_string(j, "from", from);
	json_string(j, "to", to);
	json_uint(j, "size", size);
	if (strcmp(object, "-") != 0 && facts_read(AT_FDCWD, object, 0, &f) == 0 && strcmp(f.name, "-") != 0)
		json_string(j, "name", f.name);
	else
		json_null(j, "name");
	json_close(j);
}

/* Copies each source to the destination. `in_mount` says which side the objects are on. */
static int copy_all(struct cli *cli, struct transfer *t, char **sources, int count, const char *destination, bool folder, bool into_mount)
{
	int status = EXIT_OK;

	for (int i = 0; i < count && !cli->writer.done; i++) {
		_cleanup_free_ char *source = NULL, *place = transfer_place(sources[i], destination, folder);
		uint64_t size = 0;
		int r;

		if (!place)
			return cli_fail(cli, -ENOMEM, "%s", sources[i]);
		if (into_mount || strcmp(sources[i], "-") == 0) {
			source = strdup(sources[i]);
			r = source ? 0 : cli_fail(cli, -ENOMEM, "%s", sources[i]);
		} else {
			r = cli_object_path(cli, sources[i], &source);
		}
		if (r == 0)
			r = transfer_file(t, source, place, &size);
		if (r != 0)
			status = EXIT_FAILED;
		else if (cli->json)
			json_copied(cli, sources[i], place, into_mount ? place : source, size);
	}
	return status;
}

static int transfer_all(struct cli *cli, bool into_mount)
{
	int count = cli->argc - 1;
	const char *destination = cli->argv[count];
	struct transfer t;
	struct stat st;
	bool folder = strcmp(destination, "-") != 0 && stat(destination, &st) == 0 && S_ISDIR(st.st_mode);
	const char *mount = cli_mount(cli, into_mount ? destination : cli->argv[0]);

	if (!mount)
		return EXIT_FAILED;
	if (count > 1 && !folder)
		return cli_usage(cli, "'%s' is no folder: several files need one", destination);
	if (into_mount && strcmp(destination, "-") == 0)
		return cli_usage(cli, "the destination is a place in the mount, not '-'");
	if (cli->json && strcmp(destination, "-") == 0)
		return cli_usage(cli, "--json and the destination '-' exclude each other: use 'dios cat --json'");
	for (int i = 0; folder && i < count; i++)
		if (strcmp(cli->argv[i], "-") == 0)
			return cli_usage(cli, "standard input has no name: give the file that it becomes, not a folder");
	if (transfer_init(&t, cli, into_mount ? "put" : "get", sum_sizes(cli->argv, count)) != 0)
		return EXIT_FAILED;
	t.no_clobber = cli_has(cli, COPY_NO_CLOBBER);
	t.times = cli_has(cli, COPY_TIMES);
	if (cli->json) {
		json_open_object(&cli->writer, NULL);
		json_open_array(&cli->writer, "files");
	}
	int status = copy_all(cli, &t, cli->argv, count, destination, folder, into_mount);
	if (cli->json && !cli->writer.done) {
		json_close(&cli->writer);
		json_uint(&cli->writer, "bytes", t.bytes);
		json_close(&cli->writer);
	}
	transfer_done(&t);
	return status;
}

static int run_put(struct cli *cli)
{
	return transfer_all(cli, true);
}

static int run_get(struct cli *cli)
{
	return transfer_all(cli, false);
}

static const struct cli_option copy_options[] = {
	{ COPY_TIMES, "preserve", NULL, "the copy gets the times of its source" },
	{ COPY_NO_CLOBBER, "no-clobber", NULL, "refuse a destination that exists (default: replace it)" },
	{ 0 },
};
const struct cli_command command_put = {
	.name = "put", .arguments = "FILE... DESTINATION", .summary = "copy files into a mount, durably, with progress",
	.details = "FILE '-' is standard input. DESTINATION is a path in the mount: a folder, or for one file its new name. A file appears when it is\n"
		"whole and on disk; until then the place holds what it held.",
	.options = copy_options, .arguments_min = 2, .arguments_max = -1, .run = run_put,
};
const struct cli_command command_get = {
	.name = "get", .arguments = "OBJECT... DESTINATION", .summary = "copy objects out of a mount, with progress",
	.details = "OBJECT is a path in the mount, an object's name, or a token. DESTINATION is a folder, a file, or '-' for standard output.",
	.options = copy_options, .arguments_min = 2, .arguments_max = -1, .run = run_get,
};
