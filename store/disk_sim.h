/* The simulated disk and its simulated key-value store: same interfaces, in memory, single-threaded, deterministic.
 *
 * Every call that changes state is a step (a write, a sync, a new file; opening an old one, reading, mkdir of a folder
 * that is there are none; kv_write and kv_flush are). disk_sim_crash_after(n) makes the n-th step from now, and all later
 * calls, fail with -ESHUTDOWN: the node is dead. That last step may have happened in part: a write up to some sector, a
 * change of a name or a size wholly or not at all.
 *
 * disk_sim_power_cut then decides what the disk holds: synced bytes and names stay; each unsynced 512-byte sector, size
 * change and name change is kept or lost at random (seeded), in any order for sectors, in order for names of one folder.
 * A sector written several times since the last sync may come back as of any of these writes. disk_sim_process_kill
 * instead keeps everything that was written, and what was not synced may still be lost later. Both bring the node back. */
#ifndef DIOS_STORE_DISK_SIM_H
#define DIOS_STORE_DISK_SIM_H

#include "base/clock.h"
#include "base/random.h"
#include "store/disk.h"
#include "store/kv.h"

int disk_sim_new(struct random_source *random, uint64_t capacity_bytes, struct disk **ret_disk);
uint64_t disk_sim_steps(const struct disk *d);                  /* steps so far */
void disk_sim_crash_after(struct disk *d, uint64_t steps);      /* 0: never */
bool disk_sim_crashed(const struct disk *d);
void disk_sim_power_cut(struct disk *d);                        /* open files become invalid: close them before (a store, log, ... closes on a dead disk too) */
void disk_sim_process_kill(struct disk *d);
void disk_sim_set_capacity(struct disk *d, uint64_t capacity_bytes);
void disk_sim_set_clock(struct disk *d, struct clock *clock);                 /* what a change sets mtime to */
int disk_sim_flip_bit(struct disk *d, const char *path, uint64_t bit);        /* silent damage; -ENOENT, -ERANGE */
void disk_sim_fail_sync(struct disk *d, uint64_t nth);          /* the n-th sync of a file from now fails with -EIO and loses its bytes:
                                                                   they are still read (disk_drop_cache ends that), but no later sync makes them durable */

/* A key-value store that lives in this disk. What was flushed survives a power cut and a kill; of what was written later a
 * beginning may survive, a whole number of batches (RocksDB flushes by itself, too). -EBUSY: it is open. */
int kv_sim_open(struct disk *d, const char *directory, struct kv **ret_kv);

#endif
