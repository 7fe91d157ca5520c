/* The tree on a mount: links, names, renames, removing what is open, special files, directories' bits. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/fs/mount.h"
#include "tests/tap.h"

static struct stat st_of(const char *path)
{
	struct stat st = { 0 };

	lstat(path, &st);
	return st;
}

static void hard_links(void)
{
	ok(put("one", "text") && link("one", "two") == 0, "a hard link is made");
	is_int(st_of("one").st_nlink, 2, "both names count");
	is_int(st_of("one").st_ino, st_of("two").st_ino, "both names are one file");
	ok(append("two", "+more") && holds("one", "text+more"), "what one name writes the other reads");
	ok(link("one", "two") < 0 && errno == EEXIST, "a link over an existing name is EEXIST");
	ok(unlink("one") == 0 && st_of("two").st_nlink == 1 && holds("two", "text+more"), "the other name keeps the file");
	ok(mkdir("directory", 0755) == 0 && link("directory", "three") < 0 && errno == EPERM, "directories have no hard links");
}

static void symbolic_links(void)
{
	char target[4096], path[4096], found[4096];

	memset(target, 't', sizeof(target));
	target[4095] = '\0';
	ok(symlink("two", "soft") == 0 && holds("soft", "text+more"), "a symbolic link is followed");
	is_int(st_of("soft").st_size, 3, "its size is its text's");
	ok(S_ISLNK(st_of("soft").st_mode), "lstat sees the link");
	ok(symlink("nowhere", "dangling") == 0 && open("dangling", O_RDONLY) < 0 && errno == ENOENT, "a dangling one is ENOENT");
	ok(symlink(target, "long") == 0 && readlink("long", found, sizeof(found)) == 4095 && memcmp(found, target, 4095) == 0,
		"4,095 bytes of text fit");
	snprintf(path, sizeof(path), "%s/two", mount_point);
	ok(symlink(path, "absolute") == 0 && holds("absolute", "text+more"), "an absolute one works");
}

static void renames(void)
{
	put("a", "A");
	put("b", "B");
	ok(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) < 0 && errno == EEXIST, "RENAME_NOREPLACE refuses an existing name");
	ok(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE) == 0 && holds("a", "B") && holds("b", "A"), "RENAME_EXCHANGE exchanges");
	ok(rename("a", "b") == 0 && holds("b", "B") && access("a", F_OK) < 0, "rename replaces");
	ok(renameat2(AT_FDCWD, "b", AT_FDCWD, "c", RENAME_NOREPLACE) == 0 && holds("c", "B"), "RENAME_NOREPLACE to a free name renames");
	ok(mkdir("d1", 0755) == 0 && mkdir("d1/d2", 0755) == 0 && rename("d1", "d1/d2/d3") < 0 && errno == EINVAL,
		"a directory does not go below itself");
	put("d1/file", "f");
	ok(mkdir("d4", 0755) == 0 && rename("d4", "d1") < 0 && (errno == ENOTEMPTY || errno == EEXIST), "a full directory is not replaced");
	ok(rename("d1", "d4") == 0 && holds("d4/file", "f"), "an empty one is");
	ok(rename("c", "d4") < 0 && errno == EISDIR, "a file does not replace a directory");
	ok(rename("d4", "c") < 0 && errno == ENOTDIR, "nor the other way round");
	ok(link("c", "c2") == 0 && rename("c", "c2") == 0 && access("c", F_OK) == 0, "renaming onto another name of the same file does nothing");
	ok(renameat2(AT_FDCWD, "c", AT_FDCWD, "d4/c", 0) == 0 && holds("d4/c", "B"), "renames go from directory to directory");
	ok(renameat2(AT_FDCWD, "c2", AT_FDCWD, "x", RENAME_WHITEOUT) < 0 && errno == EINVAL, "RENAME_WHITEOUT is refused");
}

/* R7, as a user sees it: a file that was renamed into place is whole. */
static void replaced_by_rename(void)
{
	ok(put("config", "old") && put("config.new", "new content") && rename("config.new", "config") == 0 && holds("config", "new content"),
		"R7_rename_waits_for_bytes");
}

static void unlink_while_open(void)
{
	char text[8] = "";

	put("open", "still");
	int fd = open("open", O_RDWR);
	ok(unlink("open") == 0 && access("open", F_OK) < 0, "an open file is unlinked");
	ok(pread(fd, text, 5, 0) == 5 && strcmp(text, "still") == 0, "it is read on");
	ok(pwrite(fd, "again", 5, 0) == 5 && pread(fd, text, 5, 0) == 5 && strcmp(text, "again") == 0, "and written");
	struct stat st;
	ok(fstat(fd, &st) == 0 && st.st_nlink == 0, "it has no link");
	ok(put("open", "other") && pread(fd, text, 5, 0) == 5 && strcmp(text, "again") == 0 && holds("open", "other"), "its name is free for another");
	close(fd);
}

