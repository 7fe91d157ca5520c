/* Operations with versions, clones, damage to the disk, and tokens. */
#include "tests/sim/ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The open blob with most bytes among a few: large commits should meet large contents. */
static struct sim_handle *pick_largest(struct sim *s)
{
	struct sim_handle *best = pick_handle(s);
	for (unsigned i = 0; i < 4; i++) {
		struct sim_handle *h = pick_handle(s);
		if (h && !h->orphan && (!best || best->orphan || handle_content(s, h)->size > handle_content(s, best)->size)) best = h;
	}
	return best;
}

int op_publish(struct sim *s)
{
	bool large = sim_below(s, 40) == 0;
	struct sim_handle *h = large ? pick_largest(s) : pick_handle(s);
	if (!h || h->orphan) return op_open(s);
	uint64_t version;
	int r = reference_acquire(h->reference, &version);
	if (disk_sim_crashed(s->disk) || (r == -ENOSPC && s->disk_full)) return 0;
	if (r < 0) return sim_fail(s, "acquire gave %d", r);
	struct content *before = handle_content(s, h);
	size_t size = large ? (1u << 20) + sim_below(s, 400000) : 1 + sim_below(s, sim_below(s, 2) ? 3000 : 60000);
	uint64_t offset = large ? sim_below(s, before->size + 1) : pick_offset(s, before->size);
	if (offset + size > (large ? SIM_LARGE_MAX : SIM_BLOB_MAX)) return 0;
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
	bool busy = sim_is_written(s, h->node, h->life);
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
	if (r != (busy ? -EBUSY : stale ? -ESTALE : 0)) return sim_fail(s, "commit gave %d, expected %s", r, busy ? "EBUSY" : stale ? "ESTALE" : "success");
	if (r == 0) {
		history_log_durable(s);
		history_blob_durable(s, h->node);
	}
	return 0;
}

/* acquire_read, and some operations later commit_read. */
int op_check(struct sim *s)
{
	struct sim_handle *h = pick_handle(s);
	if (!h) return op_open(s);
	if (!h->acquired) {
		int r = reference_acquire(h->reference, &h->version);
		if (disk_sim_crashed(s->disk) || (r == -ENOSPC && s->disk_full)) return 0;
		if (r < 0) return sim_fail(s, "acquire gave %d", r);
		if (!h->orphan && history_look(s, h->node)) return 0;
		h->passes_seen = s->passes[h->node];
		h->acquired = content_ref(handle_content(s, h));
		return 0;
	}
	bool untouched = h->acquired == handle_content(s, h), same = content_equal(h->acquired, handle_content(s, h));
	int r = reference_check(h->reference, h->version);
	content_unref(h->acquired);
	h->acquired = NULL;
	if (disk_sim_crashed(s->disk) || (same && !untouched)) return 0;
	/* What is written in place has no version, and gets a new one. */
	if (same && r == -ESTALE && (h->orphan || history_look(s, h->node) || s->passes[h->node] != h->passes_seen)) return 0;
	return r == (same ? 0 : -ESTALE) ? 0 : sim_fail(s, "commit_read of %s content gave %d", same ? "current" : "superseded", r);
}

