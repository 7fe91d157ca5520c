/* Errors and ownership helpers.
 *
 * Every function that can fail returns 0 (or a count) or a negative errno. Error codes of foreign libraries
 * are turned into a negative errno in the file that calls the library. Outputs named ret_... are untouched on failure. */
#ifndef DIOS_BASE_ERROR_H
#define DIOS_BASE_ERROR_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Data that fails its checksum or cannot be decoded: the disk, the network or a program gave us garbage. */
#define DIOS_EBADDATA EBADMSG

static inline void cleanup_free_impl(void *p) { free(*(void **)p); }
static inline void cleanup_close_impl(int *fd) { if (*fd >= 0) close(*fd); }

#define _cleanup_free_ __attribute__((cleanup(cleanup_free_impl)))
#define _cleanup_close_ __attribute__((cleanup(cleanup_close_impl)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _must_check_ __attribute__((warn_unused_result))

/* Hands ownership of *p to the caller and leaves NULL behind, so that a cleanup attribute does nothing. */
#define TAKE_PTR(p) ({ __typeof__(p) _take = (p); (p) = NULL; _take; })
#define TAKE_FD(fd) ({ int _take = (fd); (fd) = -1; _take; })

#endif
