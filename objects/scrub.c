/* See scrub.h. One thread steps; what it has found and how far it is are read by others under a lock. Nothing is locked while it reads: a
 * mismatch counts only if the object has not changed meanwhile (verify.h). */
#include "objects/scrub.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/counter.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "cluster/state_peek.h"
#include "objects/check.h"
#include "objects/damaged.h"
#include "objects/findings.h"
#include "objects/object.h"
#include "objects/scrub_file.h"
#include "objects/verify.h"
#include "store/why.h"

#define STATE_STEP (256u << 10)              /* bytes of the state in one step */
#define SAVE_NS (60 * NS_PER_SECOND)
#define STEP_LEAST_NS NS_PER_MS              /* others have the processor in between, whatever the rate */
#define IDLE_NS NS_PER_SECOND

COUNTER(scrub_bytes, "dios_scrub_bytes_total", "Bytes that the scrubber has read");
COUNTER(scrub_passes, "dios_scrub_passes_total", "Passes over all data that the scrubber has ended");

struct scrub {
	struct objects *os;
	uint64_t rate;
	int64_t rest_ns;
	struct lock lock;               /* guards place for those who print it; only the stepping thread writes it */
	struct scrub_place place;
	/* of the stepping thread */
	struct buffer position;         /* in the state */
	uint64_t ino, mib;              /* the blob that is being read; 0: none */
	int64_t saved_ns;
	uint8_t bytes[VERIFY_MIB_BYTES];
};

int scrub_new(struct objects *os, uint64_t rate, int64_t rest_ns, struct scrub **ret_scrub)
{
	struct scrub *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->os = os;
	s->rate = rate;
	s->rest_ns = rest_ns;
	lock_init(&s->lock, "scrub", LOCK_LEAF);
	buffer_init(&s->position, 8192);
	int r = scrub_load(os, &s->place);
	if (r == -EBADMSG)
		log_warning("objects", "the file 'scrub' is damaged: the scrubber begins anew");
	s->saved_ns = clock_boot_ns(os->clock);
	*ret_scrub = s;
	return 0;
}

static void save(struct scrub *s)
{
	int r = scrub_save(s->os, &s->place);

	if (r < 0)
		log_warning("objects", "where the scrubber is cannot be kept error=%d", -r);
	s->saved_ns = clock_boot_ns(s->os->clock);
}

void scrub_free(struct scrub *s)
{
	if (!s)
		return;
	save(s);
	lock_done(&s->lock);
	buffer_done(&s->position);
	free(s);
}

static void found(struct scrub *s, uint64_t ino, uint64_t block, const char *file)
{
	struct damaged_block b = { .ino = ino, .block = block, .since_ns = clock_wall_ns(s->os->clock) };
	struct record record;

	if (damaged_known(s->os, ino))
		return;   /* one place is enough */
	snprintf(b.file, sizeof(b.file), "%s", file);
	if (ino && state_get(cluster_state(s->os->cluster, ino), ino, &record) == 0)
		b.name = record.name;
	if (damaged_add(s->os, &b))
		save(s);
}

/* ---- one object ----------------------------------------------------------------------------------------------------- */

struct row_look { struct scrub *s; uint64_t ino, bytes; bool bad; };

static int look_at_row(void *arg, const struct state_row *row)
{
	struct row_look *l = arg;
	struct state *state = cluster_state(l->s->os->cluster, l->ino);
	_cleanup_buffer_ struct buffer storage = { .limit = 2 * BLOCK_SIZE };
	uint8_t block[BLOCK_SIZE];
	struct state_row now;
	char file[64];

	if (!row->side || row->side_size > BLOCK_SIZE)
		return 0;
	int r = side_read(l->s->os->store->heads, row->side, block, row->side_size, row->side_offset);
	l->bytes += row->side_size;
	if (r == 0 && crc32c(0, block, row->side_size) == row->side_crc)
		return 0;
	/* It may just have been absorbed, and its file be gone. */
	if (state_get_row(state, l->ino, row->block, &storage, &now) < 0 || now.version != row->version)
		return 0;
	side_path(row->side, file);
	l->bad = true;
	found(l->s, l->ino, row->block, file);
	return 1;
}

static bool rows_whole(struct scrub *s, uint64_t ino, uint64_t *bytes)
{
	struct row_look l = { .s = s, .ino = ino };

	(void)state_each_row(cluster_state(s->os->cluster, ino), ino, 0, look_at_row, &l);
	*bytes += l.bytes;
	return !l.bad;
}

