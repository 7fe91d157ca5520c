/* Fifty kills of the daemon at random moments, under a mixed load; then everything compared, warm and cold, and fsck. No call may fail, nothing may
 * happen twice, nothing that returned may be missing (D1, D2, D3, D5). DIOS_TEST_SEED, DIOS_TEST_KILLS; DIOS_TEST_LONG: many more. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libdios/dios.h"
#include "libdios/dios-ioctl.h"
#include "libdios/dios-util.h"
#include "tests/fs/mount.h"
#include "tests/tap.h"

#define BYTES (256u << 10)     /* of a file with a shadow */
#define NAMES 24
#define RECORDS 200000

enum { WRITES, UNLINKED, MAPPED, SHADOWS };
enum name_state { ABSENT, FILE_THERE, FOLDER_THERE };

/* Shared with the workers: what they have done. */
struct shared {
	_Atomic bool stop;
	char problem[256];
	uint8_t shadow[SHADOWS][BYTES];
	size_t size[SHADOWS];
	struct { int state; unsigned content; } names[NAMES];
	_Atomic unsigned appended[2], counted, written, operations;
	_Atomic uint8_t consumed[RECORDS];
};
static struct shared *shared;
static unsigned seed;

static _Noreturn void __attribute__((format(printf, 1, 2))) problem(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (!shared->problem[0])
		vsnprintf(shared->problem, sizeof(shared->problem), format, ap);
	va_end(ap);
	shared->stop = true;
	_exit(1);
}

static uint64_t state;
static unsigned rnd(unsigned below)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % below;
}

/* ---- workers ---- */

static void compare(int fd, int which)
{
	static uint8_t found[BYTES];
	ssize_t n = pread(fd, found, BYTES, 0);

	if (n != (ssize_t)shared->size[which])
		problem("file %d has %zd bytes, not %zu: %s", which, n, shared->size[which], n < 0 ? strerror(errno) : "");
	if (memcmp(found, shared->shadow[which], (size_t)n) != 0)
		problem("file %d has other bytes", which);
}

static void write_randomly(int fd, int which)
{
	uint8_t *shadow = shared->shadow[which], bytes[9000];
	size_t offset = rnd(BYTES - sizeof(bytes)), size = 1 + rnd(rnd(4) ? 300 : sizeof(bytes) - 1);

	if (rnd(40) == 0) {
		size_t cut = rnd(BYTES);
		if (ftruncate(fd, (off_t)cut) < 0)
			problem("ftruncate: %s", strerror(errno));
		if (cut < shared->size[which])
			memset(shadow + cut, 0, shared->size[which] - cut);
		shared->size[which] = cut;
		return;
	}
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)rnd(256);
	if (pwrite(fd, bytes, size, (off_t)offset) != (ssize_t)size)
		problem("pwrite: %s", strerror(errno));
	memcpy(shadow + offset, bytes, size);
	if (offset + size > shared->size[which])
		shared->size[which] = offset + size;
	if (rnd(20) == 0 && fsync(fd) < 0)
		problem("fsync: %s", strerror(errno));
}

static void write_files(int which)
{
	int fd = open(which == UNLINKED ? "unlinked" : "writes", O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0 || (which == UNLINKED && unlink("unlinked") < 0))
		problem("a file: %s", strerror(errno));
	while (!shared->stop) {
		write_randomly(fd, which);
		if (rnd(10) == 0)
			compare(fd, which);
		shared->operations++;
	}
	compare(fd, which);
}
static void work_writes(void) { write_files(WRITES); }
static void work_unlinked(void) { write_files(UNLINKED); }

static void work_mapped(void)
{
	int fd = open("mapped", O_RDWR | O_CREAT | O_EXCL, 0600);
	uint8_t *map = fd < 0 || ftruncate(fd, BYTES) < 0 ? MAP_FAILED : mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		problem("a mapping: %s", strerror(errno));
	shared->size[MAPPED] = BYTES;
	while (!shared->stop) {
		size_t at = rnd(BYTES);
		map[at] = shared->shadow[MAPPED][at] = (uint8_t)rnd(256);
		if (rnd(500) == 0 && msync(map, BYTES, MS_SYNC) < 0)
			problem("msync: %s", strerror(errno));
		if (rnd(500) == 0 && memcmp(map, shared->shadow[MAPPED], BYTES) != 0)
			problem("the mapping has other bytes");
		if (rnd(50) == 0)
			poll(NULL, 0, 1);
		shared->operations++;
	}
	if (munmap(map, BYTES) < 0 || fsync(fd) < 0)
		problem("fsync: %s", strerror(errno));
}

