/* Structs as msgpack maps with small integer keys, driven by a table of their fields.
 *
 * Rules of the form: keys ascend; a field that is zero, false or empty is left out; an unknown key is skipped with its value, so
 * that an older reader understands what a newer writer adds. A value above its field's bound is refused at both ends: what is
 * written can be read. */
#ifndef DIOS_CLUSTER_FIELDS_H
#define DIOS_CLUSTER_FIELDS_H

#include <stddef.h>
#include "cluster/codec.h"

enum field_type { FIELD_U64, FIELD_U32 /* enums too */, FIELD_I64, FIELD_I32, FIELD_BOOL, FIELD_NAME, FIELD_ID /* 16 bytes */, FIELD_BYTES /* struct slice */ };

struct field {
	uint8_t key;              /* below FIELD_KEY_EXTRA */
	uint8_t type;
	uint16_t offset;          /* in the struct, bytes */
	uint64_t max;             /* U64, U32: largest value; BYTES: largest size */
};

#define FIELD_KEY_EXTRA 64        /* keys from here on are the struct's own: arrays and nested values */

/* The size check makes a wrong type in a table a compile error. */
#define FIELD_AT(object, member, size) (uint16_t)(offsetof(object, member) + 0 * sizeof(char[sizeof(((object *)0)->member) == (size) ? 1 : -1]))
#define F_U64(key, object, member) { key, FIELD_U64, FIELD_AT(object, member, 8), UINT64_MAX }
#define F_U32(key, object, member) { key, FIELD_U32, FIELD_AT(object, member, 4), UINT32_MAX }
#define F_ENUM(key, object, member, last) { key, FIELD_U32, FIELD_AT(object, member, 4), last }
#define F_I64(key, object, member) { key, FIELD_I64, FIELD_AT(object, member, 8), 0 }
#define F_I32(key, object, member) { key, FIELD_I32, FIELD_AT(object, member, 4), 0 }
#define F_BOOL(key, object, member) { key, FIELD_BOOL, FIELD_AT(object, member, 1), 0 }
#define F_NAME(key, object, member) { key, FIELD_NAME, FIELD_AT(object, member, 32), 0 }
#define F_ID(key, object, member) { key, FIELD_ID, FIELD_AT(object, member, 16), 0 }
#define F_BYTES(key, object, member, limit) { key, FIELD_BYTES, FIELD_AT(object, member, sizeof(struct slice)), limit }

/* Writes the map's header and the fields; `extra` more pairs, with keys from FIELD_KEY_EXTRA on, are the caller's to write after it.
 * -EINVAL: a field is above its bound, and nothing was written. Errors of the buffer stay in it. */
int fields_encode(struct buffer *out, const void *object, const struct field *fields, size_t count, uint32_t extra);

/* Reads a map into a zeroed struct. extra() (NULL: none) is called for keys from FIELD_KEY_EXTRA on with the cursor at the value: it
 * consumes the value and returns true, or returns false for a key it doesn't know. Errors are in the cursor. */
void fields_decode(struct unpacker *u, void *object, const struct field *fields, size_t count,
	bool (*extra)(void *arg, uint64_t key, struct unpacker *u), void *arg);

#endif
