/* Shared by the files of the real disk only. */
#ifndef DIOS_STORE_DISK_POSIX_H
#define DIOS_STORE_DISK_POSIX_H

#include <sys/types.h>

#include "base/error.h"

/* Makes file descriptor `to` hold what `from` holds. 0 or a negative errno. */
int disk_posix_copy(int from, int to);

#endif
