/* What the daemon and dios-task say to each other: the description of a task that is to be started, and what became of it.
 *
 * The description is a memfd at LAUNCH_DESCRIPTION_FD, so that writing it never waits. Events come over a SOCK_SEQPACKET socket at
 * LAUNCH_SOCKET_FD, one a packet; the kernel puts the sender's process id beside each, as the daemon sees it. Two packets go the other
 * way. LAUNCH_BEGIN: the daemon knows the process as the task's by now, so that the task's tokens open for it. LAUNCH_GO: the process that will be
 * the program, prepared by now, waits for it, so that a gang starts all or none, and a task that is paused before it runs does not run.
 *
 *   dios-task (outer)                  init, process 1 of the task         program
 *   waits for BEGIN,
 *   unshares, forks init          ->   joins the control groups,
 *   waits for it                       arranges mounts, opens references,
 *                                      forks the program              ->   drops privileges, says PREPARED, waits for GO, executes
 *                                      says RUNNING when it has executed
 *                                      reaps; says EXITED when the program has ended and all others are dead
 *   any of them says FAILED with the step and the errno, and exits */
#ifndef DIOS_TASKS_LAUNCH_H
#define DIOS_TASKS_LAUNCH_H

#include <sys/resource.h>
#include "tasks/codec.h"

#define LAUNCH_DESCRIPTION_FD 3
#define LAUNCH_SOCKET_FD 4
#define CGROUP_FILE_1 "tasks"          /* of version 1, one thread; a process is moved by it while it has no other */
#define CGROUP_FILE_2 "cgroup.procs"
#define LAUNCH_MAX (2u << 20)              /* bytes of a description: arguments, environment and 515 tokens of up to 1,000 characters */
#define LAUNCH_REFERENCES_MAX 256u         /* inputs; outputs */
#define LAUNCH_GROUPS_MAX 64u
#define LAUNCH_TEXTS_MAX 131072u           /* arguments, or settings of the environment: each takes 9 bytes at least */
#define LAUNCH_CGROUPS_MAX 4u
#define LAUNCH_EVENT_MAX 512u              /* bytes */
#define LAUNCH_BEGIN "begin"
#define LAUNCH_GO "go"

struct launch_reference {
	const char *token;                 /* the same text as an earlier reference's: the same open file; standard ones, NULL: none */
	bool read, write;                  /* at least one, except for the program */
	bool append;                       /* O_APPEND */
	bool consume;                      /* a stream's records, shared with other consumers */
};

struct launch_limit { uint64_t soft, hard; };

struct launch {
	const char *mount;                 /* absolute */
	const char *hidden;                /* a folder that the task must not see; NULL: none */
	const char *task;                  /* its name in text */
	struct launch_reference program;   /* token NULL: path */
	const char *path;
	const char **arguments, **environment;     /* owned arrays, borrowed texts; end with NULL */
	struct launch_reference *inputs, *outputs; /* owned */
	size_t input_count, output_count;
	struct launch_reference standard[3];
	uint32_t uid, gid, groups[LAUNCH_GROUPS_MAX];
	size_t group_count;
	uint64_t capabilities;             /* the most that it may keep, as bits */
	struct launch_limit limits[RLIM_NLIMITS];
	size_t limit_count;                /* 0: the daemon's own */
	const char *cgroups[LAUNCH_CGROUPS_MAX];   /* files of its groups: CGROUP_FILE_1 or _2 in each */
	size_t cgroup_count;
	uint32_t parent;                   /* process id of whom the task dies with: the daemon that starts it, or */
	bool kept;                         /* a process that outlives daemons: the holder */
};

void launch_encode(const struct launch *l, struct buffer *out);
/* Borrows from the bytes. -EBADMSG, -ENOMEM, -ENOTSUP: of another version. launch_done after success only. */
int launch_decode(struct slice bytes, struct launch *ret_launch);
void launch_done(struct launch *l);

enum launch_event_kind { LAUNCH_PREPARED = 1, LAUNCH_RUNNING, LAUNCH_FAILED, LAUNCH_EXITED };
/* Steps of the start, for people. */
enum launch_stage { LAUNCH_READ_DESCRIPTION = 1, LAUNCH_CGROUP, LAUNCH_NAMESPACES, LAUNCH_MOUNTS, LAUNCH_REFERENCES, LAUNCH_IDENTITY, LAUNCH_PROCESS,
	LAUNCH_EXECUTE, LAUNCH_STAGE_LAST = LAUNCH_EXECUTE };
const char *launch_stage_text(enum launch_stage stage);

#define LAUNCH_UNKNOWN UINT64_MAX          /* this machine does not count it */
enum launch_counter { LAUNCH_CYCLES = 0, LAUNCH_INSTRUCTIONS, LAUNCH_LLC_REFERENCES, LAUNCH_LLC_MISSES, LAUNCH_COUNTERS };

/* Of all processes of a task together. */
struct launch_usage {
	uint64_t user_ns, system_ns;
	uint64_t max_rss_bytes;            /* of the largest process */
	uint64_t bytes_read, bytes_written;            /* by read(2), write(2) and their kin */
	uint64_t disk_bytes_read, disk_bytes_written;  /* that reached a disk */
	uint64_t counters[LAUNCH_COUNTERS];
};

struct launch_event {
	enum launch_event_kind kind;
	/* FAILED */
	enum launch_stage stage;
	int error;                         /* positive errno */
	const char *what;                  /* what it was about: a path, a descriptor; may be empty; borrowed, cut to LAUNCH_WHAT_MAX */
	/* EXITED */
	int wait_status;
	struct launch_usage usage;
};
#define LAUNCH_WHAT_MAX 200u

void launch_event_encode(const struct launch_event *e, struct buffer *out);
int launch_event_decode(struct slice bytes, struct launch_event *ret_event);      /* -EBADMSG, -ENOTSUP */

#endif
