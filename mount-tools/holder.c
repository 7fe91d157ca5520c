/* The holder's life, driven by one poll loop: signals, the daemon's words, the end of children.
 *
 *   start the daemon -> "opened" -> mount -> "mounted" -> "ready" -> probe the mount -> tell the starter
 *   the daemon dies -> start another -> "opened" -> "mounted", for it still is -> "ready"
 *   SIGTERM -> SIGTERM to the daemon -> "quiet" -> unmount -> "unmounted" -> the daemon ends -> exit 0
 *   SIGHUP -> the daemon is killed, and the next one is the binary that is on the disk now
 *
 * Once the mount has answered, only SIGTERM, an unmount, or a daemon that ends by itself with 0 ends the holder: while no daemon can be had, what
 * programs ask of the mount waits, and starting is tried again for ever (holder_daemon.c).
 *
 * Whatever way it ends, nothing stays mounted. The probe is a process of its own: if the daemon died under it, it would hang, and the
 * holder must not. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "fs/region.h"
#include "mount-tools/holder.h"
#include "mount-tools/notify.h"

#define STOP_TIMEOUT_MS 120000      /* to commit and sync everything; a disk that takes longer is broken */

static void report(struct holder *h, const char *sentence)
{
	if (h->report_fd < 0)
		return;
	if (write(h->report_fd, sentence, strlen(sentence)) < 0)
		log_warning("holder", "the starter is gone errno=%d", errno);
	close(TAKE_FD(h->report_fd));
}

static void _printf_(2, 3) fail(struct holder *h, const char *format, ...)
{
	char sentence[CONTROL_LINE_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(sentence, sizeof(sentence), format, ap);
	va_end(ap);
	log_error("holder", "%s", sentence);
	report(h, sentence);
}

/* ---- children ---- */

/* For what asks the mount, which no daemon may serve any more: with a descriptor of the device in the child nobody could end its calls. */
static pid_t child_start(struct holder *h)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		h->connected = device_is_connected(h->device_fd);
		close(TAKE_FD(h->device_fd));
	}
	return pid;
}

static void probe_start(struct holder *h)
{
	pid_t pid = child_start(h);

	if (pid == 0) {
		struct statvfs st;
		_exit(statvfs(h->mount, &st) == 0 ? 0 : 1);
	}
	if (pid < 0)
		fail(h, "cannot start a process: %s", strerror(errno));
	else
		h->probe = pid;
}

static void unmount_start(struct holder *h)
{
	pid_t pid = child_start(h);

	if (pid == 0) {
		holder_unmount(h);
		_exit(0);
	}
	if (pid > 0) {
		h->unmounter = pid;
		return;
	}
	log_error("holder", "cannot start a process, and unmounts by itself errno=%d", errno);
	holder_unmount(h);
	control_send(&h->control, "unmounted");
}

/* ---- DATA/holder.pid: for whoever wants to stop this mount when it does not answer ---- */

static void pid_path(const struct holder *h, char *path, size_t size) { snprintf(path, size, "%s/holder.pid", h->data); }

/* Only once the daemon has the data directory for itself: before, the file may be another holder's. */
static void pid_write(struct holder *h)
{
	char path[PATH_MAX + 16];

	pid_path(h, path, sizeof(path));
	FILE *f = fopen(path, "we");
	if (!f) {
		log_warning("holder", "cannot write path=%s errno=%d", path, errno);
		return;
	}
	fprintf(f, "%d\n", (int)getpid());
	fclose(f);
	h->pid_written = true;
}

static void pid_remove(struct holder *h)
{
	char path[PATH_MAX + 16];

	pid_path(h, path, sizeof(path));
	if (h->pid_written)
		unlink(path);
}

/* ---- events ---- */

static void send_mounted(struct holder *h)
{
	char identity[MOUNT_IDENTITY_TEXT], word[MOUNT_IDENTITY_TEXT + 16];

	mount_identity_print(&h->identity, identity);
	snprintf(word, sizeof(word), "mounted %s", identity);
	control_send(&h->control, word);
}

static int on_word(struct holder *h, const char *word)
{
	char error[CONTROL_LINE_MAX];

	if (strcmp(word, "opened") == 0) {
		if (!h->pid_written)
			pid_write(h);
		if (!h->mounted && holder_mount(h, error, sizeof(error)) < 0) {
			fail(h, "%s", error);
			control_send(&h->control, "unmounted");      /* it waits for this word, and for no signal */
			return -EIO;
		}
		send_mounted(h);
	} else if (strcmp(word, "ready") == 0) {
		daemon_is_ready(h);
		if (!h->ready)
			probe_start(h);
	} else if (strcmp(word, "incompatible") == 0) {
		h->incompatible = true;
	} else if (strcmp(word, "quiet") == 0) {
		unmount_start(h);
	} else if (strncmp(word, "error ", 6) == 0) {
		if (!h->ready)
			fail(h, "%s", word + 6);
		else    /* the daemon has logged it */
			snprintf(h->reason, sizeof(h->reason), "%s", word + 6);
	}
	return 0;
}

/* -EPIPE: the daemon has closed its end; its exit will be seen as well. */
static int on_control(struct holder *h)
{
	char word[CONTROL_LINE_MAX];
	int r;

	do {
		r = control_receive(&h->control, word, sizeof(word));
		if (r == 0 && on_word(h, word) < 0)
			return -EIO;
	} while (r == 0 && h->control.size > 0);
	return r == -EAGAIN ? 0 : r;
}

