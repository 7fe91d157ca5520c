/* Passthrough: the kernel reads and writes the heads itself, and all that is promised of files holds. Where the machine has none, it is skipped. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "libdios/dios.h"
#include "libdios/dios-util.h"
#include "tests/fs/mount.h"
#include "tests/tap.h"

#define BIG (64u << 20)
#define MIB (1u << 20)

static uint8_t *pattern;      /* BIG bytes */

static long stat_of(const char *name)
{
	char line[256];
	long value = 0;
	FILE *f = fopen(".dios/stats", "r");

	while (f && fgets(line, sizeof(line), f)) {
		char *space = strrchr(line, ' ');
		if (space && (size_t)(space - line) == strlen(name) && strncmp(line, name, strlen(name)) == 0)
			value = strtol(space + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	return value;
}

static long reads(void) { return stat_of("dios_fs_blob_reads_total"); }
static long writes(void) { return stat_of("dios_fs_blob_writes_total"); }
static long opens(const char *how)
{
	char name[80];

	snprintf(name, sizeof(name), "dios_fs_opens_total{how=\"%s\"}", how);
	return stat_of(name);
}

static bool is_sealed(void *path)
{
	char value[8];

	return getxattr(path, "user.dios.sealed", value, sizeof(value)) == 3;
}

static long version_of(const char *path)
{
	char value[32] = "";

	return getxattr(path, "user.dios.version", value, sizeof(value) - 1) > 0 ? strtol(value, NULL, 10) : -1;
}

static bool sealed_soon(const char *path) { return wait_for(is_sealed, (void *)(uintptr_t)path); }

static bool make(const char *path, size_t size)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	bool good = fd >= 0;

	for (size_t at = 0; good && at < size; at += MIB)
		good = write(fd, pattern + at, size - at < MIB ? size - at : MIB) > 0;
	return close(fd) == 0 && good;
}

static bool same(int fd, size_t size)
{
	uint8_t *bytes = malloc(MIB);
	bool good = true;

	for (size_t at = 0; good && at < size; at += MIB) {
		size_t n = size - at < MIB ? size - at : MIB;
		good = pread(fd, bytes, n, (off_t)at) == (ssize_t)n && memcmp(bytes, pattern + at, n) == 0;
	}
	free(bytes);
	return good;
}

static void nothing_comes_through_the_daemon(void)
{
	long r, w, through;

	w = writes();
	through = opens("passthrough");
	ok(make("big", BIG), "64 MiB are written");
	is_int(writes() - w, 0, "by no WRITE request");
	ok(sealed_soon("big"), "the file is sealed when it was closed");
	is_int(version_of("big"), 1, "as its first version");
	r = reads();
	int fd = open("big", O_RDONLY);
	ok(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0 && same(fd, BIG), "64 MiB are read, and not from pages that the writer left");
	close(fd);
	is_int(reads() - r, 0, "by no READ request");
	is_int(opens("passthrough") - through, 2, "through two opens");
	ok(put("record", "in the record") && sealed_soon("record"), "a small file is written");
	r = reads();
	fd = open("record", O_RDONLY);
	char text[16];
	ok(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0 && pread(fd, text, 16, 0) == 13 && memcmp(text, "in the record", 13) == 0, "and read");
	close(fd);
	is_int(reads() - r, 1, "by one READ request, which is counted");
}

static void R9_mark(void)
{
	long version = version_of("big");
	int fd = open("big", O_RDWR);

	ok(fd >= 0 && !is_sealed((void *)(uintptr_t) "big"), "R9_opened_for_writing_it_is_marked");
	ok(pwrite(fd, "changed", 7, 5 * MIB) == 7 && fsync(fd) == 0, "it is written and synced");
	memcpy(pattern + 5 * MIB, "changed", 7);
	close(fd);
	ok(sealed_soon("big") && version_of("big") == version + 1, "R9_sealed_it_has_the_next_version");
	fd = open("big", O_RDWR);
	struct timespec old = { .tv_sec = 1000000000 }, times[2] = { old, old };
	ok(futimens(fd, times) == 0, "a time is set");
	close(fd);
	struct stat st;
	ok(sealed_soon("big") && stat("big", &st) == 0 && st.st_mtime == 1000000000, "and outlives the sealing");
}

static void calls_with_versions(void)
{
	dios_ref ref;
	struct dios_buffer buffer;
	int fd = open("big", O_RDWR);

	is_int(dios_open(0, "big", DIOS_READ | DIOS_WRITE, &ref), 0, "a file that somebody has open for writing is opened by libdios");
	is_int(dios_acquire_write(0, ref, 0, 16, &buffer), -EBUSY, "acquire_write says EBUSY");
	is_int(dios_acquire_read(0, ref, 0, 16, &buffer), 0, "acquire_read gives bytes");
	is_int(dios_commit_read(0, ref, &buffer), -ESTALE, "that are of no version: commit_read says ESTALE");
	close(fd);
	close(ref);
	is_int(dios_open(0, "big", DIOS_READ | DIOS_WRITE, &ref), 0, "it is opened again");
	is_int(dios_acquire_write(0, ref, 0, 16, &buffer), 0, "without other writers it has versions");
	is_int(dios_commit_write(DIOS_DISCARD, ref, &buffer, 0), 0, "and is left as it was");
	close(ref);
}

static void P1_one_way(void)
{
	char text[16] = "";
	int reader, writer, synced, appender;

	make("p1", 2 * MIB);
	sealed_soon("p1");
	reader = open("p1", O_RDONLY);
	writer = open("p1", O_RDWR);
	synced = open("p1", O_RDWR | O_SYNC);
	appender = open("p1", O_WRONLY | O_APPEND);
	ok(reader >= 0 && writer >= 0 && synced >= 0 && appender >= 0, "P1_all_opens_of_an_inode_go_one_way");
	ok(pwrite(writer, "one", 3, 100) == 3 && pread(reader, text, 3, 100) == 3 && memcmp(text, "one", 3) == 0, "a reader sees a writer's bytes");
	long w = writes();
	ok(pwrite(synced, "two", 3, 200) == 3 && pread(reader, text, 3, 200) == 3 && memcmp(text, "two", 3) == 0, "and a synchronous writer's");
	is_int(writes() - w, 1, "P3_synchronous_writes_reach_the_daemon");
	ok(write(appender, "end", 3) == 3 && pread(reader, text, 3, 2 * MIB) == 3 && memcmp(text, "end", 3) == 0, "and what is appended");
	ok(ftruncate(writer, MIB) == 0 && pread(reader, text, 3, MIB) == 0, "and the new end");
	ok(truncate("p1", MIB + 10) == 0 && pread(reader, text, 16, MIB) == 10 && text[0] == 0, "and one that is set by path");
	close(writer);
	close(synced);
	close(appender);
	ok(sealed_soon("p1"), "with a reader only it is sealed");
	ok(truncate("p1", MIB / 2) == 0 && pread(reader, text, 3, MIB / 2) == 0 && pread(reader, text, 3, 200) == 3 && memcmp(text, "two", 3) == 0,
		"and what changes then is seen by who reads past the daemon");
	close(reader);
	put("small", "in the record");
	sealed_soon("small");
	reader = open("small", O_RDONLY);
	writer = open("small", O_WRONLY);
	ok(pwrite(writer, "IN", 2, 0) == 2 && pread(reader, text, 13, 0) == 13 && memcmp(text, "IN the record", 13) == 0, "a small file's too");
	close(reader);
	close(writer);
}

static void P1_mapping_keeps_it_open(void)
{
	int fd;

	make("mapped", MIB);
	sealed_soon("mapped");
	fd = open("mapped", O_RDWR);
	char *map = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	make("later", MIB);
	sealed_soon("later");      /* then its turn would have come before */
	ok(map != MAP_FAILED && !is_sealed((void *)(uintptr_t) "mapped"), "P1_not_sealed_while_a_mapping_can_write");
	memcpy(map + 4096, "stored", 6);
	char text[8] = "";
	fd = open("mapped", O_RDONLY);
	ok(pread(fd, text, 6, 4096) == 6 && memcmp(text, "stored", 6) == 0, "a store shows in who opens it");
	close(fd);
	munmap(map, MIB);
	ok(sealed_soon("mapped"), "without the mapping it is sealed");
	make("twin", MIB);
	fd = open("twin", O_WRONLY);
	ok(pwrite(fd, "stored", 6, 4096) == 6, "a twin is written");
	close(fd);
	sealed_soon("twin");
	char one[64] = "", other[64] = "";
	ok(getxattr("mapped", "user.dios.checksum", one, 63) > 0 && getxattr("twin", "user.dios.checksum", other, 63) > 0 && strcmp(one, other) == 0,
		"P3_stores_of_mappings_are_in_the_checksums");
}

static void P2_registered_for_reading(void)
{
	int fd;

	make("p2", MIB);
	sealed_soon("p2");
	chmod("p2", 0444);
	fd = open("p2", O_RDONLY);
	ok(fd >= 0 && write(fd, "x", 1) < 0 && errno == EBADF, "P2_a_reader_does_not_write");
	int writer = open("p2", O_RDWR);   /* root may */
	ok(writer >= 0 && pwrite(writer, "x", 1, 0) == 1, "P2_a_writer_writes_what_was_registered_for_reading");
	close(writer);
	close(fd);
}

static void unlinked(void)
{
	int fd = open("gone", O_CREAT | O_RDWR, 0644);
	char text[8] = "";

	ok(fd >= 0 && unlink("gone") == 0 && pwrite(fd, "still", 5, 70000) == 5 && pread(fd, text, 5, 70000) == 5 && strcmp(text, "still") == 0,
		"an unlinked file is written and read on");
	close(fd);
}

static bool daemon_is_other(void *pid) { return mount_daemon() > 0 && mount_daemon() != *(pid_t *)pid; }

static void the_daemon_dies(void)
{
	pid_t pid = mount_daemon();
	int fd = open("survivor", O_CREAT | O_RDWR, 0644), sealed = open("big", O_RDWR);

	ok(pwrite(fd, pattern, MIB, 0) == MIB, "a file is written");
	ok(kill(pid, SIGKILL) == 0 && pwrite(fd, pattern + MIB, MIB, MIB) == MIB && pwrite(sealed, "killed", 6, 0) == 6, "R9_writes_go_on_while_the_daemon_is_dead");
	memcpy(pattern, "killed", 6);
	ok(wait_for(daemon_is_other, &pid), "another daemon comes");
	int again = open("survivor", O_RDONLY);
	ok(again >= 0 && pread(again, pattern + 32 * MIB, MIB, MIB) == MIB && memcmp(pattern + 32 * MIB, pattern + MIB, MIB) == 0,
		"P1_an_open_beside_one_of_the_earlier_daemon");
	ok(fsync(fd) == 0 && fsync(sealed) == 0, "both are synced");
	close(fd);
	close(again);
	close(sealed);
	ok(sealed_soon("survivor") && sealed_soon("big"), "and sealed");
}

static bool flip_in_head_of(off_t size, off_t at)
{
	char path[4200];
	glob_t found;
	bool flipped = false;

	snprintf(path, sizeof(path), "%s/heads/*/*", mount_data);
	if (glob(path, 0, NULL, &found) != 0)
		return false;
	for (size_t i = 0; i < found.gl_pathc && !flipped; i++) {
		struct stat st;
		char byte;
		int fd = open(found.gl_pathv[i], O_RDWR);
		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size == size && pread(fd, &byte, 1, at) == 1) {
			byte ^= 4;
			flipped = pwrite(fd, &byte, 1, at) == 1;
		}
		close(fd);
	}
	globfree(&found);
	return flipped;
}

