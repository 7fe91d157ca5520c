/* Directories read while they change. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fs/mount.h"
#include "tests/tap.h"

#define COUNT 3000

static void name_of(char *name, size_t size, int i) { snprintf(name, size, "d/entry-%05d-with-a-name-of-some-length", i); }

static int index_of(const char *entry)
{
	int i;

	return sscanf(entry, "entry-%d-", &i) == 1 ? i : -1;
}

/* Reads all; counts each entry in seen[]. Calls between(i) after each. False: a name twice, or not one of these. */
static bool read_all(DIR *d, unsigned char *seen, void (*between)(int n))
{
	struct dirent *e;
	int n = 0, dots = 0;
	bool good = true;

	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
			dots++;
			continue;
		}
		int i = index_of(e->d_name);
		if (i < 0 || i >= 2 * COUNT || seen[i]++)
			good = false;
		if (between)
			between(n);
		n++;
	}
	return good && dots == 2;
}

static void make(int from, int to)
{
	char name[100];

	for (int i = from; i < to; i++) {
		name_of(name, sizeof(name), i);
		put(name, "");
	}
}

static void complete(void)
{
	unsigned char seen[2 * COUNT] = { 0 };
	DIR *d = opendir("d");
	int n = 0;

	ok(read_all(d, seen, NULL), "a directory of %d is read, each name once, with . and ..", COUNT);
	for (int i = 0; i < COUNT; i++)
		n += seen[i];
	is_int(n, COUNT, "all are there");
	rewinddir(d);
	memset(seen, 0, sizeof(seen));
	ok(read_all(d, seen, NULL), "and again after rewinddir");
	closedir(d);
}

/* Removes the even ones before and behind, makes new ones, renames some. */
static void disturb(int n)
{
	char name[100], other[100];

	if (n % 10 != 0 || n >= COUNT / 2)
		return;
	name_of(name, sizeof(name), n * 2);
	unlink(name);
	name_of(name, sizeof(name), COUNT + n);
	put(name, "");
	name_of(name, sizeof(name), n * 2 + 2);
	name_of(other, sizeof(other), COUNT + COUNT / 2 + n / 10);
	rename(name, other);
}

static void stable(void)
{
	unsigned char seen[2 * COUNT] = { 0 };
	DIR *d = opendir("d");
	int missing = 0;

	ok(read_all(d, seen, disturb), "while entries come, go and change names, none is read twice");
	closedir(d);
	for (int i = 1; i < COUNT; i += 2)
		missing += seen[i] == 0;
	is_int(missing, 0, "and none that stayed is left out");
}

static void seeking(void)
{
	DIR *d = opendir("d");
	char name[256] = "";
	struct dirent *e;
	long place = 0;

	for (int i = 0; i < 1000 && (e = readdir(d)); i++)
		if (i == 500)
			place = telldir(d);
	seekdir(d, place);
	e = readdir(d);
	snprintf(name, sizeof(name), "%s", e ? e->d_name : "");
	make(0, 10);
	seekdir(d, place);
	e = readdir(d);
	ok(e && strcmp(e->d_name, name) == 0, "telldir's places stay the same when entries are made");
	closedir(d);
}

static void types(void)
{
	struct dirent *e;
	int good = 0;

	mkdir("kinds", 0755);
	put("kinds/file", "");
	mkdir("kinds/directory", 0755);
	symlink("x", "kinds/link");
	mkfifo("kinds/fifo", 0644);
	DIR *d = opendir("kinds");
	while ((e = readdir(d))) {
		struct stat st;
		fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW);
		good += e->d_name[0] != '.' && st.st_ino == e->d_ino && (mode_t)DTTOIF(e->d_type) == (st.st_mode & S_IFMT);
	}
	closedir(d);
	is_int(good, 4, "entries say their type and number");
}

static void removed(void)
{
	mkdir("gone", 0755);
	DIR *d = opendir("gone");
	rmdir("gone");
	errno = 0;
	int n = 0;
	while (readdir(d))
		n++;
	ok(n <= 2 && errno == 0, "a removed directory that is open is empty");
	closedir(d);
	ok(open("gone/x", O_WRONLY | O_CREAT, 0644) < 0 && errno == ENOENT, "and nothing is made in it");
}

static void hidden(void)
{
	DIR *d = opendir(".");
	struct dirent *e;
	bool found = false;

	while ((e = readdir(d)))
		found = found || strcmp(e->d_name, ".dios") == 0;
	closedir(d);
	ok(!found && access(".dios", F_OK) == 0, ".dios is there, and not listed");
	ok(mkdir(".dios", 0755) < 0 && errno == EEXIST, "its name is taken");
	ok(rmdir(".dios") < 0 && rename(".dios", "x") < 0 && put("y", "") && rename("y", ".dios") < 0, "it is neither removed, moved nor replaced");
	ok(mkdir("d/.dios", 0755) == 0 && rmdir("d/.dios") == 0, "below the root it is a name like others");
}

int main(void)
{
	if (!mount_start())
		return mount_result();
	mkdir("d", 0755);
	make(0, COUNT);
	complete();
	stable();
	seeking();
	types();
	removed();
	hidden();
	return done_testing();
}
