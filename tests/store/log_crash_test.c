/* The Raft log and death: at every step, by power cut and by kill, once and again and again; damage; failed syncs. What
 * log_sync promised is found, nothing is found that was not appended, and damage to synced bytes is never a shorter log. */
#include "tests/store/log_model.h"

#define SMALL (8u << 10)   /* bytes of a segment, so that a few entries fill it */
#define LARGE (1u << 22)   /* bytes of a disk */

static struct model model;

/* Opens the log and compares it with what must and what may be found. */
static bool found_well(struct disk *d, bool power_cut, struct log **ret_log, const char *what, uint64_t seed, uint64_t step)
{
	int r = log_open(d, "log", SMALL, ret_log);

	if (r < 0) {
		ok(false, "%s of seed %" PRIu64 " step %" PRIu64 ": the log opens (%d)", what, seed, step, r);
		return false;
	}
	size_t from = power_cut ? model.promised : model.written;
	uint64_t found = log_fingerprint(*ret_log);
	if (model_has(&model, from, found))
		return true;
	ok(false, "%s of seed %" PRIu64 " step %" PRIu64 ": what was promised (state %zu of %zu) is found%s", what, seed, step, from, model.count,
	   model_has(&model, 0, found) ? ", but an earlier state was" : ", but something else was");
	log_close(*ret_log);
	*ret_log = NULL;
	return false;
}

static void begin(uint64_t seed, struct random_seeded *random, struct random_seeded *chance, struct disk **ret_disk)
{
	random_seeded_init(random, seed);
	random_seeded_init(chance, seed + 1000000);
	memset(&model, 0, sizeof(model));
	model_note(&model);
	disk_sim_new(&chance->source, LARGE, ret_disk);
}

/* One life: opening and 60 changes, dying at the given step. Returns whether it died. */
static bool one_death(uint64_t seed, uint64_t step, bool power_cut, bool *ret_well)
{
	struct random_seeded random, chance;
	struct log *log = NULL;
	struct disk *d;

	begin(seed, &random, &chance, &d);
	disk_sim_crash_after(d, step);
	int r = log_open(d, "log", SMALL, &log);
	for (int i = 0; r == 0 && i < 60; i++)
		r = model_step(&model, log, &random.source);
	bool died = disk_sim_crashed(d);
	if (died != (r < 0))
		ok(false, "seed %" PRIu64 " step %" PRIu64 ": only a dead disk fails (%d)", seed, step, r);
	log_close(log);
	if (power_cut)
		disk_sim_power_cut(d);
	else
		disk_sim_process_kill(d);
	log = NULL;
	*ret_well = found_well(d, power_cut, &log, power_cut ? "power cut" : "kill", seed, step);
	if (*ret_well)
		log_close(log);
	disk_free(d);
	return died;
}

static void every_step(bool power_cut)
{
	uint64_t deaths = 0, bad = 0;

	for (uint64_t seed = 1; seed <= 20 && bad < 3; seed++) {
		bool died = true, well;
		for (uint64_t step = 1; died && bad < 3; step++) {
			died = one_death(seed, step, power_cut, &well);
			deaths++;
			bad += !well;
		}
	}
	is_int(bad, 0, "%s at each of %" PRIu64 " steps of 20 runs", power_cut ? "power cut" : "kill", deaths);
}

/* Many lives of one disk, each begun with what the last one left. */
static bool many_deaths(uint64_t seed, int lives)
{
	struct random_seeded random, chance;
	struct log *log = NULL;
	struct disk *d;
	bool well = true;

	begin(seed, &random, &chance, &d);
	for (int life = 0; well && life < lives; life++) {
		uint64_t how = random_below(&random.source, 3);   /* 0: ends by itself, 1: kill, 2: power cut */
		int r = 0;
		if (how > 0)
			disk_sim_crash_after(d, 1 + random_below(&random.source, 60));
		if (!log)
			r = log_open(d, "log", SMALL, &log);
		for (uint64_t i = random_below(&random.source, 40); r == 0 && i > 0; i--)
			r = model_step(&model, log, &random.source);
		if (how > 0 && !disk_sim_crashed(d)) {
			disk_sim_crash_after(d, 1);
			file_put(d, "x", "");
		}
		if (how == 0)
			model.promised = model.written = model.count - 1;
		log_close(log);
		log = NULL;
		bool cut = how == 2 || random_below(&random.source, 4) == 0;
		if (cut)
			disk_sim_power_cut(d);
		else
			disk_sim_process_kill(d);
		well = found_well(d, cut, &log, "many lives", seed, (uint64_t)life);
		/* What a kill left unsynced might be lost by a later power cut, to an earlier state than the model knows then. */
		if (well && log_sync(log) < 0)
			well = ok(false, "seed %" PRIu64 ": what was found can be synced", seed);
		if (well)
			model_adopt(&model, log);
	}
	log_close(log);
	disk_free(d);
	return well;
}

