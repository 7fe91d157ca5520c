/* The lease table: a hash from inode to its holders, and a list of the nodes' sessions.
 *
 * Invariant: an Exclusive or Modified lease is alone on its inode, at every moment and whatever has expired. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "cluster/lease.h"

struct lease {
	uint64_t ino, node;
	enum lease_mode mode;
	struct lease_epoch epoch;
	struct lease *next;              /* in the bucket */
};

struct session { uint64_t node; int64_t expires_ns; };

struct lease_table {
	uint64_t term, counter;
	int64_t quiet_until_ns;
	size_t count, max;
	struct lease **buckets;
	size_t bucket_count;             /* a power of two */
	struct session *sessions;        /* as many as there are nodes: few */
	size_t session_count, session_capacity;
};

int lease_table_new(uint64_t term, int64_t now_ns, int64_t quiet_until_ns, size_t leases_max, struct lease_table **ret_table)
{
	struct lease_table *t = calloc(1, sizeof(*t));

	assert(leases_max > 0 && quiet_until_ns - now_ns <= LEASE_GRACE_NS);
	(void)now_ns;
	if (!t)
		return -ENOMEM;
	t->term = term;
	t->quiet_until_ns = quiet_until_ns;
	t->max = leases_max;
	for (t->bucket_count = 16; t->bucket_count < leases_max; t->bucket_count *= 2)
		;
	t->buckets = calloc(t->bucket_count, sizeof(*t->buckets));
	if (!t->buckets) {
		free(t);
		return -ENOMEM;
	}
	*ret_table = t;
	return 0;
}

void lease_table_free(struct lease_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->bucket_count; i++) {
		for (struct lease *l = t->buckets[i], *next; l; l = next) {
			next = l->next;
			free(l);
		}
	}
	free(t->buckets);
	free(t->sessions);
	free(t);
}

static struct lease **bucket_of(struct lease_table *t, uint64_t ino)
{
	/* Inode numbers of a slot follow each other: the high bits of the product mix them. */
	return &t->buckets[(ino * 0x9e3779b97f4a7c15ULL >> 32) & (t->bucket_count - 1)];
}

/* The pointer that leads to the lease, or to NULL. */
static struct lease **find(struct lease_table *t, uint64_t ino, uint64_t node)
{
	struct lease **at = bucket_of(t, ino);

	while (*at && ((*at)->ino != ino || (*at)->node != node))
		at = &(*at)->next;
	return at;
}

static void drop(struct lease_table *t, struct lease **at)
{
	struct lease *l = *at;

	*at = l->next;
	free(l);
	t->count--;
}

static struct session *session_of(const struct lease_table *t, uint64_t node)
{
	for (size_t i = 0; i < t->session_count; i++)
		if (t->sessions[i].node == node)
			return &t->sessions[i];
	return NULL;
}

static int64_t expires_ns(const struct lease_table *t, uint64_t node)
{
	const struct session *s = session_of(t, node);

	return s ? s->expires_ns : INT64_MIN;
}

static bool conflict(enum lease_mode a, enum lease_mode b)
{
	return a >= LEASE_EXCLUSIVE || b >= LEASE_EXCLUSIVE;
}

static bool same_epoch(struct lease_epoch a, struct lease_epoch b)
{
	return a.term == b.term && a.counter == b.counter;
}

int lease_renew(struct lease_table *t, uint64_t node, int64_t sent_ns)
{
	struct session *s = session_of(t, node);

	if (!s) {
		if (t->session_count == t->session_capacity) {
			size_t capacity = t->session_capacity * 2 + 4;
			struct session *larger = realloc(t->sessions, capacity * sizeof(*larger));
			if (!larger)
				return -ENOMEM;
			t->sessions = larger;
			t->session_capacity = capacity;
		}
		s = &t->sessions[t->session_count++];
		*s = (struct session){ .node = node, .expires_ns = INT64_MIN };
	}
	if (s->expires_ns < sent_ns + LEASE_SESSION_NS)
		s->expires_ns = sent_ns + LEASE_SESSION_NS;
	return 0;
}

/* Counts the others that stand in the way and whose sessions live. */
static size_t live_conflicts(struct lease_table *t, uint64_t ino, uint64_t node, enum lease_mode mode, int64_t now_ns,
	struct lease_conflict *conflicts, size_t room)
{
	size_t found = 0;

	for (struct lease *l = *bucket_of(t, ino); l; l = l->next) {
		if (l->ino != ino || l->node == node || !conflict(l->mode, mode) || expires_ns(t, l->node) <= now_ns)
			continue;
		if (found < room)
			conflicts[found] = (struct lease_conflict){ .node = l->node, .mode = l->mode, .epoch = l->epoch, .expires_ns = expires_ns(t, l->node) };
		found++;
	}
	return found;
}

