/* What the parts of the Raft core share: raft.c (life cycle, one step), raft_receive.c (incoming messages), raft_send.c
 * (outgoing ones), raft_members.c (membership). Only these files know libraft. */
#ifndef DIOS_CLUSTER_RAFT_INTERNAL_H
#define DIOS_CLUSTER_RAFT_INTERNAL_H

#include <raft.h>

#include "cluster/raft.h"

#if RAFT_VERSION_NUMBER != 2201
#error "the ownership rules that this code relies on are those of libraft 0.22.1"
#endif

struct raft_group {
	struct raft raft;
	int64_t now_ms;
	int error;                        /* not 0: stopped for good */
	uint64_t ticket;                  /* grows whenever entries that may still be on their way to the disk lose their meaning */
	int64_t leader_heard_ms;          /* when a leader's entries or heartbeat came last */
	uint64_t commit_index;            /* as of the last event */
	uint64_t barrier_index;           /* leader: the first entry of its term; 0: not the leader */

	/* Guard 4: entry `index` changes the vote of `id` and is held back: from all others if it gives one, from `id` if it takes it.
	 * held_to: what libraft believes a member was sent. */
	struct { uint64_t index, id; bool promotes; int64_t until_ms; uint64_t held_to[RAFT_GROUP_MEMBERS_MAX]; } hold;

	struct raft_group_members snapshot_members;      /* of the last snapshot, for SNAPSHOT messages */
	uint64_t snapshot_members_index;
	struct buffer change;                            /* data of the last CHANGE proposed here */

	/* Leader: sizes of the entries of its term that are not committed, by index modulo the bound. */
	uint32_t uncommitted_size[RAFT_GROUP_UNCOMMITTED_MAX];
	uint64_t uncommitted_bytes, counted_from;        /* counted_from: the first index in the sum */

	/* The actions of the event under way. */
	bool save_vote, install_snapshot;
	uint64_t cut_from;
	struct log_entry *entries; size_t entry_count, entry_capacity;
	struct raft_group_message *messages; size_t message_count, message_capacity;
	struct raft_group_message snapshot;
	unsigned step_flags;                             /* of the last step */

	struct raft_entry *scratch; size_t scratch_capacity;
};

/* raft.c */
int raft_group_begin(struct raft_group *g, int64_t now_ms);
int raft_group_finish(struct raft_group *g, int r, struct raft_group_actions *ret_actions);
int raft_group_stop(struct raft_group *g);                                /* for good; -EIO */
/* -EIO: stopped, because a failed step may leave libraft half way. Submitting and transferring may also give -EAGAIN and -EINVAL. */
int raft_group_step(struct raft_group *g, struct raft_event *event);
bool raft_group_has_room(const struct raft_group *g, size_t count, uint64_t bytes);   /* for more uncommitted entries */
int raft_group_submit(struct raft_group *g, const struct slice *data, size_t count, enum raft_group_entry type);
int raft_group_errno(int libraft_error);
uint64_t raft_group_term_at(const struct raft_group *g, uint64_t index);  /* 0: not in the log */
bool raft_group_reserve(void **array, size_t *capacity, size_t count, size_t element_size);

/* raft_send.c */
int raft_send_collect(struct raft_group *g, const struct raft_message *messages, unsigned count);
int raft_send_nudge(struct raft_group *g, uint64_t first, uint64_t last);
void raft_send_hold(struct raft_group *g);          /* starts guard 4 if a change of voters is uncommitted */
int raft_send_release(struct raft_group *g);        /* ends it when it is time */

/* raft_members.c */
int raft_members_to_libraft(const struct raft_group_members *members, struct raft_configuration *ret_configuration);
void raft_members_from_libraft(const struct raft_configuration *configuration, struct raft_group_members *ret_members);
const struct raft_group_member *raft_members_find(const struct raft_group_members *members, uint64_t id);
uint32_t raft_members_voters(const struct raft_group_members *members);

#endif
