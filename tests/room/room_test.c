/* A disk without room, inodes, or leave to write, and a daemon without descriptors or memory: each on an ext4 of its own, in an image.
 * Callers are told, deletion works, what was synced is whole, the daemon lives, and everything works once there is room again.
 *
 * The argument says which: full, state, inodes, descriptors, memory, readonly. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fs/mount.h"
#include "tests/sweep/sweep.h"
#include "tests/tap.h"

#define MIB (1u << 20)
#define VICTIMS 16
#define LOG_GROWTH_MAX (256u << 10) /* bytes of log lines for one trouble */

static char folder[64], disk[80];
static pid_t owner;
static struct sweep_control *control;
static uint8_t bytes[MIB];

static long result(long r)
{
	return r < 0 ? -errno : r;
}

/* ---- the disk ---- */

static int run(const char *command)
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

static bool disk_make(unsigned mib, const char *options)
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
	snprintf(command, sizeof(command),
		"truncate -s %uM %s/image && mkfs.ext4 -q -F -m 0 %s %s/image && mount -o loop %s/image %s", mib,
		folder, options, folder, folder, disk);
	if (run(command) != 0) {
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

static bool up(void)
{
	return mount_up() && chdir(mount_point) == 0;
}

static uint64_t disk_free_kib(void)
{
	struct statvfs st;

	return statvfs(disk, &st) < 0 ? 0 : (uint64_t)st.f_bavail * st.f_frsize >> 10;
}

/* Somebody else's file takes everything but so much. */
static void disk_fill(uint64_t leave_kib)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/ballast", disk);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (uint64_t step = 64u << 10; step >= 4; step /= 4) {
		struct stat st;
		while (fd >= 0 && disk_free_kib() >= leave_kib + step && fstat(fd, &st) == 0 &&
			fallocate(fd, 0, st.st_size, (off_t)(step << 10)) == 0) {
		}
	}
	close(fd);
}

static void disk_give_back(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/ballast", disk);
	unlink(path);
}

/* ---- what is done on the mount ---- */

/* 0, or the first error of write, fsync and close. */
static long write_file(const char *name, size_t mib)
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

static bool file_is_whole(const char *name, size_t mib)
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

static bool works(void *arg)
{
	(void)arg;
	return write_file("again", 2) == 0 && file_is_whole("again", 2) && unlink("again") == 0;
}

static off_t log_size(void)
{
	char path[400];
	struct stat st;

	snprintf(path, sizeof(path), "%s/diosd.log", mount_data);
	return stat(path, &st) < 0 ? 0 : st.st_size;
}

static bool fsck_clean(void)
{
	char output[4096];
	const char *const arguments[] = { "--mount", mount_point, "fsck", NULL };

	if (mount_run(output, sizeof(output), "dios", arguments) == 0)
		return true;
	printf("# fsck: %s\n", output);
	return false;
}

/* What the daemon and its holder said, for whoever reads a failure. */
static void show_log(void)
{
	char path[400], line[1024];

	snprintf(path, sizeof(path), "%s/diosd.log", mount_data);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		printf("# %s", line);
	if (f)
		fclose(f);
}

/* Down and up again: the same from disk. */
static void check_end(void)
{
	bool down = chdir("/") == 0 && mount_down();

	if (!ok(down && up(), "it ends and starts")) {
		printf("# %s\n", down ? "it ended" : "it did not end");
		show_log();
	}
	ok(file_is_whole("kept", 4), "what was synced is whole");
	ok(fsck_clean(), "fsck finds nothing");
}

static void victim_name(char name[static 32], unsigned number)
{
	snprintf(name, 32, "victim-%u", number);
}

/* ---- a full disk ---- */

static void full_with(uint64_t leave_kib, unsigned *victim)
{
	char one[32], other[32];
	pid_t daemon = mount_daemon();
	off_t logged = log_size();

	victim_name(one, (*victim)++);
	victim_name(other, (*victim)++);
	disk_fill(leave_kib);
	long r = write_file("more", 40);
	ok(r == -ENOSPC, "R8_no_room_is_told: %llu KiB free: writing gives ENOSPC (%ld)", (unsigned long long)leave_kib,
		r);
	long small = write_file("small", 0);
	ok(small == 0 || small == -ENOSPC, "creating works or gives ENOSPC (%ld)", small);
	is_int(result(unlink(one)), 0, "R8_deletion_works: deletion");
	is_int(result(truncate(other, 4097)), 0, "truncation");
	ok(file_is_whole("kept", 4), "what was synced is whole");
	unlink("more");
	unlink("small");
	disk_give_back();
	ok(wait_for(works, NULL), "it goes on when there is room");
	ok(mount_daemon() == daemon, "the daemon is the same");
	ok(log_size() - logged < LOG_GROWTH_MAX, "it logged %lld bytes", (long long)(log_size() - logged));
}

