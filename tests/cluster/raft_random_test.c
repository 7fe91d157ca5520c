/* Random runs of a group of up to five members: losses, duplicates, reordering, one-way cuts, crashes with unsynced entries, compaction and
 * snapshots, changes of members, hand-overs. The harness aborts if two members apply different entries at one index; at the end, with
 * everything mended, the group must work, and every voter must have applied all that was ever applied anywhere.
 *
 *   raft_random_test [--seeds N] [--start S]     prints and ends at the first bad seed */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/cluster/raft_harness.h"
#include "tests/tap.h"

#define SEEDS 150
#define TURNS 400          /* of 50 ms each */

static uint64_t seed_now;

/* The harness and libraft abort: the seed is what is needed to see it again. */
static void say_seed(int number)
{
	(void)number;
	dprintf(2, "raft_random_test: seed %" PRIu64 "\n", seed_now);
}

static uint64_t below(struct harness *h, uint64_t bound) { return random_below(&h->random.source, bound); }

static void change_members(struct harness *h, uint64_t leader)
{
	struct raft_group_info info;
	uint64_t id = 1 + below(h, HARNESS_NODES);
	uint32_t i = 0;

	raft_group_get_info(h->node[leader].group, &info);
	while (i < info.members.count && info.members.member[i].id != id)
		i++;
	if (i == info.members.count) {
		info.members.member[info.members.count++] = (struct raft_group_member){ .id = id, .role = RAFT_GROUP_STANDBY };
	} else if (below(h, 5) == 0) {
		info.members.member[i] = info.members.member[--info.members.count];
	} else {
		static const enum raft_group_role roles[] = { RAFT_GROUP_VOTER, RAFT_GROUP_VOTER, RAFT_GROUP_VOTER, RAFT_GROUP_STANDBY, RAFT_GROUP_SPARE };
		info.members.member[i].role = roles[below(h, 5)];
	}
	harness_change(h, leader, &info.members);
}

static void hand_over(struct harness *h, uint64_t leader)
{
	struct raft_group_actions a;

	if (raft_group_transfer(h->node[leader].group, h->now_ms, 1 + below(h, HARNESS_NODES), &a) == 0)
		harness_act(h, leader, &a);
}

static void turn(struct harness *h, int *proposed)
{
	uint64_t leader = harness_leader(h), id = 1 + below(h, HARNESS_NODES);
	struct harness_node *n = &h->node[id];
	char command[32];

	if (leader && below(h, 3) > 0) {
		for (uint64_t i = below(h, 8); i > 0; i--) {
			snprintf(command, sizeof(command), "command %d", *proposed);
			*proposed += harness_propose(h, leader, command) == 0;
		}
	}
	switch (below(h, 30)) {
	case 0: if (n->group) harness_crash(h, id); break;
	case 1: case 2: case 3: if (!n->group) harness_start(h, id); break;
	case 4: h->cut[id][1 + below(h, HARNESS_NODES)] = true; break;
	case 5: harness_isolate(h, id, true); break;
	case 6: case 7: case 8: memset(h->cut, 0, sizeof(h->cut)); break;
	case 9: case 10: if (n->group) harness_compact(h, id); break;
	case 11: case 12: n->hold_persisted = true; break;
	case 13: case 14: case 15: n->hold_persisted = false; harness_persist(h, id); break;
	case 16: case 17: if (leader) change_members(h, leader); break;
	case 18: if (leader) hand_over(h, leader); break;
	case 19: h->lose = (uint32_t)below(h, 100); h->duplicate = (uint32_t)below(h, 50); h->reorder = (uint32_t)below(h, 300); break;
	case 20: h->lose = h->duplicate = h->reorder = 0; break;
	default: break;
	}
	harness_run(h, 10 * (int64_t)(1 + below(h, 9)));
}

static void mend(struct harness *h)
{
	memset(h->cut, 0, sizeof(h->cut));
	h->lose = h->duplicate = h->reorder = 0;
	for (uint64_t id = 1; id <= HARNESS_NODES; id++) {
		h->node[id].hold_persisted = false;
		if (!h->node[id].group)
			harness_start(h, id);
		harness_persist(h, id);
	}
	harness_run(h, 40000);
}

/* What is wrong at the end; NULL: nothing. */
static const char *verdict(struct harness *h)
{
	struct raft_group_info info;
	uint64_t leader = harness_leader(h);

	if (!leader)
		return "nobody leads";
	uint64_t before = h->agreed_count;
	if (harness_propose(h, leader, "the last one") != 0)
		return "the leader takes no command";
	harness_run(h, 2000);
	if (h->agreed_count <= before)
		return "nothing is committed";
	raft_group_get_info(h->node[leader].group, &info);
	for (uint32_t i = 0; i < info.members.count; i++)
		if (info.members.member[i].role == RAFT_GROUP_VOTER && h->node[info.members.member[i].id].applied != h->agreed_count)
			return "a voter has not applied everything";
	return NULL;
}

int main(int argc, char **argv)
{
	uint64_t seeds = SEEDS, start = 1, applied = 0, proposed_all = 0, elections = 0;
	const char *wrong = NULL;

	signal(SIGABRT, say_seed);
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seeds") == 0)
			seeds = strtoull(argv[i + 1], NULL, 10);
		if (strcmp(argv[i], "--start") == 0)
			start = strtoull(argv[i + 1], NULL, 10);
	}
	for (uint64_t seed = start; seed < start + seeds && !wrong; seed++) {
		struct harness *h = harness_new(seed);
		struct raft_group_members members = harness_members("vvv");
		int proposed = 0;

		seed_now = seed;
		for (uint64_t id = 1; id <= HARNESS_NODES; id++)
			id <= 3 ? harness_bootstrap(h, id, &members) : harness_start(h, id);
		harness_run(h, 3000);
		for (int i = 0; i < TURNS; i++)
			turn(h, &proposed);
		mend(h);
		wrong = verdict(h);
		if (wrong)
			printf("# seed %" PRIu64 ": %s\n", seed, wrong);
		applied += h->agreed_count;
		proposed_all += (uint64_t)proposed;
		for (uint64_t id = 1; id <= HARNESS_NODES; id++)
			elections += h->node[id].elections;
		harness_free(h);
	}
	ok(!wrong, "%" PRIu64 " runs from seed %" PRIu64 ": %" PRIu64 " commands proposed, %" PRIu64 " entries applied, %" PRIu64 " elections won", seeds, start,
		proposed_all, applied, elections);
	ok(elections > seeds, "leaders change often enough to mean something");
	return done_testing();
}
