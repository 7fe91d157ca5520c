/* LINK, UNLINK and RENAME. The checks are those that the kernel leaves to the file system, in its order: existence, kind, emptiness, then
 * limits. Permissions and the sticky bit are the kernel's (default_permissions). */
#include <stdio.h>      /* RENAME_... */
#include <sys/stat.h>

#include "cluster/state_directory.h"

int apply_link(struct apply *a, const struct command *command)
{
	const struct command_link *c = &command->link;
	struct record *object, *parent;
	struct entry existing;
	int r = entry_check(c->entry);

	if (r == 0)
		r = apply_record(a, c->ino, &object);
	if (r == 0)
		r = directory_get(a, c->parent, &parent);
	if (r < 0)
		return r;
	r = entry_get(a, c->parent, c->entry, &existing);
	if (r != -ENOENT)
		return r < 0 ? r : -EEXIST;
	if (object->kind == KIND_DIRECTORY)
		return -EPERM;
	if (ino_slot(c->ino) != ino_slot(c->parent))
		return -EXDEV;
	if (object->nlink >= NLINK_MAX)
		return -EMLINK;

	object->nlink++;
	object->ctime_ns = a->now_ns;
	apply_dirty(a, object);
	apply_report(a, object);
	r = object->orphan ? orphan_drop(a, object) : 0;   /* a file made by O_TMPFILE gets its name */
	return r < 0 ? r : entry_add(a, parent, c->entry, object);
}

/* Takes a link from an object whose entry goes. Without any it becomes an orphan, unless it is immortal: then it stays under its name. Nobody has
 * open what is `unused`; but a head goes after the command only, so what has one becomes an orphan still, which says that it is to go. */
static int drop_link(struct apply *a, struct record *object, uint64_t unused)
{
	bool directory = object->kind == KIND_DIRECTORY;

	object->nlink = directory ? 0 : object->nlink - 1;
	object->ctime_ns = a->now_ns;
	apply_dirty(a, object);
	if (object->nlink > 0 || (object->lifecycle == LIFECYCLE_IMMORTAL && !directory))
		return 0;
	bool has_head = object->kind == KIND_BLOB && object->place == PLACE_HEAD;
	return object->ino == unused && !directory && !has_head ? object_free(a, object) : orphan_add(a, object);
}

static int entry_target(struct apply *a, const struct entry *entry, struct record **ret_target)
{
	int r = apply_record(a, entry->ino, ret_target);
	return r == -ENOENT ? apply_fatal(a, -EBADMSG) : r;   /* an entry that leads nowhere */
}

int apply_unlink(struct apply *a, const struct command *command)
{
	const struct command_unlink *c = &command->unlink;
	struct record *parent, *target;
	struct entry entry;
	int r = entry_check(c->entry);

	if (r == 0)
		r = directory_get(a, c->parent, &parent);
	if (r == 0)
		r = entry_get(a, c->parent, c->entry, &entry);
	if (r == 0)
		r = entry_target(a, &entry, &target);
	if (r < 0)
		return r;
	if (c->directory && target->kind != KIND_DIRECTORY)
		return -ENOTDIR;
	if (!c->directory && target->kind == KIND_DIRECTORY)
		return -EISDIR;
	if (c->directory && target->entries > 0)
		return -ENOTEMPTY;

	parent->nlink -= c->directory;
	apply_report(a, target);
	r = entry_remove(a, parent, c->entry, &entry);
	return r < 0 ? r : drop_link(a, target, c->unused);
}

/* What a rename works on. */
struct rename {
	const struct command_rename *c;
	struct record *from, *to;          /* the directories; may be the same */
	struct record *moved, *target;     /* target NULL: the new name is free */
	struct entry moved_entry, target_entry;
};

/* -EINVAL if `directory` is `ino` or above it: it would become its own descendant. */
static int check_not_above(struct apply *a, uint64_t directory, uint64_t ino)
{
	struct record r;

	for (;;) {
		if (ino == directory)
			return -EINVAL;
		int error = apply_peek(a, ino, &r);
		if (error < 0)
			return error == -ENOENT ? apply_fatal(a, -EBADMSG) : error;
		if (r.parent == ino)
			return 0;   /* the root is above all */
		ino = r.parent;
	}
}

