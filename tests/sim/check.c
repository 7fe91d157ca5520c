/* Comparing the node with the model: exactly while it lives, as far as promised after a crash. */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct listing { struct { char name[64]; uint64_t ino; } items[MODEL_ENTRIES + 1]; size_t count; };

static int list_entry(void *arg, const struct state_entry *e)
{
	struct listing *l = arg;
	if (l->count > MODEL_ENTRIES) return 1;
	size_t n = e->name_size < sizeof(l->items[0].name) - 1 ? e->name_size : sizeof(l->items[0].name) - 1;
	memcpy(l->items[l->count].name, e->name, n);
	l->items[l->count].name[n] = '\0';
	l->items[l->count++].ino = e->ino;
	return 0;
}

/* What a blob may hold. exact: the model's content and nothing else. */
struct matching { struct sim *s; struct model *m; bool exact; bool power_cut; uint64_t inos[MODEL_NODES]; struct content *found[MODEL_NODES]; char why[256]; };

static bool mismatch(struct matching *w, const char *format, ...) _printf_(2, 3);
static bool mismatch(struct matching *w, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(w->why, sizeof(w->why), format, ap);
	va_end(ap);
	return false;
}

static struct content *read_blob(struct sim *s, uint64_t ino, uint64_t size)
{
	struct reference_options options = { .rights = RIGHT_READ };
	struct reference *r;
	if (reference_open(s->objects, ino, &options, &r) < 0) return NULL;
	struct content *c = content_new(NULL, size);
	ssize_t n = size ? reference_read(r, 0, c->bytes, size) : 0;
	reference_close(r);
	if (n == (ssize_t)size) return c;
	content_unref(c);
	return NULL;
}

static struct content *read_stream(struct sim *s, uint64_t ino, uint64_t end)
{
	struct reference_options options = { .rights = RIGHT_READ };
	struct reference *r;
	if (reference_open(s->objects, ino, &options, &r) < 0) return NULL;
	size_t room = end + 4096;   /* to see what should not be there */
	struct content *c = content_new(NULL, room);
	uint64_t offset = 0;
	size_t size = 0;
	ssize_t n;
	while ((n = stream_read(r, &offset, size == 0, c->bytes + size, room - size)) > 0) size += (size_t)n;
	reference_close(r);
	c->size = size;
	if (n == 0 || n == -EAGAIN) return c;
	content_unref(c);
	return NULL;
}

/* An interrupted write may have put any part of its bytes over the content before it. */
static bool is_torn_mix(const struct sim *s, const struct content *before, const struct content *found)
{
	size_t end = s->torn.offset + s->torn.bytes->size, grown = end > before->size ? end : before->size;
	if (found->size < before->size || found->size > grown) return false;
	for (size_t i = 0; i < found->size; i++) {
		uint8_t old = i < before->size ? before->bytes[i] : 0;
		bool inside = i >= s->torn.offset && i < end;
		if (found->bytes[i] != old && !(inside && found->bytes[i] == s->torn.bytes->bytes[i - s->torn.offset])) return false;
	}
	return true;
}

/* Each sector of what was written in place is as of some content since the last durable one, and so is the size. */
struct candidates { const struct content *items[512]; size_t count; };

static void candidate_add(struct candidates *c, const struct content *content)
{
	if (content && c->count < sizeof(c->items) / sizeof(c->items[0])) c->items[c->count++] = content;
}

static bool sector_fits(const struct candidates *c, const struct content *found, size_t start)
{
	size_t end = start + 512 < found->size ? start + 512 : found->size;
	for (size_t i = 0; i < c->count; i++) {
		const struct content *k = c->items[i];
		size_t at = start;
		while (at < end && found->bytes[at] == (at < k->size ? k->bytes[at] : 0)) at++;
		if (at == end) return true;
	}
	return false;
}

