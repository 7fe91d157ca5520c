/* What the daemon and dios-task say to each other: where a task is to be made, what it is to be, and what became of it.
 *
 * All over a SOCK_SEQPACKET socket at LAUNCH_SOCKET_FD. The daemon sends three packets. The place (struct launch_place): what is the same for all tasks of
 * a mount. By it dios-task makes name spaces and root, whether there is a task for them already or not (tasks/task_helper.c). LAUNCH_BEGIN, with
 * descriptors: the description (struct launch) in a memfd, so that sending it never waits, and the task's control groups. The daemon knows the process as the
 * task's by then, so that the task's tokens open for it. LAUNCH_GO: the process that will be the program, prepared by now, waits for it, so that
 * a gang starts all or none, and a task that is paused before it runs does not run. Events come back, one a packet; the kernel puts the
 * sender's process id beside each, as the daemon sees it.
 *
 *   dios-task (outer)                  init, process 1 of the task         program
 *   unshares, forks init          ->   arranges mounts, waits for BEGIN,
 *   waits for it                       attaches the mount, forks the
 *                                      program                        ->   joins the control groups, opens references,
 *                                                                          drops privileges, says PREPARED, waits for GO, executes
 *                                      says RUNNING when it has executed
 *                                      reaps; says EXITED when the program has ended and all others are dead
 *   any of them says FAILED with the step and the errno, and exits. Without the daemon's end of the socket, none waits for a task. */
#ifndef DIOS_TASKS_LAUNCH_H
#define DIOS_TASKS_LAUNCH_H

#include <sys/resource.h>
#include "tasks/codec.h"

#define LAUNCH_SOCKET_FD 3
#define LAUNCH_MAX (2u << 20)              /* bytes of a description: arguments, environment and 515 tokens of up to 1,000 characters */
#define LAUNCH_REFERENCES_MAX 256u         /* inputs; outputs */
#define LAUNCH_GROUPS_MAX 64u
#define LAUNCH_TEXTS_MAX 131072u           /* arguments, or settings of the environment: each takes 9 bytes at least */
#define LAUNCH_CGROUPS_MAX 4u
#define LAUNCH_PLACE_MAX 8448u             /* bytes: two paths of 4,096 */
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

struct launch_place {
	const char *mount;                 /* absolute */
	const char *hidden;                /* a folder that no task must see; NULL: none */
	uint32_t parent;                   /* process id of whom the task dies with: the daemon that starts it, or */
	bool kept;                         /* a process that outlives daemons: the holder */
};

void launch_place_encode(const struct launch_place *p, struct buffer *out);
int launch_place_decode(struct slice bytes, struct launch_place *ret_place);      /* borrows; -EBADMSG; -ENOTSUP: of another version */

struct launch {
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
