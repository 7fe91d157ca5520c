/* Does this node hold what it should? The state against itself (cluster/state_check.h), then the heads and side files against
 * the state: every block's checksum is verified. For `dios fsck` of a data directory that no daemon has, and, beside a working daemon, for
 * .dios/fsck. It changes nothing. */
#ifndef DIOS_OBJECTS_CHECK_H
#define DIOS_OBJECTS_CHECK_H

#include "cluster/state.h"
#include "objects/finding.h"
#include "store/store.h"

struct check_options {
	void (*report)(void *arg, const struct finding *finding);
	/* Called now and then with bytes read of those to be read; false ends the check with -EINTR. NULL: never. */
	bool (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	/* Beside a working daemon: returns when it has taken away the heads of what it has freed so far. NULL: there is none. */
	void (*removed)(void *arg);
	void *arg;
};
struct check_result { uint64_t objects, heads, bytes /* read and verified */, problems /* that are still there */, repaired, notes; };

/* store NULL: the state is known to be damaged, as store_why() says, and lags behind the heads: what of it can't be read is listed.
 * -EINTR; -ENOMEM; another errno if the state itself can't be read. Problems are no error: ret_result->problems. Thread-safe: what is being
 * written meanwhile is looked at again, and passed over if it goes on changing. */
int objects_check(struct store *store, struct state *state, const struct check_options *options, struct check_result *ret_result);

/* The table that a message of the state's store names, "state/000012.sst", in file[] or else "state". */
const char *state_file_of(const char *why, char file[static 64]);

#endif
