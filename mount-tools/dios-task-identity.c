/* Who the program is: the caller's user, groups and limits; never more than the caller, and no way to become more.
 *
 * A task of root keeps what root needs for files, processes and ports, as far as the caller had it, and none of what would undo the
 * confinement: mounting, devices, tracing, file handles, the machine itself. */
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "mount-tools/dios-task.h"

#define BIT(capability) (1ULL << (capability))
#define ROOT_KEEPS (BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_KILL) | BIT(CAP_SETGID) | \
	BIT(CAP_SETUID) | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_IPC_LOCK) | BIT(CAP_SYS_NICE) | BIT(CAP_SYS_RESOURCE) | BIT(CAP_LEASE))

/* A hard limit above this process's own can't be had without CAP_SYS_RESOURCE: then this one's stays. */
static void set_limits(const struct launch *l)
{
	for (size_t i = 0; i < l->limit_count; i++) {
		struct rlimit own, limit = { .rlim_cur = l->limits[i].soft, .rlim_max = l->limits[i].hard };

		if (setrlimit((__rlimit_resource_t)i, &limit) == 0 || getrlimit((__rlimit_resource_t)i, &own) < 0)
			continue;
		limit.rlim_max = limit.rlim_max < own.rlim_max ? limit.rlim_max : own.rlim_max;
		limit.rlim_cur = limit.rlim_cur < limit.rlim_max ? limit.rlim_cur : limit.rlim_max;
		if (setrlimit((__rlimit_resource_t)i, &limit) < 0)
			fail(LAUNCH_IDENTITY, errno, "limits");
	}
}

static void drop_bounding(uint64_t keep)
{
	/* The kernel says EINVAL of the first that it does not have; what is kept is below that. */
	for (int capability = 0; capability < 64; capability++) {
		if ((keep & BIT(capability)) || prctl(PR_CAPBSET_DROP, capability) == 0)
			continue;
		if (errno == EINVAL && capability > CAP_WAKE_ALARM)
			return;
		fail(LAUNCH_IDENTITY, errno, "bounding capabilities");
	}
}

/* What this process itself may have: the daemon may run with less than its caller. */
static uint64_t get_permitted(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		fail(LAUNCH_IDENTITY, errno, "capabilities");
	return (uint64_t)data[1].permitted << 32 | data[0].permitted;
}

static void set_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = (uint32_t)(keep >> (32 * i));
	if (syscall(SYS_capset, &header, data) < 0)
		fail(LAUNCH_IDENTITY, errno, "capabilities");
}

void take_identity(const struct launch *l)
{
	uint64_t keep = l->uid == 0 ? ROOT_KEEPS & l->capabilities & get_permitted() : 0;
	gid_t groups[LAUNCH_GROUPS_MAX];

	for (size_t i = 0; i < l->group_count; i++)
		groups[i] = l->groups[i];
	set_limits(l);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	drop_bounding(keep);
	if (setgroups(l->group_count, groups) < 0)
		fail(LAUNCH_IDENTITY, errno, "groups");
	if (setresgid(l->gid, l->gid, l->gid) < 0)
		fail(LAUNCH_IDENTITY, errno, "group");
	if (setresuid(l->uid, l->uid, l->uid) < 0)
		fail(LAUNCH_IDENTITY, errno, "user");
	set_capabilities(keep);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail(LAUNCH_IDENTITY, errno, "no new privileges");
}
