/* Private buffers: a table by id, and the counts of what each user and all together hold.
 *
 * A buffer is in the table until it is freed; its memory and its share of the bounds go when nobody holds it any more. One lock
 * guards table and counts; a write holds the buffer's own lock, so that a seal waits for it.
 *
 * Number i of the places is bytes [i, i + 1) * PRIVATE_BUFFER_MAX of the file, and saved[i] of the book. A free place is a hole: it becomes one before
 * the book says that it is free. */
#include "objects/private_buffer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include "base/hash.h"
#include "base/counter.h"
#include "base/error.h"
#include "base/lock.h"
#include "base/log.h"

struct user { uint32_t uid; uint64_t bytes; UT_hash_handle hh; };

struct private_buffers {
	struct random_source *random;
	struct private_buffer_book *book;
	int fd;
	uint64_t offset;
	struct lock lock;               /* guards all below, and each buffer's holds and listed */
	struct private_buffer *table;   /* by id: those that are not freed */
	struct private_buffer *numbers; /* the same by number */
	struct user *users;             /* with bytes > 0 */
	uint64_t bytes;
	size_t count;
	bool taken[PRIVATE_BUFFERS_COUNT_MAX];    /* places in use */
	uint32_t hand;                            /* where a free one is looked for first */
	struct private_buffer *adopted;           /* what an earlier daemon left, each held once until private_buffers_restored */
};

struct private_buffer {
	struct private_buffers *bs;
	uint8_t id[PRIVATE_BUFFER_ID_SIZE];
	uint32_t place;
	uint64_t number, owner, maker;
	uint32_t uid;
	size_t size;
	uint8_t *data;
	struct private_buffer *next_adopted;
	unsigned holds;
	bool listed;
	struct lock write_lock;         /* held for a write, and to change sealed */
	bool sealed;
	UT_hash_handle hh, hh_number;
};

GAUGE(buffer_bytes, "dios_private_buffer_bytes", "memory in private buffers");

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

static uint64_t place_offset(const struct private_buffers *bs, uint32_t place) { return bs->offset + place * PRIVATE_BUFFER_MAX; }

static int map_memory(struct private_buffer *b)
{
	void *data = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, b->bs->fd, (off_t)place_offset(b->bs, b->place));
	if (data == MAP_FAILED) return -errno;
	b->data = data;
	return 0;
}

/* The next one there is zeros. */
static int clear_memory(const struct private_buffer *b)
{
	int r;
	do r = fallocate(b->bs->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)place_offset(b->bs, b->place), (off_t)b->size);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static struct private_buffer *buffer_alloc(struct private_buffers *bs)
{
	struct private_buffer *b = calloc(1, sizeof(*b));
	if (!b) return NULL;
	b->bs = bs;
	lock_init(&b->write_lock, "objects.private_buffer", LOCK_STORE);
	return b;
}

static void buffer_release(struct private_buffer *b)
{
	lock_done(&b->write_lock);
	free(b);
}

/* The lock is held. */
static uint32_t take_place(struct private_buffers *bs)
{
	while (bs->taken[bs->hand % PRIVATE_BUFFERS_COUNT_MAX]) bs->hand++;   /* take_share has counted */
	uint32_t place = bs->hand % PRIVATE_BUFFERS_COUNT_MAX;
	bs->taken[place] = true;
	return place;
}

static void destroy(struct private_buffer *b)
{
	struct private_buffers *bs = b->bs;
	if (b->data) munmap(b->data, b->size);
	int r = clear_memory(b);
	lock_acquire(&bs->lock);
	give_share_back(bs, b->uid, b->size);
	if (r == 0) {
		atomic_store(&bs->book->saved[b->place].number, 0);
		bs->taken[b->place] = false;
		bs->hand = b->place;
	} else {
		bs->count++;   /* the place stays as it is, and is used by nobody */
	}
	lock_release(&bs->lock);
	if (r < 0) log_error("objects", "the memory of a private buffer cannot be given back size=%zu errno=%d", b->size, -r);
	buffer_release(b);
}

/* In both tables or in none. */
static int enlist(struct private_buffers *bs, struct private_buffer *b)
{
	HASH_ADD(hh, bs->table, id, PRIVATE_BUFFER_ID_SIZE, b);
	if (!hash_added(hh, b)) return -ENOMEM;
	HASH_ADD(hh_number, bs->numbers, number, sizeof(b->number), b);
	if (hash_added(hh_number, b)) {
		b->listed = true;
		return 0;
	}
	HASH_DEL(bs->table, b);
	return -ENOMEM;
}

static void save(const struct private_buffer *b)
{
	struct private_buffer_saved *s = &b->bs->book->saved[b->place];
	s->size = b->size;
	s->owner = b->owner;
	s->maker = b->maker;
	s->uid = b->uid;
	s->freed = 0;
	memcpy(s->id, b->id, sizeof(s->id));
	atomic_store_explicit(&s->number, b->number, memory_order_release);
}

int private_buffer_create(struct private_buffers *bs, uint64_t owner, uint64_t maker, uint32_t uid, size_t size, struct private_buffer **ret_buffer)
{
	if (size == 0) return -EINVAL;
	if (size > PRIVATE_BUFFER_MAX) return -ENOBUFS;
	struct private_buffer *b = buffer_alloc(bs);
	if (!b) return -ENOMEM;
	b->owner = owner;
	b->maker = maker;
	b->uid = uid;
	b->size = size;
	b->holds = 1;
	random_fill(bs->random, b->id, sizeof(b->id));
	lock_acquire(&bs->lock);
	int r = take_share(bs, uid, size);
	if (r == 0) {
		b->place = take_place(bs);
		b->number = atomic_fetch_add(&bs->book->last_number, 1) + 1;
	}
	lock_release(&bs->lock);
	if (r < 0) {
		buffer_release(b);
		return r;
	}
	r = map_memory(b);
	if (r == 0) {
		save(b);
		lock_acquire(&bs->lock);
		r = enlist(bs, b);
		lock_release(&bs->lock);
	}
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
	atomic_store(&bs->book->saved[b->place].freed, 1);
	lock_release(&bs->lock);
	private_buffer_put(b);
}

