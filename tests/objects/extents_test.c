/* Uncommitted ranges: newest wins, pieces of an overwritten record keep their place, and each record is given back exactly once. Compared
 * with an array of bytes that remembers who wrote each. */
#include "objects/extents.h"
#include "base/random.h"
#include "tests/tap.h"

#define SPACE 4096u

struct owner { uint8_t kind; uint32_t record; uint32_t at; };   /* kind 0: nobody */

static unsigned released[20000];

static void release(void *arg, struct stage_place place)
{
	(void)arg;
	released[place.offset]++;
}

static bool same(const struct extents *e, const struct owner *want)
{
	struct owner *got = calloc(SPACE, sizeof(*got));
	uint64_t last_end = 0;
	bool good = true;
	for (size_t i = 0; i < e->count; i++) {
		const struct extent *x = &e->items[i];
		good = good && x->offset >= last_end && x->size > 0 && x->offset + x->size <= SPACE;
		for (uint64_t k = 0; good && k < x->size; k++) {
			struct owner *o = &got[x->offset + k];
			o->kind = (uint8_t)(x->kind + 1);
			if (x->kind != EXTENT_STAGED) continue;
			o->record = x->staged->place.offset;
			o->at = (uint32_t)(x->skip + k);
		}
		last_end = x->offset + x->size;
	}
	for (size_t i = 0; good && i < SPACE; i++)
		good = got[i].kind == want[i].kind && (got[i].kind != EXTENT_STAGED + 1 || (got[i].record == want[i].record && got[i].at == want[i].at));
	free(got);
	return good;
}

static bool record_live(const struct owner *want, uint32_t record)
{
	for (size_t i = 0; i < SPACE; i++)
		if (want[i].kind == EXTENT_STAGED + 1 && want[i].record == record) return true;
	return false;
}

static void random_run(uint64_t seed)
{
	struct random_seeded random;
	random_seeded_init(&random, seed);
	struct extents e;
	extents_init(&e, release, NULL);
	memset(released, 0, sizeof(released));
	struct owner *want = calloc(SPACE, sizeof(*want));
	uint32_t records = 0;
	bool good = true;
	for (unsigned step = 0; good && step < 500; step++) {
		uint64_t offset = random_below(&random.source, SPACE - 1), size = 1 + random_below(&random.source, SPACE - offset < 300 ? SPACE - offset : 300);
		enum extent_kind kind = (enum extent_kind)random_below(&random.source, 3);
		if (random_below(&random.source, 30) == 0) {
			extents_cut(&e, offset);
			for (uint64_t i = offset; i < SPACE; i++) want[i] = (struct owner){ 0 };
		} else {
			uint32_t record = kind == EXTENT_STAGED ? ++records : 0;
			good = extents_put(&e, kind, offset, size, (struct stage_place){ .offset = record }) == 0;
			for (uint64_t i = 0; i < size; i++) want[offset + i] = (struct owner){ (uint8_t)(kind + 1), record, (uint32_t)i };
		}
		good = good && same(&e, want);
	}
	bool once = true;
	for (uint32_t r = 1; r <= records; r++) once = once && released[r] == (record_live(want, r) ? 0u : 1u);
	extents_done(&e);
	bool all = true;
	for (uint32_t r = 1; r <= records; r++) all = all && released[r] == 1;
	ok(good, "seed %llu: 500 random ranges lie as in an array of bytes", (unsigned long long)seed);
	ok(once, "seed %llu: a record is given back when its last piece is overwritten", (unsigned long long)seed);
	ok(all, "seed %llu: at the end each record was given back once", (unsigned long long)seed);
	free(want);
}

int main(void)
{
	struct extents e;
	struct stage_place none = { 0 };
	extents_init(&e, NULL, NULL);
	extents_put(&e, EXTENT_TAIL, 100, 50, none);
	extents_put(&e, EXTENT_TAIL, 150, 50, none);
	is_int(e.count, 1, "a tail that is continued stays one extent");
	ok(extents_cover(&e, EXTENT_TAIL, 120, 80), "covers what lies inside");
	ok(!extents_cover(&e, EXTENT_TAIL, 120, 81), "does not cover a byte past the end");
	ok(!extents_cover(&e, EXTENT_TAIL, 99, 2), "does not cover a byte before the start");
	extents_put(&e, EXTENT_HOLE, 130, 10, none);
	is_int(e.count, 3, "a range inside another splits it");
	ok(!extents_cover(&e, EXTENT_TAIL, 120, 80), "a hole in between is not covered");
	is_int(extents_bytes(&e, EXTENT_TAIL), 90, "bytes of one kind");
	is_int(extents_find(&e, 130)->kind, EXTENT_HOLE, "find gives the extent that holds an offset");
	ok(extents_find(&e, 200) == NULL, "nothing ends after the last");
	extents_done(&e);
	for (uint64_t seed = 1; seed <= 20; seed++) random_run(seed);
	return done_testing();
}
