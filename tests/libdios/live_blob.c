/* Blobs on a mount: acquire and commit, conflicts, large buffers, and what read(2) and write(2) see of them. */
#include <sys/mman.h>
#include "tests/libdios/live.h"

#define LARGE (20u << 20)

static void small(void)
{
	struct dios_buffer b;
	dios_ref ref = made(0, (struct dios_create_options){ 0 }, "a blob");

	holds(ref, 0, "", "a new blob is empty");
	is_int(put(0, ref, 0, "hello, world"), 0, "twelve bytes");
	holds(ref, 0, "hello, world", "are there");
	holds(ref, 7, "world", "from an offset too");
	holds(ref, 12, "", "nothing lies at the end");
	holds(ref, 1 << 30, "", "nor far past it");
	is_int(put(0, ref, 7, "there"), 0, "five of them changed");
	holds(ref, 0, "hello, there", "the others stay");
	is_int(dios_acquire_write(0, ref, 0, 20, &b), 0, "a copy of more than there is");
	is_mem(b.data, "hello, there\0\0\0\0\0\0\0\0", 20, "has zeros past the end");
	uint64_t version = b.version;
	((char *)b.data)[0] = 'j';
	is_int(dios_commit_write(0, ref, &b, 5), 0, "of which five bytes are published");
	is_int(b.version, version + 1, "as the next version");
	ok(b.data == NULL, "and the buffer is gone");
	holds(ref, 0, "jello, there", "the rest stays");
	is_int(dios_delete(0, ref), 0, "deleted");
	is_int(fcntl(ref, F_GETFD), -1, "and closed");
}

static void flags(void)
{
	struct dios_buffer b, old;
	dios_ref ref = made(0, (struct dios_create_options){ 0 }, "a blob");

	is_int(put(0, ref, 0, "one"), 0, "a first version");
	is_int(dios_acquire_write(0, ref, 0, 3, &old), 0, "somebody takes a copy");
	is_int(put(0, ref, 0, "two"), 0, "somebody else is first");
	memcpy(old.data, "bad", 3);
	is_int(dios_commit_write(0, ref, &old, 3), -ESTALE, "the copy is stale");
	holds(ref, 0, "two", "and changes nothing");
	is_int(dios_acquire_write(0, ref, 0, 3, &old), 0, "another copy");
	is_int(put(0, ref, 0, "TWO"), 0, "becomes stale");
	memcpy(old.data, "new", 3);
	is_int(dios_commit_write(DIOS_FORCE, ref, &old, 3), 0, "and is forced");
	holds(ref, 0, "new", "so it wins");
	is_int(put(DIOS_AT_END, ref, 0, "er"), 0, "an append");
	holds(ref, 0, "newer", "goes to the end");
	is_int(put(DIOS_TRUNCATE, ref, 1, "o"), 0, "an end");
	holds(ref, 0, "no", "cuts the rest off");
	is_int(put(DIOS_RELAXED, ref, 0, "on"), 0, "a relaxed commit");
	holds(ref, 0, "on", "is seen as well");
	is_int(dios_acquire_write(0, ref, 0, 2, &b), 0, "a copy");
	memset(b.data, 'x', 2);
	is_int(dios_commit_write(DIOS_DISCARD, ref, &b, 2), 0, "thrown away");
	holds(ref, 0, "on", "changes nothing");
	is_int(dios_acquire_read(0, ref, 0, 2, &b), 0, "bytes are read");
	is_int(put(0, ref, 0, "by"), 0, "and changed meanwhile");
	is_int(dios_commit_read(0, ref, &b), -ESTALE, "which the commit tells");
	is_int(dios_acquire_read(0, ref, 0, 2, &b), 0, "read again");
	is_int(put(0, ref, 0, "me"), 0, "changed again");
	is_int(dios_commit_read(DIOS_DISCARD, ref, &b), 0, "discarding does not ask");
	dios_close(ref);
}

static void rights(void)
{
	struct dios_buffer b;
	const char *path = at("rights");
	dios_ref ref = made(0, (struct dios_create_options){ .path = path }, "a blob with a path");
	dios_ref reader = opened(path, DIOS_READ, "opened to read"), writer = opened(path, DIOS_WRITE, "to write"), appender = opened(path, DIOS_APPEND, "to append");

	is_int(put(0, ref, 0, "abc"), 0, "three bytes");
	is_int(dios_acquire_write(0, reader, 0, 3, &b), -EACCES, "a reader gets no copy");
	is_int(put(DIOS_AT_END, reader, 0, "x"), -EACCES, "and appends nothing");
	is_int(dios_acquire_read(0, writer, 0, 3, &b), -EACCES, "a writer gets no bytes");
	is_int(dios_acquire_write(0, writer, 0, 3, &b), -EACCES, "nor a copy of them");
	is_int(put(DIOS_AT_END, writer, 0, "d"), 0, "but appends");
	is_int(put(DIOS_AT_END, appender, 0, "e"), 0, "as an appender does");
	holds(reader, 0, "abcde", "what came of it");
	dios_close(reader);
	dios_close(writer);
	dios_close(appender);
	dios_close(ref);
	unlink(path);
}

