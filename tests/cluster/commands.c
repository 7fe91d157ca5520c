/* Commands with every field set, and their comparison, field by field and without the codec's tables. */
#include <string.h>
#include <sys/stat.h>

#include "tests/cluster/commands.h"

static const uint8_t some_bytes[] = "some bytes, and a NUL \0 in them";
static const struct slice bytes = { .data = some_bytes, .size = sizeof(some_bytes) };
static const struct name name_one = { { 0, 0, 3, 4, 250, 251, 252, 253, 254, 255 } }, name_two = { { 9, 9, 9 } }, name_three = { { 1, 1 } };
static const struct command_row rows[] = {
	{ .block = 1, .bytes = { some_bytes, 5 } }, { .block = 70000, .bytes = { some_bytes, 0 } },
	{ .block = UINT64_MAX, .side = 1, .side_offset = 1ull << 40, .side_size = 4096, .side_crc = UINT32_MAX },
};
static const struct command_range holes[] = { { 0, 1 }, { 1ull << 33, UINT64_MAX } };
static const uint32_t crcs[] = { 0, 1, 0xfedcba98, 4, 5, 6, 7, 8, 9 };
static const uint8_t present[] = { 0xa5, 0x01 };
static const struct command_patch patches[] = { { 0, { some_bytes, 3 } }, { 1ull << 20, { some_bytes, 0 } } };
static const struct command_absorbed_row absorbed_rows[] = { { 1, 2 }, { 1ull << 35, 1ull << 36 } };
static const struct command_absorbed_trim absorbed_trims[] = { { 1, 2, 3 }, { 200, 300, UINT64_MAX } };
static const uint64_t inos[] = { 1, 128, 1ull << 48, UINT64_MAX };
static const uint32_t sizes[] = { 10, 20, 2 };

static void fill_create(struct command_create *c)
{
	*c = (struct command_create){ .parent = 1, .entry = bytes, .name = name_one, .kind = KIND_STREAM, .mode = S_IFREG | 0644, .uid = 1000, .gid = UINT32_MAX,
		.rdev = 1ull << 40, .target = bytes, .lifecycle = LIFECYCLE_IMMORTAL, .flags = 31, .replicas = 3, .read_consistency = CONSISTENCY_MUTEX,
		.write_consistency = CONSISTENCY_NONE, .creator = name_two, .limit_bytes = 1, .trim_bytes = 2, .trim_age_ns = INT64_MAX, .trim_consumed = true,
		.spec = bytes, .job = name_three, .orphan = true, .in_place = true };
}

static void fill_small(struct command *c)
{
	switch (c->kind) {
	case COMMAND_LINK:   c->link = (struct command_link){ .ino = 2, .parent = 1, .entry = bytes }; break;
	case COMMAND_UNLINK: c->unlink = (struct command_unlink){ .parent = 1, .entry = bytes, .directory = true, .unused = UINT64_MAX }; break;
	case COMMAND_RENAME: c->rename = (struct command_rename){ .parent = 1, .entry = bytes, .new_parent = 2, .new_entry = { some_bytes, 4 }, .flags = 3 }; break;
	case COMMAND_SETATTR:
		c->setattr = (struct command_setattr){ .ino = 2, .mask = 511, .mode = 07777, .uid = 1, .gid = 2, .atime_ns = INT64_MIN, .mtime_ns = -1, .replicas = 9,
			.read_consistency = CONSISTENCY_EVENTUAL, .write_consistency = CONSISTENCY_MUTEX, .lifecycle = LIFECYCLE_SINGLE_DELETE };
		break;
	case COMMAND_SETXATTR: c->setxattr = (struct command_setxattr){ .ino = 2, .key = { some_bytes, 4 }, .value = bytes, .flags = 2, .remove = true }; break;
	case COMMAND_DELETE:   c->remove.ino = 2; break;
	case COMMAND_PRODUCED: c->produced = (struct command_produced){ .ino = 2, .produced = PRODUCED_FAILED }; break;
	case COMMAND_TASK_UPDATE:
		c->task_update = (struct command_task_update){ .ino = 2, .state = TASK_LOST, .exit_status = INT32_MIN, .start_ns = 1, .end_ns = INT64_MAX, .stats = bytes };
		break;
	case COMMAND_REVOKE:   c->revoke = (struct command_revoke){ .ino = 2, .whole_object = true, .token_id = { 1, 2, [15] = 3 }, .expiry_ns = 5 }; break;
	case COMMAND_SPEND:    c->spend = (struct command_spend){ .once_id = { [15] = 3 }, .expiry_ns = 5 }; break;
	case COMMAND_KEY_PUT:  c->key_put = (struct command_key_put){ .realm = 1, .key_id = 2, .sealed = bytes }; break;
	case COMMAND_REALM_INIT: c->realm_init = (struct command_realm_init){ .realm = 1, .root = 1, .mode = 0755, .uid = 1, .gid = 2, .name = name_one }; break;
	case COMMAND_CLIENT_GONE: c->client_gone.client = UINT64_MAX; break;
	case COMMAND_QUOTA:    c->quota = (struct command_quota){ .realm = 1, .bytes = UINT64_MAX, .objects = 300 }; break;
	case COMMAND_UNSEAL:   c->unseal.ino = 2; break;
	case COMMAND_SEAL:
		c->seal = (struct command_seal){ .ino = 2, .size = 1ull << 50, .mtime_ns = -7, .block = 3, .count = 1ull << 40, .crcs = bytes, .present = { some_bytes, 4 },
			.done = true, .unchanged = true, .to_inline = true, .content = bytes };
		break;
	default: break;
	}
}

