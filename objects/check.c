/* The check of heads and side files against the state; see objects/check.h.
 *
 * What the state says of a MiB of a blob, and the head's bytes, are not read at one moment. So a mismatch counts only if the
 * object's record and checksums are the same before and after: a block that is there and has no row changes on disk only with them. */
#include "objects/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/crc32c.h"
#include "cluster/state_check.h"
#include "objects/findings.h"
#include "store/why.h"

#define TRIES 8u                   /* looks at a MiB that keeps changing */
#define MIB_BYTES ((uint64_t)CRC_BLOCKS * BLOCK_SIZE)

struct check {
	struct store *store;
	struct state *state;
	const struct check_options *options;
	struct check_result result;
	struct findings findings;      /* until their paths are known */
	uint64_t total_bytes;
	struct { uint64_t ino, from, to; bool has_head; } bad;   /* blocks: the run that may go on; to 0: none */
	struct { uint64_t ino, side, from, to; bool lost; } bad_rows;  /* the same of rows in a side file */
	uint64_t *sides;               /* side files that rows refer to */
	size_t side_count, side_capacity;
	int error;                     /* of a callback that can't return one */
	uint8_t *bytes;                /* a MiB of a head */
};

static bool bit(const uint8_t *map, unsigned i) { return map[i / 8] >> (i % 8) & 1; }

static void __attribute__((format(printf, 5, 6))) say(struct check *c, enum finding_kind kind, uint64_t ino, const char *file, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	int r = findings_add(&c->findings, kind, ino, file, text);
	if (r < 0 && c->error == 0)
		c->error = r;
	if (kind == FINDING_PROBLEM)
		c->result.problems++;
	else
		c->result.notes++;
}

static void __attribute__((format(printf, 3, 4))) say_head(struct check *c, uint64_t ino, const char *format, ...)
{
	char text[512], file[64];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	head_path(ino, file);
	say(c, FINDING_PROBLEM, ino, file, "%s", text);
}

static void state_problem(void *arg, uint64_t ino, const char *text)
{
	say(arg, FINDING_PROBLEM, ino, NULL, "%s", text);
}

static bool stopped(void *arg)
{
	struct check *c = arg;

	return c->options->progress && !c->options->progress(c->options->arg, c->result.bytes, c->total_bytes);
}

const char *state_file_of(const char *why, char file[static 64])
{
	const char *end = strstr(why, ".sst"), *start = end;

	while (start && start > why && start[-1] != '/')
		start--;
	if (!start || end - start > 40)
		return "state";
	snprintf(file, 64, "state/%.*s.sst", (int)(end - start), start);
	return file;
}

/* ---- heads -------------------------------------------------------------------------------------------------------- */

/* What the state says of one MiB. */
struct view { struct record record; struct state_crcs crcs; bool has_crcs; };

/* -ENOENT: the object is gone, or has no head any more. */
static int view_read(struct check *c, uint64_t ino, uint64_t mib, struct view *v)
{
	memset(v, 0, sizeof(*v));   /* views are compared as bytes */
	int r = state_get(c->state, ino, &v->record);

	if (r == 0 && (v->record.kind != KIND_BLOB || v->record.place != PLACE_HEAD))
		r = -ENOENT;
	if (r < 0)
		return r;
	r = state_get_crcs(c->state, ino, mib, &v->crcs);
	v->has_crcs = r == 0;
	return r == -ENOENT ? 0 : r;
}

static bool view_same(const struct view *a, const struct view *b)
{
	return a->record.version == b->record.version && a->record.size == b->record.size && a->has_crcs == b->has_crcs &&
		memcmp(&a->crcs, &b->crcs, sizeof(a->crcs)) == 0;
}

static uint32_t crc_padded(const uint8_t *data, size_t used)
{
	static const uint8_t zeros[BLOCK_SIZE];
	uint32_t crc = crc32c(0, data, used);

	return used < BLOCK_SIZE ? crc32c(crc, zeros, BLOCK_SIZE - used) : crc;
}

/* The bytes of the head, zeros where it is shorter. file NULL: it has none. */
static int head_bytes(struct check *c, struct disk_file *file, uint64_t offset)
{
	ssize_t n = file ? disk_pread(file, c->bytes, MIB_BYTES, offset) : 0;

	if (n < 0)
		return (int)n;
	memset(c->bytes + n, 0, MIB_BYTES - (size_t)n);
	return 0;
}

