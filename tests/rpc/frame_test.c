/* The frame: its bytes, written out here (checksums from an independent implementation), and the strict decoder. */
#include <endian.h>

#include "base/crc32c.h"
#include "rpc/frame.h"
#include "rpc/rpc.h"
#include "tests/tap.h"

static const uint8_t golden[] = {
	'd', 'i', 'o', 's', 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
	8, 7, 6, 5, 4, 3, 2, 1, 42, 0, 0, 0, 0, 0, 0, 0,
	0x00, 0x2f, 0x68, 0x59, 0, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0,
	0x70, 0x69, 0xe3, 0xf4, 0xbe, 0x04, 0x41, 0xe0,
	0x91, 0xc3, 'p', 'a', 'y', 'l', 'o', 'a', 'd',
};
#define HEAD_SIZE (RPC_FRAME_HEADER_SIZE + 2)

static struct slice slice_of(const void *data, size_t size) { return (struct slice){ .data = data, .size = size }; }

static int decode(const uint8_t *bytes, size_t size, struct rpc_frame *f)
{
	struct slice body, payload;
	return rpc_frame_decode_whole(slice_of(bytes, size), f, &body, &payload);
}

static void encodes_the_golden_frame(void)
{
	_cleanup_buffer_ struct buffer out;
	struct rpc_frame f = { .operation = 1, .request_id = 0x0102030405060708, .from_node = 42, .left_ns = 1500000000 };

	buffer_init(&out, 1000);
	is_int(rpc_frame_encode(&f, slice_of("\x91\xc3", 2), slice_of("payload", 7), &out), 0, "a request is encoded");
	is_int(out.size, HEAD_SIZE, "header and body, without the payload");
	is_mem(out.data, golden, HEAD_SIZE, "byte for byte as documented");
}

static void decodes_the_golden_frame(void)
{
	struct rpc_frame f;
	struct slice body, payload;

	is_int(rpc_frame_decode_whole(slice_of(golden, sizeof(golden)), &f, &body, &payload), 0, "the golden frame decodes");
	is_int(f.operation, 1, "operation");
	is_int(f.request_id, 0x0102030405060708, "request id");
	is_int(f.from_node, 42, "node");
	is_int(f.left_ns, 1500000000, "time left");
	ok(body.data == golden + RPC_FRAME_HEADER_SIZE && body.size == 2, "the body is borrowed");
	ok(payload.data == golden + HEAD_SIZE && payload.size == 7, "the payload is borrowed");
}

static void refuses_every_flipped_bit_and_length(void)
{
	uint8_t bytes[sizeof(golden) + 1];
	struct rpc_frame f;
	int accepted = 0;

	for (size_t bit = 0; bit < sizeof(golden) * 8; bit++) {
		memcpy(bytes, golden, sizeof(golden));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int r = decode(bytes, sizeof(golden), &f);
		accepted += r != -EBADMSG && r != -EPROTONOSUPPORT && r != -EMSGSIZE;
	}
	is_int(accepted, 0, "no frame with one bit flipped is accepted");

	memcpy(bytes, golden, sizeof(golden));
	bytes[sizeof(golden)] = 0;
	for (size_t size = 0; size <= sizeof(bytes); size++)
		accepted += size != sizeof(golden) && decode(bytes, size, &f) != -EBADMSG;
	is_int(accepted, 0, "no shorter or longer frame is accepted");
}

static void seal(uint8_t *bytes)
{
	uint32_t crc = htole32(crc32c(crc32c(0, bytes, 52), bytes + RPC_FRAME_HEADER_SIZE, 2));
	memcpy(bytes + 52, &crc, sizeof(crc));
}

/* What a peer that computes its checksums right may still send. */
static void refuses_well_sealed_nonsense(void)
{
	static const struct { const char *what; size_t at; uint8_t value; int error; } cases[] = {
		{ "another protocol version", 4, 2, -EPROTONOSUPPORT },
		{ "an unknown flag", 6, 4, -EBADMSG },
		{ "an unchecked payload on a network", 6, RPC_FRAME_UNCHECKED, -EBADMSG },
		{ "a reply with time left", 6, RPC_FRAME_REPLY, -EBADMSG },
		{ "a reserved byte", 10, 1, -EBADMSG },
		{ "a request with an error", 12, 1, -EBADMSG },
		{ "a negative time left", 39, 0x80, -EBADMSG },
		{ "a body past its bound", 42, 2, -EMSGSIZE },
		{ "a payload past its bound", 47, 1, -EMSGSIZE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t bytes[sizeof(golden)];
		struct rpc_frame f;
		memcpy(bytes, golden, sizeof(golden));
		bytes[cases[i].at] = cases[i].value;
		seal(bytes);
		is_int(decode(bytes, sizeof(bytes), &f), cases[i].error, "refused: %s", cases[i].what);
	}

	uint8_t bytes[sizeof(golden)];
	struct rpc_frame f;
	memcpy(bytes, golden, sizeof(golden));
	memset(bytes + 32, 0, 8);
	seal(bytes);
	is_int(decode(bytes, sizeof(bytes), &f), -EBADMSG, "refused: no time left");
}

static void replies_carry_errors(void)
{
	_cleanup_buffer_ struct buffer out;
	struct rpc_frame f = { .flags = RPC_FRAME_REPLY, .operation = 3, .error = -ENOENT, .request_id = 9, .from_node = 1 }, got;

	buffer_init(&out, 1000);
	is_int(rpc_frame_encode(&f, slice_of(NULL, 0), slice_of(NULL, 0), &out), 0, "a reply without body is encoded");
	is_int(decode(out.data, out.size, &got), 0, "and decodes");
	is_int(got.error, -ENOENT, "with its error");
}

int main(void)
{
	encodes_the_golden_frame();
	decodes_the_golden_frame();
	refuses_every_flipped_bit_and_length();
	refuses_well_sealed_nonsense();
	replies_carry_errors();
	return done_testing();
}
