/* The scrubber: reads all of this node's data again and again at a bounded rate, so that damage is found before somebody needs the bytes.
 * A pass reads the state (records, small blobs, rows, streams), then the heads and side files of each object, in the order of names. Where it
 * is, when the last pass ended, and what was found damaged is kept in DIR/scrub. */
#ifndef DIOS_OBJECTS_SCRUB_H
#define DIOS_OBJECTS_SCRUB_H

#include "objects/objects.h"

struct scrub;

/* rate: bytes a second, 0: nothing is read, only the list of damage is kept. rest_ns: between the end of a pass and the next. */
int scrub_new(struct objects *os, uint64_t rate, int64_t rest_ns, struct scrub **ret_scrub);
void scrub_free(struct scrub *s);       /* keeps where it is */
/* Reads a little. Returns the nanoseconds until it wants to be called again. By one thread at a time. */
int64_t scrub_step(struct scrub *s);
/* One JSON object: rate, state ("off", "reading", "resting"), passes, done_bytes, total_bytes, last_full_ns (null: none yet),
 * damaged: inode, name, path, file, since_ns of each object. Thread-safe. */
int scrub_print(struct scrub *s, struct buffer *out);
/* Where it is, without what it has found. Thread-safe. */
struct scrub_progress { const char *state; uint64_t rate, passes, done_bytes, total_bytes; int64_t full_ns /* wall clock, end of the last pass; 0: none yet */; };
void scrub_get_progress(struct scrub *s, struct scrub_progress *ret);

#endif