/* Frees what is found, one after the other. */
static void free_all(struct private_buffers *bs, bool (*wanted)(const struct private_buffer *b, uint64_t number), uint64_t number)
{
	for (;;) {
		struct private_buffer *b, *next, *found = NULL;
		lock_acquire(&bs->lock);
		HASH_ITER(hh, bs->table, b, next)
			if (wanted(b, number)) found = b;
		if (found) found->holds++;
		lock_release(&bs->lock);
		if (!found) return;
		private_buffer_free(found);
		private_buffer_put(found);
	}
}

static bool is_owned(const struct private_buffer *b, uint64_t owner) { return b->owner == owner; }
static bool is_made_by(const struct private_buffer *b, uint64_t maker) { return b->maker == maker; }
void private_buffers_free_owned(struct private_buffers *bs, uint64_t owner) { free_all(bs, is_owned, owner); }
void private_buffers_free_made_by(struct private_buffers *bs, uint64_t maker) { free_all(bs, is_made_by, maker); }

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static int adopt(struct private_buffers *bs, uint32_t place)
{
	const struct private_buffer_saved *s = &bs->book->saved[place];
	if (s->size == 0 || s->size > PRIVATE_BUFFER_MAX) return -EBADMSG;
	struct private_buffer *b = buffer_alloc(bs);
	int r = b ? take_share(bs, s->uid, s->size) : -ENOMEM;
	if (r < 0) {
		if (b) buffer_release(b);
		return r;
	}
	bs->taken[place] = true;
	b->place = place;
	b->number = s->number;
	b->owner = s->owner;
	b->maker = s->maker;
	b->uid = s->uid;
	b->size = s->size;
	b->holds = 1;
	memcpy(b->id, s->id, sizeof(b->id));
	b->next_adopted = bs->adopted;
	bs->adopted = b;
	counter_add(&buffer_bytes, (int64_t)b->size);
	r = map_memory(b);
	return r == 0 && !s->freed ? enlist(bs, b) : r;
}

int private_buffers_new(struct random_source *random, struct private_buffer_book *book, int fd, uint64_t offset, struct private_buffers **ret_buffers)
{
	struct private_buffers *bs = calloc(1, sizeof(*bs));
	int r = 0;
	if (!bs) return -ENOMEM;
	bs->random = random;
	bs->book = book;
	bs->fd = fd;
	bs->offset = offset;
	lock_init(&bs->lock, "objects.private_buffers", LOCK_LEAF);
	for (uint32_t i = 0; r == 0 && book->last_number > 0 && i < PRIVATE_BUFFERS_COUNT_MAX; i++)
		if (book->saved[i].number != 0) r = adopt(bs, i);
	*ret_buffers = bs;
	return r;
}

struct private_buffer *private_buffer_hold_again(struct private_buffers *bs, uint64_t number)
{
	LOCK_GUARD(&bs->lock);
	struct private_buffer *b = bs->adopted;
	while (b && b->number != number) b = b->next_adopted;
	if (b) b->holds++;
	return b;
}

void private_buffers_restored(struct private_buffers *bs, bool (*owner_is_known)(void *arg, uint64_t owner), void *arg)
{
	for (struct private_buffer *b = bs->adopted, *next; b; b = next) {
		next = b->next_adopted;
		if (b->listed && !owner_is_known(arg, b->owner)) private_buffer_free(b);
		private_buffer_put(b);
	}
	bs->adopted = NULL;
}

static bool nobody_is_known(void *arg, uint64_t owner)
{
	(void)arg;
	(void)owner;
	return false;
}

void private_buffers_free(struct private_buffers *bs)
{
	if (!bs) return;
	struct private_buffer *b, *next;
	private_buffers_restored(bs, nobody_is_known, NULL);
	HASH_ITER(hh, bs->table, b, next) private_buffer_free(b);
	lock_done(&bs->lock);
	free(bs);
}

/* ---- use --------------------------------------------------------------------------------------------------------- */

const uint8_t *private_buffer_id(const struct private_buffer *b) { return b->id; }
size_t private_buffer_size(const struct private_buffer *b) { return b->size; }
uint32_t private_buffer_uid(const struct private_buffer *b) { return b->uid; }
uint64_t private_buffer_number(const struct private_buffer *b) { return b->number; }
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
	ssize_t n = pread(b->bs->fd, data, size, (off_t)(place_offset(b->bs, b->place) + offset));
	return n < 0 ? -errno : n;
}

/* By pwrite: where there is no memory left it says so, a store into the mapping would not. */
ssize_t private_buffer_write(struct private_buffer *b, uint64_t offset, const void *data, size_t size)
{
	if (offset > b->size || size > b->size - offset) return -EFBIG;
	LOCK_GUARD(&b->write_lock);
	if (b->sealed) return -EBUSY;
	ssize_t n = pwrite(b->bs->fd, data, size, (off_t)(place_offset(b->bs, b->place) + offset));
	return n < 0 ? -errno : n;
}
