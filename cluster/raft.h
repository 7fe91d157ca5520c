/* One member of a Raft group: the core of agreement, without I/O. Events go in, actions come out; whoever drives it owns
 * clock, log, network and state. The one narrow interface that hides libraft, so that the engine can be changed.
 *
 * Every event function but the queries fills in the actions that must be done before the next event of the same group,
 * in the order in which they are listed. What they point to belongs to the group, or to the caller of the event, until then.
 *
 * Guards against what libraft does not do by itself are behind this interface:
 *   1 a rejected pre-vote carries the voter's own term          6 stale rejections are dropped
 *   2 a CHANGE is delivered alone, after the older one          7 the next deadline is always in the future
 *   3 no CHANGE before an entry of the leader's term            8 "caught up" is read from the match index
 *   4 a promoted member hears of it first, a demoted one last   9 time and persisted indexes only grow: asserted
 *   5 anchors inside the compacted prefix are moved up         10 new entries do not wait for a heartbeat
 *   11 the commit index never falls
 * Also: a sole voter starts in a new term, so that what it lost with the power and what it writes anew never share one.
 *
 * Not thread-safe: the driver's lock guards a group. */
#ifndef DIOS_CLUSTER_RAFT_H
#define DIOS_CLUSTER_RAFT_H

#include <stdbool.h>
#include "base/buffer.h"
#include "store/log.h"

#define RAFT_GROUP_MEMBERS_MAX 16u            /* 5 voters, and room for stand-bys while members change */
#define RAFT_GROUP_INFLIGHT_MAX 4096u         /* entries sent to a member and not acknowledged; libraft's 32 costs throughput */
#define RAFT_GROUP_UNCOMMITTED_MAX 4096u      /* entries proposed and not committed: the core has no back pressure */
#define RAFT_GROUP_UNCOMMITTED_BYTES (64u << 20)
#define RAFT_GROUP_CATCH_UP_LAG 1024u         /* entries that a member may lack when it is promoted */

/* Types of log entries. */
enum raft_group_entry { RAFT_GROUP_COMMAND = 1, RAFT_GROUP_BARRIER, RAFT_GROUP_CHANGE };

enum raft_group_role { RAFT_GROUP_STANDBY = 0 /* gets the log, has no vote */, RAFT_GROUP_VOTER, RAFT_GROUP_SPARE /* gets nothing */ };
struct raft_group_member { uint64_t id; enum raft_group_role role; };
struct raft_group_members { uint32_t count; struct raft_group_member member[RAFT_GROUP_MEMBERS_MAX]; };

/* The data of a CHANGE entry. */
int raft_group_members_encode(const struct raft_group_members *members, struct buffer *out);
int raft_group_members_decode(struct slice data, struct raft_group_members *ret_members);   /* -EBADMSG */

enum raft_group_message_kind { RAFT_GROUP_APPEND = 1, RAFT_GROUP_APPEND_RESULT, RAFT_GROUP_VOTE, RAFT_GROUP_VOTE_RESULT, RAFT_GROUP_SNAPSHOT,
	RAFT_GROUP_TIMEOUT_NOW };

/* What members say to each other. */
struct raft_group_message {
	enum raft_group_message_kind kind;
	uint64_t from, to;
	uint64_t term;
	union {
		/* entries prev_index + 1 .. prev_index + count. Outgoing: entries is NULL, and the driver sends them from its log. */
		struct { uint64_t prev_index, prev_term, commit_index; size_t count; const struct log_entry *entries; } append;
		struct { uint64_t rejected /* 0: no */, last_index; } append_result;
		struct { uint64_t last_index, last_term; bool disrupt_leader, pre_vote; } vote;
		struct { bool granted, pre_vote; } vote_result;
		/* The leader's snapshot; its content is pulled by the receiver, out of band. */
		struct { uint64_t index, index_term; struct raft_group_members members; uint64_t members_index; } snapshot;
		struct { uint64_t last_index, last_term; } timeout_now;
	};
};

struct raft_group_actions {
	/* 1. Save, synced, before anything below: log_set_vote. */
	bool save_vote;
	uint64_t term, voted_for;
	/* 2. Append; what the log has from cut_from on (0: nothing) goes first, as log_append does by itself. When they are on stable storage
	 * (a sole voter may call it earlier, see raft_group_alone): raft_group_persisted with the last index and the ticket. */
	uint64_t cut_from;
	const struct log_entry *entries;
	size_t entry_count;
	uint64_t ticket;
	/* 3. Send. */
	const struct raft_group_message *messages;
	size_t message_count;
	/* 4. Pull this snapshot from install->from; state and log stay in force until one synced batch swaps in the new ones (A7). Then
	 * raft_group_installed(); if that is impossible, raft_group_close() and open again from what the disk has. */
	const struct raft_group_message *install;  /* NULL: none */
	/* 5. Apply what the log has up to here (0: nothing now), and compact when it suits. */
	uint64_t commit_index;
};

