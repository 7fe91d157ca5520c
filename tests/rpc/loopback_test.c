/* A request's way through loopback, server and handler, and the seeded faults. */
#include "rpc/frame.h"
#include "rpc/rpc.h"
#include "tests/tap.h"

struct fake_clock { struct clock clock; int64_t now_ns; };
static int64_t fake_now(struct clock *c) { return ((struct fake_clock *)c)->now_ns; }
static struct fake_clock fake = { .clock = { .wall_ns = fake_now, .boot_ns = fake_now }, .now_ns = 1000 };

struct seen { int count; const uint8_t *payload; size_t payload_size; int64_t deadline_ns; uint64_t from_node; int answer; };

static int handle(void *arg, const struct rpc_request *request, struct rpc_reply *reply)
{
	struct seen *seen = arg;

	seen->count++;
	seen->payload = request->payload.data;
	seen->payload_size = request->payload.size;
	seen->deadline_ns = request->deadline_ns;
	seen->from_node = request->from_node;
	buffer_append(&reply->body, "you said ", 9);
	buffer_append(&reply->body, request->body.data, request->body.size);
	buffer_append(&reply->payload, "bytes", 5);
	return seen->answer;
}

static int overflow(void *arg, const struct rpc_request *request, struct rpc_reply *reply)
{
	uint8_t *space;
	(void)arg; (void)request;
	buffer_reserve(&reply->body, RPC_BODY_MAX + 1, &space);
	return 0;
}

static struct slice text(const char *s) { return (struct slice){ .data = (const uint8_t *)s, .size = strlen(s) }; }

static struct rpc_server *serve(struct seen *seen)
{
	struct rpc_server *s;

	is_int(rpc_server_new(7, &s), 0, "a server");
	is_int(rpc_server_handle(s, RPC_PROPOSE, handle, seen), 0, "with a handler");
	is_int(rpc_server_handle(s, RPC_PROPOSE, handle, seen), -EEXIST, "an operation has one handler");
	is_int(rpc_server_handle(s, RPC_SYNC, overflow, NULL), 0, "another operation");
	return s;
}

static void carries_a_request(void)
{
	struct seen seen = { .answer = -ENOENT };
	struct rpc_server *s = serve(&seen);
	struct rpc_peer *peer;
	struct rpc_reply reply;
	struct slice payload = text("a payload");

	is_int(rpc_loopback_connect(s, 5, &fake.clock, &random_system, NULL, &peer), 0, "connected");
	is_int(rpc_call(peer, RPC_PROPOSE, text("hello"), payload, 2000, &reply), 0, "the call is answered");
	is_int(reply.error, -ENOENT, "with the handler's error");
	ok(reply.body.size == 14 && memcmp(reply.body.data, "you said hello", 14) == 0, "its body");
	ok(reply.payload.size == 5 && memcmp(reply.payload.data, "bytes", 5) == 0, "and its payload");
	ok(seen.payload == payload.data && seen.payload_size == payload.size, "the handler gets the caller's payload where it lies");
	is_int(seen.deadline_ns, 2000, "and the deadline");
	is_int(seen.from_node, 5, "and who asks");
	rpc_reply_done(&reply);

	is_int(rpc_call(peer, RPC_PING, text(""), text(""), 2000, &reply), 0, "an operation without handler is answered");
	is_int(reply.error, -EOPNOTSUPP, "with -EOPNOTSUPP");
	rpc_reply_done(&reply);
	is_int(rpc_call(peer, RPC_SYNC, text(""), text(""), 2000, &reply), 0, "a handler that overflows its reply is answered");
	is_int(reply.error, -ENOBUFS, "with -ENOBUFS");
	rpc_reply_done(&reply);

	seen.count = 0;
	is_int(rpc_call(peer, RPC_PROPOSE, text(""), text(""), 1000, &reply), -ETIMEDOUT, "nothing is sent after its deadline");
	uint8_t *big = calloc(1, RPC_PAYLOAD_MAX + 1);
	is_int(rpc_call(peer, RPC_PROPOSE, text(""), (struct slice){ .data = big, .size = RPC_PAYLOAD_MAX + 1 }, 2000, &reply), -EMSGSIZE, "a payload past its bound is refused");
	is_int(rpc_call(peer, RPC_PROPOSE, (struct slice){ .data = big, .size = RPC_BODY_MAX + 1 }, text(""), 2000, &reply), -EMSGSIZE, "a body too");
	is_int(seen.count, 0, "and no handler runs");
	is_int(rpc_call(peer, RPC_PROPOSE, text(""), (struct slice){ .data = big, .size = RPC_PAYLOAD_MAX }, 2000, &reply), 0, "one of the largest size is carried");
	rpc_reply_done(&reply);
	free(big);
	rpc_peer_close(peer);
	rpc_server_free(s);
}

