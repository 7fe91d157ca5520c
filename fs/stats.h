/* How many requests of each kind came, and how long they took. */
#ifndef DIOS_FS_STATS_H
#define DIOS_FS_STATS_H

#include <stdint.h>

void stats_request(uint32_t opcode, int64_t duration_ns);   /* a request that waits counts until it was parked */

#endif
