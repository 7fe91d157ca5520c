/* Shared by the two ways of dios fsck. */
#ifndef DIOS_MOUNT_TOOLS_FSCK_ONLINE_H
#define DIOS_MOUNT_TOOLS_FSCK_ONLINE_H

#include "mount-tools/cli.h"
#include "mount-tools/progress.h"
#include "objects/finding.h"

/* As fsck(8) has them. */
enum { FSCK_CLEAN = 0, FSCK_CORRECTED = 1, FSCK_UNCORRECTED = 4, FSCK_FAILED = 8, FSCK_USAGE = 16, FSCK_CANCELLED = 32 };

struct fsck { struct cli *cli; struct progress progress; bool begun; };

void fsck_begin(struct fsck *f);
void fsck_report(void *arg, const struct finding *finding);
bool fsck_progress(void *arg, uint64_t done, uint64_t total);
int fsck_end(struct fsck *f, uint64_t problems, uint64_t repaired);   /* the exit status */
bool fsck_cancelled(void);                                            /* by a signal */

int fsck_online(struct fsck *f);   /* of the mount, by its daemon */

#endif
