/* Private to objects/: an object in memory, and the table of them.
 *
 * An object is in memory while somebody works on it, has it open, or bytes of it are uncommitted; a bounded number of idle ones
 * is kept beside. Its lock guards everything in it but the table's own fields. What is in memory is a cache of the applied
 * record plus the bytes that are not committed yet:
 *
 *   content as users see it = committed content, overlaid by `dirty` (newest wins), cut or extended to `size_now`
 *
 * Where uncommitted bytes are:
 *   staged    in the staging log (any offset)
 *   tail      in the head, at their final place, at or past `tail_base`: the committed size of a blob that has a head, and 0 while a
 *             blob moves from inline to a head (`moving`), whose head nothing refers to yet
 * A byte of the head below tail_base is never written but by absorbing. */
#ifndef DIOS_OBJECTS_OBJECT_H
#define DIOS_OBJECTS_OBJECT_H

#include <stdatomic.h>
#include "base/hash.h"
#include "base/lock.h"
#include "objects/extents.h"
#include "objects/objects.h"
#include "objects/tail.h"

#define BLOB_SIZE_MAX ((16ULL << 40) - BLOCK_SIZE)   /* bytes: ext4's largest file */
#define ROW_BYTES_MAX (1u << 20)                     /* row bytes in one command */
#define PASS_ROOM (16ull << 20)                      /* bytes free: with less nobody writes past us, who keep a reserve for the log */
#define UNSEALED_LOOK_NS (400 * NS_PER_MS)           /* how often what is in place is looked at: with the log's sync, what is a second old is on the disk */
#define VERIFY_MAX 64                                /* heads: those beyond are checked when they are opened again */
#define TAIL_BYTES_MAX (256ull << 20)                /* uncommitted tail: then a commit; bounds checksums in one command */

struct direct_stream;
struct stream_recent;

struct object {
	/* table (guarded by objects.table_lock) */
	uint64_t ino;
	unsigned holders;             /* operations and references: 0 makes it idle */
	UT_hash_handle hh;
	struct object *idle_prev, *idle_next;
	bool gone;                    /* reaped: every later use is -ENOENT */

	_Atomic bool stale;           /* the applied record may be newer than `record` */

	struct lock lock;             /* guards all below */
	struct objects *os;
	struct record record;         /* applied; valid if loaded */
	bool loaded;
	unsigned opens;               /* references */
	enum lease_mode lease;        /* lease_book.c */
	struct lease_epoch lease_epoch;

	struct extents dirty;
	struct stage_place *notes;    /* staging records without bytes (ranges, sizes): given back when all is committed */
	size_t note_count, note_capacity;
	uint64_t staged_bytes;        /* of dirty, in the staging log */
	uint64_t tail_bytes;          /* of dirty, in the head */
	struct tail tail;             /* its checksums */
	bool tail_unknown;            /* an earlier daemon's: they are not known yet */
	uint64_t tail_writes, tail_synced;   /* writes into the head ever; as many of them as have been synced */
	bool is_dirty;                /* dirty has ranges, or size or mtime differ from the record */
	uint64_t size_now;            /* meaningful while is_dirty */
	int64_t mtime_now_ns;
	int64_t dirty_since_ns;       /* boot clock */
	uint64_t stage_seq;           /* highest sequence number staged */
	uint64_t committed_blocks;    /* those below are committed as they are: by the first commands of a commit of which a later one failed */
	uint64_t unknown_version;     /* a commit's outcome is not known: it was carried out if the record has this version; 0: none */
	uint64_t unknown_blocks;      /* committed_blocks then; UINT64_MAX: all is committed */
	bool moving;                  /* inline blob whose bytes are all in the head by now */
	uint64_t pending, grown;      /* quota.c: bytes that its commits will take at most; by which its head has outgrown what was sealed */
	bool sync_next;               /* what is committed now is synced right afterwards */
	bool publishing;              /* what goes into the tail now is part of one command: not noted, so that a crash leaves nothing of it */
	uint64_t row_first;           /* the state has no row before this block */
	bool verify_rows;             /* a sync of the head has failed: rows are read back when they are absorbed */
	struct object *dirty_prev, *dirty_next;   /* objects.dirty_list, guarded by table_lock */
	bool in_dirty_list;

