/* The client: numbers, retries, what it says when nobody knows. Against a server of the test's own, then against a shard. */
#include <sys/stat.h>

#include "base/log.h"
#include "caps/token.h"
#include "cluster/client.h"
#include "cluster/cluster.h"
#include "cluster/redo.h"
#include "store/disk_sim.h"
#include "tests/tap.h"

struct fake_clock { struct clock clock; int64_t now_ns, step_ns; };
static int64_t fake_now(struct clock *c) { struct fake_clock *f = (struct fake_clock *)c; return f->now_ns += f->step_ns; }

/* What the server saw of each command, and what it says. */
struct fake_server {
	struct rpc_server *rpc;
	int calls, syncs;
	struct { uint64_t seq, done_below; enum durability durable; } seen[100];
	int answers[100];            /* by call */
	struct client *nested;       /* proposes once more while the first call is served */
	uint64_t client;
};

static void setattr(struct command *c, uint64_t ino)
{
	*c = (struct command){ .kind = COMMAND_SETATTR, .time_ns = 1, .setattr = { .ino = ino, .mask = ATTR_MODE, .mode = 0600 } };
}

static int serve(void *arg, const struct rpc_request *request, struct rpc_reply *reply)
{
	struct fake_server *f = arg;
	struct command c, inner;
	struct result result = { .offset = 123 }, inner_result;
	int call = f->calls++;

	if (command_decode(request->payload, &c) < 0 || propose_body_decode(request->body, &f->seen[call].durable) < 0)
		return -EBADMSG;
	f->seen[call].seq = c.seq;
	f->seen[call].done_below = c.done_below;
	f->client = c.client;
	command_done(&c);
	if (f->nested && call == 0) {
		setattr(&inner, 2);
		client_propose(f->nested, &inner, false, &inner_result);
	}
	if (f->answers[call] < 0)
		return f->answers[call];
	result_encode(&result, &reply->body);
	return 0;
}

static int serve_sync(void *arg, const struct rpc_request *request, struct rpc_reply *reply)
{
	(void)request; (void)reply;
	((struct fake_server *)arg)->syncs++;
	return 0;
}

static struct fake_clock clock_ = { .clock = { .wall_ns = fake_now, .boot_ns = fake_now }, .now_ns = 1, .step_ns = 1000 };
static struct random_seeded seeded;

static struct client *client(struct fake_server *f, const struct rpc_loopback_faults *faults)
{
	struct client *c;
	struct rpc_peer *peer;

	random_seeded_init(&seeded, 4);
	if (rpc_server_new(1, &f->rpc) < 0 || rpc_server_handle(f->rpc, RPC_PROPOSE, serve, f) < 0 || rpc_server_handle(f->rpc, RPC_SYNC, serve_sync, f) < 0 ||
			rpc_loopback_connect(f->rpc, 1, &clock_.clock, &seeded.source, faults, &peer) < 0 || client_new(&clock_.clock, 55, 1000, &c) < 0)
		abort();
	client_set_peer(c, peer);
	return c;
}

static void done(struct fake_server *f, struct client *c)
{
	client_free(c);
	rpc_server_free(f->rpc);
}

static void numbers_commands(void)
{
	struct fake_server f = { 0 };
	struct client *c = client(&f, NULL);
	struct command command;
	struct result result;

	setattr(&command, 1);
	is_int(client_propose(c, &command, true, &result), 0, "a command is proposed");
	is_int(result.offset, 123, "its result comes back");
	is_int(f.client, 55, "it has the client's id");
	ok(f.seen[0].seq == 1000 && f.seen[0].done_below == 1000 && f.seen[0].durable == DURABLE_NOW, "the first number, nothing outstanding below, durable");
	setattr(&command, 1);
	client_propose(c, &command, false, &result);
	ok(f.seen[1].seq == 1001 && f.seen[1].done_below == 1001 && f.seen[1].durable == DURABLE_LATER, "then the next, when the first is done");
	client_propose(c, &command, false, &result);
	ok(f.seen[2].seq == 1001 && f.seen[2].done_below == 1001, "a command that has a number keeps it");
	done(&f, c);

	struct fake_server n = { 0 };
	n.nested = c = client(&n, NULL);
	setattr(&command, 1);
	client_propose(c, &command, false, &result);
	ok(n.seen[1].seq == 1001 && n.seen[1].done_below == 1000, "while the first is outstanding its result is kept");
	setattr(&command, 1);
	client_propose(c, &command, false, &result);
	ok(n.seen[2].seq == 1002 && n.seen[2].done_below == 1002, "and then no more");
	done(&n, c);
}

