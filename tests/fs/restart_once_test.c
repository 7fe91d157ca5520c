/* The daemon dies at an exact place of a request: when all has been done and nothing is written down of the answer (fs.done), when the answer is
 * kept (fs.kept), when it has been sent (fs.answered). The program notices nothing, and each effect comes once (D2).
 *
 * A point kills at its second passage in the life of a daemon. So each case does its operation twice: the second is killed, and done
 * again by the next daemon, for which that is the first. Where cases share a kind of request, more of them are killed, which does no harm. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "libdios/dios-ioctl.h"
#include "libdios/dios.h"
#include "libdios/dios-util.h"
#include "tests/fs/mount.h"
#include "tests/tap.h"

/* Cases of one group share a mount, on which the points of all their opcodes kill. */
struct kill_case { int group; const char *name; unsigned opcode; bool (*run)(int turn); bool (*check)(void); };

static bool run_mkdir(int turn) { return mkdir(turn ? "mkdir" : "mkdir.0", 0755) == 0; }
static bool run_rmdir(int turn) { return rmdir(turn ? "rmdir" : "rmdir.0") == 0; }
static bool run_mknod(int turn) { return mkfifo(turn ? "fifo" : "fifo.0", 0600) == 0; }
static bool run_symlink(int turn) { return symlink("nowhere", turn ? "symlink" : "symlink.0") == 0; }

static bool run_create(int turn)
{
	int fd = open(turn ? "create" : "create.0", O_RDWR | O_CREAT | O_EXCL, 0600);
	bool good = fd >= 0 && write(fd, "made", 4) == 4;

	return close(fd) == 0 && good;
}
static bool check_create(void) { return holds("create", "made"); }

static bool run_link(int turn) { return link("linked", turn ? "link" : "link.0") == 0; }
static bool check_link(void)
{
	struct stat st;
	return stat("linked", &st) == 0 && st.st_nlink == 3;
}

static bool run_unlink(int turn) { return unlink(turn ? "unlink" : "unlink.0") == 0; }
static bool check_unlink(void)
{
	struct stat st;
	return stat("unlink.other", &st) == 0 && st.st_nlink == 1 && access("unlink", F_OK) < 0;
}

static bool run_rename(int turn) { return rename(turn ? "from" : "from.0", turn ? "to" : "to.0") == 0; }
static bool check_rename(void) { return holds("to", "renamed") && access("from", F_OK) < 0; }

static bool run_exchange(int turn) { return renameat2(AT_FDCWD, turn ? "left" : "left.0", AT_FDCWD, turn ? "right" : "right.0", RENAME_EXCHANGE) == 0; }
static bool check_exchange(void) { return holds("left", "right") && holds("right", "left"); }

static bool run_append(int turn) { return append(turn ? "append" : "append.0", "tail"); }
static bool check_append(void) { return holds("append", "headtail"); }

static bool run_chmod(int turn) { return chmod(turn ? "chmod" : "chmod.0", 0640) == 0; }
static bool check_chmod(void)
{
	struct stat st;
	return stat("chmod", &st) == 0 && (st.st_mode & 07777) == 0640;
}

static bool run_truncate(int turn) { return truncate(turn ? "truncate" : "truncate.0", 3) == 0; }
static bool check_truncate(void) { return holds("truncate", "abc"); }

static bool run_setxattr(int turn) { return setxattr(turn ? "xattr" : "xattr.0", "user.once", "1", 1, XATTR_CREATE) == 0; }
static bool run_removexattr(int turn) { return removexattr(turn ? "xattr" : "xattr.0", "user.gone") == 0; }

static bool run_stream_write(int turn)
{
	int fd = open(turn ? "stream" : "stream.0", O_WRONLY);
	bool good = fd >= 0 && write(fd, "record", 6) == 6;

	return close(fd) == 0 && good;
}
static bool check_stream_write(void) { return holds("stream", "record"); }

static char consumed[2][8];
static bool run_consume(int turn)
{
	static dios_ref ref = -1;

	if (ref < 0 && (dios_open(0, "./queue", DIOS_READ, &ref) < 0 || dios_stream_mode(ref, DIOS_CONSUME, 0) < 0))
		return false;
	bool good = read(ref, consumed[turn], sizeof(consumed[turn])) == 2;
	if (turn) {
		dios_close(ref);
		ref = -1;
	}
	return good;
}
static bool check_consume(void) { return memcmp(consumed[0], "r1", 2) == 0 && memcmp(consumed[1], "r2", 2) == 0; }

