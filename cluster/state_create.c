/* CREATE and REALM_INIT: new objects. Inode numbers are slot and counter; the counter of a slot only grows, so that none is used
 * twice. Counter 1 of slot 0 is the root directory's. */
#include <string.h>
#include <sys/stat.h>

#include "caps/bigendian.h"
#include "cluster/state_directory.h"

#define COUNTER_FIRST 2u
#define COOKIE_FIRST 1u     /* readers begin after 0 */

static bool mode_fits(enum object_kind kind, uint32_t mode)
{
	switch (kind) {
	case KIND_BLOB:
	case KIND_STREAM:
	case KIND_TASK:      return S_ISREG(mode);
	case KIND_DIRECTORY: return S_ISDIR(mode);
	case KIND_SYMLINK:   return S_ISLNK(mode);
	case KIND_SPECIAL:   return S_ISFIFO(mode) || S_ISSOCK(mode) || S_ISCHR(mode) || S_ISBLK(mode);
	default:             return false;
	}
}

static int check_create(const struct command_create *c)
{
	bool pathless = c->kind == KIND_BLOB || c->kind == KIND_STREAM || c->kind == KIND_TASK;
	static const struct name none;

	if (!mode_fits(c->kind, c->mode) || (c->mode & ~(uint32_t)(S_IFMT | 07777)) || name_equal(&c->name, &none))
		return -EINVAL;
	if (c->parent == 0 ? !pathless || c->entry.size > 0 : c->orphan)
		return -EINVAL;
	if (c->orphan && c->lifecycle == LIFECYCLE_IMMORTAL)
		return -EINVAL;
	if (c->in_place && (c->kind != KIND_BLOB || c->flags & CREATE_UNPRODUCED))
		return -EINVAL;
	if ((c->target.size > 0 && c->kind != KIND_SYMLINK) || (c->spec.size > 0 && c->kind != KIND_TASK) || c->trim_age_ns < 0)
		return -EINVAL;
	if (c->kind == KIND_SYMLINK && (c->target.size == 0 || memchr(c->target.data, '\0', c->target.size)))
		return -EINVAL;
	if (c->target.size > SYMLINK_MAX)
		return -ENAMETOOLONG;
	return c->parent ? entry_check(c->entry) : 0;
}

static int next_ino(struct apply *a, uint16_t slot, uint64_t *ret_ino)
{
	uint64_t counter = a->s->counter_slot == slot ? a->s->counter_next : 0;
	struct state_key key = key_counter(slot);

	if (counter == 0) {
		int r = apply_read(a, &key, &a->s->value);
		if (r < 0 && r != -ENOENT)
			return r;
		if (r == 0 && a->s->value.size != 8)
			return apply_fatal(a, -EBADMSG);
		counter = r == 0 ? get_be64(a->s->value.data) : COUNTER_FIRST;
	}
	if (counter >= INO_LOCAL_BIT)
		return -ENOSPC;
	a->counter_slot = slot;
	a->counter_next = counter + 1;
	*ret_ino = (uint64_t)slot << 48 | counter;
	return apply_put_u64(a, &key, counter + 1);
}

/* The record's index entries, and content that goes with it. */
static int put_new(struct apply *a, struct record *r, struct slice content)
{
	struct state_key key = key_name(&r->name);
	int error = apply_put_u64(a, &key, r->ino);

	if (error == 0 && r->kind == KIND_TASK) {
		key = key_shard_u64(KEY_TASK, r->made);
		error = apply_put_u64(a, &key, r->ino);
	}
	if (error == 0 && content.size > 0) {
		key = key_ino(KEY_INLINE, r->ino);
		error = apply_put(a, &key, content);
	}
	a->objects++;
	apply_dirty(a, r);
	apply_report(a, r);
	return error;
}

