/* A file of its own: <sys/mount.h> and cluster/record.h both define BLOCK_SIZE. */
#include <sys/mount.h>

#include "base/error.h"
#include "mount-tools/unmount.h"

int unmount_detached(const char *path)
{
	return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT ? 0 : -errno;
}