static bool is_sector_mix(const struct candidates *c, const struct content *found)
{
	size_t least = SIZE_MAX, most = 0;
	for (size_t i = 0; i < c->count; i++) {
		if (c->items[i]->size < least) least = c->items[i]->size;
		if (c->items[i]->size > most) most = c->items[i]->size;
	}
	if (found->size < least || found->size > most) return false;
	for (size_t start = 0; start < found->size; start += 512)
		if (!sector_fits(c, found, start)) return false;
	return true;
}

static bool allowed_mix(struct matching *w, unsigned node, const struct content *newest, const struct content *found)
{
	const struct model_node *n = &w->m->nodes[node];
	const struct sim *s = w->s;
	const struct sim_contents *c = &s->contents[node];
	struct candidates all = { .count = 0 };
	struct content *torn = NULL;
	if (!w->power_cut || !newest || !(s->loose[node] || s->in_place[node])) return false;
	for (size_t i = c->count; i > n->content_floor; i--)
		if (c->items[i - 1].life == n->life) candidate_add(&all, c->items[i - 1].content);
	if (s->changed.valid && s->changed.node == node && s->changed.life == n->life) candidate_add(&all, s->changed.content);
	if (s->torn.valid && s->torn.node == node && s->torn.life == n->life) {
		size_t end = s->torn.offset + s->torn.bytes->size;
		torn = content_new(NULL, end > newest->size ? end : newest->size);
		memcpy(torn->bytes, newest->bytes, newest->size);
		memcpy(torn->bytes + s->torn.offset, s->torn.bytes->bytes, s->torn.bytes->size);
		candidate_add(&all, torn);
	}
	bool fits = is_sector_mix(&all, found);
	content_unref(torn);
	return fits;
}

/* The interrupted change made it in place: what was there before was durable by then (R9). */
static bool is_changed_mix(const struct sim *s, const struct content *before, const struct content *found)
{
	struct candidates both = { .items = { before, s->changed.content }, .count = 2 };
	return s->changed.in_place && is_sector_mix(&both, found);
}

static bool allowed_content(struct matching *w, unsigned node, const struct content *found)
{
	const struct model_node *n = &w->m->nodes[node];
	const struct sim *s = w->s;
	if (w->exact) return content_equal(n->content, found);
	/* Newest first: after a kill only that one, after a power cut any since the last durable one. */
	const struct sim_contents *c = &s->contents[node];
	const struct content *newest = NULL;
	for (size_t i = c->count; i > 0; i--) {
		if (c->items[i - 1].life != n->life) continue;
		if (!newest) newest = c->items[i - 1].content;
		if (content_equal(c->items[i - 1].content, found)) return true;
		if (!w->power_cut || i - 1 <= n->content_floor) break;
	}
	if (!newest && content_equal(n->content, found)) return true;   /* made by the interrupted operation */
	bool changed = s->changed.valid && s->changed.node == node && s->changed.life == n->life;
	if (changed && content_equal(s->changed.content, found)) return true;
	if (changed && newest && w->power_cut && is_changed_mix(s, newest, found)) return true;
	if (newest && s->torn.valid && s->torn.node == node && s->torn.life == n->life && is_torn_mix(s, newest, found)) return true;
	return allowed_mix(w, node, newest, found);
}

static unsigned subdirectories(const struct model *m, unsigned node)
{
	unsigned count = 0;
	for (unsigned i = 0; i < MODEL_ENTRIES; i++)
		count += m->entries[i].used && m->entries[i].parent == node && m->nodes[m->entries[i].node].kind == MODEL_DIRECTORY;
	return count;
}

static bool match_xattr(struct matching *w, const struct model_node *n, uint64_t ino, const char *name)
{
	_cleanup_buffer_ struct buffer value;
	buffer_init(&value, 1 << 16);
	int r = object_get_xattr(w->s->objects, ino, "user.x", &value);
	if (r == -ENODATA) return n->xattr ? mismatch(w, "%s: its extended attribute is missing", name) : true;
	if (r < 0) return mismatch(w, "%s: reading an extended attribute: error %d", name, -r);
	bool same = n->xattr && value.size == n->xattr->size && memcmp(value.data, n->xattr->bytes, value.size) == 0;
	return same ? true : mismatch(w, "%s: another extended attribute", name);
}

