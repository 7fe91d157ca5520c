/* The simulated disk and its simulated key-value store: same interfaces, in memory, single-threaded, deterministic.
 *
 * Every call that changes state is a step. disk_sim_crash_after(n) makes the n-th step from now, and all later calls,
 * fail with -ESHUTDOWN: the node is dead. disk_sim_power_cut then decides what the disk holds: synced bytes and names
 * stay; each unsynced 512-byte sector, size change and name change is kept or lost at random (seeded), in any order
 * for sectors, in order for names of one folder. disk_sim_process_kill instead keeps everything that was written. */
#ifndef DIOS_STORE_DISK_SIM_H
#define DIOS_STORE_DISK_SIM_H

#include "base/random.h"
#include "store/disk.h"
#include "store/kv.h"

int disk_sim_new(struct random_source *random, uint64_t capacity_bytes, struct disk **ret_disk);
uint64_t disk_sim_steps(const struct disk *d);                  /* steps so far */
void disk_sim_crash_after(struct disk *d, uint64_t steps);      /* 0: never */
bool disk_sim_crashed(const struct disk *d);
void disk_sim_power_cut(struct disk *d);                        /* open files become invalid: close them before */
void disk_sim_process_kill(struct disk *d);
void disk_sim_set_capacity(struct disk *d, uint64_t capacity_bytes);
int disk_sim_flip_bit(struct disk *d, const char *path, uint64_t bit);        /* silent damage; -ENOENT, -ERANGE */
void disk_sim_fail_sync(struct disk *d, uint64_t nth);          /* the n-th sync from now fails with -EIO and loses its bytes */

/* A key-value store that lives in this disk: what was flushed survives a power cut and a kill, nothing else does. */
int kv_sim_open(struct disk *d, const char *directory, struct kv **ret_kv);

#endif
