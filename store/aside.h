/* Syncs that go on beside each other: the disk takes several at once in little more time than one, so that whoever needs two gives one of them to
 * a thread that has nothing else to do. Without threads (a simulation has none), or while all are busy, he does it himself afterwards.
 *
 * A job may take locks of rank LOCK_LOG and higher only: whoever waits for it may hold lower ones. */
#ifndef DIOS_STORE_ASIDE_H
#define DIOS_STORE_ASIDE_H

#include <semaphore.h>
#include <stdbool.h>

struct aside;
/* Lies with whoever begins it, until aside_end. */
struct aside_job {
	int (*run)(void *arg);
	void *arg;
	/* private */
	struct aside_job *next;
	bool begun;        /* by a thread */
	int result;
	sem_t done;
};

int aside_new(unsigned threads, struct aside **ret_aside);
void aside_free(struct aside *a);            /* no job is under way. NULL is fine */
/* a: NULL if there are no threads. */
void aside_begin(struct aside *a, struct aside_job *job, int (*run)(void *arg), void *arg);
int aside_end(struct aside *a, struct aside_job *job);   /* what the job said, once it is done */

#endif
