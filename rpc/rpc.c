/* The calling side: one request out, its reply in. */
#include <stdatomic.h>

#include "rpc/frame.h"
#include "rpc/rpc.h"

#define REPLY_FRAME_MAX (RPC_FRAME_HEADER_SIZE + RPC_BODY_MAX + RPC_PAYLOAD_MAX)

/* Copies body and payload of a reply frame out; both are small on the paths that are taken often. */
static int take_reply(const struct rpc_peer *peer, uint64_t id, enum rpc_operation operation, struct slice bytes, struct rpc_reply *ret_reply)
{
	struct rpc_frame f;
	struct slice body;

	int r = rpc_frame_decode_header(bytes, &f);
	if (r < 0 || bytes.size - RPC_FRAME_HEADER_SIZE != (size_t)f.body_size + f.payload_size)
		return -EPROTO;
	struct slice head = { .data = bytes.data, .size = RPC_FRAME_HEADER_SIZE + f.body_size };
	struct slice payload = { .data = bytes.data + head.size, .size = f.payload_size };
	if (rpc_frame_decode(head, payload, &f, &body) < 0)
		return -EPROTO;
	if (!(f.flags & RPC_FRAME_REPLY) || f.request_id != id || f.operation != operation || f.from_node != peer->to_node)
		return -EPROTO;
	if ((f.flags & RPC_FRAME_UNCHECKED) && !peer->ops->in_process)
		return -EPROTO;

	struct rpc_reply reply = { .error = f.error };
	buffer_init(&reply.body, RPC_BODY_MAX);
	buffer_init(&reply.payload, RPC_PAYLOAD_MAX);
	r = buffer_append(&reply.body, body.data, body.size);
	if (r == 0)
		r = buffer_append(&reply.payload, payload.data, payload.size);
	if (r < 0) {
		rpc_reply_done(&reply);
		return -ECONNRESET;   /* no memory for what was served: as if the reply had been lost */
	}
	*ret_reply = reply;
	return 0;
}

int rpc_call(struct rpc_peer *peer, enum rpc_operation operation, struct slice body, struct slice payload, int64_t deadline_ns, struct rpc_reply *ret_reply)
{
	_cleanup_buffer_ struct buffer head, reply_frame;
	int64_t left_ns = deadline_ns - clock_boot_ns(peer->clock);

	buffer_init(&head, RPC_FRAME_HEADER_SIZE + RPC_BODY_MAX);
	buffer_init(&reply_frame, REPLY_FRAME_MAX);
	if (body.size > RPC_BODY_MAX || payload.size > RPC_PAYLOAD_MAX)
		return -EMSGSIZE;
	if (left_ns <= 0)
		return -ETIMEDOUT;

	uint64_t id = atomic_fetch_add_explicit(&peer->next_id, 1, memory_order_relaxed);
	struct rpc_frame f = { .flags = peer->ops->in_process ? RPC_FRAME_UNCHECKED : 0, .operation = (uint16_t)operation, .request_id = id,
		.from_node = peer->from_node, .left_ns = left_ns };
	int r = rpc_frame_encode(&f, body, payload, &head);
	if (r < 0)
		return r;
	r = peer->ops->call(peer, (struct slice){ .data = head.data, .size = head.size }, payload, deadline_ns, &reply_frame);
	if (r < 0)
		return r;
	return take_reply(peer, id, operation, (struct slice){ .data = reply_frame.data, .size = reply_frame.size }, ret_reply);
}

void rpc_peer_close(struct rpc_peer *peer)
{
	if (peer)
		peer->ops->close(peer);
}
