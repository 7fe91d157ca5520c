/* REVOKE, SPEND and KEY_PUT, and CLIENT_GONE.
 *
 * Revoked and spent ids are kept until the token that they are about has expired, and an hour more, since the clocks that made the times in
 * commands differ; then commands of this family forget a few of them each. An expiry of 0 is never: such an id is kept for ever. */
#include <string.h>

#include "caps/bigendian.h"
#include "cluster/state_apply.h"

#define FORGET_AFTER_NS (3600LL * 1000000000LL)
#define FORGET_MAX 16u      /* ids in one command: more than one command adds, so that the list shrinks */

#define EXPIRY_KEY_SIZE (STATE_KEY_PREFIX + 8u + 16u + 1u)

/* One entry of the list by expiry, and what it is about. The iterator's key is copied: it dies with the next step. */
static int forget_one(struct apply *a, struct slice key)
{
	struct state_key listed = { .size = EXPIRY_KEY_SIZE };

	if (key.size != EXPIRY_KEY_SIZE)
		return apply_fatal(a, -EBADMSG);
	memcpy(listed.data, key.data, key.size);
	enum state_key_type type = listed.data[EXPIRY_KEY_SIZE - 1];
	struct state_key about = key_shard_id(type, listed.data + STATE_KEY_PREFIX + 8);
	int r = apply_delete(a, &listed);
	return r < 0 ? r : apply_delete(a, &about);
}

static int forget_expired(struct apply *a)
{
	struct state_key from = key_shard(KEY_EXPIRY), below;
	struct kv *kv = a->s->kv;
	int r = 0;

	if (a->now_ns <= FORGET_AFTER_NS)
		return 0;
	below = key_shard_u64(KEY_EXPIRY, (uint64_t)(a->now_ns - FORGET_AFTER_NS));
	struct kv_iter *it = apply_iterate(a, &from, &below);
	if (!it)
		return -ENOMEM;
	for (unsigned i = 0; r == 0 && i < FORGET_MAX && kv_iter_valid(kv, it); i++, kv_iter_next(kv, it))
		r = forget_one(a, kv_iter_key(kv, it));
	int error = kv_iter_error(kv, it);
	kv_iter_free(kv, it);
	return error < 0 ? apply_fatal(a, error) : r;
}

/* Notes an id of a kind with its expiry. One that is there already, for another time, keeps the later. */
static int note_id(struct apply *a, enum state_key_type type, const uint8_t id[16], int64_t expiry_ns)
{
	struct state_key key = key_shard_id(type, id), listed;
	int r = apply_read(a, &key, &a->s->value);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0) {
		if (a->s->value.size != 8)
			return apply_fatal(a, -EBADMSG);
		int64_t there = (int64_t)get_be64(a->s->value.data);
		if (there == 0 || (expiry_ns != 0 && expiry_ns <= there))
			return 0;
		listed = key_expiry(there, id, type);
		r = apply_delete(a, &listed);
		if (r < 0)
			return r;
	}
	r = apply_put_u64(a, &key, (uint64_t)expiry_ns);
	if (r < 0 || expiry_ns == 0)
		return r;
	listed = key_expiry(expiry_ns, id, type);
	return apply_put(a, &listed, (struct slice){ 0 });
}

int apply_revoke(struct apply *a, const struct command *command)
{
	const struct command_revoke *c = &command->revoke;
	struct record *object;

	if (c->expiry_ns < 0 || (c->whole_object && c->ino == 0))
		return -EINVAL;
	if (c->ino) {
		int r = apply_record(a, c->ino, &object);
		if (r < 0)
			return r;
		apply_report(a, object);
	}
	if (c->whole_object) {
		object->cap_epoch++;
		object->ctime_ns = a->now_ns;
		apply_dirty(a, object);
		return 0;
	}
	int r = forget_expired(a);
	return r < 0 ? r : note_id(a, KEY_REVOKED, c->token_id, c->expiry_ns);
}

int apply_spend(struct apply *a, const struct command *command)
{
	const struct command_spend *c = &command->spend;
	struct state_key key = key_shard_id(KEY_SPENT, c->once_id);

	if (c->expiry_ns < 0)
		return -EINVAL;
	if (apply_exists(a, &key))
		return -EACCES;
	int r = forget_expired(a);
	return r < 0 ? r : note_id(a, KEY_SPENT, c->once_id, c->expiry_ns);
}

int apply_key_put(struct apply *a, const struct command *command)
{
	const struct command_key_put *c = &command->key_put;
	struct state_key key = key_token_key(c->realm, c->key_id);
	struct buffer *value = &a->s->value;

	if (c->realm != REALM_FIRST || c->key_id == 0 || c->sealed.size == 0)
		return -EINVAL;
	int r = apply_read(a, &key, value);
	if (r == 0)   /* the same once more is fine; another key under this id would make tokens ambiguous */
		return value->size == c->sealed.size && memcmp(value->data, c->sealed.data, value->size) == 0 ? 0 : -EEXIST;
	return r == -ENOENT ? apply_put(a, &key, c->sealed) : r;
}

int apply_client_gone(struct apply *a, const struct command *command)
{
	return command->client_gone.client ? results_forget(a, command->client_gone.client) : -EINVAL;
}
