/* A daemon dies after the answer to a program and before the kernel has forgotten the page that this made old: the next one says it.
 *
 * Such an answer is that to an append whose place the kernel did not know. The kernel takes an append's place from the size that it knows, then
 * waits for the program's bytes, which come from a page that we hold back; meanwhile another program appends by a call, and the page is
 * read again. The first one's bytes then go over the other's in the kernel's page, and behind them in the object. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libdios/dios-util.h"
#include "libdios/dios.h"
#include "tests/fs/mount.h"
#include "tests/tap.h"

/* Nothing of it is to be committed later, among what is counted. */
static bool put_synced(const char *path, const char *text)
{
	int fd = put(path, text) ? open(path, O_RDWR) : -1;
	bool good = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return good;
}

static char *held;      /* a page that is missing until it is let in */
static int fault_fd;

static bool hold_page(void)
{
	struct uffdio_api api = { .api = UFFD_API };

	fault_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fault_fd < 0)
		return false;
	held = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register range = { .range = { .start = (uintptr_t)held, .len = 4096 }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	return held != MAP_FAILED && ioctl(fault_fd, UFFDIO_API, &api) == 0 && ioctl(fault_fd, UFFDIO_REGISTER, &range) == 0;
}

static bool page_is_asked_for(void)
{
	struct pollfd p = { .fd = fault_fd, .events = POLLIN };
	struct uffd_msg message;

	return poll(&p, 1, 60000) == 1 && read(fault_fd, &message, sizeof(message)) == (ssize_t)sizeof(message);
}

static bool let_page_in(const char *text)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct uffdio_copy copy = { .dst = (uintptr_t)held, .src = (uintptr_t)page, .len = 4096 };

	memcpy(page, text, strlen(text));
	return ioctl(fault_fd, UFFDIO_COPY, &copy) == 0;
}

static void *append_held(void *arg)
{
	return (void *)(intptr_t)(write(*(int *)arg, held, 4) == 4);
}

/* *ret_ref is to be closed later: some kernels take the lock of the file for it, which the first append has. */
static bool append_by_call(const char *text, dios_ref *ret_ref)
{
	struct dios_buffer b;

	if (dios_open(0, "./log", DIOS_READ | DIOS_WRITE, ret_ref) < 0)
		return false;
	if (dios_acquire_write(DIOS_AT_END, *ret_ref, 0, strlen(text), &b) < 0)
		return false;
	memcpy(b.data, text, strlen(text));
	return dios_commit_write(DIOS_AT_END, *ret_ref, &b, strlen(text)) == 0;
}

static int reader;

/* Within the size that the kernel knows, so that it asks nobody. */
static bool has(const char *text)
{
	char bytes[4];
	return pread(reader, bytes, 4, 4) == 4 && memcmp(bytes, text, 4) == 0;
}

static bool is_right(void *arg)
{
	(void)arg;
	return has("call");
}

/* ---- a commit ---- */

/* Through a reference that is open already: an open may let the kernel forget pages, too. */
static bool commit(dios_ref ref, const char *text)
{
	struct dios_buffer b;

	if (dios_acquire_write(0, ref, 0, 4, &b) < 0)
		return false;
	memcpy(b.data, text, 4);
	return dios_commit_write(0, ref, &b, 4) == 0;
}

static void *commit_third(void *arg) { return (void *)(intptr_t)commit(*(dios_ref *)arg, "3rd."); }

/* Its bytes come inside the answer, not from a page. */
static bool third_is_applied(void *arg)
{
	struct dios_buffer b;

	if (dios_acquire_read(0, *(dios_ref *)arg, 0, 4, &b) < 0)
		return false;
	bool good = b.size == 4 && memcmp(b.data, "3rd.", 4) == 0;
	return dios_commit_read(DIOS_DISCARD, *(dios_ref *)arg, &b) == 0 && good;
}

static void committed(void)
{
	pthread_t thread;
	void *done = NULL;
	dios_ref ref, writer;

	/* The third commit is applied, and not answered, because the kernel has not forgotten the page. */
	setenv("DIOS_FAULT", "fs.forget=wait:3", 1);
	ok(chdir("/") == 0 && mount_kill_all() && mount_up() && chdir(mount_point) == 0 && put_synced("commit", "0th."), "a mount");
	int fd = open("commit", O_RDONLY);
	volatile const char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	bool good = dios_open(0, "./commit", DIOS_READ, &ref) == 0 && dios_open(0, "./commit", DIOS_READ | DIOS_WRITE, &writer) == 0 &&
		map[0] == '0' && commit(writer, "1st.") && map[0] == '1' && commit(writer, "2nd.") && map[0] == '2';
	/* Mostly the page is the second one still; but the kernel may have asked for attributes, and then forgets by itself. */
	ok(good && pthread_create(&thread, NULL, commit_third, &writer) == 0 && wait_for(third_is_applied, &ref),
		"a daemon is between a commit and its answer");
	mount_kill_daemon();
	ok(good && pthread_join(thread, &done) == 0 && done && map[0] == '3', "P4_when the next one answers, no page is older than the commit");
	munmap((void *)(uintptr_t)map, 4096);
	close(fd);
	dios_close(ref);
	dios_close(writer);
	ok(chdir("/") == 0 && mount_kill_all(), "its end: an orderly one would wait for what is held up");
}

static void appended(void)
{
	pthread_t thread;
	void *written = NULL;
	dios_ref ref = -1;

	int fd = put_synced("log", "head") ? open("log", O_WRONLY | O_APPEND) : -1;
	reader = open("log", O_RDONLY);
	ok(fd >= 0 && pthread_create(&thread, NULL, append_held, &fd) == 0 && page_is_asked_for(), "an append waits for its bytes");
	char text[16];
	ok(append_by_call("call", &ref) && pread(reader, text, 16, 0) >= 4, "another one comes first, and the page is read");
	ok(let_page_in("held") && pthread_join(thread, &written) == 0 && written, "the append is answered");
	ok(has("held"), "the kernel has its bytes where it believed the end to be");
	mount_kill_daemon();
	ok(wait_for(is_right, NULL), "D1_what the kernel was still to forget it forgets");
	ok(holds("log", "headcallheld"), "both are there");
	dios_close(ref);
	close(fd);
	close(reader);
}

int main(void)
{
	/* Pages are the kernel's, not the object's head. And the second time that some are to be forgotten, the daemon goes no further. */
	setenv("DIOS_TEST_PASSTHROUGH", "off", 1);
	setenv("DIOS_FAULT", "fs.forget=wait:2", 1);
	if (!mount_start())
		return mount_result();
	setenv("DIOS_MOUNT", mount_point, 1);
	if (hold_page())
		appended();
	else
		skip("D1_what the kernel was still to forget it forgets", "no userfaultfd here");
	committed();
	return done_testing();
}
