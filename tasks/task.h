/* Private to tasks/: a task that has not ended, and the table of them.
 *
 * One lock (LOCK_TASKS) guards all of it. One thread owns what happens by itself: it starts tasks whose inputs are there, hears from their
 * processes, and ends them. Calls from outside change what is wanted (paused, killed) and wake it. A second, innermost lock guards the
 * small table of who belongs to which task, which requests of the mount ask about.
 *
 * What a task holds from run on, whatever becomes of its caller: each object (so that none vanishes), with a writer's reference for a stream that it
 * writes (so that the stream does not end before the task has begun), and never as a reader of a stream: a reader that does not read
 * would make the writers wait. */
#ifndef DIOS_TASKS_TASK_H
#define DIOS_TASKS_TASK_H

#include <stdatomic.h>
#include "base/hash.h"
#include "base/lock.h"
#include "tasks/cgroup.h"
#include "tasks/spec.h"
#include "tasks/stats.h"
#include "tasks/tasks.h"

#define TASKS_MAX 4096u                   /* that have not ended: each costs processes and descriptors */
#define TASKS_KEPT 1000u                  /* that have ended: the oldest is forgotten, with its own streams */
#define GANG_MAX 1000u
#define KILL_WAIT_NS (5 * NS_PER_SECOND)  /* after SIGKILL of the program, until all of its processes are killed from outside */
#define TASK_ERROR_MAX 320u
#define TELL_AGAIN_NS NS_PER_SECOND       /* an end that could not be recorded, as on a full disk */

/* A watch on an object that a task waits for; freed by the thread, without the lock (object_unwatch may wait). */
struct waiting { struct tasks *tasks; struct watch *watch; _Atomic bool fired; struct waiting *next; };

struct task_place {
	uint64_t ino;
	struct reference *held;               /* NULL: the task's own stream */
	enum object_kind kind;
	bool direct;                          /* a stream in memory */
	bool own;                             /* made for this task */
	bool waits;                           /* inputs: not yet produced, when last looked */
	struct waiting *waiting;
};
struct task_places { struct task_place *place; size_t count; };

struct gang { struct name name; uint64_t id; uint32_t uid, size, count; bool started, failed; struct gang *next; };

enum task_phase { PHASE_WAITING, PHASE_STARTING /* its processes prepare */, PHASE_RUNNING };

struct task {
	struct tasks *tasks;
	uint64_t ino;
	UT_hash_handle hh;
	struct name name;
	char text[NAME_TEXT_SIZE + 1];
	uint32_t uid;
	enum task_phase phase;
	bool paused, was_paused;
	struct task_places inputs, outputs;   /* with the program; with standard ones */
	struct gang *gang;                    /* counted; NULL: none */
	struct buffer launch;                 /* the description; freed when it is started */
	int page_fd;                          /* what the next daemon needs (task_keep.c); -1: nothing is kept */
	struct task_page *page;
	struct cgroup_bounds bounds;
	int64_t start_ns, start_boot_ns;      /* 0: not started */

	pid_t helper, program;                /* 0: not there */
	int helper_fd, program_fd, socket;    /* pidfds; -1 */
	uint64_t pid_namespace;               /* 0: not known yet */
	pid_t init;
	bool prepared, sent_go;
	int64_t killed_boot_ns;               /* 0: not killed */

	bool exited;                          /* wait_status and usage are there */
	int wait_status;
	struct launch_usage usage;
	bool said, said_success;              /* the task itself said how it ends: dios_delete(SELF) */
	bool failed;                          /* it did not start, or its gang did not: error says why */
	int fail_status;                      /* as of waitpid */
	char error[TASK_ERROR_MAX];

	bool over;                            /* its processes are gone, and what follows is told to outputs, streams and record until all have it */
	enum task_state end_state;
	int end_status;
	struct task_stats end_stats;
};

/* A process dios-task (task_helper.c): the outer one, and the socket to all that come of it. */
struct helper { pid_t pid; int fd /* pidfd */, socket; };

struct member { pid_t helper; uint64_t pid_namespace; struct name name; };

struct tasks {
	struct objects *objects;
	struct clock *clock;
	char *mount, *helper, *hidden;
	struct tasks_keeper keeper;
	struct cgroups *cgroups;