	/* in_place.c, seal.c, head_check.c: heads that the kernel reads and writes itself */
	unsigned passes, pass_writers;   /* open references through which it reads, and writes */
	bool head_clean;              /* the head holds nothing that is not the blob's: no dead tail under a hole, or past the end */
	bool head_exact;              /* the same, and every block was checked since the start */
	bool head_bad;                /* or one of them was wrong */
	bool headless;                /* in place, and nobody has made its head yet */
	bool maybe_unchanged;         /* since it was unsealed, if the head's mtime is still the sealed one's */
	int64_t sealed_mtime_ns;
	int64_t idle_since_ns;        /* boot clock: when the last writer left */
	struct disk_stat synced;      /* the head as its last sync found it; see in_place_is_synced */
	int64_t synced_ns;
	struct disk_stat told;        /* what users have last been told of it */
	uint64_t leftover;            /* not 0: sealed into its record when the log had been synced so often; its head goes after one more */
	uint64_t leftover_bytes;      /* what it takes, while leftover is not 0 */
	uint64_t sealed_at;           /* likewise: sealed when the log had been synced so often, less one */
	struct object *unsealed_prev, *unsealed_next;   /* objects.unsealed, guarded by table_lock; held by it */
	int64_t unsealed_due_ns;
	bool in_unsealed_list;

	uint64_t change;              /* grows with every write: distinguishes uncommitted contents of one version */
	uint64_t error_count;         /* failed background commits: each handle reports the newest once, if it lasts */
	int last_error;
	uint64_t sync_errors;         /* failed syncs of the head: each handle reports that there was one, once */
	bool changed;                 /* somebody must be told when the lock is released */
	struct direct_stream *direct; /* memory-only stream content */
	struct stream_recent *recent; /* NULL until a durable stream is followed */
	unsigned stream_writers;
	struct reference *stream_refs; /* open references of a stream */
};

struct reference {
	struct objects *os;
	struct object *object;        /* held */
	struct reference_options options;
	uint8_t id[REFERENCE_ID_SIZE];
	_Atomic unsigned count;
	UT_hash_handle hh;            /* objects.references, guarded by table_lock */
	uint64_t errors_seen, sync_errors_seen;   /* the object's counts when this handle last reported */
	struct reference *stream_next; /* of the same stream; guarded by the object's lock */
	bool passes, pass_writes;     /* the kernel goes past us with it */
	uint64_t stream_position;     /* bytes below have been read by this follower of a direct stream */
	struct stream_recent *recent; /* of a durable stream that it follows; NULL: none */
};

/* `waiting`: the queued ones and those that are being freed. */
struct reap_queue { uint64_t *inos; size_t count, capacity; _Atomic size_t waiting; };

struct objects {
	struct cluster *cluster;
	struct store *store;
	struct clock *clock;
	struct objects_options options;

	struct lock table_lock;
	struct object *table;         /* by ino */
	struct reference *references; /* by id */
	struct object idle;           /* list head, oldest first */
	size_t idle_count;
	struct object dirty_list;     /* list head, oldest first */
	size_t dirty_count;
	struct object unsealed;       /* list head: written in place, or with a head that is to go */
	size_t unsealed_count;
	_Atomic uint64_t log_syncs, log_synced;   /* begun and done by background work; object.leftover */
	_Atomic uint64_t newest_leftover, leftover_bytes;
	_Atomic int64_t head_made_ns; /* boot clock: when the kernel was last given a new head to write */
	struct { uint64_t ino, mib; } verify[VERIFY_MAX];   /* heads that are checked in the background; guarded by table_lock */
	size_t verify_count;
	struct reap_queue reap;
	struct lock reap_lock;        /* held while a batch is freed: who waits for it finds the names free */

	struct lock lease_lock;
	struct lease_table *leases;

	struct damaged *damaged;

	struct lock stream_age_lock;
	struct stream_age *stream_ages;

	struct lock watch_lock;
	pthread_cond_t watch_done;
	struct watched *watches;      /* hash of lists, by ino */
	_Atomic unsigned watch_count;

	struct lock quota_lock;                             /* quota.c: between looking for room and taking it */
	_Atomic uint64_t pending_bytes, grown_bytes;        /* of all objects */
	_Atomic uint64_t committing_bytes, commits_ended;   /* of pending_bytes, what is in commits under way; commits that have ended */

	_Atomic unsigned publishing;  /* commit_writes under way: side files may have no row yet */
	_Atomic bool sides_wanted;    /* there are side files */
	int64_t next_sides_ns;
	uint64_t absorb_after;        /* where absorbing goes on */
	int64_t next_absorb_ns;       /* after a failure */
	_Atomic bool absorb_wanted;
	_Atomic bool unsettled;       /* the outcome of a command is not known */
	_Atomic bool orphans_sought;  /* such a command may have taken a last link: who has lost it is looked for in the state */
	_Atomic unsigned creating;    /* objects that are born orphans, and not held by their maker yet */
	_Atomic uint64_t creations;   /* of those, all that were begun */
	_Atomic bool unsynced;        /* something was acknowledged since the last sync */
	_Atomic bool orphans_kept;    /* an earlier daemon's handles are not open again yet: no orphan is freed (D5) */
	int64_t next_sync_ns;
};

