/* The scrubber's thread: of the lowest priority for processor and disk, so that whoever works is not held up. */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "mount-tools/diosd.h"
#include "objects/scrub.h"

#define NICEST 19
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)       /* served when nobody else wants the disk */
#define SLEEP_MAX_MS 1000

static void *scrub_main(void *arg)
{
	struct diosd *d = arg;
	struct pollfd stop = { .fd = d->stop_scrub_fd, .events = POLLIN };

	/* Both are of the thread alone, and only wishes. */
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICEST);
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
	do {
		int64_t due_ns = scrub_step(d->scrub), ms = (due_ns + NS_PER_MS - 1) / NS_PER_MS;
		if (poll(&stop, 1, ms < SLEEP_MAX_MS ? (int)ms : SLEEP_MAX_MS) < 0 && errno != EINTR)
			log_error("diosd", "poll errno=%d", errno);
	} while (!(stop.revents & POLLIN));
	return NULL;
}

int diosd_scrub_start(struct diosd *d)
{
	int r = scrub_new(d->objects, (uint64_t)config_number(d->config, "scrub.rate"), config_number(d->config, "scrub.rest"), &d->scrub);

	if (r < 0)
		return r;
	d->stop_scrub_fd = eventfd(0, EFD_CLOEXEC);
	if (d->stop_scrub_fd < 0)
		return -errno;
	r = pthread_create(&d->scrubbing, NULL, scrub_main, d);
	d->scrubbed = r == 0;
	fs_set_scrub(d->fs, d->scrub);
	return -r;
}

void diosd_scrub_stop(struct diosd *d)
{
	if (d->scrubbed) {
		if (eventfd_write(d->stop_scrub_fd, 1) < 0)
			abort();       /* an eventfd of ours that takes no 1 */
		pthread_join(d->scrubbing, NULL);
		d->scrubbed = false;
	}
	scrub_free(d->scrub);
	d->scrub = NULL;
}
