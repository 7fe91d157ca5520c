/* Random operations on a tree of directories and blobs, through the state machine and on the plain model (model.h): the same errors, the
 * same tree, the same bytes; a quota comes, goes and changes meanwhile, and refuses what does not fit, and nothing else. Then the log is replayed: into an empty store, and from a flushed state after a crash. All stores must
 * hold the same bytes.
 *
 * random_test [--seeds N] [--start S] [--steps N]: a seed is one run; the first that fails is printed, and fails again. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cluster/model.h"
#include "tests/cluster/proposer.h"
#include "tests/tap.h"

#define FILE_MAX (3u << 20)      /* bytes: checksum entries of three MiB */

struct run {
	struct fixture f;
	struct model m;
	struct proposer p;
	struct random_seeded random;
	struct state_quota quota;      /* as it was set */
	char wrong[200];
};

static uint64_t below(struct run *r, uint64_t bound) { return random_below(&r->random.source, bound); }

static void fail(struct run *r, const char *what, uint64_t a, uint64_t b)
{
	if (!r->wrong[0])
		snprintf(r->wrong, sizeof(r->wrong), "%s (%llx, %llx)", what, (unsigned long long)a, (unsigned long long)b);
}

/* A random object of a kind (NONE: any); a number that is none now and then. */
static uint64_t pick(struct run *r, enum model_kind kind)
{
	uint64_t found = r->m.root;
	unsigned seen = 0;

	if (below(r, 50) == 0)
		return 999999;
	for (size_t i = 0; i < MODEL_OBJECTS; i++) {
		if (r->m.objects[i].kind != MODEL_NONE && (kind == MODEL_NONE || r->m.objects[i].kind == kind) && below(r, ++seen) == 0)
			found = r->m.objects[i].number;
	}
	return found;
}

static uint64_t pick_directory(struct run *r)
{
	return below(r, 20) == 0 ? pick(r, MODEL_NONE) : below(r, 3) == 0 ? r->m.root : pick(r, MODEL_DIRECTORY);
}

static const char *pick_name(struct run *r)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "a longer name" };
	return names[below(r, 7)];
}

static void same(struct run *r, int got, int want, const char *what)
{
	if (got != want)
		fail(r, what, (uint64_t)-(int64_t)got, (uint64_t)-(int64_t)want);
}

static unsigned object_count(const struct model *m)
{
	unsigned count = 0;

	for (size_t i = 0; i < MODEL_OBJECTS; i++)
		count += m->objects[i].kind != MODEL_NONE;
	return count;
}

static struct state_quota used(struct run *r)
{
	struct state_usage usage = { 0 };

	same(r, state_get_usage(r->f.state, REALM_FIRST, &usage), 0, "usage");
	if (usage.limit.bytes != r->quota.bytes || usage.limit.objects != r->quota.objects)
		fail(r, "another quota than was set", usage.limit.bytes, usage.limit.objects);
	return usage.used;
}

static void apply_quota_of(struct run *r, struct state_quota quota)
{
	struct command c = { .kind = COMMAND_QUOTA, .quota = { .realm = REALM_FIRST, .bytes = quota.bytes, .objects = quota.objects } };

	same(r, fixture_apply(&r->f, &c), 0, "quota");
	r->quota = quota;
}

/* Near what is used, above or below, or none. */
static void step_quota(struct run *r)
{
	struct state_quota now = used(r), quota = { 0 };

	if (below(r, 3))
		quota.bytes = now.bytes / 2 + below(r, now.bytes + 300000) + 1;
	if (below(r, 3) == 0)
		quota.objects = now.objects + below(r, 8);
	apply_quota_of(r, quota);
}

static void step_create(struct run *r)
{
	static const struct { enum object_kind kind; enum model_kind model; uint32_t mode; } kinds[] = {
		{ KIND_BLOB, MODEL_FILE, 0644 }, { KIND_DIRECTORY, MODEL_DIRECTORY, 0755 }, { KIND_SYMLINK, MODEL_SYMLINK, 0777 } };
	uint64_t parent = pick_directory(r), ino = 0, k = below(r, 10);
	const char *name = pick_name(r);

	if (object_count(&r->m) >= MODEL_OBJECTS - 1)
		return;
	k = k < 6 ? 0 : k < 9 ? 1 : 2;
	int want = model_can_create(&r->m, parent, name);
	if (want == 0 && r->quota.objects > 0 && object_count(&r->m) >= r->quota.objects)
		want = -EDQUOT;
	same(r, fixture_create(&r->f, parent, name, kinds[k].kind, &ino), want, "create");
	if (want == 0)
		model_create(&r->m, parent, name, kinds[k].model, kinds[k].mode, ino);
}

