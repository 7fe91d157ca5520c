/* In a build tree the programs lie in one folder; installed, daemons are in sbin. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "mount-tools/beside.h"

int program_beside(const char *name, char *path, size_t size)
{
	char own[4096];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (n > 0) {
		own[n] = '\0';
		char *slash = strrchr(own, '/');
		int length = slash ? snprintf(path, size, "%.*s/%s", (int)(slash - own), own, name) : -1;
		if (length > 0 && (size_t)length < size && access(path, X_OK) == 0)
			return 0;
	}
	int length = snprintf(path, size, "%s/%s", DIOS_SBINDIR, name);
	return length > 0 && (size_t)length < size && access(path, X_OK) == 0 ? 0 : -ENOENT;
}
