/* What was written into a head past the committed size and is not committed yet: for each run of bytes the checksums of its parts of blocks,
 * as the bytes were handed over. At the commit they become the blob's checksums, without the bytes being read back; after a failed
 * sync they tell whether what the cache still gives is what was written (R6).
 *
 * Runs are sorted and disjoint: a byte is put once, what comes over it later goes elsewhere. No I/O; not thread-safe. */
#ifndef DIOS_OBJECTS_TAIL_H
#define DIOS_OBJECTS_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tail_run {
	uint64_t offset, size;
	uint32_t *crcs;             /* [i]: of the run's bytes in block offset / BLOCK_SIZE + i */
	size_t crc_capacity;
};

struct tail { struct tail_run *runs; size_t count, capacity; };

void tail_done(struct tail *t);
void tail_clear(struct tail *t);
/* [offset, offset + size) is in no run yet. -ENOMEM: nothing has changed. */
int tail_put(struct tail *t, uint64_t offset, const void *data, size_t size);
/* The first run that ends after offset; NULL: none. */
struct tail_run *tail_find(const struct tail *t, uint64_t offset);
/* The checksum of a whole block whose first `used` bytes are in one run and whose others are zeros. False: they are not. */
bool tail_block_crc(const struct tail *t, uint64_t block, size_t used, uint32_t *ret_crc);
/* The part of a run that lies in a block: offset and size in the blob, and its checksum. */
struct tail_part { uint64_t offset; size_t size; uint32_t *crc; };
struct tail_part tail_run_part(const struct tail_run *r, uint64_t block);

#endif
