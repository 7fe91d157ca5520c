/* See stage_format.h. */
#include "base/crc32c.h"
#include "store/bytes.h"
#include "store/stage_format.h"

static const uint8_t header_magic[8] = "diosstg", numbers_magic[8] = "diosnum", live_magic[8] = "dioslve";

/* Offsets in a segment's header. */
enum { H_MAGIC = 0, H_VERSION = 8, H_CRC = 12, H_ID = 16, H_SIZE = 20, H_BOOT_ID = 24, H_SALT = 40, H_OWNER = 48 };
/* Offsets in a record's header. */
enum { R_CRC = 0, R_DATA_CRC = 4, R_SEGMENT = 8, R_DATA_SIZE = 12, R_INO = 16, R_SEQ = 24, R_OFFSET = 32, R_SIZE = 40, R_TIME = 48, R_KIND = 56 };
/* Offsets in the file of numbers. */
enum { N_MAGIC = 0, N_VERSION = 8, N_CRC = 12, N_RESERVED = 16, N_BOOT = 24 };
/* Offsets in a list of live segments. */
enum { L_MAGIC = 0, L_VERSION = 8, L_CRC = 12, L_START = 16, L_GENERATION = 24, L_COUNT = 32, L_IDS = 64 };

/* Over all but itself; magic, version and checksum are at the same places in both. */
static uint32_t file_crc(const uint8_t *bytes, size_t size)
{
	return crc32c(crc32c(0, bytes, H_CRC), bytes + H_CRC + 4, size - H_CRC - 4);
}

static int file_check(const uint8_t *bytes, size_t size, const uint8_t magic[8])
{
	if (memcmp(bytes, magic, 8) != 0)
		return -EBADMSG;
	/* First: each version keeps it here, so that a damaged version is told from a newer one. */
	if (get_le32(bytes + H_CRC) != file_crc(bytes, size))
		return -EBADMSG;
	return get_le32(bytes + H_VERSION) > STAGE_FORMAT_VERSION ? -ENOTSUP : 0;
}

void stage_header_encode(const struct stage_header *h, uint8_t out[STAGE_HEADER_SIZE])
{
	memset(out, 0, STAGE_HEADER_SIZE);
	memcpy(out + H_MAGIC, header_magic, sizeof(header_magic));
	put_le32(out + H_VERSION, STAGE_FORMAT_VERSION);
	put_le32(out + H_ID, h->id);
	put_le32(out + H_SIZE, h->size);
	memcpy(out + H_BOOT_ID, h->boot_id, sizeof(h->boot_id));
	put_le64(out + H_SALT, h->salt);
	put_le64(out + H_OWNER, h->owner);
	put_le32(out + H_CRC, file_crc(out, STAGE_HEADER_SIZE));
}

int stage_header_decode(const uint8_t in[STAGE_HEADER_SIZE], struct stage_header *ret_header)
{
	static const uint8_t zeros[STAGE_HEADER_SIZE];

	if (memcmp(in, zeros, STAGE_HEADER_SIZE) == 0)
		return -ENODATA;
	int r = file_check(in, STAGE_HEADER_SIZE, header_magic);
	if (r < 0)
		return r;
	struct stage_header h = { .id = get_le32(in + H_ID), .size = get_le32(in + H_SIZE), .salt = get_le64(in + H_SALT), .owner = get_le64(in + H_OWNER) };
	memcpy(h.boot_id, in + H_BOOT_ID, sizeof(h.boot_id));
	if (h.id == 0)
		return -EBADMSG;
	*ret_header = h;
	return 0;
}

static uint32_t record_crc(uint64_t salt, const uint8_t h[STAGE_RECORD_SIZE])
{
	uint8_t salt_bytes[8];

	put_le64(salt_bytes, salt);
	return crc32c(crc32c(0, salt_bytes, sizeof(salt_bytes)), h + R_DATA_CRC, STAGE_RECORD_SIZE - R_DATA_CRC);
}

void stage_record_encode(const struct stage_record *record, uint32_t id, uint64_t salt, uint32_t data_size, uint32_t data_crc, uint8_t out[STAGE_RECORD_SIZE])
{
	memset(out, 0, STAGE_RECORD_SIZE);
	put_le32(out + R_DATA_CRC, record->kind == STAGE_TAIL ? record->crc : data_crc);
	put_le32(out + R_SEGMENT, id);
	put_le32(out + R_DATA_SIZE, data_size);
	put_le64(out + R_INO, record->ino);
	put_le64(out + R_SEQ, record->seq);
	put_le64(out + R_OFFSET, record->offset);
	put_le64(out + R_SIZE, record->size);
	put_le64(out + R_TIME, (uint64_t)record->time_ns);
	out[R_KIND] = (uint8_t)record->kind;
	put_le32(out + R_CRC, record_crc(salt, out));
}

