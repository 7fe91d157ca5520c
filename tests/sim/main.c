/* sim --seeds N [--start S]: runs seeds S, S+1, ... and ends non-zero at the first whose node does not do what was promised, naming it;
 * "sim --start SEED" replays it. sim --sweep crashes at every persisted step of one seed. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "tests/sim/sim.h"

static int64_t sim_now(struct clock *c) { return ((struct sim_clock *)c)->now_ns; }

static int crash(struct sim *s)
{
	bool power_cut = s->options->crash_at_step ? s->options->power_cut : sim_below(s, 2);
	if (s->verbose) printf("# %u %s\n", s->operations, power_cut ? "power cut" : "kill");
	s->crashes++;
	s->power_cuts += power_cut;
	s->disk_full = false;
	disk_sim_set_capacity(s->disk, SIM_DISK_BYTES);
	int r = sim_restart_after_crash(s, power_cut);
	return r < 0 ? r : check_recovered(s, power_cut);
}

static int run_operations(struct sim *s)
{
	unsigned faults = s->options->faults, every = faults ? s->options->operations / faults : 0;
	if (s->options->crash_at_step) disk_sim_crash_after(s->disk, s->options->crash_at_step);
	for (s->operations = 0; s->operations < s->options->operations; s->operations++) {
		if (every && s->operations % every == every / 2) disk_sim_crash_after(s->disk, 1 + sim_below(s, 60));
		int r = sim_operation(s);
		if (r < 0) return r;
		if (disk_sim_crashed(s->disk)) r = crash(s);
		else if (sim_below(s, 64) == 0 && !s->disk_full) r = check_live(s);
		if (r < 0) return r;
		if (disk_sim_crashed(s->disk) && crash(s) < 0) return -1;
	}
	disk_sim_crash_after(s->disk, 0);
	return 0;
}

static int run(struct sim *s)
{
	int r = sim_start(s);
	if (r < 0) return sim_fail(s, "a new node does not start: error %d", -r);
	s->inos[0] = ROOT_INO;
	model_init(&s->model);
	r = objects_sync(s->objects);
	if (r < 0) return sim_fail(s, "sync of a new node: error %d", -r);
	history_durable(s);
	s->first_step = disk_sim_steps(s->disk);
	r = run_operations(s);
	if (r < 0) return r;
	disk_sim_set_capacity(s->disk, SIM_DISK_BYTES);
	r = check_live(s);
	for (unsigned i = 0; i < SIM_HANDLES; i++) sim_close_handle(&s->handles[i]);
	sim_end_mappings(s);
	if (r == 0) r = check_space(s);
	if (r < 0) return r;
	/* A clean stop and a start: nothing is lost. */
	sim_stop(s);
	history_durable(s);
	disk_sim_power_cut(s->disk);
	random_fill(&s->random.source, s->boot_id, sizeof(s->boot_id));
	r = sim_start(s);
	if (r < 0) return sim_fail(s, "no start after a clean stop: error %d", -r);
	r = check_recovered(s, false);
	return r < 0 ? r : check_space(s);
}

