/* See raft_harness.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cluster/raft_harness.h"

#define HARNESS_CHECK(c, ...) do { if (!(c)) { fprintf(stderr, "harness: " __VA_ARGS__); fputc('\n', stderr); abort(); } } while (0)
#define STEP_MS 10

struct harness *harness_new(uint64_t seed)
{
	struct harness *h = calloc(1, sizeof(*h));

	HARNESS_CHECK(h, "no memory");
	h->now_ms = 1000;
	random_seeded_init(&h->random, seed);
	for (uint64_t i = 1; i <= HARNESS_NODES; i++)
		h->node[i].id = i;
	return h;
}

static struct harness_entry copy_entry(uint64_t term, uint16_t type, struct slice data)
{
	struct harness_entry e = { .term = term, .type = type, .size = data.size };

	e.data = malloc(data.size + 1);
	HARNESS_CHECK(e.data, "no memory");
	if (data.size > 0)
		memcpy(e.data, data.data, data.size);
	return e;
}

static void log_cut(struct harness_node *n, uint64_t from)
{
	while (n->count > 0 && n->base + n->count >= from)
		free(n->entries[--n->count].data);
	if (n->unsynced_from >= from)
		n->unsynced_from = 0;
}

static void log_push(struct harness_node *n, struct harness_entry e)
{
	if (n->count == n->capacity) {
		n->capacity = n->capacity * 2 + 16;
		n->entries = realloc(n->entries, n->capacity * sizeof(*n->entries));
		HARNESS_CHECK(n->entries, "no memory");
	}
	n->entries[n->count++] = e;
}

static void drop_message(struct harness_message *m)
{
	for (size_t i = 0; i < m->message.append.count && m->entries; i++)
		free(m->entries[i].data);
	free(m->entries);
}

void harness_drop_queue(struct harness *h)
{
	for (size_t i = 0; i < h->queued; i++)
		drop_message(&h->queue[i]);
	h->queued = 0;
}

void harness_free(struct harness *h)
{
	harness_drop_queue(h);
	free(h->queue);
	for (uint64_t i = 1; i <= HARNESS_NODES; i++) {
		raft_group_close(h->node[i].group);
		log_cut(&h->node[i], 0);
		free(h->node[i].entries);
	}
	free(h);
}

struct raft_group_members harness_members(const char *roles)
{
	struct raft_group_members m = { 0 };

	for (uint64_t i = 0; roles[i]; i++)
		if (roles[i] != '-')
			m.member[m.count++] = (struct raft_group_member){ .id = i + 1,
				.role = roles[i] == 'v' ? RAFT_GROUP_VOTER : roles[i] == 's' ? RAFT_GROUP_STANDBY : RAFT_GROUP_SPARE };
	return m;
}

static void log_begin(struct harness_node *n, const struct raft_group_members *members)
{
	struct buffer data;

	buffer_init(&data, 4096);
	HARNESS_CHECK(raft_group_members_encode(members, &data) == 0, "members");
	log_cut(n, 0);
	n->term = 1;
	log_push(n, copy_entry(1, RAFT_GROUP_CHANGE, (struct slice){ .data = data.data, .size = data.size }));
	buffer_done(&data);
}

void harness_bootstrap(struct harness *h, uint64_t id, const struct raft_group_members *members)
{
	log_begin(&h->node[id], members);
	harness_start(h, id);
}

void harness_set_log(struct harness *h, uint64_t id, uint64_t term, const uint64_t *terms, size_t count)
{
	struct raft_group_members members = harness_members("vvv");
	struct harness_node *n = &h->node[id];

	log_begin(n, &members);
	n->term = term;
	for (size_t i = 0; i < count; i++) {
		char text[32];
		int size = snprintf(text, sizeof(text), "%zu of term %d", i, (int)terms[i]);
		log_push(n, copy_entry(terms[i], RAFT_GROUP_COMMAND, (struct slice){ .data = (uint8_t *)text, .size = (size_t)size }));
	}
}

void harness_start(struct harness *h, uint64_t id)
{
	struct harness_node *n = &h->node[id];
	struct raft_group_start start = { .id = id, .term = n->term, .voted_for = n->voted_for, .applied_index = n->base, .applied_term = n->base_term,
		.members = n->members, .members_index = n->members_index, .entry_count = n->count, .seed = (uint32_t)random_below(&h->random.source, UINT32_MAX) };
	struct log_entry *entries = calloc(n->count + 1, sizeof(*entries));
	struct raft_group_actions actions;

	HARNESS_CHECK(!n->group && entries, "member %d is up", (int)id);
	for (size_t i = 0; i < n->count; i++)
		entries[i] = (struct log_entry){ .index = n->base + 1 + i, .term = n->entries[i].term, .type = n->entries[i].type,
			.data = { .data = n->entries[i].data, .size = n->entries[i].size } };
	start.entries = entries;
	n->applied = n->base;
	n->applied_members = n->members;
	n->applied_members_index = n->members_index;
	n->held_index = n->unsynced_from = 0;
	int r = raft_group_open(&start, h->now_ms, &n->group, &actions);
	HARNESS_CHECK(r == 0, "member %d does not start: %d", (int)id, r);
	harness_act(h, id, &actions);
	free(entries);
}

void harness_crash(struct harness *h, uint64_t id)
{
	struct harness_node *n = &h->node[id];

	if (n->unsynced_from)
		log_cut(n, n->unsynced_from);
	raft_group_close(n->group);
	n->group = NULL;
}

static uint64_t hash_entry(const struct harness_entry *e)
{
	uint64_t hash = 1469598103934665603u ^ e->type;

	for (size_t i = 0; i < e->size; i++)
		hash = (hash ^ e->data[i]) * 1099511628211u;
	return hash;
}

static void apply(struct harness *h, struct harness_node *n, uint64_t commit)
{
	for (; n->applied < commit && n->applied < n->base + n->count; n->applied++) {
		uint64_t index = n->applied + 1;
		const struct harness_entry *e = &n->entries[index - n->base - 1];
		HARNESS_CHECK(index < HARNESS_LOG_MAX, "the run is too long");
		if (index > h->agreed_count) {
			HARNESS_CHECK(index == h->agreed_count + 1, "member %d applies %d after %d", (int)n->id, (int)index, (int)h->agreed_count);
			h->agreed_count = index;
			h->agreed[index].term = e->term;
			h->agreed[index].hash = hash_entry(e);
		}
		HARNESS_CHECK(h->agreed[index].term == e->term && h->agreed[index].hash == hash_entry(e), "member %d applies another entry at %d", (int)n->id, (int)index);
		if (e->type == RAFT_GROUP_CHANGE) {
			HARNESS_CHECK(raft_group_members_decode((struct slice){ .data = e->data, .size = e->size }, &n->applied_members) == 0, "members");
			n->applied_members_index = index;
		}
	}
}

static void queue_message(struct harness *h, struct harness_node *n, const struct raft_group_message *m)
{
	struct harness_message copy = { .message = *m };

	if (m->kind == RAFT_GROUP_APPEND && m->append.count > 0) {
		/* A member that has compacted them since can't send them any more: lost. */
		if (m->append.prev_index < n->base || m->append.prev_index + m->append.count > n->base + n->count)
			return;
		copy.entries = calloc(m->append.count, sizeof(*copy.entries));
		HARNESS_CHECK(copy.entries, "no memory");
		for (size_t i = 0; i < m->append.count; i++) {
			const struct harness_entry *e = &n->entries[m->append.prev_index - n->base + i];
			copy.entries[i] = copy_entry(e->term, e->type, (struct slice){ .data = e->data, .size = e->size });
		}
	} else if (m->kind != RAFT_GROUP_APPEND) {
		copy.entries = NULL;
	}
	if (h->queued == h->queue_capacity) {
		h->queue_capacity = h->queue_capacity * 2 + 64;
		h->queue = realloc(h->queue, h->queue_capacity * sizeof(*h->queue));
		HARNESS_CHECK(h->queue, "no memory");
	}
	h->queue[h->queued++] = copy;
}

