/* DIR/scrub: where the scrubber is and what it has found. Text, with a checksum; one that is damaged is begun anew. */
#ifndef DIOS_OBJECTS_SCRUB_FILE_H
#define DIOS_OBJECTS_SCRUB_FILE_H

#include "caps/name.h"
#include "objects/objects.h"

struct scrub_place {
	uint64_t passes;                 /* that came to their end */
	int64_t began_ns, full_ns;       /* wall clock: this pass; the end of the last one, 0: none yet */
	uint64_t done_bytes;             /* of this pass */
	bool in_pass, in_objects;        /* else between two; behind the state */
	struct name after;               /* the object read last */
};

int scrub_save(struct objects *os, const struct scrub_place *place);   /* with the list of what is damaged */
/* -ENOENT; -EBADMSG. */
int scrub_load(struct objects *os, struct scrub_place *ret_place);

#endif