static bool match_content(struct matching *w, unsigned node, const struct attributes *a, const char *name)
{
	const struct model_node *n = &w->m->nodes[node];
	if (w->found[node]) return true;
	struct content *found = NULL;
	if (n->kind == MODEL_SYMLINK) {
		_cleanup_buffer_ struct buffer target;
		buffer_init(&target, 8192);
		if (object_read_link(w->s->objects, a->record.ino, &target) == 0) found = content_new(target.data, target.size);
	} else {
		found = n->kind == MODEL_FILE ? read_blob(w->s, a->record.ino, a->record.size) : read_stream(w->s, a->record.ino, a->record.size);
	}
	if (!found) return mismatch(w, "%s: cannot be read (size %llu)", name, (unsigned long long)a->record.size);
	w->found[node] = found;
	bool same = n->kind == MODEL_FILE ? allowed_content(w, node, found) : content_equal(n->content, found);
	if (same) return true;
	size_t at = 0;
	while (at < found->size && at < n->content->size && found->bytes[at] == n->content->bytes[at]) at++;
	return mismatch(w, "%s: wrong bytes: size %zu, expected %zu, first difference at %zu", name, found->size, n->content->size, at);
}

static bool match_node(struct matching *w, unsigned node, uint64_t ino, const char *name)
{
	static const enum object_kind kinds[] = { 0, KIND_BLOB, KIND_DIRECTORY, KIND_SYMLINK, KIND_STREAM };
	const struct model_node *n = &w->m->nodes[node];
	struct attributes a;
	int r = object_get(w->s->objects, ino, &a);
	if (r < 0) return mismatch(w, "%s: error %d", name, -r);
	if (a.record.kind != kinds[n->kind]) return mismatch(w, "%s: another kind", name);
	if ((a.record.mode & 07777) != n->mode) return mismatch(w, "%s: mode %o, expected %o", name, a.record.mode & 07777, n->mode);
	unsigned links = n->kind == MODEL_DIRECTORY ? 2 + subdirectories(w->m, node) : n->links;
	if (a.record.nlink != links) return mismatch(w, "%s: %u links, expected %u", name, a.record.nlink, links);
	if (n->kind == MODEL_STREAM && a.record.stream.ended != n->ended) return mismatch(w, "%s: ended differs", name);
	if (w->inos[node] != 0 && w->inos[node] != ino) return mismatch(w, "%s: its links are two objects", name);
	w->inos[node] = ino;
	if (!match_xattr(w, n, ino, name)) return false;
	return n->kind == MODEL_DIRECTORY || match_content(w, node, &a, name);
}

static bool match_directory(struct matching *w, unsigned node, uint64_t ino)
{
	struct listing l = { .count = 0 };
	int r = object_read_directory(w->s->objects, ino, 0, list_entry, &l);
	if (r < 0) return mismatch(w, "listing a directory: error %d", -r);
	if (l.count != model_children(w->m, node)) return mismatch(w, "a directory has %zu entries, expected %u", l.count, model_children(w->m, node));
	for (size_t i = 0; i < l.count; i++) {
		struct model_entry *e = model_find(w->m, node, l.items[i].name);
		if (!e) return mismatch(w, "entry %s should not be there", l.items[i].name);
		if (!match_node(w, e->node, l.items[i].ino, l.items[i].name)) return false;
		if (w->m->nodes[e->node].kind == MODEL_DIRECTORY && !match_directory(w, e->node, l.items[i].ino)) return false;
	}
	return true;
}

static void matching_done(struct matching *w)
{
	for (unsigned i = 0; i < MODEL_NODES; i++) content_unref(w->found[i]);
}

