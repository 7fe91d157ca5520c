/* Streams as files: reading blocks and ends, writing appends, poll, signals, trimming. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libdios/dios.h"
#include "libdios/dios-util.h"
#include "tests/fs/mount.h"
#include "tests/tap.h"

static dios_ref make(uint32_t flags, const char *path, uint64_t limit, uint64_t trim)
{
	dios_ref ref = -1;
	struct dios_create_options o = { .kind = DIOS_STREAM, .path = path, .mode = 0644, .rights = DIOS_WRITE, .limit_bytes = limit, .trim_bytes = trim };
	int r = dios_create(flags, &o, NULL, &ref);

	ok(r == 0, "a stream is made at %s: %s", path, strerror(-r));
	return ref;
}

static void appending(void)
{
	struct stat st;
	char text[64] = "";

	dios_ref ref = make(0, "log", 0, 0);
	ok(dios_create(0, &(struct dios_create_options){ .kind = DIOS_STREAM, .path = "./.dios" }, NULL, &(dios_ref){ -1 }) == -EEXIST,
		"the name .dios is taken");
	ok(append("log", "one\n") && append("log", "two\n"), ">> appends");
	ok(put("log", "three\n"), "> appends too");
	ok(stat("log", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 14, "it shows as a file that grows");
	int fd = open("log", O_RDONLY);
	ok(read(fd, text, sizeof(text)) == 14 && memcmp(text, "one\ntwo\nthree\n", 14) == 0, "reading gives all bytes in order");
	ok(truncate("log", 0) < 0 && errno == EINVAL, "it is not cut");
	ok(pread(fd, text, 5, 4) == 5 && memcmp(text, "two\nt", 5) == 0, "offsets count from the first byte");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	ok(read(fd, text, 1) < 0 && errno == EAGAIN, "a reader that will not wait gets EAGAIN");
	close(fd);
	dios_close(ref);
}

static void *write_later(void *arg)
{
	poll(NULL, 0, 200);
	append(arg, "late\n");
	return NULL;
}

static void *end_later(void *arg)
{
	dios_ref ref;

	poll(NULL, 0, 200);
	if (dios_open(0, arg, DIOS_WRITE, &ref) == 0) {
		dios_stream_end(ref);
		dios_close(ref);
	}
	return NULL;
}

static void waiting(void)
{
	pthread_t thread;
	char text[64];
	dios_ref ref = make(0, "wait", 0, 0);
	int fd = open("wait", O_RDONLY);

	pthread_create(&thread, NULL, write_later, (void *)(uintptr_t)"wait");
	ok(read(fd, text, sizeof(text)) == 5 && memcmp(text, "late\n", 5) == 0, "a reader waits for bytes");
	pthread_join(thread, NULL);
	pthread_create(&thread, NULL, end_later, (void *)(uintptr_t)"./wait");
	ok(read(fd, text, sizeof(text)) == 0, "and ends when the stream does");
	pthread_join(thread, NULL);
	int out = open("wait", O_WRONLY);
	ok(write(out, "x", 1) < 0 && errno == EPIPE, "then nobody writes any more: EPIPE");
	close(out);
	close(fd);
	dios_close(ref);
}

static void nothing(int signal) { (void)signal; }

static void signals(void)
{
	char byte;
	dios_ref ref = make(0, "signal", 0, 0);
	int fd = open("signal", O_RDONLY), status;
	struct sigaction action = { .sa_handler = nothing };

	sigaction(SIGALRM, &action, NULL);
	alarm(1);
	ok(read(fd, &byte, 1) < 0 && errno == EINTR, "a signal ends a waiting read");
	pid_t pid = fork();
	if (pid == 0) {
		ssize_t n = read(fd, &byte, 1);
		_exit(n == 0 ? 0 : 1);
	}
	poll(NULL, 0, 200);
	kill(pid, SIGKILL);
	ok(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "a killed reader is gone");
	ok(append("signal", "x") && read(fd, &byte, 1) == 1, "and the stream goes on");
	close(fd);
	dios_close(ref);
}

static void polling(void)
{
	pthread_t thread;
	char text[64];
	dios_ref ref = make(0, "poll", 0, 0);
	int fd = open("poll", O_RDONLY);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	is_int(poll(&p, 1, 0), 0, "an empty stream is not readable");
	pthread_create(&thread, NULL, write_later, (void *)(uintptr_t)"poll");
	ok(poll(&p, 1, 5000) == 1 && (p.revents & POLLIN), "poll waits until it is");
	pthread_join(thread, NULL);
	ok(read(fd, text, sizeof(text)) == 5 && poll(&p, 1, 0) == 0, "and read to its end it is not");
	int e = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN };
	epoll_ctl(e, EPOLL_CTL_ADD, fd, &event);
	pthread_create(&thread, NULL, write_later, (void *)(uintptr_t)"poll");
	ok(epoll_wait(e, &event, 1, 5000) == 1 && (event.events & EPOLLIN), "epoll too");
	pthread_join(thread, NULL);
	close(e);
	if (read(fd, text, sizeof(text)) != 5)
		ok(false, "the bytes are there");
	pthread_create(&thread, NULL, end_later, (void *)(uintptr_t)"./poll");
	ok(poll(&p, 1, 5000) == 1 && (p.revents & POLLHUP), "the end is POLLHUP");
	pthread_join(thread, NULL);
	close(fd);
	dios_close(ref);
}

static void *read_later(void *arg)
{
	char text[4096];

	poll(NULL, 0, 200);
	return (void *)(intptr_t)read(*(int *)arg, text, sizeof(text));
}

/* A direct stream's bound is what its slowest reader has not read. */
static void bounded(void)
{
	pthread_t thread;
	char block[4096] = "";
	dios_ref ref = make(DIOS_DIRECT, "full", 65536, 0);
	int in = open("full", O_RDONLY), out = open("full", O_WRONLY | O_NONBLOCK), n = 0;

	while (n < 100 && write(out, block, sizeof(block)) == sizeof(block))
		n++;
	ok(n <= 16 && n >= 15 && errno == EAGAIN, "a full stream refuses who will not wait: EAGAIN");
	fcntl(out, F_SETFL, 0);
	pthread_create(&thread, NULL, read_later, &in);
	ok(write(out, block, sizeof(block)) == sizeof(block), "others wait for room");
	pthread_join(thread, NULL);
	close(in);
	close(out);
	dios_close(ref);
}