static void stop(struct holder *h)
{
	if (h->stopping)
		return;
	h->stopping = true;
	notify_send("STOPPING=1\nSTATUS=writing everything out");
	if (h->daemon > 0)
		kill(h->daemon, SIGTERM);
}

static void on_probe_end(struct holder *h, int status)
{
	h->probe = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		h->ready = true;
		log_notice("holder", "ready mount=%s data=%s", h->mount, h->data);
		notify_send("READY=1\nSTATUS=serving %s on %s", h->data, h->mount);
		report(h, "ready");
		return;
	}
	if (!h->stopping)
		fail(h, "the mount on '%s' does not answer", h->mount);
	stop(h);
}

static void children_reap(struct holder *h, int *ret_status)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == h->probe)
			on_probe_end(h, status);
		if (pid == h->unmounter) {
			h->unmounter = 0;
			h->mounted = false;
			control_send(&h->control, "unmounted");
		}
		if (pid == h->daemon) {
			h->daemon = 0;
			*ret_status = status;
		}
	}
}

static void on_signal(struct holder *h, int *ret_status)
{
	struct signalfd_siginfo info;

	while (read(h->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			children_reap(h, ret_status);
		else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			stop(h);
		else if (info.ssi_signo == SIGHUP)
			daemon_renew(h);
	}
}

/* Returns when the daemon has ended, with its wait status. */
static int serve(struct holder *h)
{
	struct pollfd fds[] = { { .fd = h->signal_fd, .events = POLLIN }, { .fd = h->control.fd, .events = POLLIN },
		{ .fd = h->keep.fd, .events = POLLIN } };
	int status = 0;

	while (h->daemon > 0) {
		int n = poll(fds, 3, h->stopping ? STOP_TIMEOUT_MS : -1);
		if (n == 0 && h->stopping) {
			log_error("holder", "the daemon does not stop, and is killed pid=%d", (int)h->daemon);
			kill(h->daemon, SIGKILL);
			continue;
		}
		if (n < 0)
			continue;
		if (fds[1].revents) {
			int r = on_control(h);
			if (r == -EPIPE)
				fds[1].fd = -1;
			else if (r < 0)
				stop(h);
		}
		if (fds[2].revents && keep_receive(&h->keep) == -EPIPE)
			fds[2].fd = -1;
		if (fds[0].revents)
			on_signal(h, &status);
	}
	/* Words that were sent before the end. */
	while (fds[1].fd >= 0 && on_control(h) == 0)
		;
	while (keep_receive(&h->keep) == 0)
		;
	close(TAKE_FD(h->keep.fd));
	close(TAKE_FD(h->control.fd));
	return status;
}

/* A daemon has ended. Waits as long as the next start is to wait; false: there is none. */
static bool goes_on(struct holder *h, int status)
{
	struct pollfd fd = { .fd = h->signal_fd, .events = POLLIN };
	bool asked = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (!h->ready || !h->mounted || h->unmounter || h->stopping || asked)
		return false;
	int64_t until_ms = daemon_ended(h, status), left;
	while (!h->stopping && (left = until_ms - clock_boot_ns(&clock_system) / NS_PER_MS) > 0)
		if (poll(&fd, 1, (int)left) > 0)
			on_signal(h, &status);
	return !h->stopping;
}

/* Daemon after daemon. Returns the wait status of the last. */
static int serve_all(struct holder *h)
{
	int status, r;

	do {
		status = 0;
		while ((r = daemon_start(h)) < 0 && h->ready && goes_on(h, 1 << 8))
			;
		if (r < 0) {
			fail(h, "cannot start the daemon: %s", strerror(-r));
			return 1 << 8;
		}
		status = serve(h);
	} while (goes_on(h, status));
	return status;
}

static int signals_open(struct holder *h)
{
	sigset_t set;

	/* Descriptors that are kept count here. */
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* Tasks outlive the daemon that started them: they become children of the holder, which buries them. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	h->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return h->signal_fd < 0 ? -errno : 0;
}

int holder_run(struct holder *h)
{
	char error[CONTROL_LINE_MAX];
	int r;

	if ((r = signals_open(h)) < 0 || (r = region_create(h->mount, h->data, random_u64(&random_system), &h->region_fd)) < 0) {
		fail(h, "cannot prepare: %s", strerror(-r));
		return 1;
	}
	if (holder_open_device(&h->device_fd, error, sizeof(error)) < 0) {
		fail(h, "%s", error);
		return 1;
	}
	int status = serve_all(h);
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (!clean && WIFSIGNALED(status))
		fail(h, "the daemon was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (!clean)
		fail(h, "the daemon ended with status %d", WEXITSTATUS(status));
	else if (!h->ready)
		fail(h, "the daemon ended before the mount was ready");
	/* With nobody reading the device, what waits on the mount is ended by closing it; then nothing is busy. */
	bool was_ready = h->ready;
	h->connected = device_is_connected(h->device_fd);
	close(TAKE_FD(h->device_fd));
	if (h->unmounter > 0)
		waitpid(h->unmounter, NULL, 0);
	holder_unmount(h);
	pid_remove(h);
	if (h->probe > 0)
		kill(h->probe, SIGKILL);
	return clean && was_ready ? 0 : 1;
}