static void step_tree(struct run *r)
{
	uint64_t parent = pick_directory(r), other = pick_directory(r), number = pick(r, MODEL_NONE), flags = below(r, 6);
	const char *name = pick_name(r), *new_name = pick_name(r);
	bool directory = below(r, 2);

	switch (below(r, 5)) {
	case 0:
		same(r, fixture_link(&r->f, number, parent, name), model_link(&r->m, number, parent, name), "link");
		break;
	case 1:
		same(r, fixture_unlink(&r->f, parent, name, directory), model_unlink(&r->m, parent, name, directory), "unlink");
		break;
	default:
		same(r, fixture_rename(&r->f, parent, name, other, new_name, flags == 0 ? RENAME_NOREPLACE : flags == 1 ? RENAME_EXCHANGE : 0),
			model_rename(&r->m, parent, name, other, new_name, flags == 0, flags == 1), "rename");
	}
}

/* Mostly small, sometimes over several MiB. */
static uint64_t pick_size(struct run *r, uint64_t most)
{
	static const uint64_t bounds[] = { 10, 5000, 5000, 30000, 30000, 100000, 300000, FILE_MAX };
	uint64_t bound = bounds[below(r, 8)], size = below(r, (bound < most ? bound : most) + 1);
	return below(r, 4) == 0 ? size / BLOCK_SIZE * BLOCK_SIZE : size;
}

struct blob_change { enum { CHANGE_WRITE, CHANGE_RESIZE, CHANGE_ZERO } kind; uint64_t ino, offset, size; const uint8_t *data; };

static int propose(struct run *r, const struct blob_change *c)
{
	switch (c->kind) {
	case CHANGE_WRITE:  return proposer_write(&r->p, c->ino, c->offset, c->data, c->size);
	case CHANGE_RESIZE: return proposer_resize(&r->p, c->ino, c->size);
	default:            return proposer_zero(&r->p, c->ino, c->offset, c->size);
	}
}

/* What is refused did not fit: done again, with the same luck, without the quota, it is past it. */
static int propose_within_quota(struct run *r, const struct blob_change *c)
{
	uint64_t before = used(r).bytes, size = fixture_record(&r->f, c->ino).size;
	struct state_quota quota = r->quota;
	struct random_seeded luck = r->random;
	struct proposer_head head = proposer_keep(&r->p, c->ino);
	int got = propose(r, c);

	if (got == -EDQUOT)
		proposer_put_back(&r->p, c->ino, &head);
	free(head.bytes);
	if (got == 0 && quota.bytes > 0 && used(r).bytes > before && used(r).bytes > quota.bytes)
		fail(r, "it grows past the quota", used(r).bytes, quota.bytes);
	if (got != -EDQUOT)
		return got;
	if (quota.bytes == 0 || used(r).bytes != before || (c->kind == CHANGE_RESIZE && c->size <= size) || c->kind == CHANGE_ZERO)
		fail(r, "a quota refuses what is none of its business", before, quota.bytes);
	apply_quota_of(r, (struct state_quota){ 0 });
	r->random = luck;
	got = propose(r, c);
	if (used(r).bytes <= quota.bytes)
		fail(r, "a quota refuses what fits", used(r).bytes, quota.bytes);
	apply_quota_of(r, quota);
	return got;
}

