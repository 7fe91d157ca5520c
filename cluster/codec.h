/* msgpack for records, commands and results: writing through msgpack-c's packer, reading through a strict cursor.
 *
 * The reader is our own because msgpack-c's unpacker gives no bound: a header of five bytes that claims four billion elements makes
 * it allocate for all of them, and nesting makes it recurse. Here nothing is allocated, a claimed length or count is compared
 * with the bytes that are left before it is used (an element takes at least one byte), and skipping does not recurse.
 *
 * Both sides are sticky: after the first error every later call does nothing, so that a caller checks once at the end. */
#ifndef DIOS_CLUSTER_CODEC_H
#define DIOS_CLUSTER_CODEC_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buffer.h"

/* Writing: errors are the buffer's. */
void pack_array(struct buffer *out, uint32_t count);
void pack_map(struct buffer *out, uint32_t count);
void pack_u64(struct buffer *out, uint64_t value);
void pack_i64(struct buffer *out, int64_t value);
void pack_bool(struct buffer *out, bool value);
void pack_bytes(struct buffer *out, const void *data, size_t size);   /* at most UINT32_MAX bytes */
uint8_t *pack_bytes_space(struct buffer *out, size_t size);           /* the same, for the caller to fill in; NULL: the buffer failed */

/* Reading: a cursor over borrowed bytes. */
struct unpacker { const uint8_t *next, *end; int error; };

void unpacker_init(struct unpacker *u, struct slice data);
static inline size_t unpacker_left(const struct unpacker *u) { return (size_t)(u->end - u->next); }
int unpacker_fail(struct unpacker *u, int error);                      /* remembers the first error; returns it */
uint32_t unpack_array(struct unpacker *u, uint32_t max);               /* number of elements, at most max */
uint32_t unpack_map(struct unpacker *u, uint32_t max);                 /* number of pairs */
uint64_t unpack_u64(struct unpacker *u, uint64_t max);
int64_t unpack_i64(struct unpacker *u);
bool unpack_bool(struct unpacker *u);
struct slice unpack_bytes(struct unpacker *u, size_t max);             /* borrows from the input */
void unpack_skip(struct unpacker *u);                                  /* one value of any type, whatever is nested in it */
int unpacker_finish(struct unpacker *u);                               /* 0; the first error; -EBADMSG if bytes are left */

#endif
