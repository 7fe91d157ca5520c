/* The calls where there is no mount: every error before the first crossing, descriptors that are no objects, and select on pipes. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <dios-util.h>
#include "tests/tap.h"

static void arguments(void)
{
	struct dios_buffer b = { .size = 4 };
	struct dios_create_options o = { .string = "" };
	struct dios_copy_options c = { .once = 2 };
	struct dios_wait w = { .ref = -1, .wanted = 64 };
	char token[DIOS_TOKEN_SIZE];
	dios_ref ref;
	size_t none = 0, one = 1;

	is_int(dios_create(DIOS_PIN, NULL, NULL, &ref), -EINVAL, "create: a flag of another call");
	is_int(dios_create(0, &o, NULL, &ref), -EINVAL, "create: an empty string");
	o = (struct dios_create_options){ .string = "a", .counter = 1 };
	is_int(dios_create(0, &o, NULL, &ref), -EINVAL, "create: a string and a counter");
	o = (struct dios_create_options){ .rights = 64 };
	is_int(dios_create(0, &o, NULL, &ref), -EINVAL, "create: a right that is none");
	is_int(dios_lookup(0, "/etc/passwd", 0, &ref, &none), -EINVAL, "lookup: no capacity");
	is_int(dios_lookup(DIOS_FORCE, "/etc/passwd", 0, &ref, &one), -EINVAL, "lookup: a flag of another call");
	is_int(dios_lookup(0, "short", 0, &ref, &one), -EINVAL, "lookup: neither name, token nor path");
	is_int(dios_copy(DIOS_TOKEN | DIOS_CLONE, 0, NULL, &ref, token), -EINVAL, "copy: two things at once");
	is_int(dios_copy(DIOS_TOKEN, 0, NULL, &ref, NULL), -EINVAL, "copy: no room for the token");
	is_int(dios_copy(DIOS_TOKEN, 0, &c, &ref, token), -EINVAL, "copy: once is 0 or 1");
	is_int(dios_delete(DIOS_FAILED, -1), -EINVAL, "delete: failed, but not self");
	is_int(dios_run(0, -1, NULL, &ref), -EINVAL, "run: no program");
	is_int(dios_pause(DIOS_PIN, 0), -EINVAL, "pause: a flag of another call");
	is_int(dios_acquire_read(DIOS_FORCE, 0, 0, 1, &b), -EINVAL, "acquire_read: a flag of another call");
	is_int(dios_commit_write(0, 0, &b, 5), -EINVAL, "commit_write: more than the buffer holds");
	is_int(dios_commit_write(DIOS_PIN, 0, &b, 1), -EINVAL, "commit_write: a flag of another call");
	is_int(dios_select(1, NULL, 0, 0), -EINVAL, "select: a flag");
	is_int(dios_select(0, &w, 1, 0), -EINVAL, "select: an event that is none");
	is_int(dios_select(0, NULL, 4097, 0), -EINVAL, "select: too many");
}

static void no_objects(void)
{
	struct dios_ioctl_info info;
	struct dios_buffer b;
	dios_ref ref;
	int file = open("/dev/null", O_RDWR | O_CLOEXEC);

	is_int(dios_info(file, &info), -ENOTTY, "info: not an object");
	is_int(dios_acquire_read(0, file, 0, 10, &b), -ENOTTY, "acquire_read: not an object");
	is_int(dios_acquire_write(0, file, 0, 10, &b), -ENOTTY, "acquire_write: not an object");
	is_int(dios_delete(0, file), -ENOTTY, "delete: not an object");
	ok(fcntl(file, F_GETFD) >= 0, "and it stays open");
	is_int(dios_pause(0, file), -ENOTTY, "pause: not an object");
	is_int(dios_copy(0, file, NULL, &ref, NULL), -ENOTTY, "copy: not an object");
	is_int(dios_run(0, file, NULL, &ref), -ENOTTY, "run: not an object");
	is_int(dios_delete(DIOS_DROP, file), 0, "dropping it closes it");
	is_int(dios_info(file, &info), -EBADF, "info: not open");
	is_int(dios_acquire_read(0, file, 0, 10, &b), -EBADF, "acquire_read: not open");
}

static void no_mount(void)
{
	dios_ref ref = -7;
	size_t count = 1;
	char deep[5000];

	setenv("DIOS_MOUNT", "/nonexistent/mount", 1);
	is_str(dios_mount(), "/nonexistent/mount", "the mount is $DIOS_MOUNT");
	is_int(dios_create(0, NULL, NULL, &ref), -ENOENT, "create without a mount");
	is_int(dios_lookup(0, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", 0, &ref, &count), 0, "lookup without a mount");
	is_int(count, 0, "finds nothing");
	is_int(ref, -7, "and returns nothing");
	memset(deep, 'x', sizeof(deep) - 1);
	deep[0] = '/';
	deep[sizeof(deep) - 1] = '\0';
	setenv("DIOS_MOUNT", deep, 1);
	is_int(dios_create(0, NULL, NULL, &ref), -ENAMETOOLONG, "a mount's path that is too long");
	unsetenv("DIOS_MOUNT");
	is_str(dios_mount(), "/dios", "or /dios");
}

/* Memory for an append that is small needs nobody. */
static void append_buffer(void)
{
	struct dios_buffer b;
	static const char zeros[100];

	is_int(dios_acquire_write(DIOS_AT_END, -1, 0, 100, &b), 0, "a small buffer for an append needs no crossing");
	ok(b.size == 100 && b.offset == DIOS_NEXT && memcmp(b.data, zeros, 100) == 0, "it is all zeros");
	is_int(dios_commit_write(DIOS_DISCARD, -1, &b, 0), 0, "nor does throwing it away");
	ok(b.data == NULL && b.size == 0, "which empties it");
}