static void name_of(int i, char *text) { snprintf(text, 32, "tree/n%02d", i); }

/* One operation on the tree; that it fails is always wrong: the model knows what is there. */
static void tree_step(void)
{
	int i = (int)rnd(NAMES), j = (int)rnd(NAMES), was = shared->names[i].state, r = 0;
	char a[32], b[32], text[32];

	name_of(i, a);
	name_of(j, b);
	if (was == ABSENT && rnd(2)) {
		unsigned content = rnd(1u << 30);
		int fd = open(a, O_WRONLY | O_CREAT | O_EXCL, 0600);
		int n = snprintf(text, sizeof(text), "%u", content);
		r = fd < 0 || write(fd, text, (size_t)n) != n || close(fd) < 0 ? -1 : 0;
		shared->names[i].state = FILE_THERE;
		shared->names[i].content = content;
	} else if (was == ABSENT) {
		r = mkdir(a, 0700);
		shared->names[i].state = FOLDER_THERE;
	} else if (rnd(2) == 0) {
		r = was == FILE_THERE ? unlink(a) : rmdir(a);
		shared->names[i].state = ABSENT;
	} else if (i != j && was == FILE_THERE && shared->names[j].state == ABSENT && rnd(2)) {
		r = link(a, b);
		shared->names[j] = shared->names[i];
	} else if (i != j && shared->names[j].state != ABSENT && rnd(2)) {
		r = renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
		__typeof__(shared->names[0]) held = shared->names[i];
		shared->names[i] = shared->names[j];
		shared->names[j] = held;
	} else if (i != j && (shared->names[j].state == ABSENT || shared->names[j].state == was) &&
		   (was == FOLDER_THERE || shared->names[j].state == ABSENT || shared->names[j].content != shared->names[i].content)) {
		r = rename(a, b);
		shared->names[j] = shared->names[i];
		shared->names[i].state = ABSENT;
	}
	if (r < 0)
		problem("the tree, %s to %s, state %d: %s", a, b, was, strerror(errno));
	shared->operations++;
}

static void work_tree(void)
{
	if (mkdir("tree", 0700) < 0)
		problem("mkdir: %s", strerror(errno));
	while (!shared->stop)
		tree_step();
}

static void append_records(int which)
{
	int fd = open("appended", O_WRONLY | O_APPEND | O_CREAT, 0600);

	for (unsigned i = 0; !shared->stop; i++) {
		char record[64];
		int n = snprintf(record, sizeof(record), "%d %u\n", which, i);
		if (write(fd, record, (size_t)n) != n)
			problem("an append: %s", strerror(errno));
		shared->appended[which] = i + 1;
		shared->operations++;
	}
}
static void work_append_0(void) { append_records(0); }
static void work_append_1(void) { append_records(1); }

static void work_count(void)
{
	int fd = open("counter", O_RDWR | O_CREAT, 0600);
	uint64_t n = 0;

	while (!shared->stop) {
		if (flock(fd, LOCK_EX) < 0 || pread(fd, &n, sizeof(n), 0) < 0)
			problem("the counter: %s", strerror(errno));
		n++;
		if (pwrite(fd, &n, sizeof(n), 0) != sizeof(n) || flock(fd, LOCK_UN) < 0)
			problem("the counter: %s", strerror(errno));
		shared->counted++;
		shared->operations++;
	}
}

static void work_stream_writer(void)
{
	dios_ref ref;
	int r = dios_open(0, "./stream", DIOS_WRITE, &ref);

	for (unsigned i = 0; r == 0 && !shared->stop && i < RECORDS; i++) {
		char record[16];
		int n = snprintf(record, sizeof(record), "%07u", i);
		if (write(ref, record, (size_t)n) != n)
			problem("a stream's record: %s", strerror(errno));
		shared->written = i + 1;
		shared->operations++;
		if (i % 16 == 0)
			poll(NULL, 0, 1);
	}
	if (r < 0 || (r = dios_stream_end(ref)) < 0)
		problem("the stream: %s", strerror(-r));
}

