/* Counters and latency histograms. Each is a static object that registers itself at first use and is listed in
 * .dios/stats (name value) and .dios/metrics (Prometheus text format 0.0.4). Updates are relaxed atomics. */
#ifndef DIOS_BASE_COUNTER_H
#define DIOS_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>
#include "base/buffer.h"

struct counter {
	const char *name;     /* prometheus style: dios_fs_requests_total */
	const char *help;
	_Atomic int64_t value;
	int gauge;            /* 1: may fall */
	struct counter *next;
	atomic_flag registered;
};
#define COUNTER(var, n, h) static struct counter var = { .name = n, .help = h, .registered = ATOMIC_FLAG_INIT }
#define GAUGE(var, n, h) static struct counter var = { .name = n, .help = h, .gauge = 1, .registered = ATOMIC_FLAG_INIT }
void counter_register(struct counter *c);
static inline void counter_add(struct counter *c, int64_t n)
{
	if (!atomic_flag_test_and_set_explicit(&c->registered, memory_order_relaxed)) counter_register(c);
	atomic_fetch_add_explicit(&c->value, n, memory_order_relaxed);
}

/* Powers of two from 1 us to about 67 s; the last bucket takes the rest. */
#define HISTOGRAM_BUCKETS 27
struct histogram {
	const char *name, *help;
	_Atomic uint64_t bucket[HISTOGRAM_BUCKETS];
	_Atomic uint64_t sum_ns;
	_Atomic uint64_t max_ns;
	struct histogram *next;
	atomic_flag registered;
};
#define HISTOGRAM(var, n, h) static struct histogram var = { .name = n, .help = h, .registered = ATOMIC_FLAG_INIT }
void histogram_record(struct histogram *h, int64_t ns);

int counters_print_stats(struct buffer *out);       /* "name value\n", sorted; histograms as count, p50_us, p99_us, max_us */
int counters_print_prometheus(struct buffer *out);

#endif
