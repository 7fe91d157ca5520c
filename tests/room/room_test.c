/* A disk without room, inodes, or leave to write, and a daemon without descriptors or memory: each on an ext4 of its own, in an image.
 * Callers are told, deletion works, what was synced is whole, the daemon lives, and everything works once there is room again.
 *
 * The argument says which: full, deleted, state, inodes, descriptors, memory, readonly; for deleted also the passthrough mode. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tests/fs/mount.h"
#include "tests/room/room.h"
#include "tests/sweep/control.h"
#include "tests/tap.h"

#define VICTIMS 16
#define LOG_GROWTH_MAX (256u << 10)   /* bytes of log lines for one trouble */

/* Down and up again: the same from disk. */
static void check_end(void)
{
	bool down = chdir("/") == 0 && mount_down();

	if (!ok(down && up(), "it ends and starts")) {
		printf("# %s\n", down ? "it ended" : "it did not end");
		show_log();
	}
	ok(file_is_whole("kept", 4), "what was synced is whole");
	ok(mount_fsck_clean(), "fsck finds nothing");
}

static void victim_name(char name[static 32], unsigned number) { snprintf(name, 32, "victim-%u", number); }

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
	ok(r == -ENOSPC, "R8_no_room_is_told: %llu KiB free: writing gives ENOSPC (%ld)", (unsigned long long)leave_kib, r);
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

	if (!disk_make(400, "", "") || !up())
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

/* ---- what was deleted makes room at once ---- */

static void deleted(void)
{
	enum { ROUNDS = 8 };
	unsigned written = 0, over = 0;
	struct statvfs st;

	if (!disk_make(400, "", "") || !up())
		return;
	is_int(write_file("kept", 4), 0, "a file is kept");
	size_t most = statvfs(disk, &st) < 0 ? 0 : (size_t)(st.f_bavail * st.f_frsize / MIB * 6 / 10);
	for (unsigned i = 0; i < ROUNDS; i++) {
		long r = write_file("large", most);
		written += r == 0 && wait_for(mount_all_closed, NULL) && unlink("large") == 0;
		if (r < 0)
			printf("# round %u: %ld\n", i, r);
	}
	/* But once in a while, on a busy machine, the daemon itself has a deleted file in hands for another moment. */
	ok(written >= ROUNDS - 1, "deleted_makes_room: %zu MiB again and again, where there is room for them once: %u times", most, written);
	for (unsigned i = 0; i < ROUNDS; i++) {
		long r = write_file("large", most);
		over += r == 0 && wait_for(mount_all_closed, NULL);
		if (r < 0)
			printf("# round %u: %ld\n", i, r);
	}
	ok(over >= ROUNDS / 2, "and over themselves: %u times", over);
	check_end();
}

/* ---- the state has no room ---- */

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

	control_fail(match, 1u << SWEEP_WRITE | 1u << SWEEP_PWRITE | 1u << SWEEP_OPEN, ENOSPC, 1, SWEEP_FOR_EVER);
	long r = write_rows(160);
	control_stop();
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
	if (!disk_make(700, "", "") || !control_make() || setenv("LD_PRELOAD", getenv("DIOS_SHIM"), 1) < 0 || !up())
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

	if (!disk_make(200, "-N 1024", "") || !up())
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

/* Many files at once, from a daemon that has few of what `limit` says (memory: beyond what it has). The hard limit stays: raising it again is
 * a right of its own, which root in a container may not have. */
static void starved(int resource, rlim_t limit, int expected)
{
	struct rlimit before, few;
	enum { FILES = 400 };
	static int fds[FILES];
	unsigned opened = 0, refused = 0, odd = 0;
	char name[32];

	if (!disk_make(700, "", "") || !up())
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

	if (!disk_make(400, "", "") || !up())
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

	if (argc > 2)
		setenv("DIOS_TEST_PASSTHROUGH", argv[2], 1);
	if (strcmp(what, "full") == 0)
		full();
	else if (strcmp(what, "deleted") == 0)
		deleted();
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
		ok(false, "an argument: full, deleted, state, inodes, descriptors, memory or readonly");
	return done_testing();
}
