/* Text for people: printable bytes, sizes, durations, times, columns and progress lines. */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "mount-tools/progress.h"
#include "mount-tools/table.h"
#include "mount-tools/text.h"
#include "tests/tap.h"

static void test_printable(void)
{
	static const char *const rows[][2] = {
		{ "plain", "plain" }, { "", "" }, { "a b", "a b" }, { "a\nb", "a\\nb" }, { "a\tb", "a\\tb" }, { "\x1b[31m", "\\x1b[31m" },
		{ "back\\slash", "back\\\\slash" }, { "\xc3\xa4", "\xc3\xa4" }, { "\xc2\x9b" "31m", "\\xc2\\x9b" "31m" }, { "\xff\xfe", "\\xff\\xfe" },
		{ "\x7f", "\\x7f" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = text_printable(rows[i][0]);
		is_str(text, rows[i][1], "printable: %s", rows[i][1]);
		free(text);
	}
	is_int(text_width("a\xc3\xa4\xe2\x82\xac"), 3, "a character is a column");
}

static void test_sizes(void)
{
	static const struct { uint64_t bytes; const char *text; } rows[] = {
		{ 0, "0" }, { 1023, "1023" }, { 1024, "1.0K" }, { 1025, "1.1K" }, { 1536, "1.5K" }, { 10239, "10K" }, { 10240, "10K" }, { 102400, "100K" },
		{ 1 << 20, "1.0M" }, { 1048575, "1.0M" }, { 5ULL << 30, "5.0G" }, { 1ULL << 40, "1.0T" }, { UINT64_MAX, "16E" },
	};
	char text[TEXT_SIZE_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text_size(rows[i].bytes, text);
		is_str(text, rows[i].text, "size %" PRIu64, rows[i].bytes);
	}
}

static void test_times(void)
{
	static const struct { int64_t ns; const char *text; } durations[] = {
		{ 0, "0ms" }, { 999 * NS_PER_MS, "999ms" }, { 1500 * NS_PER_MS, "1.5s" }, { 59 * NS_PER_SECOND, "59.0s" }, { 200 * NS_PER_SECOND, "3m20s" },
		{ 3600 * NS_PER_SECOND, "1h0m" }, { 90000 * NS_PER_SECOND, "1d1h" }, { -1, "-" },
	};
	static const struct { int64_t ns; const char *text; } times[] = {
		{ 0, "1970-01-01T00:00:00.000000000Z" }, { 1700000000123456789LL, "2023-11-14T22:13:20.123456789Z" }, { -1, "1969-12-31T23:59:59.999999999Z" },
	};
	char text[TEXT_TIME_MAX];

	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		text_duration(durations[i].ns, text);
		is_str(text, durations[i].text, "duration %" PRId64, durations[i].ns);
	}
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		text_time(times[i].ns, text);
		is_str(text, times[i].text, "time %" PRId64, times[i].ns);
	}
}

static void test_table(void)
{
	static const char *const titles[] = { "KIND", ">SIZE", "NAME" };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct table t;

	table_init(&t, out, 3, titles);
	table_cell(&t, "blob");
	table_printf(&t, "%d", 12345);
	table_cell(&t, "a\nb");
	table_cell(&t, "directory");
	table_cell(&t, "1");
	table_cell(&t, "\xc3\xa4");
	is_int(table_finish(&t), 0, "a table is printed");
	fflush(out);
	is_str(text, "KIND        SIZE  NAME\nblob       12345  a\\nb\ndirectory      1  \xc3\xa4\n", "columns are aligned, names printable");
	rewind(out);
	table_init(&t, out, 1, titles);
	for (int i = 0; i < 3000; i++)
		table_printf(&t, "row%d", i);
	table_finish(&t);
	fclose(out);
	int lines = 0;
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	is_int(lines, 3001, "a long table comes whole");
	free(text);
}

/* A clock that stands where it was put. */
struct stopped { struct clock clock; int64_t now_ns; };
static int64_t stopped_ns(struct clock *c) { return ((struct stopped *)c)->now_ns; }

static void test_progress(void)
{
	struct stopped clock = { .clock = { stopped_ns, stopped_ns }, .now_ns = 5 };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct progress p;

	progress_init(&p, "put", PROGRESS_BYTES, 4 << 20, false);
	p.out = out;
	p.terminal = false;
	p.clock = &clock.clock;
	p.start_ns = p.drawn_ns = clock.now_ns;
	progress_update(&p, 100, NULL);
	clock.now_ns += 9 * NS_PER_SECOND;
	progress_update(&p, 1000, NULL);
	fflush(out);
	is_int(size, 0, "without a terminal nothing is said for a while");
	clock.now_ns += 1 * NS_PER_SECOND;
	progress_update(&p, 1 << 20, "detail");
	fflush(out);
	is_str(text, "put: 1.0M of 4.0M, 25%, 103K/s, 30.0s left, detail\n", "then a line");
	clock.now_ns += 1 * NS_PER_SECOND;
	progress_update(&p, 2 << 20, NULL);
	progress_finish(&p, 4 << 20, NULL);
	fflush(out);
	is_str(text, "put: 1.0M of 4.0M, 25%, 103K/s, 30.0s left, detail\nput: 4.0M of 4.0M, 100%, 373K/s\n", "and one at the end");
	fclose(out);
	free(text);
}

int main(void)
{
	test_printable();
	test_sizes();
	test_times();
	test_table();
	test_progress();
	return done_testing();
}
