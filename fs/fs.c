/* The session: its life, and what is agreed with the kernel at the start.
 *
 * Locks of files (flock, fcntl) are left to the kernel: neither FUSE_CAP_POSIX_LOCKS nor FUSE_CAP_FLOCK_LOCKS is asked for. On one
 * node the kernel sees every user of a file, and its locks survive the daemon's death.
 *
 * The kernel caches names, attributes and pages for long (cache.timeout) because whoever changes them other than through the
 * kernel says so (fs/invalidate.h); so FUSE_CAP_AUTO_INVAL_DATA is off. There is no write-back cache: each write(2) is ours
 * before it returns. */
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/log.h"
#include "fs/invalidate.h"
#include "fs/ioctl_calls.h"
#include "fs/loop.h"
#include "fs/magic.h"
#include "fs/magic_tasks.h"
#include "fs/passthrough.h"
#include "fs/restart.h"
#include "fs/slot.h"
#include "fs/wait.h"

#define MAX_WRITE (1u << 20)
#define END_TIMEOUT_MS 500
#define MAX_BACKGROUND 64       /* read-aheads and asynchronous writes that the kernel keeps under way */

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
static void want(struct fuse_conn_info *conn, uint64_t capability) { fuse_set_feature_flag(conn, capability); }
static void refuse(struct fuse_conn_info *conn, uint64_t capability) { fuse_unset_feature_flag(conn, capability); }
#else
static void want(struct fuse_conn_info *conn, uint64_t capability) { conn->want |= conn->capable & (unsigned)capability; }
static void refuse(struct fuse_conn_info *conn, uint64_t capability) { conn->want &= ~(unsigned)capability; }
#endif

static void fs_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;
	static const uint64_t wanted[] = { FUSE_CAP_ASYNC_READ, FUSE_CAP_ATOMIC_O_TRUNC, FUSE_CAP_EXPORT_SUPPORT, FUSE_CAP_IOCTL_DIR,
		FUSE_CAP_READDIRPLUS, FUSE_CAP_READDIRPLUS_AUTO, FUSE_CAP_ASYNC_DIO, FUSE_CAP_PARALLEL_DIROPS, FUSE_CAP_CACHE_SYMLINKS };
	static const uint64_t refused[] = { FUSE_CAP_POSIX_LOCKS, FUSE_CAP_FLOCK_LOCKS, FUSE_CAP_SPLICE_READ, FUSE_CAP_SPLICE_WRITE,
		FUSE_CAP_SPLICE_MOVE, FUSE_CAP_AUTO_INVAL_DATA, FUSE_CAP_WRITEBACK_CACHE, FUSE_CAP_POSIX_ACL, FUSE_CAP_DONT_MASK,
		FUSE_CAP_HANDLE_KILLPRIV };

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		want(conn, wanted[i]);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		refuse(conn, refused[i]);
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
	if (fuse_set_feature_flag(conn, FUSE_CAP_HANDLE_KILLPRIV_V2))
		fs->kill_privilege_v2 = true;
#else
	(void)fs;       /* device_writev does it */
#endif
	passthrough_negotiate(fs, conn);
	conn->max_write = MAX_WRITE;
	conn->max_background = MAX_BACKGROUND;
	conn->time_gran = 1;
}

void ops_fill(struct fuse_lowlevel_ops *ops)
{
	memset(ops, 0, sizeof(*ops));
	ops->init = fs_init;
	ops_fill_lookup(ops);
	ops_fill_attr(ops);
	ops_fill_dir(ops);
	ops_fill_open(ops);
	ops_fill_file(ops);
	ops_fill_tree(ops);
	ops_fill_xattr(ops);
	ops_fill_poll(ops);
	ops_fill_ioctl(ops);
}

static void __attribute__((format(printf, 2, 0))) log_from_library(enum fuse_log_level level, const char *format, va_list ap)
{
	char line[512];

	vsnprintf(line, sizeof(line), format, ap);
	line[strcspn(line, "\n")] = '\0';
	if (level <= FUSE_LOG_ERR)
		log_error("fs", "libfuse: %s", line);
	else if (level <= FUSE_LOG_NOTICE)
		log_notice("fs", "libfuse: %s", line);
	else
		log_debug("fs", "libfuse: %s", line);
}

