/* A command that commits blob content, while it is being put together. */
#include "objects/plan.h"

void plan_init(struct plan *p, struct object *o)
{
	*p = (struct plan){ .o = o };
	p->command.kind = COMMAND_COMMIT;
	p->command.sync_next = o->sync_next;
}

static void plan_reset_rows(struct plan *p)
{
	for (size_t i = 0; i < p->row_count; i++) free((void *)(uintptr_t)p->rows[i].bytes.data);
	p->row_count = 0;
	p->row_bytes = 0;
}

void plan_done(struct plan *p)
{
	plan_reset_rows(p);
	free(p->rows);
	free(p->crcs);
	free(p->present);
}

static int plan_grow_rows(struct plan *p)
{
	if (p->row_count < p->row_capacity) return 0;
	size_t capacity = p->row_capacity ? p->row_capacity * 2 : 32;
	struct command_row *rows = realloc(p->rows, capacity * sizeof(*rows));
	if (!rows) return -ENOMEM;
	p->rows = rows;
	p->row_capacity = capacity;
	return 0;
}

int plan_add_row(struct plan *p, uint64_t block, uint8_t *bytes, size_t size)
{
	if (plan_grow_rows(p) < 0) {
		free(bytes);
		return -ENOMEM;
	}
	p->rows[p->row_count++] = (struct command_row){ .block = block, .bytes = { bytes, size } };
	p->row_bytes += size;
	return 0;
}

int plan_add_side_row(struct plan *p, uint64_t block, uint64_t side, uint64_t side_offset, uint32_t size, uint32_t crc)
{
	if (plan_grow_rows(p) < 0) return -ENOMEM;
	p->rows[p->row_count++] = (struct command_row){ .block = block, .side = side, .side_offset = side_offset, .side_size = size, .side_crc = crc };
	return 0;
}

int plan_add_tail(struct plan *p, uint64_t block, bool present, uint32_t crc)
{
	if (p->tail_count == 0) p->tail_block = block;
	size_t index = block - p->tail_block;
	if (index >= p->tail_capacity) {
		size_t capacity = p->tail_capacity ? p->tail_capacity : 256;
		while (capacity <= index) capacity *= 2;
		uint32_t *crcs = realloc(p->crcs, capacity * sizeof(*crcs));
		if (!crcs) return -ENOMEM;
		p->crcs = crcs;
		uint8_t *bits = realloc(p->present, capacity / 8);
		if (!bits) return -ENOMEM;
		p->present = bits;
		p->tail_capacity = capacity;
	}
	for (size_t i = p->tail_count; i <= index; i++) {
		p->crcs[i] = 0;
		p->present[i / 8] &= (uint8_t)~(1u << (i % 8));
	}
	p->tail_count = index + 1;
	p->crcs[index] = crc;
	if (present) p->present[index / 8] |= (uint8_t)(1u << (index % 8));
	return 0;
}

int plan_add_tail_run(struct plan *p, struct disk_file *file, uint64_t block, uint64_t end, uint64_t size)
{
	uint32_t crcs[CRC_BLOCKS], crc;
	while (block < end) {
		if (tail_block_crc(&p->o->tail, block, plan_block_used(block, size), &crc)) {
			int r = plan_add_tail(p, block, true, crc);
			if (r < 0) return r;
			block++;
			continue;
		}
		size_t count = 1;
		while (count < CRC_BLOCKS && block + count < end && !tail_block_crc(&p->o->tail, block + count, plan_block_used(block + count, size), &crc)) count++;
		int r = blob_crc_blocks(file, block, count, size, crcs);
		for (size_t i = 0; r == 0 && i < count; i++) r = plan_add_tail(p, block + i, true, crcs[i]);
		if (r < 0) return r;
		block += count;
	}
	return 0;
}

static int by_block(const void *a, const void *b)
{
	const struct command_row *x = a, *y = b;
	return x->block < y->block ? -1 : x->block > y->block;
}

int plan_propose(struct plan *p, uint64_t size, uint64_t stage_seq, bool durable)
{
	struct object *o = p->o;
	struct command_commit *c = &p->command.commit;
	c->ino = o->ino;
	c->size = size;
	c->mtime_ns = o->mtime_now_ns;
	c->stage_seq = stage_seq;
	c->to_head = o->moving && o->record.place == PLACE_INLINE;
	if (p->row_count > 1) qsort(p->rows, p->row_count, sizeof(*p->rows), by_block);
	c->rows = p->rows;
	c->row_count = (uint32_t)p->row_count;
	c->tail_block = p->tail_block;
	c->tail_crcs = p->crcs;
	c->tail_present = p->present;
	c->tail_count = (uint32_t)p->tail_count;
	/* Before: also if the outcome stays unknown, absorbing begins early enough. */
	if (p->row_count > 0 && p->rows[0].block < o->row_first) o->row_first = p->rows[0].block;
	struct result result;
	uint64_t version = o->record.version, blocks = o->record.blocks, pending = quota_commit_begin(o);
	int r = object_propose(o->os, o, &p->command, durable, &result);
	quota_commit_end(o, pending, blocks, r == 0);
	if (r == -EIO) {
		o->unknown_version = version + 1;
		o->unknown_blocks = UINT64_MAX;
	}
	if (r < 0) return r;
	if (blob_unabsorbed(o)) atomic_store(&o->os->absorb_wanted, true);
	plan_reset_rows(p);
	p->tail_count = 0;
	p->command.seq = 0;
	p->command.time_ns = 0;
	return 0;
}
