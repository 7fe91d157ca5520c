/* The process that tells the kernel to forget pages and names.
 *
 * Such a write to the device waits, and no signal ends it, while a page is locked by a READ or WRITE, or a directory by a LOOKUP or CREATE, that waits
 * for the daemon (rule P5). A thread that sits there would keep a killed daemon from being gone: its locks and descriptors would stay, the next
 * daemon could not begin, and so would never answer what is waited for. So another process makes these writes. It has the device and a
 * socket and nothing else of the daemon's; it dies with the daemon, or as soon as the next one has answered. */
#ifndef DIOS_FS_NOTIFY_PROCESS_H
#define DIOS_FS_NOTIFY_PROCESS_H

#include <sys/types.h>
#include <sys/uio.h>

/* Forks it: to be called before there are threads and before anything is open that must not outlive the daemon. Returns its socket, -errno. */
int notify_process_start(int device_fd);
/* One write to the device: what writev(2) returns there, with errno. One thread at a time. */
ssize_t notify_process_write(int fd, const struct iovec *iov, int count);

#endif
