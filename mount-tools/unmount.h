/* Which mount is ours, and taking it away from the tree of names, whoever uses it. What is seen at its path may be another one meanwhile. */
#ifndef DIOS_MOUNT_TOOLS_UNMOUNT_H
#define DIOS_MOUNT_TOOLS_UNMOUNT_H

#include <stdbool.h>
#include <stdint.h>

struct mount_identity {
	uint64_t number;            /* 0: none */
	uint32_t major, minor;      /* of its file system; given to another once that has gone */
	bool unique;                /* the number is never given again: kernels from 6.8 */
};

/* Of the mount that is seen at a path. Nothing is asked of a daemon: that may be us. */
struct mount_identity mount_identify(const char *path);
bool device_is_connected(int device_fd);    /* the mount whose requests come from this descriptor of /dev/fuse is alive */
/* What is seen at the path is that mount. connected: its device was, just now. */
bool mount_is(const char *path, const struct mount_identity *identity, bool connected);
/* As words, for another process. */
#define MOUNT_IDENTITY_TEXT 64
void mount_identity_print(const struct mount_identity *identity, char text[MOUNT_IDENTITY_TEXT]);
bool mount_identity_parse(const char *text, struct mount_identity *ret);

int unmount_detached(const char *path);     /* 0 also if nothing is mounted there */

#endif
