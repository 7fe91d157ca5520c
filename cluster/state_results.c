/* Remembered results: a command that comes again gets the answer it got, and is not applied again.
 *
 * Kept under (client, seq), each with the done_below of its command. Invariants: a client's done_below is the largest among its kept
 * results (a command's done_below is at most its seq, so the result that carries the largest one outlives it); every kept seq is at or above
 * it. So the store alone says all, and the table in memory is a copy that saves a search for each command.
 *
 * A client that is gone leaves one entry with done_below UINT64_MAX, so that a late copy of one of its commands is refused. These
 * are never forgotten: one small key for each start of a daemon. */
#include <assert.h>
#include <string.h>

#include "caps/bigendian.h"
#include "cluster/state_apply.h"

#define RESULTS_PER_CLIENT_MAX 65536u   /* commands in flight: far above what a client's queue lets out */
#define DONE_FOR_EVER UINT64_MAX

/* Where a client is, or would be. */
static size_t client_position(const struct state *s, uint64_t id)
{
	size_t low = 0, high = s->client_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->clients[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct client *client_find(struct state *s, uint64_t id)
{
	size_t i = client_position(s, id);
	return i < s->client_count && s->clients[i].id == id ? &s->clients[i] : NULL;
}

/* Finds or makes it; NULL: no memory. */
static struct client *client_get(struct state *s, uint64_t id)
{
	size_t i = client_position(s, id);

	if (i < s->client_count && s->clients[i].id == id)
		return &s->clients[i];
	if (s->client_count == s->client_capacity) {
		size_t capacity = s->client_capacity ? 2 * s->client_capacity : 16;
		struct client *clients = realloc(s->clients, capacity * sizeof(*clients));
		if (!clients)
			return NULL;
		s->clients = clients;
		s->client_capacity = capacity;
	}
	memmove(&s->clients[i + 1], &s->clients[i], (s->client_count - i) * sizeof(*s->clients));
	s->clients[i] = (struct client){ .id = id };
	s->client_count++;
	return &s->clients[i];
}

/* The first kept seq that is not below. */
static size_t seq_position(const struct client *client, uint64_t seq)
{
	size_t i = client->count;

	while (i > 0 && client->seqs[i - 1] >= seq)   /* new ones come at the end */
		i--;
	return i;
}

static int client_reserve(struct client *client)
{
	if (client->count < client->capacity)
		return 0;
	size_t capacity = client->capacity ? 2 * client->capacity : 16;
	uint64_t *seqs = realloc(client->seqs, capacity * sizeof(*seqs));
	if (!seqs)
		return -ENOMEM;
	client->seqs = seqs;
	client->capacity = capacity;
	return 0;
}

static void client_add(struct client *client, uint64_t seq)
{
	size_t i = seq_position(client, seq);

	assert(client->count < client->capacity);
	memmove(&client->seqs[i + 1], &client->seqs[i], (client->count - i) * sizeof(*client->seqs));
	client->seqs[i] = seq;
	client->count++;
}

static void client_drop_below(struct client *client, uint64_t below)
{
	size_t i = 0;

	while (i < client->count && client->seqs[i] < below)
		i++;
	memmove(client->seqs, &client->seqs[i], (client->count - i) * sizeof(*client->seqs));
	client->count -= i;
}

int results_load(struct state *s)
{
	struct state_key from = key_shard(KEY_RESULT), below = key_after(&from);
	struct kv_iter *it = kv_iter_new(s->kv, NULL, key_slice(&from), key_slice(&below));
	int r = it ? 0 : -ENOMEM;

	for (; r == 0 && kv_iter_valid(s->kv, it); kv_iter_next(s->kv, it)) {
		struct slice key = kv_iter_key(s->kv, it), value = kv_iter_value(s->kv, it);
		if (key.size != STATE_KEY_PREFIX + 16 || value.size < 8) {
			r = -EBADMSG;
			break;
		}
		uint64_t done_below = get_be64(value.data);
		struct client *client = client_get(s, get_be64(key.data + STATE_KEY_PREFIX));
		r = client ? client_reserve(client) : -ENOMEM;
		if (r < 0)
			break;
		client_add(client, key_last_u64(key));
		if (done_below > client->done_below)
			client->done_below = done_below;
	}
	if (r == 0)
		r = kv_iter_error(s->kv, it);
	kv_iter_free(s->kv, it);
	return r;
}

void results_done(struct state *s)
{
	for (size_t i = 0; i < s->client_count; i++)
		free(s->clients[i].seqs);
	free(s->clients);
}

int results_find(struct state *s, const struct command *c, enum results_found *ret_found, struct result *ret_result)
{
	const struct client *client = c->seq ? client_find(s, c->client) : NULL;

	*ret_found = RESULT_NEW;
	if (!client)
		return 0;
	if (c->seq < client->done_below) {
		*ret_found = RESULT_STALE;
		return 0;
	}
	size_t i = seq_position(client, c->seq);
	if (i == client->count || client->seqs[i] != c->seq)
		return 0;

	struct state_key key = key_shard_pair(KEY_RESULT, c->client, c->seq);
	int r = kv_get(s->kv, NULL, key_slice(&key), &s->value);
	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r;
	r = result_decode(key_rest((struct slice){ .data = s->value.data, .size = s->value.size }, 8), ret_result);
	if (r < 0)
		return r;
	*ret_found = RESULT_REMEMBERED;
	return 0;
}

/* Commands without a number are not remembered, nor those of a client that has just said goodbye. */
static bool results_remembers(const struct apply *a, const struct command *c)
{
	return c->seq != 0 && !(a->gone != 0 && c->client == a->gone);
}

int results_put(struct apply *a, const struct command *c)
{
	if (!results_remembers(a, c))
		return 0;
	struct client *client = client_get(a->s, c->client);
	struct buffer *out = &a->s->encoded;
	uint8_t done_below[8];

	if (!client || client_reserve(client) < 0)
		return apply_fatal(a, -ENOMEM);
	put_be64(done_below, c->done_below);
	buffer_reset(out);
	buffer_append(out, done_below, sizeof(done_below));
	result_encode(a->result, out);
	if (buffer_error(out) < 0)
		return apply_fatal(a, buffer_error(out));
	struct state_key key = key_shard_pair(KEY_RESULT, c->client, c->seq);
	int r = apply_put(a, &key, (struct slice){ .data = out->data, .size = out->size });

	for (size_t i = 0; r == 0 && i < client->count && client->seqs[i] < c->done_below; i++) {
		key = key_shard_pair(KEY_RESULT, c->client, client->seqs[i]);
		r = apply_delete(a, &key);
	}
	return r;
}

bool results_full(struct state *s, uint64_t id)
{
	const struct client *client = client_find(s, id);
	return client && client->count >= RESULTS_PER_CLIENT_MAX;
}

int results_forget(struct apply *a, uint64_t id)
{
	struct client *client = client_get(a->s, id);
	struct state_key key;
	uint8_t value[8];
	int r = 0;

	if (!client || client_reserve(client) < 0)
		return apply_fatal(a, -ENOMEM);
	for (size_t i = 0; r == 0 && i < client->count; i++) {
		key = key_shard_pair(KEY_RESULT, id, client->seqs[i]);
		r = apply_delete(a, &key);
	}
	if (r < 0)
		return r;
	a->gone = id;
	put_be64(value, DONE_FOR_EVER);
	key = key_shard_pair(KEY_RESULT, id, DONE_FOR_EVER);
	return apply_put(a, &key, (struct slice){ .data = value, .size = sizeof(value) });
}

void results_note(struct apply *a, const struct command *c)
{
	if (a->gone) {
		struct client *gone = client_find(a->s, a->gone);
		gone->count = 0;
		gone->done_below = DONE_FOR_EVER;
		client_add(gone, DONE_FOR_EVER);
	}
	if (!results_remembers(a, c))
		return;
	struct client *client = client_find(a->s, c->client);
	client_add(client, c->seq);
	if (c->done_below > client->done_below) {
		client->done_below = c->done_below;
		client_drop_below(client, c->done_below);
	}
}

/* By the store alone: the table in memory is the applier's. */
int state_get_result(struct state *s, uint64_t client, uint64_t seq, struct result *ret_result)
{
	struct state_key key = key_shard_pair(KEY_RESULT, client, seq);
	_cleanup_buffer_ struct buffer value;

	buffer_init(&value, COMMAND_MAX);
	int r = kv_get(s->kv, NULL, key_slice(&key), &value);
	if (r == 0 && value.size < 8)
		r = -EBADMSG;
	return r < 0 ? r : result_decode(key_rest((struct slice){ .data = value.data, .size = value.size }, 8), ret_result);
}
