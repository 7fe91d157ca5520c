/* The programs, /dev/fuse, and whether reads and writes can bypass the daemon (passthrough): a kernel that offers it, a libfuse that asks for it, the
 * privilege to use it, and below the data a file system that is itself not stacked on another. */
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "mount-tools/beside.h"
#include "mount-tools/doctor.h"

#define PASSTHROUGH_BIT 37            /* of the INIT request's flags, both halves; kernels from 6.9 set it */
#define INIT_WAIT_MS 5000

/* ---- programs ---- */

/* "dios 0.1.0\nlibfuse 3.17.2 private": what the daemon says of itself. */
static int ask_daemon(const char *path, char *text, size_t size)
{
	int pipe_fd[2], status;
	size_t used = 0;
	ssize_t n;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(pipe_fd[1], STDOUT_FILENO);
		execl(path, path, "--version", (char *)NULL);
		_exit(127);
	}
	close(pipe_fd[1]);
	while (pid > 0 && used < size - 1 && ((n = read(pipe_fd[0], text + used, size - 1 - used)) > 0 || (n < 0 && errno == EINTR)))
		used += n > 0 ? (size_t)n : 0;
	text[used] = '\0';
	close(pipe_fd[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -ECHILD;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ENOEXEC;
}

static void look_at_libfuse(struct doctor *d, const char *said)
{
	const char *line = strstr(said, "libfuse ");
	unsigned major, minor;
	char from[16] = "", version[32] = "";

	if (!line || sscanf(line, "libfuse %31s %15s", version, from) != 2 || sscanf(version, "%u.%u", &major, &minor) != 2)
		return;
	if (major < 3 || (major == 3 && minor < 17))
		doctor_say(d, "libfuse", DOCTOR_WARN, "build with the private one: 'tools/fetch-deps', then meson setup --reconfigure -Dlibfuse=private",
			"%s (the %s one) has no passthrough: every read and write goes through the daemon", version, from);
	else
		doctor_say(d, "libfuse", DOCTOR_OK, NULL, "%s (%s)", version, strcmp(from, "private") == 0 ? "built privately" : "the system's");
}

void doctor_programs(struct doctor *d)
{
	static const char *const names[] = { "diosd", "dios-holder", "mount.dios", "dios-task" };
	static const char *const remedy = "install all of dios: 'meson install -C BUILD'";
	char path[4096], said[512];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (program_beside(names[i], path, sizeof(path)) < 0) {
			doctor_say(d, "programs", DOCTOR_BAD, remedy, "%s is neither beside this program nor installed", names[i]);
			return;
		}
	program_beside("diosd", path, sizeof(path));
	if (ask_daemon(path, said, sizeof(said)) < 0) {
		doctor_say(d, "programs", DOCTOR_BAD, remedy, "%s does not run", path);
		return;
	}
	char ours[64];
	snprintf(ours, sizeof(ours), "diosd %s\n", DIOS_VERSION);
	if (strncmp(said, ours, strlen(ours)) != 0)
		doctor_say(d, "programs", DOCTOR_WARN, remedy, "%s is of another version than this program, %s", path, DIOS_VERSION);
	else
		doctor_say(d, "programs", DOCTOR_OK, NULL, "all are there, version %s", DIOS_VERSION);
	look_at_libfuse(d, said);
}

/* ---- the kernel's side ---- */

/* In a process with mounts of its own, which go with it: asks for a mount, and reads what the kernel offers. Returns its exit status. */
static int probe_child(void)
{
	uint8_t request[65536] __attribute__((aligned(8)));
	const struct fuse_in_header *header = (const void *)request;
	char options[64], folder[] = "/tmp";
	struct pollfd ready = { .events = POLLIN };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 2;
	ready.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (ready.fd < 0)
		return 2;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", ready.fd);
	if (mount("dios-doctor", folder, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		return 3;
	if (poll(&ready, 1, INIT_WAIT_MS) != 1)
		return 2;
	ssize_t n = read(ready.fd, request, sizeof(request));
	if (n < (ssize_t)(sizeof(*header) + sizeof(struct fuse_init_in)) || header->opcode != FUSE_INIT)
		return 1;      /* an old kernel's INIT is shorter, and offers nothing new */
	const struct fuse_init_in *init = (const void *)(request + sizeof(*header));
	uint64_t flags = init->flags | (init->flags & FUSE_INIT_EXT ? (uint64_t)init->flags2 << 32 : 0);
	return flags >> PASSTHROUGH_BIT & 1 ? 0 : 1;
}

/* 0: the kernel offers passthrough; 1: it does not; 2: not known; 3: it does not mount. */
static int probe(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(probe_child());
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return 2;
	return WEXITSTATUS(status);
}

bool doctor_has_capability(unsigned bit)
{
	char line[256];
	unsigned long long capabilities = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &capabilities) == 1)
			break;
	if (f)
		fclose(f);
	return capabilities >> bit & 1;
}

static bool look_at_device(struct doctor *d)
{
	struct stat st;

	if (stat("/dev/fuse", &st) < 0 || !S_ISCHR(st.st_mode)) {
		doctor_say(d, "/dev/fuse", DOCTOR_BAD, "load it: 'modprobe fuse'; in a container, start that with --device /dev/fuse", "it is not there");
		return false;
	}
	_cleanup_close_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		doctor_say(d, "/dev/fuse", DOCTOR_BAD, errno == ENXIO || errno == ENODEV ? "load it: 'modprobe fuse'" :
			"as root: 'chmod 666 /dev/fuse'; in a container, start that with --device /dev/fuse", "it cannot be opened: %s", strerror(errno));
		return false;
	}
	doctor_say(d, "/dev/fuse", DOCTOR_OK, NULL, "it is there");
	return true;
}

void doctor_fuse(struct doctor *d)
{
	if (!look_at_device(d))
		return;
	if (geteuid() != 0) {
		doctor_say(d, "mounting", DOCTOR_WARN, "run this as root: 'sudo dios doctor'", "only root mounts, so that cannot be tried");
		return;
	}
	if (!doctor_has_capability(CAP_SYS_ADMIN_BIT)) {
		doctor_say(d, "mounting", DOCTOR_BAD, "leave CAP_SYS_ADMIN to the service, or start the container with --cap-add SYS_ADMIN",
			"CAP_SYS_ADMIN is missing: neither mounting nor passthrough works");
		return;
	}
	int offered = probe();
	if (offered == 3) {
		doctor_say(d, "mounting", DOCTOR_BAD, "allow it: in a container, --cap-add SYS_ADMIN and --security-opt apparmor=unconfined", "the kernel does not mount a FUSE");
		return;
	}
	doctor_say(d, "mounting", DOCTOR_OK, NULL, "%s", offered == 2 ? "it could not be tried here" : "the kernel mounts");
	if (offered == 1)
		doctor_say(d, "passthrough", DOCTOR_WARN, "boot a kernel from 6.9 on that has CONFIG_FUSE_PASSTHROUGH", "this kernel has none: every read and write goes "
			"through the daemon, which is slower");
	else if (offered == 0)
		doctor_say(d, "passthrough", DOCTOR_OK, NULL, "this kernel has it");
}
