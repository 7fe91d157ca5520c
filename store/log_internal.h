/* Shared by the files of the Raft log only.
 *
 * A log is a chain of segments, oldest first; the last one is written to. Each begins with a LOG_START record that says
 * where the one before it ends. Segments that nothing needs any more leave the chain at its beginning, get a new header,
 * and come back at its end: the header is synced before the segment is used, and says where the chain begins, so that a
 * crash at any step leaves either the old segment, whole and unneeded, or an empty new one.
 *
 * Locks, in order: `append` (one writer), `sync` (one fdatasync at a time: who waits for it is mostly served by the one
 * before or shares the next, and an error that the kernel reports only once cannot reach one caller and be missed by
 * another; neither appends nor reads wait for it), `lock` (the memory). */
#ifndef DIOS_STORE_LOG_INTERNAL_H
#define DIOS_STORE_LOG_INTERNAL_H

#include "base/lock.h"
#include "store/log.h"
#include "store/log_format.h"

#define LOG_FREE_MAX 2                /* segments kept for reuse beside the one that is ready; the others are deleted */
#define LOG_SEGMENT_MIN (8u << 10)    /* bytes: tests use small ones */

struct log_segment {
	uint32_t number;                  /* its file's name */
	uint64_t seq, salt;
	uint32_t size;                    /* bytes */
	uint32_t end;                     /* where its last record ends */
	unsigned users;                   /* reads and syncs in progress: not to be used again meanwhile */
	struct disk_file *file;
};

/* Where an entry is. */
struct log_place { uint64_t term, seq; uint32_t offset, size; };

struct log_member {                   /* a group */
	uint32_t group;
	uint64_t term, voted_for, base_index, base_term;
	bool seen, stated;                /* recovery: an entry was read; a base was read, namely: */
	uint64_t stated_index, stated_term;
	uint64_t state_seq;               /* the segment of its newest LOG_STATE record; 0: there is none */
	struct log_place *places;         /* places[first .. first + count): entries base_index + 1 and on */
	size_t first, count, capacity;
};

struct log_segments { struct log_segment **items; size_t count, capacity; };

struct log {
	struct disk *disk;
	char folder[64];
	uint32_t segment_size;

	struct lock append, sync, lock;

	/* Written under append and lock, read under either. */
	struct log_segments chain;
	struct log_member **members;      /* sorted by group */
	size_t member_count, member_capacity;
	uint64_t bytes;                   /* of records of entries that are not compacted */

	/* Under append. */
	struct log_segments unused;       /* off the chain, to be used again */
	struct log_segment *ready;        /* has its new header, synced; NULL: none */
	struct log_position free_after;   /* once this is synced, what is off the chain is really not needed */
	uint64_t next_seq;
	uint32_t next_number;
	bool unclean;                     /* the same, and the first of them could not be made unreadable yet: nothing is written before that is done */
	bool torn;                        /* bytes after the end may look like records: the next record goes to a new segment */
	struct log_position opened_end;   /* where the log ended when it was opened */
	int (*make_room)(void *arg, uint64_t bytes);
	void *make_room_arg;

	/* Under lock. */
	struct log_position synced;
	unsigned syncing;                 /* threads in log_sync */
	int error;                        /* after a failed sync: refused for ever */
};

/* log_segment.c */
int log_segments_push(struct log_segments *list, struct log_segment *segment);
struct log_segment *log_segments_take(struct log_segments *list, size_t at);
void log_segment_path(const struct log *log, uint32_t number, char path[96]);
#define LOG_REMOVED ".old"   /* behind the name of a segment that is being deleted */
int log_file_remove(struct log *log, const char *path);
void log_segment_free(struct log_segment *segment);            /* closes the file; NULL is fine */
struct log_segment *log_current(struct log *log);              /* NULL while the chain is empty */
struct log_segment *log_segment_find(struct log *log, uint64_t seq);   /* on the chain */
/* Makes a segment ready, if none is. append held. */
int log_prepare_segment(struct log *log);
/* The next record goes to a new segment, which begins with its LOG_START. append held. */
int log_roll(struct log *log);

/* log_member.c */
struct log_member *log_member_find(struct log *log, uint32_t group);
int log_member_make(struct log *log, uint32_t group, struct log_member **ret_member);   /* lock held */
void log_member_free(struct log_member *m);
static inline uint64_t log_member_last(const struct log_member *m) { return m->base_index + m->count; }
static inline struct log_place *log_member_place(struct log_member *m, uint64_t index) { return &m->places[m->first + (index - m->base_index - 1)]; }
int log_member_reserve(struct log_member *m, size_t more);
void log_member_add(struct log *log, struct log_member *m, struct log_place place);     /* room was reserved */
void log_member_cut(struct log *log, struct log_member *m, uint64_t from_index);
/* A new base. Entries beyond it stay if the entry at the base has its term; a lower base changes nothing. */
void log_member_set_base(struct log *log, struct log_member *m, uint64_t index, uint64_t term);

/* log_write.c; append held */
int log_write_record(struct log *log, const struct log_record *record, struct log_position *ret_position);
int log_write_entries(struct log *log, uint32_t group, const struct log_entry *entries, size_t count);
int log_write_state(struct log *log, const struct log_member *m, uint64_t *ret_seq);

/* log_compact.c; append held. Takes what nothing needs off the chain's beginning. */
void log_trim(struct log *log);

/* log_recover.c */
int log_recover(struct log *log);

#endif
