/* Private to the examination of a data directory. */
#ifndef DIOS_OBJECTS_EXAMINE_INTERNAL_H
#define DIOS_OBJECTS_EXAMINE_INTERNAL_H

#include "objects/examine.h"

struct examine {
	const char *directory;
	struct disk *disk;
	const struct examine_options *options;
	struct check_result *result;
	bool lossy;
	uint64_t done_bytes;
	/* of the parts that are whole */
	bool log_whole, state_whole;
	struct log_group log;            /* if log_whole */
	uint64_t index, term;            /* the state's, if state_whole */
	char *error;
	size_t error_size;
};

void examine_say(struct examine *e, enum finding_kind kind, uint64_t ino, const char *file, const char *format, ...) __attribute__((format(printf, 5, 6)));
int examine_path(const struct examine *e, char path[static 4096], const char *name);   /* -ENAMETOOLONG */
bool examine_exists(const struct examine *e, const char *name);
/* Takes a file or folder out of use: DIR/lost/NNNN-its-name, and a line in DIR/lost/list. ret_place[64]: where it is now; NULL: not wanted. */
int examine_put_away(struct examine *e, const char *name, const char *why, char *ret_place);
int examine_rename(struct examine *e, const char *from, const char *to);

int examine_small_files(struct examine *e);  /* examine_files.c: -EBADMSG: it cannot be opened without them */
int examine_strays(struct examine *e);
int examine_log(struct examine *e);          /* examine_log.c: fills in log_whole and log */
int examine_log_repair(struct examine *e);   /* over a whole state */
int examine_state(struct examine *e);        /* examine_state.c: fills in state_whole, index and term */
int examine_state_repair(struct examine *e);
int examine_stage(struct examine *e);        /* examine_stage.c */

#endif
