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

static void contents_push(struct sim_contents *c, struct content *content, uint64_t life)
{
	if (c->count == c->capacity) {
		c->capacity = c->capacity ? c->capacity * 2 : 16;
		c->items = realloc(c->items, c->capacity * sizeof(*c->items));
	}
	c->items[c->count++] = (struct sim_content){ content_ref(content), life };
}

void history_event(struct sim *s) { history_push(&s->history, &s->model); }

bool history_look(struct sim *s, unsigned node)
{
	struct attributes a;
	bool in_place = !disk_sim_crashed(s->disk) && object_get(s->objects, s->inos[node], &a) == 0 && a.record.in_place;
	s->in_place[node] = in_place;
	s->loose[node] |= in_place;
	s->passes[node] += in_place;
	return in_place;
}

void history_content(struct sim *s, unsigned node)
{
	history_look(s, node);
	contents_push(&s->contents[node], s->model.nodes[node].content, s->model.nodes[node].life);
}

void history_survived(struct sim *s, unsigned node) { contents_push(&s->contents[node], s->model.nodes[node].content, s->model.nodes[node].life); }

void history_orphan(struct sim *s, const struct sim_handle *h)
{
	struct attributes a;
	if (object_get(s->objects, reference_ino(h->reference), &a) < 0 || !a.record.in_place) return;
	s->loose[h->node] = true;
	contents_push(&s->contents[h->node], h->orphan, h->life);
}

void history_log_durable(struct sim *s)
{
	history_clear(&s->history);
	history_push(&s->history, &s->model);
}

void history_blob_durable(struct sim *s, unsigned node)
{
	struct sim_contents *c = &s->contents[node];
	contents_clear(c);
	s->loose[node] = false;
	if (s->model.nodes[node].kind != MODEL_FILE) return;
	contents_push(c, s->model.nodes[node].content, s->model.nodes[node].life);
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
