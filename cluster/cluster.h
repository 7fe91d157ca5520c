/* What the floors above see of agreement: one client that proposes commands to the shard of a slot, over rpc/ (loopback
 * on this node), with client id and sequence numbers for exactly-once, and reads of applied state. Thread-safe. */
#ifndef DIOS_CLUSTER_CLUSTER_H
#define DIOS_CLUSTER_CLUSTER_H

#include "cluster/shard.h"

struct cluster;

/* Opens shard 0 over the store and a client on it. The first start proposes REALM_INIT for realm 1 (root directory) and its token key. */
int cluster_open(struct store *store, struct clock *clock, struct random_source *random, struct cluster **ret_cluster);
void cluster_close(struct cluster *c);
/* Fills in client, seq, done_below and time_ns (if 0), encodes, sends, waits, decodes. Returns ret_result->error if the command was
 * refused. durable: on stable storage when it returns. A command that is given seq != 0 (and client) keeps them: it is a retry. */
int cluster_propose(struct cluster *c, struct command *command, bool durable, struct result *ret_result);
int cluster_sync(struct cluster *c);
int cluster_maintain(struct cluster *c);
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