/* Bits of the blocks whose bytes are wrong; *ret_checked: bytes that were compared. */
static unsigned find_bad(struct check *c, const struct view *v, uint64_t mib, uint8_t bad[static CRC_BLOCKS / 8], uint64_t *ret_checked)
{
	unsigned count = 0;

	memset(bad, 0, CRC_BLOCKS / 8);
	*ret_checked = 0;
	for (unsigned i = 0; v->has_crcs && i < CRC_BLOCKS; i++) {
		uint64_t start = mib * MIB_BYTES + (uint64_t)i * BLOCK_SIZE;

		if (!bit(v->crcs.present, i) || bit(v->crcs.rows, i) || start >= v->record.size)
			continue;
		uint64_t left = v->record.size - start;
		*ret_checked += BLOCK_SIZE;
		if (crc_padded(c->bytes + (size_t)i * BLOCK_SIZE, left < BLOCK_SIZE ? left : BLOCK_SIZE) == v->crcs.crc[i])
			continue;
		bad[i / 8] |= (uint8_t)(1u << (i % 8));
		count++;
	}
	return count;
}

static void flush_bad(struct check *c)
{
	if (c->bad.to > 0)
		say_head(c, c->bad.ino, c->bad.has_head ? "bytes %" PRIu64 " to %" PRIu64 " are damaged: their checksums don't match" :
			"bytes %" PRIu64 " to %" PRIu64 " are lost: its head is missing", c->bad.from, c->bad.to);
	c->bad.to = 0;
}

/* A run of bad blocks is one finding, over as many MiB as it may go. */
static void report_bad(struct check *c, uint64_t ino, uint64_t mib, const uint8_t *bad, bool has_head)
{
	for (unsigned i = 0; i < CRC_BLOCKS; i++) {
		uint64_t from = mib * MIB_BYTES + (uint64_t)i * BLOCK_SIZE;

		if (!bit(bad, i))
			continue;
		if (c->bad.to != from || c->bad.ino != ino) {
			flush_bad(c);
			c->bad.ino = ino;
			c->bad.from = from;
			c->bad.has_head = has_head;
		}
		c->bad.to = from + BLOCK_SIZE;
	}
}

static int check_mib(struct check *c, uint64_t ino, uint64_t mib, struct disk_file *file)
{
	uint8_t bad[CRC_BLOCKS / 8];
	struct view before, after;
	uint64_t checked;
	int r = view_read(c, ino, mib, &before);

	for (unsigned try = 0; r == 0 && try < TRIES; try++) {
		if (!before.has_crcs)
			return 0;
		r = head_bytes(c, file, mib * MIB_BYTES);
		if (r < 0) {
			say_head(c, ino, "its head cannot be read at %" PRIu64 ": %s", mib * MIB_BYTES, strerror(-r));
			return 0;
		}
		unsigned count = find_bad(c, &before, mib, bad, &checked);
		r = view_read(c, ino, mib, &after);
		if (r < 0 || count == 0 || view_same(&before, &after)) {
			c->result.bytes += checked;
			if (r == 0 && count > 0)
				report_bad(c, ino, mib, bad, file != NULL);
			break;
		}
		before = after;
	}
	return r == -ENOENT ? 0 : r;
}

