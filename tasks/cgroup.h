/* Control groups of tasks: freezer, memory and processor bounds, in whatever mixture of versions 1 and 2 this machine has.
 *
 * Below the root of each hierarchy that is used there is one folder of this daemon, "dios-INSTANCE", and in it one for each task. The instance is
 * the node's: a daemon that starts again finds what an earlier one left and removes it. Where a folder can't be made, that part is
 * not there: freezing falls back to SIGSTOP, bounds are said to be not enforced. */
#ifndef DIOS_TASKS_CGROUP_H
#define DIOS_TASKS_CGROUP_H

#include "tasks/launch.h"

#define CGROUP_PATH_MAX 512u

/* Mount points; "" where there is none. */
struct cgroup_layout { char unified[CGROUP_PATH_MAX], freezer[CGROUP_PATH_MAX], memory[CGROUP_PATH_MAX], cpu[CGROUP_PATH_MAX]; };
/* The text of /proc/self/mountinfo. */
void cgroup_layout_parse(struct slice mountinfo, struct cgroup_layout *ret_layout);

struct cgroups;
/* Never fails for want of control groups: then there is no part of them. wanted false: the same. -ENOMEM. */
int cgroups_new(bool wanted, uint64_t instance, struct cgroups **ret_groups);
void cgroups_free(struct cgroups *g);        /* NULL ok */
/* Kills what an earlier daemon left in them, and removes it: waits until those processes are gone, a second for each at most. */
void cgroups_clear(struct cgroups *g, bool (*spared)(void *arg, const char *name), void *arg);
bool cgroups_can_freeze(const struct cgroups *g);

/* A task's folders. name: a file name. The bounds are 0 or what is asked for; whether they are kept is returned. */
struct cgroup_bounds { uint64_t memory_bytes; uint32_t cpu_percent; bool memory_kept, cpu_kept; };
int cgroup_make(struct cgroups *g, const char *name, struct cgroup_bounds *bounds);
/* Opens what its program joins them by, for the caller to close: of version 2 the folder, in which the program is born; of version 1 the file to which it
 * writes "0". Of each hierarchy one, at most LAUNCH_CGROUPS_MAX; those that are open already are counted where it fails. */
int cgroup_open(const struct cgroups *g, const char *name, const struct cgroup_bounds *bounds, int *ret_fds, size_t *ret_count);
int cgroup_freeze(struct cgroups *g, const char *name, bool freeze);      /* -EOPNOTSUPP */
/* What memory controllers know; LAUNCH_UNKNOWN. */
void cgroup_usage(const struct cgroups *g, const char *name, uint64_t *ret_page_cache, uint64_t *ret_out_of_memory);
int cgroup_remove(struct cgroups *g, const char *name);                   /* -EBUSY: a process is still in it; 0 also when there is none */

#endif