static void trimmed(void)
{
	char block[1000], text[64];
	dios_ref ref = make(0, "trim", 0, 4000);
	int old = open("trim", O_RDONLY);

	memset(block, '.', sizeof(block));
	append("trim", "first record\n");
	ok(read(old, text, 5) == 5 && memcmp(text, "first", 5) == 0, "a reader begins");
	for (int i = 0; i < 20; i++) {
		snprintf(block, sizeof(block), "record %02d", i);
		block[9] = '\n';
		int fd = open("trim", O_WRONLY);
		if (write(fd, block, sizeof(block)) != sizeof(block))
			ok(false, "writing: %s", strerror(errno));
		close(fd);
	}
	int fresh = open("trim", O_RDONLY);
	ok(read(fresh, text, 10) == 10 && memcmp(text, "record ", 7) == 0, "a new reader starts at the oldest kept byte");
	long first = strtol(text + 7, NULL, 10);
	ok(first > 0 && read(fresh, block, 990) == 990 && read(fresh, text, 10) == 10 && strtol(text + 7, NULL, 10) == first + 1,
		"and goes on from there without a gap");
	ok(read(old, text, 5) < 0 && errno == EIO, "one that fell behind gets EIO");
	close(old);
	close(fresh);
	dios_close(ref);
}

