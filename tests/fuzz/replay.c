/* Gives a fuzz target each file of a folder, one TAP line each; a crash names its file in the line that is missing.
 * The bytes are in a block of exactly their size, so that a sanitizer sees any step beyond. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "tests/fuzz/fuzz.h"
#include "tests/tap.h"

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int replay(int folder, const char *name)
{
	_cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	size_t size = (size_t)st.st_size;
	_cleanup_free_ uint8_t *data = malloc(size ? size : 1);
	if (!data)
		return -ENOMEM;
	if (read(fd, data, size) != st.st_size)
		return -EIO;
	return LLVMFuzzerTestOneInput(data, size);
}

int main(int argc, char **argv)
{
	struct dirent **entries;
	int count, folder;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	count = scandir(argv[1], &entries, visible, alphasort);
	if (folder < 0 || count <= 0) {
		fprintf(stderr, "%s: no corpus\n", argv[1]);
		return 2;
	}
	for (int i = 0; i < count; i++) {
		printf("# %s\n", entries[i]->d_name);
		fflush(stdout);
		is_int(replay(folder, entries[i]->d_name), 0, "%s is survived", entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	close(folder);
	return done_testing();
}
