/* Private to tasks/: what run was asked for, on its way to a task. Filled in by task_places.c and task_run.c. */
#ifndef DIOS_TASKS_TASK_REQUEST_H
#define DIOS_TASKS_TASK_REQUEST_H

#include "tasks/task.h"

/* Tokens are minted for the task alone (a caveat says so): they cost no command, open for none but its processes, which hold the references
 * anyway, and are worth nothing once it has ended. So a descriptor can be opened again, as /dev/stdin or /dev/fd/N, and none needs to
 * be revoked. */
struct minted { const struct reference *reference; uint32_t rights; char text[TOKEN_TEXT_MAX + 1]; };

struct run {
	struct tasks *tasks;
	const struct task_request *request;
	struct task *task;                 /* being made; owned */
	struct task_spec spec;             /* its arrays are owned, arguments and environment too */
	struct launch launch;              /* the same */
	struct minted *minted;             /* room for as many as there are references: texts stay where they are */
	size_t minted_count;
	char **settings;                   /* of the environment, made here: owned */
};

/* task_places.c: checks each reference and its right, holds its object, mints its token; into run->task, run->spec, run->launch. -EACCES;
 * -EINVAL: neither a blob nor a stream; -ENOEXEC. */
int run_take_places(struct run *run);
/* Standard output and error, where the caller gave none. */
int run_make_streams(struct run *run);
void run_delete_streams(struct run *run);

#endif
