/* A thread that is about to wait for the disk says so here: whoever has given it its work may let another one take over what else there is. */
#ifndef DIOS_BASE_WAITS_H
#define DIOS_BASE_WAITS_H

void waits_begin(void);                                          /* calls this thread's hook, if it has one; leaf locks may not be held */
void waits_set_hook(void (*hook)(void *arg), void *arg);         /* this thread's; NULL: none */

#endif
