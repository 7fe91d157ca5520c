/* Making objects: create and clone. A new object without a path is held by the directory's descriptor until the program has opened it. */
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "fs/ioctl_calls.h"
#include "fs/invalidate.h"
#include "libdios/dios.h"

static uint32_t create_flags(uint32_t flags)
{
	return (flags & DIOS_MEMORY ? CREATE_MEMORY_ONLY : 0) | (flags & DIOS_LOCAL ? CREATE_LOCAL_ONLY : 0) |
		(flags & DIOS_DIRECT ? CREATE_STREAM_DIRECT : 0) | (flags & DIOS_END_ON_CLOSE ? CREATE_STREAM_END_ON_CLOSE : 0) |
		(flags & DIOS_UNPRODUCED ? CREATE_UNPRODUCED : 0);
}

/* Zero is left for a random name. */
static int make_name(const struct ioctl_context *c, const struct dios_ioctl_create *in, struct name *ret_name)
{
	struct attributes root;
	struct name parent, zero = { { 0 } };
	int r;

	switch (in->name_kind) {
	case DIOS_NAME_STRING:
		r = object_get(c->mount->objects, ROOT_INO, &root);
		return r < 0 ? r : name_from_string(root.record.realm, in->string, in->string_size, ret_name);
	case DIOS_NAME_COUNTER:
		memcpy(parent.bytes, in->parent, sizeof(parent.bytes));
		if (name_equal(&parent, &zero)) {
			if (!c->caller.task)
				return -EINVAL;
			parent = *c->caller.task;
		}
		/* In a directory the slot is the directory's; else the parent's, so that what a task makes lies together. */
		return name_deterministic(&parent, in->counter, in->entry_size ? ino_slot(c->directory) : name_slot(&parent), ret_name);
	}
	*ret_name = zero;
	return 0;
}

static int fill_command(const struct ioctl_context *c, const struct dios_ioctl_create *in, struct command_create *ret_create)
{
	*ret_create = (struct command_create){ .parent = in->entry_size ? c->directory : 0,
		.entry = { (const uint8_t *)in->entry, in->entry_size }, .kind = (enum object_kind)in->kind, .mode = S_IFREG | in->mode,
		.uid = c->caller.uid, .gid = c->caller.gid, .lifecycle = (enum lifecycle)in->lifecycle, .flags = create_flags(in->flags),
		.replicas = in->replicas, .read_consistency = (enum consistency)in->read_consistency,
		.write_consistency = (enum consistency)in->write_consistency, .limit_bytes = in->limit_bytes, .trim_bytes = in->trim_bytes,
		.trim_age_ns = in->trim_age_ns, .trim_consumed = in->trim_consumed,
		.orphan = in->entry_size == 0 && in->lifecycle == LIFECYCLE_REFCOUNTED };
	if (c->caller.task)
		ret_create->creator = *c->caller.task;
	return make_name(c, in, &ret_create->name);
}

/* Where the object is to be, and that whatever else is named exists. */
static int check_places(const struct ioctl_context *c, const struct dios_ioctl_create *in)
{
	static const uint8_t none[DIOS_ID_SIZE];
	struct reference *near;
	uint64_t here = cluster_node_id(objects_cluster(c->mount->objects));
	int r = 0;

	if (in->node != 0 && in->node != here)
		return -EHOSTUNREACH;
	if (memcmp(in->near_id, none, sizeof(none)) != 0) {
		r = ioctl_find(c, in->near_id, &near);
		if (r < 0)
			return r;
		reference_close(near);
	}
	if (in->entry_size == 0)
		return 0;
	if (c->directory == ROOT_INO && in->entry_size == strlen(FS_MAGIC_NAME) && memcmp(in->entry, FS_MAGIC_NAME, in->entry_size) == 0)
		return -EEXIST;
	return c->directory ? ioctl_may_create(c, c->directory) : -EINVAL;
}

/* The object that has the place or the name already, if it is of the same kind. */
static int find_existing(const struct ioctl_context *c, const struct dios_ioctl_create *in, const struct command_create *create, struct attributes *ret)
{
	uint64_t ino;
	int r = in->entry_size ? object_lookup(c->mount->objects, c->directory, in->entry, in->entry_size, ret) : object_find(c->mount->objects, &create->name, &ino);

	if (r == 0 && !in->entry_size)
		r = object_get(c->mount->objects, ino, ret);
	return r == 0 && ret->record.kind != (enum object_kind)in->kind ? -EEXIST : r;
}

static void answer_created(const struct ioctl_context *c, const struct dios_ioctl_create *in, const struct attributes *a, struct dios_ioctl_create *answer)
{
	answer->ino = a->record.ino;
	memcpy(answer->name, a->record.name.bytes, sizeof(answer->name));
	/* The kernel may remember that there was no such name. */
	if (in->entry_size) {
		invalidate_entry(c->mount->fs, c->directory, in->entry, in->entry_size);
		invalidate_node(c->mount->fs, c->directory, false);
	}
}

int ioctl_create(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_create *request = in;
	struct command_create create;
	struct reference *kept = NULL;
	struct attributes a;

	(void)ret_size;
	int r = check_places(c, request);
	if (r == 0)
		r = fill_command(c, request, &create);
	if (r < 0)
		return r;
	r = object_create(c->mount->objects, &create, 0, &kept, &a);
	if (objects_make_room(c->mount->objects, r))
		r = object_create(c->mount->objects, &create, 0, &kept, &a);
	if (r == -EEXIST && (request->flags & DIOS_EXISTING)) {
		r = find_existing(c, request, &create, &a);
		if (r == 0)
			answer_created(c, &(struct dios_ioctl_create){ 0 }, &a, out);
		return r;
	}
	if (r == 0)
		r = ioctl_keep_created(c, kept);
	if (r < 0)
		return r;
	answer_created(c, request, &a, out);
	c->settle = request->entry_size != 0;
	return 0;
}

/* What was made is taken back where the bytes could not be copied. */
static void undo(const struct ioctl_context *c, const struct command_create *create, const struct attributes *a)
{
	if (create->parent)
		(void)object_unlink(c->mount->objects, create->parent, (const char *)create->entry.data, create->entry.size, false);
	else if (!create->orphan)
		(void)object_delete(c->mount->objects, a->record.ino);
}

static int create_with_bytes(const struct ioctl_context *c, struct reference *from, const struct command_create *create, struct attributes *ret)
{
	struct objects *os = c->mount->objects;
	struct reference *to;
	int r = object_create(os, create, RIGHT_WRITE, &to, ret);

	if (objects_make_room(os, r))
		r = object_create(os, create, RIGHT_WRITE, &to, ret);
	if (r < 0)
		return r;
	r = reference_clone(from, to);
	if (r == 0)
		return ioctl_keep_created(c, to);
	undo(c, create, ret);
	reference_close(to);
	return r;
}

int ioctl_clone(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_create *request = in;
	struct command_create create;
	struct reference *from;
	struct attributes a;

	(void)ret_size;
	int r = check_places(c, request);
	if (r == 0)
		r = fill_command(c, request, &create);
	if (r == 0)
		r = ioctl_find(c, request->source, &from);
	if (r < 0)
		return r;
	r = reference_rights(from) & RIGHT_READ ? create_with_bytes(c, from, &create, &a) : -EACCES;
	reference_close(from);
	if (r < 0)
		return r;
	answer_created(c, request, &a, out);
	c->settle = request->entry_size != 0;
	return 0;
}
