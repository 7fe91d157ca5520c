/* dios, the command: speaks to a mount by libdios, file operations and the files in .dios/; only `init` and `fsck` of a data
 * directory open the store themselves. This file is the table of subcommands. */
#include "base/log.h"
#include "mount-tools/commands.h"

const struct cli_command *const commands[] = {
	&command_init, &command_status, &command_doctor, &command_ls, &command_stat, &command_cat, &command_put, &command_get, &command_cp,
	&command_stream_create, &command_stream_append, &command_stream_read, &command_stream_set, &command_stream_end,
	&command_cap_mint, &command_cap_narrow, &command_cap_show, &command_cap_revoke,
	&command_run, &command_ps, &command_wait, &command_logs, &command_pause, &command_resume, &command_kill,
	&command_mapreduce, &command_quota, &command_fsck, &command_version, &command_help,
	NULL,
};

int main(int argc, char **argv)
{
	static struct cli cli = { .commands = commands };

	log_set_level(LOG_LEVEL_WARNING);   /* of the store, in init and fsck: its notices are the daemon's business */
	return cli_main(&cli, argc, argv);
}
