/* What must be right before a data directory can be opened at all: the small files, the log, the state, the staging log, and what lies where
 * nothing should. For `dios fsck DATA`; no daemon may have the directory.
 *
 * Repairing never takes anything away for good: what is out of place, and what something better was made from, goes to
 * DIR/lost, under a number, and DIR/lost/list says where it was and why. What each part is made from again:
 *
 *   format, key               their copies; the copies from them
 *   reserve, missing folders  made new; what was in a folder is not
 *   log                       the entries that are there behind the state's, without a gap, on a new base: the state's last entry
 *   state                     the log, if it reaches back to the first entry; else its own tables, whose list is made new
 *   stage                     its records that are whole; numbers: above all that records and segments have used
 *   heads out of place        their place, if nothing is there
 */
#ifndef DIOS_OBJECTS_EXAMINE_H
#define DIOS_OBJECTS_EXAMINE_H

#include "objects/check.h"

struct examine_options {
	bool repair;
	bool replayed;           /* the state is as new as the log: what staged writes have put into heads is looked at too */
	void (*report)(void *arg, const struct finding *finding);
	bool (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);   /* as in struct check_options */
	void *arg;
};

/* 0: it can be opened. -EBADMSG: it cannot, *ret_result says of how many problems, or what was repaired is not enough. *ret_lossy: entries of
 * the log, or what an object had, may be gone; so heads that nothing refers to are no leftovers: examine_keep_heads. Other errors: it could
 * not be examined; error[] has a sentence. */
int objects_examine(const char *directory, const struct examine_options *options, struct check_result *result, bool *ret_lossy, char *error, size_t error_size);
/* What staged writes have put into heads is there; the log has been replayed. Without repair what is not is reported; with it *ret_damaged says
 * that there is something to repair: objects_examine, replayed, once the store is closed. */
int examine_tails(const char *directory, struct store *store, struct state *state, const struct examine_options *options, struct check_result *result,
	bool *ret_damaged);
/* What lies where nothing should, of a directory whose daemon works: reported, nothing is moved. */
int examine_strays_beside(struct store *store, const struct examine_options *options, struct check_result *result);
/* Moves the heads that no record refers to into DIR/lost, before a start takes them for leftovers. */
int examine_keep_heads(const char *directory, struct store *store, struct state *state, const struct examine_options *options, struct check_result *result);

#endif
