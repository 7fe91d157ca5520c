/* Texts of /proc: mount points of control groups, and what a process is. */
#include <sys/wait.h>

#include "tasks/cgroup.h"
#include "tasks/process.h"
#include "tests/tap.h"

static struct cgroup_layout parse(const char *text)
{
	struct cgroup_layout l;

	cgroup_layout_parse((struct slice){ .data = (const uint8_t *)text, .size = strlen(text) }, &l);
	return l;
}

static void layouts(void)
{
	struct cgroup_layout l = parse("24 30 0:22 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n");
	is_str(l.unified, "/sys/fs/cgroup", "version 2 alone");
	ok(!l.freezer[0] && !l.memory[0] && !l.cpu[0], "has no others");

	l = parse("22 27 0:21 / /proc rw,relatime - proc proc rw\n31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
		"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:1 master:2 - cgroup cgroup rw,cpu,cpuacct\n"
		"36 31 0:33 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer\n"
		"40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw");
	is_str(l.unified, "/sys/fs/cgroup/unified", "both: version 2");
	is_str(l.cpu, "/sys/fs/cgroup/cpu,cpuacct", "both: cpu, with its optional fields");
	is_str(l.memory, "/sys/fs/cgroup/memory", "both: memory");
	is_str(l.freezer, "/sys/fs/cgroup/freezer", "both: freezer");

	l = parse("36 31 0:33 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n");
	ok(!l.cpu[0], "cpuset is not cpu");
	l = parse("1 2 0:3 / /a rw - cgroup2 cgroup2 rw\n4 5 0:6 / /b rw - cgroup2 cgroup2 rw\n");
	is_str(l.unified, "/a", "the first mount of several");
	l = parse("1 2 0:3 / /a\\040b rw - cgroup2 cgroup2 rw\n");
	ok(!l.unified[0], "an escaped path is passed over");
	static const char *const broken[] = { "", "\n\n", "-", "1 2 3 4 - cgroup2", "1 2 0:3 / /a rw -", "1 2 0:3 / /a rw - cgroup2", "   - - - cgroup2 x y z",
		"1 2 0:3 / /a rw - cgroup2 x" };
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		l = parse(broken[i]);
		ok(!l.unified[0], "nothing comes of '%s'", i == 1 ? "two newlines" : broken[i]);
	}
}

static int parse_status(const char *text, struct process_status *s)
{
	return process_parse_status((struct slice){ .data = (const uint8_t *)text, .size = strlen(text) }, s);
}

static void statuses(void)
{
	struct process_status s;
	char many[2048] = "Name:\tx\nPPid:\t1\nUid:\t0 0 0 0\nGid:\t0 0 0 0\nCapEff:\t0\nGroups:\t";

	is_int(parse_status("Name:\tGroups: 9\nState:\tS\nTgid:\t5\nPPid:\t42\nUid:\t1000\t1001\t1002\t1003\nGid:\t10\t11\t12\t13\nGroups:\t4 24 27 \n"
		"VmRSS:\t    1234 kB\nCapEff:\t000001ffffffffff\n", &s), 0, "a status is read");
	ok(s.parent == 42 && s.uid == 1003 && s.gid == 13, "parent, and the ids that count at files");
	ok(s.group_count == 3 && s.groups[0] == 4 && s.groups[2] == 27, "groups");
	ok(s.capabilities == 0x1ffffffffffULL && s.rss_bytes == 1234 * 1024, "capabilities and memory");
	is_int(parse_status("PPid:\t42\nUid:\t1 1 1 1\nGid:\t1 1 1 1\nGroups:\t \nCapEff:\t0\n", &s), 0, "no groups are fine");
	is_int(s.group_count, 0, "and none are found");
	is_int(parse_status("", &s), -EBADMSG, "an empty one is refused");
	is_int(parse_status("PPid:\t42\nUid:\t1 1\nGid:\t1 1 1 1\nGroups:\t\nCapEff:\t0\n", &s), -EBADMSG, "too few ids are refused");
	is_int(parse_status("PPid:\t42\nUid:\t1 1 1 1\nGid:\t1 1 1 1\nCapEff:\t0\n", &s), -EBADMSG, "a missing line is refused");
	size_t used = strlen(many);
	for (unsigned i = 0; i <= LAUNCH_GROUPS_MAX; i++)
		used += (size_t)snprintf(many + used, sizeof(many) - used, "%u ", i);
	is_int(parse_status(many, &s), -E2BIG, "more groups than can be handed on are refused, not cut");
}

static void limits(void)
{
	static const char *const text = "Limit                     Soft Limit           Hard Limit           Units     \n"
		"Max cpu time              unlimited            unlimited            seconds   \nMax file size             5                    unlimited            bytes     \n"
		"Max data size             unlimited            unlimited            bytes     \nMax stack size            8388608              unlimited            bytes     \n"
		"Max core file size        0                    7                    bytes     \nMax resident set          unlimited            unlimited            bytes     \n"
		"Max processes             96365                96366                processes \nMax open files            20000                20001                files     \n"
		"Max locked memory         8388608              8388608              bytes     \nMax address space         unlimited            unlimited            bytes     \n"
		"Max file locks            unlimited            unlimited            locks     \nMax pending signals       96365                96365                signals   \n"
		"Max msgqueue size         819200               819200               bytes     \nMax nice priority         0                    0                    \n"
		"Max realtime priority     1                    2                    \nMax realtime timeout      unlimited            unlimited            us        \n";
	struct launch_limit l[RLIM_NLIMITS];

	is_int(process_parse_limits((struct slice){ .data = (const uint8_t *)text, .size = strlen(text) }, l), 0, "limits are read");
	ok(l[RLIMIT_CPU].soft == RLIM_INFINITY && l[RLIMIT_FSIZE].soft == 5 && l[RLIMIT_FSIZE].hard == RLIM_INFINITY, "unlimited and not");
	ok(l[RLIMIT_NOFILE].soft == 20000 && l[RLIMIT_NOFILE].hard == 20001 && l[RLIMIT_RTPRIO].hard == 2, "soft and hard");
	is_int(process_parse_limits((struct slice){ .data = (const uint8_t *)text, .size = 200 }, l), -EBADMSG, "a part of them is refused");
}

static void living(void)
{
	struct process_status s;
	struct launch l = { 0 };
	uint64_t own, its;
	struct launch_usage usage;

	ok(process_get_status(getpid(), &s) == 0 && s.parent == getppid() && s.uid == geteuid(), "this process is found");
	is_int(process_identity(getpid(), geteuid(), getegid(), &l), 0, "its identity");
	ok(l.uid == geteuid() && l.limit_count > 0 && l.group_count == s.group_count, "is what it has");
	l = (struct launch){ 0 };
	is_int(process_identity(getpid(), geteuid() + 1, 5, &l), 0, "as another user");
	ok(l.gid == 5 && l.group_count == 0 && l.capabilities == 0 && l.limit_count == 0, "it gives neither groups nor capabilities");
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	ok(process_namespace(getpid(), &own) == 0 && process_namespace(child, &its) == 0 && own == its, "a child is in the same name space");
	waitpid(child, NULL, 0);
	is_int(process_namespace(child, &its), -ESRCH, "a process that is gone is said to be");
	is_int(process_get_status(child, &s), -ESRCH, "also by its status");
	is_int(process_get_status(0, &s), -ESRCH, "and there is no process 0");
	ok(process_usage(getpid(), &usage) == 0 && usage.user_ns != LAUNCH_UNKNOWN, "usage");
}

int main(void)
{
	layouts();
	statuses();
	limits();
	living();
	return done_testing();
}
