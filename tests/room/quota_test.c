/* A quota on a mount: callers are told EDQUOT, at write() where bytes come by the daemon; what was taken is whole; deleting, cutting and overwriting
 * go on; and everything goes on when there is room. The argument is the mount's passthrough mode. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "libdios/dios.h"
#include "tests/fs/mount.h"
#include "tests/tap.h"

#define KIB 1024
#define MIB (1u << 20)
#define LIMIT (8ull * MIB)
#define PIECE (64u * KIB)
#define FILES 400                 /* small ones: more than fit */

static uint8_t bytes[MIB];

static long result(long r) { return r < 0 ? -errno : r; }

static int dios(char output[static 2048], const char *const *words)
{
	const char *arguments[16] = { "--mount", mount_point };

	for (int i = 2; i < 15 && *words; i++)
		arguments[i] = *words++;
	return mount_run(output, 2048, "dios", arguments);
}
#define DIOS(output, ...) dios(output, (const char *const[]){ __VA_ARGS__, NULL })

static bool says(const char *what, const char *expected)
{
	char output[2048];

	if (DIOS(output, "quota") == 0 && strstr(output, expected))
		return ok(true, "%s", what);
	printf("# %s\n", output);
	return ok(false, "%s", what);
}

/* key: "bytes" or "objects", in quotes and with a colon. */
static uint64_t used(const char *key)
{
	char output[2048];
	const char *at = DIOS(output, "quota", "--json") == 0 ? strstr(output, key) : NULL;

	return at ? strtoull(at + strlen(key), NULL, 10) : UINT64_MAX;
}

static uint64_t used_bytes(void) { return used("\"bytes\":"); }

/* What was unlinked is freed in the background. */
static bool few_objects(void *arg)
{
	(void)arg;
	return used("\"objects\":") < 8;
}

/* 0, or the first error of open, write, fsync and close; *ret_taken: bytes that write() took. */
static long write_file(const char *name, int flags, uint64_t size, uint64_t *ret_taken)
{
	int fd = open(name, O_WRONLY | O_CREAT | flags, 0600);
	long r = result(fd), closed;
	uint64_t taken = 0;

	while (r >= 0 && taken < size) {
		ssize_t n = write(fd, bytes + taken % MIB, PIECE);
		r = n < 0 ? -errno : 0;
		taken += n < 0 ? 0 : (uint64_t)n;
	}
	long synced = fd >= 0 ? result(fsync(fd)) : 0;
	closed = fd >= 0 ? result(close(fd)) : 0;
	if (ret_taken)
		*ret_taken = taken;
	return r < 0 ? r : synced < 0 ? synced : closed;
}

static bool file_is(const char *name, uint64_t size)
{
	static uint8_t got[PIECE];
	struct stat st;
	int fd = open(name, O_RDONLY);
	bool good = fd >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size == size;

	for (uint64_t at = 0; good && at < size; at += PIECE)
		good = read(fd, got, PIECE) == PIECE && memcmp(got, bytes + at % MIB, PIECE) == 0;
	if (fd >= 0)
		close(fd);
	return good;
}

static bool works(void *arg)
{
	(void)arg;
	return write_file("again", O_TRUNC, MIB, NULL) == 0 && file_is("again", MIB) && unlink("again") == 0;
}

static bool is_refused(void *arg)
{
	(void)arg;
	return write_file("other", O_TRUNC, MIB, NULL) == -EDQUOT;
}

static bool condition_is(const char *id, bool raised)
{
	char output[2048];

	DIOS(output, "status");
	return (strstr(output, id) != NULL) == raised;
}

static bool is_near(void *arg)
{
	(void)arg;
	return condition_is("the quota of bytes is ", true);
}

static bool is_over(void *arg)
{
	(void)arg;
	return condition_is("the quota of bytes is ", false);
}

static bool user_is_refused(void *arg)
{
	char output[2048];

	(void)arg;
	return DIOS(output, "quota", "set", "--objects", "1") == 1 && strstr(output, "be root") && DIOS(output, "quota") == 0;
}

static void settings(void)
{
	struct statvfs st;
	char output[2048];

	says("without one there is no limit", "of no limit");
	is_int(DIOS(output, "quota", "set"), 2, "a limit must be named");
	is_int(DIOS(output, "quota", "set", "--bytes", "0"), 2, "nothing is no limit");
	is_int(DIOS(output, "quota", "set", "--bytes", "8M", "--objects", "300"), 0, "both are set");
	says("bytes are", "of 8.0M");
	says("so are objects", "of 300");
	is_int(DIOS(output, "quota", "set", "--objects", "2000"), 0, "one alone");
	says("it is", "of 2000");
	says("the other stays", "of 8.0M");
	ok(statvfs(".", &st) == 0 && (uint64_t)st.f_blocks * st.f_frsize == LIMIT && st.f_files == 2000, "statfs shows it");
	ok(as_user(4321, user_is_refused, NULL), "it is root's to set, and everybody's to see");
}

