/* How an inode's opens read and write. The kernel wants one way for all that are open at a time (P1), so each inode is in one of these states:
 *
 *   closed       nobody has it open by its own node
 *   cached       reads and writes come to us, through the kernel's page cache; so do those of whoever opens it meanwhile
 *   passthrough  the kernel reads and writes the head itself. All opens have the one backing id that was registered by the first, and whoever comes
 *                meanwhile gets it too. With O_SYNC or O_DSYNC the same with direct I/O: reads and writes come to us (P3), mappings do not.
 *
 * closed -> cached or passthrough with the first open, back with the last release. Which one:
 *   - for writing: passthrough if that is in force; the blob is in place then (objects/in_place.c), moved to a head if it had none;
 *   - for reading or writing by libdios, which works with versions: cached;
 *   - for reading: passthrough if the blob has a head that is sealed and good, or is in place; small blobs stay in their records, cached.
 * An open for writing that meets passthrough readers puts the blob in place for them all; one that meets cached readers is cached.
 *
 * Opens through tokens, private buffers and pinned versions have nodes of their own and are direct I/O, beside either state: what they change,
 * a passthrough reader sees in the head (objects: in_place_enter, blob_publish), and a cached one by invalidation.
 *
 * A passthrough open drops the pages that the kernel had cached, and nothing comes into the cache while there is one: so whoever is cached
 * later reads what is there then.
 *
 * Backing ids belong to the connection and outlive us: the open table has them, and a restarted daemon goes on with them (D1). The descriptor that is
 * registered is open for reading only, so that it does not count as a writer; the kernel opens the file with the caller's flags (P2). */
#include "fs/passthrough.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/counter.h"
#include "base/hash.h"
#include "base/log.h"
#include "libdios/dios-ioctl.h"
#include "store/disk_facts.h"

/* The kernel's interface, which older headers lack. */
struct backing_map { int32_t fd; uint32_t flags; uint64_t padding; };
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

COUNTER(opens_through, "dios_fs_opens_total{how=\"passthrough\"}", "opens of blobs, by how they read and write");
COUNTER(opens_direct, "dios_fs_opens_total{how=\"passthrough_direct\"}", "opens of blobs, by how they read and write");
COUNTER(opens_cached, "dios_fs_opens_total{how=\"cached\"}", "opens of blobs, by how they read and write");
GAUGE(backing_files, "dios_fs_backing_files", "files that are registered with the kernel for passthrough");

enum mode { MODE_OFF, MODE_READ, MODE_WRITE };

struct inode {
	uint64_t ino;
	unsigned cached, through;         /* opens; one of them is 0 */
	uint32_t backing_id;              /* while through > 0 */
	bool busy;                        /* an open or a close is deciding: others wait */
	UT_hash_handle hh;
};

struct passthrough {
	struct fs *fs;
	enum mode configured;             /* at most */
	bool automatic;                   /* writing only where the file system keeps its order in a power cut */
	bool negotiated;                  /* the kernel has it */
	_Atomic bool stopping;
	struct lock lock;                 /* guards what follows */
	pthread_cond_t settled;
	struct inode *inodes;
	bool tried;
	enum mode mode;
	char why[160];
};

int passthrough_new(struct fs *fs, struct passthrough **ret_passthrough)
{
	struct passthrough *p = calloc(1, sizeof(*p));
	const char *wanted = fs->options.config ? config_string(fs->options.config, "passthrough") : "write";

	if (!p)
		return -ENOMEM;
	p->fs = fs;
	p->automatic = strcmp(wanted, "auto") == 0;
	p->configured = strcmp(wanted, "off") == 0 ? MODE_OFF : strcmp(wanted, "read") == 0 ? MODE_READ : MODE_WRITE;
	lock_init(&p->lock, "fs.passthrough", LOCK_HANDLE);
	pthread_cond_init(&p->settled, NULL);
	*ret_passthrough = p;
	return 0;
}

void passthrough_stop(struct passthrough *p)
{
	if (p)
		p->stopping = true;
}

void passthrough_free(struct passthrough *p)
{
	struct inode *i, *next;

	if (!p)
		return;
	HASH_ITER(hh, p->inodes, i, next) {
		HASH_DEL(p->inodes, i);
		free(i);
	}
	pthread_cond_destroy(&p->settled);
	lock_done(&p->lock);
	free(p);
}

