/* In a build tree the programs lie in one folder; installed, daemons are in sbin, and their helpers in ../libexec/dios, wherever that was
 * copied to (DESTDIR). */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "mount-tools/beside.h"

static bool try_path(char *path, size_t size, const char *folder, int folder_length, const char *below, const char *name)
{
	int length = snprintf(path, size, "%.*s/%s%s", folder_length, folder, below, name);

	return length > 0 && (size_t)length < size && access(path, X_OK) == 0;
}

int program_beside(const char *name, char *path, size_t size)
{
	char own[4096];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (n > 0) {
		own[n] = '\0';
		char *slash = strrchr(own, '/');
		if (slash && (try_path(path, size, own, (int)(slash - own), "", name) || try_path(path, size, own, (int)(slash - own), "../libexec/dios/", name)))
			return 0;
	}
	int length = snprintf(path, size, "%s/%s", DIOS_SBINDIR, name);
	return length > 0 && (size_t)length < size && access(path, X_OK) == 0 ? 0 : -ENOENT;
}
