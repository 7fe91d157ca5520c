/* Tasks that run a line of the shell, for tests on a mount. In a header as tap.h is: each test counts its own checks. */
#ifndef DIOS_TESTS_FS_SHELL_TASK_H
#define DIOS_TESTS_FS_SHELL_TASK_H

#include <string.h>

#include "libdios/dios-util.h"
#include "libdios/dios.h"
#include "tests/tap.h"

/* The caller closes it. */
static inline dios_ref run_sh(const char *script)
{
	const char *const arguments[] = { "sh", "-c", script, NULL };
	struct dios_run_options o = { .path = "/bin/sh", .arguments = arguments };
	dios_ref task = -1;
	int r = dios_run(0, -1, &o, &task);

	ok(r == 0, "a task runs: %s", strerror(-r));
	return task;
}

/* DIOS_TASK_...; -1: it cannot be had. */
static inline int state_of(dios_ref task)
{
	struct dios_ioctl_info info = { 0 };
	return dios_info(task, &info) < 0 ? -1 : (int)info.task_state;
}

/* Waits up to a minute, and closes it. Returns its wait status; -1: it has not ended. */
static inline int end_of(dios_ref task)
{
	struct dios_wait wait = { .ref = task, .wanted = DIOS_ENDED };
	struct dios_ioctl_info info = { 0 };
	int r = dios_select(0, &wait, 1, 60000000000LL);

	if (r < 0 || dios_info(task, &info) < 0)
		return -1;
	dios_close(task);
	return info.exit_status;
}

#endif
