/* Which states a crash may leave. */
#include <stdlib.h>

#include "tests/sim/sim.h"

static void history_push(struct sim_history *h, const struct model *m)
{
	if (h->count == h->capacity) {
		h->capacity = h->capacity ? h->capacity * 2 : 64;
		h->snapshots = realloc(h->snapshots, h->capacity * sizeof(*h->snapshots));
	}
	model_copy(&h->snapshots[h->count++], m);
}

static void history_clear(struct sim_history *h)
{
	for (size_t i = 0; i < h->count; i++) model_done(&h->snapshots[i]);
	h->count = 0;
}

static void contents_clear(struct sim_contents *c)
{
	for (size_t i = 0; i < c->count; i++) content_unref(c->items[i].content);
	c->count = 0;
}

static void contents_push(struct sim_contents *c, const struct model_node *n)
{
	if (c->count == c->capacity) {
		c->capacity = c->capacity ? c->capacity * 2 : 16;
		c->items = realloc(c->items, c->capacity * sizeof(*c->items));
	}
	c->items[c->count++] = (struct sim_content){ content_ref(n->content), n->life };
}

void history_event(struct sim *s) { history_push(&s->history, &s->model); }

void history_content(struct sim *s, unsigned node) { contents_push(&s->contents[node], &s->model.nodes[node]); }

void history_log_durable(struct sim *s)
{
	history_clear(&s->history);
	history_push(&s->history, &s->model);
}

void history_blob_durable(struct sim *s, unsigned node)
{
	struct sim_contents *c = &s->contents[node];
	contents_clear(c);
	if (s->model.nodes[node].kind != MODEL_FILE) return;
	contents_push(c, &s->model.nodes[node]);
	s->model.nodes[node].content_floor = 0;
	for (size_t i = 0; i < s->history.count; i++) s->history.snapshots[i].nodes[node].content_floor = 0;
}

void history_durable(struct sim *s)
{
	for (unsigned i = 0; i < MODEL_NODES; i++) history_blob_durable(s, i);
	history_log_durable(s);
}

void history_done(struct sim *s)
{
	history_clear(&s->history);
	free(s->history.snapshots);
	for (unsigned i = 0; i < MODEL_NODES; i++) {
		contents_clear(&s->contents[i]);
		free(s->contents[i].items);
	}
}