int fs_new(const struct fs_options *options, struct fs **ret_fs)
{
	struct fs *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return -ENOMEM;
	fs->options = *options;
	fs->region = options->region;
	fs->timeout_s = (double)options->timeout_ns / NS_PER_SECOND;
	fs->relaxed = options->config && strcmp(config_string(options->config, "durability"), "relaxed") == 0;
	fs->started_ns = clock_wall_ns(&clock_system);
	fs->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fs->ended_fd < 0) {
		int r = -errno;
		free(fs);
		return r;
	}
	*ret_fs = fs;
	return 0;
}

static int session_open(struct fs *fs)
{
	static const struct fuse_custom_io io = { .read = device_read, .writev = device_writev };
	struct fuse_lowlevel_ops ops;
	char *argv[] = { (char *)(uintptr_t)"diosd", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);

	ops_fill(&ops);
	fuse_set_log_func(log_from_library);
	fs->session = fuse_session_new(&args, &ops, sizeof(ops), fs);
	fuse_opt_free_args(&args);
	if (!fs->session)
		return -EIO;
	/* No splice functions: requests are always read into the slots. */
	return fuse_session_custom_io(fs->session, &io, fs->options.device_fd) == 0 ? 0 : -EBADF;
}

int fs_start(struct fs *fs, struct objects *os, void (*ready)(void *arg), void *arg)
{
	int r;

	fs->objects = os;
	fs->ready = ready;
	fs->ready_arg = arg;
	if ((r = session_open(fs)) < 0 || (r = passthrough_new(fs, &fs->passthrough)) < 0 || (r = slots_new(fs, &fs->slots)) < 0 || (r = handle_table_new(fs, fs->region, &fs->handles)) < 0 || (r = loop_new(fs, &fs->loop)) < 0 ||
	    (r = magic_new(fs, &fs->magic)) < 0 || (r = ioctl_mount_new(fs, fs->options.ioctl_tasks, &fs->ioctls)) < 0 ||
	    (r = waiters_new(fs, &fs->waiters)) < 0 || (r = notifier_new(fs, &fs->notifier)) < 0)
		return r;
	if (!region_is_restart(fs->region))
		return loop_start(fs->loop, fs->options.workers);
	r = handles_restore(fs);
	if (r < 0)
		return r;
	restart_run(fs);
	r = loop_start(fs->loop, fs->options.workers);
	if (r == 0)
		ready(arg);
	return r;
}

void fs_invalidate(void *arg, uint64_t ino, bool content)
{
	struct fs *fs = arg;

	if (fs->notifier)
		invalidate_node(fs, ino, content);
}

int fs_ended_fd(const struct fs *fs) { return fs->ended_fd; }

void fs_stop(struct fs *fs)
{
	if (fs->loop)
		loop_stop(fs->loop);
	if (fs->magic)
		magic_stop(fs->magic);
	/* The waiters' retries and the notifier's answers use handles: they end first. */
	passthrough_stop(fs->passthrough);
	notifier_free(fs->notifier);
	fs->notifier = NULL;
	waiters_free(fs->waiters);
	fs->waiters = NULL;
	handle_table_free(fs->handles);
	fs->handles = NULL;
	ioctl_mount_free(fs->ioctls);
	fs->ioctls = NULL;
}

void fs_free(struct fs *fs)
{
	if (!fs)
		return;
	/* After an unmount the threads end at once; not if the mount was in use and detached. */
	struct pollfd ended = { .fd = fs->ended_fd, .events = POLLIN };
	eventfd_t n;
	if (fs->session && (poll(&ended, 1, END_TIMEOUT_MS) <= 0 || eventfd_read(fs->ended_fd, &n) < 0))
		return;
	loop_free(fs->loop);
	slots_free(fs->slots);
	magic_free(fs->magic);
	passthrough_free(fs->passthrough);
	if (fs->session)
		fuse_session_destroy(fs->session);
	close(fs->ended_fd);
	free(fs);
}

void reply_error(fuse_req_t req, int error)
{
	if (error < 0)
		error = -error;
	fuse_reply_err(req, error == EBADMSG ? -objects_note_damaged_state(fs_of(req)->objects) : error);
}

void fs_caller(fuse_req_t req, struct caller *caller, struct name *task_name)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	const struct magic_tasks *tasks = fs_of(req)->options.tasks;

	*caller = (struct caller){ .uid = ctx->uid, .gid = ctx->gid };
	if (tasks && tasks->find_process && tasks->find_process(tasks->arg, ctx->pid, task_name) == 0)
		caller->task = task_name;
}