/* table.c */
int table_init(struct objects *os);
void table_done(struct objects *os);
/* Finds or makes the object, holds and locks it with its record loaded. -ENOENT: no such object. */
int object_acquire(struct objects *os, uint64_t ino, struct object **ret_object);
/* Locks an object that the caller holds already, and brings its record up to date. */
int object_lock(struct object *o);
int object_refresh(struct object *o);               /* locked: brings its record up to date; stays locked */
int object_lock_pair(struct object *a, struct object *b);   /* two different ones that the caller holds */
void object_unlock_pair(struct object *a, struct object *b);
/* Unlocks, tells watchers if something changed. The _release form also gives the hold up. */
void object_unlock(struct object *o);
void object_release(struct object *o);
void object_hold(struct object *o);                 /* another hold, by somebody who has one */
void object_drop(struct object *o);                 /* a hold, not locked */
void object_orphaned(struct objects *os, uint64_t ino);     /* tree.c: its last link went with a command that has been applied; 0: nothing */
void table_forget(struct objects *os, const struct result *result, uint64_t except_ino);   /* the records touched are stale */
void table_forget_all(struct objects *os);          /* the outcome of a command is not known: every record may be stale, until the cluster has settled */
void table_mark_dirty(struct object *o);            /* locked: put into the dirty list, held by it */
void table_clear_dirty(struct object *o);           /* locked */
struct object *table_oldest_dirty(struct objects *os, int64_t older_than_ns);   /* held, not locked; NULL */
bool table_is_moving(struct objects *os, uint64_t ino);   /* at start: nobody else works on it */
bool table_is_held(struct objects *os, uint64_t ino);   /* as it is now: somebody has it open or works on it, or it is dirty */
void table_mark_gone(struct object *o);              /* held: its record is no more; it goes with the last hold */
void table_want_reap(struct objects *os, uint64_t ino);
/* Takes up to max inodes of the queue that nobody holds, marking them gone: nobody gets at them until each has been given back. */
size_t table_take_reap(struct objects *os, uint64_t *inos, size_t max);
void table_give_back(struct objects *os, uint64_t ino, bool gone);   /* gone: for ever */
size_t table_trim_idle(struct objects *os);

/* lease_book.c */
int lease_book_init(struct objects *os);
void lease_book_done(struct objects *os);
void lease_want(struct object *o, enum lease_mode mode);   /* locked; Invalid gives it up */

/* watch.c */
void watch_init(struct objects *os);
void watch_done(struct objects *os);
void watch_fire(struct objects *os, uint64_t ino);  /* no lock held */

/* propose.c: proposes, marks what it touched stale, and keeps the caller's locked object (NULL: none) up to date. */
int object_propose(struct objects *os, struct object *o, struct command *c, bool durable, struct result *ret_result);
/* 1: the command that comes next of those that count has been applied for an earlier daemon (D2): what leads up to it is left out. o (NULL: none) is up
 * to date; of *ret_result the record is as of then. 0: it has not. */
int object_redone(struct objects *os, struct object *o, struct result *ret_result);

/* blob_read.c: all with the object locked */
int blob_read_locked(struct object *o, uint64_t offset, void *data, size_t size);           /* content as of now; past the end zeros */
int blob_read_committed(struct object *o, uint64_t offset, void *data, size_t size);        /* without the overlay */
uint64_t blob_size_now(const struct object *o);
/* Checksums of count blocks of a blob of this size, from its head. */
int blob_crc_blocks(struct disk_file *file, uint64_t block, size_t count, uint64_t size, uint32_t *ret_crcs);

/* blob_write.c: locked */
ssize_t blob_write_locked(struct object *o, uint64_t offset, const void *data, size_t size);
int blob_move_to_head(struct object *o);             /* inline content and staged bytes become a tail from 0 */
int blob_note(struct object *o, enum stage_kind kind, uint64_t offset, uint64_t size);   /* a range or size into the staging log */
void blob_dirty_begin(struct object *o);
void blob_dirty_clear(struct object *o);             /* forgets uncommitted bytes and gives their staging back */
int blob_write_tail(struct object *o, uint64_t offset, const void *data, size_t size);
uint64_t blob_tail_base(const struct object *o);     /* UINT64_MAX: nothing goes into the head */
int blob_is_hole(struct object *o, uint64_t block, bool *ret_hole);
int blob_head_reset(struct object *o);               /* an empty head, for a blob that none belongs to yet */
int blob_replay(struct objects *os, const struct stage_record *record);   /* at start, for each uncommitted record */

