/* A plain model of the Raft log, for the crash tests: what each group has, after each single change. The log that is found
 * after a crash must be one of the states that the model went through, no earlier than the last promise. */
#ifndef DIOS_TESTS_LOG_MODEL_H
#define DIOS_TESTS_LOG_MODEL_H

#include "base/crc32c.h"
#include "store/log.h"
#include "tests/store/store_test.h"

#define MODEL_GROUPS 3u
#define MODEL_ENTRIES 4096u
#define MODEL_STATES 20000u

struct model_entry { uint64_t term; uint32_t hash; };
struct model_group { uint64_t base_index, base_term, last_index, term, voted_for; struct model_entry entries[MODEL_ENTRIES]; };

struct model {
	struct model_group groups[MODEL_GROUPS];
	uint64_t states[MODEL_STATES];   /* fingerprints, one for each change */
	size_t count;
	size_t written, promised;        /* the states that a kill, and a power cut, must not lose */
};

static inline uint64_t model_mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

static inline uint64_t model_mix_group(uint64_t h, uint64_t base_index, uint64_t base_term, uint64_t last_index, uint64_t term, uint64_t voted_for)
{
	return model_mix(model_mix(model_mix(model_mix(model_mix(h, base_index), base_term), last_index), term), voted_for);
}

static inline uint64_t model_fingerprint(const struct model *m)
{
	uint64_t h = 1;

	for (unsigned g = 0; g < MODEL_GROUPS; g++) {
		const struct model_group *x = &m->groups[g];
		h = model_mix_group(h, x->base_index, x->base_term, x->last_index, x->term, x->voted_for);
		for (uint64_t i = x->base_index + 1; i <= x->last_index; i++)
			h = model_mix(model_mix(h, x->entries[i % MODEL_ENTRIES].term), x->entries[i % MODEL_ENTRIES].hash);
	}
	return h;
}

/* The same of a real log; 0 if it cannot be read. */
static inline uint64_t log_fingerprint(struct log *log)
{
	uint64_t h = 1, term;
	struct buffer data;
	uint16_t type;
	bool failed = false;

	buffer_init(&data, LOG_ENTRY_MAX + 4096);
	for (unsigned g = 0; g < MODEL_GROUPS; g++) {
		struct log_group x;
		log_get_group(log, g, &x);
		h = model_mix_group(h, x.base_index, x.base_term, x.last_index, x.term, x.voted_for);
		for (uint64_t i = x.first_index; i <= x.last_index && !failed; i++) {
			failed = log_read(log, g, i, &term, &type, &data) != 0 || type != 7;
			h = model_mix(model_mix(h, term), crc32c(0, data.data, data.size));
		}
	}
	buffer_done(&data);
	return failed ? 0 : h;
}

static inline void model_note(struct model *m)
{
	if (m->count == MODEL_STATES)
		abort();
	m->states[m->count++] = model_fingerprint(m);
}

/* The model becomes what the log has: after a crash everything begins anew from what was found. */
static inline void model_adopt(struct model *m, struct log *log)
{
	struct buffer data;
	uint16_t type;

	buffer_init(&data, LOG_ENTRY_MAX + 4096);
	for (unsigned g = 0; g < MODEL_GROUPS; g++) {
		struct log_group x;
		struct model_group *to = &m->groups[g];
		log_get_group(log, g, &x);
		to->base_index = x.base_index;
		to->base_term = x.base_term;
		to->last_index = x.last_index;
		to->term = x.term;
		to->voted_for = x.voted_for;
		for (uint64_t i = x.first_index; i <= x.last_index; i++) {
			struct model_entry *e = &to->entries[i % MODEL_ENTRIES];
			if (log_read(log, g, i, &e->term, &type, &data) < 0)
				abort();
			e->hash = crc32c(0, data.data, data.size);
		}
	}
	buffer_done(&data);
	m->count = 0;
	model_note(m);
	m->written = m->promised = 0;
}

