/* The tree: making, linking, removing, renaming. Each is one command in one shard; the state checks what must hold. */
#include "objects/object.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct slice entry_slice(const char *entry, size_t size) { return (struct slice){ (const uint8_t *)entry, size }; }

static int entry_check(const char *entry, size_t size)
{
	if (size == 0) return -EINVAL;
	if (size > NAME_MAX_BYTES) return -ENAMETOOLONG;
	if (memchr(entry, '/', size) || memchr(entry, '\0', size)) return -EINVAL;
	if ((size == 1 && entry[0] == '.') || (size == 2 && entry[0] == '.' && entry[1] == '.')) return -EEXIST;
	return 0;
}

/* Name and group of a new object, from its directory. */
static int prepare_create(struct objects *os, struct command_create *c)
{
	struct name zero = { { 0 } };
	bool named = !name_equal(&c->name, &zero);
	if (c->parent == 0) {
		uint16_t slot;
		/* The first six bits are the first character of the name as text: not a dash, which programs would take for an option. */
		do random_fill(cluster_random(os->cluster), &slot, sizeof(slot)); while (slot >> 10 == 62);
		if (!named) name_random(cluster_random(os->cluster), slot, &c->name);
		return 0;
	}
	struct record parent;
	int r = state_get(cluster_state(os->cluster, c->parent), c->parent, &parent);
	if (r < 0) return r;
	if (parent.kind != KIND_DIRECTORY) return -ENOTDIR;
	if (!named) name_random(cluster_random(os->cluster), ino_slot(c->parent), &c->name);
	if (parent.mode & S_ISGID) {
		c->gid = parent.gid;
		if (c->kind == KIND_DIRECTORY) c->mode |= S_ISGID;
	}
	return 0;
}

/* A direct stream's content is born with it. */
static int open_new(struct objects *os, uint64_t ino, const struct reference_options *options, struct reference **ret_reference)
{
	struct object *o;
	int r = object_acquire(os, ino, &o);
	if (r < 0) return r;
	if (o->record.flags & CREATE_STREAM_DIRECT && !o->direct) {
		o->direct = direct_stream_new(o->record.stream.limit_bytes);
		if (!o->direct) r = -ENOMEM;
	}
	if (r == 0 && ret_reference) r = reference_make(o, options, ret_reference);
	if (r < 0 || !ret_reference) object_release(o);
	else object_unlock(o);
	return r;
}

/* Answers for what an earlier daemon made. */
static int created_before(struct objects *os, const struct result *result, const struct command_create *create, uint32_t rights,
	struct reference **ret_reference, struct attributes *ret)
{
	int r = object_get(os, result->record.ino, ret);
	if (r < 0 || (!ret_reference && !(create->flags & CREATE_STREAM_DIRECT))) return r;
	return open_new(os, result->record.ino, &(struct reference_options){ .rights = rights }, ret_reference);
}

/* The name is that of a deleted object which waits to be freed. */
static bool name_waits(struct objects *os, const struct name *name)
{
	uint64_t ino;
	return state_find_name(cluster_state(os->cluster, ROOT_INO), name, &ino) == 0 && object_find(os, name, &ino) == -ENOENT;
}

static int create_object(struct objects *os, const struct command_create *create, uint32_t rights, struct reference **ret_reference, struct attributes *ret)
{
	struct command c = { .kind = COMMAND_CREATE, .counts = true, .create = *create };
	struct result result;
	int r = object_redone(os, NULL, &result);
	if (r != 0) return r < 0 ? r : created_before(os, &result, create, rights, ret_reference, ret);
	if (create->parent != 0 && !create->orphan) {
		r = entry_check((const char *)create->entry.data, create->entry.size);
		if (r < 0) return r;
	}
	if (create->target.size > SYMLINK_MAX) return -ENAMETOOLONG;
	if (!store_has_room(os->store, 0)) return -ENOSPC;
	c.create.in_place = create->in_place && store_has_room(os->store, PASS_ROOM);
	r = prepare_create(os, &c.create);
	if (r < 0) return r;
	if (create->kind == KIND_STREAM && c.create.limit_bytes == 0) c.create.limit_bytes = os->options.stream_limit_bytes;
	r = object_propose(os, NULL, &c, false, &result);
	if (r == -EEXIST && name_waits(os, &c.create.name)) {
		do r = reap_run(os); while (r > 0);
		c.client = c.seq = c.done_below = 0;   /* another command, not a retry */
		if (r == 0) r = object_propose(os, NULL, &c, false, &result);
	}
	if (r < 0) return r;
	*ret = (struct attributes){ .record = result.record };
	if (!ret_reference && !(create->flags & CREATE_STREAM_DIRECT)) return 0;
	struct reference_options options = { .rights = rights };
	return open_new(os, result.record.ino, &options, ret_reference);
}

