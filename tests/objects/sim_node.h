/* A node of the daemon's own store, cluster and objects on a simulated disk, with a clock that stands still. */
#ifndef DIOS_TESTS_OBJECTS_SIM_NODE_H
#define DIOS_TESTS_OBJECTS_SIM_NODE_H

#include <stdlib.h>
#include <sys/stat.h>

#include "objects/objects.h"
#include "store/disk_sim.h"
#include "tests/tap.h"

struct sim_node {
	struct clock clock;
	int64_t now_ns;
	struct random_seeded random;
	struct disk *disk;
	uint8_t boot;
	struct store *store;
	struct cluster *cluster;
	struct objects *objects;
};

static inline void must(int r, const char *what)
{
	if (r >= 0)
		return;
	printf("Bail out! %s: %s\n", what, strerror(-r));
	exit(1);
}

static inline int64_t node_now(struct clock *c) { return ((struct sim_node *)c)->now_ns; }

static inline void node_start(struct sim_node *n)
{
	const uint8_t boot_id[16] = { 1, n->boot };
	struct objects_options options = { .commit_interval_ns = NS_PER_SECOND, .inline_max = 12000, .dirty_max_bytes = 1 << 20,
		.stage_max_bytes = 64 << 20, .cached_max = 16, .stream_limit_bytes = 1 << 20 };

	must(store_open_sim(n->disk, &n->random.source, boot_id, &n->store), "store");
	must(cluster_open(n->store, &n->clock, &n->random.source, &n->cluster), "cluster");
	must(objects_open(n->cluster, n->store, &options, &n->objects), "objects");
}

static inline void node_stop(struct sim_node *n)
{
	objects_close(n->objects);
	cluster_close(n->cluster);
	store_close(n->store);
}

static inline void node_open(struct sim_node *n)
{
	*n = (struct sim_node){ .clock = { .wall_ns = node_now, .boot_ns = node_now }, .now_ns = 1700000000 * NS_PER_SECOND };
	random_seeded_init(&n->random, 1);
	must(disk_sim_new(&n->random.source, 128 << 20, &n->disk), "disk");
	node_start(n);
}

static inline void node_close(struct sim_node *n)
{
	node_stop(n);
	disk_free(n->disk);
}

static inline void node_restart(struct sim_node *n)
{
	node_stop(n);
	node_start(n);
}

/* The daemon, or the machine, is gone from one step to the next. All references are closed before. */
static inline void node_die(struct sim_node *n, bool power_cut)
{
	if (!disk_sim_crashed(n->disk)) {
		disk_sim_crash_after(n->disk, 1);
		(void)disk_sync_dir(n->disk, ".");
	}
	node_stop(n);
	if (power_cut)
		disk_sim_power_cut(n->disk);
	else
		disk_sim_process_kill(n->disk);
	n->boot += power_cut;
	node_start(n);
}

static inline void node_kill(struct sim_node *n) { node_die(n, false); }
static inline void node_power_cut(struct sim_node *n) { node_die(n, true); }

/* Background work, for longer than anything waits for. */
static inline void node_settle(struct sim_node *n)
{
	for (int i = 0; i < 6; i++) {
		n->now_ns += NS_PER_SECOND;
		objects_run_due(n->objects);
	}
}

static inline uint64_t node_make(struct sim_node *n, const char *entry, enum object_kind kind, uint32_t mode, uint32_t uid)
{
	struct command_create create = { .parent = ROOT_INO, .entry = { (const uint8_t *)entry, strlen(entry) }, .kind = kind,
		.mode = S_IFREG | mode, .uid = uid, .gid = uid };
	struct attributes a;

	must(object_create(n->objects, &create, 0, NULL, &a), entry);
	return a.record.ino;
}

static inline struct reference *node_reference(struct sim_node *n, uint64_t ino, uint32_t rights)
{
	struct reference_options options = { .rights = rights };
	struct reference *r;

	must(reference_open(n->objects, ino, &options, &r), "opening");
	return r;
}

static inline void node_write(struct reference *r, uint64_t offset, size_t size, uint8_t fill)
{
	uint8_t *bytes = malloc(size);

	if (!bytes)
		abort();
	memset(bytes, fill, size);
	must(reference_write(r, offset, bytes, size, false) == (ssize_t)size ? 0 : -EIO, "write");
	free(bytes);
}

static inline bool node_reads(struct reference *r, uint64_t offset, size_t size, uint8_t fill)
{
	uint8_t *bytes = malloc(size);
	bool same = bytes && reference_read(r, offset, bytes, size) == (ssize_t)size;

	for (size_t i = 0; same && i < size; i++)
		same = bytes[i] == fill;
	free(bytes);
	return same;
}

static inline uint64_t node_size(struct sim_node *n, uint64_t ino)
{
	struct attributes a;

	must(object_get(n->objects, ino, &a), "attributes");
	return a.record.size;
}

#endif