static void full(void)
{
	static const uint64_t leave_kib[] = { 0, 4, 40, 400, 4000, 15000, 20000 };
	unsigned victim = 0;

	if (!disk_make(400, "") || !up())
		return;
	is_int(write_file("kept", 4), 0, "a file is kept");
	for (unsigned i = 0; i < VICTIMS; i++) {
		char name[32];
		victim_name(name, i);
		write_file(name, 1);
	}
	for (size_t i = 0; i < sizeof(leave_kib) / sizeof(leave_kib[0]); i++)
		full_with(leave_kib[i], &victim);
	check_end();
}

/* ---- the state has no room ---- */

static bool control_make(void)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/control", mount_work);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*control)) < 0)
		return ok(false, "%s: %s", path, strerror(errno));
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	setenv("DIOS_SWEEP", path, 1);
	setenv("LD_PRELOAD", getenv("DIOS_SHIM"), 1);
	return control != MAP_FAILED;
}

static void fail_all(const char *match, uint32_t kinds, int error)
{
	atomic_store(&control->nth, 0);
	snprintf(control->match, sizeof(control->match), "%s", match);
	atomic_store(&control->kinds, kinds);
	atomic_store(&control->error, error);
	atomic_store(&control->count, 0);
	atomic_store(&control->fired, 0);
	atomic_store(&control->last, SWEEP_FOR_EVER);
	atomic_store(&control->nth, 1);
}

/* Rows: a log so long that the state must be flushed. */
static long write_rows(unsigned mib)
{
	int fd = open("rows", O_RDWR | O_CREAT, 0600);
	long r = result(fd);

	for (unsigned i = 0; r >= 0 && i < mib; i++) {
		r = result(pwrite(fd, bytes, sizeof(bytes), 0));
		if (r >= 0)
			r = result(fsync(fd));
	}
	if (fd >= 0)
		close(fd);
	return r < 0 ? r : 0;
}

static void place_without_room(const char *match, bool same)
{
	pid_t daemon = mount_daemon();

	fail_all(match, 1u << SWEEP_WRITE | 1u << SWEEP_PWRITE | 1u << SWEEP_OPEN, ENOSPC);
	long r = write_rows(160);
	atomic_store(&control->nth, 0);
	ok(atomic_load(&control->fired) > 0, "writes of %s failed", match);
	ok(r == 0 || r == -ENOSPC || r == -EIO, "the caller is told, if it can't be helped (%ld)", r);
	ok(wait_for(works, NULL), "%s: it goes on when there is room", match);
	/* After a flush that failed the state's store is opened again, by a new daemon, sooner or later. */
	if (same)
		is_int(mount_daemon(), daemon, "%s: the daemon is the same", match);
	ok(file_is_whole("kept", 4), "what was synced is whole");
}

static void state(void)
{
	/* What is written in place is written by the kernel, which the library does not see. */
	setenv("DIOS_TEST_PASSTHROUGH", "off", 1);
	if (!disk_make(700, "") || !control_make() || !up())
		return;
	is_int(write_file("kept", 4), 0, "a file is kept");
	is_int(write_rows(4), 0, "rows");
	place_without_room("/data/stage/", true);
	place_without_room("/data/heads/", true);
	place_without_room("/data/log/", true);
	place_without_room("/data/state/", false);
	check_end();
}

/* ---- others ---- */

