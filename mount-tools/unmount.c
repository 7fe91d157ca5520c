/* See unmount.h. A file of its own: <sys/mount.h> and cluster/record.h both define BLOCK_SIZE.
 *
 * Before 6.8 the kernel gives numbers of mounts and file systems again at once: one that is made where ours was can have both. But the number of a file
 * system that is connected to our device is ours alone; and what says ENOTCONN is served by nobody. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/error.h"
#include "mount-tools/unmount.h"

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000u
#endif

struct mount_identity mount_identify(const char *path)
{
	struct mount_identity identity = { 0 };
	struct statx stx;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_MNT_ID | STATX_MNT_ID_UNIQUE, &stx) < 0)
		return identity;
	identity.unique = stx.stx_mask & STATX_MNT_ID_UNIQUE;
	if (stx.stx_mask & (STATX_MNT_ID | STATX_MNT_ID_UNIQUE))
		identity.number = stx.stx_mnt_id;
	identity.major = stx.stx_dev_major;
	identity.minor = stx.stx_dev_minor;
	return identity;
}

bool device_is_connected(int device_fd)
{
	struct pollfd p = { .fd = device_fd, .events = 0 };

	return poll(&p, 1, 0) >= 0 && !(p.revents & (POLLERR | POLLNVAL));
}

bool mount_is(const char *path, const struct mount_identity *identity, bool connected)
{
	struct mount_identity seen = mount_identify(path);
	struct statvfs st;

	if (identity->number == 0 || seen.number != identity->number || seen.unique != identity->unique || seen.major != identity->major ||
	    seen.minor != identity->minor)
		return false;
	return identity->unique || connected || (statvfs(path, &st) < 0 && errno == ENOTCONN);
}

void mount_identity_print(const struct mount_identity *identity, char text[MOUNT_IDENTITY_TEXT])
{
	snprintf(text, MOUNT_IDENTITY_TEXT, "%" PRIu64 " %" PRIu32 " %" PRIu32 " %d", identity->number, identity->major, identity->minor, identity->unique);
}

bool mount_identity_parse(const char *text, struct mount_identity *ret)
{
	int unique;

	if (sscanf(text, "%" SCNu64 " %" SCNu32 " %" SCNu32 " %d", &ret->number, &ret->major, &ret->minor, &unique) != 4)
		return false;
	ret->unique = unique != 0;
	return true;
}

int unmount_detached(const char *path)
{
	return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT ? 0 : -errno;
}
