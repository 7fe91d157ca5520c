/* The tree of names of the simulated disk. Each folder has its entries as programs see them, the entries that the
 * platter has, and the changes between the two, in order: a power cut keeps any beginning of that list. */
#include <assert.h>
#include <string.h>

#include "store/sim.h"

struct sim_node *sim_node_new(bool folder, struct random_source *random, uint64_t *used_pages)
{
	struct sim_node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->refs = 1;
	node->folder = folder;
	sim_content_init(&node->content, random, used_pages);
	return node;
}

static void names_done(struct sim_names *n)
{
	for (size_t i = 0; i < n->count; i++) {
		free(n->names[i].name);
		sim_node_unref(n->names[i].node);
	}
	free(n->names);
	*n = (struct sim_names){ 0 };
}

static void changes_clear(struct sim_node *folder)
{
	for (size_t i = 0; i < folder->change_count; i++) {
		struct sim_change *c = &folder->changes[i];
		free(c->removed);
		free(c->put);
		if (c->node)
			sim_node_unref(c->node);
	}
	folder->change_count = 0;
}

void sim_node_unref(struct sim_node *node)
{
	if (!node || --node->refs > 0)
		return;
	names_done(&node->now);
	names_done(&node->durable);
	changes_clear(node);
	free(node->changes);
	sim_content_done(&node->content);
	free(node);
}

static size_t names_find(const struct sim_names *n, const char *name, bool *ret_equal)
{
	size_t low = 0, high = n->count;

	*ret_equal = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = strcmp(n->names[middle].name, name);
		*ret_equal |= r == 0;
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void names_remove(struct sim_names *n, const char *name)
{
	bool equal;
	size_t at = names_find(n, name, &equal);

	if (!equal)
		return;
	free(n->names[at].name);
	sim_node_unref(n->names[at].node);
	n->count--;
	memmove(n->names + at, n->names + at + 1, (n->count - at) * sizeof(*n->names));
}

static int names_put(struct sim_names *n, const char *name, struct sim_node *node)
{
	bool equal;
	size_t at = names_find(n, name, &equal);

	if (equal) {
		node->refs++;
		sim_node_unref(n->names[at].node);
		n->names[at].node = node;
		return 0;
	}
	if (n->count == n->capacity) {
		size_t capacity = n->capacity ? n->capacity * 2 : 8;
		struct sim_name *names = realloc(n->names, capacity * sizeof(*names));
		if (!names)
			return -ENOMEM;
		n->names = names;
		n->capacity = capacity;
	}
	char *copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	memmove(n->names + at + 1, n->names + at, (n->count - at) * sizeof(*n->names));
	node->refs++;
	n->names[at] = (struct sim_name){ copy, node };
	n->count++;
	return 0;
}

static int names_change(struct sim_names *n, const struct sim_change *c)
{
	if (c->removed)
		names_remove(n, c->removed);
	return c->put ? names_put(n, c->put, c->node) : 0;
}

struct sim_node *sim_node_find(struct sim_node *folder, const char *name)
{
	bool equal;
	size_t at = names_find(&folder->now, name, &equal);

	return equal ? folder->now.names[at].node : NULL;
}

int sim_node_change(struct sim_node *folder, const char *removed, const char *put, struct sim_node *node)
{
	if (folder->change_count == folder->change_capacity) {
		size_t capacity = folder->change_capacity ? folder->change_capacity * 2 : 8;
		struct sim_change *changes = realloc(folder->changes, capacity * sizeof(*changes));
		if (!changes)
			return -ENOMEM;
		folder->changes = changes;
		folder->change_capacity = capacity;
	}
	struct sim_change c = { .removed = removed ? strdup(removed) : NULL, .put = put ? strdup(put) : NULL, .node = node };
	if ((removed && !c.removed) || (put && !c.put)) {
		free(c.removed);
		free(c.put);
		return -ENOMEM;
	}
	if (node)
		node->refs++;
	folder->changes[folder->change_count++] = c;

	/* What loses a name by this; held, to be looked at afterwards. */
	struct sim_node *lost[2] = { removed ? sim_node_find(folder, removed) : NULL, put ? sim_node_find(folder, put) : NULL };
	for (int i = 0; i < 2; i++) {
		if (lost[i]) {
			lost[i]->refs++;
			lost[i]->names--;
		}
	}
	if (node)
		node->names++;
	int r = names_change(&folder->now, &c);
	for (int i = 0; i < 2; i++) {
		if (lost[i])
			sim_node_settle(lost[i]);
		sim_node_unref(lost[i]);
	}
	return r;
}

void sim_node_settle(struct sim_node *node)
{
	sim_content_count(&node->content, node->names + node->opens > 0);
}

static int changes_apply(struct sim_node *folder, size_t count)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = names_change(&folder->durable, &folder->changes[i]);
	changes_clear(folder);
	return r;
}

int sim_node_sync(struct sim_node *folder)
{
	return changes_apply(folder, folder->change_count);
}

void sim_node_power_cut(struct sim_node *node)
{
	if (!node->folder) {
		sim_content_power_cut(&node->content);
		return;
	}
	if (changes_apply(node, random_below(node->content.random, node->change_count + 1)) < 0)
		abort();   /* a simulation without memory can't go on */
	names_done(&node->now);
	for (size_t i = 0; i < node->durable.count; i++) {
		if (names_put(&node->now, node->durable.names[i].name, node->durable.names[i].node) < 0)
			abort();
		node->durable.names[i].node->names = 1;
		sim_node_settle(node->durable.names[i].node);
		sim_node_power_cut(node->durable.names[i].node);
	}
}
