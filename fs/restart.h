/* A daemon that takes over from one that died. Internal to fs/. */
#ifndef DIOS_FS_RESTART_H
#define DIOS_FS_RESTART_H

#include "fs/session.h"

/* Does what was under way, after handles_restore. Returns when no request is left that has not been served, or waits as it did before. */
void restart_run(struct fs *fs);

#endif
