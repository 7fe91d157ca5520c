/* The independent model: plain arrays, plain code. */
#include "tests/sim/model.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct content *content_new(const void *bytes, size_t size)
{
	struct content *c = malloc(sizeof(*c));
	*c = (struct content){ .refs = 1, .size = size, .bytes = calloc(1, size + 1) };
	if (bytes) memcpy(c->bytes, bytes, size);
	return c;
}

struct content *content_ref(struct content *c)
{
	if (c) c->refs++;
	return c;
}

void content_unref(struct content *c)
{
	if (!c || --c->refs > 0) return;
	free(c->bytes);
	free(c);
}

bool content_equal(const struct content *a, const struct content *b)
{
	if (!a || !b) return a == b;
	return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	m->nodes[0] = (struct model_node){ .kind = MODEL_DIRECTORY, .mode = 0755, .links = 1 };
}

void model_copy(struct model *to, const struct model *from)
{
	*to = *from;
	for (unsigned i = 0; i < MODEL_NODES; i++) {
		content_ref(to->nodes[i].content);
		content_ref(to->nodes[i].xattr);
	}
}

static void node_clear(struct model_node *n)
{
	content_unref(n->content);
	content_unref(n->xattr);
	memset(n, 0, sizeof(*n));
}

void model_done(struct model *m)
{
	for (unsigned i = 0; i < MODEL_NODES; i++) node_clear(&m->nodes[i]);
}

void model_set_content(struct model *m, unsigned node, struct content *taken)
{
	content_unref(m->nodes[node].content);
	m->nodes[node].content = taken;
}

struct model_entry *model_find(struct model *m, unsigned parent, const char *name)
{
	for (unsigned i = 0; i < MODEL_ENTRIES; i++)
		if (m->entries[i].used && m->entries[i].parent == parent && strcmp(m->entries[i].name, name) == 0) return &m->entries[i];
	return NULL;
}

unsigned model_children(const struct model *m, unsigned parent)
{
	unsigned count = 0;
	for (unsigned i = 0; i < MODEL_ENTRIES; i++) count += m->entries[i].used && m->entries[i].parent == parent;
	return count;
}

static unsigned parent_of(const struct model *m, unsigned node)
{
	for (unsigned i = 0; i < MODEL_ENTRIES; i++)
		if (m->entries[i].used && m->entries[i].node == node) return m->entries[i].parent;
	return 0;
}

bool model_is_below(const struct model *m, unsigned node, unsigned ancestor)
{
	for (; node != 0; node = parent_of(m, node))
		if (node == ancestor) return true;
	return ancestor == 0;
}

static int entry_add(struct model *m, unsigned parent, const char *name, unsigned node)
{
	for (unsigned i = 0; i < MODEL_ENTRIES; i++) {
		struct model_entry *e = &m->entries[i];
		if (e->used) continue;
		*e = (struct model_entry){ .used = true, .parent = parent, .node = node };
		strncpy(e->name, name, MODEL_NAME - 1);
		m->nodes[node].links++;
		return 0;
	}
	return ENOSPC;
}

static void entry_remove(struct model *m, struct model_entry *e)
{
	struct model_node *n = &m->nodes[e->node];
	e->used = false;
	if (--n->links == 0) node_clear(n);
}

static bool is_live_directory(const struct model *m, unsigned node) { return m->nodes[node].kind == MODEL_DIRECTORY; }

int model_make(struct model *m, unsigned parent, const char *name, enum model_kind kind, uint32_t mode, unsigned *ret_node)
{
	assert(is_live_directory(m, parent));
	if (model_find(m, parent, name)) return EEXIST;
	for (unsigned i = 1; i < MODEL_NODES; i++) {
		if (m->nodes[i].kind != MODEL_FREE) continue;
		m->nodes[i] = (struct model_node){ .kind = kind, .mode = mode, .life = ++m->lives };
		if (kind != MODEL_DIRECTORY) m->nodes[i].content = content_new(NULL, 0);
		*ret_node = i;
		int e = entry_add(m, parent, name, i);
		if (e) node_clear(&m->nodes[i]);
		return e;
	}
	return ENOSPC;
}

int model_link(struct model *m, unsigned node, unsigned parent, const char *name)
{
	if (m->nodes[node].kind == MODEL_DIRECTORY) return EPERM;
	if (model_find(m, parent, name)) return EEXIST;
	return entry_add(m, parent, name, node);
}

int model_unlink(struct model *m, unsigned parent, const char *name, bool directory)
{
	struct model_entry *e = model_find(m, parent, name);
	if (!e) return ENOENT;
	bool is_directory = is_live_directory(m, e->node);
	if (directory && !is_directory) return ENOTDIR;
	if (!directory && is_directory) return EISDIR;
	if (directory && model_children(m, e->node) > 0) return ENOTEMPTY;
	entry_remove(m, e);
	return 0;
}

static int rename_replace(struct model *m, struct model_entry *e, struct model_entry *target)
{
	bool directory = is_live_directory(m, e->node), target_directory = is_live_directory(m, target->node);
	if (directory && !target_directory) return ENOTDIR;
	if (!directory && target_directory) return EISDIR;
	if (target_directory && model_children(m, target->node) > 0) return ENOTEMPTY;
	entry_remove(m, target);
	return 0;
}

int model_rename(struct model *m, unsigned parent, const char *name, unsigned new_parent, const char *new_name, bool noreplace, bool exchange)
{
	struct model_entry *e = model_find(m, parent, name);
	if (!e) return ENOENT;
	struct model_entry *target = model_find(m, new_parent, new_name);
	if (target && noreplace) return EEXIST;
	if (!target && exchange) return ENOENT;
	if (is_live_directory(m, e->node) && model_is_below(m, new_parent, e->node)) return EINVAL;
	if (exchange) {
		if (is_live_directory(m, target->node) && model_is_below(m, parent, target->node)) return EINVAL;
		unsigned node = e->node;
		e->node = target->node;
		target->node = node;
		return 0;
	}
	if (target && target->node == e->node) return 0;
	if (target) {
		int error = rename_replace(m, e, target);
		if (error) return error;
	}
	e->parent = new_parent;
	memset(e->name, 0, sizeof(e->name));
	strncpy(e->name, new_name, MODEL_NAME - 1);
	return 0;
}

void model_write(struct model *m, unsigned node, uint64_t offset, const void *bytes, size_t size)
{
	struct content *old = m->nodes[node].content;
	size_t end = offset + size > old->size ? offset + size : old->size;
	struct content *c = content_new(NULL, end);
	memcpy(c->bytes, old->bytes, old->size);
	memcpy(c->bytes + offset, bytes, size);
	model_set_content(m, node, c);
}

void model_resize(struct model *m, unsigned node, uint64_t size)
{
	struct content *old = m->nodes[node].content, *c = content_new(NULL, size);
	memcpy(c->bytes, old->bytes, size < old->size ? size : old->size);
	model_set_content(m, node, c);
}

void model_zero(struct model *m, unsigned node, uint64_t offset, uint64_t size)
{
	struct content *old = m->nodes[node].content, *c = content_new(old->bytes, old->size);
	for (uint64_t i = offset; i < offset + size && i < c->size; i++) c->bytes[i] = 0;
	model_set_content(m, node, c);
}
