/* The check of heads and side files against the state; see objects/check.h. */
#include "objects/check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/crc32c.h"
#include "base/grow.h"
#include "cluster/state_check.h"
#include "objects/findings.h"
#include "objects/verify.h"
#include "store/why.h"

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
	uint64_t *stray_heads;         /* inodes without a record */
	size_t stray_count, stray_capacity;
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
		uint64_t from = mib * VERIFY_MIB_BYTES + (uint64_t)i * BLOCK_SIZE;

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
	struct verified v;
	bool read;
	int r = verify_mib(c->state, ino, mib, file, c->bytes, &v, &read);

	c->result.bytes += v.bytes;
	if (r < 0 && read) {
		say_head(c, ino, "its head cannot be read at %" PRIu64 ": %s", mib * VERIFY_MIB_BYTES, strerror(-r));
		return 0;
	}
	if (r == 0 && v.bad_count > 0)
		report_bad(c, ino, mib, v.bad, file != NULL);
	return r;
}

static int add_u64(uint64_t **list, size_t *capacity, size_t *count, uint64_t value)
{
	uint64_t *grown = grow(*list, capacity, *count, sizeof(value));

	if (!grown)
		return -ENOMEM;
	*list = grown;
	(*list)[(*count)++] = value;
	return 0;
}

static int note_side(struct check *c, uint64_t side)
{
	for (size_t i = c->side_count; i > 0; i--)   /* rows of one side file come together */
		if (c->sides[i - 1] == side)
			return 0;
	return add_u64(&c->sides, &c->side_capacity, &c->side_count, side);
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

	return state_get(c->state, ino, &record) == -ENOENT ? add_u64(&c->stray_heads, &c->stray_capacity, &c->stray_count, ino) : 0;
}

/* A daemon that works takes the head away right after the record: what it was about to is gone by now. */
static int stray_heads(struct check *c)
{
	int r = heads_list(c->store->heads, stray_head, c);

	if (r == 0 && c->options->removed && c->stray_count > 0)
		c->options->removed(c->options->arg);
	for (size_t i = 0; r == 0 && i < c->stray_count; i++) {
		struct disk_file *head;
		char file[64];

		head_path(c->stray_heads[i], file);
		if (disk_open(c->store->disk, file, O_RDONLY, &head) == -ENOENT)
			continue;
		disk_close(head);
		say(c, FINDING_NOTE, 0, file, "the head of inode %" PRIu64 " belongs to nothing: the daemon removes it when it starts", c->stray_heads[i]);
	}
	return r;
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
		r = stray_heads(c);
	if (r == 0)
		r = sides_list(c->store->heads, stray_side, c);
	return r;
}

/* ---- beside a damaged state ------------------------------------------------------------------------------------------ */

/* One by one: a name leads to a record, a record to content or a head, as far as they can be read. */
static int check_reachable(void *arg, const struct name *name, uint64_t ino)
{
	struct check *c = arg;
	struct row_check rows = { .c = c, .ino = ino };
	_cleanup_buffer_ struct buffer content;
	struct state_crcs crcs;
	struct record record;
	struct head *head = NULL;
	char text[NAME_TEXT_SIZE + 1];

	name_to_text(name, text);
	buffer_init(&content, 4 << 20);
	int r = state_get(c->state, ino, &record);
	if (r < 0) {
		say(c, FINDING_PROBLEM, ino, "state", "object %s (inode %" PRIu64 "): its record cannot be read", text, ino);
		return c->error < 0 || stopped(c);
	}
	if (record.kind != KIND_BLOB || record.place != PLACE_HEAD) {
		r = state_get_inline(c->state, ino, &content);
		if (r < 0 && r != -ENOENT)
			say(c, FINDING_PROBLEM, ino, "state", "its content cannot be read");
		return c->error < 0 || stopped(c);
	}
	if (!c->store)
		return c->error < 0 || stopped(c);
	r = state_each_row(c->state, ino, 0, check_row, &rows);
	flush_rows(c);
	if (r == 0 && (r = head_get(c->store->heads, ino, false, &head)) == -ENOENT)
		r = 0;
	for (uint64_t mib = 0; r == 0 && (r = state_find_crcs(c->state, ino, mib, &mib, &crcs)) == 0; mib++)
		r = check_mib(c, ino, mib, head ? head_file(head) : NULL);
	flush_bad(c);
	if (head)
		head_put(c->store->heads, head);
	if (r < 0 && r != -ENOENT)
		say(c, FINDING_PROBLEM, ino, "state", "its rows or checksums cannot be read");
	return c->error < 0 || stopped(c);
}

static int check_damaged_state(struct check *c)
{
	char file[64];

	say(c, FINDING_PROBLEM, 0, state_file_of(store_why(), file), "the state is damaged: %s. What is known to be affected follows; names and entries may be too", store_why());
	int r = state_each_name(c->state, NULL, check_reachable, c);
	if (r == -EBADMSG || r == -EIO) {
		say(c, FINDING_PROBLEM, 0, "state", "the list of names cannot be read to its end: what is behind is not checked");
		r = 0;
	}
	return r == 0 && stopped(c) ? -EINTR : r;
}

int objects_check(struct store *store, struct state *state, const struct check_options *options, struct check_result *ret_result)
{
	struct check c = { .store = store, .state = state, .options = options, .bytes = malloc(VERIFY_MIB_BYTES) };
	findings_init(&c.findings);
	struct state_check check = { .report = state_problem, .stop = stopped, .arg = &c };

	if (!c.bytes)
		return -ENOMEM;
	if (store)
		store_why_clear();
	int r = store ? state_check(state, &check) : -EBADMSG;
	if (r == -EBADMSG || r == -EIO) {
		r = check_damaged_state(&c);
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
	free(c.stray_heads);
	free(c.bytes);
	if (r == 0)
		*ret_result = c.result;
	return r;
}
