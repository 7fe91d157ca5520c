/* The fixed header of every message, and its strict decoder. docs/WIRE.md has the layout.
 *
 * Invariants: a frame that decodes has a known version, zero reserved bytes, lengths within their bounds, and header, body
 * and payload as they were sent. Whatever arrives is checked before it is believed; nothing is read past its end. */
#ifndef DIOS_RPC_FRAME_H
#define DIOS_RPC_FRAME_H

#include "base/buffer.h"

#define RPC_FRAME_HEADER_SIZE 56u         /* bytes */
#define RPC_FRAME_ERROR_MIN (-4095)       /* replies carry 0 or a negative Linux errno */

enum {
	RPC_FRAME_REPLY = 1,              /* else a request */
	RPC_FRAME_UNCHECKED = 2,          /* no checksum over the payload: only within one process, never on a network */
};

struct rpc_frame {
	uint16_t flags;
	uint16_t operation;
	int32_t error;                    /* replies */
	uint64_t request_id;
	uint64_t from_node;
	int64_t left_ns;                  /* requests: time left to the deadline, > 0; clocks of two machines are not compared */
	uint32_t body_size, payload_size; /* bytes */
	uint32_t payload_crc;             /* CRC32C; 0 if unchecked */
	uint32_t crc;                     /* CRC32C of the header up to here, and the body */
};

/* Appends header and body. The payload follows them on the wire, and is not touched but for its checksum. Sizes and checksums are
 * filled in here. The error is the buffer's. */
int rpc_frame_encode(const struct rpc_frame *frame, struct slice body, struct slice payload, struct buffer *out);
/* Reads the header alone: how much follows. -EBADMSG: not a frame, or shorter than a header; -EPROTONOSUPPORT: another protocol
 * version; -EMSGSIZE: body or payload past its bound. Its checksum is not checked yet. */
int rpc_frame_decode_header(struct slice bytes, struct rpc_frame *ret_frame);
/* A whole message in two parts. Body borrows from header_and_body. -EBADMSG also if sizes or checksums do not fit. */
int rpc_frame_decode(struct slice header_and_body, struct slice payload, struct rpc_frame *ret_frame, struct slice *ret_body);
/* The same for one run of bytes, as a network gives it; unchecked payloads are refused. */
int rpc_frame_decode_whole(struct slice bytes, struct rpc_frame *ret_frame, struct slice *ret_body, struct slice *ret_payload);

#endif
