/* Blob commits over heads in memory. */
#include <assert.h>
#include <string.h>

#include "base/crc32c.h"
#include "tests/cluster/proposer.h"

#define TRIMS_MAX 64

static bool chance(struct proposer *p, unsigned percent)
{
	return random_below(p->random, 100) < percent;
}

void proposer_init(struct proposer *p, struct fixture *f, struct random_source *random)
{
	memset(p, 0, sizeof(*p));
	p->f = f;
	p->random = random;
}

void proposer_done(struct proposer *p)
{
	for (size_t i = 0; i < PROPOSER_HEADS; i++)
		free(p->heads[i].bytes);
}

static size_t head_index(struct proposer *p, uint64_t ino)
{
	size_t empty = PROPOSER_HEADS;

	for (size_t i = 0; i < PROPOSER_HEADS; i++) {
		if (p->heads[i].ino == ino)
			return i;
		if (p->heads[i].ino == 0 && empty == PROPOSER_HEADS)
			empty = i;
	}
	assert(empty < PROPOSER_HEADS);
	p->heads[empty].ino = ino;
	return empty;
}

void proposer_forget(struct proposer *p, uint64_t ino)
{
	size_t i = head_index(p, ino);

	free(p->heads[i].bytes);
	memset(&p->heads[i], 0, sizeof(p->heads[i]));
}

struct proposer_head proposer_keep(struct proposer *p, uint64_t ino)
{
	size_t i = head_index(p, ino);
	struct proposer_head head = { .bytes = malloc(p->heads[i].size + 1), .size = p->heads[i].size };

	assert(head.bytes);
	if (head.size > 0)
		memcpy(head.bytes, p->heads[i].bytes, head.size);
	return head;
}

void proposer_put_back(struct proposer *p, uint64_t ino, const struct proposer_head *head)
{
	size_t i = head_index(p, ino);

	if (head->size > 0)
		memcpy(p->heads[i].bytes, head->bytes, head->size);
	p->heads[i].size = head->size;
}

static void head_write(struct proposer *p, uint64_t ino, uint64_t block, const uint8_t *bytes)
{
	size_t i = head_index(p, ino), end = (block + 1) * BLOCK_SIZE;

	if (end > p->heads[i].capacity) {
		p->heads[i].capacity = 2 * end;
		p->heads[i].bytes = realloc(p->heads[i].bytes, p->heads[i].capacity);
		assert(p->heads[i].bytes);
	}
	if (end > p->heads[i].size) {
		memset(p->heads[i].bytes + p->heads[i].size, 0xee, end - p->heads[i].size);   /* not zeros: nobody may rely on them */
		p->heads[i].size = end;
	}
	memcpy(p->heads[i].bytes + block * BLOCK_SIZE, bytes, BLOCK_SIZE);
}

/* What a reader of a blob with a head finds in a block: false if a checksum is wrong. */
static bool read_block(struct proposer *p, uint64_t ino, uint64_t block, uint8_t out[BLOCK_SIZE], bool *ret_present, bool *ret_row)
{
	size_t head = head_index(p, ino);
	struct state_crcs crcs;
	unsigned i = block % CRC_BLOCKS;

	memset(out, 0, BLOCK_SIZE);
	*ret_present = *ret_row = false;
	if (state_get_crcs(p->f->state, ino, block / CRC_BLOCKS, &crcs) < 0 || !(crcs.present[i / 8] >> (i % 8) & 1))
		return true;
	*ret_present = true;
	*ret_row = crcs.rows[i / 8] >> (i % 8) & 1;
	if (*ret_row) {
		struct buffer storage _cleanup_buffer_;
		struct state_row row;
		buffer_init(&storage, 1u << 16);
		if (state_get_row(p->f->state, ino, block, &storage, &row) < 0)
			return false;
		if (row.bytes.size > 0)
			memcpy(out, row.bytes.data, row.bytes.size);
	} else if ((block + 1) * BLOCK_SIZE <= p->heads[head].size) {
		memcpy(out, p->heads[head].bytes + block * BLOCK_SIZE, BLOCK_SIZE);
	} else {
		return false;
	}
	return crc32c(0, out, BLOCK_SIZE) == crcs.crc[i];
}

