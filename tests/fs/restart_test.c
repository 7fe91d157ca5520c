/* The daemon is killed under programs that hold all there is to hold: nothing of it is lost, and what waited goes on (D1, D3, D5). And another
 * binary takes over. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libdios/dios-ioctl.h"
#include "libdios/dios.h"
#include "libdios/dios-util.h"
#include "tests/fs/mount.h"
#include "tests/fs/shell_task.h"
#include "tests/tap.h"

#define ENTRIES 300

/* Returns when the next daemon answers. */
static void kill_daemon(void)
{
	mount_kill_daemon();
	mount_daemon();
}

/* ---- open files ---- */

static void dirty_and_unlinked(void)
{
	char text[64] = "";
	int dirty = open("dirty", O_RDWR | O_CREAT, 0600), gone = open("gone", O_RDWR | O_CREAT, 0600), end = open("end", O_WRONLY | O_CREAT | O_APPEND, 0600);
	bool good = write(dirty, "never synced", 12) == 12 && write(gone, "unlinked", 8) == 8 && unlink("gone") == 0 && write(end, "one", 3) == 3;

	for (int i = 0; i < 2; i++)
		kill_daemon();
	ok(good && pread(dirty, text, 12, 0) == 12 && memcmp(text, "never synced", 12) == 0, "D1_unsynced bytes are there");
	ok(write(dirty, " more", 5) == 5 && holds("dirty", "never synced more"), "D1_the file's position is where it was");
	struct stat st;
	ok(pread(gone, text, 8, 0) == 8 && memcmp(text, "unlinked", 8) == 0 && fstat(gone, &st) == 0 && st.st_nlink == 0, "D5_an unlinked open file is there");
	ok(pwrite(gone, "UN", 2, 0) == 2 && pread(gone, text, 8, 0) == 8 && memcmp(text, "UNlinked", 8) == 0, "D5_and is still written");
	ok(write(end, "two", 3) == 3 && holds("end", "onetwo"), "D1_a descriptor that appends still does");
	close(dirty);
	close(gone);
	close(end);
}

