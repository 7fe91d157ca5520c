/* What of a damaged staging log can still be read: for `dios fsck`. Nothing of the log is changed. */
#ifndef DIOS_STORE_STAGE_SALVAGE_H
#define DIOS_STORE_STAGE_SALVAGE_H

#include "store/stage.h"

struct stage_salvage {
	/* Called for each thing that is wrong. file: below the data directory. ino 0: of which object is not known. */
	void (*report)(void *arg, const char *file, uint64_t ino, const char *text);
	/* Are the bytes that a record speaks of where they should be (STAGE_TAIL)? NULL: they are. False: the record is left out. */
	bool (*whole)(void *arg, const struct stage_record *record);
	void *arg;
	bool tails_only;                  /* nothing else is reported and counted */
	uint64_t highest_seq;             /* out: of all records */
	unsigned problems;                /* out */
};

/* Looks at all segments of this boot. into: a folder, made; it gets the records that are whole, with their numbers, and no file of
 * numbers. NULL: nothing is written. */
int stage_salvage(struct disk *disk, const char *folder, const uint8_t boot_id[16], struct stage_salvage *s, const char *into);
#endif
