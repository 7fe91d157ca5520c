/* Leases (MESI) on objects: an I/O-free table kept by a shard's leader. The caller sends the recalls it is told to and
 * proposes only when none conflicts (RULES A4, A5). With one node every request is granted at once, but epochs, expiry
 * and the table are the same code. Not thread-safe.
 *
 * Times are the leader's CLOCK_BOOTTIME in ns. A node's leases live as long as its session: LEASE_SESSION_NS from the last
 * round that a majority confirmed (the caller says when that was sent). Nothing but lease_renew prolongs a session: a leader
 * that has been deposed must not. The holder counts the same time from when it sent its renewal, which is earlier.
 *
 * An expired lease stays until somebody conflicts, or the table is full: a holder that comes back late and was not
 * outwaited goes on with its epoch; one that was is fenced, because its epoch is gone. Epochs are never given twice: terms
 * differ between leaders, counters within one. */
#ifndef DIOS_CLUSTER_LEASE_H
#define DIOS_CLUSTER_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lease_mode { LEASE_INVALID = 0, LEASE_SHARED, LEASE_EXCLUSIVE, LEASE_MODIFIED };
#define LEASE_SESSION_NS 600000000LL       /* the holder counts 0.6 s from when it sent its renewal */
#define LEASE_GRACE_NS 660000000LL         /* a new leader waits this long after a voter last heard the old one */

struct lease_table;
struct lease_epoch { uint64_t term, counter; };
struct lease_conflict { uint64_t node; enum lease_mode mode; struct lease_epoch epoch; int64_t expires_ns; };

/* Grants nothing before quiet_until_ns but what was reclaimed. leases_max: bound on leases, > 0. -ENOMEM. */
int lease_table_new(uint64_t term, int64_t now_ns, int64_t quiet_until_ns, size_t leases_max, struct lease_table **ret_table);
void lease_table_free(struct lease_table *t);                                     /* NULL is fine */

/* The node's session, with all its leases, lives for LEASE_SESSION_NS from sent_ns: when the last majority-confirmed round was sent. Never
 * shortens it. -ENOMEM for a node that is new. */
int lease_renew(struct lease_table *t, uint64_t node, int64_t sent_ns);
/* 0: granted, with its epoch; what the node had stays if it is as strong, and keeps its epoch; Exclusive becomes Modified under the same
 * epoch; Shared becomes Exclusive under a new one. -EBUSY: conflicts (*count is in: room, out: how many there are, perhaps more than
 * room) must be recalled or outwaited first; nothing has changed. -EAGAIN: before quiet_until. -ESTALE: the node has no live session.
 * -ENOSPC: the table is full, -ENOMEM. -EINVAL: mode Invalid. */
int lease_acquire(struct lease_table *t, uint64_t ino, uint64_t node, enum lease_mode mode, int64_t now_ns, struct lease_epoch *ret_epoch,
	struct lease_conflict *conflicts, size_t *count);
/* A holder reclaims after a change of leader: accepted during the quiet time if nothing contradicts, under the epoch it has. -ESTALE: the
 * quiet time is over, the node has no live session, or the epoch is not of an earlier term; -EBUSY: another holder contradicts; -ENOSPC. */
int lease_reclaim(struct lease_table *t, uint64_t ino, uint64_t node, enum lease_mode mode, struct lease_epoch epoch, int64_t now_ns);
/* -ESTALE: the node holds none under this epoch. */
int lease_release(struct lease_table *t, uint64_t ino, uint64_t node, struct lease_epoch epoch);
/* The lease is held under this epoch, at least in this mode, and the session lives: the holder may serve from its cache. */
bool lease_valid(struct lease_table *t, uint64_t ino, uint64_t node, struct lease_epoch epoch, enum lease_mode at_least, int64_t now_ns);
/* The same without the session: nobody has taken it away. What a commit under this epoch is checked against (fencing). */
bool lease_stands(struct lease_table *t, uint64_t ino, uint64_t node, struct lease_epoch epoch, enum lease_mode at_least);
enum lease_mode lease_mode_of(struct lease_table *t, uint64_t ino, uint64_t node);   /* Invalid: none; an expired one counts as long as it stands */
size_t lease_count(const struct lease_table *t);

#endif
