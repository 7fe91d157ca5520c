/* The receive loop. Each worker owns a slot of the shared memory and reads its next request straight into it (RULES D3); the
 * slot is free again, its length 0, when the request has been answered. A request that waits keeps its slot, and the worker
 * takes another.
 *
 * The number of workers inside a request is counted, so that stopping can wait for them; a worker that gets a request after
 * the stop leaves it in its slot, unanswered, and ends. */
#include <assert.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/fault.h"
#include "base/log.h"
#include "fs/handle.h"
#include "fs/loop.h"
#include "fs/notify_process.h"
#include "fs/slot.h"
#include "fs/spin.h"
#include "fs/stats.h"
#include "fs/wait.h"
#include "objects/objects.h"

#define SCRATCH_SIZE (1u << 20)

struct loop {
	struct fs *fs;
	struct spin spin;
	_Atomic bool stopping;
	_Atomic uint32_t busy;              /* workers inside a request */
	_Atomic uint32_t alive;             /* threads */
	struct lock lock;                   /* goes with idle */
	pthread_cond_t idle;
};

static _Thread_local uint8_t *scratch;

void *request_scratch(size_t size)
{
	if (size > SCRATCH_SIZE)
		return NULL;
	if (!scratch && posix_memalign((void **)&scratch, 4096, SCRATCH_SIZE) != 0)
		scratch = NULL;
	return scratch;
}

void request_scratch_free(void)
{
	free(scratch);
	scratch = NULL;
}

bool request_kills_privilege(void)
{
	return request.serving != SLOT_NONE && (request.fs->region->slots[request.serving].flags & SLOT_KILL_PRIVILEGE);
}

/* ---- the device ----
 *
 * What one thread did before it answered, another sees that was sent the next request on the same file. The kernel orders the two; to the
 * memory model of C (and to ThreadSanitizer) this counter says so. */

static _Atomic uint32_t answers;

ssize_t device_read(int fd, void *data, size_t size, void *userdata)
{
	ssize_t n = read(fd, data, size < SLOT_SIZE ? size : SLOT_SIZE);

	(void)userdata;
	atomic_load_explicit(&answers, memory_order_acquire);
	return n;
}

/* Those of the notifier's thread, which wait for the kernel's locks; attributes alone are forgotten under none. */
static bool notification_waits(const struct iovec *iov, int count)
{
	const struct fuse_out_header *out = iov[0].iov_base;

	if (out->error == FUSE_NOTIFY_INVAL_ENTRY)
		return true;
	return out->error == FUSE_NOTIFY_INVAL_INODE && count > 1 && ((const struct fuse_notify_inval_inode_out *)iov[1].iov_base)->off >= 0;
}

ssize_t device_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	const struct fuse_out_header *out = iov[0].iov_base;
	bool ours = request.serving != SLOT_NONE && out->unique != 0 && slot_header(request.fs, request.serving)->unique == out->unique;

	/* Where an append was to go, others may have appended since. */
	bool again = ours && request.may_retry && !request.fs->region->slots[request.serving].redo.placed;
	if (again && objects_may_make_room(request.fs->objects, out->error)) {
		request.retry = out->error;
		return (ssize_t)out->len;
	}
	atomic_fetch_add_explicit(&answers, 1, memory_order_release);
	if (out->unique == 0 && notification_waits(iov, count))
		return notify_process_write(((struct fs *)userdata)->options.notify_fd, iov, count);
	if (ours) {
		fault_point_of("fs.done", slot_header(request.fs, request.serving)->opcode);
		slot_keep_answer(request.fs, request.serving, iov, count);
		fault_point_of("fs.kept", slot_header(request.fs, request.serving)->opcode);
	}
#if FUSE_VERSION < FUSE_MAKE_VERSION(3, 17)
	/* What this library does not know of the protocol, the kernel does: parallel look-ups in one directory, and setuid
	 * cleared by us instead of a question for security.capability before each write. */
	if (request.init_flags != 0 && count == 2 && iov[1].iov_len >= sizeof(struct fuse_init_out)) {
		struct fs *fs = request.fs;
		struct fuse_init_out init;
		memcpy(&init, iov[1].iov_base, sizeof(init));
		init.flags |= (uint32_t)request.init_flags & (FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2);
		fs->kill_privilege_v2 = (init.flags & FUSE_HANDLE_KILLPRIV_V2) != 0;
		struct iovec patched[2] = { iov[0], { .iov_base = &init, .iov_len = sizeof(init) } };
		return writev(fd, patched, 2);
	}
