/* Runs a function in a child process: for what must abort, be killed, or see another environment. */
#ifndef DIOS_TESTS_BASE_CHILD_H
#define DIOS_TESTS_BASE_CHILD_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child said on standard error, at most size - 1 bytes; returns its wait status. exit(0) if the function returns. */
static inline int child_run(void (*run)(void *), void *argument, char *said, size_t size)
{
	int fds[2];

	fflush(stdout);
	if (pipe(fds) < 0)
		abort();
	pid_t pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		const struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		close(fds[0]);
		dup2(fds[1], 2);
		run(argument);
		_exit(0);
	}
	close(fds[1]);
	size_t used = 0;
	char rest[256];
	for (;;) {
		size_t room = size - 1 - used;
		ssize_t n = read(fds[0], room ? said + used : rest, room ? room : sizeof(rest));
		if (n <= 0)
			break;
		used += room ? (size_t)n : 0;
	}
	said[used] = '\0';
	close(fds[0]);
	int status;
	if (waitpid(pid, &status, 0) != pid)
		abort();
	return status;
}

#endif