/* The MiB at or behind *mib; moves on. -ENOENT: there is none any more. */
static int read_mib(struct scrub *s, uint64_t ino, uint64_t *mib, bool *ret_bad, uint64_t *bytes)
{
	struct state *state = cluster_state(s->os->cluster, ino);
	struct head *head = NULL;
	struct state_crcs crcs;
	struct verified v;
	char file[64];
	bool read;
	int r = state_find_crcs(state, ino, *mib, mib, &crcs);

	*ret_bad = false;
	if (r < 0)
		return r;
	r = head_get(s->os->store->heads, ino, false, &head);
	if (r < 0 && r != -ENOENT)
		return r == -EMFILE || r == -ENFILE ? 0 : r;   /* another time */
	r = verify_mib(state, ino, *mib, head ? head_file(head) : NULL, s->bytes, &v, &read);
	if (head)
		head_put(s->os->store->heads, head);
	*bytes += v.bytes;
	*ret_bad = v.bad_count > 0 || (r < 0 && read);
	if (*ret_bad) {
		unsigned first = 0;
		while (first + 1 < CRC_BLOCKS && !(v.bad[first / 8] >> first % 8 & 1))
			first++;
		head_path(ino, file);
		found(s, ino, *mib * CRC_BLOCKS + (v.bad_count ? first : 0), file);
	}
	++*mib;
	return read ? 0 : r;
}

/* ---- a pass --------------------------------------------------------------------------------------------------------- */

static void add_done(struct scrub *s, uint64_t bytes)
{
	LOCK_GUARD(&s->lock);
	s->place.done_bytes += bytes;
	counter_add(&scrub_bytes, (int64_t)bytes);
}

static void begin(struct scrub *s)
{
	LOCK_GUARD(&s->lock);
	s->place = (struct scrub_place){ .passes = s->place.passes, .full_ns = s->place.full_ns, .began_ns = clock_wall_ns(s->os->clock), .in_pass = true };
	buffer_reset(&s->position);
	s->ino = 0;
}

static void end(struct scrub *s)
{
	lock_acquire(&s->lock);
	s->place.in_pass = false;
	s->place.passes++;
	s->place.full_ns = clock_wall_ns(s->os->clock);
	lock_release(&s->lock);
	counter_add(&scrub_passes, 1);
	save(s);
}

static uint64_t step_state(struct scrub *s)
{
	uint64_t read = 0;
	char file[64];
	int r = state_verify(s->os->store->kv, &s->position, STATE_STEP, &read);

	if (r == -EBADMSG || r == -EIO)
		found(s, 0, 0, state_file_of(store_why(), file));
	else if (r == 0 && s->position.size == 0)
		damaged_forget(s->os, 0, 0);
	if (r < 0 || s->position.size == 0) {   /* the rest of a damaged state is read when it is used */
		LOCK_GUARD(&s->lock);
		s->place.in_objects = true;
	}
	return read;
}

static int take_name(void *arg, const struct name *name, uint64_t ino)
{
	struct scrub *s = arg;

	LOCK_GUARD(&s->lock);
	s->place.after = *name;
	s->ino = ino;
	s->mib = 0;
	return 1;
}

/* The next blob with a head, or the next MiB of this one. */
static uint64_t step_objects(struct scrub *s)
{
	static const struct name none;
	struct state *state = cluster_state(s->os->cluster, ROOT_INO);
	uint64_t bytes = 0;
	bool bad;

	if (s->ino == 0) {
		bool first = memcmp(&s->place.after, &none, sizeof(none)) == 0;
		int r = state_each_name(state, first ? NULL : &s->place.after, take_name, s);
		struct record record;
		if (r < 0 || s->ino == 0) {
			end(s);
			return 0;
		}
		if (state_get(state, s->ino, &record) < 0 || record.kind != KIND_BLOB || record.place != PLACE_HEAD) {
			s->ino = 0;
			return sizeof(record);
		}
		(void)rows_whole(s, s->ino, &bytes);
		return bytes;
	}
	if (read_mib(s, s->ino, &s->mib, &bad, &bytes) < 0 || bad)
		s->ino = 0;   /* its end, or it is listed: one place is enough */
	return bytes;
}