/* blob_repair.c: locked */
int blob_sync_head(struct object *o, struct head *head);            /* or repairs one that is doubtful */
int blob_sync_head_unlocked(struct object *o, struct head *head);   /* not locked meanwhile; a doubtful one: -EIO */
void blob_count_failed_sync(struct object *o, int error);            /* is said by the status, and to each handle once */
int blob_learn_tail(struct object *o);               /* the checksums of a tail that an earlier daemon wrote */
void blob_presync(struct object *o);                 /* held, not locked: the tail's bytes reach the disk before its commit */

/* blob_commit.c: locked */
int blob_commit(struct object *o, bool durable);     /* 0 and nothing dirty, or an error and everything still dirty */
int blob_resize(struct object *o, uint64_t size);    /* truncation, growth */
int blob_zero(struct object *o, uint64_t offset, uint64_t size, bool keep_size);
int blob_publish(struct object *o, bool check, uint64_t base_version, uint32_t flags, uint64_t offset, const void *data, size_t size, bool durable);
/* What the place of the request's redo says of a clone. Once the target has been found empty, what an earlier daemon left in it is of this request: the locks were
 * held all the time. MARKED: all bytes were there before the command that puts it in place, so if that was carried out nothing is left to do. */
enum { CLONE_NOT_BEGUN, CLONE_INTO_EMPTY, CLONE_IN_PLACE, CLONE_MARKED };
int blob_clone(struct object *from, struct object *to);

/* in_place.c: locked, the record says in_place */
int in_place_begin(struct object *o, bool empty);    /* makes it so, durably where sealed bytes may be written over (R9); empty: its content is not wanted */
int in_place_enter(struct object *o);                /* the same, only if the kernel reads the head of what is sealed */
int in_place_refresh(struct object *o);              /* size, time, blocks are the head's */
int in_place_read(struct object *o, uint64_t offset, void *data, size_t size);
ssize_t in_place_write(struct object *o, uint64_t offset, const void *data, size_t size);
int in_place_resize(struct object *o, uint64_t size);
int in_place_allocate(struct object *o, int mode, uint64_t offset, uint64_t size);
int in_place_seek(struct object *o, uint64_t offset, bool hole, uint64_t *ret_offset);
int in_place_set_mtime(struct object *o, int64_t mtime_ns);
int in_place_sync(struct object *o);                 /* not locked meanwhile; nothing if nothing has changed */
int in_place_clone(struct object *from, struct object *to);   /* one of them or both are in place */
void in_place_close(struct object *o, struct reference *r);
void unsealed_remove(struct object *o);              /* from the list; the caller has a hold of its own */
/* seal.c */
int seal_try(struct object *o);                      /* locked, but not all the time; -EAGAIN: somebody may still write */
int seal_before_tail(struct object *o);              /* locked: before bytes go into the head that are no part of the blob yet */
int seal_leftover(struct object *o);                 /* locked: before the head of what is in its record is used again */
int unsealed_load(struct objects *os);               /* at start */
void unsealed_run(struct objects *os, int64_t until_ns);       /* in the background */
void unsealed_remove_heads(struct objects *os, uint64_t log_syncs, bool all_of_them);   /* at once; as far as a log sync that was begun as the nth has made it right */
int unsealed_sync(struct objects *os);               /* every head is on the disk */
void unsealed_end(struct objects *os);               /* seals what can be */
/* head_check.c: locked, sealed, nothing to absorb */
int head_verify(struct object *o, bool write);       /* -EIO: it is damaged */
void verify_run(struct objects *os, int64_t until_ns);

/* quota.c: the object locked */
int quota_admit(struct object *o, uint64_t offset, uint64_t size);            /* before a write is taken in; may commit. -EDQUOT */
int quota_admit_in_place(struct object *o, uint64_t offset, uint64_t size);
void quota_note_replayed(struct object *o, uint64_t offset, uint64_t size);   /* as taken in by an earlier daemon */
int quota_admit_publication(struct object *o, uint64_t offset, uint64_t size);   /* nothing of it is uncommitted */
int quota_admit_record(struct object *o, uint64_t size);                      /* of a stream that gives nothing back for it */
bool quota_has_room(struct objects *os, uint64_t bytes);
uint64_t quota_commit_begin(struct object *o);                                /* around each COMMIT and SEAL; what it returns goes to _end */
void quota_commit_end(struct object *o, uint64_t begun, uint64_t blocks_before, bool done);
void quota_settle(struct object *o);                                          /* nothing of it is uncommitted or unsealed any more */
void quota_note_in_place(struct object *o);                                   /* its record has the head's blocks */