static bool match(struct matching *w)
{
	w->inos[0] = ROOT_INO;
	return match_node(w, 0, ROOT_INO, "/") && match_directory(w, 0, ROOT_INO);
}

int check_live(struct sim *s)
{
	struct matching w = { .s = s, .m = &s->model, .exact = true };
	bool same = match(&w);
	matching_done(&w);
	return same ? 0 : sim_fail(s, "the living node differs: %s", w.why);
}

struct file_count { struct sim *s; unsigned strays, sides; };

static int count_head(void *arg, uint64_t ino)
{
	struct file_count *c = arg;
	struct attributes a;
	c->strays += object_get(c->s->objects, ino, &a) < 0 || a.record.place != PLACE_HEAD || a.record.in_place;
	return 0;
}

static int count_side(void *arg, uint64_t side)
{
	(void)side;
	((struct file_count *)arg)->sides++;
	return 0;
}

int check_space(struct sim *s)
{
	struct file_count files = { .s = s };
	struct cluster_info info;
	unsigned nodes = 0;
	for (unsigned i = 0; i < MODEL_NODES; i++) nodes += s->model.nodes[i].kind != MODEL_FREE;
	for (unsigned i = 0; i < 8; i++) {
		s->clock.now_ns += NS_PER_SECOND;
		objects_run_due(s->objects);
	}
	cluster_get_info(s->cluster, &info);
	int r = heads_list(s->store->heads, count_head, &files);
	if (r == 0) r = sides_list(s->store->heads, count_side, &files);
	if (r < 0) return sim_fail(s, "listing the heads gave %d", r);
	if (info.objects != nodes) return sim_fail(s, "%llu objects are kept for %u", (unsigned long long)info.objects, nodes);
	return files.strays + files.sides == 0 ? 0 : sim_fail(s, "%u heads and %u side files are kept that belong to nothing", files.strays, files.sides);
}

/* The state that was found becomes what is expected from now on. */
static void adopt(struct sim *s, struct matching *w)
{
	struct model next;
	model_copy(&next, w->m);
	for (unsigned i = 0; i < MODEL_NODES; i++) {
		next.nodes[i].content_floor = 0;
		if (next.nodes[i].kind == MODEL_FILE && w->found[i]) model_set_content(&next, i, content_ref(w->found[i]));
		s->inos[i] = w->inos[i];
	}
	if (s->model.lives > next.lives) next.lives = s->model.lives;
	model_done(&s->model);
	s->model = next;
}

static bool try_candidate(struct sim *s, struct model *m, bool power_cut, char why[256])
{
	struct matching w = { .s = s, .m = m, .power_cut = power_cut };
	bool same = match(&w);
	if (same) adopt(s, &w);
	else memcpy(why, w.why, sizeof(w.why));
	matching_done(&w);
	return same;
}

int check_recovered(struct sim *s, bool power_cut)
{
	char why[256] = "", first_why[256] = "";
	bool found = false;
	size_t count = s->history.count;
	for (size_t i = count; !found && i > 0 && (power_cut || i == count); i--) {
		found = try_candidate(s, &s->history.snapshots[i - 1], power_cut, why);
		if (!found && s->verbose) printf("# not the state %zu of %zu: %s\n", i, count, why);
		if (i == count) memcpy(first_why, why, sizeof(why));
	}
	if (!found && s->maybe_valid) found = try_candidate(s, &s->maybe, power_cut, why);
	if (s->maybe_valid) model_done(&s->maybe);
	content_unref(s->torn.bytes);
	memset(&s->torn, 0, sizeof(s->torn));
	content_unref(s->changed.content);
	memset(&s->changed, 0, sizeof(s->changed));
	s->maybe_valid = false;
	if (!found) return sim_fail(s, "after a %s no allowed state of %zu is there; against the newest: %s", power_cut ? "power cut" : "kill", count, first_why);
	history_durable(s);
	return 0;
}
