/* base/counter: the two text formats, merging, and updates from several threads. */
#include <pthread.h>

#include "base/counter.h"
#include "tests/tap.h"

COUNTER(reads, "test_requests_total{op=\"read\"}", "Requests.");
COUNTER(writes, "test_requests_total{op=\"write\"}", "Requests.");
COUNTER(writes_again, "test_requests_total{op=\"write\"}", "Requests.");
COUNTER(between, "test_requests_more", "A name that sorts between a family and its labels.");
GAUGE(open_files, "test_open_files", "Open files.");
COUNTER(unused, "test_unused_total", "Never touched, never listed.");
HISTOGRAM(latency, "test_latency_seconds", "Latency.");
HISTOGRAM(by_kind, "test_wait_seconds{kind=\"a\"}", "Waiting.");

static const char *text(struct buffer *b)
{
	buffer_append(b, "", 1);
	return buffer_error(b) ? "(error)" : (const char *)b->data;
}

static void counters_are_listed_by_name_and_added_up(void)
{
	_cleanup_buffer_ struct buffer b;
	buffer_init(&b, 65536);

	counter_add(&writes, 2);
	counter_add(&reads, 1);
	counter_add(&writes_again, 40);
	counter_add(&between, 5);
	counter_add(&open_files, 3);
	counter_add(&open_files, -2);
	is_int(counters_print_stats(&b), 0, "stats are printed");
	is_str(text(&b), "test_open_files 1\ntest_requests_more 5\ntest_requests_total{op=\"read\"} 1\ntest_requests_total{op=\"write\"} 42\n"
		, "sorted; two counters of one name are one line; an unused one is none");
	buffer_reset(&b);
	is_int(counters_print_prometheus(&b), 0, "metrics are printed");
	is_str(text(&b),
		"# HELP test_open_files Open files.\n# TYPE test_open_files gauge\ntest_open_files 1\n"
		"# HELP test_requests_more A name that sorts between a family and its labels.\n# TYPE test_requests_more counter\ntest_requests_more 5\n"
		"# HELP test_requests_total Requests.\n# TYPE test_requests_total counter\n"
		"test_requests_total{op=\"read\"} 1\ntest_requests_total{op=\"write\"} 42\n", "one head a family");
	(void)unused;
}

static void histograms_give_percentiles_and_buckets(void)
{
	_cleanup_buffer_ struct buffer b;
	buffer_init(&b, 65536);

	for (int i = 0; i < 98; i++)
		histogram_record(&latency, 900);            /* within 1 us */
	histogram_record(&latency, 3000);                   /* within 4 us */
	histogram_record(&latency, 1000000000000);          /* 1,000 s: past the last bound */
	histogram_record(&by_kind, -5);                     /* a clock that stepped back counts as 0 */
	counters_print_stats(&b);
	const char *s = text(&b);
	ok(strstr(s, "test_latency_seconds_count 100\ntest_latency_seconds_p50_us 1\ntest_latency_seconds_p99_us 4\ntest_latency_seconds_max_us 1000000000\n"),
		"count, median, 99th percentile, maximum");
	ok(strstr(s, "test_wait_seconds_count{kind=\"a\"} 1\ntest_wait_seconds_p50_us{kind=\"a\"} 0\n"), "labels stay at the end");
	buffer_reset(&b);
	counters_print_prometheus(&b);
	s = text(&b);
	ok(strstr(s, "# TYPE test_latency_seconds histogram\ntest_latency_seconds_bucket{le=\"0.000001\"} 98\ntest_latency_seconds_bucket{le=\"0.000002\"} 98\n"
		"test_latency_seconds_bucket{le=\"0.000004\"} 99\n"), "buckets are cumulative, in seconds");
	ok(strstr(s, "test_latency_seconds_bucket{le=\"33.554432\"} 99\ntest_latency_seconds_bucket{le=\"+Inf\"} 100\n"
		"test_latency_seconds_sum 1000.000091200\ntest_latency_seconds_count 100\n"), "the last takes the rest; sum and count follow");
	ok(strstr(s, "test_wait_seconds_bucket{kind=\"a\",le=\"0.000001\"} 1\n"), "labels and bound in one pair of braces");
	ok(strstr(s, "test_wait_seconds_sum{kind=\"a\"} 0.000000000\ntest_wait_seconds_count{kind=\"a\"} 1\n"), "labels on sum and count");
}

static void bucket_bounds_are_inclusive(void)
{
	static struct histogram h = { .name = "test_bounds_seconds", .help = "Bounds.", .registered = ATOMIC_FLAG_INIT };

	histogram_record(&h, 1000);
	histogram_record(&h, 1001);
	histogram_record(&h, 2000);
	is_int(h.bucket[0], 1, "exactly 1 us is within 1 us");
	is_int(h.bucket[1], 2, "one ns more, and exactly 2 us, are within 2 us");
}

static void *add_many(void *argument)
{
	for (int i = 0; i < 100000; i++) {
		counter_add(argument, 1);
		histogram_record(&by_kind, 5000);
	}
	return NULL;
}

static void threads_lose_no_update(void)
{
	COUNTER(shared, "test_shared_total", "Shared.");
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, add_many, &shared);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	is_int(shared.value, 400000, "four threads, 400,000 additions");
	is_int(by_kind.bucket[3], 400000, "and as many values");
}

static void a_full_buffer_is_told(void)
{
	_cleanup_buffer_ struct buffer b;
	buffer_init(&b, 10);

	is_int(counters_print_stats(&b), -ENOBUFS, "stats that do not fit are -ENOBUFS");
}

int main(void)
{
	counters_are_listed_by_name_and_added_up();
	histograms_give_percentiles_and_buckets();
	bucket_bounds_are_inclusive();
	threads_lose_no_update();
	a_full_buffer_is_told();
	return done_testing();
}
