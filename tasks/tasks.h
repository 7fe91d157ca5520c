/* Tasks: executable objects that run on this node, in limbo mode (DESIGN section 9): own mount, process and ipc name spaces, own cgroup,
 * the system read-only, the dios mount there at /dios and at its own path.
 *
 * A task is an object of kind task: its specification, state, exit status and statistics are in the replicated state; what this node
 * knows besides (processes, descriptors, cgroup) is here. States: waiting -> running <-> paused -> exited or failed; waiting -> failed when an
 * input's producer failed; lost: this node's daemon ended under it.
 *
 * The daemon starts one small program for each task, dios-task, which makes the name spaces, opens the references, drops privileges and
 * executes. It opens them through the mount by tokens that the daemon mints for it, so that what a task can do is what its references
 * say, whoever owns the objects. All functions are thread-safe. None waits for the task. */
#ifndef DIOS_TASKS_TASKS_H
#define DIOS_TASKS_TASKS_H

#include <sys/types.h>
#include "objects/objects.h"

#define TASK_REFERENCES_MAX 256u      /* inputs; outputs */
#define TASK_GROUPS_MAX 64u           /* supplementary groups of a caller; one with more gets -E2BIG */
#define TASK_OUTPUT_KEPT (1u << 20)   /* bytes kept of a task's own stdout and stderr streams */

struct tasks;

/* Who keeps descriptors while daemons come and go. */
struct tasks_keeper {
	void *arg;
	int (*keep)(void *arg, uint64_t ino, const int *fds, size_t count);   /* instead of those kept before; count 0: none any more. NULL: nobody keeps */
	pid_t pid;                    /* tasks die with it, instead of with the daemon */
};

struct tasks_options {
	const char *mount;            /* absolute path of the mount, in the daemon's mount name space */
	const char *helper;           /* absolute path of dios-task */
	const char *hidden;           /* a folder that no task may see: the data directory; NULL: none */
	bool cgroups;                 /* false: none, pause by SIGSTOP */
	struct tasks_keeper keeper;
};

int tasks_open(struct objects *os, const struct tasks_options *options, struct tasks **ret_tasks);
/* For each set that an earlier daemon has had kept: that task goes on. The descriptors are taken. Before the mount answers. */
void tasks_adopt(struct tasks *t, uint64_t ino, const int *fds, size_t count);
/* The mount answers now: tasks may be started. Other tasks that an earlier daemon left are marked lost, their outputs failed. */
int tasks_start(struct tasks *t);
/* Kills every task, waits for the processes (ten seconds at most), marks the tasks lost. To be called while the mount still answers: a process
 * that waits for the mount does not die. Every later call on the tasks answers -ESHUTDOWN or -ESRCH; texts go on. */
void tasks_stop(struct tasks *t);
/* The same, if that has not been done, and frees. No other call may be under way. NULL ok. */
void tasks_close(struct tasks *t);

struct task_request {
	struct caller caller;
	pid_t pid;                            /* of the caller: its groups are the task's */
	struct reference *program;            /* borrowed, with execute right; NULL: path */
	const char *path;                     /* absolute, of the node */
	const char *const *arguments;         /* from argv[0], ends with NULL */
	const char *const *environment;       /* "KEY=value", ends with NULL; may be NULL */
	struct reference *const *inputs, *const *outputs;   /* borrowed */
	size_t input_count, output_count;
	struct reference *standard_input, *standard_output, *standard_error;   /* borrowed; NULL: nothing to read, streams of its own */
	uint64_t memory_bytes;                /* 0: no bound */
	uint32_t cpu_percent;                 /* 0: no bound */
	struct name job, gang;                /* all zero: none */
	uint32_t gang_size;
	bool pure;                            /* -EOPNOTSUPP so far */
	bool restart;                         /* kept in its specification */
};

/* Makes the task and starts it when its inputs are produced and its gang is complete. Inputs need the right to read, outputs to write or append,
 * the program to read and to execute (by its reference, or by its mode). A reference given twice is one open file in the task.
 * -ENOEXEC: neither ELF nor "#!"; -EACCES: a right is missing; -EINVAL: neither blob nor stream, both program and path or none, a gang whose
 * other members say another size or which is full; -E2BIG; -EOPNOTSUPP; -EAGAIN: too many tasks. Paths are found when the task
 * starts: one that is not there makes it fail, with exit status 127. */
int tasks_run(struct tasks *t, const struct task_request *request, uint64_t *ret_ino, struct name *ret_name);
/* Owner or root: -EPERM. -ESRCH: it has ended (or never was on this node). */
int tasks_pause(struct tasks *t, const struct caller *caller, uint64_t ino, bool resume);
int tasks_kill(struct tasks *t, const struct caller *caller, uint64_t ino, int signal);   /* SIGKILL: all its processes; others: its main one */
/* The calling process belongs to a task: end that task with this outcome. -ESRCH: it does not. */
int tasks_exit(struct tasks *t, pid_t pid, bool success);
int tasks_exit_named(struct tasks *t, const struct name *name, bool success);             /* the task that it belongs to, known already */
/* Or a thread. -ESRCH: in no task. Costs nothing while no task runs, else a look or two into /proc. */
int tasks_find_process(struct tasks *t, pid_t pid, struct name *ret_task);
bool tasks_was_paused(struct tasks *t, pid_t pid);     /* it belongs to a task that has been paused at some time */

void tasks_count(struct tasks *t, size_t *ret_running, size_t *ret_waiting);   /* paused ones are running */

/* Texts for .dios/tasks/NAME/, and the streams shown there. */
int tasks_print_status(struct tasks *t, uint64_t ino, struct buffer *out);   /* "state: running\npid: ...\n..." */
int tasks_print_stats(struct tasks *t, uint64_t ino, struct buffer *out);
int tasks_print_spec(struct tasks *t, uint64_t ino, struct buffer *out);
int tasks_get_stream(struct tasks *t, uint64_t ino, int which /* 0, 1, 2 */, uint64_t *ret_ino);   /* -ENOENT */
int tasks_control(struct tasks *t, uint64_t ino, uint32_t uid, const char *line, size_t size);     /* "pause", "resume", "kill [SIGNAL]" */

#endif
