/* Descriptors that the holder keeps while daemons come and go: those of running tasks. A set of them has a key; over a SOCK_SEQPACKET socket of
 * its own the daemon has sets kept and dropped, and asks for all of them when it starts. What was sent is kept, though the sender dies
 * the next moment: the holder reads all of it before it starts another daemon. */
#ifndef DIOS_MOUNT_TOOLS_KEEP_H
#define DIOS_MOUNT_TOOLS_KEEP_H

#include <stddef.h>
#include <stdint.h>

#define KEEP_FDS_MAX 4u
#define KEEP_SETS_MAX 8192u

/* The daemon's end. */
int keep_send(int fd, uint64_t key, const int *fds, size_t count);      /* instead of an earlier set of that key; count 0: it is dropped */
/* Calls back for each set; the descriptors are the callback's. */
int keep_recall(int fd, void (*each)(void *arg, uint64_t key, const int *fds, size_t count), void *arg);

/* The holder's. */
struct kept { uint64_t key; int fds[KEEP_FDS_MAX]; size_t count; };
struct keep { int fd; struct kept *sets; size_t count, capacity; };      /* fd: to the daemon of the moment; -1 */
int keep_receive(struct keep *k);       /* one packet; -EAGAIN: none now; -EPIPE: none any more */

#endif
