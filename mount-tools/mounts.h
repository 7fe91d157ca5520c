/* Which mount the command speaks to: the mounts of type fuse.dios in this process' mount namespace. */
#ifndef DIOS_MOUNT_TOOLS_MOUNTS_H
#define DIOS_MOUNT_TOOLS_MOUNTS_H

#include <stddef.h>
#include <stdio.h>
#include "base/error.h"

#define MOUNT_TYPE "fuse.dios"
#define MOUNT_DEFAULT "/dios"

struct mounts { char **paths; size_t count; };   /* owned; a path that is mounted over twice is there once */

int mounts_read(struct mounts *ret_mounts);                       /* of /proc/self/mountinfo */
int mounts_parse(FILE *mountinfo, struct mounts *ret_mounts);     /* text as of proc_pid_mountinfo(5) */
void mounts_done(struct mounts *m);
/* The mount that an absolute path without symbolic links lies in: the longest match. Borrowed from m; NULL: none. */
const char *mounts_find(const struct mounts *m, const char *path);

#endif
