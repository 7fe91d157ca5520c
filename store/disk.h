/* Files, as the rest of dios sees them: the one narrow way to the disk, so that the simulation can stand in for it.
 * Two implementations: disk_posix.c (a data directory of the machine) and disk_sim.c (in memory; loses what was not
 * synced, tears writes, fills up, flips bits, stops at a chosen step).
 *
 * Paths are relative to the data directory, with '/' between parts; "." is the directory itself. They are made by the
 * store, never by a user. Symbolic links are not followed in the last part.
 *
 * Durability is the caller's work, as on any POSIX file system: a file's bytes and size after disk_sync, its name after
 * disk_sync_dir of its folder; a new folder's own name after disk_sync_dir of the folder above. What was not synced
 * survives the death of the process, and may survive a power cut in part and in any order: each 512-byte sector for
 * itself, the names of one folder in order.
 *
 * A sync that failed proves nothing about the bytes, and a second one that succeeds proves nothing either: the kernel has
 * forgotten that they were dirty. They count as lost until they have been written again, synced, and read back past the
 * cache (disk_drop_cache).
 *
 * Thread-safe, except that one file's size must not be changed by two threads at once. Errors are negative errnos of the
 * system calls; -ESHUTDOWN: the simulated machine is down. */
#ifndef DIOS_STORE_DISK_H
#define DIOS_STORE_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "base/error.h"
#include "base/random.h"

struct disk;
struct disk_file;

struct disk_stat { uint64_t size, blocks /* of 512 bytes */; int64_t mtime_ns; };
struct disk_space { uint64_t total_bytes, free_bytes, total_inodes, free_inodes; };

struct disk_ops {
	/* flags: O_RDONLY or O_RDWR, O_CREAT, O_EXCL, O_TRUNC. Mode is 0600. -EMFILE when descriptors run out. */
	int (*open)(struct disk *d, const char *path, int flags, struct disk_file **ret_file);
	void (*close)(struct disk_file *f);
	/* Reads up to size bytes; fewer only at the end of the file. Returns the count or a negative errno. */
	ssize_t (*pread)(struct disk_file *f, void *data, size_t size, uint64_t offset);
	/* Writes everything or fails; on failure any part may have been written. 0 or a negative errno. */
	int (*pwritev)(struct disk_file *f, const struct iovec *iov, int count, uint64_t offset);
	int (*sync)(struct disk_file *f);                                  /* fdatasync: bytes and size, not the name */
	/* A sync follows soon: what was written there begins to go to the disk, so that it has less to wait for. A hint: promises nothing, fails never. */
	void (*begin_sync)(struct disk_file *f, uint64_t offset, uint64_t size);
	int (*truncate)(struct disk_file *f, uint64_t size);
	int (*allocate)(struct disk_file *f, uint64_t offset, uint64_t size); /* room, without changing the size; -EOPNOTSUPP */
	int (*punch)(struct disk_file *f, uint64_t offset, uint64_t size);    /* reads as zeros afterwards; the size stays; gives room back where it can */
	int (*size)(struct disk_file *f, uint64_t *ret_size);
	int (*stat)(struct disk_file *f, struct disk_stat *ret_stat);
	int (*set_mtime)(struct disk_file *f, int64_t mtime_ns);
	/* The first byte at or after offset that is data, or (hole) none. -ENXIO: there is no more data, or offset is past the end. */
	int (*seek)(struct disk_file *f, uint64_t offset, bool hole, uint64_t *ret_offset);
	/* Makes `to` hold what `from` holds, size and holes included: FICLONE, else a copy; not synced. On failure `to` may hold any part. */
	int (*clone)(struct disk_file *from, struct disk_file *to);
	int (*drop_cache)(struct disk_file *f, uint64_t offset, uint64_t size); /* what was synced is read from the disk itself next time; a hint */
	int (*fd)(struct disk_file *f);                                    /* the descriptor, borrowed; -1 in the simulation */
	int (*rename)(struct disk *d, const char *from, const char *to);  /* within one folder, replacing; across folders -EXDEV */
	/* 0 if nobody has the file open for writing or mapped so (unread: or open at all); -EAGAIN: somebody, this process included. -EOPNOTSUPP. */
	int (*unused)(struct disk *d, const char *path, bool unread);
	int (*unlink)(struct disk *d, const char *path);                   /* of a file; one that is open lives on until it is closed */
	int (*mkdir)(struct disk *d, const char *path);                    /* 0700; one that is there is success; -ENOTDIR: something else has the name */
	int (*sync_dir)(struct disk *d, const char *path);
	/* Calls back for each entry but . and .., in no order; a non-zero return ends it and is returned. */
	int (*list)(struct disk *d, const char *path, int (*each)(void *arg, const char *name), void *arg);
	/* Of the file system, for an ordinary user: what is kept back for root is not counted as free. */
	int (*space)(struct disk *d, struct disk_space *ret_space);
	void (*free)(struct disk *d);                                      /* its files were closed before */
};