/* The other member's snapshot, as it is now or was when it sent the message: a later one is as good. */
static void install(struct harness *h, struct harness_node *n, const struct raft_group_message *m)
{
	struct harness_node *from = &h->node[m->from];
	struct raft_group_actions actions;

	if (from->base != m->snapshot.index) {
		/* The leader has another one by now: give up, as if the pull had failed. */
		harness_crash(h, n->id);
		harness_start(h, n->id);
		return;
	}
	log_cut(n, 0);
	n->base = n->applied = m->snapshot.index;
	n->base_term = m->snapshot.index_term;
	n->members = n->applied_members = m->snapshot.members;
	n->members_index = n->applied_members_index = m->snapshot.members_index;
	n->held_index = n->unsynced_from = 0;
	HARNESS_CHECK(raft_group_installed(n->group, h->now_ms, &actions) == 0, "installed");
	harness_act(h, n->id, &actions);
}

void harness_act(struct harness *h, uint64_t id, const struct raft_group_actions *a)
{
	struct harness_node *n = &h->node[id];
	struct raft_group_message snapshot = { 0 };
	uint64_t last = 0, ticket = a->ticket, commit = a->commit_index;
	bool installs = a->install;

	HARNESS_CHECK(raft_group_deadline_ms(n->group) > h->now_ms, "member %d's deadline is in the past", (int)id);
	if (a->save_vote) {
		HARNESS_CHECK(a->term > n->term || (a->term == n->term && (n->voted_for == 0 || n->voted_for == a->voted_for)), "member %d votes twice", (int)id);
		n->term = a->term;
		n->voted_for = a->voted_for;
	}
	if (a->cut_from) {
		HARNESS_CHECK(a->cut_from > n->applied, "member %d cuts what it has applied", (int)id);
		log_cut(n, a->cut_from);
	}
	for (size_t i = 0; i < a->entry_count; i++) {
		HARNESS_CHECK(a->entries[i].index == n->base + n->count + 1, "member %d appends %d after %d", (int)id, (int)a->entries[i].index, (int)(n->base + n->count));
		log_push(n, copy_entry(a->entries[i].term, a->entries[i].type, a->entries[i].data));
		last = a->entries[i].index;
		if (n->unsynced_from == 0)
			n->unsynced_from = last;
	}
	for (size_t i = 0; i < a->message_count; i++)
		queue_message(h, n, &a->messages[i]);
	if (installs)
		snapshot = *a->install;
	apply(h, n, commit);

	if (installs) {
		install(h, n, &snapshot);
	} else if (last) {
		n->held_index = last;
		n->held_ticket = ticket;
		if (!n->hold_persisted)
			harness_persist(h, id);
	}
}

