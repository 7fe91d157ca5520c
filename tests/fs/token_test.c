/* Tokens through a mount: what each right and caveat gives, and refuses, to a user who is not root. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libdios/dios-ioctl.h"
#include "libdios/dios.h"
#include "libdios/dios-util.h"
#include "tests/fs/mount.h"
#include "tests/tap.h"

#define NOBODY 65534

struct use { char path[1100]; int flags, error; const char *text; };

static char token[DIOS_TOKEN_SIZE];

static bool mint(const char *path, const struct dios_copy_options *options)
{
	dios_ref ref;
	int r = dios_open(0, path, DIOS_READ, &ref);

	if (r == 0) {
		r = dios_copy(DIOS_TOKEN, ref, options, NULL, token);
		dios_close(ref);
	}
	if (r < 0)
		printf("# minting: %s\n", strerror(-r));
	return r == 0;
}

/* error 0: it opens, and reads or writes text; else opening fails with it. */
static bool use_now(void *arg)
{
	const struct use *u = arg;
	char found[256];
	int fd = open(u->path, u->flags, 0644);
	bool good;

	if (u->error != 0)
		return fd < 0 && errno == u->error;
	if (fd < 0)
		return false;
	if ((u->flags & O_ACCMODE) == O_RDONLY)
		good = read(fd, found, sizeof(found)) == (ssize_t)strlen(u->text) && memcmp(found, u->text, strlen(u->text)) == 0;
	else
		good = write(fd, u->text, strlen(u->text)) == (ssize_t)strlen(u->text);
	return close(fd) == 0 && good;
}

static bool nobody(int flags, int error, const char *text)
{
	struct use u = { .flags = flags, .error = error, .text = text };

	snprintf(u.path, sizeof(u.path), ".dios/cap/%s", token);
	return as_user(NOBODY, use_now, &u);
}

static void rights(void)
{
	put("secret", "line one\n");
	chmod("secret", 0600);
	ok(mint("secret", &(struct dios_copy_options){ .rights = DIOS_READ }), "a token to read is minted");
	ok(nobody(O_RDONLY, 0, "line one\n"), "anybody reads with it");
	ok(nobody(O_WRONLY, EACCES, NULL) && nobody(O_WRONLY | O_APPEND, EACCES, NULL) && nobody(O_RDWR, EACCES, NULL) &&
		nobody(O_WRONLY | O_TRUNC, EACCES, NULL), "nobody writes");
	ok(mint("secret", &(struct dios_copy_options){ .rights = DIOS_WRITE }), "a token to write");
	ok(nobody(O_RDONLY, EACCES, NULL), "does not read");
	ok(nobody(O_WRONLY | O_APPEND, 0, "two\n") && holds("secret", "line one\ntwo\n"), "writes, and the file's own readers see it");
	ok(mint("secret", &(struct dios_copy_options){ .rights = DIOS_APPEND }), "a token to append");
	ok(nobody(O_WRONLY, EACCES, NULL) && nobody(O_WRONLY | O_TRUNC, EACCES, NULL), "does not overwrite");
	ok(nobody(O_WRONLY | O_APPEND | O_TRUNC, EACCES, NULL) && holds("secret", "line one\ntwo\n"), "nor cuts away what is there");
	ok(nobody(O_WRONLY | O_APPEND, 0, "three\n") && holds("secret", "line one\ntwo\nthree\n"), "and appends");
}

/* ---- each right alone: what it gives, and that it gives nothing else ---- */

static uint32_t attempted;

static bool attempt(void *arg)
{
	const char *path = arg;
	struct dios_run_options run = { .arguments = (const char *const[]){ "program", NULL } };
	char minted[DIOS_TOKEN_SIZE];
	size_t count = 1;
	dios_ref ref, made;
	int r = dios_lookup(0, strrchr(path, '/') + 1, attempted == DIOS_EXECUTE ? DIOS_READ | DIOS_EXECUTE : attempted, &ref, &count);

	if (r < 0 || count == 0)
		return false;
	switch (attempted) {
	case DIOS_READ:
		return pread(ref, minted, 1, 0) == 1;
	case DIOS_WRITE:
		return pwrite(ref, "x", 1, 0) == 1;
	case DIOS_APPEND:
		return write(ref, "x", 1) == 1;
	case DIOS_EXECUTE:
		return dios_run(0, ref, &run, &made) == 0;
	case DIOS_DELETE:
		return dios_delete(0, ref) == 0;
	default:
		return dios_copy(DIOS_TOKEN, ref, NULL, NULL, minted) == 0;
	}
}