bool full_command(unsigned kind, struct command *c)
{
	if (!command_name(kind))
		return false;
	memset(c, 0, sizeof(*c));
	c->kind = (enum command_kind)kind;
	c->client = UINT64_MAX;
	c->seq = 300;
	c->done_below = 70000;
	c->time_ns = INT64_MAX;
	switch (c->kind) {
	case COMMAND_CREATE:
		fill_create(&c->create);
		break;
	case COMMAND_COMMIT:
		c->commit = (struct command_commit){ .ino = 2, .check_version = true, .base_version = 3, .size = 1ull << 50, .mtime_ns = -7, .stage_seq = 11, .kill_privilege = true,
			.taken_in = true, .to_head = true, .rows = rows, .row_count = 3, .holes = holes, .hole_count = 2, .tail_block = 12, .tail_crcs = crcs, .tail_count = 9, .tail_present = present,
			.patches = patches, .patch_count = 2 };
		break;
	case COMMAND_ABSORBED:
		c->absorbed = (struct command_absorbed){ .ino = 2, .rows = absorbed_rows, .row_count = 2, .trims = absorbed_trims, .trim_count = 2 };
		break;
	case COMMAND_REAP:
		c->reap = (struct command_reap){ .inos = inos, .count = 4 };
		break;
	case COMMAND_STREAM_APPEND:
		c->stream_append = (struct command_stream_append){ .ino = 2, .sizes = sizes, .count = 3, .bytes = bytes, .check_limit = true };
		break;
	case COMMAND_STREAM_UPDATE:
		c->stream_update = (struct command_stream_update){ .ino = 2, .end = true, .broken = true, .set_consumed = true, .consumed = 1, .set_start = true, .start = 2,
			.set_limits = true, .limit_bytes = 3, .trim_bytes = 4, .trim_age_ns = 5, .trim_consumed = true };
		break;
	default:
		fill_small(c);
	}
	return true;
}

