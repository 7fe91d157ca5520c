/* Counters and histograms: two lists that only grow, guarded by register_mutex (a plain mutex: a counter may be touched
 * under any lock). Printing takes a snapshot of the list, sorts it by family (the name without its labels) and adds up
 * objects of one name, which several files may define. */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/counter.h"

static pthread_mutex_t register_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct counter *counters;
static struct histogram *histograms;

void counter_register(struct counter *c)
{
	pthread_mutex_lock(&register_mutex);
	c->next = counters;
	counters = c;
	pthread_mutex_unlock(&register_mutex);
}

static void histogram_register(struct histogram *h)
{
	pthread_mutex_lock(&register_mutex);
	h->next = histograms;
	histograms = h;
	pthread_mutex_unlock(&register_mutex);
}

void histogram_record(struct histogram *h, int64_t ns)
{
	uint64_t value = ns > 0 ? (uint64_t)ns : 0;
	int i = 0;

	if (!atomic_flag_test_and_set_explicit(&h->registered, memory_order_relaxed))
		histogram_register(h);
	while (i < HISTOGRAM_BUCKETS - 1 && value > (uint64_t)1000 << i)
		i++;
	atomic_fetch_add_explicit(&h->bucket[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum_ns, value, memory_order_relaxed);
	uint64_t max = atomic_load_explicit(&h->max_ns, memory_order_relaxed);
	while (value > max &&
	       !atomic_compare_exchange_weak_explicit(&h->max_ns, &max, value, memory_order_relaxed, memory_order_relaxed))
		;
}

/* One line or one family of either kind, as it is printed. */
struct sample {
	const char *name, *help;
	int gauge;
	int64_t value;
	bool histogram;
	uint64_t bucket[HISTOGRAM_BUCKETS], count, sum_ns, max_ns;
};

static size_t family_size(const char *name)
{
	return strcspn(name, "{");
}

static bool same_family(const char *a, const char *b)
{
	return family_size(a) == family_size(b) && strncmp(a, b, family_size(a)) == 0;
}

static int sample_compare(const void *va, const void *vb)
{
	const struct sample *a = va, *b = vb;
	size_t na = family_size(a->name), nb = family_size(b->name);
	int r = strncmp(a->name, b->name, na < nb ? na : nb);

	if (r == 0 && na != nb)
		r = na < nb ? -1 : 1;
	return r ? r : strcmp(a->name, b->name);
}

static void sample_add_histogram(struct sample *s, struct histogram *h)
{
	s->name = h->name;
	s->help = h->help;
	s->histogram = true;
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		s->bucket[i] = atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
		s->count += s->bucket[i];
	}
	s->sum_ns = atomic_load_explicit(&h->sum_ns, memory_order_relaxed);
	s->max_ns = atomic_load_explicit(&h->max_ns, memory_order_relaxed);
}

static void sample_merge(struct sample *into, const struct sample *from)
{
	into->value += from->value;
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
	into->count += from->count;
	into->sum_ns += from->sum_ns;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
}

/* Everything registered, sorted, one sample a name. The array is the caller's to free. */
static int samples_take(struct sample **ret_samples, size_t *ret_count)
{
	size_t count = 0, kept = 0;

	pthread_mutex_lock(&register_mutex);
	struct counter *first_counter = counters;
	struct histogram *first_histogram = histograms;
	pthread_mutex_unlock(&register_mutex);   /* what is on the lists stays there, unchanged */

	for (struct counter *c = first_counter; c; c = c->next)
		count++;
	for (struct histogram *h = first_histogram; h; h = h->next)
		count++;
	struct sample *samples = calloc(count + 1, sizeof(*samples));
	if (!samples)
		return -ENOMEM;

	size_t i = 0;
	for (struct counter *c = first_counter; c; c = c->next, i++)
		samples[i] = (struct sample){ .name = c->name, .help = c->help, .gauge = c->gauge,
			.value = atomic_load_explicit(&c->value, memory_order_relaxed) };
	for (struct histogram *h = first_histogram; h; h = h->next, i++)
		sample_add_histogram(&samples[i], h);
	qsort(samples, count, sizeof(*samples), sample_compare);

	for (i = 0; i < count; i++)
		if (kept > 0 && strcmp(samples[kept - 1].name, samples[i].name) == 0)
			sample_merge(&samples[kept - 1], &samples[i]);
		else
			samples[kept++] = samples[i];
	*ret_samples = samples;
	*ret_count = kept;
	return 0;
}

