/* diosd: the daemon that serves a mount. dios-holder starts it, with the device, the shared memory and a socket as open descriptors.
 *
 * Life: open the data directory, say so, wait until it is mounted, serve. It ends when asked (SIGTERM) or when the mount has gone: everything
 * is committed and synced before it exits with 0. */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "fs/notify_process.h"
#include "cluster/state_peek.h"
#include "mount-tools/diosd.h"
#include "store/why.h"

#define CONFIG_FILE "/etc/dios/dios.conf"
#define CACHE_BYTES (96ull << 20)          /* of the state's store: with cache.entries and the rest the daemon stays under 200 MiB */
#define MEMORY_LOOK_NS (60 * NS_PER_SECOND)
#define MEMORY_FREE_MAX (16u << 20)        /* bytes that malloc holds and nobody uses: then they go back to the kernel */
#define ARENAS 2                           /* of malloc: as many as there are threads at work most of the time */
#define DIRTY_MAX (32ull << 20)
#define STAGE_MAX (256ull << 20)
#define EXIT_STOPPED 3
#define MAINTENANCE_MAX_MS 1000            /* the longest sleep between two looks at what is due */

struct arguments { int device_fd, region_fd, control_fd, keep_fd; const char *config_file, *data, *mount; };

static void _printf_(2, 3) refuse(struct diosd *d, const char *format, ...)
{
	char sentence[CONTROL_LINE_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(sentence, sizeof(sentence), format, ap);
	va_end(ap);
	log_error("diosd", "%s", sentence);
	control_send_error(&d->control, sentence);
}

/* ---- arguments and configuration ---- */

static int parse_fd(const char *text, int *ret_fd)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || n < 0 || n > 1 << 20 || fcntl((int)n, F_GETFD) < 0)
		return -EBADF;
	*ret_fd = (int)n;
	return 0;
}

static int config_option(struct diosd *d, const char *text, char *error, size_t error_size)
{
	char key[64];
	size_t n = strcspn(text, "=");

	if (text[n] != '=' || n >= sizeof(key)) {
		snprintf(error, error_size, "option '%s': expected KEY=VALUE", text);
		return -EINVAL;
	}
	memcpy(key, text, n);
	key[n] = '\0';
	return config_set(d->config, key, text + n + 1, error, error_size);
}

/* The file is read first, so that options win, wherever they stand. */
static int config_read(struct diosd *d, const char *file, char *error, size_t error_size)
{
	int r = config_load(d->config, file ? file : CONFIG_FILE, error, error_size);

	return r == -ENOENT && !file ? 0 : r;
}

static int parse(int argc, char **argv, struct diosd *d, struct arguments *a, char *error, size_t error_size)
{
	static const struct option longs[] = { { "device-fd", required_argument, NULL, 'd' }, { "region-fd", required_argument, NULL, 'r' },
		{ "control-fd", required_argument, NULL, 'c' }, { "keep-fd", required_argument, NULL, 'k' }, { "config", required_argument, NULL, 'f' },
		{ "option", required_argument, NULL, 'o' }, { "data", required_argument, NULL, 'D' }, { "mount", required_argument, NULL, 'M' }, { "version", no_argument, NULL, 'V' }, { 0 } };
	const char *options[64];
	int c, r = 0, count = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "o:V", longs, NULL)) != -1) {
		if (c == 'd')
			r = parse_fd(optarg, &a->device_fd);
		else if (c == 'r')
			r = parse_fd(optarg, &a->region_fd);
		else if (c == 'c')
			r = parse_fd(optarg, &a->control_fd);
		else if (c == 'k')
			r = parse_fd(optarg, &a->keep_fd);
		else if (c == 'f')
			a->config_file = optarg;
		else if (c == 'D')
			a->data = optarg;
		else if (c == 'M')
			a->mount = optarg;
		else if (c == 'o' && count < 64)
			options[count++] = optarg;
		else if (c == 'V') {
			printf("diosd %s\nlibfuse %s\n", DIOS_VERSION, fs_libfuse());
			exit(0);
		} else
			r = -EINVAL;
	}
	if (r < 0 || optind != argc || a->device_fd < 0 || a->region_fd < 0 || a->control_fd < 0 || a->keep_fd < 0)
		return -EINVAL;
	control_init(&d->control, a->control_fd);
	r = config_read(d, a->config_file, error, error_size);
	for (int i = 0; r == 0 && i < count; i++)
		r = config_option(d, options[i], error, error_size);
	return r;
}

