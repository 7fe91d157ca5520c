/* Many threads at once, on shared references: no count is lost, and no record is read twice or never. */
#include "tests/libdios/live.h"

enum { THREADS = 8, ROUNDS = 250, RECORDS = THREADS * ROUNDS };

static pthread_barrier_t together;
static dios_ref shared, writer;
static int failures[THREADS], first_error;
static uint8_t seen[RECORDS];   /* by record: how often it was read */

static void failed(int thread, int r)
{
	failures[thread]++;
	__atomic_store_n(&first_error, r, __ATOMIC_RELAXED);
}

static void run(void *(*what)(void *arg), const char *why)
{
	pthread_t threads[THREADS];
	int sum = 0;

	memset(failures, 0, sizeof(failures));
	first_error = 0;
	pthread_barrier_init(&together, NULL, THREADS);
	for (intptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, what, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++)
		sum += failures[i];
	is_int(sum, 0, "%s", why);
	if (first_error)
		printf("# %s\n", strerror(-first_error));
	pthread_barrier_destroy(&together);
}

/* The optimistic loop of libdios(7). */
static void *count(void *arg)
{
	int thread = (int)(intptr_t)arg, r;
	struct dios_buffer b;

	pthread_barrier_wait(&together);
	for (int i = 0; i < ROUNDS; i++) {
		do {
			r = dios_acquire_write(0, shared, 0, sizeof(uint64_t), &b);
			if (r == 0) {
				++*(uint64_t *)b.data;
				r = dios_commit_write(DIOS_RELAXED, shared, &b, sizeof(uint64_t));
			}
		} while (r == -ESTALE);
		if (r < 0)
			failed(thread, r);
	}
	return NULL;
}

static void counting(void)
{
	struct dios_buffer b;
	uint64_t number = 0;

	shared = made(0, (struct dios_create_options){ 0 }, "a blob");
	run(count, "eight threads count in it");
	is_int(dios_acquire_read(0, shared, 0, sizeof(number), &b), 0, "what they counted");
	memcpy(&number, b.data, sizeof(number));
	dios_commit_read(0, shared, &b);
	is_int(number, RECORDS, "is all of it");
	dios_close(shared);
}

static void *append(void *arg)
{
	int thread = (int)(intptr_t)arg;

	pthread_barrier_wait(&together);
	for (int i = 0; i < ROUNDS; i++) {
		char text[32];
		snprintf(text, sizeof(text), "%06d", thread * ROUNDS + i);
		int r = put(DIOS_AT_END | DIOS_RELAXED, writer, 0, text);
		if (r < 0)
			failed(thread, r);
	}
	return NULL;
}

static void *take(void *arg)
{
	int thread = (int)(intptr_t)arg, r;
	struct dios_buffer b;

	pthread_barrier_wait(&together);
	while ((r = dios_acquire_read(DIOS_RECORD, shared, DIOS_NEXT, 100, &b)) == 0) {
		char text[8] = "";
		if (b.size == 0)
			break;
		memcpy(text, b.data, b.size < 7 ? b.size : 7);
		long number = strtol(text, NULL, 10);
		if (b.size != 6 || number < 0 || number >= RECORDS)
			failed(thread, -EBADMSG);
		else
			__atomic_fetch_add(&seen[number], 1, __ATOMIC_RELAXED);
		dios_commit_read(0, shared, &b);
	}
	if (r < 0)
		failed(thread, r);
	return NULL;
}

static void streams(enum dios_stream_mode mode)
{
	const char *path = at("threads");
	int never = 0, twice = 0;

	writer = made(0, (struct dios_create_options){ .kind = DIOS_STREAM, .path = path }, "a stream");
	shared = opened(path, DIOS_READ, "a reader that eight threads share");
	is_int(dios_stream_mode(shared, mode, DIOS_NEXT), 0, mode == DIOS_CONSUME ? "it consumes" : "it follows");
	memset(seen, 0, sizeof(seen));
	run(append, "eight threads append to it");
	dios_stream_end(writer);
	run(take, "eight threads read to the end");
	for (int i = 0; i < RECORDS; i++) {
		never += seen[i] == 0;
		twice += seen[i] > 1;
	}
	is_int(never, 0, "no record is missing");
	is_int(twice, 0, "none came twice");
	dios_close(shared);
	dios_close(writer);
	unlink(path);
}

/* Each for itself, all at once: creating, large buffers, tokens, the end. */
static void *live(void *arg)
{
	int thread = (int)(intptr_t)arg;

	pthread_barrier_wait(&together);
	for (int i = 0; i < ROUNDS / 10; i++) {
		char token[DIOS_TOKEN_SIZE];
		struct dios_buffer b;
		dios_ref ref = -1, copy = -1;
		size_t one = 1, size = 50000 + 1000 * (size_t)thread;
		int r = dios_create(0, NULL, NULL, &ref);
		if (r == 0) r = dios_acquire_write(0, ref, 0, size, &b);
		if (r == 0) {
			memset(b.data, 'a' + thread, size);
			r = dios_commit_write(DIOS_RELAXED, ref, &b, size);
		}
		if (r == 0) r = dios_copy(DIOS_TOKEN, ref, &(struct dios_copy_options){ .rights = DIOS_READ }, NULL, token);
		if (r == 0) r = dios_lookup(0, token, DIOS_READ, &copy, &one);
		if (r == 0) r = dios_acquire_read(0, copy, 0, size, &b);
		if (r == 0) {
			if (b.size != size || ((char *)b.data)[size - 1] != 'a' + thread)
				r = -EBADMSG;
			dios_commit_read(DIOS_DISCARD, copy, &b);
		}
		if (copy >= 0) dios_close(copy);
		if (r == 0) r = dios_delete(0, ref);
		if (r < 0) failed(thread, r);
	}
	return NULL;
}

int main(void)
{
	counting();
	streams(DIOS_FOLLOW);
	streams(DIOS_CONSUME);
	run(live, "eight threads make, share and delete objects of their own");
	return done_testing();
}