/* Records go to one consumer each, through read(2) or through acquire. */
static void consume(bool by_call)
{
	dios_ref ref;
	int r = dios_open(0, "./stream", DIOS_READ, &ref);
	char record[64];

	if (r == 0)
		r = dios_stream_mode(ref, DIOS_CONSUME, 0);
	while (r == 0) {
		struct dios_buffer b;
		ssize_t n = by_call ? (r = dios_acquire_read(DIOS_RECORD, ref, DIOS_NEXT, sizeof(record), &b)) < 0 ? -1 : (ssize_t)b.size : read(ref, record, sizeof(record));
		if (n < 0)
			problem("a consumer: %s", strerror(by_call ? -r : errno));
		if (by_call && n > 0)
			memcpy(record, b.data, (size_t)n);
		if (by_call)
			dios_commit_read(0, ref, &b);
		if (n == 0)
			return;
		record[n] = '\0';
		unsigned long i = strtoul(record, NULL, 10);
		if (n != 7 || i >= RECORDS || atomic_fetch_add(&shared->consumed[i], 1) != 0)
			problem("a record came twice or torn: '%s'", record);
		shared->operations++;
	}
	problem("a consumer: %s", strerror(-r));
}
static void work_consume_read(void) { consume(false); }
static void work_consume_call(void) { consume(true); }

/* Sees every record, in order. */
static void work_follow(void)
{
	int fd = open("stream", O_RDONLY);
	char bytes[7];
	unsigned next = 0;

	for (;;) {
		size_t got = 0;
		ssize_t n = 1;
		while (got < sizeof(bytes) && (n = read(fd, bytes + got, sizeof(bytes) - got)) > 0)
			got += (size_t)n;
		if (n < 0)
			problem("a follower: %s", strerror(errno));
		if (got == 0)
			break;
		char want[16];
		snprintf(want, sizeof(want), "%07u", next++);
		if (got != 7 || memcmp(bytes, want, 7) != 0)
			problem("a follower got %.7s for %s", bytes, want);
	}
	if (next != shared->written)
		problem("a follower saw %u of %u", next, shared->written);
}

static void (*const workers[])(void) = { work_writes, work_unlinked, work_mapped, work_tree, work_append_0, work_append_1, work_count, work_count,
	work_stream_writer, work_consume_read, work_consume_call, work_follow };
#define WORKERS (sizeof(workers) / sizeof(workers[0]))

/* ---- afterwards ---- */

static void check_appended(void)
{
	FILE *f = fopen("appended", "r");
	unsigned next[2] = { 0 }, i;
	int which;

	while (f && fscanf(f, "%d %u\n", &which, &i) == 2)
		if (which < 0 || which > 1 || i != next[which]++)
			break;
	bool end = f && feof(f);
	if (f)
		fclose(f);
	ok(end && next[0] == shared->appended[0] && next[1] == shared->appended[1], "D2_appends: each once, in order (%u, %u)", next[0], next[1]);
}

static void check_tree(void)
{
	bool good = true;
	char path[32], text[32];
	struct stat st;

	for (int i = 0; i < NAMES; i++) {
		name_of(i, path);
		snprintf(text, sizeof(text), "%u", shared->names[i].content);
		int there = stat(path, &st) < 0 ? ABSENT : S_ISDIR(st.st_mode) ? FOLDER_THERE : FILE_THERE;
		good &= there == shared->names[i].state && (there != FILE_THERE || holds(path, text));
	}
	ok(good, "D2_the tree is as its calls said");
}

static bool same(const char *path, int which)
{
	static uint8_t found[BYTES + 1];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : pread(fd, found, sizeof(found), 0);

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)shared->size[which] && memcmp(found, shared->shadow[which], (size_t)n) == 0;
}

static void check(const char *when)
{
	uint64_t n = 0;
	int fd = open("counter", O_RDONLY);

	if (pread(fd, &n, sizeof(n), 0) != sizeof(n))
		n = 0;
	close(fd);
	check_appended();
	check_tree();
	ok(same("writes", WRITES) && same("mapped", MAPPED), "D1_written and mapped bytes are there, %s", when);
	is_int(n, shared->counted, "D1_locks kept the counter right, %s", when);
}

