/* Private to store/: DIR/reserve, room that is taken while there is plenty and given back when the log has none (R8). */
#ifndef DIOS_STORE_RESERVE_H
#define DIOS_STORE_RESERVE_H

#include "store/store.h"

int reserve_make(struct disk *disk);
/* Opens the file, if there is one, takes its room, and offers it to the log. The log is open. */
int reserve_open(struct store *store);
void reserve_close(struct store *store);
/* Takes the room again if it was given back and can be had without going below store->reserve_bytes of free space. Whether
 * it is held: while it is not, nothing may grow. */
bool reserve_renew(struct store *store, const struct disk_space *space);

#endif
