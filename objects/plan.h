/* Private to objects/: a COMMIT command while it is being put together: rows (owned copies) and checksums of tail blocks. */
#ifndef DIOS_OBJECTS_PLAN_H
#define DIOS_OBJECTS_PLAN_H

#include "objects/object.h"

#define PLAN_TAIL_BLOCKS_MAX 131072u   /* 512 MiB: bounds a command's checksums to a fifth of COMMAND_MAX */

struct plan {
	struct object *o;
	struct command command;
	struct command_row *rows;
	size_t row_count, row_capacity;
	uint64_t row_bytes;
	uint32_t *crcs;
	uint8_t *present;
	size_t tail_count, tail_capacity;
	uint64_t tail_block;
};

void plan_init(struct plan *p, struct object *o);
void plan_done(struct plan *p);
int plan_add_row(struct plan *p, uint64_t block, uint8_t *bytes, size_t size);   /* takes bytes, also on failure */
int plan_add_side_row(struct plan *p, uint64_t block, uint64_t side, uint64_t side_offset, uint32_t size, uint32_t crc);
int plan_add_tail(struct plan *p, uint64_t block, bool present, uint32_t crc);   /* ascending blocks */
int plan_add_tail_run(struct plan *p, struct disk_file *file, uint64_t block, uint64_t end, uint64_t size);   /* blocks [block, end) as the head has them: by the tail's checksums, else read back */
/* Proposes what is planned with the object's new size, and is empty again. */
int plan_propose(struct plan *p, uint64_t size, uint64_t stage_seq, bool durable);
size_t plan_block_used(uint64_t block, uint64_t size);   /* bytes of a block below size */

#endif
