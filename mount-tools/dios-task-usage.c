/* What the processes of a task use: the kernel's accounts, and the processor's counters where it has them. */
#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "mount-tools/dios-task.h"
#include "tasks/process.h"
#include "tasks/stats.h"

/* Last-level cache: "cache references" and "cache misses" of perf_event_open(2) usually are. */
static const uint64_t configs[LAUNCH_COUNTERS] = {
	[LAUNCH_CYCLES] = PERF_COUNT_HW_CPU_CYCLES, [LAUNCH_INSTRUCTIONS] = PERF_COUNT_HW_INSTRUCTIONS,
	[LAUNCH_LLC_REFERENCES] = PERF_COUNT_HW_CACHE_REFERENCES, [LAUNCH_LLC_MISSES] = PERF_COUNT_HW_CACHE_MISSES,
};

void counters_open(struct usage_counters *c, pid_t program)
{
	for (size_t i = 0; i < LAUNCH_COUNTERS; i++) {
		struct perf_event_attr attr = { .type = PERF_TYPE_HARDWARE, .size = sizeof(attr), .config = configs[i], .disabled = 1, .inherit = 1,
			.enable_on_exec = 1, .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING };
		c->fd[i] = (int)syscall(SYS_perf_event_open, &attr, program, -1, -1, PERF_FLAG_FD_CLOEXEC);
	}
}

/* Counters that shared the hardware with others are scaled up to the whole time. */
static uint64_t counter_read(int fd)
{
	struct { uint64_t value, enabled, running; } count;

	if (fd < 0 || read(fd, &count, sizeof(count)) != sizeof(count) || count.running == 0)
		return LAUNCH_UNKNOWN;
	if (count.running >= count.enabled)
		return count.value;
	return (uint64_t)((double)count.value * ((double)count.enabled / (double)count.running));
}

static uint64_t nanoseconds(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

void usage_of_self(struct launch_usage *ret_usage)
{
	if (process_usage(getpid(), ret_usage) < 0)
		task_usage_unknown(ret_usage);
}

static uint64_t difference(uint64_t now, uint64_t before)
{
	return now == LAUNCH_UNKNOWN || before == LAUNCH_UNKNOWN || now < before ? LAUNCH_UNKNOWN : now - before;
}

void usage_collect(struct usage_counters *c, const struct launch_usage *before, struct launch_usage *ret_usage)
{
	struct rusage children;
	struct launch_usage now;

	task_usage_unknown(ret_usage);
	if (getrusage(RUSAGE_CHILDREN, &children) == 0) {
		ret_usage->user_ns = nanoseconds(children.ru_utime);
		ret_usage->system_ns = nanoseconds(children.ru_stime);
		ret_usage->max_rss_bytes = (uint64_t)children.ru_maxrss * 1024;
	}
	/* A process that is waited for leaves its bytes to the one that waits. */
	usage_of_self(&now);
	ret_usage->bytes_read = difference(now.bytes_read, before->bytes_read);
	ret_usage->bytes_written = difference(now.bytes_written, before->bytes_written);
	ret_usage->disk_bytes_read = difference(now.disk_bytes_read, before->disk_bytes_read);
	ret_usage->disk_bytes_written = difference(now.disk_bytes_written, before->disk_bytes_written);
	for (size_t i = 0; i < LAUNCH_COUNTERS; i++) {
		ret_usage->counters[i] = counter_read(c->fd[i]);
		if (c->fd[i] >= 0)
			close(c->fd[i]);
	}
}
