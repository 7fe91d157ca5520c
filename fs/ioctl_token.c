/* Tokens: mint, narrow, revoke, and short aliases of long ones. */
#include <string.h>

#include "fs/ioctl_calls.h"
#include "fs/magic.h"
#include "libdios/dios.h"

#define CAVEATS_MAX 6     /* kinds of caveats: at most one of each is added at a time */

static int task_of(const struct ioctl_context *c, const struct dios_ioctl_token *t, struct name *ret_name)
{
	static const uint8_t none[DIOS_ID_SIZE];
	struct reference *task;
	struct attributes a;

	if (memcmp(t->task_id, none, sizeof(none)) == 0) {
		memcpy(ret_name->bytes, t->task_name, sizeof(ret_name->bytes));
		return 0;
	}
	int r = ioctl_find(c, t->task_id, &task);
	if (r < 0)
		return r;
	r = object_get(c->mount->objects, reference_ino(task), &a);
	reference_close(task);
	if (r == 0 && a.record.kind != KIND_TASK)
		r = -EINVAL;
	if (r == 0)
		*ret_name = a.record.name;
	return r;
}

/* `once` has its random id filled in by whoever adds it. */
static int make_caveats(const struct ioctl_context *c, const struct dios_ioctl_token *t, struct caveat caveats[static CAVEATS_MAX], size_t *ret_count)
{
	size_t n = 0;

	if (t->caveats & DIOS_CAVEAT_RIGHTS)
		caveats[n++] = (struct caveat){ .kind = CAVEAT_RIGHTS, .rights = t->rights };
	if (t->caveats & DIOS_CAVEAT_RANGE)
		caveats[n++] = (struct caveat){ .kind = CAVEAT_RANGE, .range = { t->offset, t->length } };
	if (t->caveats & DIOS_CAVEAT_EXPIRY)
		caveats[n++] = (struct caveat){ .kind = CAVEAT_EXPIRY, .expiry_ns = t->expiry_ns };
	if (t->caveats & DIOS_CAVEAT_NODE)
		caveats[n++] = (struct caveat){ .kind = CAVEAT_NODE, .node = t->node };
	if (t->caveats & DIOS_CAVEAT_TASK) {
		caveats[n] = (struct caveat){ .kind = CAVEAT_TASK };
		int r = task_of(c, t, &caveats[n].task);
		if (r < 0)
			return r;
		n++;
	}
	if (t->caveats & DIOS_CAVEAT_ONCE)
		caveats[n++] = (struct caveat){ .kind = CAVEAT_ONCE };
	*ret_count = n;
	return 0;
}

int ioctl_token_mint(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_token *t = in;
	struct dios_ioctl_token *answer = out;
	struct caveat caveats[CAVEATS_MAX];
	char text[TOKEN_TEXT_MAX + 1];
	size_t count;

	(void)ret_size;
	int r = make_caveats(c, t, caveats, &count);
	if (r == 0)
		r = capability_mint(c->reference, &c->caller, t->rights ? t->rights : reference_rights(c->reference), caveats, count, text);
	if (r < 0)
		return r;
	memset(answer->text, 0, sizeof(answer->text));
	answer->text_size = (uint32_t)strlen(text);
	memcpy(answer->text, text, answer->text_size);
	return 0;
}

int ioctl_token_narrow(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_token *t = in;
	struct dios_ioctl_token *answer = out;
	struct caveat caveats[CAVEATS_MAX];
	struct token token;
	char text[TOKEN_TEXT_MAX + 1];
	size_t count, length;

	(void)ret_size;
	int r = token_from_text(t->text, t->text_size, &token);
	if (r == 0)
		r = make_caveats(c, t, caveats, &count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (caveats[i].kind == CAVEAT_ONCE)
			random_fill(cluster_random(objects_cluster(c->mount->objects)), caveats[i].once, sizeof(caveats[i].once));
		r = token_narrow(&token, &caveats[i]);
	}
	if (r == 0)
		r = token_to_text(&token, text, sizeof(text), &length);
	if (r < 0)
		return r;
	memset(answer->text, 0, sizeof(answer->text));
	answer->text_size = (uint32_t)length;
	memcpy(answer->text, text, length);
	return 0;
}

int ioctl_token_revoke(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_text *t = in;

	(void)out;
	(void)ret_size;
	if (t->text_size > 0)
		return capability_revoke(c->mount->objects, &c->caller, t->text, t->text_size);
	if (!c->reference)
		return -ENOTTY;
	return capability_revoke_all(c->mount->objects, &c->caller, reference_ino(c->reference));
}

int ioctl_token_open(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_text *t = in;
	struct dios_ioctl_text *answer = out;
	struct token token;

	(void)ret_size;
	int r = token_from_text(t->text, t->text_size, &token);   /* the form only: the look-up says whether it is good */
	if (r == 0)
		r = magic_token_alias(c->mount->fs, &c->caller, t->text, t->text_size, answer->alias);
	return r;
}
