/* Tokens on live objects: who may mint and revoke, and what a presented token opens. The chain of MACs is caps/'s; whether a token
 * is still wanted (its object's capability epoch, revocation by id, `once`) is in the state. */
#include "objects/object.h"

#include <string.h>

static bool owns(const struct object *o, const struct caller *caller) { return caller->uid == 0 || caller->uid == o->record.uid; }

/* What owner, group and other bits give. */
static uint32_t mode_rights(const struct object *o, const struct caller *caller)
{
	unsigned shift = caller->uid == o->record.uid ? 6 : caller->gid == o->record.gid ? 3 : 0;
	uint32_t bits = o->record.mode >> shift & 7;
	return (bits & 4 ? RIGHT_READ : 0) | (bits & 2 ? RIGHT_WRITE | RIGHT_APPEND : 0) | (bits & 1 ? RIGHT_EXECUTE : 0);
}

/* A handle that came from a narrowed token hands its narrowing on. */
static int add_inherited(const struct reference *r, struct token *token)
{
	const struct reference_options *op = &r->options;
	int e = 0;
	if (op->range_offset != 0 || op->range_length != UINT64_MAX)
		e = token_narrow(token, &(struct caveat){ .kind = CAVEAT_RANGE, .range = { op->range_offset, op->range_length } });
	if (e == 0 && op->expiry_ns != 0 && op->expiry_ns != INT64_MAX)
		e = token_narrow(token, &(struct caveat){ .kind = CAVEAT_EXPIRY, .expiry_ns = op->expiry_ns });
	return e;
}

static int mint_locked(struct reference *r, const struct caller *caller, uint32_t rights, const struct caveat *caveats, size_t count, struct token *token)
{
	struct object *o = r->object;
	struct objects *os = o->os;
	bool owner = owns(o, caller);
	if (!owner && !(r->options.rights & RIGHT_DELEGATE)) return -EACCES;
	/* What another may be given is what the handle has; the owner may give all, through a handle that is not narrowed. */
	uint32_t allowed = r->options.rights & RIGHT_DELEGATE ? r->options.rights : RIGHT_ALL;
	if (!owner) allowed &= r->options.rights | mode_rights(o, caller);
	if (rights & ~allowed) return -EACCES;
	struct token_key key;
	int e = cluster_token_key(os->cluster, o->record.realm, 0, &key);
	if (e == 0) e = token_mint(&key, cluster_random(os->cluster), &o->record.name, o->record.cap_epoch, rights, token);
	explicit_bzero(&key, sizeof(key));
	if (e == 0) e = add_inherited(r, token);
	for (size_t i = 0; e == 0 && i < count; i++) {
		struct caveat caveat = caveats[i];
		if (caveat.kind == CAVEAT_ONCE) random_fill(cluster_random(os->cluster), caveat.once, sizeof(caveat.once));
		e = token_narrow(token, &caveat);
	}
	return e;
}

int capability_mint(struct reference *r, const struct caller *caller, uint32_t rights, const struct caveat *caveats, size_t caveat_count, char *text)
{
	if (rights == 0 || rights & ~(uint32_t)RIGHT_ALL) return -EINVAL;
	int e = object_lock(r->object);
	if (e < 0) return e;
	struct token token;
	e = mint_locked(r, caller, rights, caveats, caveat_count, &token);
	/* A token is a name given out: what was written before must be there for whoever opens it. */
	if (e == 0 && r->object->is_dirty) e = blob_commit(r->object, false);
	object_unlock(r->object);
	size_t length;
	return e < 0 ? e : token_to_text(&token, text, TOKEN_TEXT_MAX + 1, &length);
}

