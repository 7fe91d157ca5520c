/* uthash, told that memory may run out: HASH_ADD then leaves the element out, and hash_added says so. Included instead of uthash.h. */
#ifndef DIOS_BASE_HASH_H
#define DIOS_BASE_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define hash_added(handle, element) ((element)->handle.tbl != NULL)

#endif