static int rename_load(struct apply *a, struct rename *n)
{
	const struct command_rename *c = n->c;
	int r = entry_check(c->entry);

	if (r == 0)
		r = entry_check(c->new_entry);
	if (r == 0)
		r = directory_get(a, c->parent, &n->from);
	if (r == 0)
		r = directory_get(a, c->new_parent, &n->to);
	if (r == 0 && ino_slot(c->parent) != ino_slot(c->new_parent))
		r = -EXDEV;
	if (r == 0)
		r = entry_get(a, c->parent, c->entry, &n->moved_entry);
	if (r == 0)
		r = entry_target(a, &n->moved_entry, &n->moved);
	if (r < 0)
		return r;
	r = entry_get(a, c->new_parent, c->new_entry, &n->target_entry);
	if (r == 0)
		r = entry_target(a, &n->target_entry, &n->target);
	return r == -ENOENT ? 0 : r;
}

static int rename_check(struct apply *a, const struct rename *n)
{
	bool exchange = n->c->flags & RENAME_EXCHANGE;
	bool moved_directory = n->moved->kind == KIND_DIRECTORY;
	bool target_directory = n->target && n->target->kind == KIND_DIRECTORY;
	int r = 0;

	if (n->target && n->c->flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (!n->target && exchange)
		return -ENOENT;
	if (moved_directory && n->from != n->to)
		r = check_not_above(a, n->moved->ino, n->to->ino);
	if (r == 0 && exchange && target_directory && n->from != n->to)
		r = check_not_above(a, n->target->ino, n->from->ino);
	if (r < 0 || n->target == n->moved)
		return r;
	if (n->target && !exchange) {
		if (moved_directory && !target_directory)
			return -ENOTDIR;
		if (!moved_directory && target_directory)
			return -EISDIR;
		if (target_directory && n->target->entries > 0)
			return -ENOTEMPTY;
	}
	/* Links that the directories gain by what moves into them. */
	if (n->from != n->to && moved_directory && !target_directory && n->to->nlink >= NLINK_MAX)
		return -EMLINK;
	if (n->from != n->to && exchange && target_directory && !moved_directory && n->from->nlink >= NLINK_MAX)
		return -EMLINK;
	return 0;
}

/* An object now stands in another directory. */
static void move_into(struct apply *a, struct record *object, struct record *from, struct record *to)
{
	object->ctime_ns = a->now_ns;
	apply_dirty(a, object);
	if (object->kind == KIND_DIRECTORY && from != to) {
		object->parent = to->ino;
		from->nlink--;
		to->nlink++;
	}
}

static int rename_exchange(struct apply *a, struct rename *n)
{
	int r = entry_replace(a, n->from, n->c->entry, &n->moved_entry, n->target);

	if (r == 0)
		r = entry_replace(a, n->to, n->c->new_entry, &n->target_entry, n->moved);
	move_into(a, n->moved, n->from, n->to);
	move_into(a, n->target, n->to, n->from);
	apply_report(a, n->moved);
	return r;
}

static int rename_move(struct apply *a, struct rename *n)
{
	int r = entry_remove(a, n->from, n->c->entry, &n->moved_entry);

	move_into(a, n->moved, n->from, n->to);
	apply_report(a, n->target ? n->target : n->moved);
	if (r < 0)
		return r;
	if (!n->target)
		return entry_add(a, n->to, n->c->new_entry, n->moved);
	n->to->nlink -= n->target->kind == KIND_DIRECTORY;
	r = entry_replace(a, n->to, n->c->new_entry, &n->target_entry, n->moved);
	return r < 0 ? r : drop_link(a, n->target, 0);
}

int apply_rename(struct apply *a, const struct command *command)
{
	struct rename n = { .c = &command->rename };

	if (n.c->flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE) || n.c->flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	int r = rename_load(a, &n);
	if (r == 0)
		r = rename_check(a, &n);
	if (r < 0)
		return r;
	if (n.target == n.moved) {
		apply_report(a, n.moved);   /* two names of one object: nothing changes (POSIX rename) */
		return 0;
	}
	return n.c->flags & RENAME_EXCHANGE ? rename_exchange(a, &n) : rename_move(a, &n);
}
