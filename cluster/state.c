/* The state machine: opening, applying one entry, and the small values kept with the applied index.
 *
 * Each entry is one batch: what it changes, its remembered result and the applied index go into the store together, so that a
 * replay from the applied index on meets exactly the state it left. Invariants after each batch: the totals are the sums over all
 * records; every directory's `entries` and links agree with its entries; every orphan is in the list of orphans. */
#include <assert.h>
#include <string.h>

#include "caps/bigendian.h"
#include "cluster/state_apply.h"

#define STATE_FORMAT 1u
#define SCRATCH_MAX (8u << 20)     /* bytes: more than any value; a command is at most COMMAND_MAX */

enum state_meta { META_APPLIED = 1, META_CONFIGURATION };

/* Under META_APPLIED: format 4 | index 8 | term 8 | objects 8 | blocks 8 | rows 8. */
#define APPLIED_SIZE 44u

typedef int handler(struct apply *a, const struct command *command);

static handler *const handlers[] = {
#define COMMAND(NAME, number, member) [number] = apply_##member,
#include "cluster/command.def"
#undef COMMAND
};

static int load_applied(struct state *s)
{
	struct state_key key = key_shard_u64(KEY_META, META_APPLIED);
	int r = kv_get(s->kv, NULL, key_slice(&key), &s->value);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (s->value.size < 4)
		return -EBADMSG;
	if (get_be32(s->value.data) > STATE_FORMAT)
		return -ENOTSUP;
	if (s->value.size != APPLIED_SIZE)
		return -EBADMSG;
	s->index = get_be64(s->value.data + 4);
	s->term = get_be64(s->value.data + 12);
	s->objects = get_be64(s->value.data + 20);
	s->blocks = get_be64(s->value.data + 28);
	s->rows = get_be64(s->value.data + 36);
	return 0;
}

int state_open(struct kv *kv, struct state **ret_state)
{
	struct state *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->kv = kv;
	lock_init(&s->cache_lock, "records", LOCK_LEAF);
	buffer_init(&s->value, SCRATCH_MAX);
	buffer_init(&s->encoded, SCRATCH_MAX);
	s->batch = kv_batch_new(kv);
	s->cache = calloc(RECORD_CACHE, sizeof(*s->cache));
	int r = s->batch && s->cache ? load_applied(s) : -ENOMEM;
	if (r == 0)
		r = quota_load(s);
	if (r == 0)
		r = results_load(s);
	if (r < 0) {
		state_free(s);
		return r;
	}
	*ret_state = s;
	return 0;
}

void state_free(struct state *s)
{
	if (!s)
		return;
	results_done(s);
	kv_batch_free(s->kv, s->batch);
	buffer_done(&s->value);
	buffer_done(&s->encoded);
	free(s->cache);
	lock_done(&s->cache_lock);
	free(s);
}

uint64_t state_applied_index(const struct state *s)
{
	return s->index;
}

uint64_t state_applied_term(const struct state *s)
{
	return s->term;
}

int state_totals(struct state *s, uint64_t *ret_objects, uint64_t *ret_bytes)
{
	*ret_objects = s->objects;
	*ret_bytes = s->blocks * 512;
	return 0;
}

uint64_t state_row_count(const struct state *s)
{
	return s->rows;
}

/* Writes the batch with index, term and new totals. */
static int write_batch(struct apply *a, uint64_t term)
{
	struct state *s = a->s;
	uint64_t objects = s->objects + (uint64_t)a->objects, blocks = s->blocks + (uint64_t)a->blocks, rows = s->rows + (uint64_t)a->rows;
	uint8_t value[APPLIED_SIZE];

	put_be32(value, STATE_FORMAT);
	put_be64(value + 4, a->index);
	put_be64(value + 12, term);
	put_be64(value + 20, objects);
	put_be64(value + 28, blocks);
	put_be64(value + 36, rows);
	struct state_key key = key_shard_u64(KEY_META, META_APPLIED);
	int r = apply_put(a, &key, (struct slice){ .data = value, .size = sizeof(value) });
	if (r == 0)
		r = kv_write(s->kv, s->batch);
	if (r < 0)
		return r;
	s->objects = objects;
	s->blocks = blocks;
	s->rows = rows;
	s->term = term;
	s->index = a->index;
	return 0;
}

