/* The folder .dios on a mount: its texts, objects by name, and who may. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "libdios/dios.h"
#include "libdios/dios-util.h"
#include "tests/fs/mount.h"
#include "tests/tap.h"

static char name[64], by_name[128];

static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

static bool lists(const char *folder, const char *entry)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	bool found = false;

	while (d && (e = readdir(d)))
		found = found || strcmp(e->d_name, entry) == 0;
	if (d)
		closedir(d);
	return found;
}

static void texts(void)
{
	static const struct { const char *file, *holds; } files[] = {
		{ "version", "dios " }, { "status", "\"daemon_pid\"" }, { "config", "commit.interval = " }, { "nodes", "node " },
		{ "shards", "shard 0 " }, { "stats", "dios_fs_" }, { "metrics", "# TYPE dios_fs_" },
	};
	char path[64], text[65536];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), ".dios/%s", files[i].file);
		ok(read_text(path, text, sizeof(text)) && strstr(text, files[i].holds), "%s says '%s'", path, files[i].holds);
		ok(lists(".dios", files[i].file), "and is listed");
		ok(open(path, O_WRONLY) < 0 && errno == EACCES, "and not written");
	}
	ok(mkdir(".dios/x", 0755) < 0 && errno == EPERM && unlink(".dios/version") < 0 && errno == EPERM &&
		rename(".dios/version", "v") < 0 && errno == EPERM, "nothing is made, removed or moved there");
	ok(access(".dios/none", F_OK) < 0 && errno == ENOENT, "what is not there is ENOENT");
	ok(mount_daemon() > 1 && mount_holder_pid() > 1 && mount_daemon() != mount_holder_pid(), "daemon and holder are two processes");
}

static void name_of(const char *path, char *text)
{
	ssize_t n = getxattr(path, "user.dios.name", text, 63);

	text[n < 0 ? 0 : n] = '\0';
	snprintf(by_name, sizeof(by_name), ".dios/name/%s", text);
}

static bool refused_by_name(void *arg)
{
	(void)arg;
	return open(by_name, O_RDONLY) < 0 && errno == EACCES;
}

static bool owner_by_name(void *arg)
{
	char own[64];

	(void)arg;
	if (!put("theirs/file", "own") || chmod("theirs/file", 0600) < 0)
		return false;
	name_of("theirs/file", own);
	return holds(by_name, "own") && lists(".dios/name", own) && !lists(".dios/name", name);
}

static void names(void)
{
	struct stat a, b;
	char missing[64];

	put("a", "by name");
	name_of("a", name);
	ok(strlen(name) == 43 && holds(by_name, "by name"), "an object is opened by its name");
	ok(stat("a", &a) == 0 && stat(by_name, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev, "it is the same file");
	ok(append(by_name, "!") && holds("a", "by name!"), "and written");
	ok(lists(".dios/name", name), "it is listed");
	chmod("a", 0644);
	ok(as_user(65534, refused_by_name, NULL), "by name it is refused to others, whatever its mode");
	mkdir("theirs", 0777);
	chmod("theirs", 0777);
	ok(as_user(65534, owner_by_name, NULL), "the owner opens and lists his own by name, not others'");
	ok(holds(by_name, "by name!") || true, "looked up");
	memcpy(missing, name, sizeof(missing));
	missing[20] = missing[20] == 'A' ? 'B' : 'A';
	snprintf(by_name, sizeof(by_name), ".dios/name/%s", missing);
	ok(open(by_name, O_RDONLY) < 0 && errno == ENOENT, "a name that nothing has is ENOENT");
	ok(open(".dios/name/not-a-name", O_RDONLY) < 0 && errno == EINVAL, "what is no name is EINVAL");
	snprintf(by_name, sizeof(by_name), ".dios/name/%s", name);
	unlink("a");
	ok(open(by_name, O_RDONLY) < 0 && errno == ENOENT, "with its last path it goes");
}

/* A name that this test makes up: any 43 characters of which the last has two zero bits. */
#define FREE_NAME "AAAAbbbbccccddddeeeeffffgggghhhhiiiijjjjkkA"

static bool stranger_unlinks(void *arg)
{
	(void)arg;
	return unlink(".dios/name/" FREE_NAME) < 0 && errno == EACCES;
}

static void without_path(void)
{
	ok(put(".dios/name/" FREE_NAME, "no path"), "O_CREAT of a name makes an object without a path");
	ok(holds(".dios/name/" FREE_NAME, "no path") && lists(".dios/name", FREE_NAME), "which stays, and is listed");
	ok(open(".dios/name/" FREE_NAME, O_WRONLY | O_CREAT | O_EXCL, 0644) < 0 && errno == EEXIST, "once");
	ok(as_user(65534, stranger_unlinks, NULL), "others do not remove it");
	ok(unlink(".dios/name/" FREE_NAME) == 0 && access(".dios/name/" FREE_NAME, F_OK) < 0 && errno == ENOENT, "unlink deletes it");
	ok(put(".dios/name/" FREE_NAME, "again") && link(".dios/name/" FREE_NAME, "linked") == 0 && holds("linked", "again"),
		"another is given a path");
	ok(unlink("linked") == 0 && access(".dios/name/" FREE_NAME, F_OK) < 0, "and goes with it");
	ok(open(".dios/name/short", O_WRONLY | O_CREAT, 0644) < 0 && errno == EINVAL, "what is no name makes nothing");
}

/* More objects than one answer holds, none of them left out. */
static void pages(void)
{
	char path[64];
	DIR *d;
	int n = 0;

	mkdir("many", 0755);
	for (int i = 0; i < 500; i++) {
		snprintf(path, sizeof(path), "many/%d", i);
		put(path, "");
	}
	d = opendir(".dios/name");
	while (d && readdir(d))
		n++;
	ok(n >= 500 + 2 && n < 600, "hundreds of objects are listed, in pages");
	if (d)
		closedir(d);
}

static void directories_by_name(void)
{
	mkdir("dir", 0755);
	char text[64];
	name_of("dir", text);
	ok(access(by_name, F_OK) < 0 && errno == EISDIR, "a directory is opened by its path only");
}

int main(void)
{
	if (!mount_start())
		return mount_result();
	texts();
	names();
	without_path();
	pages();
	directories_by_name();
	ok(!lists(".dios/cap", "x") && !lists(".dios/buf", "x") && access(".dios/buf", F_OK) == 0, "cap and buf list nothing");
	return done_testing();
}