/* ---- the maintenance thread ---- */

/* What comes and goes by the hundred KiB, as the blocks in the state's cache, leaves holes that malloc keeps: within an hour of load nearly as
 * much as is used. */
static void memory_give_back(struct diosd *d)
{
	int64_t now_ns = clock_boot_ns(&clock_system);

	if (now_ns < d->next_memory_look_ns)
		return;
	d->next_memory_look_ns = now_ns + MEMORY_LOOK_NS;
	if (mallinfo2().fordblks > MEMORY_FREE_MAX)
		malloc_trim(0);
}

static void *maintenance_main(void *arg)
{
	struct diosd *d = arg;
	struct pollfd stop = { .fd = d->stop_maintenance_fd, .events = POLLIN };

	do {
		int64_t due_ns = objects_run_due(d->objects);
		diosd_health_look(d);
		memory_give_back(d);
		if (cluster_stopped(d->cluster)) {
			/* As if it had been killed: its holder starts another, which believes the disk alone (R6). */
			log_error("diosd", "nothing can be written any more: ending, to begin again from disk");
			diosd_health_leave(d);
			_exit(EXIT_STOPPED);
		}
		int64_t ms = due_ns <= 0 ? 0 : (due_ns + NS_PER_MS - 1) / NS_PER_MS;
		if (poll(&stop, 1, ms < MAINTENANCE_MAX_MS ? (int)ms : MAINTENANCE_MAX_MS) < 0 && errno != EINTR)
			log_error("diosd", "poll errno=%d", errno);
	} while (!(stop.revents & POLLIN));
	return NULL;
}

static int maintenance_start(struct diosd *d)
{
	d->stop_maintenance_fd = eventfd(0, EFD_CLOEXEC);
	if (d->stop_maintenance_fd < 0)
		return -errno;
	int r = pthread_create(&d->maintenance, NULL, maintenance_main, d);
	d->maintained = r == 0;
	return -r;
}

static void maintenance_stop(struct diosd *d)
{
	if (!d->maintained)
		return;
	if (eventfd_write(d->stop_maintenance_fd, 1) < 0)
		abort();       /* an eventfd of ours that takes no 1 */
	pthread_join(d->maintenance, NULL);
	d->maintained = false;
}

/* ---- opening ---- */

static int open_data(struct diosd *d)
{
	const char *data = d->region.header->data;
	char error[1024] = "";
	int r = store_open_judged(data, CACHE_BYTES, state_fits_log, &d->store, error, sizeof(error));

	if (r < 0) {
		refuse(d, "%s%s%s", error[0] ? error : data, error[0] ? "" : ": ", error[0] ? "" : strerror(-r));
		return r;
	}
	if ((r = store_start_threads(d->store)) < 0) {
		refuse(d, "cannot start: %s", strerror(-r));
		return r;
	}
	store_why_clear();
	r = cluster_open(d->store, &clock_system, &random_system, &d->cluster);
	if (r == -EBADMSG)
		refuse(d, "data directory '%s': its log or its state is damaged, or they do not belong together%s%s: 'dios fsck --repair' says what can be saved; else restore both from one backup",
			data, store_why()[0] ? ": " : "", store_why());
	else if (r < 0)
		refuse(d, "data directory '%s': the log or the state cannot be opened: %s", data, strerror(-r));
	else
		fs_keep_results(&d->region, d->cluster);
	return r;
}

static int open_objects(struct diosd *d)
{
	struct objects_options options = { .commit_interval_ns = config_number(d->config, "commit.interval"),
		.inline_max = (uint32_t)config_number(d->config, "inline.max"), .dirty_max_bytes = DIRTY_MAX, .stage_max_bytes = STAGE_MAX,
		.cached_max = (size_t)config_number(d->config, "cache.entries"),
		.restart = region_is_restart(&d->region), .stream_limit_bytes = (uint64_t)config_number(d->config, "stream.max_bytes"), .invalidate = fs_invalidate, .invalidate_arg = d->fs };
	store_why_clear();
	int r = objects_open(d->cluster, d->store, &options, &d->objects);

	if (r == -EBADMSG && store_why()[0])
		refuse(d, "data directory '%s': %s. 'dios fsck --repair' says what can be saved", d->region.header->data, store_why());
	else if (r < 0)
		refuse(d, "data directory '%s': the objects cannot be opened: %s", d->region.header->data, strerror(-r));
	return r;
}