static void says_what_is_known(void)
{
	struct fake_server f = { .answers = { -EAGAIN } };
	struct client *c = client(&f, NULL);
	struct command command;
	struct result result;

	setattr(&command, 1);
	is_int(client_propose(c, &command, false, &result), -EAGAIN, "a refusal of the first try is certain");
	is_int(f.calls, 1, "and not tried again");
	done(&f, c);

	/* The reply of the first try is lost; the second is refused, as by a disk that has become full. The command may have taken effect. */
	struct fake_server g = { 0 };
	for (int i = 1; i < 100; i++)
		g.answers[i] = -ENOSPC;
	c = client(&g, &(struct rpc_loopback_faults){ .drop_reply = 1000 });
	clock_.step_ns = CLIENT_TIMEOUT_NS / 60;
	setattr(&command, 1);
	is_int(client_propose(c, &command, false, &result), -EIO, "after a lost reply nobody knows");
	ok(g.calls > 2 && g.calls < 60, "it is tried again until the time is over (%d times)", g.calls);
	ok(g.seen[0].seq == g.seen[1].seq && g.seen[1].seq == g.seen[2].seq, "under the same number");
	setattr(&command, 1);
	g.answers[g.calls] = 0;
	client_set_peer(c, NULL);
	struct rpc_peer *peer;
	rpc_loopback_connect(g.rpc, 1, &clock_.clock, &seeded.source, NULL, &peer);
	client_set_peer(c, peer);
	int call = g.calls;
	is_int(client_propose(c, &command, false, &result), 0, "the next command");
	ok(g.seen[call].seq == 1001 && g.seen[call].done_below == 1001, "gives the one before up, so that it takes no effect later");
	clock_.step_ns = 1000;
	done(&g, c);

	struct fake_server h = { 0 };
	c = client(&h, &(struct rpc_loopback_faults){ .drop_request = 1000 });
	setattr(&command, 1);
	is_int(client_propose(c, &command, false, &result), -EIO, "where time does not pass, tries are bounded");
	is_int(h.calls, 0, "and nothing was served");
	done(&h, c);
}

static void what_is_no_body_is_refused(void)
{
	static const struct { const char *bytes; size_t size; } bad[] = { { "", 0 }, { "\x91", 1 }, { "\x91\x01\x01", 3 }, { "\x92\x01\x01", 3 }, { "\x91\xc3", 2 }, { "\x91\x03", 2 }, { "\x01", 1 },
		{ "\xdd\xff\xff\xff\xff", 5 } };
	enum durability durable;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is_int(propose_body_decode((struct slice){ .data = (const uint8_t *)bad[i].bytes, .size = bad[i].size }, &durable), -EBADMSG, "body %d is refused", (int)i);
	is_int(propose_body_decode((struct slice){ .data = (const uint8_t *)"\x91\x02", .size = 2 }, &durable), 0, "[2] is one");
	ok(durable == DURABLE_NEXT, "and says so");
}

/* ---- with a shard over the simulated disk ---- */

struct node { struct random_seeded random; struct disk *disk; struct store *store; struct cluster *cluster; uint8_t boot; };

static int node_open(struct node *n)
{
	const uint8_t boot_id[16] = { 1, n->boot };
	int r = store_open_sim(n->disk, &n->random.source, boot_id, &n->store);

	return r < 0 ? r : cluster_open(n->store, &clock_.clock, &n->random.source, &n->cluster);
}

