/* The codec of results: remembered in the state, and sent to the client. */
#include "cluster/command.h"
#include "cluster/fields.h"

#define RESULT_VERSION 1

enum { EXTRA_TOUCHED = FIELD_KEY_EXTRA, EXTRA_RECORD };

static const struct field result_fields[] = {
	F_I32(1, struct result, error),
	F_U64(2, struct result, orphaned),
	F_U64(3, struct result, offset),
};
#define RESULT_FIELDS (sizeof(result_fields) / sizeof(result_fields[0]))

void result_encode(const struct result *r, struct buffer *out)
{
	uint32_t touched = r->touched_count <= RESULT_TOUCHED_MAX ? r->touched_count : RESULT_TOUCHED_MAX;

	pack_array(out, 2);
	pack_u64(out, RESULT_VERSION);
	fields_encode(out, r, result_fields, RESULT_FIELDS, (touched > 0) + r->has_record);   /* no field has a bound: can't fail */
	if (touched > 0) {
		pack_u64(out, EXTRA_TOUCHED);
		pack_array(out, touched);
	}
	for (uint32_t i = 0; i < touched; i++)
		pack_u64(out, r->touched[i]);
	if (r->has_record) {
		pack_u64(out, EXTRA_RECORD);
		record_encode(&r->record, out);
	}
}

static bool decode_extra(void *arg, uint64_t key, struct unpacker *u)
{
	struct result *r = arg;

	switch (key) {
	case EXTRA_TOUCHED:
		r->touched_count = unpack_array(u, RESULT_TOUCHED_MAX);
		for (uint32_t i = 0; i < r->touched_count; i++)
			r->touched[i] = unpack_u64(u, UINT64_MAX);
		return true;
	case EXTRA_RECORD:
		record_unpack(u, &r->record);
		r->has_record = true;
		return true;
	default:
		return false;
	}
}

int result_decode(struct slice data, struct result *ret_result)
{
	struct result r = { 0 };
	struct unpacker u;

	unpacker_init(&u, data);
	if (unpack_array(&u, 2) != 2)
		unpacker_fail(&u, -EBADMSG);
	if (unpack_u64(&u, UINT64_MAX) > RESULT_VERSION)
		unpacker_fail(&u, -ENOTSUP);
	fields_decode(&u, &r, result_fields, RESULT_FIELDS, decode_extra, &r);
	if (unpacker_finish(&u) < 0)
		return u.error;
	*ret_result = r;
	return 0;
}
