/* The msgpack reader and writer. Invariant of the reader: next <= end, and after an error next == end. */
#include <assert.h>
#include <msgpack/pack.h>

#include "base/error.h"
#include "cluster/codec.h"

/* First bytes of the msgpack format (its specification calls them formats). */
enum {
	FORMAT_FIXMAP = 0x80, FORMAT_FIXARRAY = 0x90, FORMAT_FIXSTR = 0xa0, FORMAT_NIL = 0xc0, FORMAT_UNUSED = 0xc1,
	FORMAT_FALSE = 0xc2, FORMAT_TRUE = 0xc3, FORMAT_BIN8 = 0xc4, FORMAT_BIN32 = 0xc6, FORMAT_EXT8 = 0xc7, FORMAT_EXT32 = 0xc9,
	FORMAT_FLOAT32 = 0xca, FORMAT_FLOAT64 = 0xcb, FORMAT_UINT8 = 0xcc, FORMAT_UINT64 = 0xcf, FORMAT_INT8 = 0xd0,
	FORMAT_INT64 = 0xd3, FORMAT_FIXEXT1 = 0xd4, FORMAT_FIXEXT16 = 0xd8, FORMAT_STR8 = 0xd9, FORMAT_STR32 = 0xdb,
	FORMAT_ARRAY16 = 0xdc, FORMAT_ARRAY32 = 0xdd, FORMAT_MAP16 = 0xde, FORMAT_MAP32 = 0xdf, FORMAT_NEGATIVE_FIXINT = 0xe0,
};

static int write_to_buffer(void *arg, const char *data, size_t size)
{
	return buffer_append(arg, data, size);
}

static msgpack_packer packer_for(struct buffer *out)
{
	return (msgpack_packer){ .data = out, .callback = write_to_buffer };
}

void pack_array(struct buffer *out, uint32_t count)
{
	msgpack_packer p = packer_for(out);
	msgpack_pack_array(&p, count);
}

void pack_map(struct buffer *out, uint32_t count)
{
	msgpack_packer p = packer_for(out);
	msgpack_pack_map(&p, count);
}

void pack_u64(struct buffer *out, uint64_t value)
{
	msgpack_packer p = packer_for(out);
	msgpack_pack_uint64(&p, value);
}

void pack_i64(struct buffer *out, int64_t value)
{
	msgpack_packer p = packer_for(out);
	msgpack_pack_int64(&p, value);
}

void pack_bool(struct buffer *out, bool value)
{
	msgpack_packer p = packer_for(out);
	if (value)
		msgpack_pack_true(&p);
	else
		msgpack_pack_false(&p);
}

void pack_bytes(struct buffer *out, const void *data, size_t size)
{
	msgpack_packer p = packer_for(out);

	assert(size <= UINT32_MAX);
	msgpack_pack_bin(&p, size);
	if (size > 0)
		msgpack_pack_bin_body(&p, data, size);
}

uint8_t *pack_bytes_space(struct buffer *out, size_t size)
{
	msgpack_packer p = packer_for(out);
	uint8_t *space;

	assert(size <= UINT32_MAX);
	msgpack_pack_bin(&p, size);
	return buffer_reserve(out, size, &space) < 0 ? NULL : space;
}

void unpacker_init(struct unpacker *u, struct slice data)
{
	static const uint8_t nothing[1];   /* an empty slice may have no address, and NULL + 0 is undefined */
	const uint8_t *start = data.size > 0 ? data.data : nothing;

	*u = (struct unpacker){ .next = start, .end = start + data.size };
}

int unpacker_fail(struct unpacker *u, int error)
{
	assert(error < 0);
	if (u->error == 0)
		u->error = error;
	u->next = u->end;
	return u->error;
}

/* The next `size` bytes, or NULL and an error. */
static const uint8_t *take(struct unpacker *u, size_t size)
{
	if (size > unpacker_left(u)) {
		unpacker_fail(u, -EBADMSG);
		return NULL;
	}
	const uint8_t *p = u->next;
	u->next += size;
	return p;
}

/* The format byte of the next value; FORMAT_UNUSED, which no value has, at the end of the input. */
static uint8_t take_format(struct unpacker *u)
{
	const uint8_t *p = take(u, 1);
	return p ? *p : FORMAT_UNUSED;
}

static uint64_t take_big_endian(struct unpacker *u, size_t size)
{
	const uint8_t *p = take(u, size);
	uint64_t value = 0;

	for (size_t i = 0; p && i < size; i++)
		value = value << 8 | p[i];
	return value;
}

static uint64_t wrong(struct unpacker *u)
{
	unpacker_fail(u, -EBADMSG);
	return 0;
}

/* A count of elements of at least `element_size` bytes each, which must be there. */
static uint32_t bounded(struct unpacker *u, uint64_t count, uint32_t max, size_t element_size)
{
	if (count > max || count > unpacker_left(u) / element_size)
		return (uint32_t)wrong(u);
	return (uint32_t)count;
}

uint32_t unpack_array(struct unpacker *u, uint32_t max)
{
	uint8_t format = take_format(u);

	if ((format & 0xf0) == FORMAT_FIXARRAY)
		return bounded(u, format & 0x0f, max, 1);
	if (format == FORMAT_ARRAY16 || format == FORMAT_ARRAY32)
		return bounded(u, take_big_endian(u, format == FORMAT_ARRAY16 ? 2 : 4), max, 1);
	return (uint32_t)wrong(u);
}

