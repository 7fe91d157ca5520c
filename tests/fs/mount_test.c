/* Mounting: what is refused, and how; clean ends; what is there after a remount. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/fs/mount.h"
#include "tests/tap.h"

static char output[4096];

/* The programs' sentence must name what is wrong. */
static void refused(const char *what, const char *const *arguments, const char *names)
{
	int status = mount_holder(output, sizeof(output), arguments);

	ok(status == 1 && strstr(output, names), "%s is refused, and named", what);
	if (status != 1 || !strstr(output, names))
		printf("# status %d: %s\n", status, output);
	if (mount_is_mounted())
		ok(false, "and nothing is mounted");
}

static void refusals(void)
{
	char other[400], file[400];

	snprintf(other, sizeof(other), "%s/other", mount_work);
	snprintf(file, sizeof(file), "%s/file", mount_work);
	refused("a missing data directory", (const char *const[]){ "/nonexistent/data", mount_point, NULL }, "/nonexistent/data");
	refused("a missing mount point", (const char *const[]){ mount_data, "/nonexistent/mount", NULL }, "/nonexistent/mount");
	put(file, "not a directory");
	refused("a file as mount point", (const char *const[]){ mount_data, file, NULL }, file);
	refused("a file as data directory", (const char *const[]){ file, mount_point, NULL }, file);
	mkdir(other, 0700);
	refused("a directory of something else", (const char *const[]){ other, mount_point, NULL }, other);
	char format[500];
	snprintf(format, sizeof(format), "%s/format", other);
	put(format, "something else\n");
	refused("a data directory with a foreign format", (const char *const[]){ other, mount_point, NULL }, other);
	refused("an unknown option", (const char *const[]){ "-o", "noatime,colour=blue", mount_data, mount_point, NULL }, "colour=blue");
	refused("a bad value", (const char *const[]){ "-o", "workers=none", mount_data, mount_point, NULL }, "workers");
	refused("a missing configuration file", (const char *const[]){ "-o", "config=/nonexistent.conf", mount_data, mount_point, NULL }, "/nonexistent.conf");
	snprintf(file, sizeof(file), "%s/bad.conf", mount_work);
	put(file, "workers = 4\nlog.levle = debug\n");
	char option[450], line[450];
	snprintf(option, sizeof(option), "config=%s", file);
	snprintf(line, sizeof(line), "%s:2", file);
	refused("a bad line of the configuration", (const char *const[]){ "-o", option, mount_data, mount_point, NULL }, line);
	refused("one argument", (const char *const[]){ mount_data, NULL }, "mount point");
}

static bool refused_to_users(void *arg)
{
	(void)arg;
	return mount_holder(output, sizeof(output), (const char *const[]){ mount_data, mount_point, NULL }) == 1 && strstr(output, "root");
}

static void busy(void)
{
	char second[400];

	snprintf(second, sizeof(second), "%s/second", mount_work);
	mkdir(second, 0755);
	int status = mount_holder(output, sizeof(output), (const char *const[]){ mount_data, second, NULL });
	ok(status == 1 && strstr(output, "is in use by another daemon"), "a data directory that is served is busy");
	status = mount_holder(output, sizeof(output), (const char *const[]){ mount_data, mount_point, NULL });
	ok(status == 1 && strstr(output, "busy"), "so is a mount point");
	char again[400];
	snprintf(again, sizeof(again), "%s/./second/../%s", mount_work, strrchr(mount_point, '/') + 1);
	status = mount_holder(output, sizeof(output), (const char *const[]){ mount_data, again, NULL });
	ok(status == 1 && strstr(output, again) && strstr(output, "is busy: a dios is mounted there"), "however it is written");
	ok(access(mount_point, F_OK) == 0 && mount_daemon() > 0, "and the mount goes on");
}

static char path_of[600];

static const char *in_mount(const char *name)
{
	snprintf(path_of, sizeof(path_of), "%s/%s", mount_point, name);
	return path_of;
}

static bool unmounted(void *arg)
{
	(void)arg;
	return !mount_is_mounted();
}

static bool gone(void *arg) { return kill(*(pid_t *)arg, 0) < 0 && errno == ESRCH; }

static void remounts(void)
{
	ok(put(in_mount("kept"), "over the end") && mkdir(in_mount("folder"), 0755) == 0, "something is put in");
	pid_t holder = mount_holder_pid(), daemon = mount_daemon();
	ok(mount_down(), "SIGTERM to the holder ends all");
	ok(gone(&holder) && gone(&daemon), "no process is left");
	ok(access(in_mount("kept"), F_OK) < 0, "nothing is mounted");
	ok(mount_up() && holds(in_mount("kept"), "over the end") && access(in_mount("folder"), F_OK) == 0, "mounted again, all is there");
	ok(put(in_mount("late"), "by umount"), "more is put in");
	holder = mount_holder_pid();
	ok(umount(mount_point) == 0 && wait_for(gone, &holder), "umount ends all too");
	ok(mount_up() && holds(in_mount("late"), "by umount"), "and loses nothing");
}

/* Whose mount is unmounted: what lies below it, or was put on its place, is not. */
static void not_ours(void)
{
	pid_t holder = mount_holder_pid(), daemon = mount_daemon();

	ok(chdir("/") == 0 && umount2(mount_point, MNT_DETACH) == 0 && mount("other", mount_point, "tmpfs", 0, NULL) == 0, "unmounted by hand, and something else mounted there");
	ok(wait_for(gone, &daemon) && wait_for(gone, &holder), "the processes end");
	ok(umount(mount_point) == 0, "and leaves the other mount alone");
	ok(mount_up() && holds(in_mount("late"), "by umount"), "nothing is lost");
}

