/* Works that start a program that does nothing: as a task, and by hand in name spaces of the same kinds. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/work.h"
#include "libdios/dios-util.h"
#include "libdios/dios.h"

#define PROGRAM "/bin/true"

void run_task(const struct sizes *s)
{
	static const char *const arguments[] = { PROGRAM, NULL };
	struct dios_run_options options = { .path = PROGRAM, .arguments = arguments };
	uint64_t count = s->operations / 20 + 1;
	int64_t *times = calloc(count, sizeof(*times));

	for (uint64_t i = 0; i < count; i++) {
		dios_ref task;
		int64_t begun = now_ns();
		need(dios_run(0, -1, &options, &task), "run");
		struct dios_wait wait = { .ref = task, .wanted = DIOS_ENDED };
		need(dios_select(0, &wait, 1, -1), "select");
		times[i] = now_ns() - begun;
		dios_close(task);
	}
	say_times(times, count);
}

static _Noreturn void inside(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("proc", "/proc", "proc", 0, NULL) < 0)
		fail("mount");
	execl(PROGRAM, PROGRAM, (char *)NULL);
	fail(PROGRAM);
}

static _Noreturn void outside(void)
{
	int status;

	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID) < 0)
		fail("unshare");
	pid_t init = fork();
	if (init == 0)
		inside();
	if (init < 0 || waitpid(init, &status, 0) < 0)
		fail("fork");
	_exit(status == 0 ? 0 : 1);
}

void fork_exec(const struct sizes *s)
{
	uint64_t count = s->operations / 20 + 1;
	int64_t *times = calloc(count, sizeof(*times));
	int status;

	for (uint64_t i = 0; i < count; i++) {
		int64_t begun = now_ns();
		pid_t child = fork();
		if (child == 0)
			outside();
		if (child < 0 || waitpid(child, &status, 0) < 0)
			fail("fork");
		if (status != 0)
			need(-EIO, "the program in its name spaces");
		times[i] = now_ns() - begun;
	}
	say_times(times, count);
}