/* Two commands: the new file is there before it has its content. */
int op_clone(struct sim *s)
{
	struct sim_handle *h = pick_handle(s);
	if (!h || s->disk_full) return op_open(s);
	struct content *content = content_ref(handle_content(s, h));
	unsigned parent = pick_directory(s), node = 0;
	char name[MODEL_NAME];
	pick_name(s, name);
	struct model next, scratch;
	model_copy(&next, &s->model);
	int expected = model_make(&next, parent, name, MODEL_FILE, 0600, &node);
	if (expected == ENOSPC) {
		model_done(&next);
		content_unref(content);
		return 0;
	}
	uint64_t life = next.nodes[node].life;
	struct command_create create = { .parent = s->inos[parent], .entry = { (const uint8_t *)name, strlen(name) }, .kind = KIND_BLOB, .mode = S_IFREG | 0600 };
	struct attributes a;
	int got = object_clone(s->objects, h->reference, &create, &a);
	int r = settle(s, &next, expected, got, "clone");
	struct sim_handle made = { .node = node, .life = life };
	scratch_init(&scratch, node, content);
	if (r == 0 && expected == 0 && disk_sim_crashed(s->disk)) {
		note_changed(s, &made, &scratch);
	} else if (r == 0 && expected == 0) {
		s->inos[node] = a.record.ino;
		history_content(s, node);
		blob_changed(s, &made, &scratch, node);
	}
	model_done(&scratch);
	content_unref(content);
	return r;
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

static int flip(struct sim *s, uint64_t ino, uint64_t bit)
{
	for (unsigned folder = 0; folder < 256; folder++) {
		char path[40];
		snprintf(path, sizeof(path), "heads/%02x/%016" PRIx64, folder, ino);
		int r = disk_sim_flip_bit(s->disk, path, bit);
		if (r != -ENOENT) return r;
	}
	return -ENOENT;
}

/* A bit of a head turns over: a read gives the right bytes or an error, never others. Then it turns back. */
int op_damage(struct sim *s)
{
	struct sim_handle *h = pick_handle(s);
	if (!h || h->orphan || s->disk_full) return op_open(s);
	int r = objects_sync(s->objects);
	if (disk_sim_crashed(s->disk)) return 0;
	if (r < 0) return sim_fail(s, "sync gave %d", r);
	history_durable(s);
	objects_run_due(s->objects);
	if (history_look(s, h->node)) return 0;   /* nothing tells a turned bit from a write */
	struct content *expected = handle_content(s, h);
	uint64_t bit = sim_below(s, expected->size * 8 + 1), at = bit / 8 / BLOCK_SIZE * BLOCK_SIZE;
	if (disk_sim_crashed(s->disk) || flip(s, s->inos[h->node], bit) < 0) return 0;
	uint8_t bytes[BLOCK_SIZE];
	size_t want = expected->size - at < BLOCK_SIZE ? expected->size - at : BLOCK_SIZE;
	ssize_t n = reference_read(h->reference, at, bytes, BLOCK_SIZE);
	flip(s, s->inos[h->node], bit);
	if (n == -EIO || (n == (ssize_t)want && memcmp(bytes, expected->bytes + at, want) == 0)) return 0;
	return sim_fail(s, "a read of damaged bytes at %" PRIu64 " gave %zd", at, n);
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

int op_mint(struct sim *s)
{
	struct sim_handle *h = pick_handle(s);
	struct sim_token *t = &s->tokens[sim_below(s, SIM_TOKENS)];
	if (!h || h->orphan) return op_open(s);
	struct caller root = { .uid = 0 };
	uint32_t rights = sim_below(s, 2) ? RIGHT_READ : RIGHT_READ | RIGHT_WRITE;
	struct caveat once = { .kind = CAVEAT_ONCE };
	t->once = sim_below(s, 2);
	t->spent = false;
	int r = capability_mint(h->reference, &root, rights, &once, t->once, t->text);
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
	if (r < 0) return 0;
	if (grant.rights != t->rights || ino != s->inos[t->node]) return sim_fail(s, "a token gave other rights or another object");
	struct reference_options options = { .nonblock = true };
	struct reference *opened;
	r = capability_open(s->objects, ino, &grant, RIGHT_READ, &options, &opened);
	if (r == 0) reference_close(opened);
	if (disk_sim_crashed(s->disk)) {
		t->used = !t->once || t->spent;   /* else unknown */
		return 0;
	}
	if (r == -ENOSPC && s->disk_full) return 0;
	if (r != (t->spent ? -EACCES : 0)) return sim_fail(s, "a token that is %sspent gave %d", t->spent ? "" : "not ", r);
	t->spent = t->once;
	if (t->once && r == 0) history_log_durable(s);
	return 0;
}