/* ---- whether it works here ------------------------------------------------------------------------------------------ */

void passthrough_negotiate(struct fs *fs, struct fuse_conn_info *conn)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
	struct passthrough *p = fs->passthrough;

	if (p->configured == MODE_OFF || !fuse_set_feature_flag(conn, FUSE_CAP_PASSTHROUGH))
		return;
	conn->max_backing_stack_depth = 1;
	p->negotiated = true;
#else
	(void)fs;
	(void)conn;
#endif
}

static int backing_open(const struct fs *fs, int fd)
{
	struct backing_map map = { .fd = fd };
	int id = ioctl(fs->options.device_fd, BACKING_OPEN, &map);

	if (id <= 0)
		return id < 0 ? -errno : -EIO;
	counter_add(&backing_files, 1);
	return id;
}

static void backing_close(const struct fs *fs, uint32_t id)
{
	counter_add(&backing_files, -1);
	if (ioctl(fs->options.device_fd, BACKING_CLOSE, &id) < 0)
		log_warning("fs", "a backing file cannot be given back id=%u errno=%d", id, errno);
}

static const char *backing_refused(int error)
{
	switch (error) {
	case -EPERM: return "the daemon lacks CAP_SYS_ADMIN, or the mount was made without passthrough";
	case -ELOOP: return "the data directory is on a stacked file system";
	default: return strerror(-error);
	}
}

/* Where it does not, what was written past us and not synced can be the bytes of deleted files after a power cut, and nobody could tell. */
static bool keeps_order(const char *data)
{
	struct disk_facts facts;

	return disk_facts_read(data, &facts) == 0 && facts.journal == DISK_JOURNAL_YES && !facts.writeback;
}

/* What the data directory's file system and our rights allow, tried with a file that is always there. */
static void try_it(struct passthrough *p)
{
	char path[REGION_PATH_MAX + 8];

	p->mode = MODE_OFF;
#if FUSE_VERSION < FUSE_MAKE_VERSION(3, 17)
	snprintf(p->why, sizeof(p->why), "libfuse %s is older than 3.17", fuse_pkgversion());
	return;
#endif
	if (!p->negotiated) {
		snprintf(p->why, sizeof(p->why), "this kernel has none (it came with 6.9)");
		return;
	}
	snprintf(path, sizeof(path), "%s/format", p->fs->options.data);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int id = fd < 0 ? -errno : backing_open(p->fs, fd);
	if (id < 0) {
		snprintf(p->why, sizeof(p->why), "%s", backing_refused(id));
		return;
	}
	backing_close(p->fs, (uint32_t)id);
	p->mode = p->automatic && !keeps_order(p->fs->options.data) ? MODE_READ : p->configured;
	if (p->mode == MODE_WRITE && fcntl(fd, F_SETLEASE, F_RDLCK) < 0 && errno != EAGAIN) {
		snprintf(p->why, sizeof(p->why), "the data directory's file system has no leases: %s", strerror(errno));
		p->mode = MODE_READ;
	}
	fcntl(fd, F_SETLEASE, F_UNLCK);
}

static enum mode mode_of(struct passthrough *p)
{
	LOCK_GUARD(&p->lock);
	if (!p->tried && p->configured != MODE_OFF) {
		try_it(p);
		if (p->why[0])
			log_notice("fs", "passthrough is not as configured: %s", p->why);
	}
	p->tried = true;
	return p->mode;
}

const char *passthrough_mode(struct fs *fs)
{
	static const char *const names[] = { [MODE_OFF] = "off", [MODE_READ] = "read", [MODE_WRITE] = "write" };

	return names[mode_of(fs->passthrough)];
}

const char *passthrough_why(struct fs *fs)
{
	(void)mode_of(fs->passthrough);
	return fs->passthrough->why;
}

const char *fs_passthrough(struct fs *fs, const char **ret_why)
{
	*ret_why = passthrough_why(fs);
	return passthrough_mode(fs);
}

/* ---- inodes --------------------------------------------------------------------------------------------------------- */

/* The inode's state, which is the caller's alone until inode_settle. */
static struct inode *inode_take(struct passthrough *p, uint64_t ino)
{
	struct inode *i;