int64_t scrub_step(struct scrub *s)
{
	int64_t now = clock_boot_ns(s->os->clock), wall = clock_wall_ns(s->os->clock);

	if (s->rate == 0)
		return IDLE_NS;
	if (!s->place.in_pass) {
		/* A clock that was set back is no reason to rest for long. */
		if (s->place.full_ns != 0 && wall >= s->place.full_ns && wall - s->place.full_ns < s->rest_ns)
			return IDLE_NS;
		begin(s);
	}
	uint64_t bytes = s->place.in_objects ? step_objects(s) : step_state(s);
	add_done(s, bytes);
	if (now - s->saved_ns >= SAVE_NS)
		save(s);
	int64_t wait = (int64_t)((double)bytes / (double)s->rate * NS_PER_SECOND);
	return wait > STEP_LEAST_NS ? wait : bytes > 0 ? STEP_LEAST_NS : 0;
}

/* ---- what others see -------------------------------------------------------------------------------------------------- */

/* Bytes of users, as a JSON string: what is not printable ASCII as \udcNN, which keeps each byte, as docs/JSON.md has it. */
static void print_string(struct buffer *out, const char *text)
{
	if (!text) {
		buffer_printf(out, "null");
		return;
	}
	buffer_append(out, "\"", 1);
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			buffer_printf(out, "\\%c", *c);
		else if (*c < 0x20 || *c == 0x7f)
			buffer_printf(out, "\\u%04x", *c);
		else if (*c > 0x7f)
			buffer_printf(out, "\\udc%02x", *c);
		else
			buffer_append(out, c, 1);
	}
	buffer_append(out, "\"", 1);
}

static int compare_inos(const void *a, const void *b)
{
	uint64_t x = ((const struct damaged_block *)a)->ino, y = ((const struct damaged_block *)b)->ino;

	return (x > y) - (x < y);
}

/* Each object once. */
static int print_damaged(struct scrub *s, struct damaged_block *list, size_t count, struct buffer *out)
{
	struct state *state = cluster_state(s->os->cluster, ROOT_INO);
	struct object_path *paths = calloc(count + 1, sizeof(*paths));

	if (!paths)
		return -ENOMEM;
	qsort(list, count, sizeof(*list), compare_inos);
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (i == 0 || list[i].ino != list[i - 1].ino)
			list[kept++] = list[i];
	count = kept;
	for (size_t i = 0; i < count; i++)
		paths[i].ino = list[i].ino;
	int r = count > 0 ? state_find_paths(state, paths, count) : 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		char name[NAME_TEXT_SIZE + 1];
		struct record record;
		bool named = list[i].ino && state_get(state, list[i].ino, &record) == 0;

		if (named)
			name_to_text(&record.name, name);
		buffer_printf(out, "%s\n    {\"inode\": %" PRIu64 ", \"name\": ", i ? "," : "", list[i].ino);
		print_string(out, named ? name : NULL);
		buffer_printf(out, ", \"path\": ");
		print_string(out, paths[i].path);
		buffer_printf(out, ", \"file\": ");
		print_string(out, list[i].file);
		buffer_printf(out, ", \"since_ns\": %" PRId64 "}", list[i].since_ns);
	}
	for (size_t i = 0; i < count; i++)
		free(paths[i].path);
	free(paths);
	return r;
}

void scrub_get_progress(struct scrub *s, struct scrub_progress *ret)
{
	struct cluster_info info;
	struct scrub_place place;

	lock_acquire(&s->lock);
	place = s->place;
	lock_release(&s->lock);
	cluster_get_info(s->os->cluster, &info);
	*ret = (struct scrub_progress){ .state = s->rate == 0 ? "off" : place.in_pass ? "reading" : "resting", .rate = s->rate, .passes = place.passes,
		.done_bytes = place.done_bytes, .total_bytes = info.bytes, .full_ns = place.full_ns };
}

int scrub_print(struct scrub *s, struct buffer *out)
{
	struct scrub_progress p;
	size_t count;

	scrub_get_progress(s, &p);
	buffer_printf(out, "{\n  \"rate\": %" PRIu64 ",\n  \"state\": \"%s\",\n  \"passes\": %" PRIu64 ",\n  \"done_bytes\": %" PRIu64 ",\n  \"total_bytes\": %" PRIu64 ",\n",
		p.rate, p.state, p.passes, p.done_bytes, p.total_bytes);
	if (p.full_ns)
		buffer_printf(out, "  \"last_full_ns\": %" PRId64 ",\n", p.full_ns);
	else
		buffer_printf(out, "  \"last_full_ns\": null,\n");
	struct damaged_block *list = damaged_list(s->os, &count);
	buffer_printf(out, "  \"damaged\": [");
	int r = list ? print_damaged(s, list, count, out) : 0;
	free(list);
	buffer_printf(out, "%s]\n}\n", count ? "\n  " : "");
	return r < 0 ? r : buffer_error(out);
}
