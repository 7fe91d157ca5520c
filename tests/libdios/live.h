/* What the tests of the calls on a mount share. They run through tests/on-mount, which sets DIOS_MOUNT. */
#ifndef DIOS_TESTS_LIBDIOS_LIVE_H
#define DIOS_TESTS_LIBDIOS_LIVE_H

#include <dios-util.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/tap.h"

#define NOBODY 65534

/* A path in the mount; one of four texts in turn. */
static inline const char *at(const char *name)
{
	static char texts[4][512];
	static unsigned turn;
	char *text = texts[turn++ % 4];
	snprintf(text, sizeof(texts[0]), "%s/%s", dios_mount(), name);
	return text;
}

static inline dios_ref made(uint32_t flags, struct dios_create_options options, const char *what)
{
	dios_ref ref = -1;
	is_int(dios_create(flags, &options, NULL, &ref), 0, "%s", what);
	return ref;
}

static inline dios_ref opened(const char *what, uint32_t rights, const char *why)
{
	dios_ref ref = -1;
	size_t count = 1;
	int r = dios_lookup(0, what, rights, &ref, &count);
	ok(r == 0 && count == 1, "%s%s%s", why, r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
	return ref;
}

/* Publishes a text at an offset; the outcome. */
static inline int put(uint32_t flags, dios_ref ref, uint64_t offset, const char *text)
{
	struct dios_buffer b;
	size_t size = strlen(text);
	int r = dios_acquire_write(flags & DIOS_AT_END, ref, offset, size, &b);
	if (r < 0)
		return r;
	memcpy(b.data, text, size);
	r = dios_commit_write(flags, ref, &b, size);
	if (r == -EAGAIN || r == -EINTR)
		dios_commit_write(DIOS_DISCARD, ref, &b, 0);
	return r;
}

/* The object has this text at an offset, and it is current. */
static inline void holds(dios_ref ref, uint64_t offset, const char *text, const char *why)
{
	struct dios_buffer b;
	int r = dios_acquire_read(0, ref, offset, 4096, &b);
	bool same = r == 0 && b.size == strlen(text) && memcmp(b.data, text, b.size) == 0;
	ok(same, "%s%s%s", why, r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
	if (r == 0 && !same)
		printf("# got '%.*s', want '%s'\n", (int)b.size, (char *)b.data, text);
	if (r == 0)
		is_int(dios_commit_read(0, ref, &b), 0, "and is current");
}

/* Runs what() as another user; its result (0 to 127, or a negative errno down to -127). */
static inline int as_user(uid_t uid, int (*what)(const void *arg), const void *arg)
{
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(255);
		int r = what(arg);
		_exit(r < 0 ? 128 - r : r);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -ECHILD;
	int r = WEXITSTATUS(status);
	return r > 128 ? 128 - r : r;
}

#endif
