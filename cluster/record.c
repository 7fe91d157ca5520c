/* The record's codec: the table below is the format. A key's number is never used again. */
#include <string.h>

#include "cluster/fields.h"
#include "cluster/record.h"

static const struct field record_fields[] = {
	F_U64(1, struct record, ino),
	F_NAME(2, struct record, name),
	F_U32(3, struct record, realm),
	F_ENUM(4, struct record, kind, KIND_SPECIAL),
	F_U32(5, struct record, mode),
	F_U32(6, struct record, uid),
	F_U32(7, struct record, gid),
	F_U32(8, struct record, nlink),
	F_U64(9, struct record, rdev),
	F_U64(10, struct record, size),
	F_U64(11, struct record, blocks),
	F_U64(12, struct record, version),
	F_I64(13, struct record, atime_ns),
	F_I64(14, struct record, mtime_ns),
	F_I64(15, struct record, ctime_ns),
	F_I64(16, struct record, btime_ns),
	F_ENUM(17, struct record, lifecycle, LIFECYCLE_IMMORTAL),
	F_U32(18, struct record, flags),
	F_ENUM(19, struct record, place, PLACE_HEAD),
	F_ENUM(20, struct record, produced, PRODUCED_FAILED),
	F_ENUM(21, struct record, read_consistency, CONSISTENCY_MUTEX),
	F_ENUM(22, struct record, write_consistency, CONSISTENCY_MUTEX),
	F_U32(23, struct record, replicas),
	F_U64(24, struct record, stage_seq),
	F_U64(25, struct record, cap_epoch),
	F_U64(26, struct record, parent),
	F_U64(27, struct record, entries),
	F_U64(28, struct record, next_cookie),
	F_U64(29, struct record, made),
	F_BOOL(30, struct record, orphan),
	F_U32(31, struct record, rows),
	F_U32(32, struct record, trims),
	F_U32(33, struct record, xattr_list_bytes),
	F_NAME(34, struct record, creator),
	F_U64(35, struct record, stream.start),
	F_U64(36, struct record, stream.end),
	F_U64(37, struct record, stream.consumed),
	F_U64(38, struct record, stream.records),
	F_U64(39, struct record, stream.limit_bytes),
	F_U64(40, struct record, stream.trim_bytes),
	F_I64(41, struct record, stream.trim_age_ns),
	F_BOOL(42, struct record, stream.trim_consumed),
	F_BOOL(43, struct record, stream.ended),
	F_BOOL(44, struct record, stream.broken),
	F_U64(45, struct record, stream.chunk),
	F_ENUM(46, struct record, task.state, TASK_LOST),
	F_I32(47, struct record, task.exit_status),
	F_I64(48, struct record, task.start_ns),
	F_I64(49, struct record, task.end_ns),
	F_NAME(50, struct record, task.job),
	F_BOOL(51, struct record, in_place),
};
#define RECORD_FIELDS (sizeof(record_fields) / sizeof(record_fields[0]))

void record_encode(const struct record *r, struct buffer *out)
{
	pack_array(out, 2);
	pack_u64(out, RECORD_VERSION);
	/* Only apply makes records, from checked commands: a value out of bounds is a bug, and must not reach the disk. */
	if (fields_encode(out, r, record_fields, RECORD_FIELDS, 0) < 0 && out->error == 0)
		out->error = -EINVAL;
}

void record_unpack(struct unpacker *u, struct record *ret_record)
{
	struct record r = { 0 };

	if (unpack_array(u, 2) != 2)
		unpacker_fail(u, -EBADMSG);
	if (unpack_u64(u, UINT64_MAX) > RECORD_VERSION)
		unpacker_fail(u, -ENOTSUP);
	fields_decode(u, &r, record_fields, RECORD_FIELDS, NULL, NULL);
	if (r.ino == 0 || r.kind == 0)
		unpacker_fail(u, -EBADMSG);
	if (u->error == 0)
		*ret_record = r;
}

int record_decode(struct slice data, struct record *ret_record)
{
	struct unpacker u;
	struct record r;

	unpacker_init(&u, data);
	record_unpack(&u, &r);
	if (unpacker_finish(&u) < 0)
		return u.error;
	*ret_record = r;
	return 0;
}