#endif
	(void)userdata;
	ssize_t n = writev(fd, iov, count);
	if (ours)
		fault_point_of("fs.answered", slot_header(request.fs, request.serving)->opcode);
	return n;
}

/* ---- requests ---- */

/* P9: libfuse hides these flags from handlers (and clears one in the request itself). */
static bool kills_privilege(const struct fuse_in_header *in)
{
	const void *body = in + 1;
	size_t size = in->len - sizeof(*in);

	switch (in->opcode) {
	case FUSE_WRITE:
		return size >= sizeof(struct fuse_write_in) && (((const struct fuse_write_in *)body)->write_flags & FUSE_WRITE_KILL_SUIDGID);
	case FUSE_OPEN:
		return size >= sizeof(struct fuse_open_in) && (((const struct fuse_open_in *)body)->open_flags & FUSE_OPEN_KILL_SUIDGID);
	case FUSE_CREATE:
		return size >= sizeof(struct fuse_create_in) &&
			(((const struct fuse_create_in *)body)->open_flags & FUSE_OPEN_KILL_SUIDGID);
	case FUSE_SETATTR:
		return size >= sizeof(struct fuse_setattr_in) && (((const struct fuse_setattr_in *)body)->valid & FATTR_KILL_SUIDGID);
	default:
		return false;
	}
}

/* The kernel's first request is kept: the next daemon answers it to itself (D3). */
static void keep_init(struct fs *fs, const struct fuse_in_header *in)
{
	struct region_header *header = fs->region->header;
	const struct fuse_init_in *body = (const void *)(in + 1);

	if (in->len < sizeof(*in) + offsetof(struct fuse_init_in, flags2) || in->len > INIT_SIZE)
		return;
	if (header->init_size == 0) {
		memcpy(header->init, in, in->len);
		header->init_size = in->len;
	}
	request.init_flags = body->flags;
}

/* The kernel releases a handle once. Without memory for the request libfuse answers it by itself, and the handle would stay. */
static void release_for_sure(struct fs *fs, const struct fuse_in_header *in)
{
	const struct fuse_release_in *body = (const void *)(in + 1);

	if (in->len < sizeof(*in) + sizeof(*body))
		return;
	struct handle *h = handle_get(fs->handles, body->fh);
	if (h)
		handle_free(fs->handles, h);
}

/* What is to be known of a request before libfuse sees it, which takes things out. */
static void note_request(struct fs *fs, const struct fuse_in_header *in)
{
	struct slot_entry *e = &fs->region->slots[request.serving];

	e->unique = in->unique;
	switch (in->opcode) {
	case FUSE_INIT:
		keep_init(fs, in);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		/* At most once: a count that is too high keeps an entry, one too low would take it from under a program. */
		e->answer_size = SLOT_NO_ANSWER;
		break;
	case FUSE_INTERRUPT:
		slot_interrupted(fs, ((const struct fuse_interrupt_in *)(const void *)(in + 1))->unique);
		break;
	default:
		if (fs->kill_privilege_v2 && kills_privilege(in))
			e->flags |= SLOT_KILL_PRIVILEGE;
	}
}

/* What deleted files have is room, as it is on other file systems as soon as they are deleted; here it is given back in the background. A request
 * for which there is none waits for that, and is done again. It had no effect, or one that is found again, as after a death of the daemon (D2). An
 * open may have spent a token, an ioctl a buffer: the latter looks after itself (objects_make_room). */
static bool may_retry(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_CREATE:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
	case FUSE_WRITE:
	case FUSE_SETATTR:
	case FUSE_SETXATTR:
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE:
		return true;
	default:
		return false;
	}
}

static void process(struct fs *fs, uint32_t slot, struct fuse_buf *buf)
{
	redo_enter(&fs->region->slots[slot].redo);
	fuse_session_process_buf(fs->session, buf);
	redo_leave();
}