static void *write_later(void *arg)
{
	int *pipes = arg;
	char byte;
	/* The other side sends a byte when it is about to wait. */
	if (read(pipes[2], &byte, 1) != 1 || write(pipes[1], "x", 1) != 1)
		return "failed";
	return NULL;
}

static void selects(void)
{
	int data[2], start[2], pipes[3];
	pthread_t thread;
	void *failed;

	if (pipe(data) < 0 || pipe(start) < 0)
		abort();
	struct dios_wait w[2] = { { .ref = data[0], .wanted = DIOS_READABLE }, { .ref = -1, .wanted = DIOS_READABLE, .ready = 9 } };
	is_int(dios_select(0, w, 2, 0), -ETIMEDOUT, "nothing is ready");
	is_int(dios_select(0, w, 2, 2000000), -ETIMEDOUT, "nor two milliseconds later");
	is_int(w[0].ready | w[1].ready, 0, "and ready says so");
	pipes[0] = data[0], pipes[1] = data[1], pipes[2] = start[0];
	if (pthread_create(&thread, NULL, write_later, pipes) != 0 || write(start[1], "x", 1) != 1)
		abort();
	is_int(dios_select(0, w, 2, -1), 0, "a byte ends the waiting");
	is_int(w[0].ready, DIOS_READABLE, "and is what is ready");
	pthread_join(thread, &failed);
	ok(!failed, "the writer wrote");
	w[1] = (struct dios_wait){ .ref = data[1], .wanted = DIOS_WRITABLE };
	w[0].wanted = 0;
	is_int(dios_select(0, w, 2, -1), 0, "a pipe with room");
	is_int(w[1].ready, DIOS_WRITABLE, "is writable");
	is_int(w[0].ready, 0, "what is not wanted is not told");
	close(data[1]);
	w[1].ref = -1;
	is_int(dios_select(0, w, 2, -1), 0, "the end is told unasked");
	is_int(w[0].ready, DIOS_ENDED, "as the end");
	close(data[0]);
	is_int(dios_select(0, w, 1, -1), -EBADF, "a closed descriptor");
	close(start[0]);
	close(start[1]);
}

static void many(void)
{
	enum { COUNT = 200 };
	struct dios_wait w[COUNT];
	int data[2];

	if (pipe(data) < 0)
		abort();
	for (int i = 0; i < COUNT; i++)
		w[i] = (struct dios_wait){ .ref = i == 150 ? data[1] : data[0], .wanted = i == 150 ? DIOS_WRITABLE : DIOS_READABLE };
	is_int(dios_select(0, w, COUNT, 0), 0, "one of 200");
	is_int(w[150].ready, DIOS_WRITABLE, "and it is the one");
	is_int(w[149].ready | w[151].ready, 0, "alone");
	close(data[0]);
	close(data[1]);
}

int main(void)
{
	arguments();
	no_objects();
	no_mount();
	append_buffer();
	selects();
	many();
	return done_testing();
}
