/* One shard on this node: a Raft group (cluster/raft.h), its log (store/log.h) and its state (cluster/state.h), joined.
 * One voter so far; the interface does not say so. Commands are proposed as encoded bytes.
 *
 * With one voter, shard_propose runs the core in the caller's thread: append, commit, apply, answer. It returns after the log write
 * (which survives the daemon) and, if durable, after a shared fdatasync. */
#ifndef DIOS_CLUSTER_SHARD_H
#define DIOS_CLUSTER_SHARD_H

#include "base/clock.h"
#include "base/random.h"
#include "cluster/state.h"
#include "store/store.h"

struct shard;
struct shard_options { uint32_t id; uint64_t flush_log_bytes; /* flush the state and compact when the log is longer: default 64 MiB */ };

/* Recovers: the flushed state, then the log. A new shard starts with this node as its only voter. */
int shard_open(struct store *store, struct clock *clock, struct random_source *random, const struct shard_options *options, struct shard **ret_shard);
void shard_close(struct shard *s);           /* syncs, flushes the state, compacts: the next start replays nothing */
/* -EAGAIN: certainly not done and never will be. -EIO: the shard has stopped. Otherwise 0 and *ret_result is what apply said. */
int shard_propose(struct shard *s, struct slice command, bool durable, struct result *ret_result);
int shard_sync(struct shard *s);             /* everything acknowledged before the call is on stable storage */
int shard_maintain(struct shard *s);         /* flush, snapshot, compaction when due; called by a maintenance thread or the simulation */
struct state *shard_state(struct shard *s);  /* borrowed; for reads */
struct shard_info { uint64_t term, commit_index, applied_index, first_index, log_bytes; bool leader; };
void shard_get_info(struct shard *s, struct shard_info *ret_info);

#endif
