/* Asking a mount something without waiting for ever: one whose daemon hangs, or dies at each start, makes everybody wait, and who waits for an answer to what
 * the daemon has taken cannot even be killed. So a child asks, and is left to wait if no answer comes within ASK_S. */
#ifndef DIOS_MOUNT_TOOLS_ASK_H
#define DIOS_MOUNT_TOOLS_ASK_H

#include "base/buffer.h"
#include "mount-tools/cli.h"

#define ASK_S 10           /* seconds; a restart of the daemon takes less */

int ask_read(const char *path, struct buffer *text);        /* as cli_read_file; -ETIMEDOUT: no answer */
bool ask_answers(const char *mount);                        /* false: there was no answer; an error is one */
int ask_failed(struct cli *cli, const char *mount);         /* says that there was none, and what to do; the exit status */

#endif
