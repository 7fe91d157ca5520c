/* The transport of one node to itself: the handler runs in the caller's thread, so that a single-threaded simulation is
 * deterministic, and the payload is handed over where it lies. */
#include "rpc/frame.h"
#include "rpc/rpc.h"

struct loopback {
	struct rpc_peer peer;
	struct rpc_server *server;
	struct random_source *random;
	struct rpc_loopback_faults faults;
};

static bool fault_happens(struct loopback *l, uint32_t per_mille)
{
	return per_mille > 0 && random_below(l->random, 1000) < per_mille;
}

/* A frame that the server refuses, or a reply that it has no memory for, ends the connection, as on a network. */
static int deliver(struct loopback *l, struct slice header_and_body, struct slice payload, struct buffer *reply_frame)
{
	int r = rpc_server_dispatch_split(l->server, clock_boot_ns(l->peer.clock), header_and_body, payload, reply_frame);

	return r < 0 ? -ECONNRESET : 0;
}

static int loopback_call(struct rpc_peer *peer, struct slice header_and_body, struct slice payload, int64_t deadline_ns, struct buffer *reply_frame)
{
	struct loopback *l = (struct loopback *)peer;

	(void)deadline_ns;
	if (fault_happens(l, l->faults.refuse))
		return -ECONNRESET;
	if (fault_happens(l, l->faults.drop_request))
		return -ETIMEDOUT;
	int r = deliver(l, header_and_body, payload, reply_frame);
	if (r == 0 && fault_happens(l, l->faults.duplicate))
		r = deliver(l, header_and_body, payload, reply_frame);
	if (r == 0 && fault_happens(l, l->faults.drop_reply))
		return -ETIMEDOUT;
	return r;
}

static void loopback_close(struct rpc_peer *peer)
{
	free((struct loopback *)peer);
}

static const struct rpc_transport_ops loopback_ops = { .call = loopback_call, .close = loopback_close, .name = "loopback", .in_process = true };

int rpc_loopback_connect(struct rpc_server *server, uint64_t from_node, struct clock *clock, struct random_source *random,
	const struct rpc_loopback_faults *faults, struct rpc_peer **ret_peer)
{
	struct loopback *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->peer = (struct rpc_peer){ .ops = &loopback_ops, .to_node = rpc_server_node(server), .from_node = from_node, .next_id = 1, .clock = clock };
	l->server = server;
	l->random = random;
	if (faults)
		l->faults = *faults;
	*ret_peer = &l->peer;
	return 0;
}