static bool same_slice(struct slice a, struct slice b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

#define SAME(member) (a->member == b->member)
#define SAME_BYTES(member) same_slice(a->member, b->member)
#define SAME_ARRAY(member) (memcmp(&a->member, &b->member, sizeof(a->member)) == 0)
#define SAME_LIST(list, count) (a->count == b->count && (a->count == 0 || memcmp(a->list, b->list, a->count * sizeof(*a->list)) == 0))

static bool same_create(const struct command_create *a, const struct command_create *b)
{
	return SAME(parent) && SAME_BYTES(entry) && SAME_ARRAY(name) && SAME(kind) && SAME(mode) && SAME(uid) && SAME(gid) && SAME(rdev) && SAME_BYTES(target) &&
		SAME(lifecycle) && SAME(flags) && SAME(replicas) && SAME(read_consistency) && SAME(write_consistency) && SAME_ARRAY(creator) && SAME(limit_bytes) &&
		SAME(trim_bytes) && SAME(trim_age_ns) && SAME(trim_consumed) && SAME_BYTES(spec) && SAME_ARRAY(job) && SAME(orphan) && SAME(in_place);
}

static bool same_commit(const struct command_commit *a, const struct command_commit *b)
{
	if (!(SAME(ino) && SAME(check_version) && SAME(base_version) && SAME(size) && SAME(mtime_ns) && SAME(stage_seq) && SAME(kill_privilege) && SAME(taken_in) && SAME(to_head) &&
	      SAME(row_count) && SAME_LIST(holes, hole_count) && SAME(tail_block) && SAME_LIST(tail_crcs, tail_count) && SAME(patch_count)))
		return false;
	if (!a->tail_present != !b->tail_present || (a->tail_present && memcmp(a->tail_present, b->tail_present, (a->tail_count + 7) / 8) != 0))
		return false;
	for (uint32_t i = 0; i < a->row_count; i++) {
		if (!(SAME(rows[i].block) && SAME_BYTES(rows[i].bytes) && SAME(rows[i].side) && SAME(rows[i].side_offset) && SAME(rows[i].side_size) && SAME(rows[i].side_crc)))
			return false;
	}
	for (uint32_t i = 0; i < a->patch_count; i++) {
		if (!(SAME(patches[i].offset) && SAME_BYTES(patches[i].bytes)))
			return false;
	}
	return true;
}

static bool same_small(const struct command *a, const struct command *b)
{
	switch (a->kind) {
	case COMMAND_LINK:     return SAME(link.ino) && SAME(link.parent) && SAME_BYTES(link.entry);
	case COMMAND_UNLINK:   return SAME(unlink.parent) && SAME_BYTES(unlink.entry) && SAME(unlink.directory) && SAME(unlink.unused);
	case COMMAND_RENAME:   return SAME(rename.parent) && SAME_BYTES(rename.entry) && SAME(rename.new_parent) && SAME_BYTES(rename.new_entry) && SAME(rename.flags);
	case COMMAND_SETATTR:  return SAME(setattr.ino) && SAME(setattr.mask) && SAME(setattr.mode) && SAME(setattr.uid) && SAME(setattr.gid) && SAME(setattr.atime_ns) &&
		SAME(setattr.mtime_ns) && SAME(setattr.replicas) && SAME(setattr.read_consistency) && SAME(setattr.write_consistency) && SAME(setattr.lifecycle);
	case COMMAND_SETXATTR: return SAME(setxattr.ino) && SAME_BYTES(setxattr.key) && SAME_BYTES(setxattr.value) && SAME(setxattr.flags) && SAME(setxattr.remove);
	case COMMAND_DELETE:   return SAME(remove.ino);
	case COMMAND_PRODUCED: return SAME(produced.ino) && SAME(produced.produced);
	case COMMAND_TASK_UPDATE: return SAME(task_update.ino) && SAME(task_update.state) && SAME(task_update.exit_status) && SAME(task_update.start_ns) && SAME(task_update.end_ns) && SAME_BYTES(task_update.stats);
	case COMMAND_REVOKE:   return SAME(revoke.ino) && SAME(revoke.whole_object) && SAME_ARRAY(revoke.token_id) && SAME(revoke.expiry_ns);
	case COMMAND_SPEND:    return SAME_ARRAY(spend.once_id) && SAME(spend.expiry_ns);
	case COMMAND_KEY_PUT:  return SAME(key_put.realm) && SAME(key_put.key_id) && SAME_BYTES(key_put.sealed);
	case COMMAND_REALM_INIT: return SAME(realm_init.realm) && SAME(realm_init.root) && SAME(realm_init.mode) && SAME(realm_init.uid) && SAME(realm_init.gid) && SAME_ARRAY(realm_init.name);
	case COMMAND_CLIENT_GONE: return SAME(client_gone.client);
	case COMMAND_QUOTA:    return SAME(quota.realm) && SAME(quota.bytes) && SAME(quota.objects);
	case COMMAND_UNSEAL:   return SAME(unseal.ino);
	case COMMAND_SEAL:     return SAME(seal.ino) && SAME(seal.size) && SAME(seal.mtime_ns) && SAME(seal.block) && SAME(seal.count) && SAME_BYTES(seal.crcs) &&
		SAME_BYTES(seal.present) && SAME(seal.done) && SAME(seal.unchanged) && SAME(seal.to_inline) && SAME_BYTES(seal.content);
	default: return false;
	}
}

bool same_command(const struct command *a, const struct command *b)
{
	if (!(SAME(kind) && SAME(client) && SAME(seq) && SAME(done_below) && SAME(time_ns)))
		return false;
	switch (a->kind) {
	case COMMAND_CREATE:
		return same_create(&a->create, &b->create);
	case COMMAND_COMMIT:
		return same_commit(&a->commit, &b->commit);
	case COMMAND_ABSORBED:
		return SAME(absorbed.ino) && SAME_LIST(absorbed.rows, absorbed.row_count) && SAME_LIST(absorbed.trims, absorbed.trim_count);
	case COMMAND_REAP:
		return SAME_LIST(reap.inos, reap.count);
	case COMMAND_STREAM_APPEND:
		return SAME(stream_append.ino) && SAME_LIST(stream_append.sizes, stream_append.count) && SAME_BYTES(stream_append.bytes) && SAME(stream_append.check_limit);
	case COMMAND_STREAM_UPDATE:
		return SAME(stream_update.ino) && SAME(stream_update.end) && SAME(stream_update.broken) && SAME(stream_update.set_consumed) && SAME(stream_update.consumed) &&
			SAME(stream_update.set_start) && SAME(stream_update.start) && SAME(stream_update.set_limits) && SAME(stream_update.limit_bytes) &&
			SAME(stream_update.trim_bytes) && SAME(stream_update.trim_age_ns) && SAME(stream_update.trim_consumed);
	default:
		return same_small(a, b);
	}
}
