/* The disk is an ext4 in a loop-mounted image, gone at exit. */
#include "tests/room/room.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fs/mount.h"
#include "tests/tap.h"

char disk[80];
uint8_t bytes[MIB];
static char folder[64];
static pid_t owner;

long result(long r) { return r < 0 ? -errno : r; }

/* ---- the disk ---- */

int shell(const char *command)
{
	char *const arguments[] = { "sh", "-c", (char *)(uintptr_t)command, NULL };
	int status = -1;
	pid_t pid;

	if (posix_spawnp(&pid, "sh", NULL, NULL, arguments, environ) != 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void disk_remove(void)
{
	char path[128];

	if (getpid() != owner || chdir("/") < 0)
		return;
	if (umount2(disk, 0) < 0 && errno != EINVAL)
		umount2(disk, MNT_DETACH);
	snprintf(path, sizeof(path), "%s/image", folder);
	unlink(path);
	rmdir(disk);
	rmdir(folder);
}

static void on_end(int number)
{
	(void)number;
	exit(1);
}

bool disk_make(unsigned mib, const char *options, const char *mount_options)
{
	char command[512];

	if (geteuid() != 0 || access("/dev/fuse", F_OK) < 0) {
		skip_all("mounting needs root and /dev/fuse");
		exit(0);
	}
	snprintf(folder, sizeof(folder), "/var/tmp/dios-room.XXXXXX");
	if (!mkdtemp(folder) || snprintf(disk, sizeof(disk), "%s/disk", folder) < 0 || mkdir(disk, 0755) < 0)
		return ok(false, "a folder: %s", strerror(errno));
	owner = getpid();
	atexit(disk_remove);
	snprintf(command, sizeof(command), "truncate -s %uM %s/image && mkfs.ext4 -q -F -m 0 %s %s/image && mount -o loop%s %s/image %s", mib, folder,
		options, folder, mount_options, folder, disk);
	if (shell(command) != 0) {
		skip_all("there is no loop device, or no mkfs.ext4");
		exit(0);
	}
	setenv("TMPDIR", disk, 1);
	if (!mount_prepare())
		return false;
	signal(SIGTERM, on_end);
	signal(SIGINT, on_end);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 11 + (i >> 9));
	return true;
}

bool up(void) { return mount_up() && chdir(mount_point) == 0; }

static uint64_t disk_free_kib(void)
{
	struct statvfs st;

	return statvfs(disk, &st) < 0 ? 0 : (uint64_t)st.f_bavail * st.f_frsize >> 10;
}

void disk_fill(uint64_t leave_kib)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/ballast", disk);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (uint64_t step = 64u << 10; step >= 4; step /= 4) {
		struct stat st;
		while (fd >= 0 && disk_free_kib() >= leave_kib + step && fstat(fd, &st) == 0 && fallocate(fd, 0, st.st_size, (off_t)(step << 10)) == 0) {}
	}
	close(fd);
}

void disk_give_back(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/ballast", disk);
	unlink(path);
}

/* ---- what is done on the mount ---- */

long write_file(const char *name, size_t mib)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	long r = result(fd), closed;

	for (size_t i = 0; r >= 0 && i < mib; i++) {
		ssize_t n = write(fd, bytes, sizeof(bytes));
		r = n < 0 ? -errno : (size_t)n < sizeof(bytes) ? -ENOSPC : 0;
	}
	if (r >= 0)
		r = result(fsync(fd));
	closed = fd >= 0 ? result(close(fd)) : 0;
	return r < 0 ? r : closed;
}

bool file_is_whole(const char *name, size_t mib)
{
	static _Alignas(4096) uint8_t got[MIB];
	int fd = open(name, O_RDONLY | O_DIRECT);
	bool good = fd >= 0;

	for (size_t i = 0; good && i < mib; i++)
		good = read(fd, got, sizeof(got)) == (ssize_t)sizeof(got) && memcmp(got, bytes, sizeof(got)) == 0;
	if (fd >= 0)
		close(fd);
	return good;
}

bool works(void *arg)
{
	(void)arg;
	return write_file("again", 2) == 0 && file_is_whole("again", 2) && unlink("again") == 0;
}

off_t log_size(void)
{
	char path[400];
	struct stat st;

	snprintf(path, sizeof(path), "%s/diosd.log", mount_data);
	return stat(path, &st) < 0 ? 0 : st.st_size;
}

void show_log(void)
{
	char path[400], line[1024];

	snprintf(path, sizeof(path), "%s/diosd.log", mount_data);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		printf("# %s", line);
	if (f)
		fclose(f);
}
