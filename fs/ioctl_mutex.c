/* Objects whose consistency is `mutex`: acquire waits for whoever has the object, instead of finding a conflict at the commit.
 *
 * A table by inode of those that somebody has now: so many readers, or one writer. Each descriptor that has some has an attachment with its
 * part of these numbers, and gives it back when it is closed. One lock guards table and parts. Who waits is not written down: every
 * release wakes all, and the first to ask again gets it. */
#include <assert.h>
#include "base/hash.h"

#include "fs/ioctl_calls.h"
#include "fs/session.h"

struct mutex { uint64_t ino; uint32_t readers; bool writer; UT_hash_handle hh; };
struct ioctl_mutexes { struct lock lock; struct mutex *table; };

/* What one descriptor has; written into its entry of the open table as well. */
struct part { struct ioctl_mount *mount; struct handle_entry *entry; uint64_t ino; uint32_t readers; bool writer; };

static void part_note(const struct part *p)
{
	p->entry->mutex_readers = p->readers;
	p->entry->mutex_writer = p->writer;
}

int ioctl_mutexes_new(struct ioctl_mutexes **ret_mutexes)
{
	struct ioctl_mutexes *ms = calloc(1, sizeof(*ms));

	if (!ms)
		return -ENOMEM;
	lock_init(&ms->lock, "fs.mutexes", LOCK_HANDLE);
	*ret_mutexes = ms;
	return 0;
}

void ioctl_mutexes_free(struct ioctl_mutexes *ms)
{
	if (!ms)
		return;
	assert(!ms->table);   /* every descriptor has been closed */
	lock_done(&ms->lock);
	free(ms);
}

/* The lock is held. */
static struct mutex *find(struct ioctl_mutexes *ms, uint64_t ino)
{
	struct mutex *m;
	HASH_FIND(hh, ms->table, &ino, sizeof(ino), m);
	return m;
}

static struct mutex *find_or_make(struct ioctl_mutexes *ms, uint64_t ino)
{
	struct mutex *m = find(ms, ino);

	if (m)
		return m;
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->ino = ino;
	HASH_ADD(hh, ms->table, ino, sizeof(m->ino), m);
	if (!hash_added(hh, m)) {
		free(m);
		return NULL;
	}
	return m;
}

/* The lock is held. */
static void give_back(struct ioctl_mutexes *ms, uint64_t ino, uint32_t readers, bool writer)
{
	struct mutex *m = find(ms, ino);

	assert(m && m->readers >= readers && (!writer || m->writer));
	m->readers -= readers;
	if (writer)
		m->writer = false;
	if (m->readers > 0 || m->writer)
		return;
	HASH_DEL(ms->table, m);
	free(m);
}

static void part_release(void *arg)
{
	struct part *p = arg;
	struct ioctl_mount *mount = p->mount;

	lock_acquire(&mount->mutexes->lock);
	bool had = p->readers > 0 || p->writer;
	if (had)
		give_back(mount->mutexes, p->ino, p->readers, p->writer);
	lock_release(&mount->mutexes->lock);
	if (had)
		object_wake(mount->objects, p->ino);
	free(p);
}

static struct part *part_of(struct ioctl_mount *mount, struct handle *h)
{
	struct part *p = ioctl_find_attachment(h, part_release);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	*p = (struct part){ .mount = mount, .entry = h->entry, .ino = h->entry->ino };
	struct part *attached = ioctl_attach_once(h, part_release, p);
	if (attached != p)
		free(p);
	return attached;
}

int ioctl_mutex_acquire(const struct ioctl_context *c, bool exclusive)
{
	struct ioctl_mutexes *ms = c->mount->mutexes;
	struct part *p = part_of(c->mount, c->handle);

	if (!p)
		return -ENOMEM;
	LOCK_GUARD(&ms->lock);
	struct mutex *m = find_or_make(ms, p->ino);
	if (!m)
		return -ENOMEM;
	/* Taken for this same request by an earlier daemon (D2): so many readers the descriptor had been before. */
	uint64_t before, none;
	bool again = redo_take_place(&before, &none);
	if (!again && (m->writer || (exclusive && m->readers > 0)))
		return -EAGAIN;
	if (!again)
		redo_put_place(before = p->readers, 0);
	if (exclusive) {
		m->writer = p->writer = true;
	} else if (p->readers <= before) {
		m->readers++;
		p->readers++;
	}
	part_note(p);
	return 0;
}

int ioctl_mutex_restore(struct handle *h)
{
	const struct handle_entry *e = h->entry;
	struct ioctl_mount *mount = h->fs->ioctls;
	struct part *p = e->mutex_readers > 0 || e->mutex_writer ? part_of(mount, h) : NULL;

	if (!p)
		return e->mutex_readers > 0 || e->mutex_writer ? -ENOMEM : 0;
	LOCK_GUARD(&mount->mutexes->lock);
	struct mutex *m = find_or_make(mount->mutexes, p->ino);
	if (!m)
		return -ENOMEM;
	p->readers = e->mutex_readers;
	p->writer = e->mutex_writer;
	m->readers += p->readers;
	m->writer |= p->writer;
	return 0;
}

void ioctl_mutex_release(const struct ioctl_context *c, bool exclusive)
{
	struct ioctl_mutexes *ms = c->mount->mutexes;
	struct part *p = ioctl_find_attachment(c->handle, part_release);

	if (!p)
		return;
	lock_acquire(&ms->lock);
	bool had = exclusive ? p->writer : p->readers > 0;
	if (had)
		give_back(ms, p->ino, exclusive ? 0 : 1, exclusive);
	if (had && exclusive)
		p->writer = false;
	else if (had)
		p->readers--;
	part_note(p);
	lock_release(&ms->lock);
	if (had)
		object_wake(c->mount->objects, p->ino);
}
