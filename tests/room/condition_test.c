/* What can go wrong with the disk below a living mount is said by `dios status`, as a page and as JSON, and no more when it is over. Callers are told too, and
 * what was synced is whole afterwards. The conditions that need no disk of their own are in tests/mount-tools/status-test.
 *
 * The argument says which: read-only, inodes, mounted, failing, failing-in-place, state, flush, passthrough. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/fs/mount.h"
#include "tests/room/room.h"
#include "tests/sweep/control.h"
#include "tests/tap.h"

static bool status_has(const char *option, const char *text)
{
	static char output[65536];
	const char *const arguments[] = { "--mount", mount_point, "status", option, NULL };

	return mount_run(output, sizeof(output), "dios", arguments) != 126 && strstr(output, text) != NULL;
}

static bool is_raised(void *id)
{
	char text[64];

	snprintf(text, sizeof(text), "\"id\": \"%s\"", (const char *)id);
	return status_has("--json", text);
}

static bool is_over(void *id) { return !is_raised(id); }

/* As JSON, and on the page with its severity in front. */
static void raised(const char *severity, const char *id)
{
	char text[64];

	snprintf(text, sizeof(text), "%s: %s\n", severity, id);
	if (!ok(wait_for(is_raised, (void *)(uintptr_t)id), "%s is raised", id))
		show_log();
	ok(status_has(NULL, text), "the page says %s: %s", severity, id);
}

static void over(const char *id) { ok(wait_for(is_over, (void *)(uintptr_t)id), "%s is over", id); }

static bool logged(const char *text)
{
	char path[400], line[1024];
	bool found = false;

	snprintf(path, sizeof(path), "%s/diosd.log", mount_data);
	FILE *f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, text) != NULL;
	if (f)
		fclose(f);
	return found;
}

static bool down(void) { return chdir("/") == 0 && mount_down(); }

/* What was synced, and fsck, at the end of each. */
static void check_end(void)
{
	ok(file_is_whole("kept", 4), "what was synced is whole");
	if (!ok(works(NULL), "and all works") || !ok(mount_fsck_clean(), "fsck finds nothing"))
		show_log();
}

/* ---- the file system becomes read-only ---- */

/* As after an error of the disk: the file system does it to itself (errors=remount-ro). False: this kernel cannot be asked to. */
static bool make_read_only(void)
{
	char command[512];

	snprintf(command, sizeof(command), "device=$(findmnt -no SOURCE %s) && echo 1 >/sys/fs/ext4/${device#/dev/}/trigger_fs_error", disk);
	return shell(command) == 0;
}

static bool make_writable(void)
{
	char command[512];

	/* 1: errors were corrected. */
	snprintf(command, sizeof(command), "umount %s && { e2fsck -fy %.*s/image >/dev/null 2>&1; [ $? -le 1 ]; } && mount -o loop %.*s/image %s", disk,
		(int)(strlen(disk) - strlen("/disk")), disk, (int)(strlen(disk) - strlen("/disk")), disk, disk);
	return shell(command) == 0;
}

static bool is_sealed(void *name)
{
	char value[8] = "";

	return getxattr(name, "user.dios.sealed", value, sizeof(value)) == 3 && memcmp(value, "yes", 3) == 0;
}

static bool refused(long r) { return r == -EROFS || r == -EIO; }