static int note_side(struct check *c, uint64_t side)
{
	for (size_t i = c->side_count; i > 0; i--)   /* rows of one side file come together */
		if (c->sides[i - 1] == side)
			return 0;
	if (c->side_count == c->side_capacity) {
		size_t capacity = c->side_capacity ? c->side_capacity * 2 : 16;
		uint64_t *grown = reallocarray(c->sides, capacity, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		c->sides = grown;
		c->side_capacity = capacity;
	}
	c->sides[c->side_count++] = side;
	return 0;
}

static void flush_rows(struct check *c)
{
	char file[64];

	if (c->bad_rows.to > 0) {
		side_path(c->bad_rows.side, file);
		say(c, FINDING_PROBLEM, c->bad_rows.ino, file, c->bad_rows.lost ? "bytes %" PRIu64 " to %" PRIu64 " are lost: their side file cannot be read" :
			"bytes %" PRIu64 " to %" PRIu64 " are damaged in their side file", c->bad_rows.from * BLOCK_SIZE, c->bad_rows.to * BLOCK_SIZE);
	}
	c->bad_rows.to = 0;
}

struct row_check { struct check *c; uint64_t ino; };

/* A row whose bytes are in a side file. That goes when its rows are absorbed, so a missing one is looked up again. */
static int check_row(void *arg, const struct state_row *row)
{
	struct row_check *rc = arg;
	struct check *c = rc->c;
	uint8_t block[BLOCK_SIZE];
	struct state_row now;
	_cleanup_buffer_ struct buffer storage = { 0 };

	if (!row->side || row->side_size > BLOCK_SIZE)
		return 0;
	c->error = note_side(c, row->side);
	if (c->error < 0)
		return 1;
	int r = side_read(c->store->heads, row->side, block, row->side_size, row->side_offset);
	if (r == 0 && crc32c(0, block, row->side_size) == row->side_crc) {
		c->result.bytes += row->side_size;
		return 0;
	}
	buffer_init(&storage, 2 * BLOCK_SIZE);
	if (state_get_row(c->state, rc->ino, row->block, &storage, &now) < 0 || now.version != row->version)
		return 0;
	if (c->bad_rows.ino != rc->ino || c->bad_rows.side != row->side || c->bad_rows.lost != (r < 0) || c->bad_rows.to != row->block) {
		flush_rows(c);
		c->bad_rows.ino = rc->ino;
		c->bad_rows.side = row->side;
		c->bad_rows.lost = r < 0;
		c->bad_rows.from = row->block;
	}
	c->bad_rows.to = row->block + 1;
	return 0;
}

/* The pieces of one object, which follow each other; *ret_next: the first that is another's. */
static int check_object(struct check *c, const struct state_check *state, size_t first, size_t *ret_next)
{
	uint64_t ino = state->pieces[first].ino;
	struct row_check rows = { .c = c, .ino = ino };
	struct head *head = NULL;
	int r = state_each_row(c->state, ino, 0, check_row, &rows);
	size_t i = first;

	flush_rows(c);
	if (r < 0 || c->error < 0)
		return r < 0 ? r : c->error;
	r = head_get(c->store->heads, ino, false, &head);
	if (r < 0 && r != -ENOENT)
		say_head(c, ino, "its head cannot be opened: %s", strerror(-r));
	bool readable = r == 0 || r == -ENOENT;
	c->result.heads++;
	for (r = 0; r == 0 && i < state->piece_count && state->pieces[i].ino == ino; i++) {
		if (stopped(c))
			r = -EINTR;
		else if (readable)
			r = check_mib(c, ino, state->pieces[i].mib, head ? head_file(head) : NULL);
	}
	flush_bad(c);
	if (head)
		head_put(c->store->heads, head);
	*ret_next = i;
	return r;
}

/* ---- what nothing refers to ---------------------------------------------------------------------------------------- */

static int stray_head(void *arg, uint64_t ino)
{
	struct check *c = arg;
	struct record record;
	char file[64];

	if (state_get(c->state, ino, &record) != -ENOENT)
		return 0;
	head_path(ino, file);
	say(c, FINDING_NOTE, 0, file, "the head of inode %" PRIu64 " belongs to nothing: the daemon removes it when it starts", ino);
	return 0;
}

static int stray_side(void *arg, uint64_t side)
{
	struct check *c = arg;
	char file[64];

	for (size_t i = 0; i < c->side_count; i++)
		if (c->sides[i] == side)
			return 0;
	side_path(side, file);
	say(c, FINDING_NOTE, 0, file, "the side file %" PRIu64 " belongs to nothing that is committed: the daemon removes it when it is done with it", side);
	return 0;
}

static int check_files(struct check *c, const struct state_check *state)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < state->piece_count;)
		r = check_object(c, state, i, &i);
	if (r == 0)
		r = heads_list(c->store->heads, stray_head, c);
	if (r == 0)
		r = sides_list(c->store->heads, stray_side, c);
	return r;
}

int objects_check(struct store *store, struct state *state, const struct check_options *options, struct check_result *ret_result)
{
	struct check c = { .store = store, .state = state, .options = options, .bytes = malloc(MIB_BYTES) };
	findings_init(&c.findings);
	struct state_check check = { .report = state_problem, .stop = stopped, .arg = &c };

	if (!c.bytes)
		return -ENOMEM;
	store_why_clear();
	int r = state_check(state, &check);
	if (r == -EBADMSG) {
		char file[64];
		say(&c, FINDING_PROBLEM, 0, state_file_of(store_why(), file), "the state is damaged: %s. What lies in that block cannot be read, nor checked further", store_why());
		r = 0;
	} else if (r == 0) {
		c.total_bytes = check.piece_bytes;
		c.result.objects = check.objects;
		c.result.problems = check.problems;   /* past a bound they are counted without a line each */
		r = check_files(&c, &check);
	}
	if (r == 0)
		r = c.error;
	if (r == 0)
		r = findings_report(&c.findings, state, options->report, options->arg);
	findings_done(&c.findings);
	free(check.pieces);
	free(c.sides);
	free(c.bytes);
	if (r == 0)
		*ret_result = c.result;
	return r;
}