/* Past the daemon, and it stays open. */
static void outgrow(void)
{
	uint64_t size = 10 * MIB, written = 0;
	int fd = open("large", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	while (written < size && write(fd, bytes + written % MIB, PIECE) == PIECE)
		written += PIECE;
	ok(written == size, "written past the daemon: %llu KiB", (unsigned long long)written / KIB);
	ok(wait_for(is_refused, NULL), "quota_is_told: within a second no other file is let in");
	ok(used_bytes() > LIMIT, "what is used above the limit is shown: %llu KiB", (unsigned long long)used_bytes() / KIB);
	is_int(result(fsync(fd)), 0, "it is synced");
	close(fd);
	ok(file_is("large", size), "and whole");
}

/* One that is written until it is told, beside what is kept. */
static void one_file(bool in_place)
{
	uint64_t taken;

	is_int(write_file("kept", O_TRUNC, 2 * MIB, NULL), 0, "a file is kept");
	if (in_place) {
		outgrow();
	} else {
		long r = write_file("large", O_TRUNC, 64 * MIB, &taken);
		is_int(r, -EDQUOT, "quota_is_told: write() gives EDQUOT");
		ok(taken <= LIMIT && file_is("large", taken), "it took what fits, and that is whole: %llu KiB", (unsigned long long)taken / KIB);
		ok(used_bytes() <= LIMIT && used_bytes() + MIB > LIMIT, "up to the limit: %llu KiB", (unsigned long long)used_bytes() / KIB);
		is_int(write_file("other", O_TRUNC, MIB, NULL), -EDQUOT, "nor is there room for another file");
	}
	ok(wait_for(is_near, NULL), "dios status says it");
	is_int(write_file("kept", 0, 2 * MIB, NULL), 0, "overwriting goes on");
	is_int(result(mkdir("folder", 0700)), 0, "so do folders");
	is_int(result(rename("other", "folder/other")), 0, "and renames");
	ok(file_is("kept", 2 * MIB), "what was synced is whole");
	is_int(result(truncate("large", 5 * PIECE)), 0, "cutting works");
	ok(file_is("large", 5 * PIECE), "as far as it says");
	is_int(result(truncate("large", 5 * PIECE + 17)), 0, "and a hole");
	is_int(result(unlink("large")), 0, "deleting works");
	is_int(result(unlink("folder/other")), 0, "deleting works");
	ok(wait_for(works, NULL), "it goes on when there is room");
	ok(wait_for(is_over, NULL), "dios status says it no more");
}

/* Small ones, which nobody syncs. */
static void many_files(bool in_place)
{
	unsigned made = 0, whole = 0;
	char name[32];
	long r = 0;

	for (; made < FILES && r >= 0; made += r >= 0) {
		snprintf(name, sizeof(name), "small-%u", made);
		int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
		r = fd < 0 ? -errno : result(write(fd, bytes, PIECE / 2));
		if (fd >= 0 && close(fd) < 0 && r >= 0)
			r = -errno;
	}
	if (!in_place)
		ok(r == -EDQUOT && made > 150 && made < 193, "quota_is_told: small files: %ld after %u", r, made);
	sync();
	for (unsigned i = 0; i < made; i++) {
		static uint8_t got[PIECE];
		snprintf(name, sizeof(name), "small-%u", i);
		int fd = open(name, O_RDONLY);
		whole += fd >= 0 && read(fd, got, PIECE) == PIECE / 2 && memcmp(got, bytes, PIECE / 2) == 0;
		if (fd >= 0)
			close(fd);
	}
	is_int(whole, made, "each that was taken is whole");
	for (unsigned i = 0; i <= made; i++) {
		snprintf(name, sizeof(name), "small-%u", i);
		unlink(name);
	}
	ok(wait_for(works, NULL), "it goes on when there is room");
}

static int publish_and_delete(void)
{
	struct dios_buffer b;
	dios_ref ref;
	int r = dios_create(0, NULL, NULL, &ref);

	if (r < 0)
		return r;
	r = dios_acquire_write(0, ref, 0, 5 * MIB, &b);
	if (r == 0) {
		memcpy(b.data, bytes, sizeof(bytes));
		r = dios_commit_write(0, ref, &b, 5 * MIB);
	}
	int deleted = dios_delete(0, ref);
	return r < 0 ? r : deleted;
}

/* What was deleted makes room at once, for bytes and for objects. But now and then, on a busy machine, the daemon itself has a deleted file in hands for
 * another moment. */
static void deleted(void)
{
	enum { ROUNDS = 8 };
	unsigned written = 0, published = 0, made = 0;
	char output[2048];

	ok(wait_for(few_objects, NULL), "what was deleted is freed");
	for (unsigned i = 0; i < ROUNDS; i++, unlink("large"))
		written += write_file("large", O_EXCL, 5 * MIB, NULL) == 0 && wait_for(mount_all_closed, NULL) && unlink("large") == 0;
	ok(written >= ROUNDS / 2, "deleted_makes_room: a file again and again, where there is room for it once: %u times", written);
	for (unsigned i = 0; i < ROUNDS; i++) {
		int r = publish_and_delete();
		published += r == 0 && wait_for(mount_all_closed, NULL);
		if (r < 0)
			printf("# round %u: %d\n", i, r);
	}
	ok(published >= ROUNDS / 2, "and published: %u times", published);
	is_int(DIOS(output, "quota", "set", "--objects", "6"), 0, "few objects");
	for (unsigned i = 0; i < ROUNDS; i++, rmdir("one/other"), rmdir("one"))
		made += mkdir("one", 0700) == 0 && mkdir("one/other", 0700) == 0 && rmdir("one/other") == 0 && rmdir("one") == 0;
	ok(made >= ROUNDS / 2, "folders again and again: %u times", made);
	is_int(DIOS(output, "quota", "set", "--objects", "2000"), 0, "many objects");
}

/* The limit falls below what is there, while bytes wait to be committed. */
static void lowered(void)
{
	char output[2048];

	ok(wait_for(few_objects, NULL), "what was deleted is freed");
	int fd = open("waiting", O_RDWR | O_CREAT, 0600);
	is_int(result(pwrite(fd, bytes, MIB, 0)), MIB, "bytes that wait");
	is_int(DIOS(output, "quota", "set", "--bytes", "1M"), 0, "a limit below what there is");
	ok(wait_for(is_refused, NULL), "quota_is_told: nothing grows");
	is_int(result(ftruncate(fd, 4097)), 0, "cutting works");
	long r = result(fsync(fd));
	is_int(r, 0, "and what is left is committed");
	is_int(result(ftruncate(fd, 0)), 0, "cutting works");
	close(fd);
	is_int(result(unlink("waiting")), 0, "deleting works");
	is_int(write_file("kept", 0, 2 * MIB, NULL), 0, "overwriting goes on");
	is_int(DIOS(output, "quota", "off"), 0, "no limit");
	ok(wait_for(works, NULL), "it goes on");
}

static void objects(void)
{
	char output[2048], name[32];
	unsigned made = 0;
	int fd = 0;

	ok(wait_for(few_objects, NULL), "what was deleted is freed");
	is_int(DIOS(output, "quota", "set", "--objects", "30"), 0, "few objects");
	for (; made < 40 && fd >= 0; made += fd >= 0) {
		snprintf(name, sizeof(name), "object-%u", made);
		fd = open(name, O_WRONLY | O_CREAT, 0600);
		if (fd >= 0)
			close(fd);
	}
	ok(fd < 0 && errno == EDQUOT && made > 20, "quota_is_told: creating gives EDQUOT, after %u", made);
	is_int(result(mkdir("more", 0700)), -EDQUOT, "a folder too");
	is_int(result(symlink("kept", "more")), -EDQUOT, "and a symbolic link");
	is_int(result(link("kept", "more")), 0, "a link is no object");
	is_int(result(rename("more", "object-0")), 0, "what is replaced goes");
	is_int(write_file("kept", 0, 2 * MIB, NULL), 0, "writing goes on");
	for (unsigned i = 0; i < made; i++) {
		snprintf(name, sizeof(name), "object-%u", i);
		unlink(name);
	}
	ok(wait_for(works, NULL), "it goes on when there is room");
}

int main(int argc, char **argv)
{
	bool in_place = argc > 1 && strcmp(argv[1], "write") == 0;

	setenv("DIOS_TEST_PASSTHROUGH", argc > 1 ? argv[1] : "off", 1);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 11 + (i >> 9));
	if (!mount_start())
		return mount_result();
	setenv("DIOS_MOUNT", mount_point, 1);
	settings();
	one_file(in_place);
	many_files(in_place);
	deleted();
	lowered();
	objects();
	ok(chdir("/") == 0 && mount_down() && mount_up() && chdir(mount_point) == 0, "it ends and starts");
	says("the quota is kept", "of 30");
	ok(file_is("kept", 2 * MIB), "what was synced is whole");
	ok(mount_fsck_clean(), "fsck finds nothing");
	return done_testing();
}