static void node_power_cut(struct node *n)
{
	disk_sim_power_cut(n->disk);
	n->boot++;
}

static void node_close(struct node *n)
{
	cluster_close(n->cluster);
	store_close(n->store);
}

static int create_entry(struct node *n, int i, bool counts)
{
	char entry[20];
	int size = snprintf(entry, sizeof(entry), "file-%d", i);
	struct command c = { .kind = COMMAND_CREATE, .counts = counts,
		.create = { .parent = ROOT_INO, .entry = { .data = (uint8_t *)entry, .size = (size_t)size }, .kind = KIND_BLOB, .mode = S_IFREG | 0644 } };
	struct result result;

	name_random(&n->random.source, 0, &c.create.name);
	return cluster_propose(n->cluster, &c, false, &result);
}

static int create(struct node *n, int i) { return create_entry(n, i, false); }
static int create_counted(struct node *n, int i) { return create_entry(n, i, true); }

static int unlink_(struct node *n, int i)
{
	char entry[20];
	int size = snprintf(entry, sizeof(entry), "file-%d", i);
	struct command c = { .kind = COMMAND_UNLINK, .unlink = { .parent = ROOT_INO, .entry = { .data = (uint8_t *)entry, .size = (size_t)size } } };
	struct result result;

	return cluster_propose(n->cluster, &c, false, &result);
}

/* Creating twice is EEXIST, removing twice ENOENT: each must take effect once, whatever gets lost, and over restarts. */
static void commands_take_effect_once_under_faults(void)
{
	struct node n = { 0 };
	struct rpc_loopback_faults faults = { .drop_request = 200, .drop_reply = 300, .duplicate = 300, .refuse = 100 };
	int wrong = 0;
	struct record root;

	random_seeded_init(&n.random, 9);
	disk_sim_new(&n.random.source, 1 << 30, &n.disk);
	is_int(node_open(&n), 0, "a new node opens");
	for (int round = 0; round < 5; round++) {
		is_int(cluster_set_faults(n.cluster, &faults), 0, "messages get lost and doubled");
		for (int i = 0; i < 200; i++)
			wrong += create(&n, round * 1000 + i) != 0;
		for (int i = 0; i < 100; i++)
			wrong += unlink_(&n, round * 1000 + i) != 0;
		is_int(cluster_sync(n.cluster), 0, "a sync gets through");
		node_close(&n);
		if (round % 2)
			node_power_cut(&n);
		is_int(node_open(&n), 0, "the node opens again");
	}
	is_int(wrong, 0, "1,500 commands, each took effect once");
	is_int(state_get(cluster_state(n.cluster, ROOT_INO), ROOT_INO, &root), 0, "the root directory is there");
	is_int(root.entries, 500, "with what they leave");
	node_close(&n);
	disk_free(n.disk);
}

/* What a request under way has done is asked for by the next daemon, which may serve others before, and die again. */
static void results_are_kept_for_requests_under_way(void)
{
	struct node n = { 0 };
	struct redo first = { 0 }, second = { 0 }, forgotten = { 0 };
	struct redo *const all[] = { &forgotten, &first, &second };
	struct result result;

	random_seeded_init(&n.random, 11);
	disk_sim_new(&n.random.source, 1 << 30, &n.disk);
	is_int(node_open(&n), 0, "a new node opens");
	for (int i = 0; i < 3; i++) {
		redo_enter(all[i]);
		is_int(create_counted(&n, i), 0, "a request makes an entry");
		redo_leave();
	}
	for (int life = 0; life < 2; life++) {
		node_close(&n);
		disk_sim_process_kill(n.disk);
		is_int(node_open(&n), 0, "another daemon");
		cluster_redo_keep(n.cluster, &first);
		cluster_redo_keep(n.cluster, &second);
		/* Each tells the state which results are asked for no more. */
		for (int i = 0; i < 10; i++)
			is_int(create(&n, 100 * (life + 1) + i), 0, "others are served");
		redo_enter(&first);
		is_int(cluster_redone(n.cluster, &result), 1, "D2_a kept result is there");
		redo_leave();
	}
	uint64_t number = second.numbers[0];
	cluster_redo_forget(n.cluster, &first);
	is_int(create(&n, 500), 0, "the first is answered, and others are served");
	redo_enter(&second);
	ok(cluster_redone(n.cluster, &result) == 1 && second.numbers[0] == number, "D2_another's stays");
	redo_leave();
	redo_enter(&forgotten);
	is_int(cluster_redone(n.cluster, &result), 0, "what nobody keeps is forgotten");
	redo_leave();
	node_close(&n);
	disk_free(n.disk);
}