static void damage_is_not_sealed(void)
{
	char text[16];
	int fd;

	make("hurt", 3 * MIB + 7);
	sealed_soon("hurt");
	ok(chdir("/") == 0 && mount_down() && flip_in_head_of(3 * MIB + 7, 2 * MIB + 5) && mount_up() && chdir(mount_point) == 0, "a bit of a head turns over, offline");
	fd = open("hurt", O_RDWR);
	ok(fd >= 0 && pread(fd, text, 16, 2 * MIB) < 0 && errno == EIO, "the damaged block is refused, at the first open after a start");
	ok(pread(fd, text, 16, 100) == 16 && memcmp(text, pattern + 100, 16) == 0, "the others are read");
	ok(pwrite(fd, "new", 3, 100) == 3 && fsync(fd) == 0, "and written");
	close(fd);
	fd = open("hurt", O_RDONLY);
	ok(pread(fd, text, 16, 2 * MIB) < 0 && errno == EIO, "and no writing makes the damaged one a good one");
	close(fd);
	is_int(stat_of("dios_heads_damaged_total"), 1, "it is counted");
}

static bool is_available(void)
{
	char text[4096];
	int fd = open(".dios/status", O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return strstr(text, "\"passthrough\": \"write\"") != NULL;
}

int main(void)
{
	if (!mount_start())
		return mount_result();
	if (!is_available()) {
		skip("passthrough", ".dios/status says that it is not in force");
		return done_testing();
	}
	setenv("DIOS_MOUNT", mount_point, 1);
	pattern = malloc(BIG);
	for (size_t i = 0; i < BIG; i += 4) {
		uint32_t word = (uint32_t)i * 2654435761u;
		memcpy(pattern + i, &word, 4);
	}
	nothing_comes_through_the_daemon();
	R9_mark();
	calls_with_versions();
	P1_one_way();
	P1_mapping_keeps_it_open();
	P2_registered_for_reading();
	unlinked();
	the_daemon_dies();
	damage_is_not_sealed();
	free(pattern);
	return done_testing();
}
