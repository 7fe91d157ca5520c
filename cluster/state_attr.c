/* SETATTR and SETXATTR. */
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "cluster/state_apply.h"

#define XATTR_NAMES_MAX 65536u     /* bytes: all that listxattr(2) can return */

static const struct slice capability_key = { .data = (const uint8_t *)"security.capability", .size = 19 };

static int xattr_remove(struct apply *a, struct record *r, struct slice name)
{
	struct state_key key = key_ino_bytes(KEY_XATTR, r->ino, name);

	r->xattr_list_bytes -= (uint32_t)name.size + 1;
	return apply_delete(a, &key);
}

/* What a write or chown by somebody without the right to keep them takes away: set-uid, set-gid where the group may execute (without that
 * bit it means mandatory locking, not privilege), and file capabilities. */
int kill_privilege(struct apply *a, struct record *r)
{
	struct state_key key = key_ino_bytes(KEY_XATTR, r->ino, capability_key);

	if (r->kind == KIND_DIRECTORY)
		return 0;   /* there set-gid means inheritance */
	r->mode &= ~(uint32_t)S_ISUID;
	if (r->mode & S_IXGRP)
		r->mode &= ~(uint32_t)S_ISGID;
	if (r->xattr_list_bytes > 0 && apply_exists(a, &key))
		return xattr_remove(a, r, capability_key);
	return a->fatal;
}

/* An object that is never deleted is no orphan. */
static int set_lifecycle(struct apply *a, struct record *r, enum lifecycle lifecycle)
{
	r->lifecycle = lifecycle;
	return lifecycle == LIFECYCLE_IMMORTAL && r->orphan && r->kind != KIND_DIRECTORY ? orphan_drop(a, r) : 0;
}

int apply_setattr(struct apply *a, const struct command *command)
{
	const struct command_setattr *c = &command->setattr;
	struct record *object;
	int r = apply_record(a, c->ino, &object);

	if (r < 0)
		return r;
	if (c->mask & ~(uint32_t)(ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME | ATTR_KILL_PRIVILEGE | ATTR_REPLICAS | ATTR_CONSISTENCY | ATTR_LIFECYCLE))
		return -EINVAL;
	if (c->mask & ATTR_KILL_PRIVILEGE)   /* first: a mode that is set explicitly stands */
		r = kill_privilege(a, object);
	if (r == 0 && c->mask & ATTR_LIFECYCLE)
		r = set_lifecycle(a, object, c->lifecycle);
	if (r < 0)
		return r;
	if (c->mask & ATTR_MODE)
		object->mode = (object->mode & S_IFMT) | (c->mode & 07777);
	if (c->mask & ATTR_UID)
		object->uid = c->uid;
	if (c->mask & ATTR_GID)
		object->gid = c->gid;
	if (c->mask & ATTR_ATIME)
		object->atime_ns = c->atime_ns;
	if (c->mask & ATTR_MTIME)
		object->mtime_ns = c->mtime_ns;
	if (c->mask & ATTR_REPLICAS)
		object->replicas = c->replicas;
	if (c->mask & ATTR_CONSISTENCY) {
		object->read_consistency = c->read_consistency;
		object->write_consistency = c->write_consistency;
	}
	object->ctime_ns = a->now_ns;
	apply_dirty(a, object);
	apply_report(a, object);
	return 0;
}

static int check_xattr(const struct command_setxattr *c)
{
	if (c->key.size == 0 || c->key.size > NAME_MAX_BYTES)
		return -ERANGE;   /* as setxattr(2) */
	if (memchr(c->key.data, '\0', c->key.size) || c->flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	return c->value.size > XATTR_VALUE_MAX ? -E2BIG : 0;
}

int apply_setxattr(struct apply *a, const struct command *command)
{
	const struct command_setxattr *c = &command->setxattr;
	struct record *object;
	int r = check_xattr(c);

	if (r == 0)
		r = apply_record(a, c->ino, &object);
	if (r < 0)
		return r;
	struct state_key key = key_ino_bytes(KEY_XATTR, c->ino, c->key);
	bool there = object->xattr_list_bytes > 0 && apply_exists(a, &key);
	if (there && !c->remove && c->flags & XATTR_CREATE)
		return -EEXIST;
	if (!there && (c->remove || c->flags & XATTR_REPLACE))
		return -ENODATA;
	if (!there && object->xattr_list_bytes + c->key.size + 1 > XATTR_NAMES_MAX)
		return -ENOSPC;

	object->ctime_ns = a->now_ns;
	apply_dirty(a, object);
	apply_report(a, object);
	if (c->remove)
		return xattr_remove(a, object, c->key);
	if (!there)
		object->xattr_list_bytes += (uint32_t)c->key.size + 1;
	return apply_put(a, &key, c->value);
}
