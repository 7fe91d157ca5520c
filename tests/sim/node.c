/* Starting, stopping and crashing the node. */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>


int sim_fail(struct sim *s, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(s->failure, sizeof(s->failure), format, ap);
	va_end(ap);
	return -1;
}

uint64_t sim_below(struct sim *s, uint64_t bound) { return random_below(&s->random.source, bound); }

int sim_start(struct sim *s)
{
	struct objects_options options = { .commit_interval_ns = NS_PER_SECOND, .inline_max = 12000, .rows_max_bytes = 32 << 10, .dirty_max_bytes = 256 << 10,
		.stage_max_bytes = 64 << 20, .cached_max = 16, .stream_limit_bytes = 1 << 20 };
	int r = store_open_sim(s->disk, &s->random.source, s->boot_id, &s->store);
	if (r < 0) return r;
	r = cluster_open(s->store, &s->clock.clock, &s->random.source, &s->cluster);
	if (r < 0) return r;
	/* In every second run messages are lost and come twice. */
	static const struct rpc_loopback_faults faults = { .drop_request = 10, .drop_reply = 20, .duplicate = 40, .refuse = 5 };
	if (s->options->seed % 2) r = cluster_set_faults(s->cluster, &faults);
	if (r < 0) return r;
	return objects_open(s->cluster, s->store, &options, &s->objects);
}

void sim_close_handle(struct sim_handle *h)
{
	if (h->file) disk_close(h->file);
	reference_close(h->reference);
	content_unref(h->orphan);
	content_unref(h->acquired);
	*h = (struct sim_handle){ 0 };
}

void sim_stop(struct sim *s)
{
	for (unsigned i = 0; i < SIM_HANDLES; i++) sim_close_handle(&s->handles[i]);
	objects_close(s->objects);
	if (s->cluster) cluster_close(s->cluster);
	if (s->store) store_close(s->store);
	s->objects = NULL;
	s->cluster = NULL;
	s->store = NULL;
}

int sim_restart_after_crash(struct sim *s, bool power_cut)
{
	for (unsigned attempt = 0; attempt < 8; attempt++) {
		if (power_cut) sim_end_mappings(s);
		else sim_keep_mappings(s);
		sim_stop(s);
		if (power_cut) disk_sim_power_cut(s->disk);
		else disk_sim_process_kill(s->disk);
		if (!power_cut && sim_survivors_write(s) < 0) return -1;
		if (power_cut) random_fill(&s->random.source, s->boot_id, sizeof(s->boot_id));
		/* Now and then it crashes again while it recovers. */
		disk_sim_crash_after(s->disk, attempt < 3 && sim_below(s, 4) == 0 ? 1 + sim_below(s, 40) : 0);
		int r = sim_start(s);
		if (r == 0 && !disk_sim_crashed(s->disk)) {
			disk_sim_crash_after(s->disk, 0);
			return 0;
		}
		if (!disk_sim_crashed(s->disk)) return sim_fail(s, "the node does not start after a %s: error %d", power_cut ? "power cut" : "kill", -r);
	}
	return sim_fail(s, "the node does not start in eight attempts");
}
