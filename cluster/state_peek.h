/* What can be asked of a state that is not opened for use: before it is, and when it is damaged. */
#ifndef DIOS_CLUSTER_STATE_PEEK_H
#define DIOS_CLUSTER_STATE_PEEK_H

#include "cluster/state.h"
#include "store/store.h"

/* The entry that was applied last; 0, 0 in an empty one. */
int state_peek_position(struct kv *kv, uint64_t *ret_index, uint64_t *ret_term);
/* Is the state of this directory, and would shard_recover join it with the log (NULL: not asked)? Else -EBADMSG, and store_why() says why. The
 * store_judge of everybody who opens a store. */
int state_fits_log(struct kv *kv, struct log *log, const uint8_t cluster_key[32]);
/* Reads every key and value, so that every checksum is verified. position: where to begin, and where to go on; empty: from the first key to
 * the end, and empty again at the end. Ends after `bytes` of them. -EBADMSG: damage (store_why() names the file), of keys behind `position`. */
int state_verify(struct kv *kv, struct buffer *position, uint64_t bytes, uint64_t *ret_read);
/* The highest number of a staged write that any record has taken in. */
int state_peek_staged(struct kv *kv, uint64_t *ret_seq);

#endif