/* The bucket's upper bound that `percent` of the values don't exceed, in us; never more than the largest value seen. */
static uint64_t sample_percentile_us(const struct sample *s, unsigned percent)
{
	uint64_t wanted = (s->count * percent + 99) / 100, seen = 0, max_us = (s->max_ns + 999) / 1000;

	for (int i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		seen += s->bucket[i];
		if (seen >= wanted)
			return (uint64_t)1 << i < max_us ? (uint64_t)1 << i : max_us;
	}
	return max_us;
}

static void print_part(struct buffer *out, const char *name, const char *part, uint64_t value)
{
	int family = (int)family_size(name);

	buffer_printf(out, "%.*s_%s%s %llu\n", family, name, part, name + family, (unsigned long long)value);
}

int counters_print_stats(struct buffer *out)
{
	_cleanup_free_ struct sample *samples = NULL;
	size_t count;
	int r = samples_take(&samples, &count);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		const struct sample *s = &samples[i];
		if (!s->histogram) {
			buffer_printf(out, "%s %lld\n", s->name, (long long)s->value);
			continue;
		}
		print_part(out, s->name, "count", s->count);
		print_part(out, s->name, "p50_us", s->count ? sample_percentile_us(s, 50) : 0);
		print_part(out, s->name, "p99_us", s->count ? sample_percentile_us(s, 99) : 0);
		print_part(out, s->name, "max_us", (s->max_ns + 999) / 1000);
	}
	return buffer_error(out);
}

static void print_prometheus_histogram(struct buffer *out, const struct sample *s)
{
	int family = (int)family_size(s->name);
	const char *labels = s->name + family;   /* "" or "{op=\"read\"}" */
	int inner = *labels ? (int)strlen(labels) - 2 : 0;
	uint64_t seen = 0;

	for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		buffer_printf(out, "%.*s_bucket{%.*s%s", family, s->name, inner, *labels ? labels + 1 : "", inner ? "," : "");
		seen += s->bucket[i];
		if (i < HISTOGRAM_BUCKETS - 1)
			buffer_printf(out, "le=\"%.6f\"} %llu\n", (double)(1 << i) / 1e6, (unsigned long long)seen);
		else
			buffer_printf(out, "le=\"+Inf\"} %llu\n", (unsigned long long)seen);
	}
	buffer_printf(out, "%.*s_sum%s %.9f\n", family, s->name, labels, (double)s->sum_ns / (double)NS_PER_SECOND);
	buffer_printf(out, "%.*s_count%s %llu\n", family, s->name, labels, (unsigned long long)seen);
}

int counters_print_prometheus(struct buffer *out)
{
	_cleanup_free_ struct sample *samples = NULL;
	size_t count;
	int r = samples_take(&samples, &count);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		const struct sample *s = &samples[i];
		int family = (int)family_size(s->name);
		if (i == 0 || !same_family(samples[i - 1].name, s->name)) {
			buffer_printf(out, "# HELP %.*s %s\n", family, s->name, s->help);
			buffer_printf(out, "# TYPE %.*s %s\n", family, s->name, s->histogram ? "histogram" : s->gauge ? "gauge" : "counter");
		}
		if (s->histogram)
			print_prometheus_histogram(out, s);
		else
			buffer_printf(out, "%s %lld\n", s->name, (long long)s->value);
	}
	return buffer_error(out);
}