static long objects(void)
{
	char text[4096] = "";
	int fd = open(".dios/status", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	const char *at = n > 0 ? strstr(text, "\"objects\": ") : NULL;
	return at ? strtol(at + 11, NULL, 10) : -1;
}

static bool fewer(void *arg) { return objects() < *(long *)arg; }

static void orphans(void)
{
	int fd = open("orphan", O_RDWR | O_CREAT, 0600);

	unlink("orphan");
	kill_daemon();
	struct stat st;
	long with = objects();
	ok(fstat(fd, &st) == 0 && pwrite(fd, "x", 1, 0) == 1, "D5_an orphan is kept while it is open");
	close(fd);
	ok(wait_for(fewer, &with), "D5_and freed when it is closed under another daemon");
}

static void locks(void)
{
	int whole = open("flock", O_RDWR | O_CREAT, 0600), range = open("range", O_RDWR | O_CREAT, 0600), status = 1;
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5 };

	flock(whole, LOCK_EX);
	fcntl(range, F_SETLK, &lock);
	kill_daemon();
	pid_t pid = fork();
	if (pid == 0) {
		int other = open("flock", O_RDWR), other_range = open("range", O_RDWR);
		bool refused = flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK && fcntl(other_range, F_SETLK, &lock) < 0;
		_exit(refused ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	ok(status == 0, "D1_locks are held");
	close(whole);
	close(range);
}

static void mappings(void)
{
	int fd = open("map", O_RDWR | O_CREAT, 0600);
	bool good = ftruncate(fd, 8192) == 0;
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), text[8] = "";

	close(fd);
	memcpy(map, "before", 6);
	kill_daemon();
	memcpy(map + 4096, "after", 5);
	good = good && msync(map, 8192, MS_SYNC) == 0;
	munmap(map, 8192);
	kill_daemon();
	fd = open("map", O_RDONLY);
	ok(good && pread(fd, text, 6, 0) == 6 && memcmp(text, "before", 6) == 0 && pread(fd, text, 5, 4096) == 5 && memcmp(text, "after", 5) == 0,
		"D1_a mapping goes on");
	close(fd);
}

/* Opened by a user who may not open it now: a descriptor keeps what it has. */
static void rights(void)
{
	char text[8];
	int fd = open("rights", O_RDWR | O_CREAT, 0600), read_only = open("rights", O_RDONLY);
	struct dios_ioctl_info before, after;

	if (write(fd, "bytes", 5) != 5)
		ok(false, "writing: %s", strerror(errno));
	ok(dios_info(fd, &before) == 0, "a descriptor has an id");
	kill_daemon();
	ok(dios_info(fd, &after) == 0 && memcmp(before.id, after.id, sizeof(before.id)) == 0 && before.rights == after.rights, "D1_it keeps its id and rights");
	ok(write(read_only, "x", 1) < 0 && errno == EBADF && read(read_only, text, 5) == 5, "D1_one for reading reads");
	close(fd);
	close(read_only);
}

static void tokens(void)
{
	char token[DIOS_TOKEN_SIZE], path[2048], text[8] = "";
	dios_ref ref;

	put("ranged", "0123456789");
	bool good = dios_open(0, "./ranged", DIOS_READ, &ref) == 0 &&
		dios_copy(DIOS_TOKEN, ref, &(struct dios_copy_options){ .rights = DIOS_READ, .offset = 2, .length = 3 }, NULL, token) == 0;
	snprintf(path, sizeof(path), ".dios/cap/%s", token);
	int fd = open(path, O_RDONLY);
	kill_daemon();
	ok(good && pread(fd, text, 8, 2) == 3 && memcmp(text, "234", 3) == 0, "D1_what a token opened reads its range");
	ok(pread(fd, text, 8, 0) < 0 && errno == EACCES, "D1_and no more");
	struct stat st;
	ok(fstat(fd, &st) == 0 && st.st_size == 10 && (st.st_mode & 0777) == 0444, "D1_a token's node is known");
	dios_close(ref);
	close(fd);
}

static void directories(void)
{
	char name[32];
	bool seen[ENTRIES] = { false }, twice = false;
	int count = 0;

	mkdir("many", 0755);
	for (int i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		put(name, "");
	}
	DIR *d = opendir("many");
	for (struct dirent *e; d && (e = readdir(d)); ) {
		if (e->d_name[0] == '.')
			continue;
		int i = (int)strtol(e->d_name, NULL, 10);
		twice |= seen[i];
		seen[i] = true;
		if (count++ == 20)
			kill_daemon();
	}
	closedir(d);
	ok(count == ENTRIES && !twice, "D1_a listing goes on where it was");
	ok(chdir("many") == 0 && (kill_daemon(), put("here", "x")) && chdir("..") == 0 && holds("many/here", "x"), "D1_a working directory stays");
}

/* Made without a path, and not opened yet: only the descriptor through which it was made holds it. */
static void created(void)
{
	struct dios_ioctl_create c = { .version = DIOS_ABI_VERSION, .kind = DIOS_BLOB, .lifecycle = DIOS_REFCOUNTED, .mode = 0600 };
	int folder = open(".", O_RDONLY | O_DIRECTORY);
	char path[128], text[DIOS_NAME_TEXT + 1];
	struct dios_name name;

	int r = ioctl(folder, DIOS_IOC_CREATE, &c);
	memcpy(name.bytes, c.name, sizeof(name.bytes));
	dios_name_to_text(&name, text);
	snprintf(path, sizeof(path), ".dios/name/%s", text);
	kill_daemon();
	int fd = open(path, O_RDWR);
	ok(r == 0 && fd >= 0 && write(fd, "x", 1) == 1, "D5_what was made through a descriptor is there");
	close(fd);
	close(folder);
}

/* ---- what waits ---- */

static bool make_stream(const char *path, dios_ref *ret_ref)
{
	struct dios_create_options o = { .kind = DIOS_STREAM, .path = path, .mode = 0644, .rights = DIOS_WRITE };
	return dios_create(0, &o, NULL, ret_ref) == 0;
}

static void *read_one(void *arg)
{
	char text[64] = "";
	ssize_t n = read(*(int *)arg, text, sizeof(text));
	return n < 0 ? NULL : strdup(text);
}

static void *poll_one(void *arg)
{
	struct pollfd p = { .fd = *(int *)arg, .events = POLLIN };
	/* Without a bound: at its end poll would look once more by itself. */
	return (void *)(intptr_t)(poll(&p, 1, -1) == 1 && (p.revents & POLLIN));
}

static long waiting(void)
{
	char text[65536] = "";
	int fd = open(".dios/metrics", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	const char *at = n > 0 ? strstr(text, "\ndios_fs_waiting_requests ") : NULL;
	return at ? strtol(at + 26, NULL, 10) : -1;
}
static bool so_many_wait(void *arg) { return waiting() == *(long *)arg; }

/* Who waits for ever is left behind: NULL. */
static void join(pthread_t thread, void **ret)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	*ret = NULL;
	pthread_timedjoin_np(thread, ret, &until);
}

static void streams(void)
{
	pthread_t reader, poller;
	void *got = NULL, *woken = NULL;
	/* Static: one who is left behind still uses them. */
	static int fd, polled;
	dios_ref ref;
	bool good = make_stream("./stream", &ref) && write(ref, "first", 5) == 5;
	char text[64];

	fd = open("stream", O_RDONLY);
	polled = open("stream", O_RDONLY);
	good = good && read(fd, text, sizeof(text)) == 5 && read(polled, text, sizeof(text)) == 5;
	pthread_create(&reader, NULL, read_one, &fd);
	pthread_create(&poller, NULL, poll_one, &polled);
	long both = 2;
	good = good && wait_for(so_many_wait, &both);
	for (int i = 0; i < 3; i++)
		kill_daemon();
	ok(good && write(ref, "second", 6) == 6, "D1_a stream is written by who had it open");
	join(reader, &got);
	ok(got && strcmp(got, "second") == 0, "D3_a blocked reader gets what comes next, and only that");
	join(poller, &woken);
	ok(woken != NULL, "D1_a poller is woken");
	free(got);
	close(fd);
	close(polled);
	dios_close(ref);
}

static volatile sig_atomic_t signals;
static void count_signal(int number) { signals += number == SIGUSR1; }

static void interrupted(void)
{
	struct sigaction action = { .sa_handler = count_signal };
	dios_ref ref;
	bool good = make_stream("./interrupt", &ref);
	char byte;
	int status = 1;
	long one = 1;

	pid_t pid = fork();
	if (pid == 0) {
		int fd = open("interrupt", O_RDONLY);
		sigaction(SIGUSR1, &action, NULL);
		_exit(read(fd, &byte, 1) < 0 && errno == EINTR && signals == 1 ? 0 : 1);
	}
	good = good && wait_for(so_many_wait, &one);
	kill_daemon();
	kill(pid, SIGUSR1);
	waitpid(pid, &status, 0);
	ok(good && status == 0, "D3_a read that went on waiting ends at a signal");
	dios_close(ref);
}

static void *acquire_mutex(void *arg)
{
	struct dios_buffer b;
	int r = dios_acquire_write(0, *(dios_ref *)arg, 0, 8, &b);

	return r == 0 && dios_commit_write(DIOS_DISCARD, *(dios_ref *)arg, &b, 0) == 0 ? arg : NULL;
}

static void mutexes(void)
{
	struct dios_create_options o = { .path = "./mutex", .rights = DIOS_READ | DIOS_WRITE, .read_consistency = DIOS_MUTEX, .write_consistency = DIOS_MUTEX };
	struct dios_buffer b;
	static dios_ref holder, other;
	pthread_t thread;
	void *got = NULL;
	bool good = dios_create(0, &o, NULL, &holder) == 0 && dios_open(0, "./mutex", DIOS_READ | DIOS_WRITE, &other) == 0 &&
		dios_acquire_write(0, holder, 0, 8, &b) == 0;
	long one = 1;

	pthread_create(&thread, NULL, acquire_mutex, &other);
	good = good && wait_for(so_many_wait, &one);
	kill_daemon();
	struct dios_buffer none;
	ok(good && dios_acquire_write(DIOS_NOWAIT, other, 0, 8, &none) == -EAGAIN, "D1_a mutex is held");
	memcpy(b.data, "8 bytes.", 8);
	ok(dios_commit_write(0, holder, &b, 8) == 0, "D1_its holder commits");
	join(thread, &got);
	ok(got != NULL, "D3_and who waited for it gets it");
	dios_close(holder);
	dios_close(other);
}

/* ---- tasks ---- */

static bool runs(void *arg) { return state_of(*(dios_ref *)arg) == DIOS_TASK_RUNNING; }

static void tasks(void)
{
	/* One ends while the daemon is stopped, which is then killed: what it said waits for the next. (If it has ended before, or ends later, the result
	 * is the same.) */
	dios_ref ends = run_sh("sleep 1; exit 7"), paused = run_sh("sleep 1000"), killed = run_sh("sleep 1000");
	bool good = wait_for(runs, &paused) && wait_for(runs, &killed);
	pid_t daemon = mount_daemon();

	kill(daemon, SIGSTOP);
	poll(NULL, 0, 1500);
	kill(daemon, SIGKILL);
	ok(good && end_of(ends) == 7 << 8, "D1_a task that ends while there is no daemon has its exit status");
	ok(dios_pause(0, paused) == 0 && (kill_daemon(), state_of(paused) == DIOS_TASK_PAUSED), "D1_a paused one stays paused");
	ok(dios_pause(DIOS_RESUME, paused) == 0 && state_of(paused) == DIOS_TASK_RUNNING, "D1_and goes on when it is told");
	ok(dios_task_kill(killed, SIGKILL) == 0 && end_of(killed) == SIGKILL, "D1_one is killed by another daemon than began it");
	ok(dios_task_kill(paused, SIGTERM) == 0 && end_of(paused) == SIGTERM, "D1_and gets other signals");
}

static void waiting_task(void)
{
	struct dios_create_options o = { .path = "./input", .rights = DIOS_READ | DIOS_WRITE };
	const char *const arguments[] = { "sh", "-c", "cat <&3 >/dev/null; exit 9", NULL };
	dios_ref input = -1, task = -1;
	bool good = dios_create(DIOS_UNPRODUCED, &o, NULL, &input) == 0;
	struct dios_run_options run = { .path = "/bin/sh", .arguments = arguments, .inputs = &input, .input_count = 1 };

	good = good && dios_run(0, -1, &run, &task) == 0 && state_of(task) == DIOS_TASK_WAITING;
	kill_daemon();
	ok(good && state_of(task) == DIOS_TASK_WAITING, "D1_a task that waits for its input still does");
	ok(dios_set_produced(input, 0) == 0 && end_of(task) == 9 << 8, "D1_and runs when it comes");
	dios_close(input);
}

/* ---- both die, and upgrades ---- */

static bool unmounted(void *arg)
{
	(void)arg;
	return !mount_is_mounted();
}

static void fresh_mount(void)
{
	int fd = open("left", O_RDWR | O_CREAT, 0600);
	long before = objects();

	unlink("left");
	put("kept", "kept");
	pid_t holder = mount_holder_pid(), daemon = mount_daemon();
	bool away = chdir("/") == 0;
	kill(holder, SIGKILL);
	kill(daemon, SIGKILL);
	close(fd);
	umount2(mount_point, MNT_DETACH);
	ok(away && wait_for(unmounted, NULL) && mount_up() && chdir(mount_point) == 0 && holds("kept", "kept"), "mounted anew after both were killed");
	before -= 1;
	ok(objects() <= before + 1 && wait_for(fewer, &(long){ before + 2 }), "D5_a fresh mount frees what nobody can have open");
}

static bool shell(const char *command)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool copy_program(const char *name, const char *folder)
{
	char command[1024];

	snprintf(command, sizeof(command), "cp -a %s/%s %s/", getenv("DIOS_PROGRAMS") ? getenv("DIOS_PROGRAMS") : ".", name, folder);
	return shell(command);
}

/* Puts another file in the place of diosd: the old one stays whole for who runs it. */
static bool replace(const char *folder, const char *command)
{
	char line[2048];

	snprintf(line, sizeof(line), "cd %s && %s && chmod 755 new && mv new diosd", folder, command);
	return shell(line);
}

static bool says(const char *text)
{
	char found[4096] = "";
	int fd = open(".dios/status", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, found, sizeof(found) - 1);

	close(fd);
	return n > 0 && strstr(found, text);
}

static bool another(void *arg) { return mount_daemon() != *(pid_t *)arg; }

static void upgrade(void)
{
	char folder[400];
	pid_t before;

	snprintf(folder, sizeof(folder), "%s/bin", mount_work);
	bool good = mkdir(folder, 0755) == 0 && copy_program("diosd", folder) && copy_program("dios-holder", folder) && copy_program("dios-task", folder);
	setenv("DIOS_PROGRAMS", folder, 1);
	ok(good && chdir("/") == 0 && mount_down() && mount_up() && chdir(mount_point) == 0, "mounted by a copy of the programs");
	int fd = open("over", O_RDWR | O_CREAT, 0600);
	good = write(fd, "upgrade", 7) == 7;
	ok(replace(folder, "sed 's/" DIOS_VERSION "/9.9.9/g' diosd >new") && says("\"version\": \"" DIOS_VERSION "\""), "the file is replaced, the old daemon serves");
	kill_daemon();
	ok(says("\"version\": \"9.9.9\""), "once it has died the new one does");
	ok(good && write(fd, "d", 1) == 1 && holds("over", "upgraded"), "and open files go on");
	before = mount_daemon();
	ok(replace(folder, "sed 's/9[.]9[.]9/7.7.7/g' diosd >new") && kill(mount_holder_pid(), SIGHUP) == 0 && wait_for(another, &before) &&
		says("\"version\": \"7.7.7\""), "SIGHUP to the holder changes over at once");
	/* A program that says the word, for a daemon of another shared memory. */
	ok(replace(folder, "cp $(readlink /proc/$PPID/exe) new"), "one that cannot go on is put there");
	kill_daemon();
	ok(says("\"version\": \"7.7.7\"") && write(fd, ".", 1) == 1, "the one that ran before goes on, and the mount with it");
	ok(replace(folder, "cp /bin/false new"), "one that does not start is put there");
	before = mount_daemon();
	kill(mount_holder_pid(), SIGHUP);
	ok(wait_for(another, &before) && says("\"version\": \"7.7.7\"") && holds("over", "upgraded."), "the same");
	close(fd);
}

/* As diosd: of a version that cannot go on. */
static int incompatible(int count, char **arguments)
{
	for (int i = 1; i + 1 < count; i++)
		if (strcmp(arguments[i], "--control-fd") == 0)
			dprintf((int)strtol(arguments[i + 1], NULL, 10), "incompatible\n");
	return 1;
}

int main(int count, char **arguments)
{
	if (count > 2)
		return incompatible(count, arguments);
	if (!mount_start())
		return mount_result();
	setenv("DIOS_MOUNT", mount_point, 1);
	pid_t holder = mount_holder_pid();
	dirty_and_unlinked();
	orphans();
	locks();
	mappings();
	rights();
	tokens();
	directories();
	created();
	streams();
	interrupted();
	mutexes();
	tasks();
	waiting_task();
	is_int(mount_holder_pid(), holder, "one holder all the time");
	fresh_mount();
	upgrade();
	return done_testing();
}
