/* The programs are those of the build: DIOS_PROGRAMS names their folder. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <mntent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"
#include "tests/fs/mount.h"
#include "tests/tap.h"

char mount_work[256], mount_data[300], mount_point[300];
static bool skipped;

bool mount_is_mounted(void)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	struct mntent *m;
	bool found = false;

	while (f && (m = getmntent(f)))
		found = found || strcmp(m->mnt_dir, mount_point) == 0;
	if (f)
		endmntent(f);
	return found;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static pid_t owner;

static void cleanup(void)
{
	if (getpid() != owner)
		return;
	if (chdir("/") < 0)
		return;
	mount_down();
	if (mount_is_mounted())
		umount2(mount_point, MNT_DETACH);
	if (getenv("DIOS_TEST_KEEP"))
		printf("# kept: %s\n", mount_work);
	else
		nftw(mount_work, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* A test that takes too long is asked to end before it is killed: its mount goes with it. */
static void on_end(int number)
{
	(void)number;
	cleanup();
	_exit(1);
}

bool mount_prepare(void)
{
	char error[512] = "";

	if (geteuid() != 0) {
		skip_all("mounting needs root");
		skipped = true;
		return false;
	}
	if (access("/dev/fuse", F_OK) < 0) {
		skip_all("there is no /dev/fuse");
		skipped = true;
		return false;
	}
	snprintf(mount_work, sizeof(mount_work), "%s/dios-test.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp");
	if (!mkdtemp(mount_work))
		return ok(false, "a temporary folder: %s", strerror(errno));
	owner = getpid();
	atexit(cleanup);
	signal(SIGTERM, on_end);
	signal(SIGINT, on_end);
	chmod(mount_work, 0755);
	snprintf(mount_data, sizeof(mount_data), "%s/data", mount_work);
	snprintf(mount_point, sizeof(mount_point), "%s/mount", mount_work);
	if (mkdir(mount_point, 0755) < 0)
		return ok(false, "a mount point: %s", strerror(errno));
	int r = store_init(mount_data, &random_system, &clock_system, error, sizeof(error));
	return r == 0 || ok(false, "a data directory: %s", error);
}

int mount_run(char *output, size_t size, const char *program, const char *const *arguments)
{
	const char *folder = getenv("DIOS_PROGRAMS");
	const char *argv[32];
	char path[4096], rest[4096];
	int pipe_fd[2], status = 0, n = 0;
	size_t used = 0;
	ssize_t got;

	snprintf(path, sizeof(path), "%s/%s", folder ? folder : ".", program);
	argv[n++] = path;
	while (arguments && *arguments && n < 31)
		argv[n++] = *arguments++;
	argv[n] = NULL;
	if (pipe(pipe_fd) < 0)
		return -1;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(pipe_fd[1], STDERR_FILENO);
		dup2(pipe_fd[1], STDOUT_FILENO);
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		execv(path, (char *const *)(uintptr_t)argv);
		_exit(126);
	}
	close(pipe_fd[1]);
	while (used + 1 < size && (got = read(pipe_fd[0], output + used, size - 1 - used)) > 0)
		used += (size_t)got;
	output[used] = '\0';
	/* To its end: who writes to nobody is killed. */
	while (read(pipe_fd[0], rest, sizeof(rest)) > 0) {}
	close(pipe_fd[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int mount_holder(char *output, size_t size, const char *const *arguments) { return mount_run(output, size, "dios-holder", arguments); }

bool mount_up(void)
{
	char output[2048];
	const char *mode = getenv("DIOS_TEST_PASSTHROUGH");
	char option[64];
	snprintf(option, sizeof(option), "passthrough=%s", mode ? mode : "write");
	const char *const arguments[] = { "-o", option, mount_data, mount_point, NULL };

	return mount_holder(output, sizeof(output), arguments) == 0 || ok(false, "dios-holder: %s", output);
}

bool mount_start(void)
{
	return mount_prepare() && mount_up() && (chdir(mount_point) == 0 || ok(false, "the mount's root: %s", strerror(errno)));
}

int mount_result(void) { return skipped ? 0 : done_testing() ? 1 : 1; }

static pid_t status_pid(const char *key)
{
	char path[400], text[4096];

	snprintf(path, sizeof(path), "%s/.dios/status", mount_point);
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	const char *at = strstr(text, key);
	return at ? (pid_t)strtol(strchr(at, ':') + 1, NULL, 10) : 0;
}

pid_t mount_daemon(void) { return status_pid("\"daemon_pid\""); }
pid_t mount_holder_pid(void) { return status_pid("\"holder_pid\""); }

static bool process_gone(void *arg) { return kill(*(pid_t *)arg, 0) < 0 && errno == ESRCH; }

bool mount_fsck_clean(void)
{
	char output[4096];
	const char *const arguments[] = { "--mount", mount_point, "fsck", NULL };

	if (mount_run(output, sizeof(output), "dios", arguments) == 0)
		return true;
	printf("# fsck: %s\n", output);
	return false;
}

bool mount_kill_daemon(void)
{
	pid_t daemon = mount_daemon();

	return daemon > 1 && kill(daemon, SIGKILL) == 0;
}

bool mount_kill_all(void)
{
	pid_t holder = mount_holder_pid(), daemon = mount_daemon();

	return holder > 1 && daemon > 1 && kill(holder, SIGKILL) == 0 && kill(daemon, SIGKILL) == 0 && wait_for(process_gone, &daemon) &&
		umount2(mount_point, MNT_DETACH) == 0 && !mount_is_mounted();
}

bool mount_down(void)
{
	pid_t holder = mount_is_mounted() ? mount_holder_pid() : 0;

	if (holder <= 1 && mount_is_mounted())
		printf("# %s is mounted and does not say by whom: %s\n", mount_point, strerror(errno));
	if (holder <= 1)
		return !mount_is_mounted();
	kill(holder, SIGTERM);
	return wait_for(process_gone, &holder) && !mount_is_mounted();
}

bool mount_all_closed(void *unused)
{
	static const char word[] = "\ndios_fs_open_handles ";
	char path[400], text[65536];

	(void)unused;
	snprintf(path, sizeof(path), "%s/.dios/stats", mount_point);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	const char *at = strstr(text, word);
	return at && strtol(at + strlen(word), NULL, 10) <= 1;
}

bool wait_for(bool (*condition)(void *arg), void *arg)
{
	for (int i = 0; i < 1000; i++) {
		if (condition(arg))
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

bool as_user(uid_t uid, bool (*body)(void *arg), void *arg)
{
	int status = 1;

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		gid_t none = uid;
		signal(SIGTERM, SIG_DFL);
		if (setgroups(0, NULL) < 0 || setresgid(none, none, none) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(99);
		_exit(body(arg) ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool write_all(const char *path, int flags, const char *text)
{
	int fd = open(path, flags, 0644);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	return (fd < 0 || close(fd) == 0) && good;
}

bool put(const char *path, const char *text) { return write_all(path, O_WRONLY | O_CREAT | O_TRUNC, text); }
bool append(const char *path, const char *text) { return write_all(path, O_WRONLY | O_CREAT | O_APPEND, text); }

bool holds(const char *path, const char *text)
{
	char found[65536];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, found, sizeof(found));

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) && memcmp(found, text, (size_t)n) == 0;
}
