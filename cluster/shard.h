/* One shard on this node: a Raft group (cluster/raft.h), its log (store/log.h) and its state (cluster/state.h), joined.
 * One voter so far; the interface does not say so. Commands are proposed as encoded bytes.
 *
 * With one voter, shard_propose runs the core in the caller's thread: append, commit, apply, answer. It returns after the log write
 * (which survives the daemon) and, if DURABLE_NOW, after a shared fdatasync. */
#ifndef DIOS_CLUSTER_SHARD_H
#define DIOS_CLUSTER_SHARD_H

#include "base/clock.h"
#include "base/random.h"
#include "cluster/state.h"
#include "store/store.h"

struct shard;
struct shard_options { uint32_t id; uint64_t flush_log_bytes; /* flush the state and compact when the log is longer: 0: 64 MiB */ };

/* Recovers: the flushed state, then the log. A new shard starts with this node as its only voter. The store, clock and random source are
 * borrowed. -EBADMSG: log and state do not fit together, or an entry can't be applied; -ENOTSUP; -EIO; -ENOMEM. */
int shard_open(struct store *store, struct clock *clock, struct random_source *random, const struct shard_options *options, struct shard **ret_shard);
void shard_close(struct shard *s);           /* syncs, flushes the state, compacts: the next start replays nothing. NULL is fine */
/* -EAGAIN, -ENOSPC, -ENOMEM, -EMFILE: certainly not done and never will be. -EMSGSIZE: empty, or more than COMMAND_MAX. -EIO: whether it took
 * effect shows once shard_settle has returned 0, or, if the shard has stopped, after the next start. Otherwise 0 and *ret_result is what apply said. The
 * command must be well formed: a malformed one stops the shard, because it is in the log. */
int shard_propose(struct shard *s, struct slice command, enum durability durability, struct result *ret_result);
/* 0: everything in the log is applied, so that the state tells the outcome of every command. Else it waits for memory, room or descriptors
 * (-ENOMEM, -ENOSPC, -EMFILE), or the shard has stopped (-EIO). */
int shard_settle(struct shard *s);
/* Everything acknowledged before the call is on stable storage. -EIO: it is not known to be, and the shard stops. */
int shard_sync(struct shard *s);
/* Flush, snapshot, compaction when due, and the log's next segment; called every second or so by a maintenance thread, or by the simulation.
 * An error (as -ENOSPC) leaves everything as it was: the next call tries again. */
int shard_maintain(struct shard *s);
bool shard_stopped(struct shard *s);          /* nothing is accepted any more: only another start, from disk, helps */
struct state *shard_state(struct shard *s);  /* borrowed; for reads */
struct shard_info { uint64_t term, commit_index, applied_index, first_index, log_bytes; bool leader; };
void shard_get_info(struct shard *s, struct shard_info *ret_info);

#endif