static uint8_t pattern(size_t i, unsigned seed) { return (uint8_t)(i * 31 + i / 4096 * 7 + seed); }

static bool has_pattern(const uint8_t *data, size_t size, size_t offset, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] != pattern(offset + i, seed))
			return false;
	return true;
}

static void fill(uint8_t *data, size_t size, size_t offset, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		data[i] = pattern(offset + i, seed);
}

static void large(void)
{
	struct dios_buffer b, pinned;
	struct stat st;
	const char *path = at("large");
	dios_ref ref = made(0, (struct dios_create_options){ .path = path }, "a blob");

	is_int(dios_acquire_write(0, ref, 0, LARGE, &b), 0, "a copy of 20 MiB of nothing");
	ok(b.size == LARGE && ((uint8_t *)b.data)[LARGE - 1] == 0, "is zeros");
	fill(b.data, LARGE, 0, 1);
	is_int(dios_commit_write(0, ref, &b, LARGE), 0, "published");
	is_int(dios_acquire_read(0, ref, 0, LARGE, &b), 0, "acquired, before anybody has asked for the size");
	ok(b.size == LARGE && has_pattern(b.data, LARGE, 0, 1), "they are the bytes");
	is_int(stat(path, &st) == 0 ? st.st_size : -1, LARGE, "stat(2) says 20 MiB");
	is_int(dios_acquire_read(DIOS_PIN, ref, 5000, 1 << 20, &pinned), 0, "one MiB of them pinned");
	ok(pinned.size == 1 << 20 && has_pattern(pinned.data, 1 << 20, 5000, 1), "from an odd offset");
	struct dios_buffer w;
	is_int(dios_acquire_write(0, ref, 12345, 3 << 20, &w), 0, "a copy of three MiB");
	ok(has_pattern(w.data, 3 << 20, 12345, 1), "has what is there");
	fill(w.data, 3 << 20, 12345, 2);
	is_int(dios_commit_write(0, ref, &w, 3 << 20), 0, "and is published changed");
	is_int(dios_commit_read(0, ref, &b), -ESTALE, "what was read is stale then");
	ok(has_pattern(pinned.data, 1 << 20, 5000, 1), "what was pinned is as it was");
	is_int(dios_commit_read(0, ref, &pinned), -ESTALE, "and stale as well");
	is_int(dios_acquire_read(0, ref, 0, LARGE, &b), 0, "acquired again");
	ok(has_pattern(b.data, 12345, 0, 1) && has_pattern((uint8_t *)b.data + 12345, 3 << 20, 12345, 2) &&
		has_pattern((uint8_t *)b.data + 12345 + (3 << 20), LARGE - 12345 - (3 << 20), 12345 + (3 << 20), 1), "old and new bytes are in their places");
	is_int(dios_commit_read(0, ref, &b), 0, "and current");
	uint8_t *plain = malloc(LARGE);
	ok(plain && pread(ref, plain, LARGE, 0) == (ssize_t)LARGE && has_pattern(plain + 12345, 3 << 20, 12345, 2), "read(2) sees them");
	free(plain);
	dios_close(ref);
	unlink(path);
}

/* Through the kernel's cache: what was published is what the next read(2), and the next mapping, give. */
static void cache(void)
{
	enum { ROUNDS = 500, SIZE = 32768 };
	const char *path = at("cached");
	dios_ref ref = made(0, (struct dios_create_options){ .path = path }, "a blob");
	dios_ref reader = opened(path, DIOS_READ, "a reader");
	static uint8_t bytes[SIZE];
	int wrong_reads = 0, wrong_maps = 0, failed = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct dios_buffer b;
		if (dios_acquire_write(0, ref, 0, SIZE, &b) < 0) { failed++; continue; }
		fill(b.data, SIZE, 0, i);
		if (dios_commit_write(DIOS_RELAXED, ref, &b, SIZE) < 0) failed++;
		if (pread(reader, bytes, SIZE, 0) != SIZE || !has_pattern(bytes, SIZE, 0, i)) wrong_reads++;
		if (dios_acquire_read(0, reader, 0, SIZE, &b) < 0) { failed++; continue; }
		if (b.size != SIZE || !has_pattern(b.data, SIZE, 0, i)) wrong_maps++;
		if (dios_commit_read(0, reader, &b) != 0) failed++;
	}
	is_int(failed, 0, "500 rounds of publishing and reading");
	is_int(wrong_reads, 0, "no read(2) gives an older version");
	is_int(wrong_maps, 0, "no acquired bytes are of an older version");
	dios_close(reader);
	dios_close(ref);
	unlink(path);
}

