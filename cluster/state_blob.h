/* Private to the state machine: the blocks of a blob with a head, while a command changes them. */
#ifndef DIOS_CLUSTER_STATE_BLOB_H
#define DIOS_CLUSTER_STATE_BLOB_H

#include "cluster/state_apply.h"

/* One checksum entry (a MiB) is in memory at a time. */
struct blocks {
	struct apply *a;
	struct record *r;
	uint64_t version;         /* the one that the changes get */
	struct state_crcs entry;
	uint64_t mib;
	bool loaded, dirty;
	bool flushed;             /* an entry is in the batch: reads must look there */
	uint32_t unabsorbed_before;
};

void blocks_begin(struct blocks *b, struct apply *a, struct record *r, uint64_t version);
int blocks_end(struct blocks *b);      /* the last entry, and whether the blob is in the list of unabsorbed ones */

/* What is at a block: */
int block_state(struct blocks *b, uint64_t block, bool *ret_present, bool *ret_row);
int block_set(struct blocks *b, uint64_t block, uint32_t crc);                 /* it is in the heads */
int block_set_row(struct blocks *b, uint64_t block, uint32_t crc);             /* it has a row; the caller puts that */
int block_drop_row(struct blocks *b, uint64_t block);                          /* the heads hold it now */
/* Blocks [block, block + count) become holes; rows go, and if a head may hold bytes there, a trim tells it. */
int blocks_clear(struct blocks *b, uint64_t block, uint64_t count);
/* The same without a trim: what the head holds is what it says itself (SEAL). Blocks without rows. */
int blocks_forget(struct blocks *b, uint64_t block, uint64_t count);
/* -EINVAL if a trim that no head has absorbed yet covers one of [block, block + count); with a bitmap (NULL: all), one that has its bit. */
int blocks_check_trims(struct blocks *b, uint64_t block, uint32_t count, const uint8_t *present);

int get_blob(struct apply *a, uint64_t ino, struct record **ret_blob);         /* state_commit.c: -ENOENT, -EISDIR, -EINVAL */

static inline uint64_t block_count(uint64_t size) { return size / BLOCK_SIZE + (size % BLOCK_SIZE != 0); }
int row_put(struct blocks *b, const struct command_row *row);                  /* the row's key and checksum */

#endif