static void read_only(void)
{
	if (!disk_make(200, "", ",errors=remount-ro") || !up())
		return;
	is_int(write_file("kept", 4), 0, "a file is kept");
	is_int(write_file("other", 1), 0, "and another");
	ok(put("small", "text"), "and a small one");
	/* A log that has records which are not synced yet ends the daemon, and none starts there: all is sealed, and synced with the last of these. */
	ok(wait_for(is_sealed, "kept") && wait_for(is_sealed, "other") && wait_for(is_sealed, "small"), "all is sealed");
	int folder = open(".", O_RDONLY | O_DIRECTORY);
	is_int(result(fsync(folder)), 0, "and synced");
	close(folder);
	if (!make_read_only()) {
		skip("a file system that turns read-only", "the kernel cannot be asked to meet an error (trigger_fs_error)");
		return;
	}
	raised("ERROR", "disk-read-only");
	ok(file_is_whole("kept", 4) && file_is_whole("other", 1) && holds("small", "text"), "reading goes on");
	long r = result(mkdir("folder", 0755));
	ok(refused(r), "a folder is refused (%ld)", r);
	r = write_file("more", 1);
	ok(refused(r), "so is a file (%ld)", r);
	is_int(result(mkdir("folder", 0755)), -EROFS, "the first may not know what became of it, the next is told why");
	is_int(result(unlink("small")), -EROFS, "deleting too");
	ok(!is_raised("disk-failing"), "the disk is not called failing for it");
	ok(down(), "it ends");
	ok(make_writable(), "the file system is checked and writable");
	ok(up(), "it starts");
	over("disk-read-only");
	ok(holds("small", "text") && file_is_whole("other", 1), "all is there");
	check_end();
}

/* ---- how the file system is made and mounted ---- */