/* Between the command and its maker's hold it looks like one that has been deleted. */
int object_create(struct objects *os, const struct command_create *create, uint32_t rights, struct reference **ret_reference, struct attributes *ret)
{
	if (!create->orphan) return create_object(os, create, rights, ret_reference, ret);
	atomic_fetch_add(&os->creating, 1);
	atomic_fetch_add(&os->creations, 1);
	int r = create_object(os, create, rights, ret_reference, ret);
	atomic_fetch_sub(&os->creating, 1);
	return r;
}

/* R7: a name that is given to an object never shows less than what was written before. */
static int commit_before(struct objects *os, uint64_t ino)
{
	struct object *o;
	int r = object_acquire(os, ino, &o);
	if (r < 0) return r;
	if (o->is_dirty) r = blob_commit(o, false);
	if (r == 0 && o->record.in_place) r = in_place_sync(o);
	object_release(o);
	return r;
}

int object_link(struct objects *os, uint64_t ino, uint64_t parent, const char *entry, size_t size, struct attributes *ret)
{
	struct result result;
	int r = object_redone(os, NULL, &result);
	if (r != 0) return r < 0 ? r : object_get(os, ino, ret);
	r = entry_check(entry, size);
	if (r == 0 && !store_has_room(os->store, size)) r = -ENOSPC;
	if (r == 0) r = commit_before(os, ino);
	if (r < 0) return r;
	struct object *o;
	r = object_acquire(os, ino, &o);
	if (r < 0) return r;
	struct command c = { .kind = COMMAND_LINK, .counts = true, .link = { .ino = ino, .parent = parent, .entry = entry_slice(entry, size) } };
	r = object_propose(os, o, &c, false, &result);
	if (r == 0) object_attributes(o, ret);
	object_release(o);
	if (r == 0) watch_fire(os, parent);
	return r;
}

void object_orphaned(struct objects *os, uint64_t ino)
{
	if (ino == 0) return;
	struct object *o;
	if (object_acquire(os, ino, &o) < 0) return;
	uint64_t head_bytes = 0;
	if (o->record.orphan && o->opens == 0) {
		if (o->is_dirty) blob_dirty_clear(o);
		unsealed_remove(o);
		table_want_reap(os, ino);
		if (o->record.in_place || o->record.place == PLACE_HEAD) head_bytes = o->record.blocks * 512;
	}
	object_release(o);
	/* Whoever writes past us is refused by the disk itself, and nobody could do it again for him once there is room. */
	if (head_bytes > 0 && !store_has_room(os->store, head_bytes + PASS_ROOM)) (void)objects_make_room(os, -ENOSPC);
}

/* Its last link is the one that goes, nobody has it open or works on it, and nothing of it is outside the state. Locked. */
static bool is_unused(struct object *o)
{
	const struct record *r = &o->record;
	bool plain = (r->kind == KIND_BLOB && r->place == PLACE_INLINE) || r->kind == KIND_SYMLINK || r->kind == KIND_SPECIAL;
	if (!plain || r->in_place || r->nlink != 1 || r->lifecycle == LIFECYCLE_IMMORTAL) return false;
	/* After a restart of the daemon, what programs have open is not known yet (D5). */
	if (o->opens > 0 || o->is_dirty || o->leftover != 0 || atomic_load(&o->os->orphans_kept)) return false;
	LOCK_GUARD(&o->os->table_lock);
	return o->holders == 1;
}

/* The object stays locked: whoever opens it by its number meanwhile finds it gone, or the command failed and it there. */
static int unlink_held(struct objects *os, struct object *o, struct command *c)
{
	struct result result;
	c->unlink.unused = is_unused(o) ? o->ino : 0;
	int r = object_propose(os, o, c, false, &result);
	bool gone = r == 0 && c->unlink.unused != 0 && result.has_record && result.record.ino == o->ino && result.record.nlink == 0 && result.orphaned == 0;
	if (gone) table_mark_gone(o);
	object_release(o);
	if (r == 0) object_orphaned(os, result.orphaned);
	return r;
}

int object_unlink(struct objects *os, uint64_t parent, const char *entry, size_t size, bool directory)
{
	struct command c = { .kind = COMMAND_UNLINK, .counts = true, .unlink = { .parent = parent, .entry = entry_slice(entry, size), .directory = directory } };
	struct result result;
	struct object *o;
	uint64_t ino;
	int r = object_redone(os, NULL, &result);
	if (r > 0) object_orphaned(os, result.orphaned);
	if (r != 0) return r < 0 ? r : 0;
	r = state_lookup(cluster_state(os->cluster, parent), parent, entry, size, &ino);
	/* Whoever has it need not wait for the command. */
	if (r == 0 && !table_is_held(os, ino) && object_acquire(os, ino, &o) == 0) {
		r = unlink_held(os, o, &c);
		if (r == 0) watch_fire(os, parent);
		return r;
	}
	/* It is in use; or the state says what is wrong. */
	r = object_propose(os, NULL, &c, false, &result);
	if (r == 0) object_orphaned(os, result.orphaned);
	return r;
}

