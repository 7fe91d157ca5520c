/* The operations of a run: each is chosen by the seed, done on the node and on the model, and the answers compared. */
#include "tests/sim/ops.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

void pick_name(struct sim *s, char name[MODEL_NAME]) { snprintf(name, MODEL_NAME, "%c", (char)('a' + sim_below(s, 12))); }

unsigned pick_directory(struct sim *s)
{
	for (unsigned i = 0; i < 64; i++) {
		unsigned node = (unsigned)sim_below(s, MODEL_NODES);
		if (s->model.nodes[node].kind == MODEL_DIRECTORY) return node;
	}
	return 0;
}

struct model_entry *pick_entry(struct sim *s, unsigned kinds)
{
	for (unsigned i = 0; i < 200; i++) {
		struct model_entry *e = &s->model.entries[sim_below(s, MODEL_ENTRIES)];
		if (e->used && (kinds & 1u << s->model.nodes[e->node].kind)) return e;
	}
	return NULL;
}

uint64_t pick_offset(struct sim *s, uint64_t size)
{
	switch (sim_below(s, 4)) {
	case 0: return size;
	case 1: return sim_below(s, size + 1) / BLOCK_SIZE * BLOCK_SIZE;
	default: return sim_below(s, size + 5000);
	}
}

/* ---- outcomes ---------------------------------------------------------------------------------------------------- */

static int settle_change(struct sim *s, struct model *next, int expected, int got, bool growth, const char *what)
{
	if (disk_sim_crashed(s->disk)) {
		s->maybe_valid = expected == 0;
		if (expected == 0) s->maybe = *next;
		else model_done(next);
		return 0;
	}
	if (got == -ENOSPC && s->disk_full && growth) {
		model_done(next);
		return 0;
	}
	if (got != -expected) {
		model_done(next);
		return sim_fail(s, "%s gave %d, expected %d", what, got, -expected);
	}
	if (expected == 0) {
		model_done(&s->model);
		s->model = *next;
		history_event(s);
	} else {
		model_done(next);
	}
	return 0;
}

int settle(struct sim *s, struct model *next, int expected, int got, const char *what) { return settle_change(s, next, expected, got, true, what); }

/* Handles on a node whose last link has gone keep its content; all but one are closed. */
static void orphan_handles(struct sim *s, const struct model *before)
{
	for (unsigned i = 0; i < SIM_HANDLES; i++) {
		struct sim_handle *h = &s->handles[i];
		if (!h->reference || h->orphan || s->model.nodes[h->node].life == h->life) continue;
		bool kept = false;
		for (unsigned k = 0; k < i; k++) kept |= s->handles[k].orphan && s->handles[k].life == h->life;
		if (kept) {
			sim_close_handle(h);
		} else {
			h->orphan = content_ref(before->nodes[h->node].content);
		}
	}
}

/* growth: it may be refused on a full disk. */
static int settle_removal(struct sim *s, struct model *next, int expected, int got, bool growth, const char *what)
{
	struct model before;
	model_copy(&before, &s->model);
	int r = settle_change(s, next, expected, got, growth, what);
	if (r == 0 && !disk_sim_crashed(s->disk)) orphan_handles(s, &before);
	model_done(&before);
	return r;
}

/* ---- the tree ---------------------------------------------------------------------------------------------------- */

