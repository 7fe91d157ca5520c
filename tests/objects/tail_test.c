/* Checksums of a tail that grows in pieces of any size: compared with those of the whole blocks. */
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/random.h"
#include "cluster/record.h"
#include "objects/tail.h"
#include "tests/tap.h"

#define SPACE (64 * BLOCK_SIZE)

static uint8_t bytes[SPACE + BLOCK_SIZE];
static bool have[SPACE];

/* Puts what is not there of [offset, offset + size), as a writer does. */
static void put_missing(struct tail *t, uint64_t offset, uint64_t end)
{
	while (offset < end) {
		const struct tail_run *run = tail_find(t, offset);
		uint64_t to = run && run->offset > offset && run->offset < end ? run->offset : end;
		if (run && run->offset <= offset) {
			offset = run->offset + run->size;
			continue;
		}
		if (tail_put(t, offset, bytes + offset, (size_t)(to - offset)) < 0)
			abort();
		memset(have + offset, 1, to - offset);
		offset = to;
	}
}

static bool blocks_right(const struct tail *t, unsigned *ret_known)
{
	for (uint64_t block = 0; block < SPACE / BLOCK_SIZE; block++) {
		for (size_t used = BLOCK_SIZE; used >= BLOCK_SIZE / 2; used -= BLOCK_SIZE / 2) {
			uint8_t padded[BLOCK_SIZE] = { 0 };
			uint32_t crc;
			if (!tail_block_crc(t, block, used, &crc))
				continue;
			memcpy(padded, bytes + block * BLOCK_SIZE, used);
			++*ret_known;
			if (crc != crc32c(0, padded, BLOCK_SIZE))
				return false;
			for (size_t i = 0; i < used; i++)
				if (!have[block * BLOCK_SIZE + i])
					return false;
		}
	}
	return true;
}

static void random_pieces(uint64_t seed)
{
	struct random_seeded random;
	struct tail t = { 0 };
	unsigned known = 0;
	bool good = true;

	random_seeded_init(&random, seed);
	memset(have, 0, sizeof(have));
	for (unsigned i = 0; good && i < 300; i++) {
		uint64_t offset = random_below(&random.source, SPACE), size = 1 + random_below(&random.source, i % 3 ? 5000 : 300);
		put_missing(&t, offset, offset + size < SPACE ? offset + size : SPACE);
		if (i % 10 == 9)
			good = blocks_right(&t, &known);
	}
	ok(good && known > 0, "seed %" PRIu64 ": %u checksums of random pieces are those of the blocks", seed, known);
	tail_done(&t);
}

int main(void)
{
	struct tail t = { 0 };
	struct random_seeded random;
	unsigned known = 0;

	random_seeded_init(&random, 1);
	random_fill(&random.source, bytes, SPACE);
	for (uint64_t at = 0; at < SPACE; at += 1000)
		put_missing(&t, at, at + 1000 < SPACE ? at + 1000 : SPACE);
	ok(t.count == 1 && blocks_right(&t, &known) && known >= SPACE / BLOCK_SIZE, "writing from the beginning to the end makes one run, and every block is known");
	tail_clear(&t);
	memset(have, 0, sizeof(have));
	put_missing(&t, 100, 5000);
	uint32_t crc;
	ok(!tail_block_crc(&t, 0, BLOCK_SIZE, &crc), "a block whose beginning is missing is not known");
	ok(!tail_block_crc(&t, 1, BLOCK_SIZE, &crc) && tail_block_crc(&t, 1, 904, &crc), "one that ends early is known for its size only");
	tail_done(&t);
	for (uint64_t seed = 1; seed <= 10; seed++)
		random_pieces(seed);
	return done_testing();
}