size_t stage_skip_zeros(const uint8_t *bytes, size_t size)
{
	static const uint8_t zeros[4096];
	size_t at = 0;

	while (size - at >= sizeof(zeros) && memcmp(bytes + at, zeros, sizeof(zeros)) == 0)
		at += sizeof(zeros) - STAGE_RECORD_SIZE;
	return at;
}

int stage_record_decode(const uint8_t in[STAGE_RECORD_SIZE], uint32_t id, uint64_t salt, struct stage_record *ret_record, uint32_t *ret_data_size, uint32_t *ret_data_crc)
{
	if (get_le32(in + R_SEGMENT) != id || get_le32(in + R_CRC) != record_crc(salt, in))
		return -EBADMSG;
	struct stage_record r = { .ino = get_le64(in + R_INO), .seq = get_le64(in + R_SEQ), .kind = in[R_KIND], .offset = get_le64(in + R_OFFSET),
		.size = get_le64(in + R_SIZE), .time_ns = (int64_t)get_le64(in + R_TIME) };
	uint32_t data_size = get_le32(in + R_DATA_SIZE);
	if (r.kind < STAGE_DATA || r.kind > STAGE_SIZE || data_size > STAGE_RECORD_MAX || data_size != (r.kind == STAGE_DATA ? r.size : 0))
		return -EBADMSG;
	*ret_data_size = data_size;
	*ret_data_crc = get_le32(in + R_DATA_CRC);
	if (r.kind == STAGE_TAIL) {
		r.crc = *ret_data_crc;
		*ret_data_crc = 0;   /* of no bytes */
	}
	*ret_record = r;
	return 0;
}

uint64_t stage_boot_mark(const uint8_t boot_id[16])
{
	uint64_t mark = get_le64(boot_id) ^ get_le64(boot_id + 8);

	return mark ? mark : 1;
}

void stage_numbers_encode(uint64_t reserved, uint64_t boot, uint8_t out[STAGE_NUMBERS_SIZE])
{
	memset(out, 0, STAGE_NUMBERS_SIZE);
	memcpy(out + N_MAGIC, numbers_magic, sizeof(numbers_magic));
	put_le32(out + N_VERSION, STAGE_FORMAT_VERSION);
	put_le64(out + N_RESERVED, reserved);
	put_le64(out + N_BOOT, boot);
	put_le32(out + N_CRC, file_crc(out, STAGE_NUMBERS_SIZE));
}

int stage_numbers_decode(const uint8_t in[STAGE_NUMBERS_SIZE], uint64_t *ret_reserved, uint64_t *ret_boot)
{
	int r = file_check(in, STAGE_NUMBERS_SIZE, numbers_magic);

	if (r == 0) {
		*ret_reserved = get_le64(in + N_RESERVED);
		*ret_boot = get_le64(in + N_BOOT);
	}
	return r;
}

void stage_live_encode(const struct stage_live *live, uint8_t out[STAGE_LIVE_SIZE])
{
	memset(out, 0, STAGE_LIVE_SIZE);
	memcpy(out + L_MAGIC, live_magic, sizeof(live_magic));
	put_le32(out + L_VERSION, STAGE_FORMAT_VERSION);
	put_le64(out + L_START, live->start);
	put_le64(out + L_GENERATION, live->generation);
	put_le32(out + L_COUNT, live->count);
	for (uint32_t i = 0; i < live->count && i < STAGE_LIVE_MAX; i++)
		put_le32(out + L_IDS + 4 * (size_t)i, live->ids[i]);
	put_le32(out + L_CRC, file_crc(out, STAGE_LIVE_SIZE));
}

int stage_live_decode(const uint8_t in[STAGE_LIVE_SIZE], struct stage_live *ret_live)
{
	int r = file_check(in, STAGE_LIVE_SIZE, live_magic);

	if (r < 0)
		return r;
	*ret_live = (struct stage_live){ .start = get_le64(in + L_START), .generation = get_le64(in + L_GENERATION), .count = get_le32(in + L_COUNT) };
	for (uint32_t i = 0; i < ret_live->count && i < STAGE_LIVE_MAX; i++)
		ret_live->ids[i] = get_le32(in + L_IDS + 4 * (size_t)i);
	return 0;
}