static bool acquire_record(int turn, const char *path, enum dios_stream_mode mode, const char *want)
{
	static dios_ref ref = -1;
	struct dios_buffer b;

	if (!turn && (dios_open(0, path, DIOS_READ, &ref) < 0 || (mode == DIOS_CONSUME && dios_stream_mode(ref, mode, 0) < 0)))
		return false;
	if (dios_acquire_read(DIOS_RECORD, ref, DIOS_NEXT, 64, &b) < 0)
		return false;
	bool good = b.size == 2 && memcmp(b.data, want, 2) == 0;
	return dios_commit_read(0, ref, &b) == 0 && good;
}

static bool run_acquire_consumed(int turn) { return acquire_record(turn, "./calls", DIOS_CONSUME, turn ? "r2" : "r1"); }
static bool run_acquire_followed(int turn) { return acquire_record(turn, "./calls2", DIOS_FOLLOW, turn ? "r2" : "r1"); }

/* Only one commit on a version succeeds: done again it would be ESTALE. */
static bool commit(const char *path, uint32_t flags, const char *text)
{
	struct dios_buffer b;
	dios_ref ref;

	if (dios_open(0, path, DIOS_READ | DIOS_WRITE, &ref) < 0)
		return false;
	int r = dios_acquire_write(flags, ref, 0, strlen(text), &b);
	if (r == 0) {
		memcpy(b.data, text, strlen(text));
		r = dios_commit_write(flags, ref, &b, strlen(text));
	}
	dios_close(ref);
	return r == 0;
}
static bool run_commit(int turn) { return commit(turn ? "./commit" : "./commit.0", 0, "new"); }
static bool check_commit(void) { return holds("commit", "new"); }
static bool run_commit_append(int turn) { return commit(turn ? "./cappend" : "./cappend.0", DIOS_AT_END, "end"); }
static bool check_commit_append(void) { return holds("cappend", "startend"); }

/* By a private buffer: the request that makes it and the one that uses it up are killed, and writes into it. */
#define LARGE 50000u
static bool commit_large(const char *path, char byte)
{
	struct dios_buffer b;
	dios_ref ref;

	if (dios_open(0, path, DIOS_READ | DIOS_WRITE, &ref) < 0)
		return false;
	int r = dios_acquire_write(0, ref, 0, LARGE, &b);
	if (r == 0) {
		memset(b.data, byte, LARGE);
		r = dios_commit_write(0, ref, &b, LARGE);
	}
	if (r == 0)
		r = dios_acquire_read(DIOS_PIN, ref, 0, LARGE, &b);
	bool good = r == 0 && b.size == LARGE && ((char *)b.data)[0] == byte && memcmp(b.data, (char *)b.data + 1, LARGE - 1) == 0;
	if (r == 0)
		r = dios_commit_read(0, ref, &b);
	dios_close(ref);
	return r == 0 && good;
}
static bool run_commit_large(int turn) { return commit_large(turn ? "./large" : "./large.0", turn ? 'b' : 'a'); }

static bool can_have_all(void *arg)
{
	struct dios_ioctl_buffer b = { .version = DIOS_ABI_VERSION, .action = DIOS_BUFFER_NEW, .size = 256u << 20 };

	return ioctl(*(int *)arg, DIOS_IOC_BUFFER, &b) == 0;
}

/* Nothing is left of those that were made twice: there is room for all that a user may have. (It goes when a descriptor is closed at the latest, which
 * is told after close(2) has returned.) */
static bool check_commit_large(void)
{
	int fd = open("large", O_RDWR);
	bool good = wait_for(can_have_all, &fd);

	return close(fd) == 0 && good;
}

static char tokens[3][2][DIOS_TOKEN_SIZE];      /* of each point */
static size_t current;
static int open_token(int turn)
{
	char path[2048];

	snprintf(path, sizeof(path), "%s/.dios/cap/%s", mount_point, tokens[current][turn]);
	return open(path, O_RDONLY);
}

