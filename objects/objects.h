/* Objects: what the eleven calls and the file operations mean, on top of cluster/ (agreement) and store/ (this disk).
 *
 * The floor above (fs/, tasks/) speaks in inode numbers and references. Nothing here blocks for another program: what is not
 * ready answers -EAGAIN, and object_watch calls back when it may be. Disk and agreement are waited for.
 *
 * Durability on one node (DESIGN section 6): what returned survives the death of the daemon; what was asked to be durable
 * (sync, commit) survives the machine; all else is durable within commit_interval.
 *
 * All functions are thread-safe unless they say otherwise. Errors are negative errno as a system call would give them. */
#ifndef DIOS_OBJECTS_OBJECTS_H
#define DIOS_OBJECTS_OBJECTS_H

#include "caps/token.h"
#include "cluster/cluster.h"
#include "cluster/lease.h"

struct objects;
struct reference;

struct objects_options {
	int64_t commit_interval_ns;       /* a written blob is committed at the latest after this: 1 s */
	uint32_t inline_max;              /* bytes: larger blobs get a head */
	uint32_t rows_max_bytes;          /* a commit_write of more goes into the tail or a side file first; 0: as much as a command takes */
	uint64_t dirty_max_bytes;         /* an object with more uncommitted staged bytes is committed at once: 32 MiB */
	uint64_t stage_max_bytes;         /* all objects together: 256 MiB */
	size_t cached_max;                /* object records kept in memory when nothing is open */
	uint64_t stream_limit_bytes;      /* default bound of a stream */
	/* Called when cached pages or attributes of an inode may be wrong (after a commit that did not come through the caller's own
	 * file operations). Must not block and must not call back into objects. */
	void (*invalidate)(void *arg, uint64_t ino, bool content);
	void *invalidate_arg;
	/* An earlier daemon's handles will be opened again: no orphan is freed until objects_restored (D5). What it had taken in is committed
	 * in the background, so that the start is quick. */
	bool restart;
};

int objects_open(struct cluster *cluster, struct store *store, const struct objects_options *options, struct objects **ret_objects);
/* Commits and syncs everything. All references must be closed. */
void objects_close(struct objects *os);
/* Does the background work that is due: commits, absorbing rows into heads, reaping orphans, trimming streams, syncing. Returns the
 * nanoseconds until it wants to be called again. Called from one thread at a time: the daemon's maintenance thread, or the simulation. */
int64_t objects_run_due(struct objects *os);
int objects_sync(struct objects *os);            /* syncfs: everything that returned before is durable */
void objects_restored(struct objects *os);       /* every handle is open again that was: orphans without one are freed */
struct cluster *objects_cluster(struct objects *os);
struct store *objects_store(struct objects *os);

/* ---- attributes -------------------------------------------------------------------------------------------------- */

/* An object as users see it now, uncommitted writes included; of one that is written in place what its head says. */
struct attributes { struct record record; /* size, mtime, blocks as of now */ uint64_t dirty_bytes; enum lease_mode lease;
	bool written; /* the kernel may be writing it itself */ };
int object_get(struct objects *os, uint64_t ino, struct attributes *ret);                 /* -ENOENT: gone */
int object_find(struct objects *os, const struct name *name, uint64_t *ret_ino);
int object_lookup(struct objects *os, uint64_t parent, const char *entry, size_t size, struct attributes *ret);

enum { SET_MODE = 1, SET_UID = 2, SET_GID = 4, SET_SIZE = 8, SET_ATIME = 16, SET_MTIME = 32, SET_KILL_PRIVILEGE = 64,
	SET_REPLICAS = 128, SET_CONSISTENCY = 256, SET_LIFECYCLE = 512 };
struct attribute_change { uint32_t mask; uint32_t mode, uid, gid; uint64_t size; int64_t atime_ns, mtime_ns; uint32_t replicas;
	enum consistency read_consistency, write_consistency; enum lifecycle lifecycle; };
int object_set(struct objects *os, uint64_t ino, const struct attribute_change *change, struct attributes *ret /* NULL ok */);

int object_get_xattr(struct objects *os, uint64_t ino, const char *key, struct buffer *value);     /* -ENODATA */
int object_list_xattrs(struct objects *os, uint64_t ino, struct buffer *names);
int object_set_xattr(struct objects *os, uint64_t ino, const char *key, struct slice value, int flags);
int object_remove_xattr(struct objects *os, uint64_t ino, const char *key);

/* ---- the tree ---------------------------------------------------------------------------------------------------- */

/* create->kind, mode, uid, gid, entry, ... as of cluster/command.h; a zero name is filled in at random (in the parent's slot, else
 * any). Set-gid inheritance from the directory is done here. ret_reference (NULL: none): opened at once with `rights`, race-free. */
