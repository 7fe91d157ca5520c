/* Private buffers: owners, bounds, seals, when their memory goes, and what another daemon finds. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "objects/private_buffer.h"
#include "tests/tap.h"

#define OWNER 5u

static struct private_buffers *buffers;
static struct private_buffer_book book;
static int memory;
static struct random_seeded seeded;

static struct private_buffer *make(uint64_t owner, uint32_t uid, size_t size)
{
	struct private_buffer *b = NULL;
	is_int(private_buffer_create(buffers, owner, 7, uid, size, &b), 0, "a buffer of %zu bytes", size);
	return b;
}

static bool findable(uint32_t uid, const uint8_t *id)
{
	struct private_buffer *b = private_buffer_find(buffers, uid, id);
	private_buffer_put(b);
	return b != NULL;
}

static void life(void)
{
	uint8_t id[PRIVATE_BUFFER_ID_SIZE];
	struct private_buffer *b = make(OWNER, 1000, 5000), *again;

	memcpy(id, private_buffer_id(b), sizeof(id));
	ok(findable(1000, id), "its user finds it");
	ok(!findable(1001, id), "another user does not");
	ok(findable(0, id), "root does");
	again = private_buffer_find_number(buffers, private_buffer_number(b));
	ok(again == b, "it is found by its number");
	private_buffer_put(again);
	id[15] ^= 1;
	ok(!findable(1000, id), "not by another id");
	id[15] ^= 1;
	private_buffer_free(b);
	ok(!findable(1000, id) && !findable(0, id), "freed, it is found no more");
	is_int(private_buffer_write(b, 0, "abc", 3), 3, "who holds it still writes");
	is_mem(private_buffer_data(b), "abc", 3, "and reads");
	private_buffer_put(b);
}

static void owned(void)
{
	struct private_buffer *b[3] = { make(1, 1, 100), make(1, 1, 200), make(2, 1, 300) };
	uint8_t ids[3][PRIVATE_BUFFER_ID_SIZE];

	for (int i = 0; i < 3; i++) {
		memcpy(ids[i], private_buffer_id(b[i]), sizeof(ids[i]));
		private_buffer_put(b[i]);
		ok(findable(1, ids[i]), "buffer %d stays without a holder", i);
	}
	private_buffers_free_owned(buffers, 1);
	ok(!findable(1, ids[0]) && !findable(1, ids[1]), "those of an owner go with it");
	ok(findable(1, ids[2]), "another owner's stay");
	private_buffers_free_owned(buffers, 2);
}

static void bytes(void)
{
	char text[8] = "";
	struct private_buffer *b = make(0, 1, 10);

	is_int(private_buffer_write(b, 8, "xy", 2), 2, "a write up to the end");
	is_int(private_buffer_write(b, 8, "xyz", 3), -EFBIG, "none past it");
	is_int(private_buffer_write(b, UINT64_MAX, "x", 1), -EFBIG, "none far past it");
	is_int(private_buffer_write(b, 2, "x", SIZE_MAX), -EFBIG, "none whose end wraps around");
	is_int(private_buffer_read(b, 7, text, sizeof(text)), 3, "a read is short at the end");
	is_mem(text, "\0xy", 3, "with the bytes");
	is_int(private_buffer_read(b, 10, text, 1), 0, "and empty past it");
	is_mem(private_buffer_data(b) + 8, "xy", 2, "its memory shows the same");
	private_buffer_free(b);
	private_buffer_put(b);
}

static void seals(void)
{
	struct private_buffer *b = make(0, 1, 10);

	is_int(private_buffer_seal(b), 0, "sealed");
	is_int(private_buffer_write(b, 0, "x", 1), -EBUSY, "a sealed buffer is not written to");
	is_int(private_buffer_seal(b), -EBUSY, "nor sealed twice");
	private_buffer_unseal(b);
	is_int(private_buffer_write(b, 0, "x", 1), 1, "unsealed it is written to again");
	private_buffer_free(b);
	private_buffer_put(b);
}

static void bounds(void)
{
	struct private_buffer *b;

	is_int(private_buffer_create(buffers, OWNER, 7, 1, 0, &b), -EINVAL, "size 0 is refused");
	is_int(private_buffer_create(buffers, OWNER, 7, 1, PRIVATE_BUFFER_MAX + 1, &b), -ENOBUFS, "more than one may have is refused");
	private_buffer_put(make(OWNER, 1, PRIVATE_BUFFER_MAX));
	is_int(private_buffer_create(buffers, OWNER, 7, 1, 1, &b), -ENOBUFS, "the user's share is used up");
	private_buffer_put(make(OWNER, 2, PRIVATE_BUFFER_MAX));
	is_int(private_buffer_create(buffers, OWNER, 7, 3, 1, &b), -ENOBUFS, "and then all of it");
	private_buffers_free_owned(buffers, OWNER);
	struct private_buffer *held = make(OWNER, 1, PRIVATE_BUFFER_MAX);
	private_buffer_free(held);
	is_int(private_buffer_create(buffers, OWNER, 7, 1, 1, &b), -ENOBUFS, "a freed buffer that is held still counts");
	private_buffer_put(held);
}

static void count_bound(void)
{
	int r = 0;
	unsigned n = 0;
	struct private_buffer *b;

	while ((r = private_buffer_create(buffers, OWNER, 7, 1, 1, &b)) == 0 && n <= PRIVATE_BUFFERS_COUNT_MAX) {
		private_buffer_put(b);
		n++;
	}
	ok(r == -ENOBUFS && n == PRIVATE_BUFFERS_COUNT_MAX, "their number is bounded");
	private_buffers_free_owned(buffers, OWNER);
	b = make(OWNER, 1, 1);
	private_buffer_free(b);
	private_buffer_put(b);
}

/* What a place held is not seen by who gets it next. */
static void zeros(void)
{
	struct private_buffer *b = make(OWNER, 1, 5000);
	uint8_t *data = private_buffer_data(b);

	memset(data, 0xff, 5000);
	private_buffer_free(b);
	private_buffer_put(b);
	for (int i = 0; i < 2; i++) {
		b = make(OWNER, 2, 5000);
		bool zero = true;
		for (int j = 0; j < 5000; j++)
			zero = zero && private_buffer_data(b)[j] == 0;
		ok(zero, "a new one is zeros");
		private_buffer_put(b);
	}
	private_buffers_free_owned(buffers, OWNER);
}

