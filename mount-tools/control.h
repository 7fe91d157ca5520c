/* The words that holder and daemon exchange over their socket, one a line.
 *
 *   daemon: opened          the data directory is open: mount now
 *   holder: mounted         read the device
 *   daemon: ready           the kernel's first request has been answered
 *   daemon: quiet           asked to stop: the tasks are gone, unmount now (what the kernel still writes is served)
 *   holder: unmounted       stop
 *   daemon: error SENTENCE  it cannot start; it exits */
#ifndef DIOS_MOUNT_TOOLS_CONTROL_H
#define DIOS_MOUNT_TOOLS_CONTROL_H

#include <stddef.h>

#define CONTROL_LINE_MAX 1024

struct control { int fd; size_t size; char line[CONTROL_LINE_MAX]; };

void control_init(struct control *c, int fd);
void control_send(struct control *c, const char *word);          /* a peer that is gone is no error here: its end is seen elsewhere */
void control_send_error(struct control *c, const char *sentence);
/* The next whole line without its newline, into text. 0; -EAGAIN: none yet; -EPIPE: the other side is gone. Reads what is there, blocking
 * if the descriptor does. */
int control_receive(struct control *c, char *text, size_t size);

#endif