/* What in memory follows the batch, which is written. */
static void note_changes(struct apply *a, const struct command *c)
{
	for (unsigned i = 0; i < a->record_count; i++) {
		if (a->records[i].freed)
			state_cache_drop(a->s, a->records[i].record.ino);
		else
			state_cache_put(a->s, &a->records[i].record);
	}
	if (a->counter_next) {
		a->s->counter_slot = a->counter_slot;
		a->s->counter_next = a->counter_next;
	}
	quota_note(a);
	results_note(a, c);
}

/* What no handler should have to look at. */
static int check_command(struct state *s, const struct command *c)
{
	if (c->done_below > c->seq || c->seq == UINT64_MAX || c->time_ns < 0)
		return -EINVAL;
	return c->seq != 0 && results_full(s, c->client) ? -EBUSY : 0;
}

/* Runs the handler. A refused command leaves nothing in the batch and in a but the error. */
static int run_handler(struct apply *a, const struct command *c)
{
	int r = handlers[c->kind](a, c);

	if (r == 0)
		r = quota_check(a, c);
	if (r == 0)
		r = apply_flush_records(a);
	if (a->fatal < 0)
		return a->fatal;
	if (r < 0) {
		kv_batch_clear(a->s->kv, a->s->batch);
		*a->result = (struct result){ .error = r };
		*a = (struct apply){ .s = a->s, .index = a->index, .now_ns = a->now_ns, .result = a->result };
	}
	return 0;
}

static int apply_decoded(struct state *s, uint64_t index, uint64_t term, const struct command *c, struct result *result)
{
	struct apply a = { .s = s, .index = index, .now_ns = c->time_ns, .result = result };
	enum results_found found;
	int r = results_find(s, c, &found, result);

	if (r < 0)
		return r;
	int refused = found == RESULT_STALE ? -EALREADY : check_command(s, c);
	if (found == RESULT_REMEMBERED || refused < 0) {
		if (found != RESULT_REMEMBERED)
			*result = (struct result){ .error = refused };
		return write_batch(&a, term);
	}
	r = run_handler(&a, c);
	if (r == 0)
		r = results_put(&a, c);
	if (r == 0)
		r = write_batch(&a, term);
	if (r == 0)
		note_changes(&a, c);
	return r;
}

int state_apply(struct state *s, uint64_t index, uint64_t term, struct slice data, struct result *ret_result)
{
	struct result result = { 0 };
	struct command c;
	int r;

	if (index <= s->index)
		return -EINVAL;
	kv_batch_clear(s->kv, s->batch);
	if (data.size == 0) {
		struct apply a = { .s = s, .index = index };
		r = write_batch(&a, term);
	} else {
		r = command_decode(data, &c);
		if (r < 0)
			return r;
		r = apply_decoded(s, index, term, &c, &result);
		command_done(&c);
	}
	if (r == 0)
		*ret_result = result;
	return r;
}

int state_put_configuration(struct state *s, uint64_t index, struct slice configuration)
{
	struct state_key key = key_shard_u64(KEY_META, META_CONFIGURATION);
	uint8_t bytes[8];

	put_be64(bytes, index);
	buffer_reset(&s->encoded);
	buffer_append(&s->encoded, bytes, sizeof(bytes));
	buffer_append(&s->encoded, configuration.data, configuration.size);
	if (buffer_error(&s->encoded) < 0)
		return buffer_error(&s->encoded);
	kv_batch_clear(s->kv, s->batch);
	int r = kv_batch_put(s->kv, s->batch, key_slice(&key), (struct slice){ .data = s->encoded.data, .size = s->encoded.size });
	return r < 0 ? r : kv_write(s->kv, s->batch);
}

int state_get_configuration(struct state *s, uint64_t *ret_index, struct buffer *configuration)
{
	struct state_key key = key_shard_u64(KEY_META, META_CONFIGURATION);
	struct buffer value;

	buffer_init(&value, SCRATCH_MAX);
	int r = kv_get(s->kv, NULL, key_slice(&key), &value);
	if (r == 0 && value.size < 8)
		r = -EBADMSG;
	if (r == 0) {
		buffer_reset(configuration);
		r = buffer_append(configuration, value.data + 8, value.size - 8);
	}
	if (r == 0)
		*ret_index = get_be64(value.data);
	buffer_done(&value);
	return r;
}
