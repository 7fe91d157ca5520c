/* A task is paused when it has been told to go and before the daemon has heard that it runs; where there is no freezer its first process, which nobody
 * knows as that yet, is stopped with the others. Resumed, when that one is known, all of it goes on.
 *
 * So that the daemon hears nothing, its thread for tasks goes no further once it has told the second task to go. The call to pause kills that daemon. The next
 * one does the call again before it listens to tasks. */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libdios/dios-util.h"
#include "libdios/dios.h"
#include "tests/fs/mount.h"
#include "tests/fs/shell_task.h"
#include "tests/tap.h"

/* -ENOENT: there is none. */
static int unmount_one_cgroup(void)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	int r = -ENOENT;

	for (struct mntent *m; f && r == -ENOENT && (m = getmntent(f)); )
		if (strncmp(m->mnt_type, "cgroup", 6) == 0)
			r = umount2(m->mnt_dir, MNT_DETACH) < 0 ? -errno : 0;
	if (f)
		endmntent(f);
	return r;
}

/* Daemons of this test see no control groups, so that they pause by signals. The rest of the machine keeps its own. */
static bool hide_cgroups(void)
{
	int r = 0;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	while (r == 0)
		r = unmount_one_cgroup();
	return r == -ENOENT;
}

static bool exists(void *path) { return access(path, F_OK) == 0; }

int main(void)
{
	static char mark[] = "mark";
	char script[1024];
	dios_ref blob = -1;

	/* Each kills or waits at its second passage in a daemon's life; the first are spent on others. */
	if (geteuid() == 0 && !hide_cgroups())
		ok(false, "a name space of mounts without control groups: %s", strerror(errno));
	setenv("DIOS_FAULT", "tasks.go=wait:2,fs.pause=kill:2", 1);
	if (!mount_start())
		return mount_result();
	setenv("DIOS_MOUNT", mount_point, 1);
	ok(end_of(run_sh("exit 3")) == 3 << 8, "and ends");
	ok(put("blob", "x") && dios_open(0, "./blob", DIOS_READ | DIOS_WRITE, &blob) == 0 && dios_pause(0, blob) < 0, "what is no task is not paused");
	/* Opened for both, it waits for nobody. */
	int go = mkfifo("go", 0600) == 0 ? open("go", O_RDWR) : -1;
	/* It executes, so its first process has said that it runs. */
	snprintf(script, sizeof(script), "echo >%s/mark; read line <%s/go; exit 7", mount_point, mount_point);
	dios_ref task = run_sh(script);
	ok(wait_for(exists, mark), "it is told to go");
	ok(dios_pause(0, task) == 0 && state_of(task) == DIOS_TASK_PAUSED, "it is paused, and a daemon has died");
	/* When another has run to its end, all that the first one said has been heard. */
	ok(end_of(run_sh("exit 4")) == 4 << 8, "and ends");
	ok(dios_pause(DIOS_RESUME, task) == 0 && write(go, "\n", 1) == 1, "it is resumed");
	ok(end_of(task) == 7 << 8, "tasks_a task that was paused at its very beginning goes on");
	dios_close(blob);
	close(go);
	return done_testing();
}
