/* dios-holder [OPTIONS] DATA DIRECTORY: mounts the data directory, and keeps the mount's descriptor and shared memory while daemons serve it.
 *
 * Without --foreground the program that was started returns when the mount answers (0), or cannot (1, with a sentence why); the holder
 * itself goes on in the background. */
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "mount-tools/holder.h"
#include "mount-tools/notify.h"

static const char *const usage =
	"usage: dios-holder [OPTION]... DATA DIRECTORY\n"
	"Mounts the data directory DATA on DIRECTORY.\n"
	"  -f, --foreground    stay in the foreground, and log to standard error\n"
	"  -o, --options LIST  options as in fstab, and KEY=VALUE as in dios.conf(5)\n"
	"      --log-level LEVEL   as log.level=LEVEL: error, warning, notice, info or debug\n"
	"      --sloppy        pass over unknown options\n"
	"  -h, --help, -V, --version\n";

struct arguments { bool foreground, sloppy; const char *data, *mount; struct mount_options options; char options_text[8192]; };

static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option longs[] = { { "foreground", no_argument, NULL, 'f' }, { "options", required_argument, NULL, 'o' },
		{ "sloppy", no_argument, NULL, 's' }, { "log-level", required_argument, NULL, 'l' }, { "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { 0 } };
	char error[512] = "";
	size_t used = 0;
	int c;

	while ((c = getopt_long(argc, argv, "fo:hV", longs, NULL)) != -1) {
		int n = 0;
		switch (c) {
		case 'f':
			a->foreground = true;
			break;
		case 's':
			a->sloppy = true;
			break;
		case 'l':
		case 'o':
			n = snprintf(a->options_text + used, sizeof(a->options_text) - used, "%s%s,", c == 'l' ? "log.level=" : "", optarg);
			if (n < 0 || (size_t)n >= sizeof(a->options_text) - used) {
				fprintf(stderr, "dios-holder: too many options\n");
				return 1;
			}
			used += (size_t)n;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'V':
			printf("dios-holder %s\n", DIOS_VERSION);
			exit(0);
		default:
			fputs(usage, stderr);
			return 1;
		}
	}
	if (argc - optind != 2) {
		fprintf(stderr, "dios-holder: expected a data directory and a mount point, found %d argument%s\n", argc - optind,
			argc - optind == 1 ? "" : "s");
		fputs(usage, stderr);
		return 1;
	}
	a->data = argv[optind];
	a->mount = argv[optind + 1];
	int r = mount_options_parse(&a->options, a->options_text, a->sloppy, error, sizeof(error));
	if (r < 0)
		fprintf(stderr, "dios-holder: %s\n", error[0] ? error : strerror(-r));
	enum log_level level;
	for (unsigned i = 0; i < a->options.key_count; i++)
		if (strncmp(a->options.keys[i], "log.level=", 10) == 0 && log_level_parse(a->options.keys[i] + 10, &level) == 0)
			log_set_level(level);
	return r < 0 ? 1 : 0;
}

/* Standard error goes to the log file, unless the journal reads it. */
static void logs_redirect(const struct arguments *a, const char *data)
{
	static char path[PATH_MAX + 16];      /* the log keeps it */
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDIN_FILENO);
	if (null >= 0)
		dup2(null, STDOUT_FILENO);
	if (log_to_journal())
		return;
	snprintf(path, sizeof(path), "%s", a->options.log_file ? a->options.log_file : "");
	if (!a->options.log_file)
		snprintf(path, sizeof(path), "%s/diosd.log", data);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && setenv(LOG_FILE_VARIABLE, path, 1) == 0)
		log_set_file(path, LOG_FILE_MAX);
	if (fd < 0)
		fd = null;
	if (fd >= 0)
		dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO && fd != null)
		close(fd);
	if (null > STDERR_FILENO)
		close(null);
}

static int hold(struct arguments *a, char *data, char *mount, int report_fd)
{
	struct holder h = { .data = data, .mount = mount, .options = &a->options, .device_fd = -1, .region_fd = -1, .keep = { .fd = -1 }, .program_fd = -1, .good_fd = -1,
		.report_fd = report_fd };

	return holder_run(&h);
}

/* A start replays the log, which may be long: whoever waits is told that it goes on. */
#define FIRST_WORD_MS 2000
#define NEXT_WORD_MS 5000

static ssize_t read_patiently(int fd, char *text, size_t size, const char *data)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	int64_t start = clock_boot_ns(&clock_system);

	for (int wait_ms = FIRST_WORD_MS; poll(&ready, 1, wait_ms) == 0; wait_ms = NEXT_WORD_MS)
		fprintf(stderr, "dios-holder: opening %s: its log is replayed, %d s so far\n", data, (int)((clock_boot_ns(&clock_system) - start) / NS_PER_SECOND));
	return read(fd, text, size);
}

/* What the one in the background reports. */
static int await(int fd, const char *data)
{
	char text[CONTROL_LINE_MAX];
	size_t size = 0;
	ssize_t n;

	while (size < sizeof(text) - 1 && ((n = read_patiently(fd, text + size, sizeof(text) - 1 - size, data)) > 0 || (n < 0 && errno == EINTR)))
		size += n > 0 ? (size_t)n : 0;
	text[size] = '\0';
	if (strcmp(text, "ready") == 0)
		return 0;
	fprintf(stderr, "dios-holder: %s\n", size > 0 ? text : "it ended without a word; see its log");
	return 1;
}

int main(int argc, char **argv)
{
	static struct arguments a;
	char data[PATH_MAX], mount[PATH_MAX], error[1024];
	int pipe_fd[2];

	if (parse(argc, argv, &a) != 0)
		return 1;
	if (geteuid() != 0) {
		fprintf(stderr, "dios-holder: mounting needs root: run it with sudo, or from fstab. Without root, what is mounted can be used, and `dios init` "
			"makes a data directory in a folder of yours.\n");
		return 1;
	}
	if (holder_check(a.data, a.mount, error, sizeof(error)) < 0) {
		fprintf(stderr, "dios-holder: %s\n", error);
		return 1;
	}
	if (!realpath(a.data, data) || !realpath(a.mount, mount)) {
		fprintf(stderr, "dios-holder: %s\n", strerror(errno));
		return 1;
	}
	notify_init();
	unsetenv(LOG_FILE_VARIABLE);      /* it is ours to say */
	if (a.foreground)
		return hold(&a, data, mount, -1);
	if (pipe2(pipe_fd, O_CLOEXEC) < 0) {
		fprintf(stderr, "dios-holder: %s\n", strerror(errno));
		return 1;
	}
	pid_t pid = fork();
	if (pid < 0) {
		fprintf(stderr, "dios-holder: %s\n", strerror(errno));
		return 1;
	}
	if (pid > 0) {
		close(pipe_fd[1]);
		return await(pipe_fd[0], data);
	}
	close(pipe_fd[0]);
	setsid();
	if (chdir("/") < 0)
		return 1;
	logs_redirect(&a, data);
	return hold(&a, data, mount, pipe_fd[1]);
}
