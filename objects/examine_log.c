/* The Raft log of a data directory, examined and, over a whole state, made anew from what is left of it; see examine.h.
 *
 * What is behind the first entry that is lost can't be applied: each command is over what those before it left. It is kept in
 * DIR/lost with the old segments. Nothing that the state has is lost with the log: the state's last entry becomes the base of the new one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "objects/examine_internal.h"
#include "store/log_salvage.h"
#include "store/why.h"

#define SHARD_FIRST 0u    /* the one shard there is so far */

static bool file_of(const char *why, char file[static 64])
{
	size_t size = strcspn(why, ":");

	if (strncmp(why, "log", 3) != 0 || why[size] != ':' || size >= 64)
		return false;
	memcpy(file, why, size);
	file[size] = '\0';
	return true;
}

int examine_log(struct examine *e)
{
	struct log *log;
	char file[64] = "log";

	store_why_clear();
	int r = log_open(e->disk, "log", LOG_SEGMENT_SIZE, &log);
	if (r == 0) {
		log_get_group(log, SHARD_FIRST, &e->log);
		log_close(log);
		e->log_whole = true;
		return 0;
	}
	if (r != -EBADMSG) {
		snprintf(e->error, e->error_size, "%s: the log cannot be opened: %s", e->directory, r == -ENOTSUP ? "it was made by a newer dios" : strerror(-r));
		return r;
	}
	const char *why = store_why();
	bool named = file_of(why, file);
	if (!e->options->repair)
		examine_say(e, FINDING_PROBLEM, 0, file, "the log is damaged where it was synced: %s. Take the data from another replica or a backup, or see what --repair can save",
			named ? why + strlen(file) + 2 : why);
	else
		examine_say(e, FINDING_NOTE, 0, file, "the log is damaged where it was synced: %s", named ? why + strlen(file) + 2 : why);
	return 0;
}

static int swap_log(struct examine *e, char place[static 64])
{
	int r = examine_exists(e, "log") ? examine_put_away(e, "log", "it is damaged; what could be read of it is in the new one", place) : 0;

	if (r == 0)
		r = examine_rename(e, "log.new", "log");
	return r == 0 ? disk_sync_dir(e->disk, ".") : r;
}

int examine_log_repair(struct examine *e)
{
	struct log_salvage found;
	char place[64] = "lost";
	int r = 0;

	if (examine_exists(e, "log.new"))
		r = examine_put_away(e, "log.new", "an earlier repair did not finish it", NULL);
	if (r == 0)
		r = log_salvage(e->disk, "log", SHARD_FIRST, e->index, e->term, "log.new", &found);
	if (r == 0)
		r = swap_log(e, place);
	if (r < 0) {
		examine_say(e, FINDING_PROBLEM, 0, "log", "a new log cannot be made from what is left: %s", strerror(-r));
		return r;
	}
	e->log_whole = true;
	e->lossy = true;   /* what was damaged may have been the last entries: nothing says so */
	uint64_t taken = found.last_index + 1 - found.first_index;
	examine_say(e, FINDING_REPAIRED, 0, "log", "a new log goes on behind entry %" PRIu64 " of the state, with %" PRIu64 " more that could be read; %s%s; the old one is kept as %s",
		e->index, taken, found.beyond > 0 ? "some are lost" : found.bad_segments > 0 ? "a segment could not be read at all: what only it had is lost" :
		"behind them none is known to be missing", found.beyond > 0 ? ", so those behind them cannot be applied" : "", place);
	if (found.beyond > 0)
		examine_say(e, FINDING_PROBLEM, 0, place, "%" PRIu64 " entries of the log up to %" PRIu64 " are there and cannot be applied: what was changed since is lost, unless a backup has it",
			found.beyond, found.highest);
	return 0;
}