static bool run_once(int turn)
{
	char byte;
	int fd = open_token(turn);
	bool good = fd >= 0 && read(fd, &byte, 1) == 1 && byte == 's';

	return close(fd) == 0 && good;
}
static bool check_once(void) { return open_token(1) < 0 && errno == EACCES; }

static const struct kill_case cases[] = {
	{ 0, "mkdir", FUSE_MKDIR, run_mkdir, NULL },
	{ 0, "rmdir", FUSE_RMDIR, run_rmdir, NULL },
	{ 0, "mknod", FUSE_MKNOD, run_mknod, NULL },
	{ 0, "symlink", FUSE_SYMLINK, run_symlink, NULL },
	{ 0, "create with O_EXCL", FUSE_CREATE, run_create, check_create },
	{ 0, "link", FUSE_LINK, run_link, check_link },
	{ 0, "unlink", FUSE_UNLINK, run_unlink, check_unlink },
	{ 0, "rename", FUSE_RENAME, run_rename, check_rename },
	{ 0, "rename with RENAME_EXCHANGE", FUSE_RENAME2, run_exchange, check_exchange },
	{ 1, "an append", FUSE_WRITE, run_append, check_append },
	{ 0, "chmod", FUSE_SETATTR, run_chmod, check_chmod },
	{ 0, "truncate", FUSE_SETATTR, run_truncate, check_truncate },
	{ 0, "setxattr with XATTR_CREATE", FUSE_SETXATTR, run_setxattr, NULL },
	{ 0, "removexattr", FUSE_REMOVEXATTR, run_removexattr, NULL },
	{ 1, "an append to a stream", FUSE_WRITE, run_stream_write, check_stream_write },
	{ 1, "a consumer's read", FUSE_READ, run_consume, check_consume },
	{ 1, "a consumer's acquire", FUSE_IOCTL, run_acquire_consumed, NULL },
	{ 1, "a follower's acquire", FUSE_IOCTL, run_acquire_followed, NULL },
	{ 1, "commit_write", FUSE_IOCTL, run_commit, check_commit },
	{ 1, "commit_write at the end", FUSE_IOCTL, run_commit_append, check_commit_append },
	{ 1, "commit_write by a private buffer", FUSE_IOCTL, run_commit_large, check_commit_large },
	{ 2, "opening by a token good once", FUSE_OPEN, run_once, check_once },
};
#define GROUPS 3
#define CASES (sizeof(cases) / sizeof(cases[0]))

static bool make_stream(const char *path, uint32_t trim_consumed, bool records)
{
	struct dios_create_options o = { .kind = DIOS_STREAM, .path = path, .mode = 0644, .rights = DIOS_WRITE, .trim_consumed = trim_consumed };
	dios_ref ref;

	if (dios_create(0, &o, NULL, &ref) < 0)
		return false;
	bool good = !records || (write(ref, "r1", 2) == 2 && write(ref, "r2", 2) == 2 && write(ref, "r3", 2) == 2);
	dios_close(ref);
	return good;
}

static bool make_tokens(void)
{
	dios_ref ref;
	bool good = put("secret", "s") && dios_open(0, "./secret", DIOS_READ, &ref) == 0;

	for (int i = 0; good && i < 2; i++)
		good = dios_copy(DIOS_TOKEN, ref, &(struct dios_copy_options){ .rights = DIOS_READ, .once = 1 }, NULL, tokens[current][i]) == 0;
	return good && dios_close(ref) == 0;
}