/* Takes away what stands in the way and has expired: those holders are fenced from now on. */
static void outwait(struct lease_table *t, uint64_t ino, uint64_t node, enum lease_mode mode)
{
	for (struct lease **at = bucket_of(t, ino); *at; ) {
		if ((*at)->ino == ino && (*at)->node != node && conflict((*at)->mode, mode))
			drop(t, at);
		else
			at = &(*at)->next;
	}
}

static void drop_expired(struct lease_table *t, int64_t now_ns)
{
	for (size_t i = 0; i < t->bucket_count; i++) {
		for (struct lease **at = &t->buckets[i]; *at; ) {
			if (expires_ns(t, (*at)->node) <= now_ns)
				drop(t, at);
			else
				at = &(*at)->next;
		}
	}
}

static int add(struct lease_table *t, uint64_t ino, uint64_t node, enum lease_mode mode, struct lease_epoch epoch, int64_t now_ns)
{
	if (t->count >= t->max)
		drop_expired(t, now_ns);
	if (t->count >= t->max)
		return -ENOSPC;
	struct lease *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	struct lease **bucket = bucket_of(t, ino);
	*l = (struct lease){ .ino = ino, .node = node, .mode = mode, .epoch = epoch, .next = *bucket };
	*bucket = l;
	t->count++;
	return 0;
}

static struct lease_epoch next_epoch(struct lease_table *t)
{
	return (struct lease_epoch){ .term = t->term, .counter = ++t->counter };
}

int lease_acquire(struct lease_table *t, uint64_t ino, uint64_t node, enum lease_mode mode, int64_t now_ns, struct lease_epoch *ret_epoch,
	struct lease_conflict *conflicts, size_t *count)
{
	struct lease *held = *find(t, ino, node);

	if (mode == LEASE_INVALID || mode > LEASE_MODIFIED)
		return -EINVAL;
	if (expires_ns(t, node) <= now_ns)
		return -ESTALE;
	if (held && held->mode >= mode) {
		*ret_epoch = held->epoch;
		return 0;
	}
	if (now_ns < t->quiet_until_ns)
		return -EAGAIN;
	size_t found = live_conflicts(t, ino, node, mode, now_ns, conflicts, *count);
	if (found > 0) {
		*count = found;
		return -EBUSY;
	}
	outwait(t, ino, node, mode);
	held = *find(t, ino, node);
	if (!held) {
		struct lease_epoch epoch = next_epoch(t);
		int r = add(t, ino, node, mode, epoch, now_ns);
		if (r == 0)
			*ret_epoch = epoch;
		return r;
	}
	if (held->mode < LEASE_EXCLUSIVE)
		held->epoch = next_epoch(t);
	held->mode = mode;
	*ret_epoch = held->epoch;
	return 0;
}

int lease_reclaim(struct lease_table *t, uint64_t ino, uint64_t node, enum lease_mode mode, struct lease_epoch epoch, int64_t now_ns)
{
	struct lease *held = *find(t, ino, node);

	if (mode == LEASE_INVALID || mode > LEASE_MODIFIED)
		return -EINVAL;
	if (now_ns >= t->quiet_until_ns || epoch.term >= t->term || expires_ns(t, node) <= now_ns)
		return -ESTALE;
	for (struct lease *l = *bucket_of(t, ino); l; l = l->next)
		if (l->ino == ino && l->node != node && conflict(l->mode, mode))
			return -EBUSY;
	if (!held)
		return add(t, ino, node, mode, epoch, now_ns);
	if (!same_epoch(held->epoch, epoch))
		return -ESTALE;
	if (held->mode < mode)
		held->mode = mode;
	return 0;
}

int lease_release(struct lease_table *t, uint64_t ino, uint64_t node, struct lease_epoch epoch)
{
	struct lease **at = find(t, ino, node);

	if (!*at || !same_epoch((*at)->epoch, epoch))
		return -ESTALE;
	drop(t, at);
	return 0;
}

bool lease_stands(struct lease_table *t, uint64_t ino, uint64_t node, struct lease_epoch epoch, enum lease_mode at_least)
{
	const struct lease *l = *find(t, ino, node);

	return l && l->mode >= at_least && same_epoch(l->epoch, epoch);
}

bool lease_valid(struct lease_table *t, uint64_t ino, uint64_t node, struct lease_epoch epoch, enum lease_mode at_least, int64_t now_ns)
{
	return now_ns < expires_ns(t, node) && lease_stands(t, ino, node, epoch, at_least);
}

enum lease_mode lease_mode_of(struct lease_table *t, uint64_t ino, uint64_t node)
{
	const struct lease *l = *find(t, ino, node);

	return l ? l->mode : LEASE_INVALID;
}

size_t lease_count(const struct lease_table *t)
{
	return t->count;
}
