/* Opening what a task was given: inputs from DESCRIPTOR_FIRST on, then outputs, standard ones at 0 to 2, the program behind them all. Each
 * through its token, so that a descriptor gives the token's rights and no more. The same token twice is one open file, as if a shell had
 * redirected both to it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"
#include "libdios/dios-ioctl.h"
#include "mount-tools/dios-task.h"

#define PATH_SIZE 1100u          /* TASK_DIOS, "/.dios/cap/" and a token */

static void set_consume(int fd, const char *what)
{
	struct dios_ioctl_stream change = { .version = DIOS_ABI_VERSION, .set = DIOS_SET_MODE, .mode = DIOS_CONSUME };

	if (ioctl(fd, DIOS_IOC_STREAM_CONFIGURE, &change) < 0)
		fail(LAUNCH_REFERENCES, errno, what);
}

static int open_token(const struct launch_reference *r, int flags, const char *what)
{
	char path[PATH_SIZE];
	int n = snprintf(path, sizeof(path), TASK_DIOS "/.dios/cap/%s", r->token);
	int fd = n > 0 && (size_t)n < sizeof(path) ? open(path, flags | O_NOCTTY) : (errno = ENAMETOOLONG, -1);

	if (fd < 0)
		fail(LAUNCH_REFERENCES, errno, what);
	if (r->consume)
		set_consume(fd, what);
	return fd;
}

/* Where an earlier reference with the same token is open, or -1. */
static int find_open(const struct launch *l, const struct launch_reference *until)
{
	const struct launch_reference *lists[] = { l->inputs, l->outputs, l->standard };
	const size_t counts[] = { l->input_count, l->output_count, 3 };
	int fd = DESCRIPTOR_FIRST;

	for (size_t list = 0; list < 3; list++)
		for (size_t i = 0; i < counts[list]; i++, fd++) {
			const struct launch_reference *r = &lists[list][i];
			if (r == until)
				return -1;
			if (r->token && strcmp(r->token, until->token) == 0 && r->read == until->read && r->write == until->write)
				return list == 2 ? (int)i : fd;
		}
	return -1;
}

static void open_at(const struct launch *l, const struct launch_reference *r, int target, const char *what)
{
	int flags = (r->read && r->write ? O_RDWR : r->write ? O_WRONLY : O_RDONLY) | (r->append ? O_APPEND : 0);
	int shared = find_open(l, r);

	/* Its place is the lowest that is free then: a second descriptor would have to be closed, which is a request to the daemon. */
	if (shared < 0 && target < DESCRIPTOR_FIRST)
		close(target);
	int fd = shared >= 0 ? shared : open_token(r, flags, what);
	if (fd == target)
		return;
	if (dup2(fd, target) < 0)
		fail(LAUNCH_REFERENCES, errno, what);
	if (shared < 0)
		close(fd);
}

/* A script's interpreter opens the script again, as /dev/fd/N: that descriptor must stay open. */
static bool is_script(int fd)
{
	char begin[2];
	return pread(fd, begin, sizeof(begin), 0) == 2 && memcmp(begin, "#!", 2) == 0;
}

static int open_program(const struct launch *l)
{
	int target = DESCRIPTOR_FIRST + (int)(l->input_count + l->output_count);
	int fd = open_token(&l->program, O_RDONLY, "the program");

	if (fd != target) {
		if (dup2(fd, target) < 0)
			fail(LAUNCH_REFERENCES, errno, "the program");
		close(fd);
	}
	if (fcntl(target, F_SETFD, is_script(target) ? 0 : FD_CLOEXEC) < 0)
		fail(LAUNCH_REFERENCES, errno, "the program");
	return target;
}

int open_references(const struct launch *l)
{
	static const char *const standard[] = { "standard input", "standard output", "standard error" };
	int target = DESCRIPTOR_FIRST;
	char what[32];

	for (size_t i = 0; i < l->input_count; i++) {
		snprintf(what, sizeof(what), "input %zu", i + 1);
		open_at(l, &l->inputs[i], target++, what);
	}
	for (size_t i = 0; i < l->output_count; i++) {
		snprintf(what, sizeof(what), "output %zu", i + 1);
		open_at(l, &l->outputs[i], target++, what);
	}
	for (int i = 0; i < 3; i++)
		if (l->standard[i].token)
			open_at(l, &l->standard[i], i, standard[i]);
	return l->program.token ? open_program(l) : -1;
}