static int op_make(struct sim *s)
{
	static const struct { enum model_kind kind; enum object_kind object; uint32_t type; } kinds[] = {
		{ MODEL_FILE, KIND_BLOB, S_IFREG }, { MODEL_FILE, KIND_BLOB, S_IFREG }, { MODEL_FILE, KIND_BLOB, S_IFREG },
		{ MODEL_DIRECTORY, KIND_DIRECTORY, S_IFDIR }, { MODEL_SYMLINK, KIND_SYMLINK, S_IFLNK }, { MODEL_STREAM, KIND_STREAM, S_IFREG } };
	unsigned k = (unsigned)sim_below(s, sizeof(kinds) / sizeof(kinds[0])), parent = pick_directory(s), node = 0;
	char name[MODEL_NAME], target[24];
	pick_name(s, name);
	snprintf(target, sizeof(target), "target-%llu", (unsigned long long)sim_below(s, 1000));
	uint32_t mode = 0600 | (uint32_t)sim_below(s, 0200);
	struct model next;
	model_copy(&next, &s->model);
	int expected = model_make(&next, parent, name, kinds[k].kind, mode, &node);
	if (expected == ENOSPC) {
		model_done(&next);
		return 0;
	}
	if (expected == 0 && kinds[k].kind == MODEL_SYMLINK) model_set_content(&next, node, content_new(target, strlen(target)));
	struct command_create create = { .parent = s->inos[parent], .entry = { (const uint8_t *)name, strlen(name) }, .kind = kinds[k].object, .mode = kinds[k].type | mode };
	if (kinds[k].kind == MODEL_SYMLINK) create.target = (struct slice){ (const uint8_t *)target, strlen(target) };
	create.in_place = kinds[k].kind == MODEL_FILE && sim_below(s, 3) == 0;
	struct attributes a;
	int got = object_create(s->objects, &create, 0, NULL, &a);
	bool made = got == 0;
	int r = settle(s, &next, expected, got, "create");
	if (r == 0 && made && !disk_sim_crashed(s->disk)) {
		s->inos[node] = a.record.ino;
		if (kinds[k].kind == MODEL_FILE) history_content(s, node);
	}
	return r;
}

/* R7: the content that a name is given to is there with the name. */
static void raise_floor(struct sim *s, struct model *next, unsigned node)
{
	if (next->nodes[node].kind != MODEL_FILE) return;
	next->nodes[node].content_floor = s->contents[node].count ? s->contents[node].count - 1 : 0;
}

static int op_link(struct sim *s)
{
	struct model_entry *e = pick_entry(s, 1u << MODEL_FILE | 1u << MODEL_SYMLINK);
	if (!e) return 0;
	unsigned parent = pick_directory(s), node = e->node;
	char name[MODEL_NAME];
	pick_name(s, name);
	struct model next;
	model_copy(&next, &s->model);
	int expected = model_link(&next, node, parent, name);
	if (expected == ENOSPC) {
		model_done(&next);
		return 0;
	}
	raise_floor(s, &next, node);
	struct attributes a;
	int got = object_link(s->objects, s->inos[node], s->inos[parent], name, strlen(name), &a);
	return settle(s, &next, expected, got, "link");
}

static int op_unlink(struct sim *s)
{
	unsigned parent = pick_directory(s);
	bool directory = sim_below(s, 3) == 0;
	char name[MODEL_NAME];
	struct model_entry *e = sim_below(s, 4) ? pick_entry(s, ANY) : NULL;
	if (e) {
		parent = e->parent;
		memcpy(name, e->name, sizeof(name));
	} else {
		pick_name(s, name);
	}
	struct model next;
	model_copy(&next, &s->model);
	int expected = model_unlink(&next, parent, name, directory);
	int got = object_unlink(s->objects, s->inos[parent], name, strlen(name), directory);
	int r = settle_removal(s, &next, expected, got, false, directory ? "rmdir" : "unlink");
	/* What is freed at once and what the log has still to sync are two things. */
	if (sim_below(s, 2)) objects_run_due(s->objects);
	return r;
}

static int op_rename(struct sim *s)
{
	struct model_entry *e = pick_entry(s, ANY);
	if (!e) return 0;
	unsigned parent = e->parent, node = e->node, new_parent = pick_directory(s);
	char name[MODEL_NAME], new_name[MODEL_NAME];
	memcpy(name, e->name, sizeof(name));
	pick_name(s, new_name);
	uint32_t flags = sim_below(s, 6) == 0 ? RENAME_NOREPLACE : sim_below(s, 6) == 0 ? RENAME_EXCHANGE : 0;
	struct model next;
	model_copy(&next, &s->model);
	int expected = model_rename(&next, parent, name, new_parent, new_name, flags & RENAME_NOREPLACE, flags & RENAME_EXCHANGE);
	if (next.nodes[node].life == s->model.nodes[node].life) raise_floor(s, &next, node);
	int got = object_rename(s->objects, s->inos[parent], name, strlen(name), s->inos[new_parent], new_name, strlen(new_name), flags);
	return settle_removal(s, &next, expected, got, true, "rename");
}

