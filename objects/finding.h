/* What a check finds: of which object, in which file, what is wrong, and what became of it. */
#ifndef DIOS_OBJECTS_FINDING_H
#define DIOS_OBJECTS_FINDING_H

#include <stdint.h>

enum finding_kind {
	FINDING_NOTE,        /* no damage: it goes away by itself, or does not matter */
	FINDING_PROBLEM,     /* and it is still there */
	FINDING_REPAIRED,    /* it was a problem */
};

struct finding {
	enum finding_kind kind;
	uint64_t ino;            /* 0: of no object, or of which is not known */
	const char *name;        /* of the object, as text; NULL: not known. These are borrowed for the call */
	const char *path;        /* from the mount's root on, "/a/b"; bytes as users gave them; NULL: none is known */
	const char *file;        /* below the data directory; NULL: in no file of its own */
	const char *text;        /* what is wrong, without a newline; no byte of a user's but escaped */
};

#endif
