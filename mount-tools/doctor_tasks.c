/* What tasks need of the kernel: name spaces of their own, a control group that can be frozen, seccomp. Without them the mount works. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "mount-tools/doctor.h"

static bool may_unshare(int what)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(what) == 0 ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void look_at_name_spaces(struct doctor *d)
{
	static const struct { int what; const char *name, *limit; } spaces[] = { { CLONE_NEWNS, "mount", "user.max_mnt_namespaces" },
		{ CLONE_NEWPID, "process", "user.max_pid_namespaces" }, { CLONE_NEWIPC, "ipc", "user.max_ipc_namespaces" } };
	char remedy[128];

	if (geteuid() != 0) {
		doctor_say(d, "name spaces", DOCTOR_WARN, "run this as root: 'sudo dios doctor'", "only root makes them, so that cannot be tried");
		return;
	}
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		if (!may_unshare(spaces[i].what)) {
			snprintf(remedy, sizeof(remedy), "allow it: 'sysctl %s=65536'; in a container, --cap-add SYS_ADMIN", spaces[i].limit);
			doctor_say(d, "name spaces", DOCTOR_WARN, remedy, "no %s name space can be made: tasks cannot run", spaces[i].name);
			return;
		}
	doctor_say(d, "name spaces", DOCTOR_OK, NULL, "tasks get mount, process and ipc name spaces of their own");
}

/* Where a file system of that type with that option is mounted. */
static bool find_cgroup(const char *type, const char *option, char *place, size_t size)
{
	char line[4096], at[1024], kind[64], options[1024];
	FILE *f = fopen("/proc/self/mounts", "re");
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %1023s %63s %1023s", at, kind, options) != 3 || strcmp(kind, type) != 0)
			continue;
		found = !option || strstr(options, option);
		if (found)
			snprintf(place, size, "%s", at);
	}
	if (f)
		fclose(f);
	return found;
}

static void look_at_control_groups(struct doctor *d)
{
	char place[1024];
	bool unified = find_cgroup("cgroup2", NULL, place, sizeof(place));

	if (!unified && !find_cgroup("cgroup", "freezer", place, sizeof(place)))
		doctor_say(d, "control groups", DOCTOR_WARN, "mount it: 'mount -t cgroup2 none /sys/fs/cgroup'",
			"there is no freezer: a task is paused by a signal, which it can see, and has no bounds");
	else if (access(place, W_OK) < 0)
		doctor_say(d, "control groups", DOCTOR_WARN, "mount it writable: 'mount -o remount,rw /sys/fs/cgroup'; in a service, Delegate=yes",
			"%s is not writable: a task is paused by a signal, which it can see, and has no bounds", place);
	else
		doctor_say(d, "control groups", DOCTOR_OK, NULL, "version %d at %s, with a freezer", unified ? 2 : 1, place);
}

static void look_at_seccomp(struct doctor *d)
{
	char line[256];

	if (doctor_read_line("/proc/sys/kernel/seccomp/actions_avail", line, sizeof(line)) < 0)
		doctor_say(d, "seccomp", DOCTOR_WARN, "boot a kernel with CONFIG_SECCOMP_FILTER", "this kernel has no filters: the calls of tasks cannot be bounded");
	else
		doctor_say(d, "seccomp", DOCTOR_OK, NULL, "this kernel filters system calls");
}

void doctor_tasks(struct doctor *d)
{
	look_at_name_spaces(d);
	look_at_control_groups(d);
	look_at_seccomp(d);
}
