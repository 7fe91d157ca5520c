/* Taking a mount away from the tree of names, whoever uses it. */
#ifndef DIOS_MOUNT_TOOLS_UNMOUNT_H
#define DIOS_MOUNT_TOOLS_UNMOUNT_H

int unmount_detached(const char *path);     /* 0 also if nothing is mounted there */

#endif
