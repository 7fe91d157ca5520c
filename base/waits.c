/* See waits.h. */
#include <stddef.h>

#include "base/waits.h"

static _Thread_local struct { void (*hook)(void *arg); void *arg; } waits;

void waits_set_hook(void (*hook)(void *arg), void *arg)
{
	waits.hook = hook;
	waits.arg = arg;
}

void waits_begin(void)
{
	if (waits.hook)
		waits.hook(waits.arg);
}