static int op_attributes(struct sim *s)
{
	struct model_entry *e = pick_entry(s, ANY & ~(1u << MODEL_SYMLINK));
	if (!e) return 0;
	unsigned node = e->node;
	struct model next;
	model_copy(&next, &s->model);
	int got;
	if (sim_below(s, 2)) {
		struct attribute_change change = { .mask = SET_MODE, .mode = 0400 | (uint32_t)sim_below(s, 0400) };
		next.nodes[node].mode = change.mode;
		got = object_set(s->objects, s->inos[node], &change, NULL);
	} else {
		char value[16];
		int n = snprintf(value, sizeof(value), "%llu", (unsigned long long)sim_below(s, 1000));
		content_unref(next.nodes[node].xattr);
		next.nodes[node].xattr = content_new(value, (size_t)n);
		got = object_set_xattr(s->objects, s->inos[node], "user.x", (struct slice){ (const uint8_t *)value, (size_t)n }, 0);
	}
	return settle(s, &next, 0, got, "set attributes");
}

/* ---- blobs ------------------------------------------------------------------------------------------------------- */

struct sim_handle *pick_handle(struct sim *s)
{
	struct sim_handle *h = &s->handles[sim_below(s, SIM_HANDLES)];
	return h->reference ? h : NULL;
}

int op_open(struct sim *s)
{
	struct sim_handle *h = &s->handles[sim_below(s, SIM_HANDLES)];
	if (h->reference) sim_close_handle(h);
	struct model_entry *e = pick_entry(s, 1u << MODEL_FILE);
	if (!e) return 0;
	struct reference_options options = { .rights = RIGHT_ALL };
	int r = reference_open(s->objects, s->inos[e->node], &options, &h->reference);
	if (disk_sim_crashed(s->disk)) return 0;
	if (r < 0) return sim_fail(s, "open gave %d", r);
	h->node = e->node;
	h->life = s->model.nodes[e->node].life;
	return 0;
}

struct content *handle_content(struct sim *s, struct sim_handle *h) { return h->orphan ? h->orphan : s->model.nodes[h->node].content; }

void blob_changed(struct sim *s, struct sim_handle *h, struct model *scratch, unsigned node)
{
	if (h && h->orphan) {
		content_unref(h->orphan);
		h->orphan = content_ref(scratch->nodes[node].content);
		history_orphan(s, h);   /* a power cut may undo the removal */
		return;
	}
	model_set_content(&s->model, node, content_ref(scratch->nodes[node].content));
	history_content(s, node);
}

void scratch_init(struct model *scratch, unsigned node, struct content *content)
{
	memset(scratch, 0, sizeof(*scratch));
	scratch->nodes[node] = (struct model_node){ .kind = MODEL_FILE, .content = content_ref(content) };
}

void note_torn(struct sim *s, struct sim_handle *h, uint64_t offset, const void *bytes, size_t size)
{
	s->torn.valid = true;
	s->torn.node = h->node;
	s->torn.life = h->life;
	s->torn.offset = offset;
	s->torn.bytes = content_new(bytes, size);
}

void note_changed(struct sim *s, struct sim_handle *h, struct model *scratch)
{
	s->changed.valid = true;
	s->changed.node = h->node;
	s->changed.life = h->life;
	s->changed.content = content_ref(scratch->nodes[h->node].content);
}

/* 0, also if the disk is full or dead; *ret_taken: the bytes were taken. */
static int write_blob(struct sim *s, struct sim_handle *h, uint64_t offset, size_t size, bool *ret_taken)
{
	struct content *before = handle_content(s, h);
	_cleanup_free_ uint8_t *bytes = malloc(size);
	random_fill(&s->random.source, bytes, size);
	ssize_t n = reference_write(h->reference, offset, bytes, size, false);
	*ret_taken = false;
	if (disk_sim_crashed(s->disk) || (n < 0 && s->disk_full)) {
		if (disk_sim_crashed(s->disk)) note_torn(s, h, offset, bytes, size);
		return n == -ENOSPC || disk_sim_crashed(s->disk) ? 0 : sim_fail(s, "write on a full disk gave %zd", n);
	}
	if (n != (ssize_t)size) return sim_fail(s, "write of %zu at %llu gave %zd", size, (unsigned long long)offset, n);
	*ret_taken = true;
	struct model scratch;
	scratch_init(&scratch, h->node, before);
	model_write(&scratch, h->node, offset, bytes, size);
	blob_changed(s, h, &scratch, h->node);
	model_done(&scratch);
	return 0;
}

