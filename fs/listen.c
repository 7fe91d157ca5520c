/* The kernel gives a request to whoever has slept longest in read(2) of the device. With many sleeping there each request wakes another thread,
 * which has to be brought to a processor, with cold caches; and one that looks without sleeping has it in its way. So one worker listens, and serves
 * what it receives itself; the others rest here. They are called, the last one that came first,
 *
 *  - by a worker that is about to wait for the disk, if nobody else listens;
 *  - by the deputy, which looks every TICK_MS while there are requests: if nobody listens and nobody has since its last look, there is more to do than
 *    those who are up can do, or one of them is held up.
 *
 * Who has served a request and finds none waiting listens, unless another one does: then it rests, if nobody has waited for the disk lately. So short
 * requests of few programs meet one thread that is awake, and long or many ones all threads that they need.
 *
 * Who listens looks for a while before it sleeps: a client that sends one request after the other then does not wait each time until a sleeping
 * processor has woken up, which takes longer than most requests. Between two looks it lets everybody run who can. Where somebody did, the processor is
 * wanted, and looking is worse than sleeping: who sleeps is let in at once when a request wakes him, who has looked waits for his turn. Then nobody looks for
 * a while. */
#include "fs/listen.h"

#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counter.h"

#define WANTED_NS 20000             /* a look takes a thousand or two; longer if another thread had its turn */
#define REST_NS (50 * NS_PER_MS)    /* long beside a look, short beside a change of what the machine does */
#define TICK_MS 1                   /* longer than most requests, shorter than what anybody notices */
#define STILL_TICKS 100             /* then the deputy sleeps until the next request */
#define ALL_NS (20 * NS_PER_MS)     /* after somebody waited for the disk: calling one for each wait costs more than many that listen */

/* On the stack of the one that rests. */
struct rester { struct rester *next; pthread_cond_t wake; bool called; };

COUNTER(found, "dios_fs_spin_found_total", "requests that a worker found while it looked for them, without having slept");
COUNTER(called, "dios_fs_workers_called_total", "times that a resting worker was called because all others were busy");

void listen_init(struct listen *l, int fd, int64_t spin_ns)
{
	*l = (struct listen){ .fd = fd, .spin_ns = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? spin_ns : 0 };
	lock_init(&l->lock, "fs.listen", LOCK_LEAF);
}

void listen_done(struct listen *l) { lock_done(&l->lock); }

/* ---- resting ---- */

static void call_one(struct listen *l)               /* the lock is held */
{
	struct rester *r = l->resting;

	if (!r)
		return;
	l->resting = r->next;
	r->called = true;
	atomic_fetch_add(&l->looking, 1);
	counter_add(&called, 1);
	pthread_cond_signal(&r->wake);
}

/* The deputy's look: is one to be called? The lock is held. */
static bool is_needed(struct listen *l)
{
	bool began = atomic_exchange(&l->began, false);

	if (atomic_load(&l->looking) == 0) {
		l->still = 0;
		return !began;
	}
	l->still = began ? 0 : l->still + 1;
	if (l->still < STILL_TICKS)
		return false;
	l->still = 0;
	/* Whoever receives a request counts himself out first, and looks at this then. */
	atomic_store(&l->quiet, true);
	if (atomic_load(&l->looking) == 0)
		atomic_store(&l->quiet, false);
	return false;
}

/* Until it is called, and counted as one that looks; false: the end. */
static bool rest(struct listen *l)
{
	struct rester me = { .called = false };

	pthread_cond_init(&me.wake, NULL);
	lock_acquire(&l->lock);
	if (!l->ended) {
		me.next = l->resting;
		l->resting = &me;
	}
	while (!me.called && !l->ended) {
		bool deputy = !me.next;
		if (!deputy || l->quiet)
			lock_wait(&l->lock, &me.wake);
		else if (lock_wait_ms(&l->lock, &me.wake, TICK_MS) == -ETIMEDOUT && is_needed(l))
			call_one(l);
	}
	lock_release(&l->lock);
	pthread_cond_destroy(&me.wake);
	return me.called;
}

static void wake_deputy(struct listen *l)
{
	LOCK_GUARD(&l->lock);
	struct rester *r = l->resting;

	atomic_store(&l->quiet, false);
	while (r && r->next)
		r = r->next;
	if (r)
		pthread_cond_signal(&r->wake);
}

void listen_will_wait(struct listen *l)
{
	atomic_store(&l->all_until_ns, clock_boot_ns(&clock_system) + ALL_NS);
	if (atomic_load(&l->looking) > 0)
		return;
	LOCK_GUARD(&l->lock);
	if (atomic_load(&l->looking) == 0)
		call_one(l);
}

void listen_end(struct listen *l)
{
	LOCK_GUARD(&l->lock);

	l->ended = true;
	for (struct rester *r = l->resting; r; r = r->next)
		pthread_cond_signal(&r->wake);
	l->resting = NULL;
}

/* ---- looking ---- */

static bool request_waits(const struct listen *l)
{
	struct pollfd device = { .fd = l->fd, .events = POLLIN };

	/* An error too is the read's to report. */
	if (poll(&device, 1, 0) == 0)
		return false;
	counter_add(&found, 1);
	return true;
}

static void spin(struct listen *l, int64_t now_ns)
{
	int64_t end_ns = now_ns + l->spin_ns, before_ns;

	if (l->spin_ns == 0 || atomic_exchange(&l->spinning, true))
		return;
	while (now_ns < end_ns && now_ns >= l->spin_after_ns) {
		sched_yield();
		before_ns = now_ns;
		now_ns = clock_boot_ns(&clock_system);
		if (request_waits(l))
			break;
		if (now_ns - before_ns > WANTED_NS)
			l->spin_after_ns = now_ns + REST_NS;
	}
	atomic_store(&l->spinning, false);
}

bool listen_for_request(struct listen *l, bool *ret_counted)
{
	*ret_counted = false;
	if (request_waits(l))
		return true;
	*ret_counted = true;
	int64_t now_ns = clock_boot_ns(&clock_system);
	if (atomic_fetch_add(&l->looking, 1) > 0 && now_ns >= l->all_until_ns) {
		atomic_fetch_sub(&l->looking, 1);
		return rest(l);
	}
	atomic_store(&l->began, true);
	spin(l, now_ns);
	return true;
}

void listen_received(struct listen *l, bool counted)
{
	if (counted)
		atomic_fetch_sub(&l->looking, 1);
	if (atomic_load(&l->quiet))
		wake_deputy(l);
}
