/* Members of one Raft group in one process: real libraft with its assertions on, and around it the simplest driver there
 * can be: logs and votes in memory, a queue of messages that the test delivers, loses, cuts and reorders, and a clock
 * that it moves. A member's "disk" survives harness_crash.
 *
 * Checked all the time: no two members apply different entries at one index, indexes are applied in order without a gap,
 * and a deadline is never in the past. A breach aborts with a line that says where. */
#ifndef DIOS_TESTS_CLUSTER_RAFT_HARNESS_H
#define DIOS_TESTS_CLUSTER_RAFT_HARNESS_H

#include "base/random.h"
#include "cluster/raft.h"

#define HARNESS_NODES 5          /* ids 1 to 5 */
#define HARNESS_LOG_MAX 20000    /* entries applied in one run */

struct harness_entry { uint64_t term; uint16_t type; uint8_t *data; size_t size; };

struct harness_node {
	uint64_t id;
	struct raft_group *group;      /* NULL: down */
	/* Its disk. The state is a snapshot as of `base`: members, and the hash of all that was applied. */
	uint64_t term, voted_for;
	uint64_t base, base_term;
	struct raft_group_members members;
	uint64_t members_index;
	struct harness_entry *entries; /* base + 1 .. base + count */
	size_t count, capacity;
	uint64_t applied;              /* in memory; begins at base */
	struct raft_group_members applied_members;
	uint64_t applied_members_index;
	bool hold_persisted;           /* entries stay unsynced until harness_persist */
	uint64_t unsynced_from;        /* lost at a crash; 0: none */
	uint64_t held_index, held_ticket;
	uint64_t elections;            /* how often it became leader */
};

struct harness_message { struct raft_group_message message; struct harness_entry *entries; };

struct harness {
	int64_t now_ms;
	struct harness_node node[HARNESS_NODES + 1];
	bool cut[HARNESS_NODES + 1][HARNESS_NODES + 1];   /* [from][to] */
	struct harness_message *queue;
	size_t queued, queue_capacity;
	struct random_seeded random;
	uint32_t lose, duplicate, reorder;                /* per mille */
	struct { uint64_t term; uint64_t hash; } agreed[HARNESS_LOG_MAX];
	uint64_t agreed_count;
};

struct harness *harness_new(uint64_t seed);
void harness_free(struct harness *h);
/* Gives a member its first log: a CHANGE with these members, and makes it start. */
void harness_bootstrap(struct harness *h, uint64_t id, const struct raft_group_members *members);
void harness_start(struct harness *h, uint64_t id);         /* from its disk; an empty one joins */
void harness_crash(struct harness *h, uint64_t id);         /* loses what is unsynced */
/* Replaces a member's log, before it starts: count commands with these terms after the first CHANGE. */
void harness_set_log(struct harness *h, uint64_t id, uint64_t term, const uint64_t *terms, size_t count);
void harness_act(struct harness *h, uint64_t id, const struct raft_group_actions *actions);
void harness_persist(struct harness *h, uint64_t id);       /* the entries held back are synced now */
bool harness_deliver_one(struct harness *h);
void harness_deliver(struct harness *h);                    /* until the queue is empty */
void harness_drop_queue(struct harness *h);
void harness_run(struct harness *h, int64_t ms);            /* time, ticks and messages */
void harness_isolate(struct harness *h, uint64_t id, bool cut);
void harness_compact(struct harness *h, uint64_t id);       /* the applied state becomes its snapshot, unless some of it is unsynced */
uint64_t harness_leader(const struct harness *h);           /* of the highest term; 0: none */
int harness_propose(struct harness *h, uint64_t id, const char *command);
int harness_change(struct harness *h, uint64_t id, const struct raft_group_members *members);
uint64_t harness_last_index(const struct harness *h, uint64_t id);   /* of its log */
struct raft_group_members harness_members(const char *roles);        /* "vvvs-": ids 1 to 5; v voter, s stand-by, p spare, - none */

/* What many tests begin with, and how they play a member themselves. */
struct harness *harness_three_voters(uint64_t seed);                              /* up for five seconds: there is a leader */
struct harness *harness_three_and_standby(uint64_t seed, uint64_t *ret_leader);   /* and member 4, which has the log */
int harness_give(struct harness *h, uint64_t id, struct raft_group_message m, struct raft_group_actions *ret_actions);   /* one message, to member id */
const struct raft_group_message *harness_find(const struct raft_group_actions *a, enum raft_group_message_kind kind, uint64_t to);   /* NULL: none */
struct raft_group_info harness_info(struct harness *h, uint64_t id);
struct log_entry harness_log_entry(uint64_t index, uint64_t term, enum raft_group_entry type, const struct buffer *data);   /* borrows data */
void harness_encode(struct buffer *b, const char *roles);                         /* initialises b; a CHANGE's data */

#endif
