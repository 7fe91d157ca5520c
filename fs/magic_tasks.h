/* What .dios/tasks shows and does: functions that tasks/ has, given to fs_new. All are called from any thread; errors are negative errno.
 * Without them (NULL, or a NULL function) the folder shows what the records say. */
#ifndef DIOS_FS_MAGIC_TASKS_H
#define DIOS_FS_MAGIC_TASKS_H

#include <sys/types.h>
#include "base/buffer.h"
#include "caps/name.h"

enum magic_task_stream { MAGIC_STDIN = 0, MAGIC_STDOUT, MAGIC_STDERR };

struct magic_task_counts { size_t running, waiting; };   /* paused ones are running */

struct magic_tasks {
	void *arg;
	/* The text of a file, appended to out. */
	int (*print_status)(void *arg, uint64_t task, struct buffer *out);
	int (*print_stats)(void *arg, uint64_t task, struct buffer *out);
	int (*print_spec)(void *arg, uint64_t task, struct buffer *out);
	/* The object that the task has as standard input, output or error. -ENOENT: none. */
	int (*get_stream)(void *arg, uint64_t task, enum magic_task_stream which, uint64_t *ret_ino);
	/* A line written to ctl, without its newline: "pause", "resume", "kill [SIGNAL]". uid: who opened it. -EINVAL: no such command. */
	int (*control)(void *arg, uint64_t task, uint32_t uid, const char *line, size_t size);
	void (*count)(void *arg, struct magic_task_counts *ret_counts);
	/* The task that a process belongs to. -ESRCH: none. */
	int (*find_process)(void *arg, pid_t pid, struct name *ret_task);
	/* It belongs to a task that has been paused at some time. */
	bool (*was_paused)(void *arg, pid_t pid);
};

#endif
