/* Does the applied state hold together? One pass over one iterator, so that what it says is of one moment, also while commands are applied.
 * It reads keys, not files: whether the heads have the bytes that the checksums say is objects/check.h. */
#ifndef DIOS_CLUSTER_STATE_CHECK_H
#define DIOS_CLUSTER_STATE_CHECK_H

#include "cluster/state.h"

struct state_piece { uint64_t ino, mib; };   /* a MiB of a blob with a head that is not all hole */

struct state_check {
	/* Called for each thing that is wrong; ino 0: of no object. The text has no newline, and no byte of a user's but escaped. */
	void (*report)(void *arg, uint64_t ino, const char *text);
	bool (*stop)(void *arg);          /* asked now and then: true ends the check with -EINTR; NULL: never */
	void *arg;
	struct state_piece *pieces;       /* out: ascending; the caller frees it */
	size_t piece_count;
	uint64_t piece_bytes;             /* out: of all pieces, holes left out */
	uint64_t objects, problems;       /* out */
};

/* -ENOMEM (about 130 bytes an object and 16 a piece), -EINTR, or the store's error; what is wrong is no error of this. */
int state_check(struct state *s, struct state_check *check);

#endif
