/* What a task used, and what that says about how it gets on with others (DESIGN section 9). Pure functions. */
#ifndef DIOS_TASKS_STATS_H
#define DIOS_TASKS_STATS_H

#include "tasks/launch.h"

/* From the slides of DIOS: CPI is cycles an instruction, IPMA instructions a reference to the last-level cache, MAI its reverse. */
struct task_metrics { double cpi, ipma, mai, miss_ratio; };
/* false: a counter that it takes is not supported here, or stands at 0. */
bool task_metrics_from(const uint64_t counters[static LAUNCH_COUNTERS], struct task_metrics *ret_metrics);

enum task_class { TASK_TURTLE = 0 /* disturbs nobody */, TASK_RABBIT /* fast, and easily disturbed */, TASK_DEVIL /* disturbs others */,
	TASK_SHEEP /* slow, but disturbed by little */ };
/* page_cache_share: its page cache as a part of the machine's memory, 0 to 1. */
enum task_class task_classify(double cpi, double mai, double page_cache_share);
const char *task_class_text(enum task_class class);

enum task_bound { TASK_BOUND_NONE = 0 /* not asked for */, TASK_BOUND_KEPT, TASK_BOUND_NOT_ENFORCED };

struct task_stats {
	int64_t runtime_ns;
	bool ended;                        /* usage is complete; else only what is LAUNCH_UNKNOWN is unknown */
	struct launch_usage usage;
	uint64_t rss_bytes;                /* now; LAUNCH_UNKNOWN: it has ended */
	uint64_t page_cache_bytes;         /* LAUNCH_UNKNOWN: no memory controller */
	uint64_t memory_bytes;             /* of the machine */
	uint64_t out_of_memory;            /* processes that the memory bound killed */
	enum task_bound memory_bound, cpu_bound;
	const char *error;                 /* why it failed without an exit status of its own; NULL: nothing to say */
};
void task_usage_unknown(struct launch_usage *u);
/* "key value" lines. */
int task_stats_print(const struct task_stats *s, struct buffer *out);
/* The rest of the line "key ..." in such a text; false: there is none. Borrows. */
bool task_stats_find(struct slice text, const char *key, struct slice *ret_value);

#endif
