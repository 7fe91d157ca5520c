/* The file stage/numbers: which sequence numbers may have been used. */
#ifndef DIOS_STORE_STAGE_NUMBERS_H
#define DIOS_STORE_STAGE_NUMBERS_H

#include "store/disk.h"

/* -ENOENT, -EBADMSG, -ENOTSUP. Numbers and boot as in stage_format.h. */
int stage_read_numbers(struct disk *disk, const char *folder, uint64_t *ret_reserved, uint64_t *ret_boot);
/* Durable when it returns; on failure the one before stays. */
int stage_write_numbers(struct disk *disk, const char *folder, uint64_t reserved, uint64_t boot);

#endif
