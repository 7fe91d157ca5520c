/* Checksums of uncommitted tails. Sequential writing extends one run, whatever the sizes of the writes: CRC32C goes on from where it stood. */
#include "objects/tail.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/crc32c.h"
#include "base/error.h"
#include "cluster/record.h"

void tail_clear(struct tail *t)
{
	for (size_t i = 0; i < t->count; i++) free(t->runs[i].crcs);
	t->count = 0;
}

void tail_done(struct tail *t)
{
	tail_clear(t);
	free(t->runs);
	*t = (struct tail){ 0 };
}

/* Index of the first run that ends after offset. */
static size_t run_index(const struct tail *t, uint64_t offset)
{
	size_t low = 0, high = t->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (t->runs[middle].offset + t->runs[middle].size <= offset) low = middle + 1;
		else high = middle;
	}
	return low;
}

struct tail_run *tail_find(const struct tail *t, uint64_t offset)
{
	size_t i = run_index(t, offset);
	return i < t->count ? &t->runs[i] : NULL;
}

static size_t run_blocks(uint64_t offset, uint64_t size)
{
	return (size_t)((offset + size - 1) / BLOCK_SIZE - offset / BLOCK_SIZE + 1);
}

static int run_reserve(struct tail_run *r, size_t blocks)
{
	if (blocks <= r->crc_capacity) return 0;
	size_t capacity = r->crc_capacity ? r->crc_capacity : 4;
	while (capacity < blocks) capacity *= 2;
	uint32_t *crcs = realloc(r->crcs, capacity * sizeof(*crcs));
	if (!crcs) return -ENOMEM;
	r->crcs = crcs;
	r->crc_capacity = capacity;
	return 0;
}

/* Behind the run's last byte; there is room. */
static void run_append(struct tail_run *r, const uint8_t *data, size_t size)
{
	while (size > 0) {
		uint64_t end = r->offset + r->size;
		size_t room = BLOCK_SIZE - end % BLOCK_SIZE, n = size < room ? size : room, i = (size_t)(end / BLOCK_SIZE - r->offset / BLOCK_SIZE);
		r->crcs[i] = crc32c(r->size == 0 || end % BLOCK_SIZE == 0 ? 0 : r->crcs[i], data, n);
		r->size += n;
		data += n;
		size -= n;
	}
}

static int run_insert(struct tail *t, size_t i, uint64_t offset, struct tail_run **ret_run)
{
	if (t->count == t->capacity) {
		size_t capacity = t->capacity ? t->capacity * 2 : 4;
		struct tail_run *runs = realloc(t->runs, capacity * sizeof(*runs));
		if (!runs) return -ENOMEM;
		t->runs = runs;
		t->capacity = capacity;
	}
	memmove(&t->runs[i + 1], &t->runs[i], (t->count - i) * sizeof(*t->runs));
	t->runs[i] = (struct tail_run){ .offset = offset };
	t->count++;
	*ret_run = &t->runs[i];
	return 0;
}

int tail_put(struct tail *t, uint64_t offset, const void *data, size_t size)
{
	if (size == 0) return 0;
	size_t i = run_index(t, offset);
	assert(i == t->count || t->runs[i].offset >= offset + size);
	struct tail_run *r = i > 0 ? &t->runs[i - 1] : NULL;
	if (r && r->offset + r->size == offset) {
		if (run_reserve(r, run_blocks(r->offset, r->size + size)) < 0) return -ENOMEM;
	} else {
		struct tail_run made = { 0 };
		if (run_reserve(&made, run_blocks(offset, size)) < 0) return -ENOMEM;
		if (run_insert(t, i, offset, &r) < 0) {
			free(made.crcs);
			return -ENOMEM;
		}
		r->crcs = made.crcs;
		r->crc_capacity = made.crc_capacity;
	}
	run_append(r, data, size);
	return 0;
}

struct tail_part tail_run_part(const struct tail_run *r, uint64_t block)
{
	uint64_t start = block * BLOCK_SIZE, end = start + BLOCK_SIZE, run_end = r->offset + r->size;
	if (start < r->offset) start = r->offset;
	if (end > run_end) end = run_end;
	return (struct tail_part){ .offset = start, .size = (size_t)(end - start), .crc = &r->crcs[block - r->offset / BLOCK_SIZE] };
}

bool tail_block_crc(const struct tail *t, uint64_t block, size_t used, uint32_t *ret_crc)
{
	static const uint8_t zeros[BLOCK_SIZE];
	uint64_t start = block * BLOCK_SIZE;
	const struct tail_run *r = tail_find(t, start);
	if (!r || r->offset > start) return false;
	struct tail_part part = tail_run_part(r, block);
	if (part.size != used) return false;
	*ret_crc = used < BLOCK_SIZE ? crc32c(*part.crc, zeros, BLOCK_SIZE - used) : *part.crc;
	return true;
}
