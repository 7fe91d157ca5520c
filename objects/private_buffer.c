/* Private buffers: a table by id, and the counts of what each user and all together hold.
 *
 * A buffer is in the table until it is freed; its memory and its share of the bounds go when nobody holds it any more. One lock
 * guards table and counts; a write holds the buffer's own lock, so that a seal waits for it. */
#include "objects/private_buffer.h"

#include <string.h>
#include <sys/mman.h>
#include "base/hash.h"
#include "base/counter.h"
#include "base/error.h"
#include "base/lock.h"

struct user { uint32_t uid; uint64_t bytes; UT_hash_handle hh; };

struct private_buffers {
	struct random_source *random;
	struct lock lock;               /* guards all below, and each buffer's holds and listed */
	struct private_buffer *table;   /* by id: those that are not freed */
	struct private_buffer *numbers; /* the same by number */
	struct user *users;             /* with bytes > 0 */
	uint64_t bytes, next_number;
	size_t count;
};

struct private_buffer {
	struct private_buffers *bs;
	uint8_t id[PRIVATE_BUFFER_ID_SIZE];
	uint64_t number;
	const void *owner;
	uint32_t uid;
	size_t size;
	int fd;
	uint8_t *data;
	unsigned holds;
	bool listed;
	struct lock write_lock;         /* held for a write, and to change sealed */
	bool sealed;
	UT_hash_handle hh, hh_number;
};

GAUGE(buffer_bytes, "dios_private_buffer_bytes", "memory in private buffers");

int private_buffers_new(struct random_source *random, struct private_buffers **ret_buffers)
{
	struct private_buffers *bs = calloc(1, sizeof(*bs));
	if (!bs) return -ENOMEM;
	bs->random = random;
	bs->next_number = 1;
	lock_init(&bs->lock, "objects.private_buffers", LOCK_LEAF);
	*ret_buffers = bs;
	return 0;
}

void private_buffers_free(struct private_buffers *bs)
{
	if (!bs) return;
	struct private_buffer *b, *next;
	HASH_ITER(hh, bs->table, b, next) private_buffer_free(b);
	lock_done(&bs->lock);
	free(bs);
}

/* ---- bounds (the lock is held) ----------------------------------------------------------------------------------- */

static int take_share(struct private_buffers *bs, uint32_t uid, size_t size)
{
	struct user *u;
	if (bs->count >= PRIVATE_BUFFERS_COUNT_MAX || size > PRIVATE_BUFFERS_MAX - bs->bytes) return -ENOBUFS;
	HASH_FIND(hh, bs->users, &uid, sizeof(uid), u);
	if (u && size > PRIVATE_BUFFERS_USER_MAX - u->bytes) return -ENOBUFS;
	if (!u) {
		u = calloc(1, sizeof(*u));
		if (!u) return -ENOMEM;
		u->uid = uid;
		HASH_ADD(hh, bs->users, uid, sizeof(u->uid), u);
		if (!hash_added(hh, u)) {
			free(u);
			return -ENOMEM;
		}
	}
	u->bytes += size;
	bs->bytes += size;
	bs->count++;
	return 0;
}