void loop_serve(struct fs *fs, uint32_t slot, struct fuse_buf *buf)
{
	struct fuse_in_header *in = buf->mem;
	uint32_t opcode = in->opcode;
	int64_t start = clock_boot_ns(&clock_system);

	request.slot = request.serving = slot;
	request.slot_taken = false;
	request.retry = 0;
	note_request(fs, in);
	request.may_retry = may_retry(opcode);
	process(fs, slot, buf);
	if (request.retry != 0) {
		request.may_retry = false;
		(void)objects_make_room(fs->objects, request.retry);
		process(fs, slot, buf);
	}
	if (opcode == FUSE_RELEASE || opcode == FUSE_RELEASEDIR)
		release_for_sure(fs, in);
	request.serving = SLOT_NONE;
	request.init_flags = 0;
	stats_request(opcode, clock_boot_ns(&clock_system) - start);
	if (!request.slot_taken)
		slot_clear(fs->slots, slot);
}

static void loop_leave(struct loop *l)
{
	if (atomic_fetch_sub(&l->busy, 1) == 1 && l->stopping) {
		LOCK_GUARD(&l->lock);
		pthread_cond_broadcast(&l->idle);
	}
}

void loop_join(struct fs *fs)
{
	request.fs = fs;
	request.worker = true;
	if (slot_get(fs->slots, &request.slot) < 0)
		assert(!"there are more slots than workers");
}

static void *worker(void *arg)
{
	struct loop *l = arg;
	struct fs *fs = l->fs;

	loop_join(fs);
	while (!fuse_session_exited(fs->session)) {
		struct fuse_buf buf = { .mem = region_slot(fs->region, request.slot), .size = SLOT_SIZE };
		int r = fuse_session_receive_buf(fs->session, &buf);
		if (r == -EINTR || r == -EAGAIN)
			continue;
		if (r <= 0) {
			if (r < 0)
				log_error("fs", "the device cannot be read errno=%d", -r);
			break;
		}
		atomic_fetch_add(&l->busy, 1);
		if (l->stopping) {
			loop_leave(l);
			break;
		}
		bool first = ((const struct fuse_in_header *)buf.mem)->opcode == FUSE_INIT;
		loop_serve(fs, request.slot, &buf);
		if (first)
			fs->ready(fs->ready_arg);
		wait_run_ready(fs);
		loop_leave(l);
		spin_for_request(&l->spin);
	}
	request_scratch_free();
	/* The last one's write is the last use of all this: then it may be freed. */
	if (atomic_fetch_sub(&l->alive, 1) == 1 && eventfd_write(fs->ended_fd, 1) < 0)
		abort();
	return NULL;
}

int loop_new(struct fs *fs, struct loop **ret_loop)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->fs = fs;
	spin_init(&l->spin, fs->options.device_fd, fs->options.spin_ns);
	lock_init(&l->lock, "fs.loop", LOCK_LEAF);
	pthread_cond_init(&l->idle, NULL);
	*ret_loop = l;
	return 0;
}

int loop_start(struct loop *l, uint32_t workers)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r = 0;

	/* Detached: one that sits in a read of the device when the daemon stops is not waited for. */
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	l->alive = 1;       /* this function: the loop does not end before all have been started */
	for (uint32_t i = 0; r == 0 && i < workers; i++) {
		atomic_fetch_add(&l->alive, 1);
		r = pthread_create(&thread, &attr, worker, l);
		if (r != 0)
			atomic_fetch_sub(&l->alive, 1);
	}
	pthread_attr_destroy(&attr);
	if (atomic_fetch_sub(&l->alive, 1) == 1 && eventfd_write(l->fs->ended_fd, 1) < 0)
		abort();
	return -r;
}

void loop_stop(struct loop *l)
{
	l->stopping = true;
	LOCK_GUARD(&l->lock);
	while (l->busy > 0)
		lock_wait(&l->lock, &l->idle);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	spin_done(&l->spin);
	pthread_cond_destroy(&l->idle);
	lock_done(&l->lock);
	free(l);
}
