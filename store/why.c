/* See why.h. */
#include "store/why.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char why[512];

void store_why_set(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
}

void store_why_clear(void) { why[0] = '\0'; }

const char *store_why(void) { return why; }