struct raft_group_start {
	uint64_t id;                              /* this member; not 0 */
	uint64_t term, voted_for;                 /* as saved; 0, 0: nothing known, then nothing below is known either */
	uint64_t applied_index, applied_term;     /* the durable state is the snapshot; 0: the log begins at index 1 with a CHANGE */
	struct raft_group_members members;        /* as of members_index <= applied_index, the last CHANGE in that state */
	uint64_t members_index;
	const struct log_entry *entries;          /* from applied_index + 1 on; data only for CHANGE entries. Borrowed during the call */
	size_t entry_count;
	uint32_t seed;                            /* of the election timeouts */
	uint32_t election_ms, heartbeat_ms;       /* 0: 1000, 100 */
};

struct raft_group;

/* A new group stores term 1 and entry 1, a CHANGE, the same on every member, and then starts with them. -EBADMSG: what was read can't be
 * of one group; -ENOMEM. */
int raft_group_open(const struct raft_group_start *start, int64_t now_ms, struct raft_group **ret_group, struct raft_group_actions *ret_actions);
void raft_group_close(struct raft_group *g);

/* Events. now_ms never goes back. All return 0, or -EIO when the group has stopped for good (open it again from disk), besides what is said. */
int raft_group_tick(struct raft_group *g, int64_t now_ms, struct raft_group_actions *ret_actions);
/* -EBADMSG: malformed, or what no correct member sends; it was dropped and did no harm. */
int raft_group_receive(struct raft_group *g, int64_t now_ms, const struct raft_group_message *message, struct raft_group_actions *ret_actions);
/* -EAGAIN, -ENOMEM: certainly not proposed: not the leader, or too much is uncommitted; no memory. The commands are borrowed until the next event. The
 * first one's index is ret_actions->entries[0].index. */
int raft_group_propose(struct raft_group *g, int64_t now_ms, const struct slice *commands, size_t count, struct raft_group_actions *ret_actions);
/* Proposes a change of one member. -EAGAIN: not the leader, no entry of this term is committed yet, another change is under way, or the
 * member to be promoted has not caught up. -EBUSY: the leader itself would lose its vote; hand over first. -EINVAL: more than one member differs, a voter that was no stand-by, or no voter is left. */
int raft_group_change(struct raft_group *g, int64_t now_ms, const struct raft_group_members *members, struct raft_group_actions *ret_actions);
/* The entries up to index, appended under this ticket, are persisted. In order; a ticket that a cut or a snapshot has overtaken is ignored. */
int raft_group_persisted(struct raft_group *g, int64_t now_ms, uint64_t index, uint64_t ticket, struct raft_group_actions *ret_actions);
/* The state up to index is durable with these members in it, and the log keeps only `trailing` entries before its end at index.
 * At most the last index that is persisted. */
int raft_group_compacted(struct raft_group *g, int64_t now_ms, uint64_t index, const struct raft_group_members *members, uint64_t members_index,
	uint32_t trailing, struct raft_group_actions *ret_actions);
int raft_group_installed(struct raft_group *g, int64_t now_ms, struct raft_group_actions *ret_actions);
/* Hands leadership over. -EAGAIN: not the leader; -EINVAL: no voter. */
int raft_group_transfer(struct raft_group *g, int64_t now_ms, uint64_t to, struct raft_group_actions *ret_actions);

/* Queries. */
int64_t raft_group_deadline_ms(const struct raft_group *g);   /* when to tick next; after the last event's time */
/* Nobody else has this group's entries or will be sent any: unsynced entries may be acknowledged (A1). Before an event that ends this is
 * acted upon, the driver syncs its whole log. */
bool raft_group_alone(const struct raft_group *g);
struct raft_group_info { uint64_t term, leader /* 0: unknown */, commit_index, last_index; bool is_leader, is_voter;
	struct raft_group_members members; uint64_t members_index; bool members_committed; };
void raft_group_get_info(const struct raft_group *g, struct raft_group_info *ret_info);
int raft_group_match_index(const struct raft_group *g, uint64_t id, uint64_t *ret_index);   /* -EAGAIN: not the leader; -ENOENT: no member */

#endif