uint8_t *proposer_read(struct proposer *p, uint64_t ino, uint64_t *ret_size, const char **ret_wrong)
{
	struct record r = fixture_record(p->f, ino);
	uint64_t blocks = (r.size + BLOCK_SIZE - 1) / BLOCK_SIZE;
	uint8_t *out = calloc(blocks + 1, BLOCK_SIZE);
	struct buffer content _cleanup_buffer_;
	bool present, row;

	assert(out);
	buffer_init(&content, 8u << 20);
	*ret_size = r.size;
	if (r.place == PLACE_INLINE) {
		if (state_get_inline(p->f->state, ino, &content) == 0 && content.size == r.size) {
			if (r.size > 0)
				memcpy(out, content.data, content.size);
			return out;
		}
		*ret_wrong = "inline content is missing";
		free(out);
		return NULL;
	}
	for (uint64_t block = 0; block < blocks; block++) {
		if (!read_block(p, ino, block, out + block * BLOCK_SIZE, &present, &row)) {
			*ret_wrong = "a block's checksum is wrong";
			free(out);
			return NULL;
		}
	}
	for (uint64_t at = r.size; at < blocks * BLOCK_SIZE; at++) {
		if (out[at] != 0) {
			*ret_wrong = "bytes past the end are not zeros";
			free(out);
			return NULL;
		}
	}
	return out;
}

/* ---- commits ---- */

struct plan {
	struct command_row *rows;
	uint8_t (*blocks)[BLOCK_SIZE];     /* what the rows borrow from */
	uint32_t *crcs;
	uint8_t *present;
	struct command_commit commit;
	size_t capacity;
};

static void plan_init(struct plan *plan, uint64_t ino, uint64_t size, size_t capacity)
{
	memset(plan, 0, sizeof(*plan));
	plan->capacity = capacity + 1;
	plan->rows = calloc(plan->capacity, sizeof(*plan->rows));
	plan->blocks = calloc(plan->capacity, BLOCK_SIZE);
	plan->crcs = calloc(plan->capacity, sizeof(*plan->crcs));
	plan->present = calloc(plan->capacity, 1);
	assert(plan->rows && plan->blocks && plan->crcs && plan->present);
	plan->commit = (struct command_commit){ .ino = ino, .size = size, .rows = plan->rows };
}

static int plan_commit(struct proposer *p, struct plan *plan)
{
	struct command c = { .kind = COMMAND_COMMIT };

	c.commit = plan->commit;
	int r = fixture_apply(p->f, &c);
	free(plan->rows);
	free(plan->blocks);
	free(plan->crcs);
	free(plan->present);
	return r;
}

static void plan_row(struct plan *plan, uint64_t block, const uint8_t bytes[BLOCK_SIZE], size_t size)
{
	uint32_t i = plan->commit.row_count++;

	assert(i < plan->capacity);
	memcpy(plan->blocks[i], bytes, BLOCK_SIZE);
	while (size > 0 && bytes[size - 1] == 0)
		size--;   /* the rest of a block reads as zeros anyway */
	plan->rows[i] = (struct command_row){ .block = block, .bytes = { plan->blocks[i], size } };
}

static void plan_tail(struct proposer *p, struct plan *plan, uint64_t block, const uint8_t bytes[BLOCK_SIZE], bool present)
{
	uint32_t i = plan->commit.tail_count;

	if (i == 0)
		plan->commit.tail_block = block;
	assert(block == plan->commit.tail_block + i && i < plan->capacity);
	plan->commit.tail_count++;
	plan->commit.tail_crcs = plan->crcs;
	plan->commit.tail_present = plan->present;
	if (!present)
		return;
	plan->present[i / 8] |= (uint8_t)(1u << (i % 8));
	plan->crcs[i] = crc32c(0, bytes, BLOCK_SIZE);
	head_write(p, plan->commit.ino, block, bytes);
}