int object_create(struct objects *os, const struct command_create *create, uint32_t rights, struct reference **ret_reference, struct attributes *ret);
int object_link(struct objects *os, uint64_t ino, uint64_t parent, const char *entry, size_t size, struct attributes *ret);   /* R7: commits first */
int object_unlink(struct objects *os, uint64_t parent, const char *entry, size_t size, bool directory);
int object_rename(struct objects *os, uint64_t parent, const char *entry, size_t size, uint64_t new_parent, const char *new_entry, size_t new_size, uint32_t flags);
int object_delete(struct objects *os, uint64_t ino);       /* as its lifecycle says; -EPERM for immortal ones */
int object_read_link(struct objects *os, uint64_t ino, struct buffer *target);
/* Calls back in cookie order after `after`; "." and ".." not included. A non-zero return of each() ends it with 0. */
int object_read_directory(struct objects *os, uint64_t ino, uint64_t after, int (*each)(void *arg, const struct state_entry *entry), void *arg);
/* A call could not read the state (-EBADMSG): noted, so that status and log name the file. -EIO, which is what programs are told. */
int objects_note_damaged_state(struct objects *os);
/* Deleted objects are freed in the background. */
bool objects_may_make_room(struct objects *os, int error);   /* there is none (error), and some wait to be freed */
/* Frees them if so. True: what was refused with that error is worth doing again. No lock held. */
bool objects_make_room(struct objects *os, int error);
void objects_wait_freed(struct objects *os);         /* returns when the heads of what has been freed so far are removed */
int objects_statfs(struct objects *os, struct disk_space *ret_space);   /* as users see it: a quota that is less than the disk */
void objects_get_usage(struct objects *os, struct state_usage *ret_usage);   /* with what has grown in place */
int objects_set_quota(struct objects *os, const struct state_quota *quota);
/* All objects of the realm in name order, after `after` (NULL: from the first); each() non-zero ends it with 0. */
int objects_each(struct objects *os, const struct name *after, int (*each)(void *arg, const struct record *record), void *arg);

/* ---- references -------------------------------------------------------------------------------------------------- */

#define REFERENCE_ID_SIZE 16
enum stream_mode { STREAM_FOLLOW = 0, STREAM_CONSUME };
struct reference_options {
	uint32_t rights;                  /* RIGHT_...: every use is checked against them, -EACCES or -EBADF */
	bool append;                      /* writes go to the end whatever their offset says */
	bool sync;                        /* O_SYNC, O_DSYNC: each write is durable when it returns */
	bool nonblock;
	uint64_t range_offset, range_length;   /* byte range of a token; 0, 0: all */
	int64_t expiry_ns;                /* wall clock; 0: never. Past it every use is -EACCES */
	enum stream_mode stream_mode;
};
/* Makes a reference. -EAGAIN: a blob that a task has still to produce (watch it), unless it is opened for writing. -EIO: its producer failed. */
int reference_open(struct objects *os, uint64_t ino, const struct reference_options *options, struct reference **ret_reference);
/* A reference that an earlier daemon had open, with its id. Whatever has become of the object, unless it is gone: -ENOENT. */
int reference_restore(struct objects *os, uint64_t ino, const struct reference_options *options, const uint8_t id[REFERENCE_ID_SIZE],
	uint64_t stream_position, struct reference **ret_reference);
void reference_close(struct reference *r);        /* the last one of an unlinked object frees it */
struct reference *reference_ref(struct reference *r);     /* counted: each ref needs its close */
uint64_t reference_ino(const struct reference *r);
const uint8_t *reference_id(const struct reference *r);   /* REFERENCE_ID_SIZE random bytes, borrowed */
uint32_t reference_rights(const struct reference *r);
const struct reference_options *reference_get_options(const struct reference *r);
void reference_set_append(struct reference *r, bool append);
void reference_set_stream_mode(struct reference *r, enum stream_mode mode);
struct reference *reference_find(struct objects *os, const uint8_t id[REFERENCE_ID_SIZE]);  /* counted; NULL: no such */

/* The kernel is going to read, and write, the blob's head itself (passthrough), as long as the reference is open. *ret_fd (NULL: not
 * wanted): a descriptor of the head for reading, the caller's. empty: the caller cuts it to nothing next. -EOPNOTSUPP: this blob is served
 * through the daemon: small, still to be produced. -EIO: so it is, being damaged. */
int reference_pass(struct reference *r, bool write, bool empty, int *ret_fd);
void reference_unpass(struct reference *r);       /* the kernel has not done so after all */
bool reference_passes(const struct reference *r);

/* Blobs. Reads return the bytes that are there (short at the end), -EBADMSG turned into -EIO when a checksum is wrong. */
ssize_t reference_read(struct reference *r, uint64_t offset, void *data, size_t size);
ssize_t reference_write(struct reference *r, uint64_t offset, const void *data, size_t size, bool kill_privilege);
int reference_flush(struct reference *r);         /* at close(2): reports a write error once for each handle (R6) */
int reference_sync(struct reference *r);          /* fsync: commits and waits until durable */
int reference_allocate(struct reference *r, int mode, uint64_t offset, uint64_t size);   /* fallocate(2) modes 0, KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE, ZERO_RANGE */
int reference_seek(struct reference *r, uint64_t offset, bool hole, uint64_t *ret_offset);   /* SEEK_DATA, SEEK_HOLE; -ENXIO */
ssize_t reference_copy_range(struct reference *from, uint64_t from_offset, struct reference *to, uint64_t to_offset, size_t size);
int reference_clone(struct reference *from, struct reference *to);   /* all bytes into a new, empty blob */
int object_clone(struct objects *os, struct reference *from, const struct command_create *create, struct attributes *ret);

