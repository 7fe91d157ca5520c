/* A node's table of handlers, and the way of one request through it: decode, check, serve, encode the reply.
 * The table is filled before the first request and never changes afterwards, so that it needs no lock. */
#include <assert.h>

#include "base/counter.h"
#include "base/log.h"
#include "rpc/frame.h"
#include "rpc/rpc.h"

#define OPERATION_LIMIT 64u   /* numbers on the wire are below this: the table is an array */

COUNTER(requests, "dios_rpc_requests_total", "Requests dispatched to a handler");
COUNTER(malformed, "dios_rpc_malformed_total", "Frames that did not decode");

struct handler { rpc_handler *function; void *arg; };

struct rpc_server {
	uint64_t node_id;
	struct handler handlers[OPERATION_LIMIT];
};

int rpc_server_new(uint64_t node_id, struct rpc_server **ret_server)
{
	struct rpc_server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->node_id = node_id;
	*ret_server = s;
	return 0;
}

void rpc_server_free(struct rpc_server *s)
{
	free(s);
}

uint64_t rpc_server_node(const struct rpc_server *s)
{
	return s->node_id;
}

int rpc_server_handle(struct rpc_server *s, enum rpc_operation operation, rpc_handler *handler, void *arg)
{
	assert(operation < OPERATION_LIMIT && rpc_operation_name(operation) && handler);
	if (s->handlers[operation].function)
		return -EEXIST;
	s->handlers[operation] = (struct handler){ .function = handler, .arg = arg };
	return 0;
}

void rpc_reply_done(struct rpc_reply *reply)
{
	buffer_done(&reply->body);
	buffer_done(&reply->payload);
}

static int serve(struct rpc_server *s, int64_t now_ns, const struct rpc_frame *f, struct slice body, struct slice payload, struct rpc_reply *reply)
{
	if (f->operation >= OPERATION_LIMIT || !s->handlers[f->operation].function)
		return -EOPNOTSUPP;

	struct handler *h = &s->handlers[f->operation];
	struct rpc_request request = { .operation = (enum rpc_operation)f->operation, .from_node = f->from_node, .body = body, .payload = payload,
		.deadline_ns = f->left_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + f->left_ns };

	counter_add(&requests, 1);
	int r = h->function(h->arg, &request, reply);
	assert(r <= 0);
	return r < RPC_FRAME_ERROR_MIN ? -EIO : r;
}

static int dispatch(struct rpc_server *s, int64_t now_ns, const struct rpc_frame *f, struct slice body, struct slice payload, struct buffer *reply_frame)
{
	struct rpc_reply reply;

	buffer_reset(reply_frame);
	buffer_init(&reply.body, RPC_BODY_MAX);
	buffer_init(&reply.payload, RPC_PAYLOAD_MAX);
	reply.error = serve(s, now_ns, f, body, payload, &reply);
	/* Served, and no memory to tell: the answer is lost, and the client asks again. An error would say that nothing was done. */
	int unsaid = reply.error ? 0 : buffer_error(&reply.body) ? buffer_error(&reply.body) : buffer_error(&reply.payload);
	if (unsaid == -ENOMEM) {
		rpc_reply_done(&reply);
		return unsaid;
	}
	if (unsaid < 0)
		reply.error = unsaid;

	struct rpc_frame answer = { .flags = RPC_FRAME_REPLY | (f->flags & RPC_FRAME_UNCHECKED), .operation = f->operation, .error = reply.error,
		.request_id = f->request_id, .from_node = s->node_id };
	struct slice reply_payload = { .data = reply.payload.data, .size = reply.payload.size };
	int r = rpc_frame_encode(&answer, (struct slice){ .data = reply.body.data, .size = reply.body.size }, reply_payload, reply_frame);
	if (r == 0)
		r = buffer_append(reply_frame, reply_payload.data, reply_payload.size);
	rpc_reply_done(&reply);
	return r;
}

static int refuse_frame(int error, const struct rpc_frame *f)
{
	counter_add(&malformed, 1);
	log_warning("rpc", "frame refused error=%d from=%llu", error, f ? (unsigned long long)f->from_node : 0ULL);
	return error;
}

int rpc_server_dispatch_split(struct rpc_server *s, int64_t now_ns, struct slice header_and_body, struct slice payload, struct buffer *reply_frame)
{
	struct rpc_frame f;
	struct slice body;
	int r = rpc_frame_decode(header_and_body, payload, &f, &body);

	if (r < 0)
		return refuse_frame(r, NULL);
	if (f.flags & RPC_FRAME_REPLY)
		return refuse_frame(-EBADMSG, &f);
	return dispatch(s, now_ns, &f, body, payload, reply_frame);
}

int rpc_server_dispatch(struct rpc_server *s, int64_t now_ns, struct slice frame, struct buffer *reply_frame)
{
	struct rpc_frame f;
	struct slice body, payload;
	int r = rpc_frame_decode_whole(frame, &f, &body, &payload);

	if (r < 0)
		return refuse_frame(r, NULL);
	if (f.flags & RPC_FRAME_REPLY)
		return refuse_frame(-EBADMSG, &f);
	return dispatch(s, now_ns, &f, body, payload, reply_frame);
}