static dios_ref start_task(void)
{
	const char *const arguments[] = { "sh", "-c", "i=0; while [ $i -lt 400 ]; do echo $i; i=$((i+1)); sleep 0.02; done; exit 3", NULL };
	struct dios_create_options out = { .kind = DIOS_STREAM, .path = "./output", .mode = 0600 };
	dios_ref output = -1, task = -1;
	struct dios_run_options o = { .path = "/bin/sh", .arguments = arguments, .standard_output = &output };
	int r = dios_create(0, &out, NULL, &output);

	if (r == 0)
		r = dios_run(0, -1, &o, &task);
	ok(r == 0, "a task runs: %s", strerror(-r));
	dios_close(output);
	return task;
}

static void check_task(dios_ref task)
{
	struct dios_wait wait = { .ref = task, .wanted = DIOS_ENDED };
	struct dios_ioctl_info info = { 0 };
	int r = dios_select(0, &wait, 1, 120000000000LL), fd = open("output", O_RDONLY | O_NONBLOCK), next = 0, i;
	FILE *f = fdopen(fd, "r");

	bool good = r == 0 && dios_info(task, &info) == 0;
	ok(good && info.exit_status == 3 << 8, "D1_the task has ended as it wanted to (status %d)", info.exit_status);
	while (f && fscanf(f, "%d\n", &i) == 1 && i == next)
		next++;
	is_int(next, 400, "D1_all that it said is there, once");
	if (f)
		fclose(f);
}

static void kill_often(unsigned kills)
{
	for (unsigned k = 0; k < kills && !shared->stop; k++) {
		poll(NULL, 0, (int)rnd(150));
		pid_t daemon = mount_daemon();
		/* Sometimes at once again, while the next is doing the requests again. */
		if (daemon > 1)
			kill(daemon, SIGKILL);
	}
}

int main(void)
{
	const char *text = getenv("DIOS_TEST_SEED"), *many = getenv("DIOS_TEST_KILLS");
	unsigned kills = many ? (unsigned)strtoul(many, NULL, 10) : getenv("DIOS_TEST_LONG") ? 500 : 50;
	struct dios_create_options stream = { .kind = DIOS_STREAM, .path = "./stream", .mode = 0600 };
	pid_t pids[WORKERS];
	dios_ref ref;
	int status;

	seed = text ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);
	printf("# DIOS_TEST_SEED=%u\n", seed);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || !mount_start())
		return mount_result();
	setenv("DIOS_MOUNT", mount_point, 1);
	dios_ref task = start_task();
	if (dios_create(0, &stream, NULL, &ref) < 0)
		ok(false, "a stream");
	pid_t holder = mount_holder_pid();
	fflush(stdout);
	for (size_t i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			signal(SIGTERM, SIG_DFL);
			dios_close(ref);
			state = seed * 100u + i;
			workers[i]();
			_exit(0);
		}
	}
	dios_close(ref);
	state = seed;
	kill_often(kills);
	shared->stop = true;
	bool all = true;
	for (size_t i = 0; i < WORKERS; i++)
		all &= waitpid(pids[i], &status, 0) == pids[i] && status == 0;
	ok(all && !shared->problem[0], "%u kills under %u operations, and no program noticed%s%s", kills, shared->operations, shared->problem[0] ? ": " : "",
		shared->problem);
	unsigned consumed = 0;
	for (unsigned i = 0; i < shared->written; i++)
		consumed += shared->consumed[i] == 1;
	is_int(consumed, shared->written, "D2_each record of the stream went to one consumer");
	check_task(task);
	dios_close(task);
	is_int(mount_holder_pid(), holder, "one holder all the time");
	check("warm");
	ok(chdir("/") == 0 && mount_down() && mount_up() && chdir(mount_point) == 0, "mounted anew");
	check("cold");
	char output[4096];
	const char *const fsck[] = { "--mount", mount_point, "fsck", NULL };
	is_int(mount_run(output, sizeof(output), "dios", fsck), 0, "fsck finds nothing: %s", output);
	return done_testing();
}
