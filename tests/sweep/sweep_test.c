/* The Nth call of one kind fails in the daemon, for N = 1, 2, ... until none fails, under the same work on a mount. One daemon lives
 * through as many N as it can; one that ended, or refuses everything after a failed write or sync, is started again. After each N what
 * was acknowledged must be there, everything must work, and at the end of each kind no handle is left and fsck finds nothing.
 *
 * Without DIOS_TEST_LONG every STRIDE-th N, from one that the seed (the day, or the argument) chooses. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/fs/mount.h"
#include "tests/sweep/control.h"
#include "tests/sweep/work.h"
#include "tests/tap.h"

#define ONE_TAKES_MAX_S 60
#define N_MAX 20000u
#define WRONG_MAX 10

/* may_stop: a write or sync that fails may end all writing until the next start. Whatever else fails is one call's error. */
struct kind { const char *name; enum sweep_kind kind; int error; unsigned stride, cycle_stride; bool may_stop; };

static const struct kind kinds[] = {
	{ "allocations, ENOMEM", SWEEP_MALLOC, ENOMEM, 13, 97, false },
	{ "pwrite, EIO", SWEEP_PWRITE, EIO, 3, 5, true },
	{ "pwrite, ENOSPC", SWEEP_PWRITE, ENOSPC, 3, 5, false },
	{ "write, EIO", SWEEP_WRITE, EIO, 1, 5, true },
	{ "write, ENOSPC", SWEEP_WRITE, ENOSPC, 1, 5, false },
	{ "fsync, EIO", SWEEP_SYNC, EIO, 2, 7, true },
	{ "rename, EIO", SWEEP_RENAME, EIO, 1, 2, true },
	{ "open, EMFILE", SWEEP_OPEN, EMFILE, 1, 61, false },
	{ "open, ENOSPC", SWEEP_OPEN, ENOSPC, 1, 83, false },
	{ "mmap, ENOMEM", SWEEP_MMAP, ENOMEM, 1, 1, false },
};

static struct { const char *kind; unsigned n; } current;

static void too_long(int number)
{
	(void)number;
	printf("not ok 1 - %s, N=%u: an answer within %d s\n1..1\n", current.kind, current.n, ONE_TAKES_MAX_S);
	fflush(stdout);
	raise(SIGTERM);
}

static void arm(const struct kind *k, unsigned n)
{
	control->what[0] = '\0';
	control_fail("", 1u << k->kind, k->error, n, n);
	current.kind = k->name;
	current.n = n;
	alarm(ONE_TAKES_MAX_S);
}

static void say_where(void)
{
	printf("# the call: %s, from diosd at", control->what);
	for (uint32_t i = 0; i < control->trace_count; i++)
		printf(" %#" PRIx64, control->trace[i]);
	printf("\n");
}

static bool start(void)
{
	setenv("LD_PRELOAD", getenv("DIOS_SHIM"), 1);
	bool up = mount_up();
	unsetenv("LD_PRELOAD");
	return up && chdir(mount_point) == 0;
}

/* What refuses to start says so first, and closes then. */
static bool all_ended(void *arg)
{
	(void)arg;
	return kill((pid_t)atomic_load(&control->pid), 0) < 0 && !mount_is_mounted();
}

/* Also where the daemon is dead: then its holder has ended, or ends. */
static bool start_again(void)
{
	if (chdir("/") < 0)
		return false;
	bool down = mount_down();
	return (down || wait_for(all_ended, NULL)) && start();
}

static bool probe(void)
{
	return put("probe", "all is well") && holds("probe", "all is well") && unlink("probe") == 0;
}

static bool probe_works(void *arg)
{
	(void)arg;
	return probe();
}

static bool probe_below(const char *folder) { return chdir(folder) == 0 && probe(); }

/* The number behind a word in a file of .dios; -1: there is none. */
static int number_in(const char *path, const char *word)
{
	char text[65536];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	const char *at = strstr(text, word);
	return at ? (int)strtol(at + strlen(word), NULL, 10) : -1;
}

static int open_handles(void) { return number_in(".dios/stats", "\ndios_fs_open_handles "); }
static bool handles_are(void *arg) { return open_handles() == *(int *)arg; }

static bool no_task_runs(void *arg)
{
	(void)arg;
	return number_in(".dios/status", "\"tasks_running\": ") == 0 && number_in(".dios/status", "\"tasks_waiting\": ") == 0;
}

struct sum { unsigned tried, failed_calls, silent, starts; int handles; };

/* One N. False: something is wrong, and was said. *ret_more: the fault was reached. */
static bool one(const struct kind *k, unsigned n, struct sum *sum, bool *ret_more)
{
	char folder[64];
	struct work w;

	snprintf(folder, sizeof(folder), "work-%u", n);
	work_init(&w, folder, k->error);
	uint32_t pid = atomic_load(&control->pid);
	arm(k, n);
	work_run(&w);
	control_stop();
	*ret_more = atomic_load(&control->fired) > 0;
	if (!*ret_more && w.failures > 0)
		snprintf(w.wrong, sizeof(w.wrong), "%u calls failed though nothing was made to fail", w.failures);
	sum->tried++;
	sum->failed_calls += w.failures;
	sum->silent += *ret_more && w.failures == 0;
	/* A daemon that can't go on ends, and its holder starts another. */
	bool works = wait_for(probe_works, NULL), another = atomic_load(&control->pid) != pid;
	sum->starts += another;
	if (!works)
		snprintf(w.wrong, sizeof(w.wrong), "nothing works any more");
	else if (another && !k->may_stop)
		snprintf(w.wrong, sizeof(w.wrong), "the daemon died");
	bool good = w.wrong[0] == '\0';
	good = good && work_check(&w);
	if (good) {
		int r = work_remove(&w);
		good = r == 0 && probe();
		if (!good)
			snprintf(w.wrong, sizeof(w.wrong), "what is there cannot be removed: errno %d", -r);
		else if (!(good = wait_for(no_task_runs, NULL)))
			snprintf(w.wrong, sizeof(w.wrong), "a task is left running");
		else if (!(good = wait_for(handles_are, &sum->handles)))
			snprintf(w.wrong, sizeof(w.wrong), "%d handles are open, %d before", open_handles(), sum->handles);
	}
	if (!good) {
		printf("# N=%u: %s\n", n, w.wrong);
		say_where();
	}
	work_done(&w);
	return good;
}

