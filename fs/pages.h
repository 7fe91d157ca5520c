/* Of which nodes the kernel has no pages in its cache. Internal to fs/. */
#ifndef DIOS_FS_PAGES_H
#define DIOS_FS_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PAGES_PLACES 1024u

/* A node that is in its place has no pages; of all others nothing is known. */
struct pages { _Atomic uint64_t none[PAGES_PLACES]; };

/* Before a READ is answered from the object, and before a WRITE is carried out: its pages are locked by now, and will be filled. */
void pages_come(struct pages *p, uint64_t node);
/* Before the kernel is told to drop all pages of the node, which waits for those that are locked. */
void pages_go(struct pages *p, uint64_t node);
/* After the content has changed. True: no page holds what was there before. */
bool pages_are_none(const struct pages *p, uint64_t node);

#endif
