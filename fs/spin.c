/* A worker that has answered looks for the next request for a while before it sleeps in read(2): who sends one request after the other
 * then does not wait each time until a sleeping processor has woken up, which takes longer than most requests. One worker at a
 * time does so; between two looks it lets everybody run who can. The read that follows sleeps where another worker was faster.
 *
 * Where somebody did run in between, the processor is wanted, and looking is worse than sleeping: who sleeps is let in at once when a request wakes
 * him, who has looked waits for his turn. Then nobody looks for a while. */
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counter.h"
#include "fs/spin.h"

#define WANTED_NS 20000             /* a look takes a thousand or two; longer if another thread had its turn */
#define REST_NS (50 * NS_PER_MS)    /* long beside a look, short beside a change of what the machine does */

COUNTER(found, "dios_fs_spin_found_total", "requests that a worker found while it looked for them, without having slept");

void spin_init(struct spin *s, int fd, int64_t limit_ns)
{
	*s = (struct spin){ .fd = fd, .limit_ns = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? limit_ns : 0 };
}

void spin_for_request(struct spin *s)
{
	struct pollfd device = { .fd = s->fd, .events = POLLIN };

	if (s->limit_ns == 0)
		return;
	int64_t now_ns = clock_boot_ns(&clock_system), end_ns = now_ns + s->limit_ns, before_ns;
	if (now_ns < s->rest_until_ns || atomic_exchange_explicit(&s->taken, true, memory_order_relaxed))
		return;
	do {
		/* An error too is the read's to report. */
		if (poll(&device, 1, 0) != 0) {
			counter_add(&found, 1);
			break;
		}
		sched_yield();
		before_ns = now_ns;
		now_ns = clock_boot_ns(&clock_system);
		if (now_ns - before_ns > WANTED_NS)
			s->rest_until_ns = now_ns + REST_NS;
	} while (now_ns < end_ns && now_ns >= s->rest_until_ns);
	atomic_store_explicit(&s->taken, false, memory_order_relaxed);
}
