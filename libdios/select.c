/* select: poll(2) on the descriptors. */
#include "libdios/call.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#define SELECT_MAX 4096u     /* references in one call: bounds the memory it takes */
#define SELECT_STACK 32u     /* so many need no allocation */
#define NS_PER_MS 1000000
#define NS_PER_S 1000000000LL

#define EVENTS (DIOS_READABLE | DIOS_WRITABLE | DIOS_ENDED | DIOS_PRODUCED | DIOS_CHANGED | DIOS_ERROR)

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static short poll_events(uint32_t wanted)
{
	short events = 0;
	if (wanted & DIOS_READABLE) events |= POLLIN;
	if (wanted & DIOS_WRITABLE) events |= POLLOUT;
	if (wanted & DIOS_CHANGED) events |= POLLPRI;
	if (wanted & DIOS_PRODUCED) events |= POLLRDBAND;
	return events;
}

static int events_of(const struct dios_wait *wait, short revents, uint32_t *ret_ready)
{
	uint32_t ready = 0;
	if (revents & POLLNVAL) return -EBADF;
	if (revents & POLLIN) ready |= DIOS_READABLE;
	if (revents & POLLOUT) ready |= DIOS_WRITABLE;
	if (revents & POLLHUP) ready |= DIOS_ENDED;
	if (revents & POLLERR) ready |= DIOS_ERROR;
	if (revents & POLLPRI) ready |= DIOS_CHANGED;
	if (revents & POLLRDBAND) ready |= DIOS_PRODUCED;
	*ret_ready = ready & (wait->wanted | DIOS_ENDED | DIOS_ERROR);
	return 0;
}

/* One poll, until something is ready, the deadline (INT64_MAX: none) or a signal. The number of references ready, or an error. */
static int wait_once(struct dios_wait *waits, struct pollfd *polls, size_t count, int64_t deadline_ns)
{
	int timeout_ms = -1, ready = 0;
	if (deadline_ns != INT64_MAX) {
		int64_t left_ns = deadline_ns - now_ns(), left_ms = left_ns <= 0 ? 0 : (left_ns - 1) / NS_PER_MS + 1;
		timeout_ms = left_ms > INT_MAX ? INT_MAX : (int)left_ms;
	}
	int n = poll(polls, count, timeout_ms);
	if (n < 0) return -errno;
	for (size_t i = 0; i < count; i++) {
		waits[i].ready = 0;
		if (!polls[i].revents) continue;
		int r = events_of(&waits[i], polls[i].revents, &waits[i].ready);
		if (r < 0) return r;
		if (waits[i].ready) ready++;
	}
	return ready;
}

int dios_select(uint32_t flags, struct dios_wait *waits, size_t count, int64_t timeout_ns)
{
	struct pollfd few[SELECT_STACK], *polls = few;
	int r;

	if (flags || count > SELECT_MAX) return -EINVAL;
	for (size_t i = 0; i < count; i++)
		if (waits[i].wanted & ~(uint32_t)EVENTS) return -EINVAL;
	if (count > SELECT_STACK && !(polls = malloc(count * sizeof(*polls)))) return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		polls[i] = (struct pollfd){ .fd = waits[i].ref < 0 ? -1 : waits[i].ref, .events = poll_events(waits[i].wanted) };
	int64_t now = timeout_ns < 0 ? 0 : now_ns();
	int64_t deadline_ns = timeout_ns < 0 || timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
	do
		r = wait_once(waits, polls, count, deadline_ns);
	while (r == 0 && (deadline_ns == INT64_MAX || now_ns() < deadline_ns));
	if (polls != few) free(polls);
	return r < 0 ? r : r > 0 ? 0 : -ETIMEDOUT;
}
