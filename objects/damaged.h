/* What of this node's data is known to be damaged: blocks found by a read or by the scrubber, listed until they are whole again or gone. */
#ifndef DIOS_OBJECTS_DAMAGED_H
#define DIOS_OBJECTS_DAMAGED_H

#include "objects/objects.h"

struct damaged_block { uint64_t ino /* 0: the state itself */, block; struct name name; int64_t since_ns /* wall clock */; char file[64]; /* below the data directory */ };

/* True if it was not known. An object's other blocks may be known already. Any lock below LOCK_LEAF may be held. */
bool damaged_add(struct objects *os, const struct damaged_block *block);
void damaged_forget(struct objects *os, uint64_t ino, uint64_t block);
bool damaged_known(struct objects *os, uint64_t ino);
/* A copy, the caller's, *ret_count of them; NULL: none, or no memory. */
struct damaged_block *damaged_list(struct objects *os, size_t *ret_count);

#endif