static void refuses_hostile_frames(void)
{
	struct seen seen = { 0 };
	struct rpc_server *s = serve(&seen);
	_cleanup_buffer_ struct buffer frame, reply;
	struct rpc_frame f = { .operation = RPC_PROPOSE, .request_id = 1, .from_node = 1, .left_ns = 5 };

	buffer_init(&frame, 1000);
	buffer_init(&reply, 100000);
	is_int(rpc_server_dispatch(s, 0, text("GET / HTTP/1.1\r\nHost: somewhere\r\nUser-Agent: something else\r\n\r\n"), &reply), -EBADMSG, "another protocol is refused");
	rpc_frame_encode(&f, text("x"), text(""), &frame);
	struct slice bytes = { .data = frame.data, .size = frame.size };
	is_int(rpc_server_dispatch(s, INT64_MAX, bytes, &reply), 0, "a frame is dispatched");
	is_int(seen.deadline_ns, INT64_MAX, "a deadline past the end of time is that");
	bytes.size--;
	is_int(rpc_server_dispatch(s, 0, bytes, &reply), -EBADMSG, "a cut frame is refused");
	buffer_reset(&frame);
	f = (struct rpc_frame){ .flags = RPC_FRAME_REPLY, .operation = RPC_PROPOSE, .request_id = 1, .from_node = 1 };
	rpc_frame_encode(&f, text("x"), text(""), &frame);
	is_int(rpc_server_dispatch(s, 0, (struct slice){ .data = frame.data, .size = frame.size }, &reply), -EBADMSG, "a reply is no request");
	buffer_reset(&frame);
	f = (struct rpc_frame){ .operation = 60000, .request_id = 1, .from_node = 1, .left_ns = 1 };
	rpc_frame_encode(&f, text("x"), text(""), &frame);
	is_int(rpc_server_dispatch(s, 0, (struct slice){ .data = frame.data, .size = frame.size }, &reply), 0, "an operation of a later version is answered");
	is_int(rpc_frame_decode_header((struct slice){ .data = reply.data, .size = reply.size }, &f), 0, "with a frame");
	is_int(f.error, -EOPNOTSUPP, "that says -EOPNOTSUPP");
	is_int(seen.count, 1, "one request was served");
	rpc_server_free(s);
}

/* Counts what 1,000 calls give under one kind of fault at 30%. */
static void faults(const char *what, struct rpc_loopback_faults faults, int lost_error, bool served_when_lost, bool twice)
{
	struct seen seen = { 0 };
	struct rpc_server *s = serve(&seen);
	struct random_seeded random;
	struct rpc_peer *peer;
	int lost = 0, other = 0;

	random_seeded_init(&random, 3);
	is_int(rpc_loopback_connect(s, 5, &fake.clock, &random.source, &faults, &peer), 0, "connected with faults");
	for (int i = 0; i < 1000; i++) {
		struct rpc_reply reply;
		int r = rpc_call(peer, RPC_PROPOSE, text("hello"), text(""), 2000, &reply);
		if (r == 0)
			rpc_reply_done(&reply);
		else if (r == lost_error)
			lost++;
		else
			other++;
	}
	is_int(other, 0, "%s: no other outcome", what);
	if (twice)
		ok(lost == 0 && seen.count > 1250 && seen.count < 1350, "%s: about 300 requests are served twice (%d)", what, seen.count - 1000);
	else
		ok(lost > 250 && lost < 350, "%s: about 300 calls are lost (%d)", what, lost);
	if (!twice)
		is_int(seen.count, served_when_lost ? 1000 : 1000 - lost, "%s: served as it should be", what);
	rpc_peer_close(peer);
	rpc_server_free(s);
}

int main(void)
{
	is_str(rpc_operation_name(RPC_PROPOSE), "propose", "operations have names");
	ok(!rpc_operation_name((enum rpc_operation)60000), "unknown ones have none");
	carries_a_request();
	refuses_hostile_frames();
	faults("dropped requests", (struct rpc_loopback_faults){ .drop_request = 300 }, -ETIMEDOUT, false, false);
	faults("dropped replies", (struct rpc_loopback_faults){ .drop_reply = 300 }, -ETIMEDOUT, true, false);
	faults("refused requests", (struct rpc_loopback_faults){ .refuse = 300 }, -ECONNRESET, false, false);
	faults("duplicated requests", (struct rpc_loopback_faults){ .duplicate = 300 }, 0, false, true);
	return done_testing();
}
