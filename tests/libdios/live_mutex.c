/* The consistency level `mutex`: acquire waits for whoever has the object, so that no commit is ever stale. */
#include "tests/libdios/live.h"

enum { THREADS = 6, ROUNDS = 200 };

static dios_ref shared_refs[THREADS];
static int stale, failed;

static dios_ref second_reference(const char *path) { return opened(path, DIOS_READ | DIOS_WRITE, "another reference"); }

static int try_write(dios_ref ref)
{
	struct dios_buffer b;
	int r = dios_acquire_write(DIOS_NOWAIT, ref, 0, 8, &b);
	return r < 0 ? r : dios_commit_write(DIOS_DISCARD, ref, &b, 0);
}

static int try_read(dios_ref ref)
{
	struct dios_buffer b;
	int r = dios_acquire_read(DIOS_NOWAIT, ref, 0, 8, &b);
	return r < 0 ? r : dios_commit_read(DIOS_DISCARD, ref, &b);
}

static void exclusion(size_t size)
{
	const char *path = at("mutex");
	dios_ref first = made(0, (struct dios_create_options){ .path = path, .read_consistency = DIOS_MUTEX, .write_consistency = DIOS_MUTEX }, "a blob under a mutex");
	dios_ref second = second_reference(path);
	struct dios_buffer w, r;

	is_int(put(0, first, 0, "12345678"), 0, "eight bytes");
	is_int(dios_acquire_write(0, first, 0, size, &w), 0, "a writer has it (%zu bytes)", size);
	is_int(try_write(second), -EAGAIN, "so that no other writer gets it");
	is_int(try_read(second), -EAGAIN, "nor a reader");
	is_int(try_write(first), -EAGAIN, "nor the same one twice");
	is_int(dios_commit_write(0, first, &w, size), 0, "published");
	is_int(try_write(second), 0, "another has it");
	is_int(try_write(second), 0, "and again, having discarded it");
	is_int(dios_acquire_read(0, first, 0, size, &r), 0, "a reader has it");
	is_int(try_read(second), 0, "with company");
	is_int(try_write(second), -EAGAIN, "but no writer");
	is_int(dios_commit_read(0, first, &r), 0, "released");
	is_int(try_write(second), 0, "a writer has it");
	is_int(dios_acquire_write(0, first, 0, size, &w), 0, "somebody has it");
	is_int(dios_commit_write(DIOS_DISCARD, first, &w, 0), 0, "and throws it away");
	is_int(try_write(second), 0, "which lets go of it");
	is_int(dios_acquire_write(0, second, 0, size, &w), 0, "somebody has it");
	dios_close(second);
	struct dios_wait none = { .ref = -1 };
	int result = -EAGAIN;
	for (int i = 0; i < 100 && result == -EAGAIN; i++) {   /* the kernel tells the daemon of a close soon */
		result = try_write(first);
		dios_select(0, &none, 1, 50000000);
	}
	is_int(result, 0, "and closes the descriptor: that lets go too");
	is_int(dios_commit_write(DIOS_DISCARD, second, &w, 0), -EBADF, "what is left of its buffer goes without it");
	dios_close(first);
	unlink(path);
}

static void *count(void *arg)
{
	dios_ref ref = *(dios_ref *)arg;
	struct dios_buffer b;

	for (int i = 0; i < ROUNDS; i++) {
		int r = dios_acquire_write(0, ref, 0, sizeof(uint64_t), &b);
		if (r == 0) {
			++*(uint64_t *)b.data;
			r = dios_commit_write(DIOS_RELAXED, ref, &b, sizeof(uint64_t));
		}
		if (r == -ESTALE)
			__atomic_fetch_add(&stale, 1, __ATOMIC_RELAXED);
		else if (r < 0)
			__atomic_fetch_add(&failed, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void counting(void)
{
	const char *path = at("mutex");
	pthread_t threads[THREADS];
	struct dios_buffer b;
	uint64_t number = 0;

	shared_refs[0] = made(0, (struct dios_create_options){ .path = path, .write_consistency = DIOS_MUTEX }, "a blob under a mutex for writers");
	for (int i = 1; i < THREADS; i++)
		shared_refs[i] = second_reference(path);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, count, &shared_refs[i]);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	is_int(failed, 0, "six threads count in it");
	is_int(stale, 0, "and no commit is stale");
	is_int(dios_acquire_read(0, shared_refs[0], 0, sizeof(number), &b), 0, "what they counted");
	memcpy(&number, b.data, sizeof(number));
	dios_commit_read(0, shared_refs[0], &b);
	is_int(number, THREADS * ROUNDS, "is all of it");
	for (int i = 0; i < THREADS; i++)
		dios_close(shared_refs[i]);
	unlink(path);
}

int main(void)
{
	exclusion(8);
	exclusion(100000);
	counting();
	return done_testing();
}
