/* The bytes of a log segment, as in docs/DISK_FORMAT.md: a header in the first sector, then records, each beginning at a
 * multiple of 64 bytes. No I/O.
 *
 * A record is valid only at its own offset of its own segment in this life of the segment: sequence number and offset are
 * in it, and its checksum is salted with a random number that only the header has. So neither old bytes of a recycled
 * segment nor bytes that a user made look like a record ever parse. */
#ifndef DIOS_STORE_LOG_FORMAT_H
#define DIOS_STORE_LOG_FORMAT_H

#include <stdbool.h>
#include "base/buffer.h"

#define LOG_FORMAT_VERSION 1
#define LOG_HEADER_SIZE 64u          /* bytes of a segment's header in use */
#define LOG_DATA_START 512u          /* where records begin: the header has a sector of its own, which is written whole or not */
#define LOG_RECORD_SIZE 64u          /* bytes of a record's header; records are padded to a multiple of it */
#define LOG_STATE_SIZE 16u           /* bytes of a LOG_STATE record's data */

enum log_kind {
	LOG_ENTRY = 1,   /* a Raft entry; at or below the last index it first cuts the tail there */
	LOG_STATE = 2,   /* a group's base (index, term) and, as data, its term and vote */
	LOG_CUT = 3,     /* the group's entries from index on are gone */
	LOG_START = 4,   /* the first of each segment: the log goes on here, after offset `term` of segment `index` (0, 0: nothing before) */
	LOG_MARK = 5,    /* says only how far the log was synced */
};

struct log_position { uint64_t seq; uint32_t offset; };

struct log_segment_header {
	uint64_t seq;                    /* of this life of the segment; grows */
	uint64_t tail_seq;               /* the oldest segment that was needed when the header was written */
	uint64_t salt;
	uint32_t size;                   /* bytes */
	uint64_t owner;                  /* struct disk's; 0: not known */
	struct log_position synced;      /* as in a record: what older segments held is gone because this much is safe */
};

struct log_record {
	enum log_kind kind;
	uint32_t group;
	uint64_t index, term;
	uint16_t type;
	struct log_position synced;      /* all of the log before it was on stable storage when this was written */
	struct slice data;
};

/* Bytes that a record takes in its segment. */
static inline uint64_t log_record_space(uint64_t data_size)
{
	return (LOG_RECORD_SIZE + data_size + LOG_RECORD_SIZE - 1) / LOG_RECORD_SIZE * LOG_RECORD_SIZE;
}

static inline bool log_position_before(struct log_position a, struct log_position b)
{
	return a.seq < b.seq || (a.seq == b.seq && a.offset < b.offset);
}

void log_header_encode(const struct log_segment_header *h, uint8_t out[LOG_HEADER_SIZE]);
/* 0, -EBADMSG, -ENOTSUP (a newer version), or -ENODATA: all zeros, a segment that was never used. */
int log_header_decode(const uint8_t in[LOG_HEADER_SIZE], struct log_segment_header *ret_header);
/* The record's header; its data follows, then zeros up to log_record_space(). */
void log_record_encode(const struct log_record *record, uint64_t seq, uint64_t salt, uint32_t offset, uint8_t out[LOG_RECORD_SIZE]);
/* The record at `offset` of the segment; bytes[size] begins there and ends with the segment. Data is borrowed from bytes.
 * -EBADMSG if there is none. */
int log_record_decode(const uint8_t *bytes, size_t size, uint64_t seq, uint64_t salt, uint32_t offset, struct log_record *ret_record);

#endif