int capability_verify(struct objects *os, const char *text, size_t size, const struct caller *caller, uint64_t *ret_ino, struct token_grant *ret_grant)
{
	struct token token;
	int e = token_from_text(text, size, &token);
	if (e < 0) return e;
	struct state *state = cluster_state(os->cluster, ROOT_INO);
	uint64_t ino;
	/* A forged token must not tell whether there is an object of its name. */
	e = state_find_name(state, &token.name, &ino);
	struct attributes attributes;
	if (e == 0) e = object_get(os, ino, &attributes);
	if (e < 0) return e == -ENOENT ? -EACCES : e;
	struct token_key key;
	e = cluster_token_key(os->cluster, attributes.record.realm, token.key_id, &key);
	if (e < 0) return e == -ENOKEY ? -EACCES : e;
	struct token_context context = { .now_ns = clock_wall_ns(os->clock), .node = cluster_node_id(os->cluster), .task = caller->task };
	struct token_grant grant;
	e = token_verify(&token, &key, attributes.record.cap_epoch, &context, &grant);
	explicit_bzero(&key, sizeof(key));
	if (e < 0) return e == -ENOMEM ? e : -EACCES;
	if (state_token_revoked(state, token.id)) return -EACCES;
	*ret_ino = ino;
	*ret_grant = grant;
	return 0;
}

int capability_open(struct objects *os, uint64_t ino, const struct token_grant *grant, uint32_t want, const struct reference_options *options, struct reference **ret_reference)
{
	if (want == 0 || want & ~grant->rights) return -EACCES;
	struct reference_options op = *options;
	op.rights = want;
	/* What is bound to a node, a task or one use is not handed on: a token minted from this handle would be free of it. */
	if (grant->bound) op.rights &= ~(uint32_t)RIGHT_DELEGATE;
	if (grant->ranged) {
		op.range_offset = grant->offset;
		op.range_length = grant->length;
	}
	if (grant->expiry_ns != INT64_MAX) op.expiry_ns = grant->expiry_ns;
	if (!grant->once) return reference_open(os, ino, &op, ret_reference);
	/* Last, so that an open that fails for another reason does not spend it; durable, so that a power cut does not give it back. Before the
	 * reference is made: one that is refused has never been a writer, whose end may end a stream. */
	struct command c = { .kind = COMMAND_SPEND, .counts = true, .spend = { .expiry_ns = grant->once_until_ns } };
	memcpy(c.spend.once_id, grant->once_id, sizeof(c.spend.once_id));
	return reference_open_after(os, ino, &op, &c, ret_reference);
}

static int may_revoke(struct objects *os, const struct caller *caller, uint64_t ino)
{
	struct object *o;
	int e = object_acquire(os, ino, &o);
	if (e < 0) return e;
	e = owns(o, caller) ? 0 : -EPERM;
	object_release(o);
	return e;
}

static int propose_revoke(struct objects *os, struct command_revoke *revoke)
{
	struct command c = { .kind = COMMAND_REVOKE, .revoke = *revoke };
	struct result result;
	int e = object_propose(os, NULL, &c, true, &result);
	if (e == 0 && os->options.invalidate) os->options.invalidate(os->options.invalidate_arg, revoke->ino, false);
	return e;
}

/* Ids are revoked for whatever object: a text made up around another's id and the caller's own object must not do it. */
static int check_ours(struct objects *os, uint64_t ino, const struct token *token)
{
	struct attributes attributes;
	struct token_key key;
	int e = object_get(os, ino, &attributes);
	if (e == 0) e = cluster_token_key(os->cluster, attributes.record.realm, token->key_id, &key);
	if (e < 0) return e == -ENOKEY ? -EACCES : e;
	e = token_check(token, &key);
	explicit_bzero(&key, sizeof(key));
	return e;
}

int capability_revoke(struct objects *os, const struct caller *caller, const char *text, size_t size)
{
	struct token token;
	int e = token_from_text(text, size, &token);
	if (e < 0) return e;
	uint64_t ino;
	e = object_find(os, &token.name, &ino);
	if (e == 0) e = may_revoke(os, caller, ino);
	if (e == 0) e = check_ours(os, ino, &token);
	if (e < 0) return e;
	/* Kept until every token with this id has expired by itself: its own expiry is a caveat that others may lack, so for ever. */
	struct command_revoke revoke = { .ino = ino, .expiry_ns = INT64_MAX };
	memcpy(revoke.token_id, token.id, sizeof(revoke.token_id));
	return propose_revoke(os, &revoke);
}

int capability_revoke_all(struct objects *os, const struct caller *caller, uint64_t ino)
{
	int e = may_revoke(os, caller, ino);
	if (e < 0) return e;
	struct command_revoke revoke = { .ino = ino, .whole_object = true, .expiry_ns = INT64_MAX };
	return propose_revoke(os, &revoke);
}
