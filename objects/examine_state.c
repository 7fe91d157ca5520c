/* The applied state of a data directory, examined and made anew; see examine.h.
 *
 * It is opened for reading only: a plain opening removes each table that the manifest does not name, and when that is damaged those are the
 * good ones. A new state is made beside the old one, out of links to its tables, and takes its place only when every block of it could be read
 * and it fits the log. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cluster/state_check.h"
#include "cluster/state_peek.h"
#include "objects/examine_internal.h"
#include "store/format.h"
#include "store/why.h"

#define CACHE_BYTES (16u << 20)
#define STEP_BYTES (16u << 20)      /* between two looks at whether to go on */

/* -EBADMSG: damaged, store_why() says where. */
static int read_all(struct examine *e, struct kv *kv)
{
	_cleanup_buffer_ struct buffer position;
	uint64_t read;
	int r;

	buffer_init(&position, 4096);
	do {
		r = state_verify(kv, &position, STEP_BYTES, &read);
		e->done_bytes += read;
		if (r == 0 && e->options->progress && !e->options->progress(e->options->arg, e->done_bytes, 0))
			r = -EINTR;
	} while (r == 0 && position.size > 0);
	return r;
}

static bool fits(const struct examine *e, uint64_t index, uint64_t term)
{
	const struct log_group *g = &e->log;

	if (g->last_index == 0 && index == 0)
		return true;
	return g->term >= term && g->base_index <= index && (index > 0 || g->first_index == 1);
}

/* Opens, reads everything, looks where it ends and whose it is. -EBADMSG: it is not whole, and store_why() says why. */
static int try_state(struct examine *e, const char *folder, uint64_t *ret_index, uint64_t *ret_term)
{
	char path[4096], ignored[256];
	uint8_t key[32];
	struct kv *kv;
	int r = examine_path(e, path, folder);

	store_why_clear();
	if (r == 0)
		r = key_read(e->disk, key, ignored, sizeof(ignored));
	if (r == 0)
		r = kv_rocksdb_open_read(path, CACHE_BYTES, &kv);
	if (r < 0) {
		explicit_bzero(key, sizeof(key));
		return r == -ENOENT || r == -EIO ? -EBADMSG : r;
	}
	r = read_all(e, kv);
	if (r == 0)
		r = state_fits_log(kv, NULL, key);
	if (r == 0)
		r = state_peek_position(kv, ret_index, ret_term);
	explicit_bzero(key, sizeof(key));
	kv_close(kv);
	return r;
}

/* The objects that damage to the state is known to concern. 0: they are reported, and counted. */
static int list_affected(struct examine *e)
{
	const struct check_options options = { .report = e->options->report, .progress = e->options->progress, .arg = e->options->arg };
	struct check_result result = { 0 };
	struct state *state = NULL;
	char path[4096];
	struct kv *kv;
	int r = examine_path(e, path, "state");

	if (r == 0)
		r = kv_rocksdb_open_read(path, CACHE_BYTES, &kv);
	if (r < 0)
		return r;
	r = state_open(kv, &state);
	if (r == 0 && read_all(e, kv) == -EBADMSG)
		r = objects_check(NULL, state, &options, &result);
	state_free(state);
	kv_close(kv);
	e->result->problems += result.problems;
	return r < 0 ? r : result.problems > 0 ? 0 : -ENOENT;
}

int examine_state(struct examine *e)
{
	enum finding_kind kind = e->options->repair ? FINDING_NOTE : FINDING_PROBLEM;
	char file[64];
	int r = try_state(e, "state", &e->index, &e->term);

	if (r != 0 && r != -EBADMSG)
		return r;
	e->state_whole = r == 0;
	if (r < 0) {
		if (!e->options->repair && list_affected(e) == 0)
			return 0;
		(void)try_state(e, "state", &e->index, &e->term);   /* for what it finds wrong */
		examine_say(e, kind, 0, state_file_of(store_why(), file), "the state is damaged: %s", store_why()[0] ? store_why() : "what it says of itself cannot be read");
		return 0;
	}
	if (!e->log_whole || fits(e, e->index, e->term))
		return 0;
	/* The log of this state has the state's term and does not begin behind it. */
	if (e->log.term < e->term || e->log.last_index == 0) {
		examine_say(e, kind, 0, "log", "the log ends before entry %" PRIu64 ", where the state ends: it is missing, older or of another directory", e->index);
		e->log_whole = false;
	} else {
		examine_say(e, kind, 0, "state", "the log begins behind entry %" PRIu64 ", and the state ends with entry %" PRIu64
			": it is older or lost. Restore both from one backup, or see what --repair can save", e->log.base_index, e->index);
		e->state_whole = false;
	}
	return 0;
}

/* ---- repair ------------------------------------------------------------------------------------------------------- */

struct linking { struct examine *e; const char *from, *to; };

/* Tables are never changed, so a link does; the small files are copied. */
static int link_one(void *arg, const char *name)
{
	struct linking *l = arg;
	char from[4096], to[4096], a[300], b[300];
	size_t size = strlen(name);
	struct disk_file *in = NULL, *out = NULL;

	if (size > 200 || strcmp(name, "lost") == 0 || strcmp(name, "LOCK") == 0)
		return 0;
	snprintf(a, sizeof(a), "%s/%s", l->from, name);
	snprintf(b, sizeof(b), "%s/%s", l->to, name);
	int r = examine_path(l->e, from, a);
	if (r == 0)
		r = examine_path(l->e, to, b);
	if (r < 0)
		return r;
	if (size > 4 && strcmp(name + size - 4, ".sst") == 0)
		return link(from, to) < 0 ? -errno : 0;
	r = disk_open(l->e->disk, a, O_RDONLY, &in);
	if (r == 0)
		r = disk_open(l->e->disk, b, O_RDWR | O_CREAT | O_TRUNC, &out);
	if (r == 0)
		r = disk_clone(in, out);
	disk_close(in);
	disk_close(out);
	return r;
}