static void copied(void)
{
	char command[512], output[256];
	dios_ref ref = make(0, "copy", 0, 0);

	append("copy", "some text\n");
	dios_stream_end(ref);
	snprintf(command, sizeof(command), "cat copy > copied && cat copied && cmp copy copied");
	const char *const arguments[] = { "-c", command, NULL };
	setenv("DIOS_PROGRAMS", "/bin", 1);
	is_int(mount_run(output, sizeof(output), "sh", arguments), 0, "cat copies a stream into a file: %s", output);
	is_str(output, "some text\n", "all of it");
	dios_close(ref);
}

/* Many writers, one reader: nothing lost, each writer's in order. */
static void many_writers(void)
{
	dios_ref ref = make(0, "many", 0, 0);
	int fd = open("many", O_RDONLY), last[4] = { -1, -1, -1, -1 }, lines = 0, used = 0;
	char text[65536];
	bool good = true;

	for (int w = 0; w < 4; w++) {
		if (fork() != 0)
			continue;
		for (int i = 0; i < 250; i++) {
			char line[32];
			snprintf(line, sizeof(line), "%d %d\n", w, i);
			if (!append("many", line))
				_exit(1);
		}
		_exit(0);
	}
	while (good && lines < 1000) {
		ssize_t n = read(fd, text + used, sizeof(text) - 1 - (size_t)used);
		if (n <= 0)
			break;
		used += (int)n;
		text[used] = '\0';
		char *line = text, *end;
		for (; (end = strchr(line, '\n')); line = end + 1, lines++) {
			int w, i;
			good = good && sscanf(line, "%d %d", &w, &i) == 2 && w >= 0 && w < 4 && i == last[w] + 1;
			if (good)
				last[w] = i;
		}
		used = (int)strlen(line);
		memmove(text, line, (size_t)used + 1);
	}
	ok(good && lines == 1000, "1,000 records of four writers come through, each writer's in order");
	while (wait(NULL) > 0)
		;
	close(fd);
	dios_close(ref);
}

static void *produce_later(void *arg)
{
	dios_ref ref;

	poll(NULL, 0, 200);
	if (put(arg, "made") && dios_open(0, arg, DIOS_WRITE, &ref) == 0) {
		dios_set_produced(ref, 0);
		dios_close(ref);
	}
	return NULL;
}

/* Not a stream, but waited for in the same way. */
static void unproduced(void)
{
	struct sigaction action = { .sa_handler = nothing };
	struct dios_create_options o = { .path = "./output", .mode = 0644, .rights = DIOS_WRITE };
	pthread_t thread;
	dios_ref ref;

	ok(dios_create(DIOS_UNPRODUCED, &o, NULL, &ref) == 0, "an object is made that a task has still to produce");
	ok(open("output", O_RDONLY | O_NONBLOCK) < 0 && errno == EAGAIN, "who opens it and will not wait gets EAGAIN");
	sigaction(SIGALRM, &action, NULL);
	alarm(1);
	ok(open("output", O_RDONLY) < 0 && errno == EINTR, "who waits is woken by a signal");
	pthread_create(&thread, NULL, produce_later, (void *)(uintptr_t)"./output");
	ok(holds("output", "made"), "else opening waits until it is produced");
	pthread_join(thread, NULL);
	dios_close(ref);
	o.path = "./failed";
	ok(dios_create(DIOS_UNPRODUCED, &o, NULL, &ref) == 0 && dios_set_produced(ref, 1) == 0 && open("failed", O_RDONLY) < 0 && errno == EIO,
		"when its producer failed, opening is EIO");
	dios_close(ref);
}

int main(void)
{
	if (!mount_start())
		return mount_result();
	setenv("DIOS_MOUNT", mount_point, 1);
	appending();
	waiting();
	signals();
	polling();
	bounded();
	trimmed();
	copied();
	many_writers();
	unproduced();
	return done_testing();
}
