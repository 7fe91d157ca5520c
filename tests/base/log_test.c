/* base/log: one line an event, whatever is in it; levels; the rate limit. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/counter.h"
#include "base/log.h"
#include "tests/tap.h"

static int log_file;
static int64_t now_ns = 1000;

static int64_t fake_ns(struct clock *c)
{
	(void)c;
	return now_ns;
}

static struct clock fake_clock = { .wall_ns = fake_ns, .boot_ns = fake_ns };

/* What was logged since the last call. */
static const char *logged(void)
{
	static char text[200000];
	ssize_t n = pread(log_file, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	if (ftruncate(log_file, 0) < 0)
		abort();
	/* The times are looked at in a test of their own. */
	char *to = text;
	for (const char *from = text; *from;) {
		if (*from != '<')
			from += strlen("1970-01-01T00:00:00.000Z ");
		size_t size = strcspn(from, "\n") + 1;
		memmove(to, from, size);
		to += size;
		from += size;
	}
	*to = '\0';
	return text;
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void hostile_values_stay_on_their_line(void)
{
	log_info("fs", "opened path=%s", "a\nERROR fs: forged\r\x1b[2J");
	is_str(logged(), "INFO fs: opened path=a\\x0aERROR fs: forged\\x0d\\x1b[2J\n", "control characters are escaped");
	log_info("fs", "opened path=%s", "back\\slash \xc3\xa4\x7f");
	is_str(logged(), "INFO fs: opened path=back\\\\slash \\xc3\\xa4\\x7f\n", "so are backslash, other bytes and DEL");

	char large[10000];
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	log_info("fs", "%s", large);
	const char *line = logged();
	ok(strlen(line) <= LOG_LINE_MAX && count_lines(line) == 1, "a long line is cut to %d bytes", LOG_LINE_MAX);
	is_str(line + strlen(line) - 6, "xx...\n", "and shows it");
	memset(large, '\n', sizeof(large) - 1);
	log_info("fs", "%s", large);
	line = logged();
	ok(strlen(line) <= LOG_LINE_MAX && count_lines(line) == 1, "so is one that grows by escaping");
	errno = ENOSPC;
	log_info("fs", "x");
	is_int(errno, ENOSPC, "errno survives a log line");
	logged();
}

static void levels_are_kept(void)
{
	enum log_level level = LOG_LEVEL_NOTICE;

	log_debug("a", "hidden");
	is_str(logged(), "", "debug is not logged at info");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("a", "hidden");
	log_error("a", "shown n=%d", 5);
	is_str(logged(), "ERROR a: shown n=5\n", "only errors at error");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("a", "shown");
	is_str(logged(), "DEBUG a: shown\n", "all at debug");
	is_int(log_level_parse("warning", &level), 0, "a level by name");
	is_int(level, LOG_LEVEL_WARNING, "is that level");
	is_int(log_level_parse("loud", &level), -EINVAL, "an unknown one is refused");
	is_int(log_level_parse("Warning", &level), -EINVAL, "capitals too");
	is_int(level, LOG_LEVEL_WARNING, "and changes nothing");
	log_set_level(LOG_LEVEL_INFO);
}

static void one_site(int i)
{
	log_info("net", "refused n=%d", i);
}

static void the_rate_is_limited_by_call_site(void)
{
	for (int i = 0; i < LOG_BURST + 30; i++)
		one_site(i);
	is_int(count_lines(logged()), LOG_BURST, "a burst is cut after %d lines", LOG_BURST);
	log_info("net", "another site");
	is_str(logged(), "INFO net: another site\n", "another call site is not concerned");
	now_ns += LOG_INTERVAL_S * NS_PER_SECOND - 1;
	one_site(1);
	is_str(logged(), "", "the interval lasts %d s", LOG_INTERVAL_S);
	now_ns += 1;
	one_site(2);
	is_str(logged(), "INFO net: refused n=2 suppressed=31\n", "then the next line says how many were left out");
	one_site(3);
	is_str(logged(), "INFO net: refused n=3\n", "once");
	now_ns -= NS_PER_SECOND;
	one_site(4);
	is_str(logged(), "INFO net: refused n=4\n", "a clock that steps back suppresses nothing");

	_cleanup_buffer_ struct buffer stats;
	buffer_init(&stats, 4096);
	counters_print_stats(&stats);
	buffer_append(&stats, "", 1);
	is_str((const char *)stats.data, "dios_log_suppressed_total 31\n", "and a counter counts them");
}

static void *write_lines(void *unused)
{
	for (int i = 0; i < 200; i++) {
		struct log_site site = { 0 };
		log_write(&site, LOG_LEVEL_INFO, "thread", "a line of some length that should stay whole end");
	}
	return unused;
}

static void threads_do_not_mix_lines(void)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, write_lines, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	const char *text = logged();
	bool whole = true;
	size_t lines = count_lines(text);
	while (*text) {
		size_t size = strcspn(text, "\n");
		whole = whole && size == strlen("INFO thread: a line of some length that should stay whole end");
		text += size + 1;
	}
	is_int(lines, 800, "four threads, 800 lines");
	ok(whole, "each of them whole");
}

static void the_journal_gets_priorities(void)
{
	int saved = dup(2);

	char stream[64];
	struct stat st;

	fstat(log_file, &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	ok(!log_to_journal(), "another standard error than the one that JOURNAL_STREAM names is no journal");
	dup2(log_file, 2);
	log_set_fd(2);
	ok(log_to_journal(), "the one that it names is");
	log_error("a", "x");
	log_info("a", "y");
	dup2(saved, 2);
	close(saved);
	is_str(logged(), "<3>ERROR a: x\n<6>INFO a: y\n", "standard error read by the journal gets <N> prefixes");
	unsetenv("JOURNAL_STREAM");
	log_set_fd(log_file);
}

static void absorb_fails(int ino)
{
	log_warning("objects", "absorbing failed ino=%d", ino);
}

static void the_same_again_is_counted(void)
{
	absorb_fails(7);
	for (int i = 0; i < 57; i++) {
		now_ns += NS_PER_SECOND;
		absorb_fails(7);
	}
	is_str(logged(), "WARNING objects: absorbing failed ino=7\n", "the same line each second is written once");
	log_flush(false);
	is_str(logged(), "", "nothing is due");
	now_ns += 3 * NS_PER_SECOND;
	absorb_fails(7);
	is_str(logged(), "WARNING objects: absorbing failed ino=7 (repeated 57 times)\n", "after %d s it comes again, with its count", LOG_REPEAT_S);
	absorb_fails(7);
	absorb_fails(8);
	is_str(logged(), "WARNING objects: absorbing failed ino=7 (repeated 1 times)\nWARNING objects: absorbing failed ino=8\n",
		"before another line of its site, too");
	absorb_fails(8);
	now_ns += LOG_REPEAT_S * NS_PER_SECOND;
	log_flush(false);
	is_str(logged(), "WARNING objects: absorbing failed ino=8 (repeated 1 times)\n", "when it has ended, the count is said by log_flush");
	absorb_fails(8);
	log_flush(true);
	is_str(logged(), "WARNING objects: absorbing failed ino=8 (repeated 1 times)\n", "at the end all is said");
	log_flush(true);
	is_str(logged(), "", "once");
}

static void lines_have_times(void)
{
	char text[200];

	now_ns = 1700000000123 * NS_PER_MS;
	log_notice("a", "timed");
	ssize_t n = pread(log_file, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	is_str(text, "2023-11-14T22:13:20.123Z NOTICE a: timed\n", "a line begins with the time in UTC");
	logged();
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void say(int n)
{
	static struct log_site sites[4];

	log_write(&sites[n % 4], LOG_LEVEL_INFO, "fill", "line n=%d %0100d", n, 0);
	sites[n % 4].lines = 1;   /* the rate is not what is tested here */
}

/* Lines of two processes in turn, so that each finds the file turned over by the other. Returns whether it stayed bounded. */
static bool say_in_turn(const char *path, const char *old)
{
	int turns[2][2], status = -1;
	bool bounded = true;
	char c = 0;

	if (pipe(turns[0]) < 0 || pipe(turns[1]) < 0)
		abort();
	fflush(stdout);
	pid_t pid = fork();
	bool child = pid == 0;
	for (int i = 0; i < 500; i++) {
		if ((child || i > 0) && read(turns[child][0], &c, 1) != 1)
			abort();
		say(child ? 1000 + i : i);
		bounded = bounded && size_of(path) < 4096 + 1024 && size_of(old) < 4096 + 1024;
		if (write(turns[!child][1], &c, 1) != 1)
			abort();
	}
	if (child)
		_exit(bounded ? 0 : 1);
	waitpid(pid, &status, 0);
	for (int i = 0; i < 2; i++) {
		close(turns[i][0]);
		close(turns[i][1]);
	}
	return bounded && status == 0;
}

/* Standard error is that file, in two processes. */
static void the_file_is_bounded(void)
{
	char folder[] = "/tmp/dios-log.XXXXXX", path[64], old[80];
	int saved = dup(STDERR_FILENO);

	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/log", folder);
	snprintf(old, sizeof(old), "%s.1", path);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, STDERR_FILENO);
	close(fd);
	log_set_fd(STDERR_FILENO);
	log_set_file(path, 4096);
	ok(say_in_turn(path, old), "a file that two processes write stays bounded");
	ok(size_of(old) >= 4096, "the one before is kept");
	unlink(path);
	say(0);
	ok(size_of(path) > 0, "a file that somebody has taken away is made again");
	off_t before = size_of(path);
	is_int(dprintf(STDERR_FILENO, "x"), 1, "what else writes to standard error");
	is_int(size_of(path), before + 1, "writes there");
	log_set_file(NULL, 0);
	dup2(saved, STDERR_FILENO);
	close(saved);
	unlink(path);
	unlink(old);
	rmdir(folder);
	log_set_fd(log_file);
}

int main(void)
{
	char path[] = "/tmp/dios-log.XXXXXX";

	log_file = mkstemp(path);
	fcntl(log_file, F_SETFL, O_APPEND);
	unlink(path);
	log_set_fd(log_file);
	log_set_clock(&fake_clock);
	unsetenv("JOURNAL_STREAM");
	hostile_values_stay_on_their_line();
	levels_are_kept();
	the_rate_is_limited_by_call_site();
	threads_do_not_mix_lines();
	the_journal_gets_priorities();
	the_same_again_is_counted();
	the_file_is_bounded();
	lines_have_times();
	return done_testing();
}