/* random: where the salts of log and staging segments come from; the simulation's is seeded. owner: begins the id of the data directory, and
 * stands in the headers of its segments, so that another directory's are known; 0: not known yet. */
struct disk { const struct disk_ops *ops; struct random_source *random; uint64_t owner; };
struct disk_file { const struct disk_ops *ops; };

/* A directory of this machine. -ENOENT, -ENOTDIR, -EACCES. A write past RLIMIT_FSIZE gives -EFBIG: SIGXFSZ is set to be
 * ignored if nobody handles it; SIGIO too, which comes when somebody opens what `unused` is looking at. */
int disk_posix_new(const char *directory, struct disk **ret_disk);

static inline int disk_open(struct disk *d, const char *path, int flags, struct disk_file **ret) { return d->ops->open(d, path, flags, ret); }
static inline void disk_close(struct disk_file *f) { if (f) f->ops->close(f); }
static inline ssize_t disk_pread(struct disk_file *f, void *data, size_t size, uint64_t offset) { return f->ops->pread(f, data, size, offset); }
static inline int disk_pwritev(struct disk_file *f, const struct iovec *iov, int n, uint64_t offset) { return f->ops->pwritev(f, iov, n, offset); }
static inline int disk_pwrite(struct disk_file *f, const void *data, size_t size, uint64_t offset)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
	return f->ops->pwritev(f, &iov, 1, offset);
}
static inline int disk_sync(struct disk_file *f) { return f->ops->sync(f); }
static inline void disk_begin_sync(struct disk_file *f, uint64_t offset, uint64_t size) { f->ops->begin_sync(f, offset, size); }
static inline int disk_truncate(struct disk_file *f, uint64_t size) { return f->ops->truncate(f, size); }
static inline int disk_allocate(struct disk_file *f, uint64_t offset, uint64_t size) { return f->ops->allocate(f, offset, size); }
static inline int disk_punch(struct disk_file *f, uint64_t offset, uint64_t size) { return f->ops->punch(f, offset, size); }
static inline int disk_size(struct disk_file *f, uint64_t *ret) { return f->ops->size(f, ret); }
static inline int disk_stat(struct disk_file *f, struct disk_stat *ret) { return f->ops->stat(f, ret); }
static inline int disk_set_mtime(struct disk_file *f, int64_t mtime_ns) { return f->ops->set_mtime(f, mtime_ns); }
static inline int disk_seek(struct disk_file *f, uint64_t offset, bool hole, uint64_t *ret) { return f->ops->seek(f, offset, hole, ret); }
static inline int disk_unused(struct disk *d, const char *path, bool unread) { return d->ops->unused(d, path, unread); }
static inline int disk_clone(struct disk_file *from, struct disk_file *to) { return from->ops->clone(from, to); }
static inline int disk_drop_cache(struct disk_file *f, uint64_t offset, uint64_t size) { return f->ops->drop_cache(f, offset, size); }
static inline int disk_fd(struct disk_file *f) { return f->ops->fd(f); }
static inline int disk_rename(struct disk *d, const char *from, const char *to) { return d->ops->rename(d, from, to); }
static inline int disk_unlink(struct disk *d, const char *path) { return d->ops->unlink(d, path); }
static inline int disk_mkdir(struct disk *d, const char *path) { return d->ops->mkdir(d, path); }
static inline int disk_sync_dir(struct disk *d, const char *path) { return d->ops->sync_dir(d, path); }
static inline int disk_list(struct disk *d, const char *path, int (*each)(void *, const char *), void *arg) { return d->ops->list(d, path, each, arg); }
static inline int disk_space(struct disk *d, struct disk_space *ret) { return d->ops->space(d, ret); }
static inline void disk_free(struct disk *d) { if (d) d->ops->free(d); }

#endif
