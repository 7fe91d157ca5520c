/* Any bytes as a message from the network. The first byte says how: 0 mod 3: the rest is the message; 1 mod 3: the same with
 * the checksums of docs/WIRE.md put right, so that the fuzzer gets past them; 2 mod 3: that, in two parts, cut where its
 * header says, as a transport within one process hands it over. */
#include <endian.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "rpc/frame.h"
#include "rpc/rpc.h"
#include "tests/fuzz/fuzz.h"

enum { AT_FLAGS = 6, AT_BODY_SIZE = 40, AT_PAYLOAD_CRC = 48, AT_CRC = 52 };

static uint32_t get_le32(const uint8_t *p) { uint32_t v; memcpy(&v, p, sizeof(v)); return le32toh(v); }
static void put_le32(uint8_t *p, uint32_t v) { v = htole32(v); memcpy(p, &v, sizeof(v)); }

static size_t head_size(const uint8_t *bytes, size_t size)
{
	size_t body = size < RPC_FRAME_HEADER_SIZE ? 0 : get_le32(bytes + AT_BODY_SIZE);

	return size < RPC_FRAME_HEADER_SIZE || body > size - RPC_FRAME_HEADER_SIZE ? size : RPC_FRAME_HEADER_SIZE + body;
}

static void put_checksums_right(uint8_t *bytes, size_t size)
{
	size_t head = head_size(bytes, size);

	if (size < RPC_FRAME_HEADER_SIZE)
		return;
	if (!(bytes[AT_FLAGS] & RPC_FRAME_UNCHECKED))
		put_le32(bytes + AT_PAYLOAD_CRC, crc32c(0, bytes + head, size - head));
	uint32_t crc = crc32c(0, bytes, AT_CRC);
	put_le32(bytes + AT_CRC, crc32c(crc, bytes + RPC_FRAME_HEADER_SIZE, head - RPC_FRAME_HEADER_SIZE));
}

/* Serves with its own body and payload, unless the body begins with an error to give. */
static int echo(void *arg, const struct rpc_request *request, struct rpc_reply *reply)
{
	(void)arg;
	buffer_append(&reply->body, request->body.data, request->body.size);
	buffer_append(&reply->payload, request->payload.data, request->payload.size);
	return request->body.size > 0 ? -(int)request->body.data[0] : 0;
}

static struct rpc_server *server(void)
{
	static struct rpc_server *s;

	if (!s) {
		log_set_level(LOG_LEVEL_ERROR);   /* a line for each refused frame says nothing here */
		fuzz_check(rpc_server_new(1, &s) == 0);
		fuzz_check(rpc_server_handle(s, RPC_PING, echo, NULL) == 0);
		fuzz_check(rpc_server_handle(s, RPC_PROPOSE, echo, NULL) == 0);
	}
	return s;
}

static void refused_for_a_reason(int r)
{
	fuzz_check(r == -EBADMSG || r == -EPROTONOSUPPORT || r == -EMSGSIZE);
}

static void encodes_to_the_same(const struct rpc_frame *frame, struct slice body, struct slice payload, struct slice head)
{
	struct buffer out;

	buffer_init(&out, RPC_FRAME_HEADER_SIZE + RPC_BODY_MAX);
	fuzz_check(rpc_frame_encode(frame, body, payload, &out) == 0);
	fuzz_check(out.size == head.size && memcmp(out.data, head.data, head.size) == 0);
	buffer_done(&out);
}

static void refused_with_a_bit_changed(uint8_t *bytes, size_t size)
{
	struct rpc_frame frame;
	struct slice body, payload;
	size_t bit = crc32c(0, bytes, size) % (8 * size);

	bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	refused_for_a_reason(rpc_frame_decode_whole((struct slice){ bytes, size }, &frame, &body, &payload));
	bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

static void reply_is_a_frame(const struct buffer *bytes, uint64_t request_id)
{
	struct rpc_frame frame;
	struct slice body, payload;

	fuzz_check(rpc_frame_decode_whole((struct slice){ bytes->data, bytes->size }, &frame, &body, &payload) == 0);
	fuzz_check((frame.flags & RPC_FRAME_REPLY) && frame.request_id == request_id && frame.from_node == 1);
}

static void whole(uint8_t *bytes, size_t size)
{
	struct rpc_frame frame, header;
	struct slice body, payload, all = { bytes, size };
	struct buffer reply;
	int r = rpc_frame_decode_whole(all, &frame, &body, &payload), served;

	buffer_init(&reply, RPC_FRAME_HEADER_SIZE + RPC_BODY_MAX + RPC_PAYLOAD_MAX);
	served = rpc_server_dispatch(server(), 1000, all, &reply);
	if (r < 0) {
		refused_for_a_reason(r);
		fuzz_check(served == r);
	} else {
		fuzz_check(rpc_frame_decode_header(all, &header) == 0 && header.crc == frame.crc);
		fuzz_check(body.data == bytes + RPC_FRAME_HEADER_SIZE && body.size + payload.size + RPC_FRAME_HEADER_SIZE == size);
		encodes_to_the_same(&frame, body, payload, (struct slice){ bytes, size - payload.size });
		refused_with_a_bit_changed(bytes, size);
		fuzz_check(served == (frame.flags & RPC_FRAME_REPLY ? -EBADMSG : 0));
		if (served == 0)
			reply_is_a_frame(&reply, frame.request_id);
	}
	buffer_done(&reply);
}

static void in_two_parts(uint8_t *bytes, size_t size)
{
	size_t head = head_size(bytes, size);
	struct slice first = { bytes, head }, payload = { bytes + head, size - head }, body;
	struct rpc_frame frame;
	struct buffer reply;
	int r = rpc_frame_decode(first, payload, &frame, &body), served;

	buffer_init(&reply, RPC_FRAME_HEADER_SIZE + RPC_BODY_MAX + RPC_PAYLOAD_MAX);
	served = rpc_server_dispatch_split(server(), INT64_MAX - 1000, first, payload, &reply);
	if (r < 0) {
		refused_for_a_reason(r);
		fuzz_check(served == r);
	} else {
		fuzz_check(served == (frame.flags & RPC_FRAME_REPLY ? -EBADMSG : 0));
	}
	buffer_done(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	int how;

	if (size == 0)
		return 0;
	how = *data++ % 3;
	size--;
	bytes = malloc(size ? size : 1);
	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	if (how > 0)
		put_checksums_right(bytes, size);
	if (how == 2)
		in_two_parts(bytes, size);
	else
		whole(bytes, size);
	return 0;
}
