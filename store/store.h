/* This node's disk: the data directory, opened as a whole.
 *
 * DIR/format    "dios data directory", format version, cluster id, node id, disk id, time of making; text, checksummed
 * DIR/lock      flock(2)ed by the running daemon
 * DIR/state/    RocksDB: the applied state      DIR/log/    segments of the Raft log
 * DIR/stage/    the staging log                 DIR/heads/ DIR/side/   bytes of larger blobs
 * DIR/key       the cluster's key, 0600
 * DIR/reserve   a preallocated file that keeps room for records and log
 * DIR/format.copy, DIR/key.copy   the same once more
 * DIR/lost/     what `dios fsck --repair` has taken out of use
 * DIR/unfinished  while it is being made: what is there without a format file may be made anew
 *
 * docs/DISK_FORMAT.md has the bytes of each.
 */
#ifndef DIOS_STORE_STORE_H
#define DIOS_STORE_STORE_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/random.h"
#include "store/aside.h"
#include "store/disk.h"
#include "store/head.h"
#include "store/kv.h"
#include "store/log.h"
#include "store/stage.h"

#define STORE_FORMAT_VERSION 1

struct store {
	struct disk *disk;
	struct kv *kv;
	struct log *log;
	struct stage *stage;
	struct heads *heads;
	struct aside *aside;            /* NULL: no threads */
	uint8_t cluster_id[16], disk_id[16];
	uint64_t node_id;
	uint8_t cluster_key[32];
	uint64_t flush_log_bytes;       /* when the log is longer, the state is to be flushed and the log compacted */
	/* private */
	struct disk_file *lock_file;
	bool owns_disk;
	uint64_t reserve_bytes;         /* free space that growth leaves */
	_Atomic int64_t room_left;      /* bytes that may be written before the disk is asked again */
	struct lock reserve_lock;       /* guards reserve_held */
	struct disk_file *reserve_file; /* NULL: there is none */
	uint64_t reserve_file_bytes;
	bool reserve_held;
};

/* Makes a data directory in an existing empty or missing folder, or finishes one whose making was interrupted. On failure a
 * sentence for people is in error[], which names what was found and what was expected. -EEXIST: already one; -ENOTEMPTY: something
 * else is in it, or a data directory without its format file (never made anew over its data); -EBUSY: somebody else makes or uses it. */
int store_init(const char *directory, struct random_source *random, struct clock *clock, char *error, size_t error_size);
/* -EBUSY: another daemon has it; -EBADMSG: damaged; -ENOTSUP: made by a newer format; -ENOENT: missing, or without a format file (not
 * ours, or its making was interrupted); -EINVAL: its format file is something else's. error[] as above. */
int store_open(const char *directory, uint64_t cache_bytes, struct store **ret_store, char *error, size_t error_size);
/* Does the state fit the log? Asked before the state is opened for writing. 0 or -EBADMSG. */
typedef int (*store_judge)(struct kv *state, struct log *log, const uint8_t cluster_key[32]);
int store_open_judged(const char *directory, uint64_t cache_bytes, store_judge judge, struct store **ret_store, char *error, size_t error_size);
/* Once, for who serves programs: syncs that belong together go on beside each other from now on. */
int store_start_threads(struct store *store);
void store_close(struct store *store);    /* syncs */
/* For who works on a data directory without opening it. The lock is held while *ret_file is open; -EBUSY. */
int store_lock(struct disk *disk, const char *directory, struct disk_file **ret_file, char *error, size_t error_size);
int store_boot_id(uint8_t ret_id[16]);
/* The same over a simulated disk (made there when it is empty); the disk stays the caller's. */
int store_open_sim(struct disk *disk, struct random_source *random, const uint8_t boot_id[16], struct store **ret_store);
/* Renews the daemon's hold on DIR/reserve, and says whether growth by `bytes` is still allowed (R8). Asks the disk only now and then.
 * When it says no, deletions and the log still go on: out of the free space that growth leaves, then out of the reserve. */
bool store_has_room(struct store *store, uint64_t bytes);
static inline uint64_t store_kept_free(const struct store *store) { return store->reserve_bytes; }   /* the free space that growth leaves */

#endif
