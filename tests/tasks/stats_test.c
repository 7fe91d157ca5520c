/* Derived values and interference classes, on the vectors of DIOS' slides; and the text of statistics. */
#include "tasks/stats.h"
#include "tests/tap.h"

static bool near(double got, double want, double part) { return got > want * (1 - part) && got < want * (1 + part); }

static void vectors(void)
{
	/* Medians of pi (processor-bound) and of the matrix product (memory-bound). "About 2.6 million" LLC references of pi follow from its
	 * IPMA; each other value is the slides'. */
	const uint64_t pi[LAUNCH_COUNTERS] = { 37230621102u, 29344778862u, 2600571u, 328958u };
	const uint64_t matrix[LAUNCH_COUNTERS] = { 78831268676u, 46707146071u, 1100417360u, 721672858u };
	struct task_metrics m;

	ok(task_metrics_from(pi, &m), "pi has all counters");
	/* A median of quotients is not the quotient of medians, so within two percent. */
	ok(near(m.cpi, 1.261, 0.02), "pi: CPI %.3f", m.cpi);
	ok(near(m.ipma, 11283.9, 0.02), "pi: IPMA %.1f", m.ipma);
	ok(near(m.mai, 0.0000889, 0.02), "pi: MAI %.7f", m.mai);
	ok(near(m.miss_ratio, 0.126, 0.02), "pi: miss ratio %.3f", m.miss_ratio);
	is_str(task_class_text(task_classify(m.cpi, m.mai, 0.0)), "turtle", "pi is a turtle");
	is_str(task_class_text(task_classify(m.cpi, m.mai, 0.9)), "turtle", "whatever its page cache");
	ok(task_metrics_from(matrix, &m), "the matrix product has all counters");
	ok(near(m.cpi, 1.658, 0.02), "matrix: CPI %.3f", m.cpi);
	ok(near(m.ipma, 42.44, 0.02), "matrix: IPMA %.2f", m.ipma);
	ok(near(m.mai, 0.02356, 0.02), "matrix: MAI %.5f", m.mai);
	ok(near(m.miss_ratio, 0.656, 0.02), "matrix: miss ratio %.3f", m.miss_ratio);
	is_str(task_class_text(task_classify(m.cpi, m.mai, 0.2)), "devil", "the matrix product is a devil if its page cache is large");
	is_str(task_class_text(task_classify(m.cpi, m.mai, 0.01)), "sheep", "else a sheep");
}

static void limits(void)
{
	static const struct { double cpi, mai, share; const char *want; } cases[] = {
		{ 0.89, 0.0009, 0, "rabbit" }, { 0.9, 0.0009, 0, "turtle" }, { 0.89, 0.001, 0, "turtle" },
		{ 0.5, 0.006, 0.06, "devil" }, { 0.5, 0.005, 0.06, "turtle" }, { 0.5, 0.006, 0.05, "turtle" },
		{ 1.61, 0.0011, 0, "sheep" }, { 1.6, 0.0011, 0, "turtle" }, { 1.61, 0.001, 0, "turtle" },
		{ 2.0, 0.01, 0.5, "devil" /* before sheep */ }, { 0.1, 0.0001, 1, "rabbit" /* before devil */ },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_str(task_class_text(task_classify(cases[i].cpi, cases[i].mai, cases[i].share)), cases[i].want, "CPI %.2f MAI %.4f page cache %.2f: %s",
			cases[i].cpi, cases[i].mai, cases[i].share, cases[i].want);
}

static void unsupported(void)
{
	const uint64_t none[LAUNCH_COUNTERS] = { LAUNCH_UNKNOWN, 1, 1, 1 }, idle[LAUNCH_COUNTERS] = { 1, 0, 1, 0 }, no_misses[LAUNCH_COUNTERS] = { 1, 1, 1, 0 };
	struct task_metrics m;

	ok(!task_metrics_from(none, &m), "without a counter there is nothing to derive");
	ok(!task_metrics_from(idle, &m), "nor where it stands at 0");
	ok(task_metrics_from(no_misses, &m) && m.miss_ratio == 0, "no misses are a fine ratio");
}

static void text(void)
{
	struct task_stats s = { .runtime_ns = 1234567890, .ended = true, .page_cache_bytes = 4096, .memory_bytes = 1 << 20, .error = "it broke",
		.memory_bound = TASK_BOUND_KEPT, .cpu_bound = TASK_BOUND_NOT_ENFORCED };
	_cleanup_buffer_ struct buffer out;
	struct slice value;

	task_usage_unknown(&s.usage);
	s.usage.user_ns = 50000000;
	s.usage.max_rss_bytes = 4096;
	buffer_init(&out, 4096);
	is_int(task_stats_print(&s, &out), 0, "statistics are printed");
	buffer_append(&out, "", 1);
	is_str((char *)out.data, "runtime_s 1.234\nuser_s 0.050\nsystem_s not supported\nmax_rss_bytes 4096\nbytes_read not supported\n"
		"bytes_written not supported\ndisk_bytes_read not supported\ndisk_bytes_written not supported\npage_cache_bytes 4096\ncycles not supported\n"
		"instructions not supported\nllc_references not supported\nllc_misses not supported\ncpi not supported\nipma not supported\nmai not supported\n"
		"llc_miss_ratio not supported\nclass not supported\nmemory_bound kept\ncpu_bound not enforced\nerror it broke\n", "line by line");
	struct slice all = { .data = out.data, .size = out.size - 1 };
	ok(task_stats_find(all, "error", &value) && value.size == 8 && memcmp(value.data, "it broke", 8) == 0, "a value is found by its key");
	ok(task_stats_find(all, "user_s", &value) && value.size == 5 && memcmp(value.data, "0.050", 5) == 0, "another");
	ok(!task_stats_find(all, "rror", &value) && !task_stats_find(all, "user", &value), "a part of a key is none");
}

int main(void)
{
	vectors();
	limits();
	unsupported();
	text();
	return done_testing();
}
