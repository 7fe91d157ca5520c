/* The kernel's clocks. clock_gettime() can't fail with these ids on a kernel that dios runs on. */
#include <assert.h>
#include <time.h>

#include "base/clock.h"

static int64_t clock_read_ns(clockid_t id)
{
	struct timespec now;
	int r = clock_gettime(id, &now);

	assert(r == 0);
	(void)r;
	return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static int64_t system_wall_ns(struct clock *c)
{
	(void)c;
	return clock_read_ns(CLOCK_REALTIME);
}

static int64_t system_boot_ns(struct clock *c)
{
	(void)c;
	return clock_read_ns(CLOCK_BOOTTIME);
}

struct clock clock_system = { .wall_ns = system_wall_ns, .boot_ns = system_boot_ns };

int64_t clock_watch_step(struct clock_watch *watch, struct clock *clock, int64_t limit_ns)
{
	int64_t apart_ns = clock_wall_ns(clock) - clock_boot_ns(clock), step_ns = watch->begun ? apart_ns - watch->apart_ns : 0;

	watch->begun = true;
	watch->apart_ns = apart_ns;
	return step_ns > limit_ns || step_ns < -limit_ns ? step_ns : 0;
}
