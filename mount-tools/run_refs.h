/* The references that a new task is given, opened from what a command line says. Shared by run and mapreduce. */
#ifndef DIOS_MOUNT_TOOLS_RUN_REFS_H
#define DIOS_MOUNT_TOOLS_RUN_REFS_H

#include "libdios/dios-util.h"
#include "mount-tools/cli.h"

#define RUN_REFS_MAX 256u   /* dios_run's bound on inputs, and on outputs */

/* A program: an object of the mount, or a path of the node. */
struct program { dios_ref ref; char *path; };   /* ref < 0: path, owned */

/* `what`: a path, an object's name or a token; or a word without '/', which is looked for in $PATH. Status, after a message. */
int program_open(struct cli *cli, const char *mount, const char *what, struct program *ret_program);
void program_close(struct program *p);

/* For reading; an object that a task has still to produce is not waited for: the new task waits. */
int input_open(struct cli *cli, const char *what, dios_ref *ret_ref);
/* A stream is appended to. Else a new blob, whose readers wait until the task has produced it; one that is there already is refused,
 * or with `overwrite` replaced. */
int output_open(struct cli *cli, const char *path, bool overwrite, dios_ref *ret_ref);

/* A hidden path beside `path`, for what is renamed over it later. NULL: no memory. */
char *temporary_path(const char *path);

struct refs { dios_ref ref[RUN_REFS_MAX]; size_t count; };
int refs_add(struct cli *cli, struct refs *refs, dios_ref ref, const char *what);   /* takes ref, also on failure */
void refs_close(struct refs *refs);

/* "KEY=value" lines for a task: those given, and PATH unless given. Ends with NULL; owned by the caller with its strings. */
char **environment_new(struct cli *cli, int option);
void environment_free(char **environment);

#endif