static void step_blob(struct run *r)
{
	uint64_t ino = pick(r, MODEL_FILE);
	const struct model_object *o = model_object(&r->m, ino);

	if (!o || o->kind != MODEL_FILE)
		return;
	uint64_t kind = below(r, 10), offset = below(r, 2) ? o->size : pick_size(r, FILE_MAX);
	if (offset > FILE_MAX - 1)
		offset = FILE_MAX - 1;
	struct blob_change c = { .ino = ino, .offset = offset };
	if (kind < 6) {
		size_t size = pick_size(r, FILE_MAX - offset - 1) + 1;
		uint8_t *data = malloc(size);
		random_fill(&r->random.source, data, size < 64 ? size : 64);
		for (size_t i = 64; i < size; i++)
			data[i] = (uint8_t)(data[i - 64] + i / 4096);
		c.kind = CHANGE_WRITE;
		c.size = size;
		c.data = data;
		same(r, propose_within_quota(r, &c), model_write(&r->m, ino, offset, data, size), "write");
		free(data);
	} else if (kind < 8) {
		c.kind = CHANGE_RESIZE;
		c.size = below(r, 5) == 0 ? 0 : pick_size(r, FILE_MAX);
		same(r, propose_within_quota(r, &c), model_resize(&r->m, ino, c.size), "resize");
	} else {
		c.kind = CHANGE_ZERO;
		c.size = pick_size(r, FILE_MAX);
		same(r, propose_within_quota(r, &c), model_zero(&r->m, ino, offset, c.size), "zero");
	}
}

static int absorb_one(void *arg, uint64_t ino)
{
	struct run *r = arg;

	same(r, proposer_absorb(&r->p, ino), 0, "absorb");
	return 0;
}

static void step_absorb(struct run *r)
{
	uint64_t after = below(r, 3) ? pick(r, MODEL_FILE) : 0;
	state_each_unabsorbed(r->f.state, after, absorb_one, r);
}

static void step_reap(struct run *r)
{
	uint64_t inos[MODEL_OBJECTS];
	uint32_t count = 0;
	struct command c = { .kind = COMMAND_REAP };

	for (size_t i = 0; i < MODEL_OBJECTS; i++) {
		if (r->m.objects[i].kind != MODEL_NONE && r->m.objects[i].links == 0 && below(r, 2))
			inos[count++] = r->m.objects[i].number;
	}
	for (uint32_t i = 0; i < count; i++) {
		model_release(&r->m, inos[i]);
		proposer_forget(&r->p, inos[i]);
	}
	if (count < MODEL_OBJECTS)
		inos[count++] = pick(r, MODEL_NONE);   /* may be no orphan: then nothing happens to it */
	if (model_object(&r->m, inos[count - 1]) && model_object(&r->m, inos[count - 1])->links == 0)
		count--;
	c.reap = (struct command_reap){ .inos = inos, .count = count };
	same(r, fixture_apply(&r->f, &c), 0, "reap");
}

/* ---- comparing ---- */

struct listing { struct run *r; uint64_t parent; unsigned count; };

static int check_listed(void *arg, const struct state_entry *e)
{
	struct listing *l = arg;
	char name[MODEL_NAME] = "";

	memcpy(name, e->name, e->name_size < MODEL_NAME - 1 ? e->name_size : MODEL_NAME - 1);
	const struct model_entry *want = model_entry(&l->r->m, l->parent, name);
	if (!want || want->number != e->ino)
		fail(l->r, "a directory lists what is not there", l->parent, e->ino);
	l->count++;
	return 0;
}

static void compare_object(struct run *r, const struct model_object *o)
{
	struct record record = fixture_record(&r->f, o->number);
	struct listing l = { .r = r, .parent = o->number };
	const char *wrong = NULL;
	uint64_t size;

	if (record.ino != o->number)
		fail(r, "an object is gone", o->number, 0);
	if (record.nlink != o->links || (record.mode & 07777) != o->mode || record.orphan != (o->links == 0))
		fail(r, "links, mode or orphan differ", record.nlink, o->links);
	if (o->kind == MODEL_DIRECTORY) {
		state_read_directory(r->f.state, o->number, 0, check_listed, &l);
		if (l.count != model_entry_count(&r->m, o->number) || record.parent != o->parent)
			fail(r, "a directory lists fewer entries", o->number, l.count);
	}
	if (o->kind != MODEL_FILE)
		return;
	if (record.version != o->changes)
		fail(r, "version", record.version, o->changes);
	uint8_t *content = proposer_read(&r->p, o->number, &size, &wrong);
	if (!content)
		fail(r, wrong, o->number, 0);
	else if (size != o->size || (size > 0 && memcmp(content, o->bytes, size) != 0))
		fail(r, "content differs", o->number, size);
	free(content);
}

