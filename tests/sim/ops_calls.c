/* Operations with versions, and tokens. */
#include "tests/sim/ops.h"

#include <string.h>

int op_publish(struct sim *s)
{
	struct sim_handle *h = pick_handle(s);
	if (!h || h->orphan) return op_open(s);
	uint64_t version;
	int r = reference_acquire(h->reference, &version);
	if (disk_sim_crashed(s->disk) || (r == -ENOSPC && s->disk_full)) return 0;
	if (r < 0) return sim_fail(s, "acquire gave %d", r);
	struct content *before = handle_content(s, h);
	size_t size = 1 + sim_below(s, sim_below(s, 2) ? 3000 : 60000);
	uint64_t offset = pick_offset(s, before->size);
	if (offset + size > SIM_BLOB_MAX) return 0;
	_cleanup_free_ uint8_t *bytes = malloc(size);
	random_fill(&s->random.source, bytes, size);
	bool stale = sim_below(s, 4) == 0;
	if (stale) {
		ssize_t n = reference_write(h->reference, 0, bytes, 1, false);
		if (disk_sim_crashed(s->disk)) note_torn(s, h, 0, bytes, 1);
		if (n != 1) return disk_sim_crashed(s->disk) || s->disk_full ? 0 : sim_fail(s, "write gave %zd", n);
		struct model scratch;
		scratch_init(&scratch, h->node, before);
		model_write(&scratch, h->node, 0, bytes, 1);
		blob_changed(s, h, &scratch, h->node);
		model_done(&scratch);
		before = handle_content(s, h);
	}
	uint64_t after;
	r = reference_commit(h->reference, version, 0, offset, bytes, size, &after);
	struct model scratch;
	scratch_init(&scratch, h->node, before);
	model_write(&scratch, h->node, offset, bytes, size);
	bool crashed = disk_sim_crashed(s->disk);
	if (crashed && !stale) note_changed(s, h, &scratch);
	else if (r == 0) blob_changed(s, h, &scratch, h->node);
	model_done(&scratch);
	if (crashed || (r == -ENOSPC && s->disk_full)) return 0;
	if (r != (stale ? -ESTALE : 0)) return sim_fail(s, "commit gave %d, expected %s", r, stale ? "ESTALE" : "success");
	if (r == 0) {
		history_log_durable(s);
		history_blob_durable(s, h->node);
	}
	return 0;
}

int op_mint(struct sim *s)
{
	struct sim_handle *h = pick_handle(s);
	struct sim_token *t = &s->tokens[sim_below(s, SIM_TOKENS)];
	if (!h || h->orphan) return op_open(s);
	struct caller root = { .uid = 0 };
	uint32_t rights = sim_below(s, 2) ? RIGHT_READ : RIGHT_READ | RIGHT_WRITE;
	int r = capability_mint(h->reference, &root, rights, NULL, 0, t->text);
	t->used = false;
	if (disk_sim_crashed(s->disk) || (r == -ENOSPC && s->disk_full)) return 0;
	if (r < 0) return sim_fail(s, "mint gave %d", r);
	t->node = h->node;
	t->life = h->life;
	t->rights = rights;
	t->revoked = false;
	t->used = true;
	return 0;
}

int op_token(struct sim *s)
{
	struct sim_token *t = &s->tokens[sim_below(s, SIM_TOKENS)];
	if (!t->used) return op_mint(s);
	struct caller nobody = { .uid = 65534, .gid = 65534 }, root = { .uid = 0 };
	bool gone = s->model.nodes[t->node].life != t->life || s->model.nodes[t->node].kind != MODEL_FILE;
	if (gone) {
		t->used = false;
		return 0;
	}
	if (sim_below(s, 4) == 0) {
		int r = capability_revoke(s->objects, &root, t->text, strlen(t->text));
		if (disk_sim_crashed(s->disk)) {
			t->used = false;   /* unknown */
			return 0;
		}
		if (r == -ENOSPC && s->disk_full) return 0;
		if (r < 0) return sim_fail(s, "revoke gave %d", r);
		t->revoked = true;
		history_log_durable(s);
		return 0;
	}
	uint64_t ino;
	struct token_grant grant;
	int r = capability_verify(s->objects, t->text, strlen(t->text), &nobody, &ino, &grant);
	if (disk_sim_crashed(s->disk)) return 0;
	if (r != (t->revoked ? -EACCES : 0)) return sim_fail(s, "a token that is %srevoked gave %d", t->revoked ? "" : "not ", r);
	if (r == 0 && (grant.rights != t->rights || ino != s->inos[t->node])) return sim_fail(s, "a token gave other rights or another object");
	return 0;
}