static size_t bytes_in_block(uint64_t size, uint64_t block)
{
	uint64_t left = size - block * BLOCK_SIZE;
	return left < BLOCK_SIZE ? left : BLOCK_SIZE;
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

/* The whole new content goes into a head that is made for it. */
static int move_to_head(struct proposer *p, uint64_t ino, const uint8_t *content, uint64_t size)
{
	uint64_t blocks = (size + BLOCK_SIZE - 1) / BLOCK_SIZE;
	bool holes = chance(p, 50);
	struct plan plan;

	plan_init(&plan, ino, size, blocks);
	plan.commit.to_head = true;
	for (uint64_t block = 0; block < blocks; block++) {
		uint8_t bytes[BLOCK_SIZE] = { 0 };
		memcpy(bytes, content + block * BLOCK_SIZE, bytes_in_block(size, block));
		plan_tail(p, &plan, block, bytes, !(holes && all_zero(bytes, BLOCK_SIZE)));
	}
	return plan_commit(p, &plan);
}

static int commit_inline(struct proposer *p, const struct record *r, uint64_t size, uint64_t offset, const uint8_t *data, size_t data_size)
{
	uint8_t *content;
	uint64_t ignored;
	const char *wrong;

	if (size <= PROPOSER_INLINE_MAX) {
		struct command_patch patch = { offset, { data, data_size } };
		struct command c = { .kind = COMMAND_COMMIT };
		c.commit = (struct command_commit){ .ino = r->ino, .size = size, .patches = &patch, .patch_count = data_size > 0 };
		return fixture_apply(p->f, &c);
	}
	content = proposer_read(p, r->ino, &ignored, &wrong);
	assert(content);
	content = realloc(content, size);
	assert(content);
	if (size > r->size)
		memset(content + r->size, 0, size - r->size);
	if (data_size > 0)
		memcpy(content + offset, data, data_size);
	int result = move_to_head(p, r->ino, content, size);
	free(content);
	return result;
}

struct trims { struct command_absorbed_trim trims[TRIMS_MAX]; size_t count; };

static int collect_trim(void *arg, const struct state_trim *trim)
{
	struct trims *t = arg;

	if (t->count == TRIMS_MAX)
		return 1;
	t->trims[t->count++] = (struct command_absorbed_trim){ trim->block, trim->count, trim->version };
	return 0;
}

static bool is_trimmed(struct proposer *p, uint64_t ino, uint64_t block)
{
	struct trims t = { .count = 0 };

	state_each_trim(p->f->state, ino, collect_trim, &t);
	if (t.count == TRIMS_MAX)
		return true;
	for (size_t i = 0; i < t.count; i++) {
		if (block >= t.trims[i].block && block - t.trims[i].block < t.trims[i].count)
			return true;
	}
	return false;
}

int proposer_write(struct proposer *p, uint64_t ino, uint64_t offset, const uint8_t *data, size_t size)
{
	struct record r = fixture_record(p->f, ino);
	uint64_t end = offset + size, new_size = end > r.size ? end : r.size;
	uint64_t first = offset / BLOCK_SIZE, last = (end - 1) / BLOCK_SIZE, cut = r.size % BLOCK_SIZE ? r.size / BLOCK_SIZE : UINT64_MAX;
	bool use_tail = chance(p, 60), tail_of_cut = chance(p, 50);
	struct plan plan;

	if (r.place == PLACE_INLINE)
		return commit_inline(p, &r, new_size, offset, data, size);
	plan_init(&plan, ino, new_size, last - first + 1);
	for (uint64_t block = first; block <= last; block++) {
		uint8_t bytes[BLOCK_SIZE];
		bool present, row;
		if (!read_block(p, ino, block, bytes, &present, &row))
			abort();
		uint64_t from = block * BLOCK_SIZE > offset ? block * BLOCK_SIZE : offset, to = (block + 1) * BLOCK_SIZE < end ? (block + 1) * BLOCK_SIZE : end;
		memcpy(bytes + from % BLOCK_SIZE, data + (from - offset), to - from);
		bool past_end = block * BLOCK_SIZE >= r.size || (block == cut && tail_of_cut && offset >= r.size);
		if (use_tail && past_end && !row && !is_trimmed(p, ino, block)) {
			plan_tail(p, &plan, block, bytes, true);
		} else {
			use_tail = use_tail && plan.commit.tail_count == 0;   /* a tail has no gaps */
			plan_row(&plan, block, bytes, bytes_in_block(new_size, block));
		}
	}
	return plan_commit(p, &plan);
}

int proposer_resize(struct proposer *p, uint64_t ino, uint64_t size)
{
	struct record r = fixture_record(p->f, ino);
	struct plan plan;

	if (r.place == PLACE_INLINE)
		return commit_inline(p, &r, size, 0, NULL, 0);
	plan_init(&plan, ino, size, 1);
	if (size < r.size && size % BLOCK_SIZE) {
		uint8_t bytes[BLOCK_SIZE];
		bool present, row;
		if (!read_block(p, ino, size / BLOCK_SIZE, bytes, &present, &row))
			abort();
		memset(bytes + size % BLOCK_SIZE, 0, BLOCK_SIZE - size % BLOCK_SIZE);
		if (present)
			plan_row(&plan, size / BLOCK_SIZE, bytes, size % BLOCK_SIZE);
	}
	return plan_commit(p, &plan);
}

int proposer_zero(struct proposer *p, uint64_t ino, uint64_t offset, uint64_t size)
{
	struct record r = fixture_record(p->f, ino);
	uint64_t end = offset + size < r.size ? offset + size : r.size;
	struct command_range hole = { (offset + BLOCK_SIZE - 1) / BLOCK_SIZE, 0 };
	struct plan plan;

	if (offset > end)
		offset = end;
	if (r.place == PLACE_INLINE) {
		uint8_t *zeros = calloc(1, end - offset + 1);
		assert(zeros);
		int result = commit_inline(p, &r, r.size, offset, zeros, end - offset);
		free(zeros);
		return result;
	}
	uint64_t hole_end = end == r.size ? (end + BLOCK_SIZE - 1) / BLOCK_SIZE : end / BLOCK_SIZE;
	plan_init(&plan, ino, r.size, 2);
	for (uint64_t block = offset / BLOCK_SIZE; offset < end && block * BLOCK_SIZE < end; block++) {
		uint8_t bytes[BLOCK_SIZE];
		bool present, row;
		if (block >= hole.block && block < hole_end) {
			hole.count++;
			continue;
		}
		if (!read_block(p, ino, block, bytes, &present, &row))
			abort();
		uint64_t from = block * BLOCK_SIZE > offset ? block * BLOCK_SIZE : offset, to = (block + 1) * BLOCK_SIZE < end ? (block + 1) * BLOCK_SIZE : end;
		memset(bytes + from % BLOCK_SIZE, 0, to - from);
		if (present)
			plan_row(&plan, block, bytes, bytes_in_block(r.size, block));
	}
	plan.commit.holes = &hole;
	plan.commit.hole_count = hole.count > 0;
	return plan_commit(p, &plan);
}

/* ---- absorbing ---- */

struct absorbing { struct proposer *p; uint64_t ino; struct command_absorbed_row *rows; uint32_t count; };

static int absorb_row(void *arg, const struct state_row *row)
{
	struct absorbing *a = arg;
	uint8_t bytes[BLOCK_SIZE] = { 0 };

	if (row->bytes.size > 0)
		memcpy(bytes, row->bytes.data, row->bytes.size);
	head_write(a->p, a->ino, row->block, bytes);
	if (chance(a->p, 80))
		a->rows[a->count++] = (struct command_absorbed_row){ row->block, row->version };
	return 0;
}

int proposer_absorb(struct proposer *p, uint64_t ino)
{
	struct record r = fixture_record(p->f, ino);
	struct absorbing a = { .p = p, .ino = ino, .rows = calloc(r.rows + 1, sizeof(*a.rows)) };
	struct trims t = { .count = 0 };
	size_t head = head_index(p, ino);

	assert(a.rows);
	state_each_trim(p->f->state, ino, collect_trim, &t);
	for (size_t i = 0; i < t.count; i++) {
		uint64_t from = t.trims[i].block * BLOCK_SIZE, to = from + t.trims[i].count * BLOCK_SIZE;
		for (uint64_t at = from; at < to && at < p->heads[head].size; at++)
			p->heads[head].bytes[at] = 0;
	}
	state_each_row(p->f->state, ino, 0, absorb_row, &a);
	if (chance(p, 20) && t.count > 0)
		t.count--;   /* the newest is reported another time */
	struct command c = { .kind = COMMAND_ABSORBED };
	c.absorbed = (struct command_absorbed){ .ino = ino, .rows = a.rows, .row_count = a.count, .trims = t.trims, .trim_count = (uint32_t)t.count };
	int result = fixture_apply(p->f, &c);
	free(a.rows);
	return result;
}
