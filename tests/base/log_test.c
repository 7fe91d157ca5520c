/* base/log: one line an event, whatever is in it; levels; the rate limit. */
#include <fcntl.h>
#include <pthread.h>

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

	setenv("JOURNAL_STREAM", "1:2", 1);
	dup2(log_file, 2);
	log_set_fd(2);
	log_error("a", "x");
	log_info("a", "y");
	dup2(saved, 2);
	close(saved);
	is_str(logged(), "<3>ERROR a: x\n<6>INFO a: y\n", "standard error read by the journal gets <N> prefixes");
	unsetenv("JOURNAL_STREAM");
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
	return done_testing();
}
