/* Nodes that the kernel is still to forget, in the holder's shared memory: written there before the change that made its copy old can be over,
 * taken out when the kernel has been told. A daemon that starts under a living mount tells the kernel what its predecessor did not. Internal to fs/. */
#ifndef DIOS_FS_FORGET_H
#define DIOS_FS_FORGET_H

#include "fs/region.h"

#define FORGET_NONE UINT32_MAX

/* One caller at a time. *hand: where a free place is looked for first; the caller's, 0 at first. Returns the place; FORGET_NONE: there is no room. */
uint32_t forget_put(struct region *region, uint32_t *hand, uint64_t node, bool pages);
void forget_done(struct region *region, uint32_t *hand, uint32_t place);          /* FORGET_NONE: does nothing */
bool forget_get(const struct region *region, uint32_t place, uint64_t *ret_node, bool *ret_pages);

#endif