int sim_run(const struct sim_options *options, uint64_t *ret_steps, char *failure, size_t failure_size)
{
	struct sim *s = calloc(1, sizeof(*s));
	if (!s) return -ENOMEM;
	s->options = options;
	s->verbose = options->verbose;
	s->clock = (struct sim_clock){ .clock = { .wall_ns = sim_now, .boot_ns = sim_now }, .now_ns = 1700000000 * NS_PER_SECOND };
	random_seeded_init(&s->random, options->seed);
	random_seeded_init(&s->disk_random, options->seed ^ 0x9e3779b97f4a7c15ull);
	random_fill(&s->random.source, s->boot_id, sizeof(s->boot_id));
	int r = disk_sim_new(&s->disk_random.source, SIM_DISK_BYTES, &s->disk);
	if (r == 0) {
		disk_sim_set_clock(s->disk, &s->clock.clock);
		r = run(s);
	}
	if (r < 0) snprintf(failure, failure_size, "operation %u: %s", s->operations, s->failure);
	uint64_t steps = s->disk ? disk_sim_steps(s->disk) : 0;
	*ret_steps = steps - s->first_step;
	if (s->verbose) printf("# seed %llu: %u operations, %u crashes, %u of them power cuts, %llu steps\n", (unsigned long long)options->seed, s->operations,
		s->crashes, s->power_cuts, (unsigned long long)steps);
	sim_end_mappings(s);
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

static int fail(const struct sim_options *o, const char *failure)
{
	printf("not ok 1 - seed %llu: %s\n# replay: sim --start %llu --operations %u --faults %u", (unsigned long long)o->seed, failure,
		(unsigned long long)o->seed, o->operations, o->faults);
	if (o->crash_at_step) printf(" --crash-at %llu%s", (unsigned long long)o->crash_at_step, o->power_cut ? " --power-cut" : "");
	printf(" --verbose\n1..1\n");
	return 1;
}

/* One crash, at each step of the disk in turn, by a kill and by a power cut. */
static int sweep(struct sim_options o)
{
	char failure[640] = "";
	uint64_t steps, total, runs = 0;
	o.faults = 0;
	if (sim_run(&o, &total, failure, sizeof(failure)) < 0) return fail(&o, failure);
	for (o.crash_at_step = 1; o.crash_at_step <= total; o.crash_at_step++) {
		for (unsigned kind = 0; kind < 2; kind++, runs++) {
			o.power_cut = kind;
			if (sim_run(&o, &steps, failure, sizeof(failure)) < 0) return fail(&o, failure);
		}
	}
	printf("ok 1 - seed %llu: a kill and a power cut at each of %llu steps of %u operations\n1..1\n", (unsigned long long)o.seed, (unsigned long long)(runs / 2),
		o.operations);
	return 0;
}

static const char usage[] = "usage: sim [--seeds N] [--start S] [--operations N] [--faults N] [--verbose]\n"
	"       sim --sweep [--start S] [--operations N]                       crashes at every step of the disk\n"
	"       sim --start S --operations N --crash-at STEP [--power-cut]     replays one of these\n";

int main(int argc, char **argv)
{
	static const struct option long_options[] = { { "seeds", 1, NULL, 'n' }, { "start", 1, NULL, 's' }, { "operations", 1, NULL, 'o' }, { "faults", 1, NULL, 'f' },
		{ "sweep", 0, NULL, 'w' }, { "crash-at", 1, NULL, 'c' }, { "power-cut", 0, NULL, 'p' }, { "verbose", 0, NULL, 'v' }, { "help", 0, NULL, 'h' }, { 0 } };
	struct sim_options o = { .seed = 1, .operations = 2000, .faults = 20 };
	uint64_t seeds = 1;
	bool sweeping = false;
	int c;
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 'n': seeds = strtoull(optarg, NULL, 10); break;
		case 's': o.seed = strtoull(optarg, NULL, 10); break;
		case 'o': o.operations = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'f': o.faults = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'w': sweeping = true; break;
		case 'c': o.crash_at_step = strtoull(optarg, NULL, 10); break;
		case 'p': o.power_cut = true; break;
		case 'v': o.verbose = true; break;
		default: fputs(usage, c == 'h' ? stdout : stderr); return c == 'h' ? 0 : 2;
		}
	}
	if (!o.verbose) log_set_fd(-1);
	if (sweeping) return sweep(o);
	uint64_t first = o.seed;
	for (; o.seed < first + seeds; o.seed++) {
		char failure[640] = "";
		uint64_t steps;
		if (sim_run(&o, &steps, failure, sizeof(failure)) < 0) return fail(&o, failure);
	}
	printf("ok 1 - %llu seeds of %u operations and %u faults, from %llu on\n1..1\n", (unsigned long long)seeds, o.operations, o.faults, (unsigned long long)first);
	return 0;
}
