/* dios-task: becomes a task. Started by diosd, for one task each, often before there is one; tasks/launch.h says what they tell each other.
 * Single-threaded; one process each for the outside, process 1 of the task's name space, and the program. */
#ifndef DIOS_MOUNT_TOOLS_DIOS_TASK_H
#define DIOS_MOUNT_TOOLS_DIOS_TASK_H

#include <sys/types.h>
#include "tasks/launch.h"

#define DESCRIPTOR_FIRST 3       /* of the inputs; the outputs follow */
#define DESCRIPTOR_HIGH 700      /* own descriptors are at or above this: past all references, and below the usual soft limit of 1,024 */
#define TASK_DIOS "/dios"        /* where every task sees the mount, besides the caller's own path */

/* dios-task-daemon.c: what is said to the daemon and heard from it. fail: says FAILED and exits. error: a positive errno. */
void fail(enum launch_stage stage, int error, const char *what) __attribute__((noreturn));
void send_event(const struct launch_event *e);
int move_high(int fd);                                   /* to DESCRIPTOR_HIGH or above, close-on-exec; takes fd */
/* The daemon may give up a process that has no task yet: then these exit without a word. Texts live as long as the process. */
void receive_place(struct launch_place *ret_place);
struct group_fds { int fd[LAUNCH_CGROUPS_MAX]; size_t count; };      /* as of cgroup_open */
void receive_begin(struct launch *ret_launch, struct group_fds *ret_groups);
void receive_go(void);

/* dios-task-mounts.c: a private root: the system read-only, new /dev, /proc, /tmp, and the mount, which is the working directory. In two steps: all that is
 * the same for each task, and then what must not be held before there is one (the mount: it would not end when it is unmounted), or is the task's own. */
struct mount_namespaces { int outside, outside_root, own; };     /* descriptors; closed by the second step */
void arrange_mounts(const struct launch_place *p);
void complete_mounts(const struct launch_place *p, const struct launch *l, struct mount_namespaces *n);

/* dios-task-references.c: opens them all at their places. Returns the program's descriptor, or -1 for a path. */
int open_references(const struct launch *l);

/* dios-task-identity.c: the caller's user, groups and limits, and no way back. */
void take_identity(const struct launch *l);

/* dios-task-usage.c */
struct usage_counters { int fd[LAUNCH_COUNTERS]; };
void counters_open(struct usage_counters *c, pid_t program);      /* count from its exec on, with all its children */
/* Everything that the caller's children have used; before: what /proc/self said before there were any. */
void usage_collect(struct usage_counters *c, const struct launch_usage *before, struct launch_usage *ret_usage);
void usage_of_self(struct launch_usage *ret_usage);

#endif
