/* The system calls that several calls share: opening in the mount, ioctls, rights. */
#include "libdios/call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What the two public headers say twice must be the same number. */
_Static_assert(sizeof(struct dios_name) == DIOS_NAME_BYTES, "a name");
_Static_assert(DIOS_TOKEN_SIZE == DIOS_TOKEN_TEXT_MAX + 1, "a token's text and its NUL");
_Static_assert(sizeof(((struct dios_buffer *)0)->id) == DIOS_ID_SIZE, "an id");

const char *dios_mount(void)
{
	const char *mount = secure_getenv("DIOS_MOUNT");
	return mount && *mount ? mount : "/dios";
}

int call_ioctl(int fd, unsigned long number, void *argument)
{
	return ioctl(fd, number, argument) < 0 ? -errno : 0;
}

int call_open(const char *path, int open_flags, int *ret_fd)
{
	int fd = open(path, open_flags | O_CLOEXEC | O_NOCTTY | DIOS_OPEN_REFERENCE);
	if (fd < 0) return -errno;
	*ret_fd = fd;
	return 0;
}

int call_open_dios(const char *folder, const char *entry, int open_flags, int *ret_fd)
{
	char path[PATH_SIZE];
	int size = snprintf(path, sizeof(path), "%s/.dios%s%s%s%s", dios_mount(), folder ? "/" : "", folder ? folder : "", entry ? "/" : "", entry ? entry : "");

	if (size < 0 || (size_t)size >= sizeof(path)) return -ENAMETOOLONG;
	return call_open(path, open_flags, ret_fd);
}

int call_open_flags(uint32_t flags, uint32_t rights, int *ret_open_flags)
{
	uint32_t all = DIOS_READ | DIOS_WRITE | DIOS_APPEND | DIOS_EXECUTE | DIOS_DELETE | DIOS_DELEGATE;
	if (rights & ~all) return -EINVAL;
	bool read = !(rights & (DIOS_WRITE | DIOS_APPEND)) || (rights & DIOS_READ), write = rights & (DIOS_WRITE | DIOS_APPEND);
	int open_flags = read && write ? O_RDWR : write ? O_WRONLY : O_RDONLY;
	if ((rights & DIOS_APPEND) && !(rights & DIOS_WRITE)) open_flags |= O_APPEND;
	if (flags & DIOS_NOWAIT) open_flags |= O_NONBLOCK;
	*ret_open_flags = open_flags;
	return 0;
}

int call_check_rights(int fd, uint32_t rights)
{
	uint32_t unasked = rights & (DIOS_EXECUTE | DIOS_DELETE | DIOS_DELEGATE);
	if (!unasked) return 0;
	struct dios_ioctl_info info;
	int r = dios_info(fd, &info);
	if (r == 0 && (info.rights & unasked) != unasked) r = -EACCES;
	if (r < 0) close(fd);
	return r;
}

int call_reference_id(const dios_ref *ref, uint8_t id[DIOS_ID_SIZE])
{
	memset(id, 0, DIOS_ID_SIZE);
	if (!ref) return 0;
	struct dios_ioctl_info info;
	int r = dios_info(*ref, &info);
	if (r == 0) memcpy(id, info.id, DIOS_ID_SIZE);
	return r;
}