static int publish_nothing(dios_ref ref, uint32_t flags, uint64_t offset)
{
	struct dios_buffer b;
	int r = dios_acquire_write(0, ref, offset, 0, &b);
	return r < 0 ? r : dios_commit_write(flags, ref, &b, 0);
}

static uint64_t size_of(dios_ref ref)
{
	struct dios_ioctl_info info = { 0 };
	dios_info(ref, &info);
	return info.size;
}

/* No bytes at all: a version, and with TRUNCATE an end. Inside the record (few bytes) and in a head (many). */
static void nothing(void)
{
	static const uint64_t sizes[] = { 3, 200001 };
	for (int i = 0; i < 2; i++) {
		dios_ref ref = made(0, (struct dios_create_options){ 0 }, "a blob");
		struct dios_buffer b = { 0 };
		is_int(dios_acquire_write(0, ref, 0, sizes[i], &b), 0, "of %d bytes", (int)sizes[i]);
		memset(b.data, 'n', b.size);
		is_int(dios_commit_write(0, ref, &b, sizes[i]), 0, "is published");
		is_int(publish_nothing(ref, 0, 0), 0, "nothing is published");
		is_int(publish_nothing(ref, 0, 1ull << 40), 0, "nor far away");
		is_int(publish_nothing(ref, DIOS_FORCE, 77), 0, "nor by force");
		is_int(put(DIOS_AT_END, ref, 0, ""), 0, "nor at the end");
		is_int(size_of(ref), sizes[i], "which changes no size");
		is_int(publish_nothing(ref, DIOS_TRUNCATE, 300001), 0, "a later end");
		is_int(size_of(ref), 300001, "is one");
		is_int(dios_acquire_read(DIOS_PIN, ref, sizes[i] - 1, 400000, &b), 0, "what lies before it");
		bool zeros = b.data && ((char *)b.data)[0] == 'n' && b.size == 300001 - sizes[i] + 1;
		for (size_t j = 1; j < b.size; j++)
			zeros = zeros && ((char *)b.data)[j] == 0;
		ok(zeros, "is zeros");
		dios_commit_read(0, ref, &b);
		is_int(publish_nothing(ref, DIOS_TRUNCATE, 2), 0, "an earlier one");
		holds(ref, 0, "nn", "cuts");
		is_int(publish_nothing(ref, DIOS_TRUNCATE, 5000), 0, "a later one again");
		is_int(dios_acquire_read(DIOS_PIN, ref, 0, 5000, &b), 0, "gives");
		ok(b.size == 5000 && memcmp(b.data, "nn\0\0", 4) == 0 && ((char *)b.data)[4999] == 0, "no old bytes back");
		dios_commit_read(0, ref, &b);
		is_int(publish_nothing(ref, DIOS_TRUNCATE, 0), 0, "the beginning");
		is_int(size_of(ref), 0, "leaves nothing");
		dios_close(ref);
	}
}

static void plain_writes(void)
{
	struct dios_buffer b;
	dios_ref ref = made(0, (struct dios_create_options){ 0 }, "a blob");

	is_int(put(0, ref, 0, "abc"), 0, "three bytes");
	is_int(dios_acquire_read(0, ref, 0, 3, &b), 0, "acquired");
	is_int(pwrite(ref, "X", 1, 1), 1, "a write(2) beside it");
	is_int(dios_commit_read(0, ref, &b), -ESTALE, "is a change");
	holds(ref, 0, "aXc", "and is acquired next");
	is_int(dios_acquire_write(0, ref, 0, 3, &b), 0, "a copy");
	is_int(pwrite(ref, "Y", 1, 2), 1, "and a write(2) beside it");
	is_int(dios_commit_write(0, ref, &b, 3), -ESTALE, "make the copy stale");
	holds(ref, 0, "aXY", "the write(2) stays");
	dios_close(ref);
}

struct waiting { dios_ref ref; struct dios_buffer b; int result; };

static void *acquire_later(void *arg)
{
	struct waiting *w = arg;
	w->result = dios_acquire_read(0, w->ref, 0, 100, &w->b);
	return NULL;
}

static void *open_later(void *arg)
{
	struct waiting *w = arg;
	size_t count = 1;
	w->result = dios_lookup(0, at("later"), DIOS_READ, &w->ref, &count);
	return NULL;
}

