/* What both programs need: the descriptors that dios handed over, and reading and writing them to the end. */
#ifndef WORDCOUNT_FDS_H
#define WORDCOUNT_FDS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FDS_MAX 256

struct fds { int count; int fd[FDS_MAX]; };

static inline void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

/* The list in the environment ("3,4"), or the one descriptor `fallback` where there is none: at a shell. */
static inline void fds_read(struct fds *fds, const char *variable, int fallback)
{
	const char *text = getenv(variable);

	fds->count = 0;
	if (!text) {
		fds->fd[fds->count++] = fallback;
		return;
	}
	while (*text) {
		char *end;
		long fd = strtol(text, &end, 10);
		if (end == text || fd < 0 || fd > 65535 || (*end != ',' && *end != '\0') || fds->count == FDS_MAX)
			die(variable, "expected descriptors, comma separated");
		fds->fd[fds->count++] = (int)fd;
		text = *end ? end + 1 : end;
	}
	if (fds->count == 0)
		die(variable, "expected at least one descriptor");
}

static inline size_t read_some(int fd, void *buffer, size_t size)
{
	ssize_t n;

	do
		n = read(fd, buffer, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		die("read", strerror(errno));
	return (size_t)n;
}

static inline void write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("write", strerror(errno));
		data += n;
		size -= (size_t)n;
	}
}

#endif
