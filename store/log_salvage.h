/* What of a damaged log can still be read: for `dios fsck --repair`. It changes nothing of the log. */
#ifndef DIOS_STORE_LOG_SALVAGE_H
#define DIOS_STORE_LOG_SALVAGE_H

#include "store/log.h"

struct log_salvage {
	uint64_t term;                    /* highest that any record names */
	uint64_t first_index, last_index; /* entries that are there, without a gap, behind the index that was asked for; first > last: none */
	uint64_t beyond;                  /* entries behind the first gap: what they say can't be applied */
	uint64_t highest;                 /* the highest index of an entry that is there at all */
	unsigned segments, bad_segments;  /* files; those whose header is damaged */
};

/* Takes the entries of one group behind `after` that are there without a gap to a new log, made in the folder `into`, whose base is
 * (after, after_term). into NULL: only counts. A segment whose header is damaged gives nothing: only its salt tells records from what a user has
 * written to look like one. */
int log_salvage(struct disk *disk, const char *folder, uint32_t group, uint64_t after, uint64_t after_term, const char *into,
	struct log_salvage *ret_found);

#endif