static void sweep(const struct kind *k, bool every, unsigned seed)
{
	struct sum sum = { 0 };
	unsigned wrong = 0, stride = every ? 1 : k->stride, n = 1 + seed % stride;
	struct timespec begin, end;
	bool more = true;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	sum.handles = open_handles();
	for (; more && n < N_MAX && wrong < WRONG_MAX; n += stride) {
		if (!one(k, n, &sum, &more)) {
			wrong++;
			if (!start_again())
				break;
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	alarm(0);
	printf("# %s: N up to %u, %u tried, %u calls failed, %u faults that nobody saw, %u starts, %.1f s\n", k->name, n - stride, sum.tried,
		sum.failed_calls, sum.silent, sum.starts, (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
	ok(wrong == 0 && !more, "%s: what was acknowledged is there, all works afterwards, no handle is left", k->name);
	ok(mount_fsck_clean(), "%s: fsck finds nothing", k->name);
}

/* ---- a daemon's start and end ---- */

enum moment { AT_START, AT_END };

static int holder(char *output, size_t size)
{
	const char *const arguments[] = { mount_data, mount_point, NULL };

	setenv("LD_PRELOAD", getenv("DIOS_SHIM"), 1);
	int status = mount_holder(output, size, arguments);
	unsetenv("LD_PRELOAD");
	return status;
}

/* The Nth call fails while the daemon starts, or while it ends. It is up, or has said why not; what it had is there at the next start. */
static bool cycle(const struct kind *k, enum moment moment, unsigned n, const char *text, bool *ret_more)
{
	char output[4096] = "", again[4096] = "";
	bool up = put("kept", text);

	pid_t ending = mount_holder_pid();

	atomic_store(&control->without_crypto, true);

	if (moment == AT_END)
		arm(k, n);
	else
		alarm(ONE_TAKES_MAX_S);
	if (chdir("/") < 0 || ending <= 1 || kill(ending, SIGTERM) < 0 || !wait_for(all_ended, NULL))
		return printf("# N=%u: it does not end\n", n) < 0;
	if (moment == AT_START)
		arm(k, n);
	else
		control_stop();
	*ret_more = atomic_load(&control->fired) > 0;
	up = up && holder(output, sizeof(output)) == 0;
	control_stop();
	*ret_more = atomic_load(&control->fired) > 0;
	/* A daemon that crashed ends without a word to its holder. */
	const char *why = up || (output[0] && !strstr(output, "by signal")) ? NULL : "it crashed, or did not say why it does not start";
	/* One that came up may have met the fault since, and serve what it can. */
	if (up && !probe_below(mount_point))
		up = chdir("/") < 0 || !mount_down();
	if (!up && (!wait_for(all_ended, NULL) || holder(again, sizeof(again)) != 0))
		why = "it does not start afterwards";
	else if (!why && (chdir(mount_point) < 0 || !holds("kept", text)))
		why = "what was written is not there";
	else if (!why && !probe())
		why = "nothing works";
	if (!why)
		return true;
	printf("# N=%u: %s: %s%s\n", n, why, output, again);
	say_where();
	return chdir(mount_point) == 0 && false;
}

static void sweep_cycles(const struct kind *k, enum moment moment, bool every, unsigned seed)
{
	unsigned wrong = 0, tried = 0, stride = every ? 1 : k->cycle_stride, n = 1 + seed % stride;
	bool more = true;
	char text[64];

	for (; more && n < N_MAX && wrong < WRONG_MAX; n += stride, tried++) {
		snprintf(text, sizeof(text), "as of %u", n);
		wrong += !cycle(k, moment, n, text, &more);
	}
	alarm(0);
	printf("# %s at the daemon's %s: N up to %u, %u tried\n", k->name, moment == AT_START ? "start" : "end", n - stride, tried);
	ok(wrong == 0 && !more, "%s while the daemon %s", k->name, moment == AT_START ? "starts: it is up, or says why not" : "ends: nothing is lost");
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : "";
	unsigned seed = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : (unsigned)(time(NULL) / 86400);

	bool every = getenv("DIOS_TEST_LONG") != NULL;

	if (!mount_prepare() || !control_make() || setenv("DIOS_MOUNT", mount_point, 1) < 0 || !start())
		return mount_result();
	signal(SIGALRM, too_long);
	printf("# seed %u\n", seed);
	ok(atomic_load(&control->pid) == (uint32_t)mount_daemon(), "the library is in the daemon");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strstr(kinds[i].name, only))
			sweep(&kinds[i], every, seed);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strstr(kinds[i].name, only))
			continue;
		sweep_cycles(&kinds[i], AT_START, every, seed);
		sweep_cycles(&kinds[i], AT_END, every, seed);
	}
	ok(mount_fsck_clean(), "after all starts and ends fsck finds nothing");
	return done_testing();
}
