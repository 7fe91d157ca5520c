/* dios cp: a copy within the mount; with --clone a new object over the same bytes. */
#include <fcntl.h>
#include <string.h>

#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"
#include "mount-tools/facts.h"
#include "mount-tools/run_refs.h"
#include "mount-tools/transfer.h"

enum { CP_CLONE = 'c', CP_NO_CLOBBER = 'n', CP_TIMES = 'p' };

/* A new object at a hidden path, renamed into its place: libdios makes new places only. */
static int clone_into(struct cli *cli, dios_ref source, const char *what, const char *place)
{
	_cleanup_free_ char *temporary = temporary_path(place);
	struct dios_create_options create = { .kind = DIOS_BLOB, .path = temporary };
	struct dios_copy_options options = { .create = &create };
	struct stat st;
	dios_ref ref;
	int r;

	if (!temporary)
		return cli_fail(cli, -ENOMEM, "%s", place);
	if (!cli_mount_of(cli, place))
		return cli_fail_advised(cli, -EXDEV, "leave --clone out, or use 'dios get'", "cannot clone to %s, which is in no dios mount", place);
	if (fstat(source, &st) < 0)
		return cli_object_failed(cli, -errno, "look at", what);
	create.mode = st.st_mode & 0777;
	r = dios_copy(DIOS_CLONE, source, &options, &ref, NULL);
	if (r < 0)
		return cli_object_failed(cli, r, "clone", what);
	dios_close(ref);
	if (renameat2(AT_FDCWD, temporary, AT_FDCWD, place, cli_has(cli, CP_NO_CLOBBER) ? RENAME_NOREPLACE : 0) < 0) {
		r = -errno;
		unlink(temporary);
		return cli_fail_advised(cli, r, r == -EEXIST ? "leave --no-clobber out to replace it" : NULL, "cannot put %s in its place", place);
	}
	return 0;
}

static int copy_one(struct cli *cli, struct transfer *t, const char *what, const char *place)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int source = -1;
	uint64_t size = 0;
	int status = cli_object_path(cli, what, &path);

	if (status != 0)
		return status;
	if (!cli_has(cli, CP_CLONE))
		return transfer_file(t, path, place, &size);
	int r = dios_open(0, path, DIOS_READ, &source);
	if (r < 0)
		return cli_object_failed(cli, r, "open", what);
	return clone_into(cli, source, what, place);
}

static void json_copy(struct json *j, const char *what, const char *place, bool clone)
{
	struct facts f;

	json_open_object(j, NULL);
	json_string(j, "from", what);
	json_string(j, "to", place);
	json_bool(j, "clone", clone);
	if (facts_read(AT_FDCWD, place, 0, &f) == 0 && strcmp(f.name, "-") != 0)
		json_string(j, "name", f.name);
	else
		json_null(j, "name");
	json_close(j);
}

static int copy_all(struct cli *cli, struct transfer *t, const char *destination, bool folder)
{
	int status = EXIT_OK;

	for (int i = 0; i + 1 < cli->argc && !cli->writer.done; i++) {
		_cleanup_free_ char *place = transfer_place(cli->argv[i], destination, folder);

		if (!place)
			return cli_fail(cli, -ENOMEM, "%s", destination);
		if (copy_one(cli, t, cli->argv[i], place) != 0)
			status = EXIT_FAILED;
		else if (cli->json)
			json_copy(&cli->writer, cli->argv[i], place, cli_has(cli, CP_CLONE));
	}
	return status;
}

static int run_cp(struct cli *cli)
{
	const char *destination = cli->argv[cli->argc - 1];
	struct transfer t;
	struct stat st;
	bool folder = stat(destination, &st) == 0 && S_ISDIR(st.st_mode);
	uint64_t total = 0;

	if (!cli_mount(cli, destination))
		return EXIT_FAILED;
	if (cli->argc > 2 && !folder)
		return cli_usage(cli, "'%s' is no folder: several objects need one", destination);
	for (int i = 0; i + 1 < cli->argc; i++)
		if (stat(cli->argv[i], &st) == 0 && S_ISREG(st.st_mode))
			total += (uint64_t)st.st_size;
	if (transfer_init(&t, cli, "cp", total) != 0)
		return EXIT_FAILED;
	t.no_clobber = cli_has(cli, CP_NO_CLOBBER);
	t.times = cli_has(cli, CP_TIMES);
	if (cli->json) {
		json_open_object(&cli->writer, NULL);
		json_open_array(&cli->writer, "files");
	}
	int status = copy_all(cli, &t, destination, folder);
	if (cli->json && !cli->writer.done)
		cli_json_end(cli);
	transfer_done(&t);
	return status;
}

static const struct cli_option cp_options[] = {
	{ CP_CLONE, "clone", NULL, "a new object with the same bytes, without sending them through this command" },
	{ CP_NO_CLOBBER, "no-clobber", NULL, "refuse a destination that exists (default: replace it)" },
	{ CP_TIMES, "preserve", NULL, "the copy gets the times of its source (not with --clone)" },
	{ 0 },
};
const struct cli_command command_cp = {
	.name = "cp", .arguments = "OBJECT... DESTINATION", .summary = "copy objects within a mount",
	.details = "OBJECT is a path in the mount, an object's name, or a token. DESTINATION is a folder, or for one object its new path. A copy\n"
		"appears when it is whole; until then the place holds what it held.",
	.options = cp_options, .arguments_min = 2, .arguments_max = -1, .run = run_cp,
};
