/* mount(2) and umount(2), and what can be said before about data directory and mount point. */
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "mount-tools/holder.h"

#define TYPE "fuse.dios"
#define SOURCE "dios"

static int _printf_(4, 5) complain(char *error, size_t error_size, int r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(error, error_size, format, ap);
	va_end(ap);
	return r;
}

/* The last mount on that path is the one seen there. */
bool holder_is_mounted(const char *mount)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	struct mntent *m;
	bool found = false;

	if (!f)
		return false;
	while ((m = getmntent(f)))
		if (strcmp(m->mnt_dir, mount) == 0)
			found = strcmp(m->mnt_type, TYPE) == 0;
	endmntent(f);
	return found;
}

int holder_check(const char *data, const char *mount, char *error, size_t error_size)
{
	struct stat st;
	char path[PATH_MAX];

	if (stat(data, &st) < 0)
		return complain(error, error_size, -errno, "data directory '%s': %s; `dios init` makes one", data, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return complain(error, error_size, -ENOTDIR, "data directory '%s': %s", data, strerror(ENOTDIR));
	if (stat(mount, &st) < 0) {
		if (errno == ENOTCONN)
			return complain(error, error_size, -errno, "mount point '%s': a mount whose daemon is gone is still there (%s); remove it with "
				"`umount -l`", mount, strerror(errno));
		return complain(error, error_size, -errno, "mount point '%s': %s; expected an existing directory", mount, strerror(errno));
	}
	if (!S_ISDIR(st.st_mode))
		return complain(error, error_size, -ENOTDIR, "mount point '%s': %s", mount, strerror(ENOTDIR));
	if (!realpath(mount, path))
		return complain(error, error_size, -errno, "mount point '%s': %s", mount, strerror(errno));
	if (holder_is_mounted(path))
		return complain(error, error_size, -EBUSY, "mount point '%s' is busy: a dios is mounted there already", mount);
	return 0;
}

int holder_open_device(int *ret_fd, char *error, size_t error_size)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == EPERM || errno == EACCES))
		return complain(error, error_size, -errno, "/dev/fuse: %s; this container or user may not use it: give it the device", strerror(errno));
	if (fd < 0)
		return complain(error, error_size, -errno, "/dev/fuse: %s; this kernel has no FUSE, or not yet: try `modprobe fuse`", strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(10, 229)) {
		close(fd);
		return complain(error, error_size, -ENODEV, "/dev/fuse is not the kernel's: expected the character device 10, 229 (`mknod /dev/fuse c 10 229`)");
	}
	*ret_fd = fd;
	return 0;
}

int holder_mount(struct holder *h, char *error, size_t error_size)
{
	char options[256];

	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", h->device_fd);
	if (mount(SOURCE, h->mount, TYPE, h->options->flags, options) < 0) {
		int r = -errno;
		if (r == -EPERM)
			return complain(error, error_size, r, "mount on '%s': %s; mounting needs root, with CAP_SYS_ADMIN", h->mount, strerror(-r));
		if (r == -ENODEV)
			return complain(error, error_size, r, "mount on '%s': %s; this kernel has no FUSE: try `modprobe fuse`", h->mount, strerror(-r));
		return complain(error, error_size, r, "mount on '%s': %s", h->mount, strerror(-r));
	}
	h->mounted = true;
	h->identity = mount_identify(h->mount);
	return 0;
}

void holder_unmount(struct holder *h)
{
	if (!h->mounted)
		return;
	h->mounted = false;
	if (h->device_fd >= 0)
		h->connected = device_is_connected(h->device_fd);
	/* Somebody has unmounted it: what is seen there now belongs to others. */
	if (!mount_is(h->mount, &h->identity, h->connected))
		return;
	if (umount2(h->mount, UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT)
		return;
	log_notice("holder", "the mount is in use, and is detached: programs that have files open there get errors mount=%s", h->mount);
	/* Stores to mapped pages are written while the daemon still serves. */
	_cleanup_close_ int fd = open(h->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && syncfs(fd) < 0)
		log_warning("holder", "mapped pages could not be written back errno=%d", errno);
	int r = unmount_detached(h->mount);
	if (r < 0)
		log_error("holder", "cannot unmount mount=%s errno=%d", h->mount, -r);
}
