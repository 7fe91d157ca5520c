/* Attributes on a mount: times, modes, owners, suid, extended attributes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "tests/fs/mount.h"
#include "tests/tap.h"

static struct stat st_of(const char *path)
{
	struct stat st = { 0 };

	lstat(path, &st);
	return st;
}

static void times(void)
{
	struct timespec set[2] = { { 1234567890, 123456789 }, { 987654321, 987654321 } }, omit[2] = { { 0, UTIME_OMIT }, { 5, 7 } };

	put("t", "x");
	ok(utimensat(AT_FDCWD, "t", set, 0) == 0, "times are set");
	struct stat st = st_of("t");
	ok(st.st_atim.tv_sec == 1234567890 && st.st_atim.tv_nsec == 123456789, "to the nanosecond: atime");
	ok(st.st_mtim.tv_sec == 987654321 && st.st_mtim.tv_nsec == 987654321, "and mtime");
	ok(utimensat(AT_FDCWD, "t", omit, 0) == 0 && st_of("t").st_atim.tv_sec == 1234567890 && st_of("t").st_mtim.tv_sec == 5, "UTIME_OMIT leaves one");
	struct timespec old = { -5, 250000000 }, both[2] = { old, old };
	ok(utimensat(AT_FDCWD, "t", both, 0) == 0 && st_of("t").st_mtim.tv_sec == -5 && st_of("t").st_mtim.tv_nsec == 250000000, "before 1970 too");
	ok(utimensat(AT_FDCWD, "t", NULL, 0) == 0 && labs(st_of("t").st_mtim.tv_sec - time(NULL)) < 10, "now is now");
	ok(symlink("t", "l") == 0 && utimensat(AT_FDCWD, "l", set, AT_SYMLINK_NOFOLLOW) == 0 && st_of("l").st_mtim.tv_sec == 987654321, "of a link");
	utimensat(AT_FDCWD, "t", set, 0);
	ok(append("t", "y") && labs(st_of("t").st_mtim.tv_sec - time(NULL)) < 10, "writing moves mtime");
	utimensat(AT_FDCWD, ".", set, 0);
	ok(put("new", "") && labs(st_of(".").st_mtim.tv_sec - time(NULL)) < 10, "a new entry moves its directory's");
	int fd = open("t", O_WRONLY);
	ok(write(fd, "z", 1) == 1 && futimens(fd, set) == 0 && close(fd) == 0 && st_of("t").st_mtim.tv_sec == 987654321, "set after a write, it stays");
}

static bool committed(void *before)
{
	char version[32] = "";

	return getxattr("settled", "user.dios.version", version, sizeof(version) - 1) > 0 && strcmp(version, before) != 0;
}

/* Past the kernel's cache. */
static struct statx statx_of(const char *path)
{
	struct statx st = { 0 };

	statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st);
	return st;
}

/* Programs compare what stat says with what it said: tar, git, make. */
static void settled(void)
{
	char version[32] = "";

	put("settled", "written");
	if (getxattr("settled", "user.dios.version", version, sizeof(version) - 1) < 0)
		ok(false, "user.dios.version: %s", strerror(errno));
	struct statx before = statx_of("settled");
	ok(wait_for(committed, version), "what was written is committed by itself");
	struct statx after = statx_of("settled");
	ok(memcmp(&before.stx_mtime, &after.stx_mtime, sizeof(before.stx_mtime)) == 0 &&
		memcmp(&before.stx_ctime, &after.stx_ctime, sizeof(before.stx_ctime)) == 0 && before.stx_size == after.stx_size,
		"and its times and size stay as they were");
	ok(chmod("settled", 0600) == 0 && statx_of("settled").stx_ctime.tv_sec >= after.stx_ctime.tv_sec, "chmod moves ctime");
}

static void modes(void)
{
	put("m", "x");
	for (mode_t mode = 0; mode <= 07777; mode += 01111)
		if (chmod("m", mode) < 0 || (st_of("m").st_mode & 07777) != mode)
			ok(false, "mode %o", mode);
	ok(chmod("m", 0640) == 0 && (st_of("m").st_mode & 07777) == 0640, "modes are kept");
	ok(chown("m", 12345, 54321) == 0 && st_of("m").st_uid == 12345 && st_of("m").st_gid == 54321, "owners are kept");
	ok(chown("m", (uid_t)-1, 7) == 0 && st_of("m").st_uid == 12345 && st_of("m").st_gid == 7, "one at a time");
	umask(027);
	ok(put("masked", "x") && (st_of("masked").st_mode & 0777) == 0640, "the umask counts");
	umask(022);
}

static bool write_as_other(void *path) { return append(path, "y"); }
static bool cut_as_other(void *path) { return truncate(path, 1) == 0; }
static bool open_cut_as_other(void *path)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	return fd >= 0 && close(fd) == 0;
}

static mode_t suid_after(bool (*body)(void *), const char *path)
{
	put(path, "xyz");
	chmod(path, 06777);
	as_user(65534, body, (void *)(uintptr_t)path);
	return st_of(path).st_mode & 07777;
}