void harness_persist(struct harness *h, uint64_t id)
{
	struct harness_node *n = &h->node[id];
	struct raft_group_actions actions;
	uint64_t index = n->held_index;

	if (!index || !n->group)
		return;
	n->held_index = 0;
	n->unsynced_from = 0;
	HARNESS_CHECK(raft_group_persisted(n->group, h->now_ms, index, n->held_ticket, &actions) == 0, "persisted");
	harness_act(h, id, &actions);
}

bool harness_deliver_one(struct harness *h)
{
	struct raft_group_actions actions;
	size_t i = 0;

	if (h->queued == 0)
		return false;
	if (random_below(&h->random.source, 1000) < h->reorder)
		i = (size_t)random_below(&h->random.source, h->queued);
	struct harness_message m = h->queue[i];
	struct harness_node *to = &h->node[m.message.to];
	bool again = random_below(&h->random.source, 1000) < h->duplicate;
	if (!again) {
		memmove(&h->queue[i], &h->queue[i + 1], (h->queued - i - 1) * sizeof(*h->queue));
		h->queued--;
	}
	if (to->group && !h->cut[m.message.from][m.message.to] && random_below(&h->random.source, 1000) >= h->lose) {
		struct log_entry *entries = NULL;
		if (m.message.kind == RAFT_GROUP_APPEND && m.message.append.count > 0) {
			entries = calloc(m.message.append.count, sizeof(*entries));
			HARNESS_CHECK(entries, "no memory");
			for (size_t k = 0; k < m.message.append.count; k++)
				entries[k] = (struct log_entry){ .index = m.message.append.prev_index + 1 + k, .term = m.entries[k].term, .type = m.entries[k].type,
					.data = { .data = m.entries[k].data, .size = m.entries[k].size } };
			m.message.append.entries = entries;
		}
		struct raft_group_info before, after;
		raft_group_get_info(to->group, &before);
		int r = raft_group_receive(to->group, h->now_ms, &m.message, &actions);
		HARNESS_CHECK(r == 0, "member %d refuses a message of kind %d from %d: %d", (int)to->id, (int)m.message.kind, (int)m.message.from, r);
		raft_group_get_info(to->group, &after);
		to->elections += after.is_leader && !before.is_leader;
		harness_act(h, to->id, &actions);
		free(entries);
	}
	if (!again) {
		if (m.message.kind != RAFT_GROUP_APPEND)
			m.message.append.count = 0;
		drop_message(&m);
	}
	return true;
}

void harness_deliver(struct harness *h)
{
	while (harness_deliver_one(h))
		;
}

void harness_run(struct harness *h, int64_t ms)
{
	int64_t end = h->now_ms + ms;

	while (h->now_ms < end) {
		h->now_ms += STEP_MS;
		for (uint64_t i = 1; i <= HARNESS_NODES; i++) {
			struct raft_group_actions actions;
			struct harness_node *n = &h->node[i];
			if (!n->group || raft_group_deadline_ms(n->group) > h->now_ms)
				continue;
			HARNESS_CHECK(raft_group_tick(n->group, h->now_ms, &actions) == 0, "member %d's tick", (int)i);
			harness_act(h, i, &actions);
		}
		harness_deliver(h);
	}
}

