/* The quota of a realm: QUOTA, and whether what a command would change still fits.
 *
 * What a realm has is counted by the totals that apply keeps anyway (objects; 512-byte blocks of data), so a quota that is set later finds the
 * numbers there. Decided here, where all commands come by, from the command's own effect on the totals: it grows something that
 * has a limit past that limit, or it is none of the quota's business. So deleting and cutting always work, and so does overwriting.
 *
 * Not refused although they grow: commits of what write() has taken in, which must not be lost (objects/quota.c had room for it then), and SEAL, whose
 * bytes are in the head already. */
#include "caps/bigendian.h"
#include "cluster/state_apply.h"

#define QUOTA_SIZE 16u            /* bytes 8 | objects 8 */

int quota_load(struct state *s)
{
	struct state_key key = key_quota(REALM_FIRST);
	int r = kv_get(s->kv, NULL, key_slice(&key), &s->value);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && s->value.size != QUOTA_SIZE)
		r = -EBADMSG;
	if (r < 0)
		return r;
	s->quota_bytes = get_be64(s->value.data);
	s->quota_objects = get_be64(s->value.data + 8);
	return 0;
}

int apply_quota(struct apply *a, const struct command *command)
{
	const struct command_quota *c = &command->quota;
	struct state_key key = key_quota(c->realm);
	uint8_t value[QUOTA_SIZE];

	if (c->realm != REALM_FIRST)
		return -ENOENT;
	a->quota = (struct state_quota){ .bytes = c->bytes, .objects = c->objects };
	a->quota_set = true;
	if (c->bytes == 0 && c->objects == 0)
		return apply_delete(a, &key);
	put_be64(value, c->bytes);
	put_be64(value + 8, c->objects);
	return apply_put(a, &key, (struct slice){ .data = value, .size = sizeof(value) });
}

static bool fits(uint64_t used, int64_t grows, uint64_t most)
{
	return grows <= 0 || (used <= most && (uint64_t)grows <= most - used);
}

int quota_check(const struct apply *a, const struct command *c)
{
	const struct state *s = a->s;

	if (c->kind == COMMAND_SEAL || (c->kind == COMMAND_COMMIT && c->commit.taken_in))
		return 0;
	if (s->quota_objects > 0 && !fits(s->objects, a->objects, s->quota_objects))
		return -EDQUOT;
	return s->quota_bytes > 0 && !fits(s->blocks, a->blocks, s->quota_bytes / 512) ? -EDQUOT : 0;
}

void quota_note(const struct apply *a)
{
	if (!a->quota_set)
		return;
	a->s->quota_bytes = a->quota.bytes;
	a->s->quota_objects = a->quota.objects;
}

int state_get_usage(const struct state *s, uint32_t realm, struct state_usage *ret_usage)
{
	if (realm != REALM_FIRST)
		return -ENOENT;
	*ret_usage = (struct state_usage){ .limit = { .bytes = s->quota_bytes, .objects = s->quota_objects }, .used = { .bytes = s->blocks * 512, .objects = s->objects } };
	return 0;
}
