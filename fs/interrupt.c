/* Signals that wait for a process, as /proc/PID/status tells; see interrupt.h. */
#include "fs/interrupt.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "fs/magic_tasks.h"

static bool parse_set(const char *text, const char *key, uint64_t *ret_set)
{
	const char *line = strstr(text, key);

	if (!line)
		return false;
	*ret_set = strtoull(line + strlen(key), NULL, 16);
	return true;
}

/* A signal that it would take now. Stopping does not count: a request that waits stands still. */
static bool has_signal(pid_t pid)
{
	char path[64], text[8192];
	uint64_t own, shared, blocked;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return true;
	text[n] = '\0';
	if (!parse_set(text, "\nSigPnd:", &own) || !parse_set(text, "\nShdPnd:", &shared) || !parse_set(text, "\nSigBlk:", &blocked))
		return true;
	return (own | shared) & ~blocked & ~(1ULL << (SIGSTOP - 1));
}

bool interrupt_counts(fuse_req_t req)
{
	const struct magic_tasks *tasks = fs_of(req)->options.tasks;
	pid_t pid = fuse_req_ctx(req)->pid;

	return !tasks || !tasks->was_paused || !tasks->was_paused(tasks->arg, pid) || has_signal(pid);
}
