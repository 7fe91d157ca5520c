/* Starting the daemon, again and again if need be.
 *
 * The first start after a death comes at once. One that fails before it is ready is followed by the next after 50 ms, then twice as long each time, at
 * most RETRY_MAX_MS. Daemons that become ready and die soon are restarted at once too, but no more than BURST_MAX of them in quick
 * succession: then one a second.
 *
 * What is executed is the binary of that name as it is on the disk then. If that is of a version that cannot go on with this mount's shared memory, or
 * is another than ran before and does not become ready in a few tries, the one that was ready last goes on instead: its file is kept open, so
 * it is there though it has been replaced. SIGHUP tries what is on the disk again. */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "mount-tools/beside.h"
#include "mount-tools/holder.h"
#include "mount-tools/notify.h"

#define RETRY_FIRST_MS 50
#define RETRY_MAX_MS 5000
#define BURST_MAX 20u
#define BURST_MS 1000
#define NEW_TRIES 3u          /* starts of a binary that has never been ready */

static int64_t now_ms(void) { return clock_boot_ns(&clock_system) / NS_PER_MS; }

static void daemon_exec(struct holder *h, int control_fd, int keep_fd, const char *path)
{
	char device[16], region[16], control[16], keep[16], data[PATH_MAX + 16], mount[PATH_MAX + 16];
	const char *arguments[16 + 2 * MOUNT_KEYS_MAX];
	int n = 0;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() == 1)
		_exit(1);       /* the holder died before the line above */
	fcntl(h->device_fd, F_SETFD, 0);
	fcntl(h->region_fd, F_SETFD, 0);
	fcntl(control_fd, F_SETFD, 0);
	fcntl(keep_fd, F_SETFD, 0);
	snprintf(device, sizeof(device), "%d", h->device_fd);
	snprintf(region, sizeof(region), "%d", h->region_fd);
	snprintf(control, sizeof(control), "%d", control_fd);
	snprintf(keep, sizeof(keep), "%d", keep_fd);
	/* Both are in the region as well: here they are for people who look at ps. */
	snprintf(data, sizeof(data), "--data=%s", h->data);
	snprintf(mount, sizeof(mount), "--mount=%s", h->mount);
	const char *fixed[] = { path, "--device-fd", device, "--region-fd", region, "--control-fd", control, "--keep-fd", keep, data, mount };
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		arguments[n++] = fixed[i];
	if (h->options->config_file) {
		arguments[n++] = "--config";
		arguments[n++] = h->options->config_file;
	}
	for (unsigned i = 0; i < h->options->key_count; i++) {
		arguments[n++] = "-o";
		arguments[n++] = h->options->keys[i];
	}
	arguments[n] = NULL;
	syscall(SYS_execveat, h->program_fd, "", (char *const *)(uintptr_t)arguments, environ, AT_EMPTY_PATH);
	_exit(127);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino && x.st_ctim.tv_sec == y.st_ctim.tv_sec &&
		x.st_ctim.tv_nsec == y.st_ctim.tv_nsec;
}

/* The file to execute, in program_fd. */
static int program_choose(struct holder *h, char *path, size_t size)
{
	int r = program_beside("diosd", path, size);

	if (h->program_fd >= 0)
		close(TAKE_FD(h->program_fd));
	h->program_fd = r < 0 ? -1 : open(path, O_PATH | O_CLOEXEC);
	if (r == 0 && h->program_fd < 0)
		r = -errno;
	if (h->good_fd < 0)
		return r;
	const char *why = r < 0 ? "is not there any more" : h->incompatible ? "is of a version that cannot go on with this mount" :
		h->failures >= NEW_TRIES && !same_file(h->program_fd, h->good_fd) ? "does not start" : NULL;
	if (!why)
		return r;
	log_warning("holder", "diosd on the disk %s: the one that ran before goes on; unmount and mount anew to use another", why);
	if (h->program_fd >= 0)
		close(h->program_fd);
	h->program_fd = fcntl(h->good_fd, F_DUPFD_CLOEXEC, 3);
	return h->program_fd < 0 ? -errno : 0;
}

static void close_pair(const int *pair)
{
	close(pair[0]);
	close(pair[1]);
}

int daemon_start(struct holder *h)
{
	char path[PATH_MAX];
	int pair[2], keep[2];

	int r = program_choose(h, path, sizeof(path));
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, keep) < 0) {
		r = -errno;
		close_pair(pair);
		return r;
	}
	pid_t pid = fork();
	if (pid < 0) {
		r = -errno;
		close_pair(pair);
		close_pair(keep);
		return r;
	}
	if (pid == 0)
		daemon_exec(h, pair[1], keep[1], path);
	close(pair[1]);
	close(keep[1]);
	h->keep.fd = keep[0];
	h->daemon = pid;
	h->daemon_ready = false;
	h->reason[0] = '\0';
	control_init(&h->control, pair[0]);
	return 0;
}

void daemon_is_ready(struct holder *h)
{
	h->daemon_ready = true;
	h->failures = 0;
	if (h->good_fd >= 0)
		close(h->good_fd);
	h->good_fd = TAKE_FD(h->program_fd);
	if (h->ready)
		notify_send("STATUS=serving %s on %s", h->data, h->mount);
	if (h->ready)
		log_notice("holder", "the mount goes on mount=%s daemon_pid=%d after_ms=%lld", h->mount, (int)h->daemon, (long long)(now_ms() - h->died_ms));
}

void daemon_renew(struct holder *h)
{
	log_notice("holder", "the daemon is started again, as it is on the disk now");
	h->incompatible = false;
	h->failures = 0;
	if (h->ready && h->daemon > 0)
		kill(h->daemon, SIGKILL);
}

static void log_end(const struct holder *h, int status, int64_t delay_ms)
{
	char how[64];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "signal=%d", WTERMSIG(status));
	else
		snprintf(how, sizeof(how), "status=%d", WEXITSTATUS(status));
	notify_send("STATUS=the daemon %s%s, and is started again; programs on %s wait", h->reason[0] ? "cannot start: " : "has died",
		h->reason, h->mount);
	if (h->reason[0])
		log_error("holder", "the daemon cannot start: %s; what is asked of the mount waits failures=%u next_try_ms=%lld", h->reason, h->failures,
			(long long)delay_ms);
	else
		log_warning("holder", "the daemon has died and is started again mount=%s %s failures=%u next_try_ms=%lld", h->mount, how, h->failures,
			(long long)delay_ms);
}

int64_t daemon_ended(struct holder *h, int status)
{
	int64_t now = now_ms(), delay = 0;

	if (h->daemon_ready) {
		uint64_t calm = (uint64_t)(now - h->died_ms) / BURST_MS;
		h->burst = h->burst > calm ? h->burst - (unsigned)calm + 1 : 1;
		h->died_ms = now;
		delay = h->burst > BURST_MAX ? BURST_MS : 0;
	} else if (!h->incompatible) {
		unsigned doublings = h->failures++;
		delay = doublings > 6 ? RETRY_MAX_MS : RETRY_FIRST_MS << doublings;
	}
	h->daemon_ready = false;
	log_end(h, status, delay);
	return now + delay;
}
