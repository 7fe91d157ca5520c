/* base/clock: the system's clocks tell the time in nanoseconds. */
#include <time.h>

#include "base/clock.h"
#include "tests/tap.h"

int main(void)
{
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