static int open_all(struct diosd *d)
{
	struct fs_options options = { .device_fd = d->device_fd, .notify_fd = d->notify_fd, .region = &d->region, .workers = (uint32_t)config_number(d->config, "workers"),
		.spin_ns = config_number(d->config, "poll"), .timeout_ns = config_number(d->config, "cache.timeout"), .mount = d->region.header->mount, .data = d->region.header->data,
		.config = d->config };
	int r;

	if ((r = diosd_tasks_fill(d, &options)) < 0) {
		refuse(d, "cannot start: %s", strerror(-r));
		return r;
	}
	if ((r = open_data(d)) < 0)
		return r;
	if ((r = fs_new(&options, &d->fs)) < 0) {
		refuse(d, "cannot prepare the mount: %s", strerror(-r));
		return r;
	}
	if ((r = open_objects(d)) < 0)
		return r;
	diosd_health_start(d);
	if ((r = diosd_tasks_open(d, options.mount)) < 0 || (r = maintenance_start(d)) < 0 || (r = diosd_scrub_start(d)) < 0)
		refuse(d, "cannot start: %s", strerror(-r));
	return r;
}

static void close_all(struct diosd *d)
{
	if (d->fs)
		fs_stop(d->fs);
	diosd_scrub_stop(d);
	maintenance_stop(d);
	diosd_tasks_close(d);
	if (d->objects)
		objects_close(d->objects);
	if (d->cluster)
		cluster_close(d->cluster);
	if (d->store)
		store_close(d->store);
	fs_free(d->fs);
	diosd_tasks_free(d);
}

/* ---- serving ---- */

static void mount_ready(void *arg)
{
	struct diosd *d = arg;

	if (eventfd_write(d->ready_fd, 1) < 0)
		log_error("diosd", "nobody learns that the mount is ready errno=%d", errno);
}

/* The holder is gone: what it would do at the end is done here. */
static void unmount_alone(struct diosd *d)
{
	log_error("diosd", "the holder is gone: unmounting mount=%s", d->region.header->mount);
	/* It has been unmounted by somebody else, and another may be there. */
	if (!mount_is(d->region.header->mount, &d->mount, device_is_connected(d->device_fd)))
		return;
	int r = unmount_detached(d->region.header->mount);
	if (r < 0)
		log_error("diosd", "cannot unmount errno=%d", -r);
}

/* SIGTERM: tasks end and the kernel's pages are written back while the mount still answers. */
static void stop_quietly(struct diosd *d)
{
	char word[CONTROL_LINE_MAX];
	int r;

	log_notice("diosd", "stopping");
	diosd_tasks_stop(d);
	control_send(&d->control, "quiet");
	fault_point("diosd.quiet");
	do
		r = control_receive(&d->control, word, sizeof(word));
	while (r == -EAGAIN || (r == 0 && strcmp(word, "unmounted") != 0));
	if (r < 0)
		unmount_alone(d);
}

static int await_mounted(struct diosd *d)
{
	char word[CONTROL_LINE_MAX];
	int r;

	control_send(&d->control, "opened");
	do
		r = control_receive(&d->control, word, sizeof(word));
	while (r == -EAGAIN);
	return r < 0 ? r : strncmp(word, "mounted ", 8) == 0 && mount_identity_parse(word + 8, &d->mount) ? 0 : -EPROTO;
}