void harness_isolate(struct harness *h, uint64_t id, bool cut)
{
	for (uint64_t i = 1; i <= HARNESS_NODES; i++)
		h->cut[id][i] = h->cut[i][id] = cut;
}

void harness_compact(struct harness *h, uint64_t id)
{
	struct harness_node *n = &h->node[id];
	struct raft_group_actions actions;
	uint64_t keep_from = n->applied + 1;

	if (n->applied <= n->base || (n->unsynced_from && n->unsynced_from <= n->applied))
		return;
	n->base_term = n->entries[n->applied - n->base - 1].term;
	size_t gone = (size_t)(keep_from - n->base - 1);
	for (size_t i = 0; i < gone; i++)
		free(n->entries[i].data);
	memmove(n->entries, n->entries + gone, (n->count - gone) * sizeof(*n->entries));
	n->count -= gone;
	n->base = n->applied;
	n->members = n->applied_members;
	n->members_index = n->applied_members_index;
	HARNESS_CHECK(raft_group_compacted(n->group, h->now_ms, n->base, &n->members, n->members_index, 0, &actions) == 0, "compacted");
	harness_act(h, id, &actions);
}

uint64_t harness_leader(const struct harness *h)
{
	uint64_t leader = 0, term = 0;

	for (uint64_t i = 1; i <= HARNESS_NODES; i++) {
		struct raft_group_info info;
		if (!h->node[i].group)
			continue;
		raft_group_get_info(h->node[i].group, &info);
		HARNESS_CHECK(!info.is_leader || info.term != term, "two leaders in term %d", (int)term);
		if (info.is_leader && info.term > term) {
			leader = i;
			term = info.term;
		}
	}
	return leader;
}

int harness_propose(struct harness *h, uint64_t id, const char *command)
{
	struct slice s = { .data = (const uint8_t *)command, .size = strlen(command) };
	struct raft_group_actions actions;
	int r = raft_group_propose(h->node[id].group, h->now_ms, &s, 1, &actions);

	if (r == 0)
		harness_act(h, id, &actions);
	return r;
}

int harness_change(struct harness *h, uint64_t id, const struct raft_group_members *members)
{
	struct raft_group_actions actions;
	int r = raft_group_change(h->node[id].group, h->now_ms, members, &actions);

	if (r == 0)
		harness_act(h, id, &actions);
	return r;
}

uint64_t harness_last_index(const struct harness *h, uint64_t id)
{
	return h->node[id].base + h->node[id].count;
}

struct harness *harness_three_voters(uint64_t seed)
{
	struct harness *h = harness_new(seed);
	struct raft_group_members members = harness_members("vvv");

	for (uint64_t i = 1; i <= 3; i++)
		harness_bootstrap(h, i, &members);
	harness_run(h, 5000);
	return h;
}

/* Hands a member one message, as written here. */
int harness_give(struct harness *h, uint64_t id, struct raft_group_message m, struct raft_group_actions *ret_actions)
{
	m.to = id;
	return raft_group_receive(h->node[id].group, h->now_ms, &m, ret_actions);
}

const struct raft_group_message *harness_find(const struct raft_group_actions *a, enum raft_group_message_kind kind, uint64_t to)
{
	for (size_t i = 0; i < a->message_count; i++)
		if (a->messages[i].kind == kind && a->messages[i].to == to)
			return &a->messages[i];
	return NULL;
}

struct raft_group_info harness_info(struct harness *h, uint64_t id)
{
	struct raft_group_info info;

	raft_group_get_info(h->node[id].group, &info);
	return info;
}

struct log_entry harness_log_entry(uint64_t index, uint64_t term, enum raft_group_entry type, const struct buffer *data)
{
	return (struct log_entry){ .index = index, .term = term, .type = (uint16_t)type, .data = { .data = data->data, .size = data->size } };
}

void harness_encode(struct buffer *b, const char *roles)
{
	struct raft_group_members members = harness_members(roles);

	buffer_init(b, 4096);
	raft_group_members_encode(&members, b);
}

struct harness *harness_three_and_standby(uint64_t seed, uint64_t *ret_leader)
{
	struct harness *h = harness_three_voters(seed);
	struct raft_group_members members = harness_members("vvvs");

	*ret_leader = harness_leader(h);
	harness_start(h, 4);
	HARNESS_CHECK(*ret_leader != 0 && harness_change(h, *ret_leader, &members) == 0, "a stand-by can't be added");
	harness_run(h, 1000);
	HARNESS_CHECK(harness_last_index(h, 4) == harness_last_index(h, *ret_leader), "the stand-by has not got the log");
	return h;
}
