/* What the last call of this thread into store/ that failed has found: which file, and what is wrong there, for a message to people. */
#ifndef DIOS_STORE_WHY_H
#define DIOS_STORE_WHY_H

#include "base/error.h"

void store_why_set(const char *format, ...) _printf_(1, 2);
void store_why_clear(void);
const char *store_why(void);      /* "" if nothing was said since it was cleared; until the next call of this thread */

#endif