static int op_write(struct sim *s)
{
	struct sim_handle *h = pick_handle(s);
	if (!h) return op_open(s);
	static const size_t sizes[] = { 1, 100, 4096, 5000, 20000, 70000 };
	size_t size = sizes[sim_below(s, 6)];
	if (sim_below(s, 2)) size = 1 + sim_below(s, size);
	uint64_t offset = pick_offset(s, handle_content(s, h)->size);
	bool taken;
	return offset + size > SIM_BLOB_MAX ? 0 : write_blob(s, h, offset, size, &taken);
}

/* Whom the kernel reads past the daemon is changed in its head, also by the daemon. */
static bool is_passed(const struct sim *s, const struct sim_handle *h)
{
	bool passed = false;
	for (unsigned i = 0; i < SIM_HANDLES; i++) {
		const struct sim_handle *k = &s->handles[i];
		passed |= k->reference && k->node == h->node && k->life == h->life && reference_passes(k->reference);
	}
	return passed;
}

/* Truncation, punching and versions are commands: what they leave is ordered by the log, and what was written before is with them. Not
 * so in place, where they are changes of the head. */
static int op_reshape(struct sim *s)
{
	struct sim_handle *h = pick_handle(s);
	if (!h || h->orphan) return op_open(s);
	struct content *before = handle_content(s, h);
	struct model scratch;
	scratch_init(&scratch, h->node, before);
	history_look(s, h->node);   /* a crash, or a full disk, may have left it in place */
	int r;
	if (sim_below(s, 2)) {
		uint64_t size = sim_below(s, 3) ? sim_below(s, before->size + 9000) : sim_below(s, 2) * 4096;
		if (size > SIM_BLOB_MAX) size = SIM_BLOB_MAX;
		struct attribute_change change = { .mask = SET_SIZE, .size = size };
		model_resize(&scratch, h->node, size);
		r = object_set(s->objects, s->inos[h->node], &change, NULL);
	} else {
		uint64_t offset = pick_offset(s, before->size), size = 1 + sim_below(s, 30000);
		model_zero(&scratch, h->node, offset, size);
		r = reference_allocate(h->reference, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size);
	}
	bool crashed = disk_sim_crashed(s->disk);
	if (crashed) note_changed(s, h, &scratch);
	else if (r == 0) blob_changed(s, h, &scratch, h->node);
	s->changed.in_place = crashed && is_passed(s, h);
	model_done(&scratch);
	if (r < 0 && !crashed && !(r == -ENOSPC && s->disk_full)) return sim_fail(s, "truncate or punch gave %d", r);
	return 0;
}

static int op_read(struct sim *s)
{
	struct sim_handle *h = pick_handle(s);
	if (!h) return op_open(s);
	struct content *expected = handle_content(s, h);
	uint64_t offset = pick_offset(s, expected->size);
	size_t size = 1 + sim_below(s, 50000);
	_cleanup_free_ uint8_t *bytes = malloc(size);
	ssize_t n = reference_read(h->reference, offset, bytes, size);
	if (disk_sim_crashed(s->disk)) return 0;
	ssize_t want = offset >= expected->size ? 0 : expected->size - offset < size ? (ssize_t)(expected->size - offset) : (ssize_t)size;
	if (n != want) return sim_fail(s, "read at %llu gave %zd, expected %zd", (unsigned long long)offset, n, want);
	if (n > 0 && memcmp(bytes, expected->bytes + offset, (size_t)n) != 0) return sim_fail(s, "read at %llu gave wrong bytes", (unsigned long long)offset);
	return 0;
}

static int op_sync(struct sim *s)
{
	struct sim_handle *h = pick_handle(s);
	if (h && !h->orphan && sim_below(s, 3)) {
		int r = reference_sync(h->reference);
		if (disk_sim_crashed(s->disk) || (r == -ENOSPC && s->disk_full)) return 0;
		if (r < 0) return sim_fail(s, "fsync gave %d", r);
		history_log_durable(s);
		history_blob_durable(s, h->node);
		return 0;
	}
	int r = objects_sync(s->objects);
	if (disk_sim_crashed(s->disk) || (r == -ENOSPC && s->disk_full)) return 0;
	if (r < 0) return sim_fail(s, "sync gave %d", r);
	history_durable(s);
	return 0;
}

/* ---- streams ----------------------------------------------------------------------------------------------------- */

