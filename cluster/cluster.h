/* What the floors above see of agreement: one client that proposes commands to the shard of a slot, over rpc/ (loopback
 * on this node), with client id and sequence numbers for exactly-once, and reads of applied state. Thread-safe. */
#ifndef DIOS_CLUSTER_CLUSTER_H
#define DIOS_CLUSTER_CLUSTER_H

#include "cluster/redo.h"
#include "cluster/shard.h"
#include "rpc/rpc.h"

struct cluster;

/* Opens shard 0 over the store and a client on it. The first start proposes REALM_INIT for realm 1 (root directory) and its token key; its
 * `random` must be fit for keys outside the simulation. All three are borrowed. Errors: see shard_open. */
int cluster_open(struct store *store, struct clock *clock, struct random_source *random, struct cluster **ret_cluster);
void cluster_close(struct cluster *c);                         /* the next start replays nothing; NULL is fine */
/* Fills in client, seq, done_below and time_ns (if 0), encodes, sends, waits, decodes; tries again for up to 30 s where no answer comes, and
 * takes effect once. Returns ret_result->error if the command was refused. durable: on stable storage when it returns. A command that
 * is given seq != 0 (with client and done_below) keeps them: it is a retry. -EAGAIN, -ENOSPC (of the log), -EMSGSIZE, -ENOMEM: certainly not
 * done; -EIO: the outcome is unknown, or the shard has stopped. May be called with any lock below LOCK_SHARD held. */
int cluster_propose(struct cluster *c, struct command *command, bool durable, struct result *ret_result);
/* The next command that counts, of the request that this thread has entered, was applied for an earlier daemon: 1, *ret_result is what it said then (its
 * record may have changed since), and the command is not to be proposed. 0: it was not. -EIO: nobody knows any more. */
int cluster_redone(struct cluster *c, struct result *ret_result);
/* A request that an earlier daemon began: its results are kept until they are forgotten. Before anything is proposed. */
void cluster_redo_keep(struct cluster *c, const struct redo *redo);
/* The request has been answered, or has had no effect and begins anew. */
void cluster_redo_forget(struct cluster *c, struct redo *redo);
/* 0: the state tells the outcome of every command that ended with -EIO. Else not yet: -ENOMEM, -ENOSPC, -EMFILE; -EIO: not before the next start. */
int cluster_settle(struct cluster *c);
int cluster_sync(struct cluster *c);                            /* everything acknowledged before the call is on stable storage */
bool cluster_sync_due(struct cluster *c);                       /* a cluster_sync would have to wait for the disk */
bool cluster_stopped(struct cluster *c);                         /* see shard_stopped */
int cluster_maintain(struct cluster *c);                        /* see shard_maintain: every second or so */
/* Makes the client's loopback lose and repeat messages. For tests and the simulation: single-threaded. NULL: no more. */
int cluster_set_faults(struct cluster *c, const struct rpc_loopback_faults *faults);
struct state *cluster_state(struct cluster *c, uint64_t ino);   /* of the shard that owns the inode's slot; borrowed */
struct clock *cluster_clock(struct cluster *c);
struct random_source *cluster_random(struct cluster *c);
uint64_t cluster_node_id(const struct cluster *c);
/* The realm's token key, unsealed. key_id 0: the newest. -ENOKEY. */
struct token_key;
int cluster_token_key(struct cluster *c, uint32_t realm, uint32_t key_id, struct token_key *ret_key);
struct cluster_info { uint64_t node_id; uint8_t cluster_id[16]; struct shard_info shard; uint64_t objects, bytes; };
void cluster_get_info(struct cluster *c, struct cluster_info *ret_info);

#endif
