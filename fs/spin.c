/* A worker that has answered looks for the next request for a while before it sleeps in read(2): who sends one request after the other
 * then does not wait each time until a sleeping processor has woken up, which takes longer than most requests. One worker at a
 * time does so; between two looks it lets everybody run who can. The read that follows sleeps where another worker was faster.
 *
 * Where somebody else did run in between, the processor is wanted, and looking is worse than sleeping: who sleeps is let in at once when a request wakes
 * him, who has looked waits for his turn. Then nobody looks for a while. Who had a short turn may have been the client itself, about to send its next
 * request: that counts only where more want to run than the two of them. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counter.h"
#include "fs/spin.h"

#define TURN_NS 20000               /* a look takes a thousand or two; longer if another thread had its turn */
#define CLIENT_NS 60000             /* longer than a client takes from an answer to its next request, if it does nothing else */
#define CALM_NS (10 * NS_PER_MS)    /* so long nobody else wanted to run then */
#define OURS 4                      /* two clients, a worker, and who looks: beside one on each processor these may be runnable */
#define REST_NS (50 * NS_PER_MS)    /* long beside a look, short beside a change of what the machine does */

COUNTER(found, "dios_fs_spin_found_total", "requests that a worker found while it looked for them, without having slept");

void spin_init(struct spin *s, int fd, int64_t limit_ns)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	*s = (struct spin){ .fd = fd, .load_fd = -1, .processors = processors, .limit_ns = processors > 1 ? limit_ns : 0 };
	if (s->limit_ns > 0)
		s->load_fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
}

void spin_done(struct spin *s)
{
	if (s->load_fd >= 0)
		close(s->load_fd);
}

/* More threads want to run than a client of ours and its daemon; also where that can't be known. */
static bool crowded(struct spin *s, int64_t now_ns)
{
	char text[128];
	unsigned runnable;

	if (now_ns < s->calm_until_ns)
		return false;
	ssize_t n = pread(s->load_fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%*s %*s %*s %u/", &runnable) != 1 || (long)runnable > s->processors + OURS)
		return true;
	s->calm_until_ns = now_ns + CALM_NS;
	return false;
}

void spin_for_request(struct spin *s)
{
	struct pollfd device = { .fd = s->fd, .events = POLLIN };

	if (s->limit_ns == 0)
		return;
	int64_t now_ns = clock_boot_ns(&clock_system), end_ns = now_ns + s->limit_ns, away_ns;
	if (now_ns < s->rest_until_ns || atomic_exchange_explicit(&s->taken, true, memory_order_acquire))
		return;
	do {
		/* An error too is the read's to report. */
		if (poll(&device, 1, 0) != 0) {
			counter_add(&found, 1);
			break;
		}
		sched_yield();
		away_ns = -now_ns;
		now_ns = clock_boot_ns(&clock_system);
		away_ns += now_ns;
		if (away_ns > CLIENT_NS || (away_ns > TURN_NS && crowded(s, now_ns)))
			s->rest_until_ns = now_ns + REST_NS;
	} while (now_ns < end_ns && now_ns >= s->rest_until_ns);
	atomic_store_explicit(&s->taken, false, memory_order_release);
}
