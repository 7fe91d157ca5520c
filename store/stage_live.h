/* Which segments of the staging log have records that are in no object yet: so that a start knows of one that is missing. */
#ifndef DIOS_STORE_STAGE_LIVE_H
#define DIOS_STORE_STAGE_LIVE_H

#include "store/disk.h"
#include "store/stage_format.h"

/* The newest list that is whole. -ENOENT: there is none, or it is not of the start that reserved numbers up to `start`. */
int stage_live_read(struct disk *disk, const char *folder, uint64_t start, struct stage_live *ret_live);
int stage_live_open(struct disk *disk, const char *folder, struct disk_file **ret_file);   /* to write it; made if it is missing */
/* Writes it beside the one before, which stands until this one is whole, and counts the generation. */
int stage_live_write(struct disk_file *file, struct stage_live *live);

#endif
