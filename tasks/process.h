/* What /proc says about processes: who the caller of run is, and which processes belong to a task. Process ids are as this daemon sees
 * them. Errors: -ESRCH when there is none (any more). */
#ifndef DIOS_TASKS_PROCESS_H
#define DIOS_TASKS_PROCESS_H

#include <sys/types.h>
#include "tasks/launch.h"

struct process_status {
	pid_t parent;
	uint32_t uid, gid;                 /* those that count at files */
	uint32_t groups[LAUNCH_GROUPS_MAX];
	size_t group_count;
	uint64_t capabilities;             /* effective */
	uint64_t rss_bytes;
};
/* The text of /proc/PID/status. -EBADMSG; -E2BIG: more groups than LAUNCH_GROUPS_MAX. */
int process_parse_status(struct slice text, struct process_status *ret_status);
int process_parse_limits(struct slice text, struct launch_limit limits[static RLIM_NLIMITS]);    /* of /proc/PID/limits. -EBADMSG */
int process_get_status(pid_t pid, struct process_status *ret_status);
/* Fills in identity and limits of a task that this process starts: it gets no more than it has. uid, gid: as the kernel said with the
 * request. Where the process can't be looked at (another process name space) it gets no groups, no capabilities, the daemon's limits. */
int process_identity(pid_t pid, uint32_t uid, uint32_t gid, struct launch *l);
/* The inode number of its process name space. */
int process_namespace(pid_t pid, uint64_t *ret_namespace);
/* Sends the signal to every process of a name space but `except` (its process 1, which the kernel would not let it stop anyway), until a pass
 * finds no new one: so that none is forked away. */
int processes_signal(uint64_t ns, pid_t except, int signal);
/* Bytes that it has read and written, or LAUNCH_UNKNOWN; user and system time. */
int process_usage(pid_t pid, struct launch_usage *ret_usage);

#endif
