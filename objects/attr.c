/* Attributes and extended attributes, as users see them: the applied record with what is not committed yet laid over. */
#include "objects/object.h"

#include <string.h>

/* Bytes that go over others take no more room, so no more is counted than the blob can have. Some hole may be filled by them, so no less
 * than there was and something: a file that has data and no blocks would be taken for a hole by those who copy it. */
static uint64_t blocks_now(const struct object *o)
{
	uint64_t sectors = BLOCK_SIZE / 512, most = (o->size_now + BLOCK_SIZE - 1) / BLOCK_SIZE * sectors;
	if (o->record.place == PLACE_INLINE && !o->moving) return (o->size_now + 511) / 512;
	uint64_t dirty = (o->staged_bytes + o->tail_bytes + BLOCK_SIZE - 1) / BLOCK_SIZE * sectors;
	uint64_t committed = o->record.place == PLACE_INLINE ? 0 : o->record.blocks;
	return committed + dirty < most ? committed + dirty : most > committed ? most : committed;
}

void object_attributes(struct object *o, struct attributes *ret)
{
	ret->record = o->record;
	ret->dirty_bytes = 0;
	ret->written = o->pass_writers > 0;
	ret->lease = o->lease;
	if (o->record.kind == KIND_STREAM) stream_attributes(o, &ret->record);
	if (o->record.in_place) o->told = (struct disk_stat){ .size = o->record.size, .blocks = o->record.blocks, .mtime_ns = o->record.mtime_ns };
	if (!o->is_dirty) return;
	ret->record.size = o->size_now;
	ret->record.mtime_ns = o->mtime_now_ns;
	if (ret->record.ctime_ns < o->mtime_now_ns) ret->record.ctime_ns = o->mtime_now_ns;
	ret->dirty_bytes = o->staged_bytes + o->tail_bytes;
	ret->record.blocks = blocks_now(o);
}

int object_get(struct objects *os, uint64_t ino, struct attributes *ret)
{
	struct object *o;
	int r = object_acquire(os, ino, &o);
	if (r < 0) return r;
	object_attributes(o, ret);
	object_release(o);
	return 0;
}

int object_find(struct objects *os, const struct name *name, uint64_t *ret_ino)
{
	uint64_t ino;
	struct object *o;
	int r = state_find_name(cluster_state(os->cluster, ROOT_INO), name, &ino);
	if (r == 0) r = object_acquire(os, ino, &o);
	if (r < 0) return r;
	/* What has no link left and is open nowhere only waits to be freed; what one delete ends has no name from then on. */
	if (o->record.orphan && (o->opens == 0 || o->record.lifecycle == LIFECYCLE_SINGLE_DELETE)) r = -ENOENT;
	object_release(o);
	if (r == 0) *ret_ino = ino;
	return r;
}

int object_lookup(struct objects *os, uint64_t parent, const char *entry, size_t size, struct attributes *ret)
{
	uint64_t ino;
	int r = state_lookup(cluster_state(os->cluster, parent), parent, entry, size, &ino);
	return r < 0 ? r : object_get(os, ino, ret);
}

static int set_others(struct object *o, const struct attribute_change *change)
{
	/* The two tables of bits are the same but for the size, which is not a command of its own. */
	_Static_assert(SET_MODE == 1 && SET_GID == 4 && SET_SIZE == 8, "bits");
	uint32_t mask = (change->mask & (SET_MODE | SET_UID | SET_GID));
	if (change->mask & SET_ATIME) mask |= ATTR_ATIME;
	if (change->mask & SET_MTIME) mask |= ATTR_MTIME;
	if (change->mask & SET_KILL_PRIVILEGE) mask |= ATTR_KILL_PRIVILEGE;
	if (change->mask & SET_REPLICAS) mask |= ATTR_REPLICAS;
	if (change->mask & SET_CONSISTENCY) mask |= ATTR_CONSISTENCY;
	if (change->mask & SET_LIFECYCLE) mask |= ATTR_LIFECYCLE;
	if (mask == 0) return 0;
	/* A time set by hand must not be overtaken by an earlier write's. */
	if ((change->mask & SET_MTIME) && o->is_dirty) {
		int r = blob_commit(o, false);
		if (r < 0) return r;
	}
	if ((change->mask & SET_MTIME) && o->record.in_place) {
		int r = in_place_set_mtime(o, change->mtime_ns);
		if (r < 0) return r;
	}
	struct command c = { .kind = COMMAND_SETATTR, .counts = true, .setattr = { .ino = o->ino, .mask = mask, .mode = change->mode, .uid = change->uid, .gid = change->gid,
		.atime_ns = change->atime_ns, .mtime_ns = change->mtime_ns, .replicas = change->replicas, .read_consistency = change->read_consistency,
		.write_consistency = change->write_consistency, .lifecycle = change->lifecycle } };
	struct result result;
	return object_propose(o->os, o, &c, false, &result);
}

int object_set(struct objects *os, uint64_t ino, const struct attribute_change *change, struct attributes *ret)
{
	struct object *o;
	int r = object_acquire(os, ino, &o);
	if (r < 0) return r;
	if (change->mask & SET_SIZE) {
		if (o->record.kind == KIND_BLOB) r = blob_resize(o, change->size);
		else if (o->record.kind == KIND_STREAM) r = 0;   /* "> stream" appends: what was written stays */
		else r = o->record.kind == KIND_DIRECTORY ? -EISDIR : -EINVAL;
	}
	if (r == 0) r = set_others(o, change);
	if (r == 0 && ret) object_attributes(o, ret);
	object_release(o);
	return r;
}

/* ---- extended attributes ----------------------------------------------------------------------------------------- */

int object_get_xattr(struct objects *os, uint64_t ino, const char *key, struct buffer *value)
{
	return state_get_xattr(cluster_state(os->cluster, ino), ino, (struct slice){ (const uint8_t *)key, strlen(key) }, value);
}

int object_list_xattrs(struct objects *os, uint64_t ino, struct buffer *names)
{
	return state_list_xattrs(cluster_state(os->cluster, ino), ino, names);
}

static int change_xattr(struct objects *os, uint64_t ino, const char *key, struct slice value, int flags, bool remove)
{
	struct object *o;
	int r = object_acquire(os, ino, &o);
	if (r < 0) return r;
	struct command c = { .kind = COMMAND_SETXATTR, .counts = true, .setxattr = { .ino = ino, .key = { (const uint8_t *)key, strlen(key) }, .value = value,
		.flags = flags, .remove = remove } };
	struct result result;
	r = object_propose(os, o, &c, false, &result);
	object_release(o);
	return r;
}

int object_set_xattr(struct objects *os, uint64_t ino, const char *key, struct slice value, int flags)
{
	if (strlen(key) > NAME_MAX_BYTES) return -ERANGE;
	if (value.size > XATTR_VALUE_MAX) return -E2BIG;
	if (!store_has_room(os->store, value.size)) return -ENOSPC;
	return change_xattr(os, ino, key, value, flags, false);
}

int object_remove_xattr(struct objects *os, uint64_t ino, const char *key)
{
	return change_xattr(os, ino, key, (struct slice){ 0 }, 0, true);
}