	struct lock lock;
	struct task *table;                   /* by ino */
	struct gang *gangs;
	struct waiting *unwanted;             /* to be freed by the thread */
	bool started, stopping, stopped;
	struct recorded { uint64_t *inos; size_t count, capacity; } recorded;    /* tasks that were there when this daemon came */
	uint64_t *ended;                      /* inodes of tasks that have ended, oldest first: a ring of TASKS_KEPT */
	size_t ended_first, ended_count;
	char (*left)[NAME_TEXT_SIZE + 1];     /* control groups still to be removed */
	size_t left_count, left_capacity;
	int64_t tell_boot_ns;                 /* when ends are told again */
	struct { bool wanted, there, stale; struct helper helper; int64_t made_boot_ns; int mounts_fd, root_fd; /* -1 */ } spare;
	int *leaving;                         /* pidfds of processes whose task has ended, or that never had one */
	size_t leaving_count, leaving_capacity;

	struct lock member_lock;
	struct member *members;
	size_t member_count, member_capacity;
	_Atomic size_t member_hint;           /* 0: no task is running */
	uint64_t own_namespace;

	int epoll_fd, wake_fd;
	pthread_t thread;
	bool running;
};

/* task_table.c */
struct task *task_find(struct tasks *t, uint64_t ino);
struct task *task_find_name(struct tasks *t, const struct name *name);
/* -ESHUTDOWN, -EAGAIN: too many; -EINVAL: its gang has another size. The task is the table's from then on. */
int task_insert(struct tasks *t, struct task *task, const struct name *gang, uint32_t gang_size);
void task_remove(struct tasks *t, struct task *task);         /* and frees it */
void task_free(struct task *task);                            /* not in the table; NULL ok */
/* An earlier daemon's. gang_id 0: in none. */
int task_adopt(struct tasks *t, struct task *task, uint64_t gang_id, const struct name *gang, uint32_t gang_size);
void tasks_wake(struct tasks *t);
int member_add(struct tasks *t, pid_t helper, const struct name *name);
void member_remove(struct tasks *t, pid_t helper);

/* task_wait.c: starts what can be started, and ends what failed and has no processes. */
void task_wait_advance(struct tasks *t);
void task_wait_stop(struct task *task);                       /* its watches are not wanted any more */
void task_wait_collect(struct tasks *t);                      /* frees unwanted watches; without the lock */

/* task_keep.c */
struct task_page;
int task_keep(struct task *task);                             /* before it is inserted */
void task_keep_processes(struct task *task);                  /* before they may begin */
void task_save(struct task *task);                            /* something has changed that outlives the daemon */
void task_unkeep(struct task *task);                          /* its end is recorded */
void task_page_done(struct task *task);

/* task_helper.c. Tags of events, as inode numbers: there are none so large. */
#define HELPERS UINT64_MAX
#define HELPERS_STALE (UINT64_MAX - 1)    /* t->spare.stale is to be set */
int helper_take(struct tasks *t, struct helper *ret_helper);  /* one that waits to be told to begin: the caller's */
int helper_begin(const struct task *task);                    /* its own is told; -EPIPE: it has ended */
void helper_leave(struct tasks *t, int fd);                   /* takes the pidfd of one that ends by itself, or has; -1 ok */
void helpers_collect(struct tasks *t);
int helpers_advance(struct tasks *t);                         /* milliseconds until there is something to do, or -1 */
void helpers_unwatch(struct tasks *t);

/* task_start.c */
int task_watch_processes(struct task *task);
void task_start(struct task *task);                           /* fails it where it can't be */
void task_events(struct task *task);                          /* something came from its processes; may end it */
void task_go(struct task *task);                              /* if nothing holds it back any more */

/* task_end.c: the task ends as its fields say, and is gone after that; or it is over, and gone when everybody could be told (ends_retry). */
void task_end(struct task *task);
int ends_retry(struct tasks *t);                              /* the next is due in so many milliseconds; -1: none */
/* Takes note that it fails, and its gang with it: kills what runs. It ends when its processes have, or by task_wait_advance. The first reason
 * stays. status: as of waitpid. */
void task_fail(struct task *task, int status, const char *format, ...) _printf_(3, 4);
/* Objects of a task that is gone; success: its outputs are produced. The first error; doing it again does what is left. */
int places_settle(struct objects *os, const struct task_places *inputs, const struct task_places *outputs, bool success);
int task_record_end(struct tasks *t, uint64_t ino, enum task_state state, int status, int64_t start_ns, const struct task_stats *stats);
void task_remember_ended(struct tasks *t, uint64_t ino);
void cgroups_retry(struct tasks *t);

/* task_control.c */
void task_kill_now(struct task *task, int signal);            /* started or not */
int task_record_state(struct task *task);

/* task_lost.c */
int task_adopt_places(struct task *task);                     /* holds again what it was given */
int tasks_list_recorded(struct tasks *t);                     /* before the mount answers: all that is there is an earlier daemon's */
void tasks_recover(struct tasks *t);

/* task_text.c */
void task_live_stats(const struct task *task, struct task_stats *ret_stats);   /* started */

#endif