/* Another data directory, mounted at the same place. */
static bool mount_other(void)
{
	char other[400];

	snprintf(other, sizeof(other), "%s/data2", mount_work);
	int status = mount_holder(output, sizeof(output), (const char *const[]){ other, mount_point, NULL });
	return status == 0 || ok(false, "dios-holder: %s", output);
}

static bool other_is_there(void) { return mount_is_mounted() && put(in_mount("other"), "still there") && holds(in_mount("other"), "still there"); }

/* Who is to unmount comes late: the mount of the moment is another, though at the same place and of the same kind. */
static void remounted_at_once(void)
{
	char other[400];

	snprintf(other, sizeof(other), "%s/data2", mount_work);
	bool good = store_init(other, &random_system, &clock_system, output, sizeof(output)) == 0;
	pid_t holder = mount_holder_pid();
	good = good && kill(holder, SIGSTOP) == 0 && umount(mount_point) == 0 && mount_other() && kill(holder, SIGCONT) == 0 && wait_for(gone, &holder) &&
		other_is_there() && mount_down() && mount_up();
	ok(good, "a holder that ends late leaves the next mount alone");
	holder = mount_holder_pid();
	pid_t daemon = mount_daemon();
	good = good && kill(daemon, SIGSTOP) == 0 && kill(holder, SIGKILL) == 0 && umount2(mount_point, MNT_DETACH) == 0 && mount_other() &&
		kill(daemon, SIGCONT) == 0 && wait_for(gone, &daemon) && other_is_there() && mount_down() && mount_up();
	ok(good && holds(in_mount("late"), "by umount"), "so does a daemon whose holder was killed");
}

static void in_use(void)
{
	pid_t holder = mount_holder_pid();
	char byte;

	put(in_mount("open"), "x");
	int fd = open(in_mount("open"), O_RDWR);
	ok(write(fd, "yes", 3) == 3, "a file is open and written");
	kill(holder, SIGTERM);
	ok(wait_for(gone, &holder) && !mount_is_mounted(), "a mount in use ends as well");
	ok(pread(fd, &byte, 1, 0) < 0 || byte == 'y', "who has files open there gets errors, or what the kernel has");
	close(fd);
	ok(mount_up() && holds(in_mount("open"), "yes"), "what was written is there");
}

/* Whoever unmounts asks the mount, for what the kernel has to be written back; nobody is there to answer any more. */
static void dies_while_it_is_unmounted(void)
{
	setenv("DIOS_FAULT", "diosd.quiet=kill", 1);
	bool up = mount_down() && mount_up();
	unsetenv("DIOS_FAULT");
	pid_t holder = mount_holder_pid();
	int fd = open(in_mount("open"), O_RDWR);
	ok(up && pwrite(fd, "and", 3, 0) == 3, "a file is open and written, and the daemon is to die when it is unmounted");
	kill(holder, SIGTERM);
	ok(wait_for(gone, &holder) && !mount_is_mounted(), "the mount ends all the same");
	close(fd);
	ok(mount_up() && holds(in_mount("open"), "and"), "and what was written is there");
}

static void killed(void)
{
	pid_t holder = mount_holder_pid(), daemon = mount_daemon();

	put(in_mount("before"), "the death");
	kill(daemon, SIGKILL);
	ok(holds(in_mount("before"), "the death") && mount_daemon() != daemon, "when the daemon dies another goes on, and every call that had returned survives");
	is_int(mount_holder_pid(), holder, "under the same holder");
	holder = mount_holder_pid();
	daemon = mount_daemon();
	kill(holder, SIGKILL);
	ok(wait_for(gone, &daemon) && wait_for(unmounted, NULL), "when the holder dies the daemon stops and unmounts");
	ok(mount_up() && holds(in_mount("before"), "the death"), "and all is there");
}

static void helper(void)
{
	mount_down();
	int status = mount_run(output, sizeof(output), "mount.dios", (const char *const[]){ mount_data, mount_point, "-o", "ro,nofail,workers=2", NULL });
	ok(status == 0 && mount_is_mounted(), "mount.dios mounts");
	ok(open(in_mount("new"), O_WRONLY | O_CREAT, 0644) < 0 && errno == EROFS && holds(in_mount("kept"), "over the end"), "ro is read-only");
	mount_down();
	status = mount_run(output, sizeof(output), "mount.dios", (const char *const[]){ mount_data, mount_point, "-o", "rw,nonsense", NULL });
	ok(status == 1 && strstr(output, "'nonsense'"), "mount.dios refuses an unknown option by its name");
	status = mount_run(output, sizeof(output), "mount.dios", (const char *const[]){ mount_data, mount_point, "-s", "-o", "rw,nonsense", NULL });
	ok(status == 0 && mount_is_mounted(), "with -s it passes over it");
	status = mount_run(output, sizeof(output), "diosd", NULL);
	ok(status == 2 && strstr(output, "dios-holder"), "diosd by hand says who starts it");
}

int main(void)
{
	if (!mount_prepare())
		return mount_result();
	refusals();
	ok(as_user(65534, refused_to_users, NULL), "who is not root is told that mounting needs it");
	if (!mount_up())
		return mount_result();
	busy();
	remounts();
	not_ours();
	remounted_at_once();
	in_use();
	dies_while_it_is_unmounted();
	killed();
	helper();
	return done_testing();
}
