/* Finding the mount and the objects that a command line names. */
#ifndef DIOS_MOUNT_TOOLS_CLI_MOUNT_H
#define DIOS_MOUNT_TOOLS_CLI_MOUNT_H

#include "mount-tools/cli.h"

/* The mount to speak to: --mount, else $DIOS_MOUNT, else the one that `file` lies in (NULL: none), else /dios, else the only one.
 * Returns a borrowed path and points libdios at it, or NULL after a message that says how to get a mount. */
const char *cli_mount(struct cli *cli, const char *file);

/* The mount that a path lies in, which need not exist yet; NULL: none. Borrowed. */
const char *cli_mount_of(struct cli *cli, const char *file);

/* DIR/.dios/... of that mount, to be freed. NULL after a message. */
char *cli_dios_path(struct cli *cli, const char *mount, const char *format, ...) _printf_(3, 4);

/* The whole of a file of the mount's .dios folder, NUL-terminated. Negative errno, without a message. */
#define CLI_FILE_MAX (16u << 20)   /* bytes: those files are small */
int cli_read_file(const char *path, struct buffer *out);

/* An argument that names an object: a path; or its name or a token, as 43 or more characters without a '/', unless a file is called
 * so. *ret_path (freed by the caller): a path in a mount that leads to it. 0, or a status after a message. */
int cli_object_path(struct cli *cli, const char *what, char **ret_path);
/* The same, opened with open(2)'s flags. 0 and *ret_fd, or a status after a message that says what to do. */
int cli_open_object(struct cli *cli, const char *what, int flags, int *ret_fd);
/* -errno of a failed call on `what`: the message, with advice. Returns EXIT_FAILED. */
int cli_object_failed(struct cli *cli, int error, const char *action, const char *what);

#endif