static int remove_one(void *arg, const char *name)
{
	const struct linking *l = arg;
	char path[400];

	if (strcmp(name, "lost") == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", l->from, name);
	return disk_unlink(l->e->disk, path);
}

/* What a repair began to make and did not finish: links and copies of what is in "state". */
static int clear_new(struct examine *e)
{
	static const char *const folders[] = { "state.new/lost", "state.new" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < 2; i++) {
		struct linking l = { .e = e, .from = folders[i] };
		char path[4096];

		if (!examine_exists(e, folders[i]))
			continue;
		r = disk_list(e->disk, folders[i], remove_one, &l);
		if (r == 0)
			r = examine_path(e, path, folders[i]);
		if (r == 0 && rmdir(path) < 0)
			r = -errno;
	}
	return r;
}

/* state.new, out of the tables that are there. */
static int rebuild(struct examine *e)
{
	struct linking l = { .e = e, .from = "state", .to = "state.new" };
	char path[4096];
	int r = clear_new(e);

	if (r == 0)
		r = disk_mkdir(e->disk, "state.new");
	if (r == 0)
		r = disk_list(e->disk, "state", link_one, &l);
	if (r == 0)
		r = examine_path(e, path, "state.new");
	if (r == 0)
		r = kv_rocksdb_rebuild(path);
	return r;
}

static int make_empty(struct examine *e)
{
	char path[4096];
	struct kv *kv;
	int r = clear_new(e);

	if (r == 0)
		r = disk_mkdir(e->disk, "state.new");
	if (r == 0)
		r = examine_path(e, path, "state.new");
	if (r == 0)
		r = kv_rocksdb_open(path, true, CACHE_BYTES, &kv);
	if (r == 0)
		kv_close(kv);
	return r;
}

static int swap_state(struct examine *e, char place[static 64])
{
	int r = examine_exists(e, "state") ? examine_put_away(e, "state", "it is damaged; a new one was made", place) : 0;

	if (r == 0)
		r = examine_rename(e, "state.new", "state");
	return r == 0 ? disk_sync_dir(e->disk, ".") : r;
}

static int lost_tables(void *arg, const char *name)
{
	size_t size = strlen(name);

	*(unsigned *)arg += size > 4 && strcmp(name + size - 4, ".sst") == 0;
	return 0;
}

static void count_problem(void *arg, uint64_t ino, const char *text)
{
	(void)arg, (void)ino, (void)text;
}

/* Tables of another time or directory may each be whole. */
static int check_new(struct examine *e, bool *ret_sound)
{
	struct state_check check = { .report = count_problem };
	struct state *state = NULL;
	char path[4096];
	struct kv *kv;
	int r = examine_path(e, path, "state.new");

	if (r == 0)
		r = kv_rocksdb_open_read(path, CACHE_BYTES, &kv);
	if (r < 0)
		return r;
	r = state_open(kv, &state);
	if (r == 0)
		r = state_check(state, &check);
	*ret_sound = r == 0 && check.problems == 0;
	if (r == 0)
		free(check.pieces);
	state_free(state);
	kv_close(kv);
	return r;
}

/* From its own tables, if all of them are whole and fit each other. */
static int from_tables(struct examine *e, bool *ret_done)
{
	uint64_t index = 0, term = 0;
	unsigned lost = 0;
	bool sound = false;
	char place[64] = "lost", file[64];
	int r = examine_exists(e, "state") ? rebuild(e) : -ENOENT;

	*ret_done = false;
	if (r == 0)
		r = try_state(e, "state.new", &index, &term);
	if (r == 0)
		(void)disk_list(e->disk, "state.new/lost", lost_tables, &lost);
	if (r == 0)
		r = check_new(e, &sound);
	if (r == 0 && index > 0 && lost == 0 && sound && (!e->log_whole || fits(e, index, term))) {
		r = swap_state(e, place);
		if (r < 0)
			return r;
		e->index = index;
		e->term = term;
		e->state_whole = *ret_done = true;
		examine_say(e, FINDING_REPAIRED, 0, "state", "its list of tables is made anew from the tables, which are whole up to entry %" PRIu64 "; the old one is kept as %s", index, place);
		return 0;
	}
	if (r != 0 && r != -EBADMSG && r != -ENOENT && r != -EIO)
		return r;
	examine_say(e, FINDING_PROBLEM, 0, r == -EBADMSG ? state_file_of(store_why(), file) : "state",
		"the state cannot be made anew: %s. Everything is kept as it is: restore state and log from one backup, or take the data from another replica",
		r == -ENOENT ? "it is missing, and the log does not reach back to the beginning" :
		lost > 0 ? "a table of it cannot be read, or only in part" : r == 0 && !sound ? "its tables do not fit each other: one is another directory's, older or missing" : r == 0 ? "its tables do not reach up to where the log begins: one is missing, or they are older" : store_why());
	(void)list_affected(e);
	return clear_new(e);
}

int examine_state_repair(struct examine *e)
{
	char place[64] = "";
	bool done;

	/* The log alone makes it, entry by entry. */
	if (!e->log_whole || e->log.base_index > 0 || e->log.last_index == 0)
		return from_tables(e, &done);
	int r = make_empty(e);
	if (r == 0)
		r = swap_state(e, place);
	if (r < 0)
		return r;
	e->index = e->term = 0;
	e->state_whole = true;
	examine_say(e, FINDING_REPAIRED, 0, "state", "it is made anew from the log, which reaches back to the first entry%s%s", place[0] ? "; the old one is kept as " : "", place);
	return 0;
}