static int op_stream(struct sim *s)
{
	struct model_entry *e = pick_entry(s, 1u << MODEL_STREAM);
	if (!e) return 0;
	unsigned node = e->node;
	struct reference_options options = { .rights = RIGHT_ALL };
	struct reference *stream;
	int r = reference_open(s->objects, s->inos[node], &options, &stream);
	if (r < 0) return disk_sim_crashed(s->disk) ? 0 : sim_fail(s, "opening a stream gave %d", r);
	struct model next;
	model_copy(&next, &s->model);
	uint8_t bytes[300];
	size_t size = 1 + sim_below(s, sizeof(bytes));
	random_fill(&s->random.source, bytes, size);
	bool end = sim_below(s, 40) == 0;
	ssize_t got;
	int expected = 0;
	if (end) {
		next.nodes[node].ended = true;
		got = stream_end(stream);
	} else {
		if (next.nodes[node].ended) expected = EPIPE;
		else model_write(&next, node, next.nodes[node].content->size, bytes, size);
		got = stream_append(stream, bytes, size, false);
		if (got == (ssize_t)size) got = 0;
	}
	r = settle(s, &next, expected, (int)got, "stream append");
	reference_close(stream);
	return r;
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

static int op_time(struct sim *s)
{
	s->clock.now_ns += 100 * NS_PER_MS;
	objects_run_due(s->objects);
	if (sim_below(s, 4) != 0) return 0;
	/* Longer than the promise: everything that was answered before this is durable now, but on a full disk. */
	s->clock.now_ns += NS_PER_SECOND;
	objects_run_due(s->objects);
	s->clock.now_ns += NS_PER_SECOND;
	objects_run_due(s->objects);
	if (!disk_sim_crashed(s->disk) && !s->disk_full) history_durable(s);
	return 0;
}

/* A full disk takes no more than a part of its reserve, however much is written. */
static int fill(struct sim *s)
{
	uint64_t filled = 0;
	bool taken = true;
	int r = 0;
	if (!pick_handle(s)) op_open(s);
	struct sim_handle *h = pick_handle(s);
	for (; r == 0 && h && taken && filled <= s->store->reserve_bytes / 4 && !disk_sim_crashed(s->disk); filled += 50000)
		r = write_blob(s, h, 50000 * sim_below(s, 3), 50000, &taken);
	if (r == 0 && filled > s->store->reserve_bytes / 4) return sim_fail(s, "%llu bytes were taken into a full disk's reserve", (unsigned long long)filled);
	return r;
}

static int op_fullness(struct sim *s)
{
	if (!s->disk_full && sim_below(s, 4)) return 0;
	s->disk_full = !s->disk_full;
	struct disk_space space;
	if (disk_space(s->disk, &space) < 0) return disk_sim_crashed(s->disk) ? 0 : sim_fail(s, "the disk's size cannot be read");
	/* Nothing but the reserve is left: growth is refused, all else goes on. */
	disk_sim_set_capacity(s->disk, s->disk_full ? space.total_bytes - space.free_bytes + s->store->reserve_bytes : 256ull << 20);
	return s->disk_full && sim_below(s, 2) ? fill(s) : 0;
}

int sim_operation(struct sim *s)
{
	static const struct { const char *name; int (*run)(struct sim *s); unsigned weight; } table[] = {
		{ "make", op_make, 10 }, { "link", op_link, 3 }, { "unlink", op_unlink, 5 }, { "rename", op_rename, 6 }, { "attributes", op_attributes, 4 }, { "open", op_open, 6 }, { "write", op_write, 22 },
		{ "reshape", op_reshape, 6 }, { "publish", op_publish, 6 }, { "check", op_check, 6 }, { "clone", op_clone, 2 }, { "damage", op_damage, 1 }, { "pass", op_pass, 20 }, { "read", op_read, 14 }, { "sync", op_sync, 4 }, { "stream", op_stream, 6 }, { "token", op_token, 4 }, { "time", op_time, 5 }, { "fullness", op_fullness, 1 } };
	unsigned total = 0;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) total += table[i].weight;
	unsigned at = (unsigned)sim_below(s, total);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (at < table[i].weight) {
			if (s->verbose) printf("# %u %s at step %llu\n", s->operations, table[i].name, (unsigned long long)disk_sim_steps(s->disk));
			return table[i].run(s);
		}
		at -= table[i].weight;
	}
	return 0;
}
