/* The plain file system. Searches are linear: it is to be read and believed, not to be fast. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cluster/model.h"

static struct model_object *add_object(struct model *m, enum model_kind kind, uint64_t number, uint32_t mode)
{
	for (size_t i = 0; i < MODEL_OBJECTS; i++) {
		if (m->objects[i].kind == MODEL_NONE) {
			m->objects[i] = (struct model_object){ .kind = kind, .number = number, .mode = mode };
			return &m->objects[i];
		}
	}
	return NULL;
}

void model_init(struct model *m, uint64_t root)
{
	memset(m, 0, sizeof(*m));
	m->root = root;
	struct model_object *o = add_object(m, MODEL_DIRECTORY, root, 0755);
	o->links = 2;
	o->parent = root;
}

void model_done(struct model *m)
{
	for (size_t i = 0; i < MODEL_OBJECTS; i++)
		free(m->objects[i].bytes);
}

struct model_object *model_object(struct model *m, uint64_t number)
{
	for (size_t i = 0; i < MODEL_OBJECTS; i++) {
		if (m->objects[i].kind != MODEL_NONE && m->objects[i].number == number)
			return &m->objects[i];
	}
	return NULL;
}

struct model_entry *model_entry(struct model *m, uint64_t parent, const char *name)
{
	for (size_t i = 0; i < MODEL_ENTRIES; i++) {
		if (m->entries[i].used && m->entries[i].parent == parent && strcmp(m->entries[i].name, name) == 0)
			return &m->entries[i];
	}
	return NULL;
}

unsigned model_entry_count(struct model *m, uint64_t parent)
{
	unsigned count = 0;

	for (size_t i = 0; i < MODEL_ENTRIES; i++)
		count += m->entries[i].used && m->entries[i].parent == parent;
	return count;
}

/* A directory in which something can be done. */
static int check_directory(struct model *m, uint64_t number)
{
	const struct model_object *o = model_object(m, number);

	if (!o)
		return -ENOENT;
	if (o->kind != MODEL_DIRECTORY)
		return -ENOTDIR;
	return o->links == 0 ? -ENOENT : 0;
}

static int add_entry(struct model *m, uint64_t parent, const char *name, uint64_t number)
{
	for (size_t i = 0; i < MODEL_ENTRIES; i++) {
		if (m->entries[i].used)
			continue;
		m->entries[i] = (struct model_entry){ .used = true, .parent = parent, .number = number };
		assert(strlen(name) < MODEL_NAME);
		memcpy(m->entries[i].name, name, strlen(name));
		return 0;
	}
	return -ENOMEM;
}

int model_can_create(struct model *m, uint64_t parent, const char *name)
{
	int r = check_directory(m, parent);
	return r < 0 ? r : model_entry(m, parent, name) ? -EEXIST : 0;
}

int model_create(struct model *m, uint64_t parent, const char *name, enum model_kind kind, uint32_t mode, uint64_t number)
{
	int r = model_can_create(m, parent, name);

	if (r < 0)
		return r;
	assert(!model_object(m, number));
	struct model_object *o = add_object(m, kind, number, mode);
	if (!o)
		return -ENOMEM;
	o->links = 1;
	if (kind == MODEL_DIRECTORY) {
		o->links = 2;
		o->parent = parent;
		model_object(m, parent)->links++;
	}
	return add_entry(m, parent, name, number);
}

int model_link(struct model *m, uint64_t number, uint64_t parent, const char *name)
{
	struct model_object *o = model_object(m, number);

	if (!o)
		return -ENOENT;
	int r = model_can_create(m, parent, name);
	if (r < 0)
		return r;
	if (o->kind == MODEL_DIRECTORY)
		return -EPERM;
	o->links++;
	return add_entry(m, parent, name, number);
}

static void lose_link(struct model_object *o)
{
	if (o->kind == MODEL_DIRECTORY)
		o->links = 0;
	else
		o->links--;
}

int model_unlink(struct model *m, uint64_t parent, const char *name, bool directory)
{
	int r = check_directory(m, parent);
	struct model_entry *e = r < 0 ? NULL : model_entry(m, parent, name);

	if (r < 0)
		return r;
	if (!e)
		return -ENOENT;
	struct model_object *o = model_object(m, e->number);
	if (directory && o->kind != MODEL_DIRECTORY)
		return -ENOTDIR;
	if (!directory && o->kind == MODEL_DIRECTORY)
		return -EISDIR;
	if (directory && model_entry_count(m, o->number) > 0)
		return -ENOTEMPTY;
	if (directory)
		model_object(m, parent)->links--;
	e->used = false;
	lose_link(o);
	return 0;
}