static void each_right(void)
{
	static const struct { uint32_t right; const char *name; } rights[] = { { DIOS_READ, "read" }, { DIOS_WRITE, "write" }, { DIOS_APPEND, "append" },
		{ DIOS_EXECUTE, "execute" }, { DIOS_DELEGATE, "delegate" }, { DIOS_DELETE, "delete" } };
	enum { COUNT = sizeof(rights) / sizeof(rights[0]), ALL = DIOS_READ | DIOS_WRITE | DIOS_APPEND | DIOS_EXECUTE | DIOS_DELETE | DIOS_DELEGATE };
	char path[1100];

	for (size_t i = 0; i < COUNT; i++) {
		put("program", "#!/bin/true\n");
		chmod("program", 0700);
		uint32_t without = rights[i].right | (rights[i].right == DIOS_APPEND ? DIOS_WRITE : 0);     /* who writes appends */
		mint("program", &(struct dios_copy_options){ .rights = ALL & ~without });
		snprintf(path, sizeof(path), ".dios/cap/%s", token);
		attempted = rights[i].right;
		ok(!as_user(NOBODY, attempt, path), "a token of every other right is refused to %s", rights[i].name);
		mint("program", &(struct dios_copy_options){ .rights = ALL });
		snprintf(path, sizeof(path), ".dios/cap/%s", token);
		ok(as_user(NOBODY, attempt, path), "one of all is not");
	}
}

static void modes(void)
{
	struct stat st, real;
	char path[1100];

	mint("secret", &(struct dios_copy_options){ .rights = DIOS_READ });
	snprintf(path, sizeof(path), ".dios/cap/%s", token);
	ok(stat(path, &st) == 0 && stat("secret", &real) == 0 && st.st_ino == real.st_ino, "a token's file has the object's number");
	is_int(st.st_mode, S_IFREG | 0444, "and the mode of its rights");
	is_int(st.st_size, real.st_size, "and the object's size");
	ok(chmod(path, 0777) < 0 && errno == EPERM && unlink(path) < 0 && errno == EPERM && link(path, "x") < 0 && errno == EPERM,
		"it is neither changed, removed nor linked");
	int fd = open(path, O_RDONLY);
	ok(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED, "nor mapped");
	close(fd);
	ok(symlink(path, "bookmark") == 0, "a symbolic link to it is a bookmark");
	DIR *d = opendir(".dios/cap");
	int n = 0;
	while (d && readdir(d))
		n++;
	closedir(d);
	is_int(n, 2, "tokens are not listed");
}

static void forged(void)
{
	char kept[DIOS_TOKEN_SIZE];
	size_t size = strlen(token);
	bool good = true;

	memcpy(kept, token, sizeof(kept));
	for (size_t i = 0; i < size; i++) {
		char path[1100];
		token[i] = kept[i] == 'A' ? 'B' : 'A';
		snprintf(path, sizeof(path), ".dios/cap/%s", token);
		if (open(path, O_RDONLY) >= 0 || (errno != EACCES && errno != EINVAL)) {
			printf("# character %zu: errno %d\n", i, errno);
			good = false;
		}
		token[i] = kept[i];
	}
	ok(good, "with any one character changed it is refused");
	ok(open(".dios/cap/nonsense", O_RDONLY) < 0 && errno == EINVAL, "what is no token is EINVAL");
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static bool expired(void *arg)
{
	(void)arg;
	return nobody(O_RDONLY, EACCES, NULL);
}

static bool held_expired(void *arg)
{
	char byte;

	return pread(*(int *)arg, &byte, 1, 0) < 0 && errno == EACCES;
}

static void caveats(void)
{
	put("secret", "0123456789");
	ok(mint("secret", &(struct dios_copy_options){ .rights = DIOS_READ, .expiry_ns = now() - 1 }) && nobody(O_RDONLY, EACCES, NULL),
		"an expired token is refused");
	mint("secret", &(struct dios_copy_options){ .rights = DIOS_READ, .expiry_ns = now() + 500000000 });
	char path[1100];
	snprintf(path, sizeof(path), ".dios/cap/%s", token);
	int fd = open(path, O_RDONLY);
	ok(fd >= 0 && nobody(O_RDONLY, 0, "0123456789"), "before, it opens");
	ok(wait_for(expired, NULL), "after, it does not");
	ok(wait_for(held_expired, &fd), "and what it opened ends with it");
	close(fd);
	mint("secret", &(struct dios_copy_options){ .rights = DIOS_READ, .offset = 2, .length = 3 });
	snprintf(path, sizeof(path), ".dios/cap/%s", token);
	fd = open(path, O_RDONLY);
	char text[16] = "";
	ok(pread(fd, text, 3, 2) == 3 && memcmp(text, "234", 3) == 0, "a range is read");
	ok(pread(fd, text, 10, 2) == 3, "and no more");
	ok(pread(fd, text, 1, 0) < 0 && errno == EACCES && pread(fd, text, 1, 5) < 0 && errno == EACCES, "what is outside is refused");
	close(fd);
	mint("secret", &(struct dios_copy_options){ .rights = DIOS_READ | DIOS_WRITE, .offset = 2, .length = 3 });
	ok(nobody(O_WRONLY | O_TRUNC, EACCES, NULL) && holds("secret", "0123456789"), "nor cut away");
	ok(mint("secret", &(struct dios_copy_options){ .rights = DIOS_READ, .once = 1 }) && nobody(O_RDONLY, 0, "0123456789") &&
		nobody(O_RDONLY, EACCES, NULL), "one that is good once opens once");
	ok(mint("secret", &(struct dios_copy_options){ .rights = DIOS_READ, .node = 4711 }) && nobody(O_RDONLY, EACCES, NULL),
		"one for another node is refused");
}

static void narrowed(void)
{
	char full[DIOS_TOKEN_SIZE];

	mint("secret", &(struct dios_copy_options){ .rights = DIOS_READ | DIOS_WRITE });
	memcpy(full, token, sizeof(full));
	ok(dios_narrow(full, &(struct dios_copy_options){ .rights = DIOS_READ }, token) == 0, "a token is narrowed");
	ok(nobody(O_RDONLY, 0, "0123456789") && nobody(O_WRONLY, EACCES, NULL), "and gives less");
	memcpy(token, full, sizeof(full));
	ok(nobody(O_WRONLY, 0, "X"), "the one that it came from gives what it did");
}

static void revoked(void)
{
	char first[DIOS_TOKEN_SIZE], path[1100];
	dios_ref ref;

	put("secret", "content");
	mint("secret", &(struct dios_copy_options){ .rights = DIOS_READ });
	memcpy(first, token, sizeof(first));
	mint("secret", &(struct dios_copy_options){ .rights = DIOS_READ });
	ok(nobody(O_RDONLY, 0, "content") && dios_revoke(token) == 0 && nobody(O_RDONLY, EACCES, NULL), "a revoked token is refused");
	memcpy(token, first, sizeof(first));
	ok(nobody(O_RDONLY, 0, "content"), "others of the object are not");
	/* An open without a look-up. */
	snprintf(path, sizeof(path), ".dios/cap/%s", token);
	int held = open(path, O_PATH);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
	int fd = open(path, O_RDONLY);
	ok(held >= 0 && fd >= 0, "what is found by a token is opened later");
	close(fd);
	ok(dios_open(0, "./secret", DIOS_READ, &ref) == 0 && dios_revoke_all(ref) == 0 && nobody(O_RDONLY, EACCES, NULL), "until all are revoked");
	dios_close(ref);
	ok(open(path, O_RDONLY) < 0 && errno == EACCES, "also where it was found before");
	close(held);
}

/* A write by a token goes past the kernel's pages of the file's own node. */
static void coherent(void)
{
	char path[1100], text[8] = "";

	put("shared", "aaaaaaa");
	mint("shared", &(struct dios_copy_options){ .rights = DIOS_READ | DIOS_WRITE });
	int own = open("shared", O_RDWR);
	char *m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, own, 0);
	snprintf(path, sizeof(path), ".dios/cap/%s", token);
	int by_token = open(path, O_RDWR);
	ok(m[0] == 'a' && pwrite(by_token, "bbb", 3, 0) == 3 && pread(own, text, 7, 0) == 7 && memcmp(text, "bbbaaaa", 7) == 0,
		"a write by a token is read by path at once");
	ok(memcmp(m, "bbbaaaa", 7) == 0, "and seen in a mapping");
	ok(pwrite(own, "ccc", 3, 4) == 3 && pread(by_token, text, 7, 0) == 7 && memcmp(text, "bbbaccc", 7) == 0, "and the other way round");
	ok(ftruncate(by_token, 2) == 0 && lseek(own, 0, SEEK_END) == 2, "a truncation too");
	close(own);
	close(by_token);
}