/* blob_absorb.c */
static inline bool blob_unabsorbed(const struct object *o) { return o->record.rows + o->record.trims > 0; }
int blob_absorb(struct object *o);                   /* locked: rows and trims into the head, synced, dropped */
void absorb_run(struct objects *os, int64_t until_ns);
int reap_run(struct objects *os);
int heads_collect(struct objects *os);               /* at start: heads and side files that nothing refers to */

/* sides.c */
int sides_collect(struct objects *os);               /* removes the side files that nothing refers to */
void sides_run(struct objects *os, int64_t now_ns);  /* in the background, while there are any */

/* damaged.c */
int damaged_init(struct objects *os);
void damaged_done(struct objects *os);
void damaged_note(struct object *o, uint64_t block);  /* locked: its bytes do not match their checksum */
void damaged_run(struct objects *os, int64_t now_ns); /* in the background: is one whole again? */

/* reference.c */
int reference_open_after(struct objects *os, uint64_t ino, const struct reference_options *options, struct command *c /* NULL: none */, struct reference **ret_reference);
int reference_make(struct object *o, const struct reference_options *options, struct reference **ret_reference);
int reference_check_right(const struct reference *r, uint32_t right);   /* -EBADF, or -EACCES past its expiry */

/* attr.c: locked */
void object_attributes(struct object *o, struct attributes *ret);

/* stream.c, stream_direct.c, stream_recent.c: locked */
void stream_attributes(struct object *o, struct record *record);
uint32_t stream_ready(struct object *o, uint64_t position);
void stream_opened(struct object *o, struct reference *r);
void stream_closed(struct object *o, struct reference *r);
int stream_tidy(struct object *o, bool end);         /* ends it, or lets what is too old go */
/* stream_age.c */
void stream_age_init(struct objects *os);
void stream_age_done(struct objects *os);
void stream_age_note(struct object *o);              /* locked: it has records that will be too old */
void stream_end_later(struct object *o);             /* locked */
void stream_age_run(struct objects *os);
struct direct_stream *direct_stream_new(uint64_t limit_bytes);
void direct_stream_free(struct direct_stream *s);
void direct_stream_set_limit(struct direct_stream *s, uint64_t limit_bytes);
ssize_t direct_stream_append(struct direct_stream *s, const void *data, size_t size);
/* One record that contains or follows *offset: up to size bytes from *offset on; -EAGAIN: none yet; -EIO: gone. whole: the whole record or -EMSGSIZE. */
ssize_t direct_stream_read(struct direct_stream *s, uint64_t *offset, void *data, size_t size, bool whole, size_t *ret_size);
void direct_stream_release(struct direct_stream *s, uint64_t upto);   /* bytes below are not needed any more */
void direct_stream_state(const struct direct_stream *s, struct stream_state *ret_state);
void direct_stream_end(struct direct_stream *s, bool broken);
void direct_stream_consume(struct direct_stream *s, uint64_t upto);
/* For the newest records of another stream, which begin anywhere and of which the oldest go. */
struct direct_stream *direct_stream_new_recent(uint64_t limit_bytes);
void direct_stream_begin(struct direct_stream *s, uint64_t offset);   /* empty, from there on */
void direct_stream_drop_oldest(struct direct_stream *s, size_t coming, size_t records_max);   /* until there is room for `coming` bytes */

/* stream_recent.c. NULL: nobody has followed it yet. */
struct stream_recent *stream_recent_open(struct object *o);   /* for a follower */
void stream_recent_close(struct stream_recent *n);
void stream_recent_free(struct stream_recent *n);
void stream_recent_append(struct object *o, uint64_t offset, const void *data, size_t size);   /* a record that the state has */
void stream_recent_follow(struct object *o);                  /* another command has changed the stream's record */
void stream_recent_stop(struct stream_recent *n);             /* the record in memory may not be the stream's any more */
/* Not locked. A read at *offset as direct_stream_read's; false: it has to be done with the object locked. */
bool stream_recent_read(struct reference *r, uint64_t *offset, void *data, size_t size, bool whole, size_t *ret_size, ssize_t *ret_n);

#endif
