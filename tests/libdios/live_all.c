/* Every call once, between two marks that strace-test looks for. No thread and no child of the test's own: what the kernel is asked for
 * between the marks is the library's doing. Says nothing until the end. */
#include "tests/libdios/live.h"

#define ROOM (1u << 20)

static const char *failed_at;
static int step(const char *what, int r)
{
	if (r < 0 && !failed_at) {
		failed_at = what;
		errno = -r;
	}
	return r;
}

static void mark(const char *text) { (void)!write(-1, text, strlen(text)); }

static void blob(void)
{
	struct dios_create_options where = { .string = "strace" };
	struct dios_copy_options clone = { .create = &where }, part = { .rights = DIOS_READ, .length = 3 };
	struct dios_wait wait = { .wanted = DIOS_READABLE };
	struct dios_ioctl_info info;
	struct dios_buffer b;
	struct dios_name name;
	char token[DIOS_TOKEN_SIZE], text[DIOS_NAME_TEXT];
	dios_ref ref, other;
	size_t count = 1;

	if (step("create", dios_create(0, NULL, &name, &ref)) < 0) return;
	for (size_t size = 100; size <= ROOM; size *= 100) {
		if (step("acquire_write", dios_acquire_write(0, ref, 0, size, &b)) == 0) {
			memset(b.data, 's', size);
			step("commit_write", dios_commit_write(0, ref, &b, size));
		}
		if (step("acquire_read", dios_acquire_read(0, ref, 0, size, &b)) == 0)
			step("commit_read", dios_commit_read(0, ref, &b));
		if (step("acquire_read pinned", dios_acquire_read(DIOS_PIN, ref, 0, size, &b)) == 0)
			step("commit_read", dios_commit_read(0, ref, &b));
	}
	step("info", dios_info(ref, &info));
	dios_name_to_text(&name, text);
	if (step("lookup", dios_lookup(0, text, DIOS_READ, &other, &count)) == 0) dios_close(other);
	if (step("copy", dios_copy(DIOS_TOKEN, ref, &part, NULL, token)) == 0 && step("narrow", dios_narrow(token, &part, token)) == 0) {
		if (step("lookup of a token", dios_lookup(0, token, DIOS_READ, &other, &count)) == 0) dios_close(other);
		step("revoke", dios_revoke(token));
	}
	if (step("clone", dios_copy(DIOS_CLONE, ref, &clone, &other, NULL)) == 0) step("delete", dios_delete(0, other));
	wait.ref = ref;
	step("select", dios_select(0, &wait, 1, 0));
	step("delete", dios_delete(0, ref));
}

static void stream(void)
{
	struct dios_create_options o = { .kind = DIOS_STREAM };
	struct dios_buffer b;
	dios_ref ref;

	if (step("create a stream", dios_create(0, &o, NULL, &ref)) < 0) return;
	for (size_t size = 100; size <= ROOM; size *= 100)
		if (step("acquire_write", dios_acquire_write(DIOS_AT_END, ref, 0, size, &b)) == 0)
			step("append", dios_commit_write(0, ref, &b, size));
	for (int i = 0; i < 3; i++)
		if (step("acquire_read", dios_acquire_read(DIOS_RECORD, ref, DIOS_NEXT, ROOM, &b)) == 0)
			step("commit_read", dios_commit_read(0, ref, &b));
	step("end", dios_stream_end(ref));
	step("delete", dios_delete(0, ref));
}

static void task(void)
{
	const char *const arguments[] = { "true", NULL };
	struct dios_run_options o = { .path = "/bin/true", .arguments = arguments };
	struct dios_wait wait = { 0 };
	dios_ref ref;

	if (step("run", dios_run(0, -1, &o, &ref)) < 0) return;
	int r = dios_pause(0, ref);   /* it may have ended already */
	if (r != -ESRCH) step("pause", r);
	r = dios_pause(DIOS_RESUME, ref);
	if (r != -ESRCH) step("resume", r);
	wait.ref = ref;
	step("select", dios_select(0, &wait, 1, 20000000000));
	dios_close(ref);
}

int main(void)
{
	void *volatile first = malloc(1);   /* the C library's allocator asks for a random number once */
	free(first);
	mark("begin");
	blob();
	stream();
	task();
	mark("end");
	ok(!failed_at, "every call%s%s", failed_at ? " but " : "", failed_at ? failed_at : "");
	if (failed_at)
		printf("# %s\n", strerror(errno));
	return done_testing();
}
