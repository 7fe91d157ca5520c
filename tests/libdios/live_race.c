/* Two writers, one base: in each of 10,000 races exactly one commits and the other is told ESTALE. The sum of what they wrote says
 * that no commit was lost and none was made twice. */
#include "tests/libdios/live.h"

#define RACES 10000

static dios_ref refs[2];
static pthread_barrier_t acquired, start, finish;
static int results[2];
static uint64_t versions[2];

/* One side: acquire, meet, commit, meet. */
static void race(int side)
{
	struct dios_buffer b;
	uint64_t number;

	results[side] = dios_acquire_write(0, refs[side], 0, sizeof(number), &b);
	bool have = results[side] == 0;
	versions[side] = have ? b.version : 0;
	pthread_barrier_wait(&acquired);
	if (have) {
		memcpy(&number, b.data, sizeof(number));
		number++;
		memcpy(b.data, &number, sizeof(number));
	}
	pthread_barrier_wait(&start);
	if (have)
		results[side] = dios_commit_write(DIOS_RELAXED, refs[side], &b, sizeof(number));
	pthread_barrier_wait(&finish);
}

static void *other_side(void *arg)
{
	(void)arg;
	for (int i = 0; i < RACES; i++) {
		race(1);
		pthread_barrier_wait(&acquired);   /* until the results have been looked at */
	}
	return NULL;
}

int main(void)
{
	int one = 0, none = 0, both = 0, other = 0, apart = 0, won[2] = { 0 };
	const char *path = at("race");
	struct dios_buffer b;
	uint64_t number = 0;
	pthread_t thread;

	refs[0] = made(0, (struct dios_create_options){ .path = path }, "a blob");
	refs[1] = opened(path, DIOS_READ | DIOS_WRITE, "and a second reference");
	pthread_barrier_init(&acquired, NULL, 2);
	pthread_barrier_init(&start, NULL, 2);
	pthread_barrier_init(&finish, NULL, 2);
	pthread_create(&thread, NULL, other_side, NULL);
	for (int i = 0; i < RACES; i++) {
		race(0);
		if (versions[0] != versions[1])
			apart++;
		for (int side = 0; side < 2; side++) {
			won[side] += results[side] == 0;
			other += results[side] != 0 && results[side] != -ESTALE;
		}
		if (results[0] == 0 && results[1] == 0)
			both++;
		else if (results[0] == 0 || results[1] == 0)
			one++;
		else
			none++;
		pthread_barrier_wait(&acquired);
	}
	pthread_join(thread, NULL);
	is_int(apart, 0, "both start from one base in each of %d races", RACES);
	is_int(one, RACES, "exactly one commits in each");
	is_int(both, 0, "never both");
	is_int(none, 0, "never neither");
	is_int(other, 0, "the other is told ESTALE, nothing else");
	is_int(dios_acquire_read(0, refs[0], 0, sizeof(number), &b), 0, "what they counted");
	memcpy(&number, b.data, sizeof(number));
	dios_commit_read(DIOS_DISCARD, refs[0], &b);
	is_int(number, RACES, "is one for each race");
	printf("# the first won %d times, the second %d times\n", won[0], won[1]);
	dios_close(refs[0]);
	dios_close(refs[1]);
	unlink(path);
	return done_testing();
}
