/* Whether a FUSE_INTERRUPT means that the program got a signal. */
#ifndef DIOS_FS_INTERRUPT_H
#define DIOS_FS_INTERRUPT_H

#include "fs/session.h"

#define INTERRUPT_RECHECK_MS 100

/* The kernel interrupts a request also when it freezes the program, to bring it to a standstill, and says so once for each request. A paused
 * task must not see EINTR in a read that nobody has interrupted: its request goes on waiting, which is standstill enough. Whoever is told
 * false asks again every INTERRUPT_RECHECK_MS: a later signal is not announced any more. Any other program's interrupt counts. */
bool interrupt_counts(fuse_req_t req);

#endif