static void produced(int failed)
{
	const char *path = at("later");
	struct waiting acquires, opens = { .ref = -1 };
	struct dios_wait wait = { .wanted = DIOS_PRODUCED };
	pthread_t threads[2];
	dios_ref ref;
	size_t count = 1;

	ref = made(DIOS_UNPRODUCED, (struct dios_create_options){ .path = path }, "a blob that is still to be produced");
	struct dios_buffer b;
	is_int(dios_lookup(DIOS_NOWAIT, path, DIOS_READ, &opens.ref, &count), -EAGAIN, "opening it would wait");
	is_int(dios_acquire_read(DIOS_NOWAIT, ref, 0, 10, &b), -EAGAIN, "so would reading");
	wait.ref = ref;
	is_int(dios_select(0, &wait, 1, 0), -ETIMEDOUT, "it is not produced");
	is_int(put(0, ref, 0, "made"), 0, "its producer writes");
	acquires.ref = ref;
	pthread_create(&threads[0], NULL, acquire_later, &acquires);
	pthread_create(&threads[1], NULL, open_later, &opens);
	is_int(dios_set_produced(ref, failed), 0, "and says that it is %s", failed ? "not to be had" : "done");
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	is_int(acquires.result, failed ? -EIO : 0, "who waited to read gets %s", failed ? "an error" : "it");
	is_int(opens.result, failed ? -EIO : 0, "who waited to open too");
	is_int(dios_select(0, &wait, 1, 0), 0, "select tells");
	ok(wait.ready & DIOS_PRODUCED, "that it is produced");
	is_int((wait.ready & DIOS_ERROR) != 0, failed, "and whether that failed");
	if (!failed) {
		ok(acquires.b.size == 4 && memcmp(acquires.b.data, "made", 4) == 0, "with the bytes");
		dios_commit_read(0, ref, &acquires.b);
		dios_close(opens.ref);
	}
	dios_close(ref);
	unlink(path);
}

static volatile sig_atomic_t signals;
static void count_signal(int signal) { (void)signal; signals++; }

/* The signal is sent again and again, since it may come before the call has begun to wait. */
static void interrupted(void)
{
	struct sigaction action = { .sa_handler = count_signal };
	dios_ref ref = made(DIOS_UNPRODUCED, (struct dios_create_options){ 0 }, "a blob that nobody produces");
	struct waiting w = { .ref = ref, .result = 1 };
	struct timespec pause = { .tv_nsec = 20000000 };
	pthread_t thread;

	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, acquire_later, &w);
	while (pthread_tryjoin_np(thread, NULL) == EBUSY) {
		pthread_kill(thread, SIGUSR1);
		sigtimedwait(&(sigset_t){ 0 }, NULL, &pause);
	}
	is_int(w.result, -EINTR, "a signal ends the waiting");
	dios_close(ref);
}

/* P4: what read(2) and mappings see after a commit, where the kernel has pages from before, and where it had none at the commit before that. */
static void pages(void)
{
	static const char *const texts[] = { "one", "two", "six", "ten", "odd" };
	char bytes[4] = "";
	const char *path = at("pages");
	dios_ref ref = made(0, (struct dios_create_options){ .path = path }, "a blob with a path");

	for (size_t i = 0; i < 5; i++) {
		is_int(put(0, ref, 0, texts[i]), 0, "P4: %s is committed", texts[i]);
		is_int(pread(ref, bytes, 3, 0), 3, "P4: read(2) has three bytes");
		is_str(bytes, texts[i], "P4: these");
	}
	is_int(put(0, ref, 0, "new"), 0, "P4: a commit");
	is_int(put(0, ref, 0, "now"), 0, "P4: another, with nothing read in between");
	char *map = mmap(NULL, 3, PROT_READ, MAP_SHARED, ref, 0);
	ok(map != MAP_FAILED && memcmp(map, "now", 3) == 0, "P4: a mapping has the last bytes");
	for (size_t i = 0; i < 5; i++) {
		is_int(put(0, ref, 0, texts[i]), 0, "P4: %s is committed", texts[i]);
		ok(map != MAP_FAILED && memcmp(map, texts[i], 3) == 0, "P4: the mapping shows it");
	}
	is_int(put(DIOS_AT_END, ref, 0, "+"), 0, "P4: a byte more");
	struct stat st;
	ok(fstat(ref, &st) == 0 && st.st_size == 4, "P4: is in the size at once");
	if (map != MAP_FAILED)
		munmap(map, 3);
	dios_close(ref);
}

int main(void)
{
	small();
	flags();
	rights();
	large();
	cache();
	pages();
	plain_writes();
	nothing();
	produced(0);
	produced(1);
	interrupted();
	return done_testing();
}
