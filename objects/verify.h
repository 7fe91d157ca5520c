/* Are a head's bytes what the checksums in the state say? Beside writers, without a lock: for fsck and the scrubber. */
#ifndef DIOS_OBJECTS_VERIFY_H
#define DIOS_OBJECTS_VERIFY_H

#include "cluster/state.h"
#include "store/head.h"

#define VERIFY_MIB_BYTES ((uint64_t)CRC_BLOCKS * BLOCK_SIZE)

struct verified { unsigned bad_count; uint8_t bad[CRC_BLOCKS / 8]; /* bits of blocks */ uint64_t bytes; /* that were compared */ };

/* One MiB of a blob with a head. file NULL: it has none; bytes: VERIFY_MIB_BYTES of room. Nothing is bad where the object is gone, or went
 * on changing. Errors are the state's or the file's: then *ret_read is true. */
int verify_mib(struct state *state, uint64_t ino, uint64_t mib, struct disk_file *file, uint8_t *bytes, struct verified *ret, bool *ret_read);

#endif
