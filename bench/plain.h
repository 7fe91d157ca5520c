/* What plain-fuse shows, for the works that use it. */
#ifndef DIOS_BENCH_PLAIN_H
#define DIOS_BENCH_PLAIN_H

#include <stdint.h>
#include <sys/ioctl.h>

#define PLAIN_SINK "sink"        /* takes writes and forgets them; answers ioctls */
#define PLAIN_STREAM "stream"    /* each write is one record; a read waits for one and takes it */

struct plain_question { uint8_t bytes[64]; };
#define PLAIN_IOC_ASK _IOWR('P', 1, struct plain_question)

#endif