static void set_user_id(void)
{
	is_int(suid_after(write_as_other, "s1"), 0777, "P9_write_clears_suid_and_sgid");
	is_int(suid_after(cut_as_other, "s2"), 0777, "P9_truncate_clears_suid_and_sgid");
	is_int(suid_after(open_cut_as_other, "s3"), 0777, "P9_o_trunc_clears_suid_and_sgid");
	put("s4", "x");
	chmod("s4", 06777);
	ok(append("s4", "y") && (st_of("s4").st_mode & 07777) == 06777, "root's writes leave them");
	ok(chown("s4", 1, 1) == 0 && (st_of("s4").st_mode & 07777) == 0777, "P9_chown_clears_suid_and_sgid");
	put("s5", "x");
	chmod("s5", 02767);
	as_user(65534, write_as_other, (void *)(uintptr_t)"s5");
	is_int(st_of("s5").st_mode & 07777, 02767, "sgid without group execution is not that sgid");
	const char capability[] = { 1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	put("s6", "x");
	chmod("s6", 0777);
	ok(setxattr("s6", "security.capability", capability, sizeof(capability), 0) == 0, "a file has capabilities");
	as_user(65534, write_as_other, (void *)(uintptr_t)"s6");
	char value[64];
	ok(getxattr("s6", "security.capability", value, sizeof(value)) < 0 && errno == ENODATA, "P9_write_clears_capabilities");
}

static void extended(void)
{
	char value[256] = "", big[65536], list[256];

	put("x", "content");
	ok(setxattr("x", "user.colour", "blue", 4, 0) == 0 && getxattr("x", "user.colour", value, sizeof(value)) == 4 && memcmp(value, "blue", 4) == 0,
		"an attribute is kept");
	ok(setxattr("x", "user.colour", "red", 3, XATTR_CREATE) < 0 && errno == EEXIST, "XATTR_CREATE refuses what is there");
	ok(setxattr("x", "user.shape", "round", 5, XATTR_REPLACE) < 0 && errno == ENODATA, "XATTR_REPLACE what is not");
	ok(setxattr("x", "user.colour", "red", 3, XATTR_REPLACE) == 0 && getxattr("x", "user.colour", NULL, 0) == 3, "it is replaced; size 0 asks for the size");
	ok(getxattr("x", "user.colour", value, 1) < 0 && errno == ERANGE, "too little room is ERANGE");
	ok(setxattr("x", "user.empty", "", 0, 0) == 0 && getxattr("x", "user.empty", value, sizeof(value)) == 0, "an empty value is one");
	is_int(listxattr("x", list, sizeof(list)), 12 + 11, "both are listed, and nothing else");
	ok(removexattr("x", "user.colour") == 0 && getxattr("x", "user.colour", value, sizeof(value)) < 0 && errno == ENODATA, "one is removed");
	memset(big, 'b', sizeof(big));
	ok(setxattr("x", "user.big", big, sizeof(big), 0) == 0 && getxattr("x", "user.big", big, sizeof(big)) == sizeof(big), "64 KiB fit");
	ok(setxattr(".", "user.directory", "d", 1, 0) == 0 && getxattr(".", "user.directory", value, 1) == 1, "directories have them");
	ok(setxattr("x", "trusted.t", "t", 1, 0) == 0 && getxattr("x", "trusted.t", value, 1) == 1, "trusted ones, for root");
	ok(getxattr("x", "system.posix_acl_access", value, sizeof(value)) < 0 && errno == EOPNOTSUPP, "there are no ACLs");
	/* Version 2; owner, group and others each with no identifier. */
	static const unsigned char acl[] = { 2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 4, 0, 4, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255 };
	ok(setxattr("x", "system.posix_acl_access", acl, sizeof(acl), 0) < 0 && errno == EOPNOTSUPP, "nor can they be set");
}

static void virtual(void)
{
	char value[256] = "", other[256] = "";

	put("v", "content");
	ok(getxattr("v", "user.dios.name", value, sizeof(value)) == 43, "user.dios.name has 43 characters");
	ok(getxattr("v", "user.dios.type", value, sizeof(value)) == 4 && memcmp(value, "blob", 4) == 0, "user.dios.type");
	ok(getxattr(".", "user.dios.type", value, sizeof(value)) == 9 && memcmp(value, "directory", 9) == 0, "of a directory");
	ok(getxattr("v", "user.dios.version", value, sizeof(value)) > 0, "user.dios.version");
	ok(getxattr("v", "user.dios.replicas", value, sizeof(value)) > 0, "user.dios.replicas");
	ok(getxattr("v", "user.dios.proximity", value, sizeof(value)) > 0, "user.dios.proximity");
	ok(getxattr("v", "user.dios.none", value, sizeof(value)) < 0 && errno == ENODATA, "others are ENODATA");
	int fd = open("v", O_RDWR);
	fsync(fd);
	ssize_t n = getxattr("v", "user.dios.checksum", value, sizeof(value));
	ok(n > 0, "user.dios.checksum");
	put("w", "content");
	int twin = open("w", O_RDWR);
	fsync(twin);
	ok(getxattr("w", "user.dios.checksum", other, sizeof(other)) == n && memcmp(value, other, (size_t)n) == 0, "is the same for the same bytes");
	ok(pwrite(twin, "C", 1, 0) == 1 && fsync(twin) == 0 && getxattr("w", "user.dios.checksum", other, sizeof(other)) == n &&
		memcmp(value, other, (size_t)n) != 0, "and another for others");
	close(fd);
	close(twin);
	ok(setxattr("v", "user.dios.name", "x", 1, 0) < 0 && errno == EPERM, "they cannot be set");
	is_int(listxattr("v", value, sizeof(value)), 0, "and are not listed");
}

int main(void)
{
	if (!mount_start())
		return mount_result();
	times();
	settled();
	modes();
	set_user_id();
	extended();
	virtual();
	return done_testing();
}
