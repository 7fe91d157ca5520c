/* One client of agreement: numbers commands, sends them through rpc/, repeats what got no answer, so that each takes
 * effect once.
 *
 * A command carries the client's id and a number; the state remembers its result until the client says with done_below
 * that it has all results below a number. The numbers in use are a window: the lowest one without an answer, and what
 * follows. Ids and first numbers: see cluster/cluster.c. Thread-safe. */
#ifndef DIOS_CLUSTER_CLIENT_H
#define DIOS_CLUSTER_CLIENT_H

#include "cluster/command.h"
#include "rpc/rpc.h"

#define CLIENT_WINDOW 32768u                    /* numbers from the lowest outstanding one on; the state bounds results kept for a client */
#define CLIENT_TIMEOUT_NS (30 * NS_PER_SECOND)
#define CLIENT_TRIES_MAX 1000u                  /* of one command, where a transport answers at once and time does not pass */

struct client;

int client_new(struct clock *clock, uint64_t id, uint64_t first_seq, struct client **ret_client);   /* clock: borrowed */
void client_free(struct client *c);                                                                 /* NULL is fine */
/* Takes the peer over and closes the one before. Not while calls are under way. */
void client_set_peer(struct client *c, struct rpc_peer *peer);

/* Fills in client, seq and done_below, unless seq is given: then it is a retry of that command. 0: *ret_result is what apply said. -EAGAIN,
 * -ENOSPC, -EMSGSIZE, -ENOMEM: it was not proposed and never will be. -EIO: nobody knows, or the shard has stopped. */
int client_propose(struct client *c, struct command *command, bool durable, struct result *ret_result);
int client_sync(struct client *c);

/* Numbers in a request's redo. Kept: an earlier daemon's, whose result is still asked for; before anything is proposed. Forgotten: kept, or of a command
 * that counts: its result is asked for no more. */
void client_keep(struct client *c, uint64_t number);
void client_forget(struct client *c, uint64_t number);
bool client_is_earlier(const struct client *c, uint64_t number);

/* The body of a proposal. */
void propose_body_encode(enum durability durability, struct buffer *out);
int propose_body_decode(struct slice body, enum durability *ret_durability);   /* -EBADMSG */

#endif
