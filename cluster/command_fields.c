/* The tables of the commands' fields: with command.def, the format. A key's number is never used again. */
#include "cluster/command_fields.h"

static const struct field fields_create[] = {
	F_U64(1, struct command_create, parent),
	F_BYTES(2, struct command_create, entry, COMMAND_ENTRY_MAX),
	F_NAME(3, struct command_create, name),
	F_ENUM(4, struct command_create, kind, KIND_SPECIAL),
	F_U32(5, struct command_create, mode),
	F_U32(6, struct command_create, uid),
	F_U32(7, struct command_create, gid),
	F_U64(8, struct command_create, rdev),
	F_BYTES(9, struct command_create, target, 2 * COMMAND_ENTRY_MAX),
	F_ENUM(10, struct command_create, lifecycle, LIFECYCLE_IMMORTAL),
	F_U32(11, struct command_create, flags),
	F_U32(12, struct command_create, replicas),
	F_ENUM(13, struct command_create, read_consistency, CONSISTENCY_MUTEX),
	F_ENUM(14, struct command_create, write_consistency, CONSISTENCY_MUTEX),
	F_NAME(15, struct command_create, creator),
	F_U64(16, struct command_create, limit_bytes),
	F_U64(17, struct command_create, trim_bytes),
	F_I64(18, struct command_create, trim_age_ns),
	F_BOOL(19, struct command_create, trim_consumed),
	F_BYTES(20, struct command_create, spec, TASK_SPEC_MAX),
	F_NAME(21, struct command_create, job),
	F_BOOL(22, struct command_create, orphan),
	F_BOOL(23, struct command_create, in_place),
};

static const struct field fields_link[] = {
	F_U64(1, struct command_link, ino),
	F_U64(2, struct command_link, parent),
	F_BYTES(3, struct command_link, entry, COMMAND_ENTRY_MAX),
};

static const struct field fields_unlink[] = {
	F_U64(1, struct command_unlink, parent),
	F_BYTES(2, struct command_unlink, entry, COMMAND_ENTRY_MAX),
	F_BOOL(3, struct command_unlink, directory),
	F_U64(4, struct command_unlink, unused),
};

static const struct field fields_rename[] = {
	F_U64(1, struct command_rename, parent),
	F_BYTES(2, struct command_rename, entry, COMMAND_ENTRY_MAX),
	F_U64(3, struct command_rename, new_parent),
	F_BYTES(4, struct command_rename, new_entry, COMMAND_ENTRY_MAX),
	F_U32(5, struct command_rename, flags),
};

static const struct field fields_setattr[] = {
	F_U64(1, struct command_setattr, ino),
	F_U32(2, struct command_setattr, mask),
	F_U32(3, struct command_setattr, mode),
	F_U32(4, struct command_setattr, uid),
	F_U32(5, struct command_setattr, gid),
	F_I64(6, struct command_setattr, atime_ns),
	F_I64(7, struct command_setattr, mtime_ns),
	F_U32(8, struct command_setattr, replicas),
	F_ENUM(9, struct command_setattr, read_consistency, CONSISTENCY_MUTEX),
	F_ENUM(10, struct command_setattr, write_consistency, CONSISTENCY_MUTEX),
	F_ENUM(11, struct command_setattr, lifecycle, LIFECYCLE_IMMORTAL),
};

static const struct field fields_setxattr[] = {
	F_U64(1, struct command_setxattr, ino),
	F_BYTES(2, struct command_setxattr, key, COMMAND_ENTRY_MAX),
	F_BYTES(3, struct command_setxattr, value, COMMAND_VALUE_MAX),
	F_I32(4, struct command_setxattr, flags),
	F_BOOL(5, struct command_setxattr, remove),
};

static const struct field fields_commit[] = {
	F_U64(1, struct command_commit, ino),
	F_BOOL(2, struct command_commit, check_version),
	F_U64(3, struct command_commit, base_version),
	F_U64(4, struct command_commit, size),
	F_I64(5, struct command_commit, mtime_ns),
	F_U64(6, struct command_commit, stage_seq),
	F_BOOL(7, struct command_commit, kill_privilege),
	F_BOOL(8, struct command_commit, to_head),
	F_U64(9, struct command_commit, tail_block),
	F_BOOL(10, struct command_commit, taken_in),
};

static const struct field fields_absorbed[] = {
	F_U64(1, struct command_absorbed, ino),
};

