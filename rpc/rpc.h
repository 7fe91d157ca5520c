/* Messages between nodes: one table of operations, one frame, transports behind one interface.
 *
 * A message is a fixed header (rpc/frame.h), a msgpack body and a raw payload that is never copied into the body.
 * Requests carry a deadline and are safe to retry. On one node the loopback transport carries them: the same encoding,
 * the same dispatch, deterministic, with seeded faults for the simulation. */
#ifndef DIOS_RPC_RPC_H
#define DIOS_RPC_RPC_H

#include <stdbool.h>
#include "base/buffer.h"
#include "base/clock.h"
#include "base/random.h"

#define RPC_PROTOCOL_VERSION 1
#define RPC_BODY_MAX (64u << 10)          /* bytes */
#define RPC_PAYLOAD_MAX (4u << 20)        /* bytes */

enum rpc_operation {
#define OPERATION(NAME, number, text) RPC_##NAME = number,
#include "rpc/operation.def"
#undef OPERATION
};
const char *rpc_operation_name(enum rpc_operation operation);    /* NULL: unknown */

struct rpc_request { enum rpc_operation operation; uint64_t from_node; int64_t deadline_ns; struct slice body, payload; };
struct rpc_reply { int error; struct buffer body, payload; };     /* owned by whoever holds it */
void rpc_reply_done(struct rpc_reply *reply);

/* Serves a request. Fills reply->body and payload; the return value becomes reply->error. */
typedef int rpc_handler(void *arg, const struct rpc_request *request, struct rpc_reply *reply);

/* A node's table of handlers. */
struct rpc_server;
int rpc_server_new(uint64_t node_id, struct rpc_server **ret_server);
void rpc_server_free(struct rpc_server *s);
uint64_t rpc_server_node(const struct rpc_server *s);
int rpc_server_handle(struct rpc_server *s, enum rpc_operation operation, rpc_handler *handler, void *arg);  /* -EEXIST */
/* Dispatches one received frame: decodes, checks bounds, calls the handler, encodes the reply frame. Transports call it.
 * 0: reply_frame (initialised by the caller; emptied first) holds the reply, which may say -EOPNOTSUPP. -EBADMSG,
 * -EMSGSIZE, -EPROTONOSUPPORT: the frame is malformed or of another protocol version, no handler has run, and the connection must end. */
int rpc_server_dispatch(struct rpc_server *s, int64_t now_ns, struct slice frame, struct buffer *reply_frame);
/* The same for a payload that lies elsewhere, and may be unchecked (RPC_FRAME_UNCHECKED): for transports within one process. */
int rpc_server_dispatch_split(struct rpc_server *s, int64_t now_ns, struct slice header_and_body, struct slice payload, struct buffer *reply_frame);

/* A connection to a peer. */
struct rpc_peer;
struct rpc_transport_ops {
	int (*call)(struct rpc_peer *peer, struct slice header_and_body, struct slice payload, int64_t deadline_ns, struct buffer *reply_frame);
	void (*close)(struct rpc_peer *peer);
	const char *name;
	bool in_process;   /* the payload does not leave this process's memory: no checksum over it */
};
struct rpc_peer { const struct rpc_transport_ops *ops; uint64_t to_node, from_node; _Atomic uint64_t next_id; struct clock *clock; };

/* Calls and waits. -ETIMEDOUT: deadline (of peer->clock's boot_ns); -ECONNRESET: the connection ended before the reply; -EPROTO: the
 * reply was malformed; -EMSGSIZE: body or payload is too long; -ENOMEM. After the first three the request may have been served.
 * Otherwise 0 and *ret_reply (rpc_reply_done) with the handler's own error in it. */
int rpc_call(struct rpc_peer *peer, enum rpc_operation operation, struct slice body, struct slice payload, int64_t deadline_ns, struct rpc_reply *ret_reply);
void rpc_peer_close(struct rpc_peer *peer);

/* The loopback transport: the handler runs in the caller's thread. Faults (per mille, drawn from `random`, which must not be shared with
 * other threads then): drop a request, drop a reply, serve a request twice, refuse it (-ECONNRESET). All 0 in production. The time that a
 * real network would take to lose something does not pass: -ETIMEDOUT comes at once. Server, clock and random are borrowed. */
struct rpc_loopback_faults { uint32_t drop_request, drop_reply, duplicate, refuse; };
int rpc_loopback_connect(struct rpc_server *server, uint64_t from_node, struct clock *clock, struct random_source *random,
	const struct rpc_loopback_faults *faults /* NULL: none */, struct rpc_peer **ret_peer);

#endif
