/* What the holder tells the service manager that has started it (sd_notify(3)): one datagram of NAME=value lines to the socket that NOTIFY_SOCKET names. */
#ifndef DIOS_MOUNT_TOOLS_NOTIFY_H
#define DIOS_MOUNT_TOOLS_NOTIFY_H

#include "base/error.h"

/* Once, at the start: remembers the socket and takes the variable away, so that daemon and tasks do not speak in the holder's name. */
void notify_init(void);
/* "READY=1\nSTATUS=..."; nothing where no manager asked for it, or it is gone. */
void notify_send(const char *format, ...) _printf_(1, 2);

#endif
