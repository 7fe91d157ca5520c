/* The client of agreement on this node: numbers commands, sends them to the shard through rpc/, repeats what got no answer.
 *
 * Client id and numbers: the id is the node's, and a start takes its first number from the index that the state has applied, times 2^24. Each
 * command takes an index of its own, so that a later start begins above every number that an earlier one used and the log still has. What is
 * outstanding is kept in a small table; results below its lowest number are forgotten by the state (done_below). */
#include "cluster/cluster.h"

#include <assert.h>
#include <string.h>

#include "base/counter.h"
#include "base/lock.h"
#include "base/log.h"
#include "caps/keys.h"
#include "rpc/rpc.h"

#define OUTSTANDING_MAX 256u                 /* commands under way: more than there are worker threads */
#define PROPOSE_TIMEOUT_NS (30 * NS_PER_SECOND)
#define SEQ_SHIFT 24
#define REALM_FIRST 1u
#define TRIES_MAX 1000u                      /* of one command within its deadline, when the transport answers at once */

HISTOGRAM(propose_time, "dios_propose_seconds", "Time from proposing a command to its result");

struct cluster {
	struct store *store;
	struct clock *clock;
	struct random_source *random;
	struct shard *shard;
	struct rpc_server *server;
	struct rpc_peer *peer;
	struct lock lock;                    /* guards the numbers */
	pthread_cond_t room;
	uint64_t next_seq;
	uint64_t outstanding[OUTSTANDING_MAX];   /* 0: free */
	unsigned outstanding_count;
};

/* ---- the serving side -------------------------------------------------------------------------------------------- */

static int serve_propose(void *arg, const struct rpc_request *request, struct rpc_reply *reply)
{
	struct cluster *c = arg;
	if (request->body.size != 1 || request->body.data[0] > 1) return -EINVAL;
	struct result result;
	int r = shard_propose(c->shard, request->payload, request->body.data[0] == 1, &result);
	if (r < 0) return r;
	result_encode(&result, &reply->body);
	return buffer_error(&reply->body);
}

