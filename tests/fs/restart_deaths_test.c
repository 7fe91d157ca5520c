/* Requests of which a daemon dies half way, in between two of their commands, and one of which each daemon dies. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libdios/dios-util.h"
#include "libdios/dios.h"
#include "tests/fs/mount.h"
#include "tests/tap.h"

#define OUTPUT 8192

static bool died(void *arg) { return mount_daemon() != *(pid_t *)arg; }
static bool remount(void) { return chdir("/") == 0 && mount_down() && mount_up() && chdir(mount_point) == 0; }

#define FAR (600ull << 20)     /* bytes: the checksums up to there do not fit into one command */

static bool is_far(const char *path, char byte)
{
	int fd = open(path, O_RDONLY);
	char first = 0, last = 0, hole = 1;
	struct stat st;
	bool good = fstat(fd, &st) == 0 && (uint64_t)st.st_size == FAR + 1 && pread(fd, &first, 1, 0) == 1 && pread(fd, &last, 1, (off_t)FAR) == 1 &&
		pread(fd, &hole, 1, 1 << 20) == 1 && first == byte && last == byte && hole == 0;

	return close(fd) == 0 && good;
}

/* A version has been made of what was written past the daemon, and it is current. */
static bool is_sealed(void *arg)
{
	struct dios_buffer b;
	dios_ref ref;

	if (dios_open(0, arg, DIOS_READ, &ref) < 0)
		return false;
	bool good = dios_acquire_read(0, ref, 0, 1, &b) == 0 && dios_commit_read(0, ref, &b) == 0;
	return dios_close(ref) == 0 && good;
}

static bool clone(char *from, const char *to)
{
	struct dios_create_options create = { .path = to };
	struct dios_copy_options o = { .create = &create };
	dios_ref ref, made;

	if (dios_open(0, from, DIOS_READ, &ref) < 0)
		return false;
	int r = dios_copy(DIOS_CLONE, ref, &o, &made, NULL);
	if (r == 0)
		dios_close(made);
	dios_close(ref);
	errno = -r;
	return r == 0;
}

static void clones(void)
{
	static char from[] = "./far";

	setenv("DIOS_FAULT", "clone.part=kill:1,clone.in_place=kill:1", 1);
	int fd = remount() ? open(from, O_RDWR | O_CREAT, 0600) : -1;
	bool good = pwrite(fd, "1", 1, 0) == 1 && pwrite(fd, "1", 1, (off_t)FAR) == 1;
	/* Somebody writes it past the daemon, where there is passthrough. */
	good = good && clone(from, "./far.clone");
	ok(good && is_far("far.clone", '1'), "D2_a clone of what is being written is made once%s%s", good ? "" : ": ", good ? "" : strerror(errno));
	close(fd);
	ok(wait_for(is_sealed, from), "a version of it");
	pid_t before = mount_daemon();
	good = clone(from, "./far.sealed");
	ok(good && is_far("far.sealed", '1'), "D2_a clone that takes several commands is made once%s%s", good ? "" : ": ", good ? "" : strerror(errno));
	ok(wait_for(died, &before), "and a daemon died");
	ok(unlink("far") == 0 && unlink("far.clone") == 0 && unlink("far.sealed") == 0, "they are deleted");
}

static bool says_given_up(void *arg)
{
	char *output = arg;
	const char *const status[] = { "--mount", mount_point, "status", NULL };

	mount_run(output, OUTPUT, "dios", status);
	return strstr(output, "gave up 1 request") != NULL;
}

static void given_up(void)
{
	static char output[OUTPUT];
	char fault[32];

	snprintf(fault, sizeof(fault), "fs.done.%u=kill", FUSE_SYMLINK);
	setenv("DIOS_FAULT", fault, 1);
	if (!ok(remount() && put("beside", "x"), "a mount whose daemon dies of each symlink"))
		return;
	pid_t holder = mount_holder_pid();
	ok(symlink("nowhere", "deadly") < 0 && errno == EIO, "D3_a request of which daemons die gets EIO in the end");
	ok(holds("beside", "x") && append("beside", "y") && holds("beside", "xy"), "D3_and others are served");
	bool said = wait_for(says_given_up, output);
	ok(said, "the status says it%s%s", said ? "" : ": ", said ? "" : output);
	is_int(mount_holder_pid(), holder, "under the same holder");
	unsetenv("DIOS_FAULT");
	ok(remount() && !says_given_up(output), "a new mount knows nothing of it");
	/* Its outcome was unknown: here it had been done. */
	ok(unlink("deadly") == 0 && symlink("nowhere", "deadly") == 0, "and does what it is asked");
}

int main(void)
{
	char output[4096];

	if (!mount_start())
		return mount_result();
	setenv("DIOS_MOUNT", mount_point, 1);
	clones();
	given_up();
	const char *const fsck[] = { "--mount", mount_point, "fsck", NULL };
	is_int(mount_run(output, sizeof(output), "dios", fsck), 0, "fsck finds nothing: %s", output);
	return done_testing();
}