	LOCK_GUARD(&p->lock);
	for (;;) {
		HASH_FIND(hh, p->inodes, &ino, sizeof(ino), i);
		if (!i || !i->busy)
			break;
		lock_wait(&p->lock, &p->settled);
	}
	if (!i) {
		i = calloc(1, sizeof(*i));
		if (!i)
			return NULL;
		i->ino = ino;
		HASH_ADD(hh, p->inodes, ino, sizeof(ino), i);
		if (!hash_added(hh, i)) {
			free(i);
			return NULL;
		}
	}
	i->busy = true;
	return i;
}

static void inode_settle(struct passthrough *p, struct inode *i)
{
	LOCK_GUARD(&p->lock);
	i->busy = false;
	if (i->cached + i->through == 0) {
		HASH_DEL(p->inodes, i);
		free(i);
	}
	pthread_cond_broadcast(&p->settled);
}

/* Who opens by libdios means versions, which there are none of what is written in place. */
static bool versioned(int flags) { return (flags & DIOS_OPEN_REFERENCE) != 0; }

static bool writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }

bool passthrough_creates(struct fs *fs, int flags) { return writes(flags) && !versioned(flags) && mode_of(fs->passthrough) == MODE_WRITE; }

/* The head is ready, and registered if this is the first open. */
static int begin(struct handle *h, struct inode *i, int flags)
{
	int fd = -1;
	int r = reference_pass(h->reference, writes(flags), flags & O_TRUNC, i->through > 0 ? NULL : &fd);

	if (r < 0 || i->through > 0)
		return r;
	r = backing_open(h->fs, fd);
	close(fd);
	if (r < 0) {
		log_warning("fs", "a file cannot be registered for passthrough ino=%llu error=%d", (unsigned long long)i->ino, -r);
		reference_unpass(h->reference);
		return r;
	}
	i->backing_id = (uint32_t)r;
	return 0;
}

static void note_through(struct handle *h, struct inode *i, struct fuse_file_info *fi)
{
	i->through++;
	h->entry->backing_id = i->backing_id;
	h->entry->shared = 1;
	fi->keep_cache = 0;
	fi->direct_io = (fi->flags & O_DSYNC) != 0;   /* O_SYNC has its bit */
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
	fi->backing_id = (int)i->backing_id;
#endif
	counter_add(fi->direct_io ? &opens_direct : &opens_through, 1);
}

int passthrough_open(struct handle *h, struct fuse_file_info *fi)
{
	struct passthrough *p = h->fs->passthrough;
	enum mode mode = mode_of(p);
	struct inode *i = inode_take(p, h->entry->ino);

	if (!i)
		return -ENOMEM;
	bool through = i->through > 0 || (i->cached == 0 && !versioned(fi->flags) && mode >= (writes(fi->flags) ? MODE_WRITE : MODE_READ));
	int r = through ? begin(h, i, fi->flags) : 0;
	if (r < 0 && i->through == 0) {
		through = false;   /* small, damaged, no room for its head: it is served */
		r = 0;
	}
	if (r == 0 && through) {
		note_through(h, i, fi);
	} else if (r == 0) {
		i->cached++;
		h->entry->shared = 1;
		counter_add(&opens_cached, 1);
	}
	inode_settle(p, i);
	return r;
}

int passthrough_restore(struct handle *h)
{
	struct passthrough *p = h->fs->passthrough;

	if (!h->entry->shared)
		return 0;
	struct inode *i = inode_take(p, h->entry->ino);
	if (!i)
		return -ENOMEM;
	int r = 0;
	if (h->entry->backing_id == 0) {
		i->cached++;
	} else {
		if (i->through++ == 0)
			counter_add(&backing_files, 1);
		i->backing_id = h->entry->backing_id;
		r = reference_pass(h->reference, writes((int)h->entry->flags), false, NULL);
	}
	inode_settle(p, i);
	return r;
}

void passthrough_close(struct handle *h)
{
	struct passthrough *p = h->fs->passthrough;

	if (!h->entry->shared || p->stopping)
		return;
	struct inode *i = inode_take(p, h->entry->ino);
	if (!i)
		return;
	if (h->entry->backing_id == 0) {
		i->cached--;
	} else if (--i->through == 0) {
		/* Before the reference goes: sealing looks who has the file open. */
		backing_close(h->fs, i->backing_id);
	}
	inode_settle(p, i);
	h->entry->shared = 0;
}
