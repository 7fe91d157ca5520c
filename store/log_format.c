/* See log_format.h. */
#include <assert.h>

#include "base/crc32c.h"
#include "store/bytes.h"
#include "store/log_format.h"

static const uint8_t magic[8] = "dioslog";

/* Offsets in a segment's header. */
enum { H_MAGIC = 0, H_VERSION = 8, H_CRC = 12, H_SEQ = 16, H_TAIL_SEQ = 24, H_SALT = 32, H_SIZE = 40, H_SYNCED_OFFSET = 44,
	H_SYNCED_SEQ = 48, H_OWNER = 56 };
/* Offsets in a record's header. */
enum { R_CRC = 0, R_DATA_CRC = 4, R_SIZE = 8, R_GROUP = 12, R_SEQ = 16, R_INDEX = 24, R_TERM = 32, R_SYNCED_SEQ = 40,
	R_SYNCED_OFFSET = 48, R_OFFSET = 52, R_TYPE = 56, R_KIND = 58, R_ZERO = 59 };

static uint32_t header_crc(const uint8_t h[LOG_HEADER_SIZE])
{
	return crc32c(crc32c(0, h, H_CRC), h + H_CRC + 4, LOG_HEADER_SIZE - H_CRC - 4);
}

void log_header_encode(const struct log_segment_header *h, uint8_t out[LOG_HEADER_SIZE])
{
	memset(out, 0, LOG_HEADER_SIZE);
	memcpy(out + H_MAGIC, magic, sizeof(magic));
	put_le32(out + H_VERSION, LOG_FORMAT_VERSION);
	put_le64(out + H_SEQ, h->seq);
	put_le64(out + H_TAIL_SEQ, h->tail_seq);
	put_le64(out + H_SALT, h->salt);
	put_le32(out + H_SIZE, h->size);
	put_le64(out + H_SYNCED_SEQ, h->synced.seq);
	put_le32(out + H_SYNCED_OFFSET, h->synced.offset);
	put_le64(out + H_OWNER, h->owner);
	put_le32(out + H_CRC, header_crc(out));
}

int log_header_decode(const uint8_t in[LOG_HEADER_SIZE], struct log_segment_header *ret_header)
{
	static const uint8_t zeros[LOG_HEADER_SIZE];

	if (memcmp(in, zeros, LOG_HEADER_SIZE) == 0)
		return -ENODATA;
	if (memcmp(in + H_MAGIC, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	/* First: each version keeps it here, so that a damaged version is told from a newer one. */
	if (get_le32(in + H_CRC) != header_crc(in))
		return -EBADMSG;
	if (get_le32(in + H_VERSION) > LOG_FORMAT_VERSION)
		return -ENOTSUP;
	struct log_segment_header h = { .seq = get_le64(in + H_SEQ), .tail_seq = get_le64(in + H_TAIL_SEQ), .salt = get_le64(in + H_SALT),
		.size = get_le32(in + H_SIZE), .owner = get_le64(in + H_OWNER), .synced = { get_le64(in + H_SYNCED_SEQ), get_le32(in + H_SYNCED_OFFSET) } };
	if (h.seq == 0 || h.tail_seq > h.seq || h.size < LOG_DATA_START + 2 * LOG_RECORD_SIZE || h.size % LOG_RECORD_SIZE)
		return -EBADMSG;
	*ret_header = h;
	return 0;
}

static uint32_t record_crc(uint64_t salt, const uint8_t h[LOG_RECORD_SIZE])
{
	uint8_t salt_bytes[8];

	put_le64(salt_bytes, salt);
	return crc32c(crc32c(0, salt_bytes, sizeof(salt_bytes)), h + R_DATA_CRC, LOG_RECORD_SIZE - R_DATA_CRC);
}

void log_record_encode(const struct log_record *record, uint64_t seq, uint64_t salt, uint32_t offset, uint8_t out[LOG_RECORD_SIZE])
{
	assert(offset % LOG_RECORD_SIZE == 0 && record->data.size <= UINT32_MAX);
	memset(out, 0, LOG_RECORD_SIZE);
	put_le32(out + R_DATA_CRC, crc32c(0, record->data.data, record->data.size));
	put_le32(out + R_SIZE, (uint32_t)record->data.size);
	put_le32(out + R_GROUP, record->group);
	put_le64(out + R_SEQ, seq);
	put_le64(out + R_INDEX, record->index);
	put_le64(out + R_TERM, record->term);
	put_le64(out + R_SYNCED_SEQ, record->synced.seq);
	put_le32(out + R_SYNCED_OFFSET, record->synced.offset);
	put_le32(out + R_OFFSET, offset);
	put_le16(out + R_TYPE, record->type);
	out[R_KIND] = (uint8_t)record->kind;
	put_le32(out + R_CRC, record_crc(salt, out));
}

int log_record_decode(const uint8_t *bytes, size_t size, uint64_t seq, uint64_t salt, uint32_t offset, struct log_record *ret_record)
{
	/* The cheap comparisons first: recovery tries every multiple of 64. */
	if (size < LOG_RECORD_SIZE || get_le64(bytes + R_SEQ) != seq || get_le32(bytes + R_OFFSET) != offset)
		return -EBADMSG;
	if (get_le32(bytes + R_CRC) != record_crc(salt, bytes))
		return -EBADMSG;
	struct log_record r = { .kind = bytes[R_KIND], .group = get_le32(bytes + R_GROUP), .index = get_le64(bytes + R_INDEX),
		.term = get_le64(bytes + R_TERM), .type = get_le16(bytes + R_TYPE),
		.synced = { get_le64(bytes + R_SYNCED_SEQ), get_le32(bytes + R_SYNCED_OFFSET) },
		.data = { bytes + LOG_RECORD_SIZE, get_le32(bytes + R_SIZE) } };
	if (r.kind < LOG_ENTRY || r.kind > LOG_MARK || log_record_space(r.data.size) > size)
		return -EBADMSG;
	if (r.kind != LOG_ENTRY && r.data.size != (r.kind == LOG_STATE ? LOG_STATE_SIZE : 0))
		return -EBADMSG;
	if (crc32c(0, r.data.data, r.data.size) != get_le32(bytes + R_DATA_CRC))
		return -EBADMSG;
	*ret_record = r;
	return 0;
}
