/* Shared by shard.c (commands, sync, maintenance) and shard_recover.c (start). */
#ifndef DIOS_CLUSTER_SHARD_INTERNAL_H
#define DIOS_CLUSTER_SHARD_INTERNAL_H

#include <stdatomic.h>

#include "base/lock.h"
#include "cluster/raft.h"
#include "cluster/shard.h"

#define SHARD_ENTRY_MAX (LOG_ENTRY_MAX + 4096)   /* bytes of a buffer that an entry is read into */

struct shard {
	struct store *store;
	struct clock *clock;
	struct random_source *random;
	struct shard_options options;
	struct state *state;

	_Atomic bool stopped;            /* set under lock, once */

	/* Under lock (LOCK_SHARD): the core, and the one applier of the state. */
	struct lock lock;
	struct raft_group *group;        /* NULL: to be made again */
	int64_t now_ms;                  /* the core's time: never goes back */
	uint64_t last_index, term;       /* of the log's last entry, and of this leader */
	uint64_t commit_index;           /* what is committed; the state may be behind it */
	struct raft_group_members members;
	uint64_t members_index;          /* as applied */
	struct buffer entry;             /* one entry, read back from the log */
	bool maintaining;
	_Atomic bool flush_failed;        /* the last one; it is tried again */
};

/* What the proposer has in hand, so that it need not be read back. */
struct shard_proposal { uint64_t index; struct slice command; struct result *ret_result; };

int64_t shard_now_ms(struct shard *s);
/* Does what the core asks for, and what follows from that, until nothing does. The proposal's entry is in the log already; NULL: none.
 * A negative errno that is not the shard's end leaves a core to be made again, or entries to be applied. lock held. */
int shard_perform(struct shard *s, const struct raft_group_actions *actions, const struct shard_proposal *proposal);
/* Stops the shard for good, and says why, once. Returns -EIO. lock held. */
int shard_stop(struct shard *s, const char *what, int error);

/* Makes the core from log and state. On failure there is none. lock held. */
int shard_recover(struct shard *s);

#endif
