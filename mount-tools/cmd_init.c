/* dios init: makes a data directory, the one thing that comes before any mount. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mount-tools/commands.h"
#include "store/store.h"

/* ext4 says in sysfs which process writes its journal; "<none>": it has none, and its renames are not atomic in a power cut. */
static bool lacks_journal(const char *directory)
{
	char path[128], device[512], said[64] = "";
	struct stat st;

	if (stat(directory, &st) < 0)
		return false;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	ssize_t n = readlink(path, device, sizeof(device) - 1);
	if (n < 0)
		return false;
	device[n] = '\0';
	const char *slash = strrchr(device, '/');
	n = snprintf(path, sizeof(path), "/sys/fs/ext4/%s/journal_task", slash ? slash + 1 : device);
	FILE *f = n > 0 && (size_t)n < sizeof(path) ? fopen(path, "re") : NULL;
	if (!f)
		return false;
	bool none = fgets(said, sizeof(said), f) && strncmp(said, "<none>", 6) == 0;
	fclose(f);
	return none;
}

static int run_init(struct cli *cli)
{
	const char *directory = cli->argv[0];
	char error[512] = "";
	int r = store_init(directory, &random_system, &clock_system, error, sizeof(error));

	if (r < 0) {
		const char *advice = r == -EEXIST ? "mount it with mount.dios(8), or choose another folder" :
			r == -ENOTEMPTY ? "choose an empty or a new folder" :
			r == -EACCES || r == -EPERM ? "run this as a user who may write there" : NULL;

		if (error[0])
			return cli_fail_advised(cli, 0, advice, "%s", error);
		return cli_fail_advised(cli, r, advice, "cannot make a data directory in %s", directory);
	}
	if (lacks_journal(directory))
		cli_warn(cli, "%s is on an ext4 without a journal: after a power cut more than the last second may be missing; see tune2fs(8) -O has_journal", directory);
	if (cli->json) {
		json_open_object(&cli->writer, NULL);
		json_string(&cli->writer, "data", directory);
		json_uint(&cli->writer, "format", STORE_FORMAT_VERSION);
		json_close(&cli->writer);
		return EXIT_OK;
	}
	printf("made a data directory in %s; mount it with 'mount -t dios %s %s'\n", directory, directory, MOUNT_DEFAULT);
	return EXIT_OK;
}

const struct cli_command command_init = {
	.name = "init", .arguments = "DATA", .summary = "make a data directory: a cluster of one node",
	.details = "DATA must be missing or empty; the folder above it must be there. It gets the cluster's key, so keep it private (mode 0700). "
		"It warns of an ext4 without a journal, which may lose more in a power cut.",
	.arguments_min = 1, .arguments_max = 1, .no_mount = true, .run = run_init,
};
