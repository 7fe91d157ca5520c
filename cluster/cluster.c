/* Agreement as the floors above see it: shard 0 of this node, the server that gives access to it, and the client that proposes to it.
 *
 * The client's id is the node's. A start takes its first number from the index that the state has applied, times 2^SEQ_SHIFT. Every command
 * that the state knows of has taken an index of its own, so a later start begins above every number that the state, or the log behind it, has
 * seen; its first command says that nothing below is waited for, and the state forgets the results of earlier starts, except those that
 * requests under way still ask for (cluster/redo.h). So nothing has to be remembered outside the log, and no number comes twice, also when a power
 * cut takes the end of the log with the numbers in it. */
#include <sys/stat.h>
#include <string.h>

#include "base/log.h"
#include "caps/keys.h"
#include "cluster/client.h"
#include "cluster/cluster.h"

#define SEQ_SHIFT 24                 /* numbers given to commands that never got an index, between two that did: far fewer than these */
#define REALM_FIRST 1u
#define ROOT_MODE (S_IFDIR | 0755)
#define SEALED_MAX 4096u             /* bytes: more than any sealed key */

struct cluster {
	struct store *store;
	struct clock *clock;
	struct random_source *random;
	struct shard *shard;
	struct rpc_server *server;
	struct client *client;
};

/* A malformed command in the log would stop the shard, so what comes from elsewhere is decoded once more than needed. */
static int check_foreign(struct slice encoded)
{
	struct command command;
	int r = command_decode(encoded, &command);

	if (r == 0)
		command_done(&command);
	return r;
}

static int serve_propose(void *arg, const struct rpc_request *request, struct rpc_reply *reply)
{
	struct cluster *c = arg;
	struct result result;
	enum durability durability;

	int r = propose_body_decode(request->body, &durability);
	if (r == 0 && request->from_node != c->store->node_id)
		r = check_foreign(request->payload);
	if (r == 0)
		r = shard_propose(c->shard, request->payload, durability, &result);
	if (r < 0)
		return r;
	result_encode(&result, &reply->body);
	return 0;
}

static int serve_sync(void *arg, const struct rpc_request *request, struct rpc_reply *reply)
{
	struct cluster *c = arg;

	(void)reply;
	if (request->body.size != 0 || request->payload.size != 0)
		return -EBADMSG;
	return shard_sync(c->shard);
}

static int connect_client(struct cluster *c, const struct rpc_loopback_faults *faults)
{
	struct rpc_peer *peer;
	int r = rpc_loopback_connect(c->server, c->store->node_id, c->clock, c->random, faults, &peer);

	if (r == 0)
		client_set_peer(c->client, peer);
	return r;
}

static int start_client(struct cluster *c)
{
	uint64_t first_seq = (state_applied_index(shard_state(c->shard)) + 1) << SEQ_SHIFT;
	int r = rpc_server_new(c->store->node_id, &c->server);

	if (r == 0)
		r = rpc_server_handle(c->server, RPC_PROPOSE, serve_propose, c);
	if (r == 0)
		r = rpc_server_handle(c->server, RPC_SYNC, serve_sync, c);
	if (r == 0)
		r = client_new(c->clock, c->store->node_id, first_seq, &c->client);
	return r < 0 ? r : connect_client(c, NULL);
}

static int make_root(struct cluster *c)
{
	struct command command = { .kind = COMMAND_REALM_INIT, .realm_init = { .realm = REALM_FIRST, .root = ROOT_INO, .mode = ROOT_MODE } };
	struct result result;

	name_random(c->random, ino_slot(ROOT_INO), &command.realm_init.name);
	return cluster_propose(c, &command, true, &result);
}

static int make_key(struct cluster *c)
{
	struct token_key key;
	struct result result;
	uint8_t sealed[KEY_SEALED_SIZE];
	size_t size = 0;

	int r = token_key_generate(c->random, 1, &key);
	if (r < 0)
		return r;
	r = key_seal(c->store->cluster_key, c->random, REALM_FIRST, &key, sealed, sizeof(sealed), &size);
	token_key_done(&key);
	if (r < 0)
		return r;
	struct command command = { .kind = COMMAND_KEY_PUT, .key_put = { .realm = REALM_FIRST, .key_id = 1, .sealed = { .data = sealed, .size = size } } };
	return cluster_propose(c, &command, true, &result);
}

/* The first start makes the realm and its key; one that was interrupted is finished by the next. */
static int make_realm(struct cluster *c)
{
	struct state *s = shard_state(c->shard);
	struct record root;
	_cleanup_buffer_ struct buffer sealed;

	buffer_init(&sealed, SEALED_MAX);
	int r = state_get(s, ROOT_INO, &root);
	if (r == -ENOENT)
		r = make_root(c);
	if (r < 0)
		return r;
	r = state_get_key(s, REALM_FIRST, 0, &sealed);
	return r == -ENOENT || r == -ENOKEY ? make_key(c) : r;
}

