/* Encoding and strict decoding of the frame header: little endian, at fixed offsets. */
#include <assert.h>
#include <endian.h>
#include <string.h>

#include "base/crc32c.h"
#include "rpc/frame.h"
#include "rpc/rpc.h"

static const uint8_t frame_magic[4] = { 'd', 'i', 'o', 's' };

enum {
	AT_MAGIC = 0, AT_VERSION = 4, AT_FLAGS = 6, AT_OPERATION = 8, AT_RESERVED = 10, AT_ERROR = 12, AT_REQUEST_ID = 16,
	AT_FROM_NODE = 24, AT_LEFT = 32, AT_BODY_SIZE = 40, AT_PAYLOAD_SIZE = 44, AT_PAYLOAD_CRC = 48, AT_CRC = 52,
};

static void put16(uint8_t *p, uint16_t v) { v = htole16(v); memcpy(p, &v, sizeof(v)); }
static void put32(uint8_t *p, uint32_t v) { v = htole32(v); memcpy(p, &v, sizeof(v)); }
static void put64(uint8_t *p, uint64_t v) { v = htole64(v); memcpy(p, &v, sizeof(v)); }
static uint16_t get16(const uint8_t *p) { uint16_t v; memcpy(&v, p, sizeof(v)); return le16toh(v); }
static uint32_t get32(const uint8_t *p) { uint32_t v; memcpy(&v, p, sizeof(v)); return le32toh(v); }
static uint64_t get64(const uint8_t *p) { uint64_t v; memcpy(&v, p, sizeof(v)); return le64toh(v); }

int rpc_frame_encode(const struct rpc_frame *frame, struct slice body, struct slice payload, struct buffer *out)
{
	uint8_t *p;
	bool unchecked = frame->flags & RPC_FRAME_UNCHECKED;

	assert(body.size <= RPC_BODY_MAX && payload.size <= RPC_PAYLOAD_MAX);
	assert(frame->error <= 0 && frame->error >= RPC_FRAME_ERROR_MIN);
	int r = buffer_reserve(out, RPC_FRAME_HEADER_SIZE + body.size, &p);
	if (r < 0)
		return r;

	memcpy(p + AT_MAGIC, frame_magic, sizeof(frame_magic));
	put16(p + AT_VERSION, RPC_PROTOCOL_VERSION);
	put16(p + AT_FLAGS, frame->flags);
	put16(p + AT_OPERATION, frame->operation);
	put16(p + AT_RESERVED, 0);
	put32(p + AT_ERROR, (uint32_t)frame->error);
	put64(p + AT_REQUEST_ID, frame->request_id);
	put64(p + AT_FROM_NODE, frame->from_node);
	put64(p + AT_LEFT, (uint64_t)frame->left_ns);
	put32(p + AT_BODY_SIZE, (uint32_t)body.size);
	put32(p + AT_PAYLOAD_SIZE, (uint32_t)payload.size);
	put32(p + AT_PAYLOAD_CRC, unchecked ? 0 : crc32c(0, payload.data, payload.size));
	if (body.size > 0)
		memcpy(p + RPC_FRAME_HEADER_SIZE, body.data, body.size);

	uint32_t crc = crc32c(0, p, AT_CRC);
	put32(p + AT_CRC, crc32c(crc, p + RPC_FRAME_HEADER_SIZE, body.size));
	return 0;
}

int rpc_frame_decode_header(struct slice bytes, struct rpc_frame *ret_frame)
{
	const uint8_t *p = bytes.data;

	if (bytes.size < RPC_FRAME_HEADER_SIZE || memcmp(p + AT_MAGIC, frame_magic, sizeof(frame_magic)) != 0)
		return -EBADMSG;
	if (get16(p + AT_VERSION) != RPC_PROTOCOL_VERSION)
		return -EPROTONOSUPPORT;

	struct rpc_frame f = {
		.flags = get16(p + AT_FLAGS), .operation = get16(p + AT_OPERATION), .error = (int32_t)get32(p + AT_ERROR),
		.request_id = get64(p + AT_REQUEST_ID), .from_node = get64(p + AT_FROM_NODE), .left_ns = (int64_t)get64(p + AT_LEFT),
		.body_size = get32(p + AT_BODY_SIZE), .payload_size = get32(p + AT_PAYLOAD_SIZE),
		.payload_crc = get32(p + AT_PAYLOAD_CRC), .crc = get32(p + AT_CRC),
	};
	bool reply = f.flags & RPC_FRAME_REPLY;

	if ((f.flags & ~(RPC_FRAME_REPLY | RPC_FRAME_UNCHECKED)) != 0 || get16(p + AT_RESERVED) != 0)
		return -EBADMSG;
	if (reply ? f.left_ns != 0 : f.left_ns <= 0)
		return -EBADMSG;
	if (f.error > 0 || f.error < (reply ? RPC_FRAME_ERROR_MIN : 0))
		return -EBADMSG;
	if ((f.flags & RPC_FRAME_UNCHECKED) && f.payload_crc != 0)
		return -EBADMSG;
	if (f.body_size > RPC_BODY_MAX || f.payload_size > RPC_PAYLOAD_MAX)
		return -EMSGSIZE;
	*ret_frame = f;
	return 0;
}

int rpc_frame_decode(struct slice header_and_body, struct slice payload, struct rpc_frame *ret_frame, struct slice *ret_body)
{
	struct rpc_frame f;
	int r = rpc_frame_decode_header(header_and_body, &f);

	if (r < 0)
		return r;
	if (header_and_body.size - RPC_FRAME_HEADER_SIZE != f.body_size || payload.size != f.payload_size)
		return -EBADMSG;

	struct slice body = { .data = header_and_body.data + RPC_FRAME_HEADER_SIZE, .size = f.body_size };
	if (crc32c(crc32c(0, header_and_body.data, AT_CRC), body.data, body.size) != f.crc)
		return -EBADMSG;
	if (!(f.flags & RPC_FRAME_UNCHECKED) && crc32c(0, payload.data, payload.size) != f.payload_crc)
		return -EBADMSG;
	*ret_frame = f;
	*ret_body = body;
	return 0;
}

int rpc_frame_decode_whole(struct slice bytes, struct rpc_frame *ret_frame, struct slice *ret_body, struct slice *ret_payload)
{
	struct rpc_frame f;
	int r = rpc_frame_decode_header(bytes, &f);

	if (r < 0)
		return r;
	if ((f.flags & RPC_FRAME_UNCHECKED) || bytes.size - RPC_FRAME_HEADER_SIZE != (size_t)f.body_size + f.payload_size)
		return -EBADMSG;

	struct slice head = { .data = bytes.data, .size = RPC_FRAME_HEADER_SIZE + f.body_size };
	struct slice payload = { .data = bytes.data + head.size, .size = f.payload_size };
	r = rpc_frame_decode(head, payload, ret_frame, ret_body);
	if (r == 0)
		*ret_payload = payload;
	return r;
}