static void serve(struct diosd *d)
{
	struct pollfd fds[] = { { .fd = d->signal_fd, .events = POLLIN }, { .fd = fs_ended_fd(d->fs), .events = POLLIN },
		{ .fd = d->ready_fd, .events = POLLIN }, { .fd = d->control.fd, .events = POLLIN } };

	for (;;) {
		if (poll(fds, 4, -1) < 0)
			continue;
		if (fds[1].revents) {
			log_notice("diosd", "the mount has ended");
			return;
		}
		if (fds[2].revents & POLLIN) {
			eventfd_t n;
			eventfd_read(d->ready_fd, &n);
			diosd_health_ready(d);
			int r = diosd_tasks_start(d);
			if (r < 0)
				log_error("diosd", "tasks cannot be started errno=%d", -r);
			control_send(&d->control, "ready");
		}
		/* The holder says nothing unasked: this is its end. */
		if (fds[0].revents || fds[3].revents) {
			stop_quietly(d);
			return;
		}
	}
}

static int signals_open(struct diosd *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	d->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return d->signal_fd < 0 || d->ready_fd < 0 ? -errno : 0;
}

/* An arena for each thread would keep for ever what objects made by the one and freed by another leave in it. */
static void memory_bound(void) { mallopt(M_ARENA_MAX, ARENAS); }

static void limits_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	static struct diosd d = { .device_fd = -1 };
	struct arguments a = { .device_fd = -1, .region_fd = -1, .control_fd = -1, .keep_fd = -1 };
	enum log_level level;
	char error[512] = "";

	d.control.fd = -1;
	int r = config_new(&d.config);
	if (r == 0)
		r = parse(argc, argv, &d, &a, error, sizeof(error));
	if (r < 0 && d.control.fd < 0) {
		fprintf(stderr, "diosd is started by dios-holder(8), which mounts: dios-holder DATA DIRECTORY\n");
		return 2;
	}
	if (r < 0) {
		refuse(&d, "%s", error[0] ? error : strerror(-r));
		return 1;
	}
	log_set_file(getenv(LOG_FILE_VARIABLE), LOG_FILE_MAX);
	if (log_level_parse(config_string(d.config, "log.level"), &level) == 0)
		log_set_level(level);
	fcntl(a.device_fd, F_SETFD, FD_CLOEXEC);
	fcntl(a.region_fd, F_SETFD, FD_CLOEXEC);
	fcntl(a.control_fd, F_SETFD, FD_CLOEXEC);
	fcntl(a.keep_fd, F_SETFD, FD_CLOEXEC);
	d.keep_fd = a.keep_fd;
	d.device_fd = a.device_fd;
	d.notify_fd = notify_process_start(a.device_fd);
	if (d.notify_fd < 0) {
		refuse(&d, "cannot start a process: %s", strerror(-d.notify_fd));
		return 1;
	}
	limits_raise();
	memory_bound();
	r = region_attach(a.region_fd, &d.region);
	if (r == -ENOTSUP) {
		log_error("diosd", "the mount's shared memory is of another version than this diosd's: unmount and mount anew to use it version=%s", DIOS_VERSION);
		control_send(&d.control, "incompatible");
		return 1;
	}
	if (r < 0 || (r = signals_open(&d)) < 0) {
		refuse(&d, "the holder's shared memory cannot be used: %s", strerror(-r));
		return 1;
	}
	if ((a.data && strcmp(a.data, d.region.header->data) != 0) || (a.mount && strcmp(a.mount, d.region.header->mount) != 0)) {
		refuse(&d, "the holder's shared memory is of another mount: '%s' on '%s'", d.region.header->data, d.region.header->mount);
		return 1;
	}
	r = open_all(&d);
	if (r == 0 && (r = await_mounted(&d)) == 0 && (r = fs_start(d.fs, d.objects, mount_ready, &d)) < 0)
		refuse(&d, "the mount cannot be served: %s", strerror(-r));
	if (r < 0 && region_is_restart(&d.region)) {
		/* As if it had been killed: closing would take from programs what they have open, which the next start may be able to go on with. */
		log_flush(true);
		_exit(EXIT_STOPPED);
	}
	if (r == 0) {
		log_notice("diosd", "serving mount=%s data=%s version=%s", d.region.header->mount, d.region.header->data, DIOS_VERSION);
		serve(&d);
	}
	close_all(&d);
	if (r == 0)
		log_notice("diosd", "stopped");
	log_flush(true);
	config_free(d.config);
	return r == 0 ? 0 : 1;
}
