/* What the tests of store/ share: a folder that is removed afterwards, and both disks behind one loop. */
#ifndef DIOS_TESTS_STORE_TEST_H
#define DIOS_TESTS_STORE_TEST_H

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/random.h"
#include "store/disk.h"
#include "store/disk_sim.h"
#include "tests/tap.h"

static inline struct slice text_slice(const char *text)
{
	return (struct slice){ (const uint8_t *)text, strlen(text) };
}

/* A new folder; its path is kept until folder_remove. */
static inline void folder_make(char path[PATH_MAX])
{
	const char *base = getenv("TMPDIR");

	snprintf(path, PATH_MAX, "%s/dios-store-test.XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(path)) {
		perror(path);
		exit(1);
	}
}

static inline int folder_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st; (void)type; (void)ftw;
	return remove(path);
}

static inline void folder_remove(const char *path)
{
	nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline bool file_exists(struct disk *d, const char *path)
{
	struct disk_file *f;
	int r = disk_open(d, path, 0, &f);

	if (r == 0)
		disk_close(f);
	return r == 0;
}

/* Writes a whole small file, without syncing anything. */
static inline int file_put(struct disk *d, const char *path, const char *text)
{
	struct disk_file *f;
	int r = disk_open(d, path, O_RDWR | O_CREAT | O_TRUNC, &f);

	if (r < 0)
		return r;
	r = disk_pwrite(f, text, strlen(text), 0);
	disk_close(f);
	return r;
}

#endif