static void give_share_back(struct private_buffers *bs, uint32_t uid, size_t size)
{
	struct user *u;
	HASH_FIND(hh, bs->users, &uid, sizeof(uid), u);
	u->bytes -= size;
	bs->bytes -= size;
	bs->count--;
	if (u->bytes > 0) return;
	HASH_DEL(bs->users, u);
	free(u);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static int map_memory(struct private_buffer *b)
{
	b->fd = memfd_create("dios-private-buffer", MFD_CLOEXEC);
	if (b->fd < 0) return -errno;
	if (ftruncate(b->fd, (off_t)b->size) < 0) return -errno;
	void *data = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	if (data == MAP_FAILED) return -errno;
	b->data = data;
	return 0;
}

static void destroy(struct private_buffer *b)
{
	if (b->data) munmap(b->data, b->size);
	if (b->fd >= 0) close(b->fd);
	lock_done(&b->write_lock);
	free(b);
}

/* In both tables or in none. */
static int enlist(struct private_buffers *bs, struct private_buffer *b)
{
	HASH_ADD(hh, bs->table, id, PRIVATE_BUFFER_ID_SIZE, b);
	if (!hash_added(hh, b)) return -ENOMEM;
	HASH_ADD(hh_number, bs->numbers, number, sizeof(b->number), b);
	if (hash_added(hh_number, b)) return 0;
	HASH_DEL(bs->table, b);
	return -ENOMEM;
}

int private_buffer_create(struct private_buffers *bs, const void *owner, uint32_t uid, size_t size, struct private_buffer **ret_buffer)
{
	if (size == 0) return -EINVAL;
	if (size > PRIVATE_BUFFER_MAX) return -ENOBUFS;
	struct private_buffer *b = calloc(1, sizeof(*b));
	if (!b) return -ENOMEM;
	*b = (struct private_buffer){ .bs = bs, .owner = owner, .uid = uid, .size = size, .fd = -1, .holds = 1, .listed = true };
	lock_init(&b->write_lock, "objects.private_buffer", LOCK_STORE);
	random_fill(bs->random, b->id, sizeof(b->id));
	lock_acquire(&bs->lock);
	int r = take_share(bs, uid, size);
	if (r == 0) b->number = bs->next_number++;
	lock_release(&bs->lock);
	if (r < 0) {
		destroy(b);
		return r;
	}
	r = map_memory(b);
	lock_acquire(&bs->lock);
	if (r == 0) r = enlist(bs, b);
	if (r < 0) give_share_back(bs, uid, size);
	lock_release(&bs->lock);
	if (r < 0) {
		destroy(b);
		return r;
	}
	counter_add(&buffer_bytes, (int64_t)size);
	*ret_buffer = b;
	return 0;
}

struct private_buffer *private_buffer_find(struct private_buffers *bs, uint32_t uid, const uint8_t id[PRIVATE_BUFFER_ID_SIZE])
{
	struct private_buffer *b;
	LOCK_GUARD(&bs->lock);
	HASH_FIND(hh, bs->table, id, PRIVATE_BUFFER_ID_SIZE, b);
	if (!b || (uid != 0 && uid != b->uid)) return NULL;
	b->holds++;
	return b;
}

struct private_buffer *private_buffer_find_number(struct private_buffers *bs, uint64_t number)
{
	struct private_buffer *b;
	LOCK_GUARD(&bs->lock);
	HASH_FIND(hh_number, bs->numbers, &number, sizeof(number), b);
	if (b) b->holds++;
	return b;
}

void private_buffer_put(struct private_buffer *b)
{
	if (!b) return;
	struct private_buffers *bs = b->bs;
	lock_acquire(&bs->lock);
	bool last = --b->holds == 0 && !b->listed;
	if (last) give_share_back(bs, b->uid, b->size);
	lock_release(&bs->lock);
	if (!last) return;
	counter_add(&buffer_bytes, -(int64_t)b->size);
	destroy(b);
}

void private_buffer_free(struct private_buffer *b)
{
	struct private_buffers *bs = b->bs;
	lock_acquire(&bs->lock);
	if (b->listed) {
		HASH_DEL(bs->table, b);
		HASH_DELETE(hh_number, bs->numbers, b);
	}
	b->listed = false;
	b->holds++;
	lock_release(&bs->lock);
	private_buffer_put(b);
}

void private_buffers_free_owned(struct private_buffers *bs, const void *owner)
{
	for (;;) {
		struct private_buffer *b, *next, *found = NULL;
		lock_acquire(&bs->lock);
		HASH_ITER(hh, bs->table, b, next)
			if (b->owner == owner) found = b;
		if (found) found->holds++;
		lock_release(&bs->lock);
		if (!found) return;
		private_buffer_free(found);
		private_buffer_put(found);
	}
}

/* ---- use --------------------------------------------------------------------------------------------------------- */

const uint8_t *private_buffer_id(const struct private_buffer *b) { return b->id; }
size_t private_buffer_size(const struct private_buffer *b) { return b->size; }
uint32_t private_buffer_uid(const struct private_buffer *b) { return b->uid; }
uint64_t private_buffer_number(const struct private_buffer *b) { return b->number; }
int private_buffer_fd(const struct private_buffer *b) { return b->fd; }
uint8_t *private_buffer_data(struct private_buffer *b) { return b->data; }

int private_buffer_seal(struct private_buffer *b)
{
	LOCK_GUARD(&b->write_lock);
	if (b->sealed) return -EBUSY;
	b->sealed = true;
	return 0;
}

void private_buffer_unseal(struct private_buffer *b)
{
	LOCK_GUARD(&b->write_lock);
	b->sealed = false;
}

ssize_t private_buffer_read(struct private_buffer *b, uint64_t offset, void *data, size_t size)
{
	if (offset >= b->size) return 0;
	if (size > b->size - offset) size = b->size - (size_t)offset;
	ssize_t n = pread(b->fd, data, size, (off_t)offset);
	return n < 0 ? -errno : n;
}

/* By pwrite: where there is no memory left it says so, a store into the mapping would not. */
ssize_t private_buffer_write(struct private_buffer *b, uint64_t offset, const void *data, size_t size)
{
	if (offset > b->size || size > b->size - offset) return -EFBIG;
	LOCK_GUARD(&b->write_lock);
	if (b->sealed) return -EBUSY;
	ssize_t n = pwrite(b->fd, data, size, (off_t)offset);
	return n < 0 ? -errno : n;
}
