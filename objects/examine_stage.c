/* The staging log of a data directory; see examine.h. What is in it was handed over by write() and is in no object yet, so it matters only in
 * the boot of the machine that wrote it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "cluster/state_peek.h"
#include "objects/examine_internal.h"
#include "store/stage_numbers.h"
#include "store/stage_salvage.h"

#define CACHE_BYTES (16u << 20)

static void damaged(void *arg, const char *file, uint64_t ino, const char *text)
{
	struct examine *e = arg;

	if (ino)
		examine_say(e, FINDING_PROBLEM, ino, file, "inode %" PRIu64 ": %s", ino, text);
	else
		examine_say(e, FINDING_PROBLEM, 0, file, "%s", text);
}

/* What the record says was written into the head is there, as in blob_replay. */
static bool tail_is_there(void *arg, const struct stage_record *record)
{
	struct examine *e = arg;
	struct disk_file *file;
	uint8_t bytes[65536];
	char path[64];
	uint32_t crc = 0;
	uint64_t at = 0;
	ssize_t n = 1;

	head_path(record->ino, path);
	if (disk_open(e->disk, path, 0, &file) < 0)
		return false;
	while (at < record->size && n > 0) {
		size_t want = record->size - at < sizeof(bytes) ? (size_t)(record->size - at) : sizeof(bytes);
		n = disk_pread(file, bytes, want, record->offset + at);
		crc = n > 0 ? crc32c(crc, bytes, (size_t)n) : crc;
		at += n > 0 ? (uint64_t)n : 0;
	}
	disk_close(file);
	return at == record->size && (record->crc == 0 || record->crc == crc);
}

/* A record that is committed already says nothing: its tail may have been cut since. */
struct tails { struct examine *e; struct state *state; };

static bool tail_counts(void *arg, const struct stage_record *record)
{
	struct tails *t = arg;
	struct record r;

	if (t->state && (state_get(t->state, record->ino, &r) < 0 || record->seq <= r.stage_seq))
		return true;
	return tail_is_there(t->e, record);
}

static void tails_damaged(void *arg, const char *file, uint64_t ino, const char *text)
{
	damaged(((struct tails *)arg)->e, file, ino, text);
}

/* A start takes 2^40 numbers for itself: what it used of them is in records and segments. */
static int highest_number(struct examine *e, struct kv *kv, uint64_t highest, uint64_t *ret_used)
{
	uint64_t reserved, boot, staged;
	int r = state_peek_staged(kv, &staged);

	if (r < 0)
		return r;
	*ret_used = (staged > highest ? staged : highest) + (1ull << 40);
	if (stage_read_numbers(e->disk, "stage", &reserved, &boot) == 0 && reserved > *ret_used)
		*ret_used = reserved;
	return 0;
}

static int numbers(struct examine *e, struct kv *kv, uint64_t highest)
{
	uint64_t reserved, boot, used;
	int r = stage_read_numbers(e->disk, "stage", &reserved, &boot);

	if (r == -ENOENT && e->index == 0)
		return 0;
	if (r != -ENOENT && r != -EBADMSG)
		return r;
	const char *what = r == -ENOENT ? "it is missing" : "it is damaged";
	if (!e->options->repair) {
		examine_say(e, FINDING_PROBLEM, 0, "stage/numbers", "%s: --repair finds the numbers that have been used, and makes it again", what);
		return 0;
	}
	r = highest_number(e, kv, highest, &used);
	if (r == 0)
		r = disk_mkdir(e->disk, "stage");
	if (r == 0)
		r = stage_write_numbers(e->disk, "stage", used, 0);   /* of no boot: what is in the segments by then is known to be whole */
	if (r == 0)
		examine_say(e, FINDING_REPAIRED, 0, "stage/numbers", "%s: numbers begin again above all that have been used", what);
	return r;
}

static void silent(void *arg, const char *file, uint64_t ino, const char *text)
{
	(void)arg, (void)file, (void)ino, (void)text;
}

static int swap_stage(struct examine *e, char place[static 64])
{
	int r = examine_put_away(e, "stage", "it is damaged; what could be read of it is in the new one", place);

	if (r == 0)
		r = examine_rename(e, "stage.new", "stage");
	return r == 0 ? disk_sync_dir(e->disk, ".") : r;
}

static int segments(struct examine *e, struct stage_salvage *s, const uint8_t boot_id[16], struct kv *kv)
{
	uint64_t before = e->result->problems, used = 0;
	char place[64] = "lost";
	int r = stage_salvage(e->disk, "stage", boot_id, s, NULL);

	if (r < 0 || s->problems == 0)
		return r;
	if (!e->options->repair)
		return 0;
	if (examine_exists(e, "stage.new"))
		r = examine_put_away(e, "stage.new", "an earlier repair did not finish it", NULL);
	s->report = silent;   /* it is all said */
	if (r == 0)
		r = stage_salvage(e->disk, "stage", boot_id, s, "stage.new");
	if (r == 0)
		r = highest_number(e, kv, s->highest_seq, &used);
	if (r == 0)
		r = stage_write_numbers(e->disk, "stage.new", used, 0);
	if (r == 0)
		r = swap_stage(e, place);
	if (r < 0)
		return r;
	/* What was damaged is out of use: the next check finds nothing. */
	e->result->repaired += e->result->problems - before;
	e->result->problems = before;
	examine_say(e, FINDING_REPAIRED, 0, "stage", "the writes above are lost, all others are kept; the old staging log is kept as %s", place);
	return 0;
}

int examine_stage(struct examine *e)
{
	struct tails t = { .e = e };
	/* Before the log is replayed a record may look uncommitted that is not, and its tail may have been cut since. */
	struct stage_salvage s = { .report = tails_damaged, .whole = e->options->replayed ? tail_counts : NULL, .arg = &t };
	uint8_t boot_id[16];
	char path[4096];
	struct kv *kv;
	int r = store_boot_id(boot_id);

	if (r == 0)
		r = examine_path(e, path, "state");
	if (r == 0)
		r = kv_rocksdb_open_read(path, CACHE_BYTES, &kv);
	if (r < 0)
		return r;
	r = state_open(kv, &t.state);
	if (r == 0)
		r = segments(e, &s, boot_id, kv);
	if (r == 0)
		r = numbers(e, kv, s.highest_seq);
	state_free(t.state);
	kv_close(kv);
	return r;
}

int examine_tails(const char *directory, struct store *store, struct state *state, const struct examine_options *options, struct check_result *result,
	bool *ret_damaged)
{
	struct examine e = { .directory = directory, .disk = store->disk, .options = options, .result = result };
	struct tails t = { .e = &e, .state = state };
	struct stage_salvage s = { .report = options->repair ? silent : tails_damaged, .whole = tail_counts, .arg = &t, .tails_only = true };
	uint8_t boot_id[16];
	int r = store_boot_id(boot_id);

	if (r == 0)
		r = stage_salvage(store->disk, "stage", boot_id, &s, NULL);
	if (r == 0)
		*ret_damaged = s.problems > 0;
	return r;
}