/* Past 255 characters, what file systems promise for a name, libdios opens a token by an ioctl. */
static void long_tokens(void)
{
	struct dios_copy_options narrow = { .rights = DIOS_READ, .offset = 0, .length = 1 << 20 };
	char longer[DIOS_TOKEN_SIZE], path[1100];
	size_t count = 1;
	dios_ref ref = -1;

	put("secret", "content");
	mint("secret", &(struct dios_copy_options){ .rights = DIOS_READ });
	while (strlen(token) <= 255 && dios_narrow(token, &narrow, longer) == 0)
		memcpy(token, longer, sizeof(token));
	char text[8];
	ok(strlen(token) > 255 && dios_lookup(0, token, DIOS_READ, &ref, &count) == 0 && count == 1 && read(ref, text, 7) == 7,
		"a token of more than 255 characters is opened by libdios");
	dios_close(ref);
	/* By way of a short name, which the caller may use and nobody else. */
	struct dios_ioctl_text t = { .version = DIOS_ABI_VERSION, .text_size = (uint32_t)strlen(token) };
	memcpy(t.text, token, strlen(token));
	int directory = open(".dios", O_RDONLY | O_DIRECTORY);
	ok(ioctl(directory, DIOS_IOC_TOKEN_OPEN, &t) == 0, "an ioctl gives a short name for it");
	close(directory);
	memcpy(token, t.alias, sizeof(t.alias));
	ok(nobody(O_RDONLY, EACCES, NULL), "that opens to no other user");
	snprintf(path, sizeof(path), ".dios/cap/%s", token);
	int fd = open(path, O_RDONLY);
	ok(fd >= 0 && read(fd, text, 7) == 7, "but to the one who asked");
	close(fd);
}

int main(void)
{
	if (!mount_start())
		return mount_result();
	setenv("DIOS_MOUNT", mount_point, 1);
	rights();
	each_right();
	modes();
	forged();
	caveats();
	narrowed();
	revoked();
	coherent();
	long_tokens();
	return done_testing();
}