static void lives(void)
{
	int bad = 0;

	for (uint64_t seed = 1; seed <= 400 && bad < 3; seed++)
		bad += !many_deaths(seed, 25);
	is_int(bad, 0, "400 disks live through 25 deaths each");
}

/* A log of a few segments, closed well. */
static void small_log(struct disk **ret_disk, struct random_seeded *chance, uint64_t *ret_fingerprint)
{
	struct random_seeded random;
	struct log *log = NULL;

	begin(5, &random, chance, ret_disk);
	log_open(*ret_disk, "log", SMALL, &log);
	for (int i = 0; i < 24; i++)
		model_append(&model, log, &random.source);
	model_vote(&model, log, &random.source);
	*ret_fingerprint = log_fingerprint(log);
	log_close(log);
}

static int add_file(void *arg, const char *name)
{
	char (*files)[32] = arg;
	int i = 0;

	while (files[i][0])
		i++;
	snprintf(files[i], 32, "log/%.20s", name);
	return 0;
}

/* One flipped bit in each seventh byte of each file, each on a disk of its own. */
static void flips(void)
{
	char files[64][32] = { "" };
	struct random_seeded chance;
	struct disk *d;
	uint64_t want, refused = 0, same = 0, shorter = 0;

	small_log(&d, &chance, &want);
	disk_list(d, "log", add_file, files);
	disk_free(d);
	for (int f = 0; files[f][0]; f++) {
		for (uint64_t byte = 0; byte < SMALL; byte += 7) {
			struct log *log = NULL;
			small_log(&d, &chance, &want);
			disk_sim_flip_bit(d, files[f], byte * 8 + byte % 8);
			int r = log_open(d, "log", SMALL, &log);
			if (r == -EBADMSG)
				refused++;
			else if (r == 0 && log_fingerprint(log) == want)
				same++;
			else
				shorter++;
			log_close(log);
			disk_free(d);
		}
	}
	is_int(shorter, 0, "a flipped bit never makes the log shorter or other");
	ok(refused > 300 && same > 300, "it is refused where it matters (%" PRIu64 "), and no harm elsewhere (%" PRIu64 ")", refused, same);
}

/* A bit of the very bytes that a later record states to be synced. */
static void damage_before_the_synced_offset(void)
{
	struct random_seeded random, chance;
	struct log *log = NULL;
	struct disk *d;
	struct log_entry e = { .index = 1, .term = 1, .type = 7, .data = text_slice("precious") };

	begin(1, &random, &chance, &d);
	log_open(d, "log", SMALL, &log);
	log_append(log, 1, &e, 1);
	log_sync(log);
	e.index = 2;
	log_append(log, 1, &e, 1);
	disk_sim_crash_after(d, 1);
	log_close(log);
	disk_sim_process_kill(d);
	is_int(disk_sim_flip_bit(d, "log/00000000", (512 + 64 + 64) * 8), 0, "(a bit of entry 1 flips)");
	is_int(log_open(d, "log", SMALL, &log), -EBADMSG, "damage before what entry 2 says was synced: EBADMSG");
	disk_sim_flip_bit(d, "log/00000000", (512 + 64 + 64) * 8);
	disk_sim_flip_bit(d, "log/00000000", (512 + 64 + 128 + 64) * 8);
	is_int(log_open(d, "log", SMALL, &log), 0, "damage to entry 2, which was not synced: the tail is cut");
	struct log_group g;
	log_get_group(log, 1, &g);
	is_int(g.last_index, 1, "entry 1 is there");
	log_close(log);
	disk_free(d);
}

