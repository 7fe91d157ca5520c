/* All subcommands of dios, each described in the cmd_*.c that runs it. The order in dios.c is that of `dios help`. */
#ifndef DIOS_MOUNT_TOOLS_COMMANDS_H
#define DIOS_MOUNT_TOOLS_COMMANDS_H

#include "mount-tools/cli.h"

extern const struct cli_command command_init;
extern const struct cli_command command_status;
extern const struct cli_command command_doctor;
extern const struct cli_command command_ls;
extern const struct cli_command command_stat;
extern const struct cli_command command_cat;
extern const struct cli_command command_put, command_get;
extern const struct cli_command command_cp;
extern const struct cli_command command_stream_create, command_stream_append, command_stream_read, command_stream_set, command_stream_end;
extern const struct cli_command command_cap_mint, command_cap_narrow, command_cap_show, command_cap_revoke;
extern const struct cli_command command_run;
extern const struct cli_command command_ps, command_wait, command_logs, command_pause, command_resume, command_kill;
extern const struct cli_command command_mapreduce;
extern const struct cli_command command_quota;
extern const struct cli_command command_fsck;
extern const struct cli_command command_version;
extern const struct cli_command command_help;

extern const struct cli_command *const commands[];   /* ends with NULL */

#endif
