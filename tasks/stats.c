/* Statistics as text, derived values and interference classes; see stats.h. */
#include <inttypes.h>
#include <string.h>

#include "tasks/stats.h"

/* The limits are the slides'. */
#define RABBIT_CPI_BELOW 0.9
#define RABBIT_MAI_BELOW 0.001
#define DEVIL_MAI_ABOVE 0.005
#define DEVIL_PAGE_CACHE_ABOVE 0.05
#define SHEEP_CPI_ABOVE 1.6
#define SHEEP_MAI_ABOVE 0.001

bool task_metrics_from(const uint64_t counters[static LAUNCH_COUNTERS], struct task_metrics *ret_metrics)
{
	for (size_t i = 0; i < LAUNCH_COUNTERS; i++)
		if (counters[i] == LAUNCH_UNKNOWN || (counters[i] == 0 && i != LAUNCH_LLC_MISSES))
			return false;
	double instructions = (double)counters[LAUNCH_INSTRUCTIONS], references = (double)counters[LAUNCH_LLC_REFERENCES];
	*ret_metrics = (struct task_metrics){ .cpi = (double)counters[LAUNCH_CYCLES] / instructions, .ipma = instructions / references,
		.mai = references / instructions, .miss_ratio = (double)counters[LAUNCH_LLC_MISSES] / references };
	return true;
}

enum task_class task_classify(double cpi, double mai, double page_cache_share)
{
	if (cpi < RABBIT_CPI_BELOW && mai < RABBIT_MAI_BELOW)
		return TASK_RABBIT;
	if (mai > DEVIL_MAI_ABOVE && page_cache_share > DEVIL_PAGE_CACHE_ABOVE)
		return TASK_DEVIL;
	if (cpi > SHEEP_CPI_ABOVE && mai > SHEEP_MAI_ABOVE)
		return TASK_SHEEP;
	return TASK_TURTLE;
}

const char *task_class_text(enum task_class class)
{
	static const char *const text[] = { [TASK_TURTLE] = "turtle", [TASK_RABBIT] = "rabbit", [TASK_DEVIL] = "devil", [TASK_SHEEP] = "sheep" };
	return text[class];
}

void task_usage_unknown(struct launch_usage *u)
{
	memset(u, 0xff, sizeof(*u));
	_Static_assert(LAUNCH_UNKNOWN == UINT64_MAX, "all ones");
}

static void print_count(struct buffer *out, const char *key, uint64_t value)
{
	if (value == LAUNCH_UNKNOWN)
		buffer_printf(out, "%s not supported\n", key);
	else
		buffer_printf(out, "%s %" PRIu64 "\n", key, value);
}

static void print_seconds(struct buffer *out, const char *key, uint64_t ns)
{
	if (ns == LAUNCH_UNKNOWN)
		buffer_printf(out, "%s not supported\n", key);
	else
		buffer_printf(out, "%s %" PRIu64 ".%03" PRIu64 "\n", key, ns / 1000000000u, ns / 1000000u % 1000u);
}

static void print_counters(const struct task_stats *s, struct buffer *out)
{
	static const char *const keys[LAUNCH_COUNTERS] = { [LAUNCH_CYCLES] = "cycles", [LAUNCH_INSTRUCTIONS] = "instructions",
		[LAUNCH_LLC_REFERENCES] = "llc_references", [LAUNCH_LLC_MISSES] = "llc_misses" };
	struct task_metrics m;

	for (size_t i = 0; i < LAUNCH_COUNTERS; i++)
		print_count(out, keys[i], s->usage.counters[i]);
	if (!task_metrics_from(s->usage.counters, &m)) {
		buffer_printf(out, "cpi not supported\nipma not supported\nmai not supported\nllc_miss_ratio not supported\nclass not supported\n");
		return;
	}
	double share = s->page_cache_bytes == LAUNCH_UNKNOWN || s->memory_bytes == 0 ? 0 : (double)s->page_cache_bytes / (double)s->memory_bytes;
	buffer_printf(out, "cpi %.3f\nipma %.2f\nmai %.7f\nllc_miss_ratio %.3f\nclass %s\n", m.cpi, m.ipma, m.mai, m.miss_ratio,
		task_class_text(task_classify(m.cpi, m.mai, share)));
}

static void print_bound(struct buffer *out, const char *key, enum task_bound bound)
{
	if (bound != TASK_BOUND_NONE)
		buffer_printf(out, "%s %s\n", key, bound == TASK_BOUND_KEPT ? "kept" : "not enforced");
}

int task_stats_print(const struct task_stats *s, struct buffer *out)
{
	print_seconds(out, "runtime_s", (uint64_t)s->runtime_ns);
	print_seconds(out, "user_s", s->usage.user_ns);
	print_seconds(out, "system_s", s->usage.system_ns);
	if (!s->ended)
		print_count(out, "rss_bytes", s->rss_bytes);
	print_count(out, "max_rss_bytes", s->usage.max_rss_bytes);
	print_count(out, "bytes_read", s->usage.bytes_read);
	print_count(out, "bytes_written", s->usage.bytes_written);
	print_count(out, "disk_bytes_read", s->usage.disk_bytes_read);
	print_count(out, "disk_bytes_written", s->usage.disk_bytes_written);
	print_count(out, "page_cache_bytes", s->page_cache_bytes);
	if (s->ended)
		print_counters(s, out);
	print_bound(out, "memory_bound", s->memory_bound);
	print_bound(out, "cpu_bound", s->cpu_bound);
	if (s->out_of_memory > 0)
		print_count(out, "out_of_memory", s->out_of_memory);
	if (s->error)
		buffer_printf(out, "error %s\n", s->error);
	return buffer_error(out);
}

bool task_stats_find(struct slice text, const char *key, struct slice *ret_value)
{
	size_t size = strlen(key), at = 0;

	while (at < text.size) {
		const uint8_t *line = text.data + at, *newline = memchr(line, '\n', text.size - at);
		size_t length = newline ? (size_t)(newline - line) : text.size - at;

		if (length > size && memcmp(line, key, size) == 0 && line[size] == ' ') {
			*ret_value = (struct slice){ .data = line + size + 1, .size = length - size - 1 };
			return true;
		}
		at += length + 1;
	}
	return false;
}