int object_rename(struct objects *os, uint64_t parent, const char *entry, size_t size, uint64_t new_parent, const char *new_entry, size_t new_size, uint32_t flags)
{
	struct result result;
	int r = object_redone(os, NULL, &result);
	if (r > 0) object_orphaned(os, result.orphaned);
	if (r != 0) return r < 0 ? r : 0;
	r = entry_check(new_entry, new_size);
	if (r < 0) return r == -EEXIST && (flags & RENAME_NOREPLACE) == 0 ? -EBUSY : r;
	uint64_t ino;
	r = state_lookup(cluster_state(os->cluster, parent), parent, entry, size, &ino);
	if (r == 0) r = commit_before(os, ino);
	if (r == 0 && (flags & RENAME_EXCHANGE)) {
		r = state_lookup(cluster_state(os->cluster, new_parent), new_parent, new_entry, new_size, &ino);
		if (r == 0) r = commit_before(os, ino);
	}
	if (r < 0) return r;
	struct command c = { .kind = COMMAND_RENAME, .counts = true, .rename = { .parent = parent, .entry = entry_slice(entry, size), .new_parent = new_parent,
		.new_entry = entry_slice(new_entry, new_size), .flags = flags } };
	r = object_propose(os, NULL, &c, false, &result);
	if (r == 0) object_orphaned(os, result.orphaned);
	return r;
}

int object_delete(struct objects *os, uint64_t ino)
{
	struct command c = { .kind = COMMAND_DELETE, .counts = true, .remove = { .ino = ino } };
	struct result result;
	int r = object_propose(os, NULL, &c, false, &result);
	if (r == 0) object_orphaned(os, result.orphaned);
	return r;
}

int object_read_link(struct objects *os, uint64_t ino, struct buffer *target)
{
	return state_get_inline(cluster_state(os->cluster, ino), ino, target);
}

int object_read_directory(struct objects *os, uint64_t ino, uint64_t after, int (*each)(void *, const struct state_entry *), void *arg)
{
	int r = state_read_directory(cluster_state(os->cluster, ino), ino, after, each, arg);
	return r < 0 ? r : 0;
}

struct each_record { struct objects *os; int (*each)(void *arg, const struct record *record); void *arg; };

static int each_name(void *arg, const struct name *name, uint64_t ino)
{
	(void)name;
	struct each_record *e = arg;
	struct attributes attributes;
	int r = object_get(e->os, ino, &attributes);
	if (r == -ENOENT) return 0;
	return r < 0 ? r : e->each(e->arg, &attributes.record);
}

int objects_each(struct objects *os, const struct name *after, int (*each)(void *, const struct record *), void *arg)
{
	struct each_record e = { .os = os, .each = each, .arg = arg };
	int r = state_each_name(cluster_state(os->cluster, ROOT_INO), after, each_name, &e);
	return r < 0 ? r : 0;
}

int reference_clone(struct reference *from, struct reference *to)
{
	if (from->object == to->object) return -EINVAL;
	int r = reference_check_right(from, RIGHT_READ);
	if (r == 0) r = reference_check_right(to, RIGHT_WRITE);
	if (r == 0 && (from->options.range_length != UINT64_MAX || to->options.range_length != UINT64_MAX)) r = -EACCES;
	if (r == 0) r = object_lock_pair(from->object, to->object);
	if (r < 0) return r;
	struct result result;
	r = object_redone(from->os, to->object, &result);
	if (r == 0) r = from->object->record.kind != KIND_BLOB || to->object->record.kind != KIND_BLOB ? -EINVAL
		: !store_has_room(from->os->store, from->object->record.blocks * 512) ? -ENOSPC : blob_clone(from->object, to->object);
	object_unlock_pair(from->object, to->object);
	return r < 0 ? r : 0;
}

int object_set_produced(struct objects *os, uint64_t ino, enum produced produced)
{
	struct object *o;
	int r = object_acquire(os, ino, &o);
	if (r < 0) return r;
	if (o->is_dirty) r = blob_commit(o, false);
	struct command c = { .kind = COMMAND_PRODUCED, .produced = { .ino = ino, .produced = produced } };
	struct result result;
	if (r == 0) r = object_propose(os, o, &c, false, &result);
	object_release(o);
	return r;
}
