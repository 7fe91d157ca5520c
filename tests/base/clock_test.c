/* base/clock: the system's clocks tell the time in nanoseconds; steps of the wall clock are noticed. */
#include <time.h>

#include "base/clock.h"
#include "tests/tap.h"

static int64_t wall_now = 1000 * NS_PER_SECOND, boot_now = 50 * NS_PER_SECOND;

static int64_t fake_wall(struct clock *c)
{
	(void)c;
	return wall_now;
}

static int64_t fake_boot(struct clock *c)
{
	(void)c;
	return boot_now;
}

static void steps_are_noticed(void)
{
	struct clock fake = { .wall_ns = fake_wall, .boot_ns = fake_boot };
	struct clock_watch watch = { 0 };
	const int64_t limit = 2 * NS_PER_SECOND;

	is_int(clock_watch_step(&watch, &fake, limit), 0, "the first look only begins");
	wall_now += 3600 * NS_PER_SECOND;
	boot_now += 3600 * NS_PER_SECOND;
	is_int(clock_watch_step(&watch, &fake, limit), 0, "an hour that passes is no step");
	wall_now += limit;
	is_int(clock_watch_step(&watch, &fake, limit), 0, "nor is a little");
	wall_now += limit + 1;
	is_int(clock_watch_step(&watch, &fake, limit), limit + 1, "forward");
	is_int(clock_watch_step(&watch, &fake, limit), 0, "once");
	wall_now -= 86400 * NS_PER_SECOND;
	boot_now += NS_PER_SECOND;
	is_int(clock_watch_step(&watch, &fake, limit), -86401 * NS_PER_SECOND, "back");
}

int main(void)
{
	steps_are_noticed();
	int64_t seconds = (int64_t)time(NULL);
	int64_t wall = clock_wall_ns(&clock_system);
	ok(wall / NS_PER_SECOND - seconds <= 1 && wall / NS_PER_SECOND >= seconds, "the wall clock is time(2) in ns");

	int64_t last = clock_boot_ns(&clock_system);
	bool forward = last > 0;
	for (int i = 0; i < 10000; i++) {
		int64_t now = clock_boot_ns(&clock_system);
		forward = forward && now >= last;
		last = now;
	}
	ok(forward, "the boot clock never goes back");
	return done_testing();
}
