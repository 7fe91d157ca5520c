/* flock, fcntl locks and locks of open file descriptions. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fs/mount.h"
#include "tests/tap.h"

static bool range(int fd, int command, short type, off_t start, off_t length)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };

	return fcntl(fd, command, &l) == 0;
}

/* In another process: fcntl locks belong to processes. */
static bool other_may(short type, off_t start, off_t length)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open("lock", O_RDWR);
		_exit(range(fd, F_SETLK, type, start, length) ? 0 : errno == EAGAIN || errno == EACCES ? 1 : 2);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void whole_files(void)
{
	int a = open("lock", O_RDWR), b = open("lock", O_RDWR);

	ok(flock(a, LOCK_EX) == 0, "flock takes");
	ok(flock(b, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK, "and excludes another handle");
	ok(flock(b, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK, "readers too");
	ok(flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0, "two readers share");
	close(a);
	ok(flock(b, LOCK_EX | LOCK_NB) == 0, "close gives it back");
	close(b);
}

static void ranges(void)
{
	int fd = open("lock", O_RDWR);

	ok(range(fd, F_SETLK, F_WRLCK, 0, 10), "fcntl takes a range");
	ok(!other_may(F_WRLCK, 5, 10) && !other_may(F_RDLCK, 9, 1), "and excludes others from it");
	ok(other_may(F_WRLCK, 10, 10), "not from the next bytes");
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
	pid_t pid = fork();
	int status = 1;
	if (pid == 0) {
		int mine = open("lock", O_RDWR);
		_exit(fcntl(mine, F_GETLK, &l) == 0 && l.l_type == F_WRLCK && l.l_pid == getppid() ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "F_GETLK says who has it");
	ok(range(fd, F_SETLK, F_UNLCK, 0, 5) && other_may(F_WRLCK, 0, 5) && !other_may(F_WRLCK, 5, 1), "a part is given back");
	int again = open("lock", O_RDONLY);
	close(again);
	ok(other_may(F_WRLCK, 5, 5), "closing any handle gives back the process's, as POSIX says");
	close(fd);
}

static void descriptions(void)
{
	int a = open("lock", O_RDWR), b = open("lock", O_RDWR);

	ok(range(a, F_OFD_SETLK, F_WRLCK, 0, 0), "a lock of an open file description");
	ok(!range(b, F_OFD_SETLK, F_WRLCK, 100, 1) && errno == EAGAIN, "excludes another of the same process");
	close(a);
	ok(range(b, F_OFD_SETLK, F_WRLCK, 100, 1), "until its close");
	close(b);
}

int main(void)
{
	if (!mount_start())
		return mount_result();
	put("lock", "0123456789");
	whole_files();
	ranges();
	descriptions();
	return done_testing();
}