static const struct field fields_reap[] = { };   /* its inodes are a list */

static const struct field fields_remove[] = {
	F_U64(1, struct command_delete, ino),
};

static const struct field fields_stream_append[] = {
	F_U64(1, struct command_stream_append, ino),
	F_BYTES(2, struct command_stream_append, bytes, COMMAND_MAX),
	F_BOOL(3, struct command_stream_append, check_limit),
};

static const struct field fields_stream_update[] = {
	F_U64(1, struct command_stream_update, ino),
	F_BOOL(2, struct command_stream_update, end),
	F_BOOL(3, struct command_stream_update, broken),
	F_BOOL(4, struct command_stream_update, set_consumed),
	F_U64(5, struct command_stream_update, consumed),
	F_BOOL(6, struct command_stream_update, set_start),
	F_U64(7, struct command_stream_update, start),
	F_BOOL(8, struct command_stream_update, set_limits),
	F_U64(9, struct command_stream_update, limit_bytes),
	F_U64(10, struct command_stream_update, trim_bytes),
	F_I64(11, struct command_stream_update, trim_age_ns),
	F_BOOL(12, struct command_stream_update, trim_consumed),
};

static const struct field fields_produced[] = {
	F_U64(1, struct command_produced, ino),
	F_ENUM(2, struct command_produced, produced, PRODUCED_FAILED),
};

static const struct field fields_task_update[] = {
	F_U64(1, struct command_task_update, ino),
	F_ENUM(2, struct command_task_update, state, TASK_LOST),
	F_I32(3, struct command_task_update, exit_status),
	F_I64(4, struct command_task_update, start_ns),
	F_I64(5, struct command_task_update, end_ns),
	F_BYTES(6, struct command_task_update, stats, TASK_STATS_MAX),
};

static const struct field fields_revoke[] = {
	F_U64(1, struct command_revoke, ino),
	F_BOOL(2, struct command_revoke, whole_object),
	F_ID(3, struct command_revoke, token_id),
	F_I64(4, struct command_revoke, expiry_ns),
};

static const struct field fields_spend[] = {
	F_ID(1, struct command_spend, once_id),
	F_I64(2, struct command_spend, expiry_ns),
};

static const struct field fields_key_put[] = {
	F_U32(1, struct command_key_put, realm),
	F_U32(2, struct command_key_put, key_id),
	F_BYTES(3, struct command_key_put, sealed, KEY_SEALED_MAX),
};

static const struct field fields_realm_init[] = {
	F_U32(1, struct command_realm_init, realm),
	F_U64(2, struct command_realm_init, root),
	F_U32(3, struct command_realm_init, mode),
	F_U32(4, struct command_realm_init, uid),
	F_U32(5, struct command_realm_init, gid),
	F_NAME(6, struct command_realm_init, name),
};

static const struct field fields_client_gone[] = {
	F_U64(1, struct command_client_gone, client),
};

static const struct field fields_unseal[] = {
	F_U64(1, struct command_unseal, ino),
};

static const struct field fields_seal[] = {
	F_U64(1, struct command_seal, ino),
	F_U64(2, struct command_seal, size),
	F_I64(3, struct command_seal, mtime_ns),
	F_U64(4, struct command_seal, block),
	F_U64(5, struct command_seal, count),
	F_BYTES(6, struct command_seal, crcs, COMMAND_MAX),
	F_BYTES(7, struct command_seal, present, COMMAND_MAX),
	F_BOOL(8, struct command_seal, done),
	F_BOOL(9, struct command_seal, unchanged),
	F_BOOL(10, struct command_seal, to_inline),
	F_BYTES(11, struct command_seal, content, COMMAND_MAX),
};

static const struct field fields_quota[] = {
	F_U32(1, struct command_quota, realm),
	F_U64(2, struct command_quota, bytes),
	F_U64(3, struct command_quota, objects),
};

static const struct command_fields table[] = {
#define COMMAND(NAME, number, member) [number] = { #NAME, fields_##member, sizeof(fields_##member) / sizeof(fields_##member[0]) },
#include "cluster/command.def"
#undef COMMAND
};

const struct command_fields *command_fields_of(unsigned kind)
{
	if (kind >= sizeof(table) / sizeof(table[0]) || !table[kind].name)
		return NULL;
	return &table[kind];
}

const char *command_name(unsigned kind)
{
	const struct command_fields *f = command_fields_of(kind);
	return f ? f->name : NULL;
}