/* The last entry, which no later record speaks of, but the header of the segment that was made ready after the sync. */
static void damage_before_a_header_that_says_synced(void)
{
	struct random_seeded random, chance;
	static uint8_t bytes[3000];
	struct log *log = NULL;
	struct disk *d;
	struct log_entry e = { .term = 1, .type = 7, .data = { bytes, sizeof(bytes) } };

	begin(1, &random, &chance, &d);
	log_open(d, "log", SMALL, &log);
	for (e.index = 1; e.index <= 3; e.index++)
		log_append(log, 1, &e, 1);
	log_sync(log);
	log_prepare(log);
	disk_sim_crash_after(d, 1);
	log_close(log);
	disk_sim_process_kill(d);
	is_int(disk_sim_flip_bit(d, "log/00000001", (512 + 64 + 64 + 10) * 8), 0, "(a bit of the last entry flips)");
	is_int(log_open(d, "log", SMALL, &log), -EBADMSG, "damage before what a header says was synced: EBADMSG");
	disk_free(d);
}

static void failed_sync(void)
{
	struct random_seeded random, chance;
	struct log *log = NULL;
	struct disk *d;
	struct log_group g;
	struct log_entry e = { .index = 1, .term = 1, .type = 7, .data = text_slice("precious") };

	begin(1, &random, &chance, &d);
	log_open(d, "log", SMALL, &log);
	log_append(log, 1, &e, 1);
	disk_sim_fail_sync(d, 1);
	is_int(log_sync(log), -EIO, "a failed sync: EIO");
	is_int(log_sync(log), -EIO, "from then on every sync");
	e.index = 2;
	is_int(log_append(log, 1, &e, 1), -EIO, "every append");
	is_int(log_set_vote(log, 1, 5, 5), -EIO, "and every vote is refused");
	log_close(log);
	disk_sim_process_kill(d);
	is_int(log_open(d, "log", SMALL, &log), 0, "opened again by another daemon, which still reads the bytes");
	is_int(log_sync(log), 0, "which can sync");
	disk_sim_crash_after(d, 1);
	log_close(log);
	disk_sim_power_cut(d);
	is_int(log_open(d, "log", SMALL, &log), 0, "after a power cut");
	log_get_group(log, 1, &g);
	is_int(g.last_index, 1, "the entry is there: its bytes were written again");
	log_close(log);
	disk_free(d);
}

static int no_room(void *arg, uint64_t bytes)
{
	(void)bytes;
	disk_sim_set_capacity(arg, LARGE);
	return 0;
}

static void full_disk(void)
{
	struct random_seeded random, chance;
	struct log *log = NULL;
	struct disk *d;
	int r = 0, appended = 0;
	static uint8_t bytes[1000];
	struct log_entry e = { .term = 1, .type = 7, .data = { bytes, sizeof(bytes) } };

	begin(1, &random, &chance, &d);
	disk_sim_set_capacity(d, 64 << 10);
	log_open(d, "log", SMALL, &log);
	for (e.index = 1; (r = log_append(log, 1, &e, 1)) == 0; e.index++)
		appended++;
	is_int(r, -ENOSPC, "on a full disk: ENOSPC");
	ok(appended >= 6 * 7, "after %d entries of 1,000 bytes", appended);
	is_int(log_sync(log), 0, "what was appended can be synced");
	is_int(log_append(log, 1, &e, 1), -ENOSPC, "and it is tried again");
	log_set_make_room(log, no_room, d);
	is_int(log_append(log, 1, &e, 1), 0, "who can make room is asked for it");
	log_close(log);
	log = NULL;
	is_int(log_open(d, "log", SMALL, &log), 0, "all is found");
	struct log_group g;
	log_get_group(log, 1, &g);
	is_int(g.last_index, appended + 1, "no more and no less");
	log_close(log);
	disk_free(d);
}

int main(void)
{
	damage_before_the_synced_offset();
	damage_before_a_header_that_says_synced();
	failed_sync();
	full_disk();
	flips();
	every_step(false);
	every_step(true);
	lives();
	return done_testing();
}
