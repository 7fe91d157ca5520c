/* Leases (MESI) on objects: an I/O-free table kept by a shard's leader. The caller sends the recalls it is told to and
 * proposes only when none conflicts (RULES A4, A5). With one node every request is granted at once, but epochs, expiry
 * and the table are the same code. Not thread-safe. */
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

int lease_table_new(uint64_t term, int64_t now_ns, int64_t quiet_until_ns, size_t leases_max, struct lease_table **ret_table);
void lease_table_free(struct lease_table *t);
/* 0: granted, with its epoch. -EBUSY: conflicts (up to *count of them, updated) must be recalled or outwaited first. -EAGAIN: before
 * quiet_until. -ENOSPC: the table is full. */
int lease_acquire(struct lease_table *t, uint64_t ino, uint64_t node, enum lease_mode mode, int64_t now_ns, struct lease_epoch *ret_epoch,
	struct lease_conflict *conflicts, size_t *count);
/* A holder reclaims after a change of leader: accepted during the quiet time if nothing contradicts. */
int lease_reclaim(struct lease_table *t, uint64_t ino, uint64_t node, enum lease_mode mode, struct lease_epoch epoch, int64_t now_ns);
int lease_release(struct lease_table *t, uint64_t ino, uint64_t node, struct lease_epoch epoch);
void lease_renew(struct lease_table *t, uint64_t node, int64_t sent_ns);          /* the node's session, all its leases */
bool lease_valid(struct lease_table *t, uint64_t ino, uint64_t node, struct lease_epoch epoch, enum lease_mode at_least, int64_t now_ns);
enum lease_mode lease_mode_of(struct lease_table *t, uint64_t ino, uint64_t node);
size_t lease_count(const struct lease_table *t);

#endif
