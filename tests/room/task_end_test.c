/* A task that ends while nothing can be logged: its end, and what becomes of its output, are told as soon as there is room, also by the next daemon. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libdios/dios-util.h"
#include "libdios/dios.h"
#include "tests/fs/mount.h"
#include "tests/room/room.h"
#include "tests/sweep/control.h"
#include "tests/tap.h"

#define WAIT_NS 60000000000LL
#define LOOK_NS 20000000LL

static dios_ref task_start(const char *output)
{
	static const char *const arguments[] = { "sleep", "600", NULL };
	struct dios_create_options create = { .path = output, .mode = 0644 };
	dios_ref out = -1, task = -1;

	is_int(dios_create(DIOS_UNPRODUCED, &create, NULL, &out), 0, "an output that is to be produced");
	struct dios_run_options o = { .path = "/bin/sleep", .arguments = arguments, .outputs = &out, .output_count = 1 };
	is_int(dios_run(0, -1, &o, &task), 0, "and a task");
	close(out);
	return task;
}

static bool runs(void *arg)
{
	struct dios_ioctl_info info;

	return dios_info(*(dios_ref *)arg, &info) == 0 && info.task_state == DIOS_TASK_RUNNING;
}

static bool has_failed(void *arg)
{
	(void)arg;
	return atomic_load(&control->fired) > 0;
}

static int ended(dios_ref task, int64_t timeout_ns)
{
	struct dios_wait wait = { .ref = task, .wanted = DIOS_ENDED };

	return dios_select(0, &wait, 1, timeout_ns);
}

/* Kills it while the log cannot be written. */
static void end_without_room(dios_ref task)
{
	ok(wait_for(runs, &task), "it runs");
	sync();
	control_fail("/data/log/", 1u << SWEEP_PWRITE, ENOSPC, 1, SWEEP_FOR_EVER);
	is_int(dios_task_kill(task, SIGKILL), 0, "it is killed while there is no room in the log");
	ok(wait_for(has_failed, NULL), "that cannot be recorded");
	is_int(ended(task, LOOK_NS), -ETIMEDOUT, "and is not told as long as it is not");
}

static void check_told(dios_ref task, const char *output)
{
	struct dios_ioctl_info info = { 0 };

	is_int(ended(task, WAIT_NS), 0, "whoever waits hears of it");
	ok(dios_info(task, &info) == 0 && info.task_state == DIOS_TASK_FAILED && info.exit_status == SIGKILL, "it was killed");
	int fd = open(output, O_RDONLY | O_NONBLOCK | O_CLOEXEC);   /* EAGAIN: nothing is known of it */
	is_int(fd < 0 ? -errno : 0, -EIO, "its output will not be produced");
	if (fd >= 0)
		close(fd);
	close(task);
}

static bool is_another(void *daemon)
{
	pid_t now = mount_daemon();

	return now > 0 && now != *(pid_t *)daemon;
}

int main(void)
{
	if (!disk_make(300, "", "") || !control_make() || setenv("DIOS_MOUNT", mount_point, 1) < 0)
		return mount_result();
	setenv("LD_PRELOAD", getenv("DIOS_SHIM"), 1);
	bool there = up();
	unsetenv("LD_PRELOAD");
	if (!there)
		return mount_result();

	dios_ref task = task_start("one");
	end_without_room(task);
	control_stop();
	check_told(task, "one");

	task = task_start("two");
	end_without_room(task);
	pid_t daemon = mount_daemon();
	ok(mount_kill_daemon(), "the daemon is killed meanwhile");
	control_stop();
	ok(wait_for(is_another, &daemon), "another one comes");
	check_told(task, "two");
	ok(works(NULL) && mount_fsck_clean(), "all works, and fsck finds nothing");
	return done_testing();
}