/* Everything that the cases work on, in a folder of its own, made while no fault is armed. */
static bool prepare(const char *folder)
{
	static const struct { const char *path, *text; } files[] = { { "linked", "x" }, { "unlink", "x" }, { "unlink.0", "x" }, { "from", "renamed" },
		{ "from.0", "x" }, { "left", "left" }, { "right", "right" }, { "left.0", "x" }, { "right.0", "y" }, { "append", "head" }, { "append.0", "x" },
		{ "chmod", "x" }, { "chmod.0", "x" }, { "truncate", "abcdef" }, { "truncate.0", "abcdef" }, { "xattr", "x" }, { "xattr.0", "x" },
		{ "commit", "old" }, { "commit.0", "old" }, { "large", "" }, { "large.0", "" }, { "cappend", "start" }, { "cappend.0", "start" } };
	bool good = mkdir(folder, 0755) == 0 && chdir(folder) == 0 && mkdir("rmdir", 0755) == 0 && mkdir("rmdir.0", 0755) == 0;

	for (size_t i = 0; good && i < sizeof(files) / sizeof(files[0]); i++)
		good = put(files[i].path, files[i].text);
	return good && link("unlink", "unlink.other") == 0 && setxattr("xattr", "user.gone", "1", 1, 0) == 0 && setxattr("xattr.0", "user.gone", "1", 1, 0) == 0 &&
		make_stream("./stream", 0, false) && make_stream("./stream.0", 0, false) && make_stream("./queue", 1, true) &&
		make_stream("./calls", 1, true) && make_stream("./calls2", 0, true) && make_tokens();
}

static bool died(void *arg) { return mount_daemon() != *(pid_t *)arg; }

static void run_case(const struct kill_case *c, const char *point)
{
	pid_t before = mount_daemon();
	bool good = c->run(0), again = c->run(1);
	int error = errno;

	ok(good && again && (!c->check || c->check()), "D2_%s %s: takes effect once%s%s", c->name, point, good && again ? "" : ": ",
		good && again ? "" : strerror(error));
	ok(wait_for(died, &before), "and a daemon died");
}

/* The points of all opcodes of a group. */
static void arm(const char *point, int group)
{
	char fault[1024] = "";

	for (size_t i = 0; i < CASES; i++) {
		char one[64];
		snprintf(one, sizeof(one), "%s.%u=kill:2", point, cases[i].opcode);
		if (cases[i].group != group || strstr(fault, one))
			continue;
		size_t used = strlen(fault);
		snprintf(fault + used, sizeof(fault) - used, "%s%s", used ? "," : "", one);
	}
	setenv("DIOS_FAULT", fault, 1);
}

static bool remount(void) { return chdir("/") == 0 && mount_down() && mount_up() && chdir(mount_point) == 0; }

/* A program that has its answer goes on; what it does next must not be undone by doing the first once more. */
static void answered_is_over(void)
{
	char bytes[8] = "", fault[64];

	snprintf(fault, sizeof(fault), "fs.answered.%u=wait:2", FUSE_WRITE);
	setenv("DIOS_FAULT", fault, 1);
	int fd = remount() ? open("answered", O_RDWR | O_CREAT, 0600) : -1;
	bool good = pwrite(fd, "first.", 6, 0) == 6 && pwrite(fd, "second", 6, 0) == 6 && pwrite(fd, "third.", 6, 0) == 6;
	pid_t before = mount_daemon();
	kill(before, SIGKILL);
	ok(good && wait_for(died, &before) && pread(fd, bytes, 6, 0) == 6, "a daemon dies between an answer and the note that it was sent");
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	ok(pread(fd, bytes, 6, 0) == 6 && memcmp(bytes, "third.", 6) == 0, "D2_an answered write is not done again over the next one");
	close(fd);
}

int main(void)
{
	static const char *const points[3] = { "fs.done", "fs.kept", "fs.answered" };

	if (!mount_start())
		return mount_result();
	setenv("DIOS_MOUNT", mount_point, 1);
	for (current = 0; current < 3; current++)
		if (!prepare(points[current]) || chdir(mount_point) < 0)
			ok(false, "preparing for %s: %s", points[current], strerror(errno));
	for (current = 0; current < 3; current++)
		for (int group = 0; group < GROUPS; group++) {
			arm(points[current], group);
			if (!remount() || chdir(points[current]) < 0)
				ok(false, "a mount with points");
			for (size_t i = 0; i < CASES; i++)
				if (cases[i].group == group)
					run_case(&cases[i], points[current]);
		}
	answered_is_over();
	unsetenv("DIOS_FAULT");
	char output[4096];
	const char *const fsck[] = { "--mount", mount_point, "fsck", NULL };
	ok(remount(), "mounted anew");
	is_int(mount_run(output, sizeof(output), "dios", fsck), 0, "fsck finds nothing: %s", output);
	return done_testing();
}