/* The calls with versions. */
/* Commits what is written so far and returns the version that a read of the object gives now. */
int reference_acquire(struct reference *r, uint64_t *ret_version);
/* The same for a base to be written over. -EBUSY: it is being written in place, and has no version. */
int reference_acquire_base(struct reference *r, uint64_t *ret_version);
/* 0 if the object still has this version and no write has been made since; else -ESTALE. */
int reference_check(struct reference *r, uint64_t version);
/* Publishes size bytes at offset as the next version, if the object still has base_version (else -ESTALE and nothing changed). */
enum { COMMIT_FORCE = 1 /* whatever the version */, COMMIT_APPEND = 2 /* at the end; never stale */, COMMIT_RELAXED = 4 /* durable within commit_interval */,
	COMMIT_TRUNCATE = 8 /* the object ends after these bytes */ };
int reference_commit(struct reference *r, uint64_t base_version, uint32_t flags, uint64_t offset, const void *data, size_t size, uint64_t *ret_version);
int object_set_produced(struct objects *os, uint64_t ino, enum produced produced);
/* Records a task's state (change->ino is filled in). A task that has exited or failed stays so: -EINVAL. */
int object_update_task(struct objects *os, uint64_t ino, const struct command_task_update *change);

#define STREAM_RECORD_MAX (1u << 20)   /* bytes in one record */
/* Streams. One call appends one record, whole or not at all. */
ssize_t stream_append(struct reference *r, const void *data, size_t size, bool durable);   /* -EAGAIN: full; -EPIPE: ended or broken; -EMSGSIZE */
/* Bytes from *offset on (follow), moved up to the oldest kept byte if `first`; -EAGAIN: nothing yet, 0: ended; -EIO: trimmed away meanwhile. */
ssize_t stream_read(struct reference *r, uint64_t *offset, bool first, void *data, size_t size);
/* The next record for this consumer, whole: -EMSGSIZE and its size in *ret_size if it does not fit. -EAGAIN, 0 at the end as above. Within a redo
 * (cluster/redo.h) data lies in memory that outlives the daemon too: there the record is once it is nobody else's. */
ssize_t stream_consume(struct reference *r, void *data, size_t size, size_t *ret_size);
/* The next whole record at or after *offset (follow mode with records); moves *offset past it. */
ssize_t stream_next(struct reference *r, uint64_t *offset, void *data, size_t size, size_t *ret_size);
int stream_end(struct reference *r);
int stream_configure(struct objects *os, uint64_t ino, const struct command_stream_update *update);

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

enum { READY_READ = 1, READY_WRITE = 2, READY_END = 4 /* stream ended, task ended */, READY_PRODUCED = 8, READY_CHANGED = 16 /* version other than `version` */, READY_ERROR = 32 };
/* What is ready now. For streams READ is relative to `position` (bytes from there on, or the end); CHANGED to `version`. */
int reference_ready(struct reference *r, uint64_t position, uint64_t version, uint32_t *ret_events);
struct watch;
/* Calls back, once, from any thread and with no lock held, when something about the object has changed. It must not block. */
int object_watch(struct objects *os, uint64_t ino, void (*changed)(void *arg), void *arg, struct watch **ret_watch);
/* After it returns the callback neither runs nor will. Frees the watch, called or not. Not from the callback itself. */
void object_unwatch(struct watch *w);
/* Calls back everybody who watches, for a change that is not in the object itself. No lock may be held. */
void object_wake(struct objects *os, uint64_t ino);

/* ---- capabilities (objects/capability.c) ------------------------------------------------------------------------- */

struct caller { uint32_t uid, gid; const struct name *task; /* NULL: none */ };
/* Mints a token from a reference: the caller must own the object, be root, or hold `delegate`; rights at most those that the owner, mode
 * or reference gives (for the owner and root: all). caveats are added in order. text[TOKEN_TEXT_MAX + 1]. */
int capability_mint(struct reference *r, const struct caller *caller, uint32_t rights, const struct caveat *caveats, size_t caveat_count, char *text);
/* Verifies a token now: key, chain, caveats, epoch, revocation. Does not spend `once`. -EINVAL malformed; -EACCES refused, or no such object. */
int capability_verify(struct objects *os, const char *text, size_t size, const struct caller *caller, uint64_t *ret_ino, struct token_grant *ret_grant);
/* As reference_open with the grant's rights, range and expiry; spends `once` with a command. `want` rights must be within the grant. */
int capability_open(struct objects *os, uint64_t ino, const struct token_grant *grant, uint32_t want, const struct reference_options *options, struct reference **ret_reference);
int capability_revoke(struct objects *os, const struct caller *caller, const char *text, size_t size);     /* one token, by its id: owner or root */
int capability_revoke_all(struct objects *os, const struct caller *caller, uint64_t ino);

#endif
