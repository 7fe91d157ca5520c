/* Invariant: a job is in the list, or a thread has it, or whoever began it does it himself; exactly one of these takes it out of the list. */
#include "store/aside.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/lock.h"

#define THREADS_MAX 8u

struct aside {
	struct lock lock;            /* guards the list and jobs' `begun` */
	struct aside_job *jobs;
	sem_t wanted;                /* once for each job that was put into the list, and at the end */
	bool ending;
	unsigned count;
	pthread_t threads[THREADS_MAX];
};

/* Takes the job out of the list, or the first one (job: NULL). NULL: it is not there any more. lock held. */
static struct aside_job *take(struct aside *a, const struct aside_job *job)
{
	struct aside_job **link = &a->jobs;

	while (*link && job && *link != job)
		link = &(*link)->next;
	struct aside_job *found = *link;
	if (found)
		*link = found->next;
	return found;
}

static void sem_wait_for_sure(sem_t *s)
{
	while (sem_wait(s) < 0)
		assert(errno == EINTR);
}

static void *aside_main(void *arg)
{
	struct aside *a = arg;

	for (;;) {
		sem_wait_for_sure(&a->wanted);
		lock_acquire(&a->lock);
		struct aside_job *job = take(a, NULL);
		bool ending = a->ending;
		if (job)
			job->begun = true;
		lock_release(&a->lock);
		if (job) {
			job->result = job->run(job->arg);
			sem_post(&job->done);
		} else if (ending) {
			return NULL;
		}
	}
}

int aside_new(unsigned threads, struct aside **ret_aside)
{
	struct aside *a = calloc(1, sizeof(*a));
	int r = 0;

	assert(threads <= THREADS_MAX);
	if (!a)
		return -ENOMEM;
	lock_init(&a->lock, "aside", LOCK_LEAF);
	sem_init(&a->wanted, 0, 0);
	while (r == 0 && a->count < threads)
		if ((r = -pthread_create(&a->threads[a->count], NULL, aside_main, a)) == 0)
			a->count++;
	if (r < 0) {
		aside_free(a);
		return r;
	}
	*ret_aside = a;
	return 0;
}

void aside_free(struct aside *a)
{
	if (!a)
		return;
	lock_acquire(&a->lock);
	assert(!a->jobs);
	a->ending = true;
	lock_release(&a->lock);
	for (unsigned i = 0; i < a->count; i++)
		sem_post(&a->wanted);
	for (unsigned i = 0; i < a->count; i++)
		pthread_join(a->threads[i], NULL);
	sem_destroy(&a->wanted);
	lock_done(&a->lock);
	free(a);
}

void aside_begin(struct aside *a, struct aside_job *job, int (*run)(void *arg), void *arg)
{
	*job = (struct aside_job){ .run = run, .arg = arg };
	sem_init(&job->done, 0, 0);
	if (!a)
		return;
	lock_acquire(&a->lock);
	job->next = a->jobs;
	a->jobs = job;
	lock_release(&a->lock);
	sem_post(&a->wanted);
}

int aside_end(struct aside *a, struct aside_job *job)
{
	bool begun = false;

	if (a) {
		lock_acquire(&a->lock);
		begun = job->begun;
		if (!begun)
			take(a, job);
		lock_release(&a->lock);
	}
	if (begun)
		sem_wait_for_sure(&job->done);
	else
		job->result = job->run(job->arg);
	sem_destroy(&job->done);
	return job->result;
}
