/* Finding the other programs of dios. */
#ifndef DIOS_MOUNT_TOOLS_BESIDE_H
#define DIOS_MOUNT_TOOLS_BESIDE_H

#include <stddef.h>

/* The absolute path of `name` in the folder of the running program, in libexec/dios beside that, or where it is installed. -ENOENT. */
int program_beside(const char *name, char *path, size_t size);

#endif
