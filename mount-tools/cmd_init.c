/* dios init: makes a data directory, the one thing that comes before any mount. */
#include <stdio.h>
#include <string.h>

#include "mount-tools/commands.h"
#include "store/disk_facts.h"
#include "store/store.h"

static void warn_of_disk(struct cli *cli, const char *directory)
{
	struct disk_facts facts;
	char sentence[512] = "";

	if (disk_facts_read(directory, &facts) == 0)
		disk_facts_warn(&facts, sentence, sizeof(sentence));
	if (sentence[0])
		cli_warn(cli, "%s: %s", directory, sentence);
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
	warn_of_disk(cli, directory);
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
		"It warns of file systems that lose more than they should in a power cut: an ext4 without a journal, mount options that turn flushing off.",
	.arguments_min = 1, .arguments_max = 1, .no_mount = true, .run = run_init,
};
