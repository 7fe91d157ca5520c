/* dios version: of this command, and of the daemon behind the mount if there is one. */
#include <string.h>

#include "libdios/dios-ioctl.h"
#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"

/* The first line of .dios/version, or NULL. Without a mount there is nothing to say, and no error. */
static char *daemon_version(struct cli *cli, const char **ret_mount)
{
	_cleanup_free_ char *path = NULL;
	struct buffer text;
	struct mounts mounts;

	/* A mount that was not asked for may well be missing. */
	if (!cli->mount_option && !getenv("DIOS_MOUNT")) {
		if (mounts_read(&mounts) < 0)
			return NULL;
		size_t count = mounts.count;
		mounts_done(&mounts);
		if (count != 1)
			return NULL;
	}
	*ret_mount = cli_mount(cli, NULL);
	if (!*ret_mount)
		return NULL;
	path = cli_dios_path(cli, *ret_mount, "version");
	if (!path)
		return NULL;
	buffer_init(&text, 4096);
	int r = cli_read_file(path, &text);
	if (r < 0) {
		cli_fail(cli, r, "cannot read %s", path);
		buffer_done(&text);
		return NULL;
	}
	((char *)text.data)[strcspn((char *)text.data, "\n")] = '\0';
	return (char *)text.data;
}

static int run_version(struct cli *cli)
{
	const char *mount = NULL;
	_cleanup_free_ char *daemon = daemon_version(cli, &mount);

	if (cli->failed)
		return EXIT_FAILED;
	if (cli->json) {
		struct json *j = &cli->writer;

		json_open_object(j, NULL);
		json_string(j, "version", DIOS_VERSION);
		json_uint(j, "abi", DIOS_ABI_VERSION);
		if (daemon)
			json_string(j, "daemon", daemon);
		else
			json_null(j, "daemon");
		if (mount)
			json_string(j, "mount", mount);
		else
			json_null(j, "mount");
		json_close(j);
		return EXIT_OK;
	}
	printf("dios %s\n", DIOS_VERSION);
	if (daemon)
		printf("daemon %s at %s\n", daemon, mount);
	return EXIT_OK;
}

const struct cli_command command_version = {
	.name = "version", .summary = "print the versions of this command and of the mount's daemon",
	.details = "The daemon is asked if a mount is named or there is only one.", .run = run_version,
};
