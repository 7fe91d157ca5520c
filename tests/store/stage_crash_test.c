/* The staging log and death. A kill leaves every record whose append had returned, and none that was not appended; a power
 * cut may take all; a sequence number never comes twice, whatever dies and in whatever order. */
#include "store/stage.h"
#include "tests/store/store_test.h"

#define RECORDS 4096

struct known { struct stage_record record; uint8_t fill; bool sure, released, found; };   /* sure: the append returned */
static struct known known[RECORDS];
static int known_count;          /* appended, or perhaps appended, since the boot */
static struct { int found, strange, unordered, bytes_wrong; uint64_t last_seq, highest; struct stage *stage; } seen;

static int see(void *arg, const struct stage_record *r)
{
	static uint8_t bytes[STAGE_RECORD_MAX];
	bool matched = false;

	(void)arg;
	seen.unordered += r->seq <= seen.last_seq;
	seen.last_seq = r->seq;
	for (int i = 0; i < known_count && !matched; i++) {
		const struct stage_record *k = &known[i].record;
		if (k->ino != r->ino || k->offset != r->offset || k->kind != r->kind || k->size != r->size || (known[i].sure && k->seq != r->seq))
			continue;
		matched = true;
		if (r->kind == STAGE_DATA) {
			seen.bytes_wrong += stage_read(seen.stage, r->place, 0, bytes, r->size) != 0;
			for (uint64_t b = 0; b < r->size; b++)
				seen.bytes_wrong += bytes[b] != known[i].fill;
		}
		seen.found += known[i].sure && !known[i].released;
		known[i].record = *r;
		known[i].found = true;
	}
	seen.strange += !matched;
	return 0;
}

static int replay(struct stage *s)
{
	memset(&seen, 0, sizeof(seen));
	seen.stage = s;
	return stage_replay(s, see, NULL);
}

/* Appends and releases until death or `count` records. */
static int use(struct stage *s, struct random_source *random, int count)
{
	static uint8_t bytes[9000];
	int r = 0;

	for (int i = 0; r == 0 && i < count && known_count < RECORDS; i++) {
		struct known *k = &known[known_count];
		enum stage_kind kind = random_below(random, 4) ? STAGE_DATA : STAGE_HOLE;
		*k = (struct known){ .fill = (uint8_t)random_below(random, 256) };
		k->record = (struct stage_record){ .ino = random_below(random, 5), .kind = kind, .offset = (uint64_t)known_count, .size = 1 + random_below(random, sizeof(bytes)) };
		memset(bytes, k->fill, sizeof(bytes));
		known_count++;
		r = stage_append(s, &k->record, kind == STAGE_DATA ? bytes : NULL);
		if (r == 0) {
			k->sure = true;
			if (k->record.seq <= seen.highest)
				return -EEXIST;   /* a number that was used before */
			seen.highest = k->record.seq;
		}
		if (r == 0 && random_below(random, 3) == 0) {
			stage_release(s, k->record.place);
			k->released = true;
		}
	}
	return r;
}

static void lives(void)
{
	int lost = 0, strange = 0, unordered = 0, repeated = 0, failed = 0, bytes_wrong = 0;

	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct random_seeded random, chance;
		struct disk *d;
		uint8_t boot[16] = { 1 };   /* 0 and 1 have the same mark */
		uint64_t highest = 0;

		random_seeded_init(&random, seed);
		random_seeded_init(&chance, seed + 1000000);
		disk_sim_new(&chance.source, 512 << 20, &d);
		known_count = 0;
		for (int life = 0; life < 12; life++) {
			struct stage *s = NULL;
			bool power = random_below(&random.source, 3) == 0;
			int expected = 0;
			disk_sim_crash_after(d, 1 + random_below(&random.source, 60));
			int r = stage_open(d, "stage", boot, &s);
			if (r == 0)
				r = replay(s);
			if (r == 0) {
				for (int i = 0; i < known_count; i++) {
					expected += known[i].sure && !known[i].released;
					known[i].sure |= known[i].found;   /* an append that died, and was whole */
				}
				lost += expected != seen.found;
				strange += seen.strange;
				unordered += seen.unordered;
				bytes_wrong += seen.bytes_wrong;
				seen.highest = highest;
				r = use(s, &random.source, 40);
				repeated += r == -EEXIST;
				highest = seen.highest > highest ? seen.highest : highest;
			}
			failed += r < 0 && r != -EEXIST && !disk_sim_crashed(d);
			if (!disk_sim_crashed(d)) {
				disk_sim_crash_after(d, 1);
				file_put(d, "x", "");
			}
			stage_close(s);
			if (power) {
				disk_sim_power_cut(d);
				boot[0]++;
				known_count = 0;
			} else {
				disk_sim_process_kill(d);
			}
		}
		disk_free(d);
	}
	is_int(failed, 0, "200 staging logs live through 12 deaths each");
	is_int(lost, 0, "a kill loses no record whose append had returned");
	is_int(strange, 0, "none is found that was not appended");
	is_int(bytes_wrong, 0, "each has its bytes");
	is_int(unordered, 0, "in order");
	is_int(repeated, 0, "a sequence number never comes twice, after power cuts neither");
}

