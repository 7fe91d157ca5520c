/* dios ls: a folder's entries, or every object of the realm, with what a plain ls doesn't know. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"
#include "mount-tools/facts.h"
#include "mount-tools/table.h"

#define SORTED_MAX 100000u   /* entries that are sorted; a larger folder is listed in its own order, without filling memory */

enum { LS_ALL = 256, LS_HIDDEN = 'A' };

struct listing {
	struct cli *cli;
	struct table table;
	bool names;          /* the entries are object names */
};

static void list_entry(struct listing *l, int directory, const char *entry)
{
	struct facts f;
	int r = facts_read(directory, entry, AT_SYMLINK_NOFOLLOW, &f);

	if (r == -ENOENT || r == -ESTALE)
		return;   /* removed meanwhile */
	if (l->cli->json) {
		struct json *j = &l->cli->writer;

		json_open_object(j, NULL);
		json_string(j, "entry", entry);
		if (r == 0)
			facts_json(j, &f);
		json_close(j);
		return;
	}
	table_cell(&l->table, r < 0 ? "?" : f.kind);
	if (r == 0) {
		table_printf(&l->table, "%jd", (intmax_t)f.st.st_size);
		table_printf(&l->table, f.has_version ? "%" PRIu64 : "-", f.version);
		table_cell(&l->table, f.proximity);
		table_printf(&l->table, f.replica_count ? "%" PRIu32 : "-", f.replica_count);
	} else {
		for (int i = 0; i < 4; i++)
			table_cell(&l->table, "?");
	}
	table_cell(&l->table, entry);
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lists what is held, sorted, and forgets it. */
static void list_held(struct listing *l, int directory, char **held, size_t *count)
{
	qsort(held, *count, sizeof(*held), compare_text);
	for (size_t i = 0; i < *count; i++) {
		list_entry(l, directory, held[i]);
		free(held[i]);
	}
	*count = 0;
}

static int list_directory(struct listing *l, int fd, const char *path)
{
	bool hidden = l->names || cli_has(l->cli, LS_HIDDEN);
	_cleanup_free_ char **held = calloc(SORTED_MAX, sizeof(*held));
	size_t count = 0;
	DIR *directory = held ? fdopendir(fd) : NULL;
	int r = 0;

	if (!directory) {
		close(fd);
		return cli_fail(l->cli, -ENOMEM, "cannot list %s", path);
	}
	for (;;) {
		errno = 0;
		struct dirent *e = readdir(directory);

		if (!e) {
			r = -errno;
			break;
		}
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || (e->d_name[0] == '.' && !hidden))
			continue;
		held[count] = strdup(e->d_name);
		if (!held[count]) {
			r = -ENOMEM;
			break;
		}
		if (++count == SORTED_MAX || l->names)
			list_held(l, fd, held, &count);
	}
	list_held(l, fd, held, &count);
	closedir(directory);
	return r < 0 ? cli_object_failed(l->cli, r, "list", path) : EXIT_OK;
}

static int list_path(struct listing *l, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return list_directory(l, fd, path);   /* closes it */
	if (errno != ENOTDIR)
		return cli_object_failed(l->cli, -errno, "list", path);
	list_entry(l, AT_FDCWD, path);
	return EXIT_OK;
}

static int list_arguments(struct listing *l)
{
	struct cli *cli = l->cli;
	const char *mount = cli_mount(cli, cli->argc > 0 ? cli->argv[0] : NULL);
	_cleanup_free_ char *names = NULL;
	int status = EXIT_OK;

	if (!mount)
		return EXIT_FAILED;
	if (l->names) {
		names = cli_dios_path(cli, mount, "name");
		return names ? list_path(l, names) : EXIT_FAILED;
	}
	if (cli->argc == 0)
		return list_path(l, mount);
	for (int i = 0; i < cli->argc && !cli->writer.done; i++) {
		int r = list_path(l, cli->argv[i]);

		if (r != EXIT_OK)
			status = r;
	}
	return status;
}

static int run_ls(struct cli *cli)
{
	static const char *const titles[] = { "KIND", ">SIZE", ">VERSION", "PROXIMITY", ">REPLICAS", "NAME" };
	struct listing l = { .cli = cli, .names = cli_has(cli, LS_ALL) };

	if (l.names && cli->argc > 0)
		return cli_usage(cli, "--all lists every object: it takes no folder");
	if (cli->json) {
		json_open_object(&cli->writer, NULL);
		json_open_array(&cli->writer, "objects");
	} else {
		table_init(&l.table, stdout, sizeof(titles) / sizeof(titles[0]), titles);
	}
	int status = list_arguments(&l);
	if (cli->json) {
		if (!cli->writer.done)
			cli_json_end(cli);
	} else if (table_finish(&l.table) < 0) {
		return cli_fail(cli, -ENOMEM, "the list is not complete");
	}
	return status;
}

static const struct cli_option ls_options[] = {
	{ LS_ALL, "all", NULL, "every object of yours (root: every object), with or without a path, by name" },
	{ LS_HIDDEN, "almost-all", NULL, "also entries that begin with a dot" },
	{ 0 },
};
const struct cli_command command_ls = {
	.name = "ls", .arguments = "[DIR|FILE]...", .summary = "list objects with kind, size, version, proximity and replicas",
	.details = "Without an argument: the mount's root. '-' stands for what is not known, as of an object that may not be read.",
	.options = ls_options, .arguments_max = -1, .run = run_ls,
};
