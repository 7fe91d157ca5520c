/* How far a long operation is, on standard error: a bar on a terminal, else a line every PROGRESS_LINE_NS, nothing for what is
 * over sooner. Never on standard output, which belongs to the result. */
#ifndef DIOS_MOUNT_TOOLS_PROGRESS_H
#define DIOS_MOUNT_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/clock.h"

#define PROGRESS_BAR_NS (100 * NS_PER_MS)       /* a bar is drawn ten times a second at most */
#define PROGRESS_LINE_NS (10 * NS_PER_SECOND)

enum progress_unit { PROGRESS_BYTES, PROGRESS_ITEMS };

struct progress {
	FILE *out;                 /* borrowed */
	struct clock *clock;       /* borrowed */
	const char *label;         /* borrowed */
	enum progress_unit unit;
	uint64_t total;            /* 0: unknown */
	bool terminal, quiet, drawn;
	int64_t start_ns, drawn_ns;
};

void progress_init(struct progress *p, const char *label, enum progress_unit unit, uint64_t total, bool quiet);
/* detail: a few words behind the numbers; NULL: none. Cheap when nothing is due. */
void progress_update(struct progress *p, uint64_t done, const char *detail);
void progress_finish(struct progress *p, uint64_t done, const char *detail);   /* draws the last state and ends the line */
void progress_clear(struct progress *p);                                       /* takes the bar away, before a message */

#endif
