/* Which leases this node has on its objects. On one node the table of the leader is here, and every request is granted at once: an open object
 * is Exclusive, one with uncommitted bytes Modified, and the lease goes with the last reference. Epochs and sessions are those of several
 * nodes, so that the cluster only has to put the table elsewhere.
 *
 * An object's `lease` and `lease_epoch` are guarded by its lock; the table by lease_lock. */
#include "objects/object.h"

#include "base/log.h"

#define LEASES_MAX (1u << 20)     /* one for each open file that the mount can have */
#define CONFLICTS_MAX 4u

int lease_book_init(struct objects *os)
{
	struct cluster_info info;
	cluster_get_info(os->cluster, &info);
	lock_init(&os->lease_lock, "leases", LOCK_LEAF);
	int64_t now = clock_boot_ns(os->clock);
	/* A sole voter has outwaited everybody: there was nobody else to be granted anything. */
	return lease_table_new(info.shard.term, now, now, LEASES_MAX, &os->leases);
}

void lease_book_done(struct objects *os)
{
	lease_table_free(os->leases);
	lock_done(&os->lease_lock);
}

static void give_up(struct object *o)
{
	if (o->lease == LEASE_INVALID) return;
	lease_release(o->os->leases, o->ino, cluster_node_id(o->os->cluster), o->lease_epoch);
	o->lease = LEASE_INVALID;
}

static int want_locked(struct object *o, enum lease_mode mode)
{
	struct objects *os = o->os;
	uint64_t node = cluster_node_id(os->cluster);
	if (mode < o->lease) give_up(o);
	if (mode == LEASE_INVALID) return 0;
	int64_t now = clock_boot_ns(os->clock);
	struct lease_conflict conflicts[CONFLICTS_MAX];
	size_t count = CONFLICTS_MAX;
	int r = lease_renew(os->leases, node, now);
	if (r == 0) r = lease_acquire(os->leases, o->ino, node, mode, now, &o->lease_epoch, conflicts, &count);
	if (r == 0) o->lease = mode;
	return r;
}

void lease_want(struct object *o, enum lease_mode mode)
{
	if (o->lease == mode) return;
	lock_acquire(&o->os->lease_lock);
	int r = want_locked(o, mode);
	lock_release(&o->os->lease_lock);
	if (r < 0) log_warning("objects", "no lease ino=%llu error=%d: other nodes could not be kept from the object", (unsigned long long)o->ino, -r);
}