static int serve_sync(void *arg, const struct rpc_request *request, struct rpc_reply *reply)
{
	(void)reply;
	if (request->body.size != 0 || request->payload.size != 0) return -EINVAL;
	return shard_sync(((struct cluster *)arg)->shard);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static unsigned seq_take(struct cluster *c, struct command *command)
{
	LOCK_GUARD(&c->lock);
	while (c->outstanding_count == OUTSTANDING_MAX) lock_wait(&c->lock, &c->room);
	uint64_t lowest = command->seq ? command->seq : c->next_seq;
	unsigned place = OUTSTANDING_MAX;
	for (unsigned i = 0, seen = 0; i < OUTSTANDING_MAX && (seen < c->outstanding_count || place == OUTSTANDING_MAX); i++) {
		if (c->outstanding[i] == 0) {
			if (place == OUTSTANDING_MAX) place = i;
			continue;
		}
		seen++;
		if (c->outstanding[i] < lowest) lowest = c->outstanding[i];
	}
	assert(place < OUTSTANDING_MAX);
	if (command->seq == 0) {
		command->client = c->store->node_id;
		command->seq = c->next_seq++;
		command->done_below = lowest;
	}
	c->outstanding[place] = command->seq;
	c->outstanding_count++;
	return place;
}

static void seq_give(struct cluster *c, unsigned place)
{
	LOCK_GUARD(&c->lock);
	c->outstanding[place] = 0;
	if (c->outstanding_count-- == OUTSTANDING_MAX) pthread_cond_signal(&c->room);
}

/* ---- the calling side -------------------------------------------------------------------------------------------- */

/* Repeats until there is an answer: the number makes it take effect once. */
static int call(struct cluster *c, enum rpc_operation operation, struct slice body, struct slice payload, struct rpc_reply *ret_reply)
{
	int64_t deadline = clock_boot_ns(c->clock) + PROPOSE_TIMEOUT_NS;
	int r = -EIO;
	for (unsigned i = 0; i < TRIES_MAX; i++) {
		r = rpc_call(c->peer, operation, body, payload, deadline, ret_reply);
		if (r != -ETIMEDOUT && r != -ECONNRESET) break;
		if (clock_boot_ns(c->clock) >= deadline) break;
	}
	if (r == -ETIMEDOUT || r == -ECONNRESET || r == -EPROTO) {
		log_error("cluster", "no answer to %s within 30 s: its outcome is unknown", rpc_operation_name(operation));
		return -EIO;
	}
	return r;
}

static int send_command(struct cluster *c, const struct command *command, bool durable, struct result *ret_result)
{
	_cleanup_buffer_ struct buffer encoded;
	buffer_init(&encoded, COMMAND_MAX);
	int r = command_encode(command, &encoded);
	if (r < 0) return r;
	uint8_t flag = durable;
	struct rpc_reply reply;
	r = call(c, RPC_PROPOSE, (struct slice){ &flag, 1 }, (struct slice){ encoded.data, encoded.size }, &reply);
	if (r < 0) return r;
	r = reply.error ? reply.error : result_decode((struct slice){ reply.body.data, reply.body.size }, ret_result);
	rpc_reply_done(&reply);
	return r == -EBADMSG ? -EIO : r;
}

int cluster_propose(struct cluster *c, struct command *command, bool durable, struct result *ret_result)
{
	int64_t start = clock_boot_ns(c->clock);
	if (command->time_ns == 0) command->time_ns = clock_wall_ns(c->clock);
	unsigned place = seq_take(c, command);
	struct result result;
	int r = send_command(c, command, durable, &result);
	seq_give(c, place);
	histogram_record(&propose_time, clock_boot_ns(c->clock) - start);
	if (r < 0) return r;
	*ret_result = result;
	return result.error;
}

int cluster_sync(struct cluster *c)
{
	struct rpc_reply reply;
	int r = call(c, RPC_SYNC, (struct slice){ 0 }, (struct slice){ 0 }, &reply);
	if (r < 0) return r;
	r = reply.error;
	rpc_reply_done(&reply);
	return r;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static int make_key(struct cluster *c)
{
	struct token_key key;
	uint8_t sealed[KEY_SEALED_SIZE];
	size_t size;
	int r = token_key_generate(c->random, 1, &key);
	if (r == 0) r = key_seal(c->store->cluster_key, c->random, REALM_FIRST, &key, sealed, sizeof(sealed), &size);
	token_key_done(&key);
	if (r < 0) return r;
	struct command command = { .kind = COMMAND_KEY_PUT, .key_put = { .realm = REALM_FIRST, .key_id = 1, .sealed = { sealed, size } } };
	struct result result;
	return cluster_propose(c, &command, true, &result);
}

/* The first start makes the realm; one that was interrupted is finished by the next. */
static int make_realm(struct cluster *c)
{
	struct record root;
	int r = state_get(shard_state(c->shard), ROOT_INO, &root);
	if (r == -ENOENT) {
		struct command command = { .kind = COMMAND_REALM_INIT, .realm_init = { .realm = REALM_FIRST, .root = ROOT_INO, .mode = 040755 } };
		name_random(c->random, 0, &command.realm_init.name);
		struct result result;
		r = cluster_propose(c, &command, true, &result);
	}
	if (r < 0) return r;
	_cleanup_buffer_ struct buffer sealed;
	buffer_init(&sealed, 4096);
	r = state_get_key(shard_state(c->shard), REALM_FIRST, 0, &sealed);
	return r == -ENOENT || r == -ENOKEY ? make_key(c) : r;
}

static int connect_shard(struct cluster *c)
{
	int r = rpc_server_new(c->store->node_id, &c->server);
	if (r == 0) r = rpc_server_handle(c->server, RPC_PROPOSE, serve_propose, c);
	if (r == 0) r = rpc_server_handle(c->server, RPC_SYNC, serve_sync, c);
	if (r == 0) r = rpc_loopback_connect(c->server, c->store->node_id, c->clock, c->random, NULL, &c->peer);
	return r;
}

int cluster_open(struct store *store, struct clock *clock, struct random_source *random, struct cluster **ret_cluster)
{
	struct cluster *c = calloc(1, sizeof(*c));
	if (!c) return -ENOMEM;
	c->store = store;
	c->clock = clock;
	c->random = random;
	lock_init(&c->lock, "cluster client", LOCK_LEAF);
	pthread_cond_init(&c->room, NULL);
	int r = shard_open(store, clock, random, &(struct shard_options){ .id = 0, .flush_log_bytes = store->flush_log_bytes }, &c->shard);
	if (r == 0) {
		c->next_seq = (state_applied_index(shard_state(c->shard)) + 1) << SEQ_SHIFT;
		r = connect_shard(c);
	}
	if (r == 0) r = make_realm(c);
	if (r < 0) {
		cluster_close(c);
		return r;
	}
	*ret_cluster = c;
	return 0;
}

void cluster_close(struct cluster *c)
{
	if (!c) return;
	if (c->peer) rpc_peer_close(c->peer);
	rpc_server_free(c->server);
	shard_close(c->shard);
	pthread_cond_destroy(&c->room);
	lock_done(&c->lock);
	free(c);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

int cluster_maintain(struct cluster *c) { return shard_maintain(c->shard); }

struct state *cluster_state(struct cluster *c, uint64_t ino)
{
	(void)ino;   /* one shard owns every slot so far */
	return shard_state(c->shard);
}

struct clock *cluster_clock(struct cluster *c) { return c->clock; }
struct random_source *cluster_random(struct cluster *c) { return c->random; }
uint64_t cluster_node_id(const struct cluster *c) { return c->store->node_id; }

int cluster_token_key(struct cluster *c, uint32_t realm, uint32_t key_id, struct token_key *ret_key)
{
	_cleanup_buffer_ struct buffer sealed;
	buffer_init(&sealed, 4096);
	int r = state_get_key(shard_state(c->shard), realm, key_id, &sealed);
	if (r < 0) return r == -ENOENT ? -ENOKEY : r;
	r = key_unseal(c->store->cluster_key, realm, sealed.data, sealed.size, ret_key);
	return r == -EBADMSG ? -EIO : r;
}

void cluster_get_info(struct cluster *c, struct cluster_info *ret_info)
{
	*ret_info = (struct cluster_info){ .node_id = c->store->node_id };
	memcpy(ret_info->cluster_id, c->store->cluster_id, sizeof(ret_info->cluster_id));
	shard_get_info(c->shard, &ret_info->shard);
	if (state_totals(shard_state(c->shard), &ret_info->objects, &ret_info->bytes) < 0) ret_info->objects = ret_info->bytes = 0;
}
