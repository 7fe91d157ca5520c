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
#include "base/log.h"
#include "fs/loop.h"
#include "fs/stats.h"

#define SCRATCH_SIZE (1u << 20)

struct loop {
	struct fs *fs;
	_Atomic bool stopping;
	_Atomic uint32_t busy;              /* workers inside a request */
	_Atomic uint32_t alive;             /* threads */
	struct lock lock;                   /* guards the list of free slots, and goes with idle */
	pthread_cond_t idle;
	uint32_t free_count;
	uint32_t free_slots[SLOT_COUNT];
};

/* The request that this thread is serving. */
static _Thread_local struct {
	struct fs *fs;
	uint32_t slot;
	bool slot_taken;                    /* the request has gone away with its slot */
	bool kill_privilege;
	bool init;
	uint64_t init_flags;                /* what the kernel offered in INIT */
	uint8_t *scratch;
} request;

static _Thread_local bool request_thread;

void *request_scratch(size_t size)
{
	if (size > SCRATCH_SIZE)
		return NULL;
	if (!request.scratch && posix_memalign((void **)&request.scratch, 4096, SCRATCH_SIZE) != 0)
		request.scratch = NULL;
	return request.scratch;
}

void request_scratch_free(void)
{
	free(request.scratch);
	request.scratch = NULL;
}

bool request_kills_privilege(void) { return request.kill_privilege; }

/* ---- slots ---- */

static int slot_get(struct loop *l, uint32_t *ret_slot)
{
	LOCK_GUARD(&l->lock);
	if (l->free_count == 0)
		return -ENOBUFS;
	*ret_slot = l->free_slots[--l->free_count];
	atomic_store(&l->fs->region->slots[*ret_slot].state, SLOT_USED);
	return 0;
}

static struct fuse_in_header *slot_header(struct fs *fs, uint32_t slot) { return region_slot(fs->region, slot); }

static void slot_clear(struct fs *fs, uint32_t slot)
{
	/* The other fields stay: a length of 0 says that they mean nothing. */
	atomic_store_explicit((_Atomic uint32_t *)&slot_header(fs, slot)->len, 0, memory_order_release);
	fs->region->slots[slot].flags = 0;
}

static void slot_put(struct loop *l, uint32_t slot)
{
	slot_clear(l->fs, slot);
	LOCK_GUARD(&l->lock);
	atomic_store(&l->fs->region->slots[slot].state, SLOT_FREE);
	l->free_slots[l->free_count++] = slot;
}

struct slot_ref request_take_slot(void)
{
	struct slot_ref ref = { 0 };
	uint32_t next;

	if (!request_thread || request.slot_taken || slot_get(request.fs->loop, &next) < 0)
		return ref;
	ref = (struct slot_ref){ .index = request.slot, .taken = true };
	request.slot = next;
	request.slot_taken = true;
	return ref;
}

void slot_release(struct fs *fs, struct slot_ref slot)
{
	if (slot.taken)
		slot_put(fs->loop, slot.index);
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

ssize_t device_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	atomic_fetch_add_explicit(&answers, 1, memory_order_release);
#if FUSE_VERSION < FUSE_MAKE_VERSION(3, 17)
	/* What this library does not know of the protocol, the kernel does: parallel look-ups in one directory, and setuid
	 * cleared by us instead of a question for security.capability before each write. */
	if (request.init && count == 2 && iov[1].iov_len >= sizeof(struct fuse_init_out)) {
		struct fs *fs = request.fs;
		struct fuse_init_out out;
		memcpy(&out, iov[1].iov_base, sizeof(out));
		out.flags |= (uint32_t)request.init_flags & (FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2);
		fs->kill_privilege_v2 = (out.flags & FUSE_HANDLE_KILLPRIV_V2) != 0;
		struct iovec patched[2] = { iov[0], { .iov_base = &out, .iov_len = sizeof(out) } };
		return writev(fd, patched, 2);
	}
#endif
	(void)userdata;
	return writev(fd, iov, count);
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
	memcpy(header->init, in, in->len);
	header->init_size = in->len;
	request.init_flags = body->flags;
}

static void serve(struct loop *l, struct fuse_buf *buf)
{
	struct fs *fs = l->fs;
	struct fuse_in_header *in = buf->mem;
	uint32_t opcode = in->opcode;
	int64_t start = clock_boot_ns(&clock_system);

	request.slot_taken = false;
	request.kill_privilege = fs->kill_privilege_v2 && kills_privilege(in);
	fs->region->slots[request.slot].flags = request.kill_privilege ? SLOT_KILL_PRIVILEGE : 0;
	request.init = opcode == FUSE_INIT;
	if (request.init)
		keep_init(fs, in);
	fuse_session_process_buf(fs->session, buf);
	stats_request(opcode, clock_boot_ns(&clock_system) - start);
	if (!request.slot_taken)
		slot_clear(fs, request.slot);
	if (request.init) {
		request.init = false;
		fs->ready(fs->ready_arg);
	}
}

static void loop_leave(struct loop *l)
{
	if (atomic_fetch_sub(&l->busy, 1) == 1 && l->stopping) {
		LOCK_GUARD(&l->lock);
		pthread_cond_broadcast(&l->idle);
	}
}

static void *worker(void *arg)
{
	struct loop *l = arg;
	struct fs *fs = l->fs;

	request_thread = true;
	request.fs = fs;
	if (slot_get(l, &request.slot) < 0)
		assert(!"there are more slots than workers");
	while (!fuse_session_exited(fs->session)) {
		struct fuse_buf buf = { .mem = region_slot(fs->region, request.slot), .size = SLOT_SIZE };
		slot_clear(fs, request.slot);
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
		serve(l, &buf);
		loop_leave(l);
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
	lock_init(&l->lock, "fs.loop", LOCK_LEAF);
	pthread_cond_init(&l->idle, NULL);
	for (uint32_t i = SLOT_COUNT; i-- > 0; )
		if (fs->region->slots[i].state == SLOT_FREE)
			l->free_slots[l->free_count++] = i;
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
	pthread_cond_destroy(&l->idle);
	lock_done(&l->lock);
	free(l);
}