uint32_t unpack_map(struct unpacker *u, uint32_t max)
{
	uint8_t format = take_format(u);

	if ((format & 0xf0) == FORMAT_FIXMAP)
		return bounded(u, format & 0x0f, max, 2);
	if (format == FORMAT_MAP16 || format == FORMAT_MAP32)
		return bounded(u, take_big_endian(u, format == FORMAT_MAP16 ? 2 : 4), max, 2);
	return (uint32_t)wrong(u);
}

uint64_t unpack_u64(struct unpacker *u, uint64_t max)
{
	uint8_t format = take_format(u);
	uint64_t value;

	if (format < FORMAT_FIXMAP)
		value = format;
	else if (format >= FORMAT_UINT8 && format <= FORMAT_UINT64)
		value = take_big_endian(u, 1u << (format - FORMAT_UINT8));
	else
		return wrong(u);
	return value > max ? wrong(u) : value;
}

int64_t unpack_i64(struct unpacker *u)
{
	uint8_t format = u->next < u->end ? *u->next : FORMAT_UNUSED;

	if (format < FORMAT_FIXMAP || (format >= FORMAT_UINT8 && format <= FORMAT_UINT64))
		return (int64_t)unpack_u64(u, INT64_MAX);
	take_format(u);
	if (format >= FORMAT_NEGATIVE_FIXINT)
		return (int8_t)format;
	switch (format) {
	case FORMAT_INT8:     return (int8_t)take_big_endian(u, 1);
	case FORMAT_INT8 + 1: return (int16_t)take_big_endian(u, 2);
	case FORMAT_INT8 + 2: return (int32_t)take_big_endian(u, 4);
	case FORMAT_INT64:    return (int64_t)take_big_endian(u, 8);
	default:              return (int64_t)wrong(u);
	}
}

bool unpack_bool(struct unpacker *u)
{
	uint8_t format = take_format(u);

	if (format != FORMAT_TRUE && format != FORMAT_FALSE)
		wrong(u);
	return format == FORMAT_TRUE;
}

struct slice unpack_bytes(struct unpacker *u, size_t max)
{
	uint8_t format = take_format(u);

	if (format < FORMAT_BIN8 || format > FORMAT_BIN32) {
		wrong(u);
		return (struct slice){ 0 };
	}
	uint64_t size = take_big_endian(u, 1u << (format - FORMAT_BIN8));
	if (size > max) {
		wrong(u);
		return (struct slice){ 0 };
	}
	const uint8_t *p = take(u, size);
	return p ? (struct slice){ .data = p, .size = size } : (struct slice){ 0 };
}

/* Steps over one value's header and its own bytes; returns how many values are nested in it. */
static uint64_t skip_one(struct unpacker *u)
{
	uint8_t format = take_format(u);

	if (format < FORMAT_FIXMAP || format >= FORMAT_NEGATIVE_FIXINT)
		return 0;
	if (format < FORMAT_FIXARRAY)
		return 2u * (format & 0x0fu);
	if (format < FORMAT_FIXSTR)
		return format & 0x0f;
	if (format < FORMAT_NIL)
		take(u, format & 0x1f);
	else if (format >= FORMAT_BIN8 && format <= FORMAT_BIN32)
		take(u, take_big_endian(u, 1u << (format - FORMAT_BIN8)));
	else if (format >= FORMAT_EXT8 && format <= FORMAT_EXT32)
		take(u, take_big_endian(u, 1u << (format - FORMAT_EXT8)) + 1);   /* and the type's byte */
	else if (format == FORMAT_FLOAT32 || format == FORMAT_FLOAT64)
		take(u, format == FORMAT_FLOAT32 ? 4 : 8);
	else if (format >= FORMAT_UINT8 && format <= FORMAT_UINT64)
		take(u, 1u << (format - FORMAT_UINT8));
	else if (format >= FORMAT_INT8 && format <= FORMAT_INT64)
		take(u, 1u << (format - FORMAT_INT8));
	else if (format >= FORMAT_FIXEXT1 && format <= FORMAT_FIXEXT16)
		take(u, (1u << (format - FORMAT_FIXEXT1)) + 1);
	else if (format >= FORMAT_STR8 && format <= FORMAT_STR32)
		take(u, take_big_endian(u, 1u << (format - FORMAT_STR8)));
	else if (format == FORMAT_ARRAY16 || format == FORMAT_ARRAY32)
		return take_big_endian(u, format == FORMAT_ARRAY16 ? 2 : 4);
	else if (format == FORMAT_MAP16 || format == FORMAT_MAP32)
		return 2 * take_big_endian(u, format == FORMAT_MAP16 ? 2 : 4);
	else if (format == FORMAT_UNUSED)
		wrong(u);
	return 0;
}

void unpack_skip(struct unpacker *u)
{
	/* Values still to step over. Each takes a byte at least, so a count above what is left is a lie. */
	for (uint64_t pending = 1; pending > 0 && u->error == 0; pending--) {
		pending += skip_one(u);
		if (pending - 1 > unpacker_left(u))
			wrong(u);
	}
}

int unpacker_finish(struct unpacker *u)
{
	if (u->error == 0 && u->next != u->end)
		unpacker_fail(u, -EBADMSG);
	return u->error;
}