static void inodes(void)
{
	char path[128];
	pid_t daemon;
	int made = 0;

	if (!disk_make(200, "-N 1024") || !up())
		return;
	daemon = mount_daemon();
	is_int(write_file("kept", 4), 0, "a file is kept");
	write_file("victim", 1);
	for (;; made++) {
		snprintf(path, sizeof(path), "%s/taken-%d", disk, made);
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	long r = write_file("more", 1);
	ok(r == -ENOSPC, "a file that needs an inode gives ENOSPC (%ld)", r);
	ok(put("small", "text") || errno == ENOSPC, "a small one works, or gives ENOSPC");
	ok(file_is_whole("kept", 4), "what is there is read");
	is_int(result(unlink("victim")), 0, "deletion works");
	unlink("more");
	while (made-- > 0) {
		snprintf(path, sizeof(path), "%s/taken-%d", disk, made);
		unlink(path);
	}
	ok(wait_for(works, NULL), "it goes on when there are inodes");
	is_int(mount_daemon(), daemon, "the daemon is the same");
	unlink("small");
	check_end();
}

static uint64_t address_space(pid_t pid)
{
	char path[64];
	unsigned long pages = 0;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	FILE *f = fopen(path, "r");
	if (f && fscanf(f, "%lu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return (uint64_t)pages * 4096;
}

/* Many files at once, from a daemon that has few of what `limit` says (memory: beyond what it has). The hard limit stays: raising it again is a right of its own, which root
 * in a container may not have. */
static void starved(int resource, rlim_t limit, int expected)
{
	struct rlimit before, few;
	enum { FILES = 400 };
	static int fds[FILES];
	unsigned opened = 0, refused = 0, odd = 0;
	char name[32];

	if (!disk_make(700, "") || !up())
		return;
	pid_t daemon = mount_daemon();
	is_int(write_file("kept", 4), 0, "a file is kept");
	is_int(result(prlimit(daemon, resource, NULL, &before)), 0, "the daemon's limit");
	few = (struct rlimit){ resource == RLIMIT_AS ? address_space(daemon) + limit : limit, before.rlim_max };
	is_int(result(prlimit(daemon, resource, &few, NULL)), 0, "the daemon gets few");
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "many-%u", i);
		fds[i] = open(name, O_RDWR | O_CREAT, 0600);
		long r = fds[i] < 0 ? -errno : result(pwrite(fds[i], bytes, 128u << 10, 0));
		if (r >= 0)
			r = result(fsync(fds[i]));
		opened += r >= 0;
		refused += r == -expected;
		odd += r < 0 && r != -expected && r != -EIO;
		if (r < 0 && r != -expected)
			printf("# file %u: errno %ld\n", i, -r);
	}
	printf("# %u of %u worked, %u were refused\n", opened, (unsigned)FILES, refused);
	ok(odd == 0, "each works or is told %s", strerror(expected));
	ok(file_is_whole("kept", 4), "what was synced is read");
	for (unsigned i = 0; i < FILES; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	is_int(result(prlimit(daemon, resource, &before, NULL)), 0, "and as many as before");
	ok(wait_for(works, NULL), "it goes on afterwards");
	is_int(mount_daemon(), daemon, "the daemon is the same");
	check_end();
}

static void readonly(void)
{
	char output[4096];
	const char *const arguments[] = { mount_data, mount_point, NULL };

	if (!disk_make(400, "") || !up())
		return;
	is_int(write_file("kept", 4), 0, "a file is kept");
	is_int(write_file("victim", 1), 0, "and another");
	/* Files that are open for writing stand in the way of `remount,ro`; this is what the kernel does after an error of the disk. */
	ok(chdir("/") == 0 && mount_down(), "it ends");
	is_int(result(mount(NULL, disk, NULL, MS_REMOUNT | MS_RDONLY, NULL)), 0, "the disk is read-only");
	int status = mount_holder(output, sizeof(output), arguments);
	ok(status != 0, "a start is refused");
	ok(strstr(output, "ead-only") != NULL, "with a message that says why: %s", output);
	is_int(result(mount(NULL, disk, NULL, MS_REMOUNT, NULL)), 0, "the disk is writable again");
	ok(up() && works(NULL), "it starts and works");
	check_end();
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "full") == 0)
		full();
	else if (strcmp(what, "state") == 0)
		state();
	else if (strcmp(what, "inodes") == 0)
		inodes();
	else if (strcmp(what, "descriptors") == 0)
		starved(RLIMIT_NOFILE, 64, EMFILE);
	else if (strcmp(what, "memory") == 0)
		starved(RLIMIT_AS, 0, ENOMEM);
	else if (strcmp(what, "readonly") == 0)
		readonly();
	else
		ok(false, "an argument: full, state, inodes, descriptors, memory or readonly");
	return done_testing();
}