/* A power cut at every step of opening and first use, over what an earlier boot has left. */
static void every_step(void)
{
	int repeated = 0, failed = 0, steps = 0;

	for (uint64_t step = 1; ; step++) {
		struct random_seeded random, chance;
		struct stage *s = NULL;
		struct disk *d;
		uint8_t boot[16] = { 1 };
		uint64_t highest = 0;
		bool died;

		random_seeded_init(&random, step);
		random_seeded_init(&chance, step + 7);
		disk_sim_new(&chance.source, 512 << 20, &d);
		known_count = 0;
		memset(&seen, 0, sizeof(seen));
		disk_sim_crash_after(d, step);
		int r = stage_open(d, "stage", boot, &s);
		if (r == 0)
			r = use(s, &random.source, 10);
		died = disk_sim_crashed(d);
		failed += (r < 0) != died;
		highest = seen.highest;
		if (!died) {
			disk_sim_crash_after(d, 1);
			file_put(d, "x", "");
		}
		stage_close(s);
		disk_sim_power_cut(d);
		boot[0] = 2;
		s = NULL;
		known_count = 0;
		failed += stage_open(d, "stage", boot, &s) != 0;
		seen.highest = highest;
		failed += !s || use(s, &random.source, 10) == -EEXIST;
		repeated += seen.highest <= highest;
		stage_close(s);
		disk_free(d);
		steps++;
		if (!died)
			break;
	}
	is_int(failed, 0, "power cut at each of %d steps of opening and use: it opens again", steps);
	is_int(repeated, 0, "and numbers go on above");
}

static void full_disk(void)
{
	static uint8_t bytes[64 << 10];
	struct random_seeded chance;
	struct stage *s = NULL;
	struct disk *d;
	uint8_t boot[16] = { 1 };
	struct stage_record first = { 0 }, r;
	int result, count = 0;

	random_seeded_init(&chance, 1);
	disk_sim_new(&chance.source, 1 << 20, &d);
	stage_open(d, "stage", boot, &s);
	do {
		r = (struct stage_record){ .ino = 1, .kind = STAGE_DATA, .offset = (uint64_t)count, .size = sizeof(bytes) };
		result = stage_append(s, &r, bytes);
		if (count == 0)
			first = r;
		count += result == 0;
	} while (result == 0);
	is_int(result, -ENOSPC, "on a full disk: ENOSPC");
	ok(count > 5, "after %d records of 64 KiB", count);
	is_int(stage_read(s, first.place, 0, bytes, 100), 0, "what was staged before is read");
	disk_sim_set_capacity(d, 64 << 20);
	r = (struct stage_record){ .ino = 2, .kind = STAGE_DATA, .size = 5 };
	is_int(stage_append(s, &r, "small"), 0, "when there is room again it goes on");
	disk_sim_crash_after(d, 1);
	file_put(d, "x", "");
	stage_close(s);
	disk_sim_process_kill(d);
	stage_open(d, "stage", boot, &s);
	known_count = 0;
	replay(s);
	is_int(seen.strange, count + 1, "a kill later: the records that were staged, and nothing of the one that was refused");
	stage_close(s);
	disk_free(d);
}

/* A user's bytes that look like records of somebody else's file, where the next record would begin. */
static int see_victim(void *arg, const struct stage_record *r)
{
	*(int *)arg += r->ino == 666;
	return 0;
}

static void forged_records(void)
{
	static uint8_t whole[1 << 20], piece[1 << 20];
	struct random_seeded chance;
	struct stage *s = NULL;
	struct disk_file *f;
	struct disk *d;
	uint8_t boot[16] = { 1 };
	int victims = 0, forged = 0;

	/* What a record of inode 666 looks like in a segment of this log, to be copied by somebody who knows all but the salt. */
	random_seeded_init(&chance, 1);
	disk_sim_new(&chance.source, 8 << 20, &d);
	stage_open(d, "stage", boot, &s);
	struct stage_record r = { .ino = 666, .kind = STAGE_HOLE, .size = 1 };
	stage_append(s, &r, NULL);
	stage_close(s);
	disk_open(d, "stage/00000000", O_RDONLY, &f);
	ssize_t n = disk_pread(f, whole, sizeof(whole), 0);
	disk_close(f);
	disk_free(d);
	ok(n > 64, "(a record to be forged)");

	for (uint64_t seed = 2; seed < 30; seed++) {
		random_seeded_init(&chance, seed);
		disk_sim_new(&chance.source, 2 << 20, &d);
		stage_open(d, "stage", boot, &s);
		/* A large write that the full disk cuts, its bytes full of forged records at every distance; then a short one over it. */
		for (size_t at = 0; at + 64 <= sizeof(piece); at += 64)
			memcpy(piece + at, whole + r.place.offset - 64, 64);
		disk_sim_set_capacity(d, 600 << 10);
		r = (struct stage_record){ .ino = 5, .kind = STAGE_DATA, .size = sizeof(piece) };
		forged += stage_append(s, &r, piece) == -ENOSPC;
		disk_sim_set_capacity(d, 2 << 20);
		r = (struct stage_record){ .ino = 5, .kind = STAGE_DATA, .size = 64 };
		stage_append(s, &r, piece);
		disk_sim_crash_after(d, 1);
		file_put(d, "x", "");
		stage_close(s);
		disk_sim_process_kill(d);
		s = NULL;
		stage_open(d, "stage", boot, &s);
		stage_replay(s, see_victim, &victims);
		stage_close(s);
		disk_free(d);
		r.place.offset = 64 + 64;
	}
	is_int(forged, 28, "28 writes of forged records were cut by a full disk");
	is_int(victims, 0, "none of them is replayed");
}

int main(void)
{
	every_step();
	full_disk();
	forged_records();
	lives();
	return done_testing();
}