/* `below` is `above`, or somewhere in it. */
static bool is_inside(struct model *m, uint64_t below, uint64_t above)
{
	while (below != above) {
		if (below == m->root)
			return false;
		below = model_object(m, below)->parent;
	}
	return true;
}

static void move(struct model *m, struct model_entry *e, uint64_t to_parent, uint64_t new_number)
{
	struct model_object *o = model_object(m, new_number);

	e->number = new_number;
	if (o->kind == MODEL_DIRECTORY && o->parent != to_parent) {
		model_object(m, o->parent)->links--;
		model_object(m, to_parent)->links++;
		o->parent = to_parent;
	}
}

static int check_replace(struct model *m, const struct model_object *moved, const struct model_object *target)
{
	if (moved->kind == MODEL_DIRECTORY && target->kind != MODEL_DIRECTORY)
		return -ENOTDIR;
	if (moved->kind != MODEL_DIRECTORY && target->kind == MODEL_DIRECTORY)
		return -EISDIR;
	return target->kind == MODEL_DIRECTORY && model_entry_count(m, target->number) > 0 ? -ENOTEMPTY : 0;
}

int model_rename(struct model *m, uint64_t parent, const char *name, uint64_t new_parent, const char *new_name, bool noreplace, bool exchange)
{
	int r = check_directory(m, parent);

	if (r == 0)
		r = check_directory(m, new_parent);
	if (r < 0)
		return r;
	struct model_entry *from = model_entry(m, parent, name), *to = model_entry(m, new_parent, new_name);
	if (!from)
		return -ENOENT;
	if (to && noreplace)
		return -EEXIST;
	if (!to && exchange)
		return -ENOENT;
	struct model_object *moved = model_object(m, from->number), *target = to ? model_object(m, to->number) : NULL;
	if (moved->kind == MODEL_DIRECTORY && is_inside(m, new_parent, moved->number))
		return -EINVAL;
	if (exchange && target->kind == MODEL_DIRECTORY && is_inside(m, parent, target->number))
		return -EINVAL;
	if (moved == target)
		return 0;
	if (exchange) {
		move(m, from, parent, target->number);
		move(m, to, new_parent, moved->number);
		return 0;
	}
	if (target) {
		r = check_replace(m, moved, target);
		if (r < 0)
			return r;
		if (target->kind == MODEL_DIRECTORY)
			model_object(m, new_parent)->links--;
		lose_link(target);
		move(m, to, new_parent, moved->number);
	} else {
		r = add_entry(m, new_parent, new_name, moved->number);
		if (r < 0)
			return r;
		move(m, model_entry(m, new_parent, new_name), new_parent, moved->number);
	}
	from->used = false;
	return 0;
}

void model_release(struct model *m, uint64_t number)
{
	struct model_object *o = model_object(m, number);

	assert(o && o->links == 0);
	free(o->bytes);
	memset(o, 0, sizeof(*o));
}

/* ---- files ---- */

static int set_size(struct model_object *o, uint64_t size)
{
	uint8_t *bytes = realloc(o->bytes, size ? size : 1);

	if (!bytes)
		return -ENOMEM;
	if (size > o->size)
		memset(bytes + o->size, 0, size - o->size);
	o->bytes = bytes;
	o->size = size;
	return 0;
}

int model_resize(struct model *m, uint64_t number, uint64_t size)
{
	struct model_object *o = model_object(m, number);

	o->changes++;
	return set_size(o, size);
}

int model_write(struct model *m, uint64_t number, uint64_t offset, const void *data, size_t size)
{
	struct model_object *o = model_object(m, number);
	int r = offset + size > o->size ? set_size(o, offset + size) : 0;

	if (r == 0 && size > 0)
		memcpy(o->bytes + offset, data, size);
	o->changes++;
	return r;
}

int model_zero(struct model *m, uint64_t number, uint64_t offset, uint64_t size)
{
	struct model_object *o = model_object(m, number);
	uint64_t end = offset + size < o->size ? offset + size : o->size;

	o->changes++;
	if (offset < end)
		memset(o->bytes + offset, 0, end - offset);
	return 0;
}