int cluster_open(struct store *store, struct clock *clock, struct random_source *random, struct cluster **ret_cluster)
{
	struct shard_options options = { .id = 0, .flush_log_bytes = store->flush_log_bytes };
	struct cluster *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->store = store;
	c->clock = clock;
	c->random = random;
	int r = keys_prepare();
	if (r == 0)
		r = shard_open(store, clock, random, &options, &c->shard);
	if (r == 0)
		r = start_client(c);
	if (r == 0)
		r = make_realm(c);
	if (r < 0) {
		cluster_close(c);
		return r;
	}
	*ret_cluster = c;
	return 0;
}

void cluster_close(struct cluster *c)
{
	if (!c)
		return;
	client_free(c->client);
	rpc_server_free(c->server);
	shard_close(c->shard);
	free(c);
}

int cluster_propose(struct cluster *c, struct command *command, bool durable, struct result *ret_result)
{
	struct result result;

	if (command->time_ns == 0)
		command->time_ns = clock_wall_ns(c->clock);
	int r = client_propose(c->client, command, durable, &result);
	if (r < 0)
		return r;
	*ret_result = result;
	return result.error;
}

int cluster_redone(struct cluster *c, struct result *ret_result)
{
	_Atomic uint64_t *place = redo_next();
	uint64_t number = place ? *place : 0;

	if (number == 0 || !client_is_earlier(c->client, number))
		return 0;
	int r = state_get_result(shard_state(c->shard), c->store->node_id, number, ret_result);
	if (r == 0 && ret_result->error == 0) {
		redo_advance();
		return 1;
	}
	if (r < 0 && r != -ENOENT) {
		log_error("cluster", "the result of a command is lost number=%llu error=%d", (unsigned long long)number, -r);
		return -EIO;
	}
	/* It never reached the log, or was refused: it has had no effect. */
	atomic_store(place, 0);
	client_forget(c->client, number);
	return 0;
}

void cluster_redo_keep(struct cluster *c, const struct redo *redo)
{
	for (unsigned i = 0; i < REDO_COMMANDS_MAX; i++)
		if (redo->numbers[i] != 0)
			client_keep(c->client, redo->numbers[i]);
}

void cluster_redo_forget(struct cluster *c, struct redo *redo)
{
	for (unsigned i = 0; i < REDO_COMMANDS_MAX; i++) {
		uint64_t number = atomic_exchange(&redo->numbers[i], 0);
		if (number != 0)
			client_forget(c->client, number);
	}
	redo->placed = false;
}

int cluster_sync(struct cluster *c)
{
	return client_sync(c->client);
}

bool cluster_sync_due(struct cluster *c)
{
	return log_sync_due(c->store->log);
}

int cluster_settle(struct cluster *c)
{
	return shard_settle(c->shard);
}

bool cluster_stopped(struct cluster *c)
{
	return shard_stopped(c->shard);
}

int cluster_maintain(struct cluster *c)
{
	return shard_maintain(c->shard);
}

int cluster_set_faults(struct cluster *c, const struct rpc_loopback_faults *faults)
{
	return connect_client(c, faults);
}

struct state *cluster_state(struct cluster *c, uint64_t ino)
{
	(void)ino;   /* one shard owns every slot so far */
	return shard_state(c->shard);
}

struct clock *cluster_clock(struct cluster *c)
{
	return c->clock;
}

struct random_source *cluster_random(struct cluster *c)
{
	return c->random;
}

uint64_t cluster_node_id(const struct cluster *c)
{
	return c->store->node_id;
}

int cluster_token_key(struct cluster *c, uint32_t realm, uint32_t key_id, struct token_key *ret_key)
{
	_cleanup_buffer_ struct buffer sealed;

	buffer_init(&sealed, SEALED_MAX);
	int r = state_get_key(shard_state(c->shard), realm, key_id, &sealed);
	if (r < 0)
		return r == -ENOENT ? -ENOKEY : r;
	r = key_unseal(c->store->cluster_key, realm, sealed.data, sealed.size, ret_key);
	return r == -EBADMSG ? -EIO : r;
}

void cluster_get_info(struct cluster *c, struct cluster_info *ret_info)
{
	struct cluster_info info = { .node_id = c->store->node_id };

	memcpy(info.cluster_id, c->store->cluster_id, sizeof(info.cluster_id));
	shard_get_info(c->shard, &info.shard);
	if (state_totals(shard_state(c->shard), &info.objects, &info.bytes) < 0)
		info.objects = info.bytes = 0;
	*ret_info = info;
}