static void fill_record(const struct apply *a, const struct command_create *c, struct record *r)
{
	*r = (struct record){
		.name = c->name, .realm = REALM_FIRST, .kind = c->kind, .mode = c->mode, .uid = c->uid, .gid = c->gid, .rdev = c->rdev,
		.nlink = c->kind == KIND_DIRECTORY ? 2 : c->parent != 0, .size = c->target.size,
		.atime_ns = a->now_ns, .mtime_ns = a->now_ns, .ctime_ns = a->now_ns, .btime_ns = a->now_ns,
		.lifecycle = c->lifecycle, .flags = c->flags, .replicas = c->replicas,
		.produced = c->flags & CREATE_UNPRODUCED ? PRODUCED_NOT_YET : PRODUCED_YES,
		.read_consistency = c->read_consistency, .write_consistency = c->write_consistency,
		.creator = c->creator, .made = a->index,
	};
	if (c->kind == KIND_DIRECTORY) {
		r->parent = c->parent;
		r->next_cookie = COOKIE_FIRST;
	}
	if (c->kind == KIND_STREAM)
		r->stream = (struct stream_state){ .limit_bytes = c->limit_bytes, .trim_bytes = c->trim_bytes,
			.trim_age_ns = c->trim_age_ns, .trim_consumed = c->trim_consumed };
	if (c->kind == KIND_TASK)
		r->task.job = c->job;
}

/* The directory is there, of the same slot, has room for the link, and the entry is free. */
static int check_parent(struct apply *a, const struct command_create *c, struct record **ret_parent)
{
	struct entry existing;
	int r = directory_get(a, c->parent, ret_parent);

	if (r < 0)
		return r;
	r = entry_get(a, c->parent, c->entry, &existing);
	if (r != -ENOENT)
		return r < 0 ? r : -EEXIST;
	if (ino_slot(c->parent) != name_slot(&c->name))
		return -EXDEV;
	return c->kind == KIND_DIRECTORY && (*ret_parent)->nlink >= NLINK_MAX ? -EMLINK : 0;
}

int apply_create(struct apply *a, const struct command *command)
{
	const struct command_create *c = &command->create;
	struct record *parent = NULL;
	struct record made;
	int r = check_create(c);

	if (r == 0 && c->parent)
		r = check_parent(a, c, &parent);
	if (r < 0)
		return r;
	struct state_key key = key_name(&c->name);
	if (apply_exists(a, &key))
		return -EEXIST;
	fill_record(a, c, &made);
	r = next_ino(a, name_slot(&c->name), &made.ino);
	if (r < 0)
		return r;

	struct record *object = apply_new_record(a, &made);
	r = put_new(a, object, c->kind == KIND_TASK ? c->spec : c->target);
	if (r == 0 && parent) {
		r = entry_add(a, parent, c->entry, object);
		parent->nlink += c->kind == KIND_DIRECTORY;
	}
	if (r == 0 && c->orphan)
		r = orphan_add(a, object);
	if (r == 0 && c->in_place)
		r = mark_in_place(a, object);
	return r;
}

int apply_realm_init(struct apply *a, const struct command *command)
{
	const struct command_realm_init *c = &command->realm_init;
	struct record *there;

	if (c->realm != REALM_FIRST || c->root != ROOT_INO || name_slot(&c->name) != ino_slot(c->root) || (c->mode & ~07777u & ~(uint32_t)S_IFMT))
		return -EINVAL;
	int r = apply_record(a, c->root, &there);
	if (r == 0) {
		apply_report(a, there);   /* made before: nothing to do */
		return 0;
	}
	if (r != -ENOENT)
		return r;
	struct record root = {
		.ino = c->root, .name = c->name, .realm = c->realm, .kind = KIND_DIRECTORY, .mode = S_IFDIR | (c->mode & 07777),
		.uid = c->uid, .gid = c->gid, .nlink = 2, .parent = c->root, .next_cookie = COOKIE_FIRST, .lifecycle = LIFECYCLE_IMMORTAL,
		.atime_ns = a->now_ns, .mtime_ns = a->now_ns, .ctime_ns = a->now_ns, .btime_ns = a->now_ns, .made = a->index,
	};
	return put_new(a, apply_new_record(a, &root), (struct slice){ 0 });
}