static void the_first_start_makes_realm_and_key(void)
{
	struct node n = { 0 };
	struct token_key key, again;
	struct record root;
	struct cluster_info info;

	random_seeded_init(&n.random, 10);
	disk_sim_new(&n.random.source, 1 << 30, &n.disk);
	is_int(node_open(&n), 0, "a new node opens");
	is_int(state_get(cluster_state(n.cluster, ROOT_INO), ROOT_INO, &root), 0, "there is a root");
	ok(root.mode == (S_IFDIR | 0755) && root.uid == 0 && root.gid == 0 && root.realm == 1 && name_slot(&root.name) == 0, "of realm 1, in slot 0");
	is_int(cluster_token_key(n.cluster, 1, 0, &key), 0, "there is a key for tokens");
	is_int(key.id, 1, "number 1");
	is_int(cluster_token_key(n.cluster, 1, 2, &again), -ENOKEY, "there is no other");
	is_int(cluster_token_key(n.cluster, 2, 0, &again), -ENOKEY, "nor another realm's");
	cluster_get_info(n.cluster, &info);
	ok(info.node_id == n.store->node_id && info.shard.leader && info.objects == 1, "the node says what it is");
	node_close(&n);
	node_power_cut(&n);
	is_int(node_open(&n), 0, "after a power cut it opens again");
	is_int(cluster_token_key(n.cluster, 1, 1, &again), 0, "with the key");
	is_mem(again.bytes, key.bytes, TOKEN_KEY_SIZE, "the same");
	node_close(&n);
	disk_free(n.disk);
}

/* A start that dies at any step is finished by the next. */
static void a_first_start_can_die_anywhere(void)
{
	int wrong = 0;
	uint64_t step;
	bool crashed = true;

	for (step = 1; crashed; step++) {
		struct node n = { 0 };
		struct token_key key;
		random_seeded_init(&n.random, step);
		disk_sim_new(&n.random.source, 1 << 30, &n.disk);
		disk_sim_crash_after(n.disk, step);
		int r = node_open(&n);
		crashed = disk_sim_crashed(n.disk);
		wrong += r == 0 && crashed;
		if (r == 0)
			cluster_close(n.cluster);
		if (n.store)
			store_close(n.store);
		n.store = NULL;
		if (step % 2)
			node_power_cut(&n);
		else
			disk_sim_process_kill(n.disk);
		disk_sim_crash_after(n.disk, 0);
		r = node_open(&n);
		if (r < 0 || cluster_token_key(n.cluster, 1, 0, &key) < 0 || create(&n, 1) < 0) {
			printf("# step %d: %d\n", (int)step, r);
			wrong++;
		}
		if (r == 0)
			node_close(&n);
		disk_free(n.disk);
	}
	is_int(wrong, 0, "a first start dies at each of %d steps, and the next one is good", (int)step - 1);
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	numbers_commands();
	says_what_is_known();
	what_is_no_body_is_refused();
	results_are_kept_for_requests_under_way();
	the_first_start_makes_realm_and_key();
	commands_take_effect_once_under_faults();
	a_first_start_can_die_anywhere();
	return done_testing();
}