static bool is_one(void *arg, uint64_t owner)
{
	(void)arg;
	return owner == 1;
}

/* As a daemon finds them whose predecessor was killed: what that had in its own memory is nowhere. */
static void another_daemon(void)
{
	static struct private_buffers *dead;
	static struct private_buffer *b[4];
	uint8_t ids[4][PRIVATE_BUFFER_ID_SIZE];

	b[0] = make(1, 1, 5000);
	b[1] = make(2, 1, 100);
	b[2] = make(1, 1, PRIVATE_BUFFER_MAX - 5200);
	is_int(private_buffer_create(buffers, 1, 8, 1, 100, &b[3]), 0, "a buffer of another maker");
	for (int i = 0; i < 4; i++)
		memcpy(ids[i], private_buffer_id(b[i]), sizeof(ids[i]));
	uint64_t number = private_buffer_number(b[3]), freed = private_buffer_number(b[2]);
	memcpy(private_buffer_data(b[0]), "kept", 4);
	memcpy(private_buffer_data(b[2]), "held", 4);
	private_buffer_free(b[2]);

	dead = buffers;
	(void)dead;
	is_int(private_buffers_new(&seeded.source, &book, memory, 4096, &buffers), 0, "another daemon");
	private_buffers_free_made_by(buffers, 8);
	struct private_buffer *held = private_buffer_hold_again(buffers, freed), *none;
	private_buffers_restored(buffers, is_one, NULL);
	ok(findable(1, ids[0]) && !findable(2, ids[0]), "D1_a buffer is found by its user");
	ok(!findable(1, ids[1]) && !findable(1, ids[3]), "not one whose owner has gone, nor one that is made again");
	ok(held && !findable(1, ids[2]), "nor one that was freed, but who held it holds it");
	is_mem(private_buffer_data(held), "held", 4, "with its bytes");
	is_int(private_buffer_create(buffers, 1, 7, 1, 300, &none), -ENOBUFS, "all count");
	private_buffer_put(held);
	held = private_buffer_find(buffers, 1, ids[0]);
	is_mem(private_buffer_data(held), "kept", 4, "D1_its bytes are there");
	private_buffer_put(held);
	held = make(1, 1, PRIVATE_BUFFER_MAX - 5000);
	ok(private_buffer_number(held) > number, "numbers are not used again");
	ok(private_buffer_data(held)[0] == 0, "a new one is zeros");
	private_buffer_put(held);
}

int main(void)
{
	random_seeded_init(&seeded, 1);
	memory = memfd_create("buffers", MFD_CLOEXEC);
	ok(ftruncate(memory, (off_t)(4096 + PRIVATE_BUFFERS_FILE)) == 0, "memory");
	is_int(private_buffers_new(&seeded.source, &book, memory, 4096, &buffers), 0, "a table of buffers");
	life();
	owned();
	bytes();
	seals();
	bounds();
	count_bound();
	zeros();
	another_daemon();
	private_buffers_free(buffers);
	return done_testing();
}
