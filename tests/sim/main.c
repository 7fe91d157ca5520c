/* sim --seeds N [--start S] [--operations N] [--faults N] [--verbose]: runs seeds S, S+1, ... and ends non-zero at the first whose node does not
 * do what was promised, naming it; "sim --seeds 1 --start SEED" replays it. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "tests/sim/sim.h"

static int64_t sim_now(struct clock *c) { return ((struct sim_clock *)c)->now_ns; }

static int crash(struct sim *s)
{
	bool power_cut = sim_below(s, 2);
	if (s->verbose) printf("# %u %s\n", s->operations, power_cut ? "power cut" : "kill");
	s->crashes++;
	s->power_cuts += power_cut;
	s->disk_full = false;
	disk_sim_set_capacity(s->disk, 256ull << 20);
	int r = sim_restart_after_crash(s, power_cut);
	return r < 0 ? r : check_recovered(s, power_cut);
}

static int run(struct sim *s, unsigned operations, unsigned faults)
{
	int r = sim_start(s);
	if (r < 0) return sim_fail(s, "a new node does not start: error %d", -r);
	s->inos[0] = ROOT_INO;
	model_init(&s->model);
	r = objects_sync(s->objects);
	if (r < 0) return sim_fail(s, "sync of a new node: error %d", -r);
	history_durable(s);
	unsigned every = faults ? operations / faults : operations + 1;
	for (s->operations = 0; s->operations < operations; s->operations++) {
		if (s->operations % every == every / 2) disk_sim_crash_after(s->disk, 1 + sim_below(s, 60));
		r = sim_operation(s);
		if (r < 0) return r;
		if (disk_sim_crashed(s->disk)) r = crash(s);
		else if (sim_below(s, 64) == 0 && !s->disk_full) r = check_live(s);
		if (r < 0) return r;
		if (disk_sim_crashed(s->disk) && crash(s) < 0) return -1;
	}
	disk_sim_crash_after(s->disk, 0);
	r = check_live(s);
	if (r < 0) return r;
	/* A clean stop and a start: nothing is lost. */
	sim_stop(s);
	history_durable(s);
	disk_sim_power_cut(s->disk);
	random_fill(&s->random.source, s->boot_id, sizeof(s->boot_id));
	r = sim_start(s);
	if (r < 0) return sim_fail(s, "no start after a clean stop: error %d", -r);
	return check_recovered(s, false);
}

int sim_run(uint64_t seed, unsigned operations, unsigned faults, bool verbose, char *failure, size_t failure_size)
{
	struct sim *s = calloc(1, sizeof(*s));
	if (!s) return -ENOMEM;
	s->seed = seed;
	s->verbose = verbose;
	s->clock = (struct sim_clock){ .clock = { .wall_ns = sim_now, .boot_ns = sim_now }, .now_ns = 1700000000 * NS_PER_SECOND };
	random_seeded_init(&s->random, seed);
	random_seeded_init(&s->disk_random, seed ^ 0x9e3779b97f4a7c15ull);
	random_fill(&s->random.source, s->boot_id, sizeof(s->boot_id));
	int r = disk_sim_new(&s->disk_random.source, 256ull << 20, &s->disk);
	if (r == 0) r = run(s, operations, faults);
	if (r < 0) snprintf(failure, failure_size, "operation %u: %s", s->operations, s->failure);
	if (verbose) printf("# seed %llu: %u operations, %u crashes, %u of them power cuts, %llu steps\n", (unsigned long long)seed, s->operations, s->crashes,
		s->power_cuts, (unsigned long long)disk_sim_steps(s->disk));
	sim_stop(s);
	history_done(s);
	model_done(&s->model);
	if (s->maybe_valid) model_done(&s->maybe);
	content_unref(s->torn.bytes);
	content_unref(s->changed.content);
	disk_free(s->disk);
	free(s);
	return r;
}

static const char usage[] = "usage: sim [--seeds N] [--start S] [--operations N] [--faults N] [--verbose]\n";

int main(int argc, char **argv)
{
	static const struct option options[] = { { "seeds", 1, NULL, 'n' }, { "start", 1, NULL, 's' }, { "operations", 1, NULL, 'o' }, { "faults", 1, NULL, 'f' },
		{ "verbose", 0, NULL, 'v' }, { "help", 0, NULL, 'h' }, { 0 } };
	uint64_t seeds = 1, start = 1, operations = 2000, faults = 20;
	bool verbose = false;
	int o;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'n': seeds = strtoull(optarg, NULL, 10); break;
		case 's': start = strtoull(optarg, NULL, 10); break;
		case 'o': operations = strtoull(optarg, NULL, 10); break;
		case 'f': faults = strtoull(optarg, NULL, 10); break;
		case 'v': verbose = true; break;
		default: fputs(usage, o == 'h' ? stdout : stderr); return o == 'h' ? 0 : 2;
		}
	}
	if (!verbose) log_set_fd(-1);
	for (uint64_t seed = start; seed < start + seeds; seed++) {
		char failure[640] = "";
		if (sim_run(seed, (unsigned)operations, (unsigned)faults, verbose, failure, sizeof(failure)) == 0) continue;
		printf("not ok 1 - seed %llu: %s\n# replay: sim --seeds 1 --start %llu --operations %llu --faults %llu --verbose\n1..1\n", (unsigned long long)seed, failure,
			(unsigned long long)seed, (unsigned long long)operations, (unsigned long long)faults);
		return 1;
	}
	printf("ok 1 - %llu seeds of %llu operations and %llu faults, from %llu on\n1..1\n", (unsigned long long)seeds, (unsigned long long)operations,
		(unsigned long long)faults, (unsigned long long)start);
	return 0;
}
