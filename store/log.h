/* The Raft log of all groups of this node, in segment files of its own that are written ahead of use and recycled.
 *
 * Invariants:
 *   - a record is found again after a crash if a log_sync that covers it has returned (or, with the machine still up,
 *     if its append has returned); what is found is a beginning of what was appended, in order;
 *   - recovery cuts at the first bad record beyond the highest synced offset that any good record states (A3);
 *     damage before that is -EBADMSG: a lost disk, never a shorter log;
 *   - a segment is used again only below the compacted index of every group with records in it;
 *   - term and vote are records of the same log and are synced before log_set_vote returns (A1).
 *
 * Thread-safe: appends in order from one thread at a time, syncs from any. No call waits on a condition, so it may be
 * made with locks of a rank below LOCK_LOG held; log_sync blocks as long as the disk does.
 *
 * Errors: once log_failed, -EIO for ever: close it and open it again. Otherwise an append of one entry that fails has appended nothing,
 * and the next may succeed: -ENOSPC (no room for another segment), -ENOMEM, -EMFILE, -EIO (as of the disk; a crash right after may show the entry). Of several entries some may have been appended: log_get_group tells what the log has. */
#ifndef DIOS_STORE_LOG_H
#define DIOS_STORE_LOG_H

#include <stdbool.h>
#include "base/buffer.h"
#include "store/disk.h"

#define LOG_ENTRY_MAX (4 << 20)          /* bytes: a command is at most 1 MiB of rows and its wrapping */
#define LOG_SEGMENT_SIZE (16 << 20)      /* bytes, default */
#define LOG_SEGMENT_MAX (1u << 30)       /* bytes */

struct log;
struct log_entry { uint64_t index, term; uint16_t type; struct slice data; };
struct log_group { uint32_t group; uint64_t first_index, last_index;   /* first > last: empty */ uint64_t term, voted_for;
	uint64_t base_index, base_term; /* the entry just before first_index: 0, 0 at the start */ };

/* Opens or makes the log in a folder of the disk. A fresh machine boot id is not needed: synced offsets tell. segment_size:
 * bytes, 8 KiB to 1 GiB, a multiple of 64; an entry must fit in a segment with its header (-EMSGSIZE), so LOG_ENTRY_MAX
 * needs a little more than itself. It may differ from the last time. -EBADMSG: damaged; -ENOTSUP: made by a newer version. */
int log_open(struct disk *disk, const char *folder, uint64_t segment_size, struct log **ret_log);
/* Syncs (a failure is not told: log_sync before, where it matters). NULL is fine. */
void log_close(struct log *log);
/* Makes the next segment ready while there is time, so that no append has to wait for it; to be called every second or so. */
int log_prepare(struct log *log);
/* Called when there is no room for a segment of `bytes`: 0 if room was made, to try once more. Called under the log's locks: it
 * must not call the log, nor take a lock of a rank below LOCK_STORE. */
void log_set_make_room(struct log *log, int (*make_room)(void *arg, uint64_t bytes), void *arg);
/* Fills in what is known of a group; first_index 1 and zeros for a new one. */
void log_get_group(struct log *log, uint32_t group, struct log_group *ret_group);
/* Appends entries with consecutive indexes. An index at or below the last one first cuts the group's tail there (a follower's conflict).
 * -EINVAL: a gap, or at or below the base. */
int log_append(struct log *log, uint32_t group, const struct log_entry *entries, size_t count);
/* The entries from from_index on are gone; beyond the last: nothing to do. -EINVAL: at or below the base. */
int log_cut_tail(struct log *log, uint32_t group, uint64_t from_index);
int log_set_vote(struct log *log, uint32_t group, uint64_t term, uint64_t voted_for);   /* synced */
/* Everything appended before the call is on stable storage when it returns. Concurrent calls share one fdatasync.
 * After a failure the log refuses everything with -EIO (a failed fsync proves nothing about the bytes). */
int log_sync(struct log *log);
/* A log_sync follows soon: what was appended begins to go to the disk meanwhile. Nothing is done while somebody syncs: what is appended then
 * goes out with the others' in one write. */
void log_begin_sync(struct log *log);
bool log_sync_due(struct log *log);      /* something appended is not synced */
bool log_failed(struct log *log);   /* a sync has failed: it takes nothing any more */
/* -ENOENT: not in the log; -EBADMSG: damaged. data is reset first; its limit must allow for the entry and 128 bytes more. */
int log_read(struct log *log, uint32_t group, uint64_t index, uint64_t *ret_term, uint16_t *ret_type, struct buffer *data);
/* Entries up to and including index are in a durable snapshot (flushed state): their segments may be used again. Entries beyond
 * it stay if the log has the entry (index, term); else, as after installing a snapshot, the log is empty and goes on behind it. */
int log_compact(struct log *log, uint32_t group, uint64_t index, uint64_t term);
uint64_t log_bytes(struct log *log);      /* bytes of records that are not compacted: when to flush the state */

#endif
