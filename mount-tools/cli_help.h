/* What --help and `dios help` print, from the table of commands. */
#ifndef DIOS_MOUNT_TOOLS_CLI_HELP_H
#define DIOS_MOUNT_TOOLS_CLI_HELP_H

#include <stdio.h>
#include "mount-tools/cli.h"

void cli_print_overview(const struct cli *cli, FILE *out);
void cli_print_family(const struct cli *cli, const char *family, FILE *out);
/* For completion: the words that may follow, one a line. words[count]: what stands before; options only if `options`. */
void cli_print_words(const struct cli *cli, int count, char **words, bool options, FILE *out);

#endif