static void inodes(void)
{
	char path[128];
	int made = 0;

	if (!disk_make(100, "-N 1024", "") || !up())
		return;
	is_int(write_file("kept", 4), 0, "a file is kept");
	ok(is_over("inodes-nearly-used"), "there are inodes");
	for (; made < 1024; made++) {
		snprintf(path, sizeof(path), "%s/taken-%d", disk, made);
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	raised("WARNING", "inodes-nearly-used");
	while (made-- > 0) {
		snprintf(path, sizeof(path), "%s/taken-%d", disk, made);
		unlink(path);
	}
	over("inodes-nearly-used");
	check_end();
}

static void mounted(void)
{
	char command[256];

	if (!disk_make(100, "-O ^has_journal", "") || !up())
		return;
	is_int(write_file("kept", 4), 0, "a file is kept");
	raised("NOTE", "no-journal");
	snprintf(command, sizeof(command), "umount %s && tune2fs -O has_journal %.*s/image >/dev/null && mount -o loop,nobarrier %.*s/image %s", disk,
		(int)(strlen(disk) - strlen("/disk")), disk, (int)(strlen(disk) - strlen("/disk")), disk, disk);
	ok(down() && shell(command) == 0 && up(), "it gets a journal, and is mounted so that fsync does not reach the disk");
	over("no-journal");
	raised("WARNING", "no-flush");
	snprintf(command, sizeof(command), "mount -o remount,barrier %s", disk);
	ok(down() && shell(command) == 0 && up(), "mounted as it should be");
	over("no-flush");
	check_end();
}

/* ---- the disk fails ---- */

static bool up_with_library(const char *passthrough)
{
	setenv("DIOS_TEST_PASSTHROUGH", passthrough, 1);
	setenv("LD_PRELOAD", getenv("DIOS_SHIM"), 1);
	bool good = up();
	unsetenv("LD_PRELOAD");
	return good;
}

static bool failing_begin(unsigned mib, const char *passthrough)
{
	if (!disk_make(mib, "", "") || !control_make() || !up_with_library(passthrough))
		return false;
	is_int(write_file("kept", 4), 0, "a file is kept");
	return ok(atomic_load(&control->pid) == (uint32_t)mount_daemon(), "the library is in the daemon");
}

static bool is_another(void *daemon)
{
	pid_t now = mount_daemon();

	return now > 0 && now != *(pid_t *)daemon;
}

static void log_fails(void)
{
	pid_t daemon = mount_daemon();

	control_fail("/data/log/", 1u << SWEEP_SYNC, EIO, 1, 1);
	int fd = open("small", O_RDWR | O_CREAT, 0600);
	ok(fd >= 0 && write(fd, "text", 4) == 4, "a small file is written");
	is_int(result(fsync(fd)), -EIO, "R6: a sync of the log fails: fsync says so");
	ok(wait_for(is_another, &daemon), "another daemon goes on from what is on the disk");
	control_stop();
	close(fd);
	ok(logged("raised id=log-failed"), "log-failed was raised");
	over("log-failed");
	raised("NOTE", "daemon-restarted");
	ok(status_has("--json", "the last one because the log could not be synced"), "which says why");
	ok(file_is_whole("kept", 4), "what was synced is whole");
}

static void commit_fails(void)
{
	int fd = open("uncommitted", O_RDWR | O_CREAT, 0600);

	control_fail("/data/log/", 1u << SWEEP_PWRITE, ENOSPC, 1, SWEEP_FOR_EVER);
	ok(fd >= 0 && write(fd, "text", 4) == 4, "what cannot be committed is staged");
	raised("WARNING", "commit-failing");
	control_stop();
	over("commit-failing");
	ok(close(fd) == 0 && holds("uncommitted", "text"), "and is there");
}

static void absorb_fails(void)
{
	int fd = open("rows", O_RDWR | O_CREAT, 0600);

	ok(fd >= 0 && write(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes) && fsync(fd) == 0, "a file with a head");
	control_fail("/data/heads/", 1u << SWEEP_PWRITE, EIO, 1, SWEEP_FOR_EVER);
	ok(pwrite(fd, bytes, 4096, 8192) == 4096 && fsync(fd) == 0, "a block is committed without its head");
	raised("WARNING", "absorb-failing");
	printf("# %u calls failed: %s\n", (unsigned)atomic_load(&control->fired), control->what);
	control_stop();
	over("absorb-failing");
	close(fd);
	unlink("rows");
}

static void failing(void)
{
	if (!failing_begin(300, "off"))
		return;
	ok(is_over("disk-failing"), "the disk is well");
	control_fail("/data/heads/", 1u << SWEEP_SYNC, EIO, 1, 1);
	is_int(write_file("more", 2), -EIO, "R6: a sync of a head fails: the caller is told");
	raised("ERROR", "disk-failing");
	ok(atomic_load(&control->fired) == 1, "one sync failed");
	ok(works(NULL), "the next file is as good as any");
	ok(is_raised("disk-failing"), "it stays raised");
	ok(down() && up_with_library("off"), "mounted again");
	over("disk-failing");
	commit_fails();
	absorb_fails();
	log_fails();
	check_end();
}

/* Of what is written in place there is no second copy: each sync says so until the next start. */
static void failing_in_place(void)
{
	if (!failing_begin(300, "write"))
		return;
	control_fail("/data/heads/", 1u << SWEEP_SYNC, EIO, 1, 1);
	int fd = open("more", O_RDWR | O_CREAT, 0600);
	ok(fd >= 0 && write(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes), "a file is written in place");
	is_int(result(fsync(fd)), -EIO, "R6: its sync fails: the caller is told");
	ok(atomic_load(&control->fired) == 1, "one sync failed");
	is_int(result(fsync(fd)), -EIO, "and again");
	close(fd);
	raised("ERROR", "disk-failing");
	ok(down() && up_with_library("write"), "mounted again");
	over("disk-failing");
	check_end();
}

/* ---- the state cannot be written out ---- */

/* Rows fill the store's memory: up to so many MiB of them, or until it is raised. */
static void write_rows(unsigned mib, const char *until)
{
	int fd = open("rows", O_RDWR | O_CREAT, 0600);
	bool good = fd >= 0;

	for (unsigned i = 0; good && i < mib && !is_raised((void *)(uintptr_t)until); i++)
		good = pwrite(fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
}

static void state(void)
{
	if (!failing_begin(700, "off"))
		return;
	control_fail("/data/state/", 1u << SWEEP_WRITE | 1u << SWEEP_PWRITE | 1u << SWEEP_OPEN, ENOSPC, 1, SWEEP_FOR_EVER);
	write_rows(160, "state-behind");
	raised("ERROR", "state-behind");
	ok(atomic_load(&control->fired) > 0, "writes of the state failed");
	control_stop();
	ok(wait_for(works, NULL), "it goes on when there is room");
	over("state-behind");
	check_end();
}

#define SMALL (56u << 10)   /* bytes: what is so small goes into the log and the state, and needs no file of its own */

/* So many MiB, or until it is raised. */
static void write_small(unsigned mib, const char *until)
{
	int fd = open("small", O_RDWR | O_CREAT, 0600);
	bool good = fd >= 0;

	for (unsigned i = 0; good && i < mib * (MIB / SMALL) && !(until && i % 8 == 0 && is_raised((void *)(uintptr_t)until)); i++)
		good = pwrite(fd, bytes, SMALL, 0) == (ssize_t)SMALL && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
}

/* No file can be made, neither of the log nor of the state. The log needs another segment after 16 MiB, and wants the state written out so that it can be
 * shorter: it is then, before the state would be by itself, which it is each 12 MiB. */
static void flush(void)
{
	if (!failing_begin(700, "off"))
		return;
	write_small(14, NULL);
	ok(put("probe", "text"), "more is written");
	control_fail("0000", 1u << SWEEP_OPEN, ENOSPC, 1, SWEEP_FOR_EVER);
	write_small(8, "flush-failing");
	raised("WARNING", "flush-failing");
	control_stop();
	ok(wait_for(works, NULL), "it goes on when there is room");
	over("flush-failing");
	ok(logged("raised id=shard-stopped"), "as the store has failed it is opened again, by another daemon");
	raised("NOTE", "daemon-restarted");
	ok(status_has("--json", "the last one because the state's store has failed before"), "which says why");
	ok(holds("probe", "text"), "what was written is there");
	check_end();
}

/* ---- reads and writes cannot go past the daemon ---- */

static bool no_opens_past_us(void)
{
	static char text[65536];
	int fd = open(".dios/stats", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	/* What is 0 is left out. */
	return strstr(text, "dios_fs_opens_total{how=\"cached\"}") && !strstr(text, "dios_fs_opens_total{how=\"passthrough");
}

/* The kernel does not stack so high: the data directory gets two overlays. Where it has no passthrough at all, or libfuse has none, that is said
 * instead. */
static void passthrough(void)
{
	char command[1024];

	if (!disk_make(200, "", ""))
		return;
	snprintf(command, sizeof(command), "cd %s && d=%s && mkdir u1 w1 u2 w2 && mount -t overlay -o lowerdir=$d,upperdir=u1,workdir=w1 overlay $d && "
		"mount -t overlay -o lowerdir=$d,upperdir=u2,workdir=w2 overlay $d", disk, mount_data);
	if (shell(command) != 0) {
		skip_all("there is no overlay file system");
		exit(0);
	}
	setenv("DIOS_TEST_PASSTHROUGH", "write", 1);
	if (!up())
		return;
	raised("NOTE", "no-passthrough");
	ok(status_has("--json", "passthrough is off, not write as configured: "), "with what there is instead, and why");
	is_int(write_file("kept", 4), 0, "a file is written");
	ok(file_is_whole("kept", 4) && no_opens_past_us(), "and read, by the daemon");
	setenv("DIOS_TEST_PASSTHROUGH", "off", 1);
	ok(down() && up(), "mounted without passthrough");
	over("no-passthrough");
	check_end();
	snprintf(command, sizeof(command), "umount %s && umount %s", mount_data, mount_data);
	ok(down() && shell(command) == 0, "it ends");
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(void); } parts[] = { { "read-only", read_only }, { "inodes", inodes }, { "mounted", mounted },
		{ "failing", failing }, { "failing-in-place", failing_in_place }, { "state", state }, { "flush", flush }, { "passthrough", passthrough } };

	for (size_t i = 0; argc > 1 && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strcmp(argv[1], parts[i].name) == 0) {
			parts[i].run();
			return done_testing();
		}
	ok(false, "an argument: read-only, inodes, mounted, failing, failing-in-place, state, flush or passthrough");
	return done_testing();
}