static void replaced_while_open(void)
{
	char text[8] = "";

	put("target", "old");
	put("source", "new");
	int fd = open("target", O_RDONLY);
	ok(rename("source", "target") == 0 && pread(fd, text, 3, 0) == 3 && strcmp(text, "old") == 0 && holds("target", "new"),
		"a file that was renamed over is read on");
	close(fd);
}

static void directories(void)
{
	mkdir("full", 0755);
	put("full/file", "x");
	ok(rmdir("full") < 0 && errno == ENOTEMPTY, "a full directory is not removed");
	ok(unlink("full") < 0 && errno == EISDIR, "unlink does not remove directories");
	ok(rmdir("full/file") < 0 && errno == ENOTDIR, "rmdir does not remove files");
	is_int(st_of("full").st_nlink, 2, "an empty directory has two links");
	mkdir("full/sub", 0755);
	is_int(st_of("full").st_nlink, 3, "and one for each below it");
	ok(mkdir("full", 0755) < 0 && errno == EEXIST, "mkdir of what is there is EEXIST");
	ok(mkdir("none/sub", 0755) < 0 && errno == ENOENT, "mkdir below what is not there is ENOENT");
	ok(rmdir("full/sub") == 0 && unlink("full/file") == 0 && rmdir("full") == 0, "an emptied directory goes");
}

static void long_names(void)
{
	char name[258];

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	ok(put(name, "long") && holds(name, "long"), "a name has 255 bytes");
	ok(rename(name, "short") == 0 && rename("short", name) == 0, "and is renamed");
	name[255] = 'n';
	name[256] = '\0';
	ok(open(name, O_WRONLY | O_CREAT, 0644) < 0 && errno == ENAMETOOLONG, "256 are ENAMETOOLONG");
	ok(mkdir(name, 0755) < 0 && errno == ENAMETOOLONG, "for directories too");
	ok(put("\xff\xfe newline\n", "bytes") && holds("\xff\xfe newline\n", "bytes"), "a name is any bytes");
}

static bool socket_bound(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool good = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && S_ISSOCK(st_of("socket").st_mode);

	close(fd);
	return good;
}

static void special_files(void)
{
	char byte = 1;

	ok(mkfifo("fifo", 0644) == 0 && S_ISFIFO(st_of("fifo").st_mode), "a fifo is made");
	int in = open("fifo", O_RDWR | O_NONBLOCK);
	ok(write(in, "x", 1) == 1 && read(in, &byte, 1) == 1 && byte == 'x', "and carries bytes");
	close(in);
	ok(mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0 && st_of("null").st_rdev == makedev(1, 3), "a device keeps its number");
	int null = open("null", O_RDWR);
	ok(null >= 0 && write(null, "x", 1) == 1 && read(null, &byte, 1) == 0, "and is that device");
	close(null);
	ok(socket_bound(), "a socket is bound");
	ok(mknod("regular", S_IFREG | 0640, 0) == 0 && st_of("regular").st_size == 0, "mknod makes files");
}

static bool remove_sticky(void *arg) { return unlink(arg) < 0 && errno == EPERM; }
static bool remove_own(void *arg) { return put(arg, "mine") && unlink(arg) == 0; }

static void directory_bits(void)
{
	mkdir("sticky", 01777);
	chmod("sticky", 01777);
	put("sticky/roots", "x");
	ok(as_user(65534, remove_sticky, (void *)(uintptr_t)"sticky/roots"), "in a sticky directory others' files stay");
	ok(as_user(65534, remove_own, (void *)(uintptr_t)"sticky/own"), "one's own go");
	mkdir("setgid", 0777);
	ok(chown("setgid", 0, 4321) == 0 && chmod("setgid", 02777) == 0 && put("setgid/file", "x") && st_of("setgid/file").st_gid == 4321,
		"a setgid directory gives its group to files");
	ok(mkdir("setgid/sub", 0755) == 0 && (st_of("setgid/sub").st_mode & S_ISGID) && st_of("setgid/sub").st_gid == 4321,
		"and group and bit to directories");
}

static bool refused_private(void *arg)
{
	(void)arg;
	return open("private", O_RDONLY) < 0 && errno == EACCES && open("private2", O_WRONLY | O_CREAT, 0644) < 0 && errno == EACCES &&
		chmod("private", 0777) < 0 && errno == EPERM;
}

static void permissions(void)
{
	put("private", "secret");
	chmod("private", 0600);
	ok(as_user(65534, refused_private, NULL), "modes and owners are enforced");
}

int main(void)
{
	if (!mount_start())
		return mount_result();
	hard_links();
	symbolic_links();
	renames();
	replaced_by_rename();
	unlink_while_open();
	replaced_while_open();
	directories();
	long_names();
	special_files();
	directory_bits();
	permissions();
	return done_testing();
}
