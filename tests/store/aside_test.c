/* The promises of store/aside.h: a job goes on beside whoever began it, is done exactly once, and what it says is heard; without a thread that is
 * free he does it himself. */
#include <pthread.h>

#include "store/aside.h"
#include "tests/store/store_test.h"

#define MANY 2000u

struct work {
	sem_t *wait_for, *post;     /* NULL: neither */
	int result;
	unsigned runs;
	pthread_t by;
};

static int work_run(void *arg)
{
	struct work *w = arg;

	if (w->post)
		sem_post(w->post);
	if (w->wait_for)
		while (sem_wait(w->wait_for) < 0)
			continue;
	w->runs++;
	w->by = pthread_self();
	return w->result;
}

static bool by_me(const struct work *w) { return pthread_equal(w->by, pthread_self()) != 0; }

static void without_threads(void)
{
	struct work w = { .result = -EIO };
	struct aside_job job;

	aside_begin(NULL, &job, work_run, &w);
	is_int(w.runs, 0, "without threads nothing is done before the end");
	is_int(aside_end(NULL, &job), -EIO, "which says what the job said");
	ok(w.runs == 1 && by_me(&w), "and did it");
}

static void beside(void)
{
	struct aside *a;
	struct aside_job job, second;
	sem_t go, begun;

	is_int(aside_new(1, &a), 0, "one thread");
	sem_init(&go, 0, 0);
	sem_init(&begun, 0, 0);
	struct work w = { .wait_for = &go, .post = &begun, .result = -ENOSPC }, other = { .result = 7 };
	aside_begin(a, &job, work_run, &w);
	while (sem_wait(&begun) < 0)
		continue;
	ok(true, "it begins a job by itself");
	aside_begin(a, &second, work_run, &other);
	is_int(aside_end(a, &second), 7, "while it is busy");
	ok(other.runs == 1 && by_me(&other), "a second one is done by whoever began it");
	sem_post(&go);
	is_int(aside_end(a, &job), -ENOSPC, "the first says what it said");
	ok(w.runs == 1 && !by_me(&w), "and was done by the thread");
	aside_free(a);
	sem_destroy(&go);
	sem_destroy(&begun);
}

struct client { struct aside *a; unsigned wrong; };

static void *client_main(void *arg)
{
	struct client *c = arg;

	for (unsigned i = 0; i < MANY; i++) {
		struct work w[2] = { { .result = (int)i }, { .result = -(int)i } };
		struct aside_job job[2];
		for (unsigned k = 0; k < 2; k++)
			aside_begin(c->a, &job[k], work_run, &w[k]);
		for (unsigned k = 0; k < 2; k++)
			if (aside_end(c->a, &job[k]) != w[k].result || w[k].runs != 1)
				c->wrong++;
	}
	return NULL;
}

static void many(void)
{
	struct client clients[4] = { 0 };
	pthread_t threads[4];
	struct aside *a;
	unsigned wrong = 0;

	is_int(aside_new(2, &a), 0, "two threads");
	for (unsigned i = 0; i < 4; i++) {
		clients[i].a = a;
		if (pthread_create(&threads[i], NULL, client_main, &clients[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		wrong += clients[i].wrong;
	}
	is_int(wrong, 0, "%u jobs of four clients: each is done once, and its own result told", 4 * 2 * MANY);
	aside_free(a);
}

int main(void)
{
	without_threads();
	beside();
	many();
	return done_testing();
}
