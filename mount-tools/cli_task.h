/* Tasks, as a command line names them, and what has become of them. */
#ifndef DIOS_MOUNT_TOOLS_CLI_TASK_H
#define DIOS_MOUNT_TOOLS_CLI_TASK_H

#include "libdios/dios-util.h"
#include "mount-tools/cli_mount.h"

#define TASK_PREFIX_MIN 4   /* characters of a name that stand for it, if no other task begins so */

struct task {
	char name[DIOS_NAME_TEXT];
	dios_ref ref;                    /* owned */
	struct dios_ioctl_info info;     /* as of the last task_refresh */
};
struct tasks { struct task *task; size_t count; };   /* owned */

/* By name or its beginning. Status, after a message. */
int task_open(struct cli *cli, const char *mount, const char *what, struct task *ret_task);
void task_close(struct task *t);
int task_refresh(struct task *t);                                  /* -errno */
bool task_ended(const struct task *t);
/* 0 for success; else its exit status, 128 + signal, or 1 where it failed without either. */
int task_status(const struct task *t);
/* "exited", "failed: exit status 2", "failed: signal 9 (Killed)", ... */
#define TASK_OUTCOME_MAX 96
void task_outcome(const struct task *t, char out[static TASK_OUTCOME_MAX]);
/* The value of "key value" in .dios/tasks/NAME/stats, to be freed; NULL: not there. */
char *task_stat(struct cli *cli, const char *mount, const struct task *t, const char *key);
/* One line for people on how it ended: the outcome, and why if the system knows. */
char *task_explain(struct cli *cli, const char *mount, const struct task *t);
/* An object in the array that is open; command NULL: unknown. */
void task_json(struct cli *cli, const char *mount, const struct task *t, const char *command);
/* Its program and arguments on one line, from .dios/tasks/NAME/spec; to be freed, NULL: unknown. */
char *task_command(struct cli *cli, const char *mount, const struct task *t);

/* The tasks in the arguments, or those of a job (a name, or the text it is made from). Status, after a message. */
int tasks_open(struct cli *cli, const char *mount, const char *job, struct tasks *ret_tasks);
/* All tasks that this user may see. each(): takes the task, also on failure; a status other than 0 ends it. */
int tasks_each(struct cli *cli, const char *mount, int (*each)(void *arg, struct task *t), void *arg);
void tasks_close(struct tasks *t);
/* The job's name: 43 characters as they are, else the name that the text makes. */
int job_name(struct cli *cli, const char *text, struct dios_name *ret_name);

#endif