/* Is what was found a state at or after `from`? */
static inline bool model_has(const struct model *m, size_t from, uint64_t fingerprint)
{
	for (size_t i = from; i < m->count; i++)
		if (m->states[i] == fingerprint)
			return true;
	return false;
}

/* One random change, to the log and the model. Returns the log's answer. */
static inline int model_append(struct model *m, struct log *log, struct random_source *random)
{
	static uint8_t bytes[4][1500];
	struct log_entry e[4];
	unsigned g = (unsigned)random_below(random, MODEL_GROUPS);
	struct model_group *x = &m->groups[g];
	uint64_t live = x->last_index - x->base_index;
	size_t count = 1 + random_below(random, 4);
	/* Now and then over the end of what is there, as a follower does. */
	uint64_t index = x->last_index + 1 - (live && random_below(random, 5) == 0 ? random_below(random, live < 4 ? live : 4) + (live < 4 ? 0 : 1) : 0);

	for (size_t i = 0; i < count; i++) {
		size_t size = random_below(random, random_below(random, 4) == 0 ? sizeof(bytes[0]) : 150);
		random_fill(random, bytes[i], size);
		e[i] = (struct log_entry){ .index = index + i, .term = x->term + 1, .type = 7, .data = { bytes[i], size } };
		x->last_index = e[i].index;
		x->entries[e[i].index % MODEL_ENTRIES] = (struct model_entry){ e[i].term, crc32c(0, bytes[i], size) };
		model_note(m);
	}
	return log_append(log, g, e, count);
}

static inline int model_vote(struct model *m, struct log *log, struct random_source *random)
{
	unsigned g = (unsigned)random_below(random, MODEL_GROUPS);
	struct model_group *x = &m->groups[g];

	x->term++;
	x->voted_for = 1 + random_below(random, 5);
	model_note(m);
	int r = log_set_vote(log, g, x->term, x->voted_for);
	if (r == 0)
		m->promised = m->count - 1;
	return r;
}

static inline int model_cut(struct model *m, struct log *log, struct random_source *random)
{
	unsigned g = (unsigned)random_below(random, MODEL_GROUPS);
	struct model_group *x = &m->groups[g];
	uint64_t live = x->last_index - x->base_index;

	if (live == 0)
		return 0;
	x->last_index -= 1 + random_below(random, live < 5 ? live : 5);
	model_note(m);
	return log_cut_tail(log, g, x->last_index + 1);
}

static inline int model_compact(struct model *m, struct log *log, struct random_source *random)
{
	unsigned g = (unsigned)random_below(random, MODEL_GROUPS);
	struct model_group *x = &m->groups[g];
	uint64_t live = x->last_index - x->base_index;

	if (random_below(random, 8) == 0) {   /* a snapshot from elsewhere */
		x->base_index = x->last_index = x->last_index + 1 + random_below(random, 10);
		x->base_term = x->term + 1;
	} else if (live > 0) {
		x->base_index += 1 + random_below(random, live);
		x->base_term = x->entries[x->base_index % MODEL_ENTRIES].term;
	}
	model_note(m);
	return log_compact(log, g, x->base_index, x->base_term);
}

static inline int model_sync(struct model *m, struct log *log)
{
	int r = log_sync(log);

	if (r == 0)
		m->promised = m->count - 1;
	return r;
}

static inline int model_step(struct model *m, struct log *log, struct random_source *random)
{
	uint64_t what = random_below(random, 20);
	int r;

	if (what < 10)
		r = model_append(m, log, random);
	else if (what < 13)
		r = model_sync(m, log);
	else if (what < 16)
		r = model_compact(m, log, random);
	else if (what < 17)
		r = model_cut(m, log, random);
	else if (what < 18)
		r = model_vote(m, log, random);
	else
		r = log_prepare(log);
	if (r == 0)
		m->written = m->count - 1;
	return r;
}

#endif
