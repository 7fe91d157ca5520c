/* Does this node hold what it should? The state against itself (cluster/state_check.h), then the heads and side files against
 * the state: every block's checksum is verified. For `dios fsck` of a data directory that no daemon has, and, beside a working daemon, for
 * .dios/fsck. It changes nothing. */
#ifndef DIOS_OBJECTS_CHECK_H
#define DIOS_OBJECTS_CHECK_H

#include "cluster/state.h"
#include "store/store.h"

struct check_options {
	/* One line for people, without a newline. problem: false for what is no damage and goes away by itself. */
	void (*report)(void *arg, bool problem, const char *line);
	/* Called now and then with bytes read of those to be read; false ends the check with -EINTR. NULL: never. */
	bool (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};
struct check_result { uint64_t objects, heads, bytes /* read and verified */, problems, notes; };

/* -EINTR; -ENOMEM; another errno if the state itself can't be read. Problems are no error: ret_result->problems. Thread-safe: what is being
 * written meanwhile is looked at again, and passed over if it goes on changing. */
int objects_check(struct store *store, struct state *state, const struct check_options *options, struct check_result *ret_result);

#endif