static void compare(struct run *r)
{
	uint64_t objects, bytes;

	for (size_t i = 0; i < MODEL_OBJECTS; i++) {
		if (r->m.objects[i].kind != MODEL_NONE)
			compare_object(r, &r->m.objects[i]);
	}
	for (size_t i = 0; i < MODEL_ENTRIES; i++) {
		const struct model_entry *e = &r->m.entries[i];
		if (e->used && fixture_lookup(&r->f, e->parent, e->name) != e->number)
			fail(r, "an entry leads elsewhere", e->parent, e->number);
	}
	state_totals(r->f.state, &objects, &bytes);
	if (objects != object_count(&r->m))
		fail(r, "number of objects", objects, object_count(&r->m));
	const char *wrong = fixture_check(&r->f);
	if (wrong)
		fail(r, wrong, 0, 0);
}

/* ---- replaying ---- */

/* Applies the log from the applied index on. */
static void replay(struct run *r, struct fixture *to)
{
	for (uint64_t i = state_applied_index(to->state); i < r->f.log_count; i++) {
		struct result result;
		if (state_apply(to->state, i + 1, 3, (struct slice){ r->f.log[i].data, r->f.log[i].size }, &result) < 0)
			fail(r, "replay stops", i + 1, 0);
	}
}

static void compare_replay(struct run *r, struct fixture *crashing)
{
	struct fixture second;

	fixture_open(&second);
	replay(r, &second);
	if (!fixture_same(&r->f, &second))
		fail(r, "a replay into an empty store gives other bytes", 0, 0);
	fixture_close(&second);

	/* The third was flushed somewhere; what came later is lost. */
	state_free(crashing->state);
	kv_close(crashing->kv);
	disk_sim_process_kill(crashing->disk);
	if (kv_sim_open(crashing->disk, "state", &crashing->kv) < 0 || state_open(crashing->kv, &crashing->state) < 0)
		abort();
	replay(r, crashing);
	if (!fixture_same(&r->f, crashing))
		fail(r, "a replay after a crash gives other bytes", 0, 0);
}

static bool run_seed(uint64_t seed, unsigned steps)
{
	struct run *r = calloc(1, sizeof(*r));
	struct fixture crashing;
	unsigned step = 0;

	random_seeded_init(&r->random, seed);
	fixture_open_realm(&r->f);
	fixture_open(&crashing);
	model_init(&r->m, ROOT_INO);
	proposer_init(&r->p, &r->f, &r->random.source);
	uint64_t flush_at = below(r, steps);
	for (; step < steps && !r->wrong[0]; step++) {
		uint64_t what = below(r, 100);
		if (what < 20)
			step_create(r);
		else if (what < 45)
			step_tree(r);
		else if (what < 90)
			step_blob(r);
		else if (what < 94)
			step_absorb(r);
		else if (what < 98)
			step_reap(r);
		else if (what < 99)
			step_quota(r);
		else
			fixture_reopen(&r->f);
		r->f.done_below = r->f.seq > 5 ? r->f.seq - below(r, 5) : 0;
		if (step % 200 == 199)
			compare(r);
		if (step == flush_at) {
			replay(r, &crashing);
			kv_flush(crashing.kv);
		}
	}
	compare(r);
	if (!r->wrong[0])
		compare_replay(r, &crashing);
	if (r->wrong[0])
		printf("# seed %llu, step %u: %s\n", (unsigned long long)seed, step, r->wrong);
	bool good = !r->wrong[0];
	proposer_done(&r->p);
	model_done(&r->m);
	fixture_close(&crashing);
	fixture_close(&r->f);
	free(r);
	return good;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "seeds", required_argument, NULL, 'n' }, { "start", required_argument, NULL, 's' }, { "steps", required_argument, NULL, 'k' }, { 0 } };
	uint64_t seeds = 3, start = 1, steps = 1000;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'n': seeds = strtoull(optarg, NULL, 10); break;
		case 's': start = strtoull(optarg, NULL, 10); break;
		case 'k': steps = strtoull(optarg, NULL, 10); break;
		default: return 2;
		}
	}
	for (uint64_t seed = start; seed < start + seeds; seed++)
		ok(run_seed(seed, (unsigned)steps), "seed %llu: %llu random operations, as in the model", (unsigned long long)seed, (unsigned long long)steps);
	return done_testing();
}
