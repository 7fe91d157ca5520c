/* dios-task: becomes a task. Started by diosd, once for each task, with what tasks/launch.h says. Single-threaded; one process each
 * for the outside, process 1 of the task's name space, and the program. */
#ifndef DIOS_MOUNT_TOOLS_DIOS_TASK_H
#define DIOS_MOUNT_TOOLS_DIOS_TASK_H

#include <sys/types.h>
#include "tasks/launch.h"

#define DESCRIPTOR_FIRST 3       /* of the inputs; the outputs follow */
#define DESCRIPTOR_HIGH 700      /* own descriptors are at or above this: past all references, and below the usual soft limit of 1,024 */
#define TASK_DIOS "/dios"        /* where every task sees the mount, besides the caller's own path */

/* Says FAILED to the daemon and exits. error: a positive errno. */
void fail(enum launch_stage stage, int error, const char *what) __attribute__((noreturn));
void send_event(const struct launch_event *e);
int await_word(const char *word);                        /* LAUNCH_BEGIN, LAUNCH_GO; 0, or -EPIPE: the daemon is gone */
int move_high(int fd);                                   /* to DESCRIPTOR_HIGH or above, close-on-exec; takes fd */

/* dios-task-mounts.c: a private root: the system read-only, the mount, new /dev, /proc, /tmp. Working directory: the mount. */
void arrange_mounts(const struct launch *l);

/* dios-task-references.c: opens them all at their places. Returns the program's descriptor, or -1 for a path. */
int open_references(const struct launch *l);
void close_references(const struct launch *l);           /* all of them, standard ones too, but not the program's */

/* dios-task-identity.c: the caller's user, groups and limits, and no way back. */
void take_identity(const struct launch *l);

/* dios-task-usage.c */
struct usage_counters { int fd[LAUNCH_COUNTERS]; };
void counters_open(struct usage_counters *c, pid_t program);      /* count from its exec on, with all its children */
/* Everything that the caller's children have used; before: what /proc/self said before there were any. */
void usage_collect(struct usage_counters *c, const struct launch_usage *before, struct launch_usage *ret_usage);
void usage_of_self(struct launch_usage *ret_usage);

#endif
