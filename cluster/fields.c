/* Table-driven encoding and decoding of flat structs. */
#include <string.h>

#include "base/error.h"
#include "caps/name.h"
#include "cluster/fields.h"

#define MAP_PAIRS_MAX 256u    /* far above any struct's fields, also those of versions to come */
#define ID_SIZE 16

static uint64_t load_u64(const void *p) { uint64_t v; memcpy(&v, p, sizeof(v)); return v; }
static uint32_t load_u32(const void *p) { uint32_t v; memcpy(&v, p, sizeof(v)); return v; }

static bool all_zero(const void *p, size_t size)
{
	static const uint8_t zeros[NAME_SIZE];
	return memcmp(p, zeros, size) == 0;
}

static bool field_is_zero(const struct field *f, const void *p)
{
	switch (f->type) {
	case FIELD_U64:
	case FIELD_I64:   return load_u64(p) == 0;
	case FIELD_U32:
	case FIELD_I32:   return load_u32(p) == 0;
	case FIELD_BOOL:  return !*(const bool *)p;
	case FIELD_NAME:  return all_zero(p, NAME_SIZE);
	case FIELD_ID:    return all_zero(p, ID_SIZE);
	default:          return ((const struct slice *)p)->size == 0;
	}
}

static bool field_in_bounds(const struct field *f, const void *p)
{
	switch (f->type) {
	case FIELD_U64:   return load_u64(p) <= f->max;
	case FIELD_U32:   return load_u32(p) <= f->max;
	case FIELD_BYTES: return ((const struct slice *)p)->size <= f->max;
	default:          return true;
	}
}

static void field_encode(struct buffer *out, const struct field *f, const void *p)
{
	pack_u64(out, f->key);
	switch (f->type) {
	case FIELD_U64:   pack_u64(out, load_u64(p)); break;
	case FIELD_U32:   pack_u64(out, load_u32(p)); break;
	case FIELD_I64:   pack_i64(out, (int64_t)load_u64(p)); break;
	case FIELD_I32:   pack_i64(out, (int32_t)load_u32(p)); break;
	case FIELD_BOOL:  pack_bool(out, *(const bool *)p); break;
	case FIELD_NAME:  pack_bytes(out, p, NAME_SIZE); break;
	case FIELD_ID:    pack_bytes(out, p, ID_SIZE); break;
	default:          pack_bytes(out, ((const struct slice *)p)->data, ((const struct slice *)p)->size);
	}
}

int fields_encode(struct buffer *out, const void *object, const struct field *fields, size_t count, uint32_t extra)
{
	const uint8_t *base = object;
	uint32_t present = 0;

	for (size_t i = 0; i < count; i++) {
		if (!field_in_bounds(&fields[i], base + fields[i].offset))
			return -EINVAL;
		present += !field_is_zero(&fields[i], base + fields[i].offset);
	}
	pack_map(out, present + extra);
	for (size_t i = 0; i < count; i++) {
		if (!field_is_zero(&fields[i], base + fields[i].offset))
			field_encode(out, &fields[i], base + fields[i].offset);
	}
	return 0;
}

static void decode_fixed(struct unpacker *u, void *p, size_t size)
{
	struct slice bytes = unpack_bytes(u, size);

	if (bytes.size != size)
		unpacker_fail(u, -EBADMSG);
	else
		memcpy(p, bytes.data, size);
}

static void field_decode(struct unpacker *u, const struct field *f, void *p)
{
	switch (f->type) {
	case FIELD_U64: {
		uint64_t v = unpack_u64(u, f->max);
		memcpy(p, &v, sizeof(v));
		break;
	}
	case FIELD_U32: {
		uint32_t v = (uint32_t)unpack_u64(u, f->max);
		memcpy(p, &v, sizeof(v));
		break;
	}
	case FIELD_I64: {
		int64_t v = unpack_i64(u);
		memcpy(p, &v, sizeof(v));
		break;
	}
	case FIELD_I32: {
		int64_t v = unpack_i64(u);
		if (v < INT32_MIN || v > INT32_MAX)
			unpacker_fail(u, -EBADMSG);
		else
			memcpy(p, &(int32_t){ (int32_t)v }, sizeof(int32_t));
		break;
	}
	case FIELD_BOOL:
		*(bool *)p = unpack_bool(u);
		break;
	case FIELD_NAME:
		decode_fixed(u, p, NAME_SIZE);
		break;
	case FIELD_ID:
		decode_fixed(u, p, ID_SIZE);
		break;
	default:
		*(struct slice *)p = unpack_bytes(u, (size_t)f->max);
	}
}

static const struct field *field_find(const struct field *fields, size_t count, uint64_t key)
{
	for (size_t i = 0; i < count; i++) {
		if (fields[i].key == key)
			return &fields[i];
	}
	return NULL;
}

void fields_decode(struct unpacker *u, void *object, const struct field *fields, size_t count,
	bool (*extra)(void *arg, uint64_t key, struct unpacker *u), void *arg)
{
	uint32_t pairs = unpack_map(u, MAP_PAIRS_MAX);
	uint64_t last = 0;

	for (uint32_t i = 0; i < pairs && u->error == 0; i++) {
		uint64_t key = unpack_u64(u, UINT64_MAX);
		if (i > 0 && key <= last) {
			unpacker_fail(u, -EBADMSG);
			return;
		}
		last = key;
		const struct field *f = field_find(fields, count, key);
		if (f)
			field_decode(u, f, (uint8_t *)object + f->offset);
		else if (key < FIELD_KEY_EXTRA || !extra || !extra(arg, key, u))
			unpack_skip(u);
	}
}
