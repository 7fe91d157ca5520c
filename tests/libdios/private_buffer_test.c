/* Private buffers: owners, bounds, seals, and when their memory goes. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "objects/private_buffer.h"
#include "tests/tap.h"

static struct private_buffers *buffers;
static struct random_seeded seeded;

static struct private_buffer *make(const void *owner, uint32_t uid, size_t size)
{
	struct private_buffer *b = NULL;
	is_int(private_buffer_create(buffers, owner, uid, size, &b), 0, "a buffer of %zu bytes", size);
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
	int owner;
	uint8_t id[PRIVATE_BUFFER_ID_SIZE];
	struct private_buffer *b = make(&owner, 1000, 5000), *again;

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
	int first, second;
	struct private_buffer *b[3] = { make(&first, 1, 100), make(&first, 1, 200), make(&second, 1, 300) };
	uint8_t ids[3][PRIVATE_BUFFER_ID_SIZE];

	for (int i = 0; i < 3; i++) {
		memcpy(ids[i], private_buffer_id(b[i]), sizeof(ids[i]));
		private_buffer_put(b[i]);
		ok(findable(1, ids[i]), "buffer %d stays without a holder", i);
	}
	private_buffers_free_owned(buffers, &first);
	ok(!findable(1, ids[0]) && !findable(1, ids[1]), "those of an owner go with it");
	ok(findable(1, ids[2]), "another owner's stay");
	private_buffers_free_owned(buffers, &second);
}

static void bytes(void)
{
	char text[8] = "";
	struct private_buffer *b = make(NULL, 1, 10);

	is_int(private_buffer_write(b, 8, "xy", 2), 2, "a write up to the end");
	is_int(private_buffer_write(b, 8, "xyz", 3), -EFBIG, "none past it");
	is_int(private_buffer_write(b, UINT64_MAX, "x", 1), -EFBIG, "none far past it");
	is_int(private_buffer_write(b, 2, "x", SIZE_MAX), -EFBIG, "none whose end wraps around");
	is_int(private_buffer_read(b, 7, text, sizeof(text)), 3, "a read is short at the end");
	is_mem(text, "\0xy", 3, "with the bytes");
	is_int(private_buffer_read(b, 10, text, 1), 0, "and empty past it");
	void *map = mmap(NULL, 10, PROT_READ, MAP_SHARED, private_buffer_fd(b), 0);
	ok(map != MAP_FAILED && memcmp((char *)map + 8, "xy", 2) == 0, "a mapping of the descriptor shows the same");
	munmap(map, 10);
	private_buffer_free(b);
	private_buffer_put(b);
}

static void seals(void)
{
	struct private_buffer *b = make(NULL, 1, 10);

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
	int owner;
	struct private_buffer *b;

	is_int(private_buffer_create(buffers, &owner, 1, 0, &b), -EINVAL, "size 0 is refused");
	is_int(private_buffer_create(buffers, &owner, 1, PRIVATE_BUFFER_MAX + 1, &b), -ENOBUFS, "more than one may have is refused");
	private_buffer_put(make(&owner, 1, PRIVATE_BUFFER_MAX));
	is_int(private_buffer_create(buffers, &owner, 1, 1, &b), -ENOBUFS, "the user's share is used up");
	private_buffer_put(make(&owner, 2, PRIVATE_BUFFER_MAX));
	is_int(private_buffer_create(buffers, &owner, 3, 1, &b), -ENOBUFS, "and then all of it");
	private_buffers_free_owned(buffers, &owner);
	struct private_buffer *held = make(&owner, 1, PRIVATE_BUFFER_MAX);
	private_buffer_free(held);
	is_int(private_buffer_create(buffers, &owner, 1, 1, &b), -ENOBUFS, "a freed buffer that is held still counts");
	private_buffer_put(held);
}

static void count_bound(void)
{
	int owner, r = 0;
	unsigned n = 0;
	struct private_buffer *b;

	while ((r = private_buffer_create(buffers, &owner, 1, 1, &b)) == 0 && n <= PRIVATE_BUFFERS_COUNT_MAX) {
		private_buffer_put(b);
		n++;
	}
	/* Where the limit of descriptors is lower, that is what ends it. */
	ok(r == -EMFILE || (r == -ENOBUFS && n == PRIVATE_BUFFERS_COUNT_MAX), "their number is bounded");
	private_buffers_free_owned(buffers, &owner);
	b = make(&owner, 1, 1);
	private_buffer_free(b);
	private_buffer_put(b);
}

int main(void)
{
	random_seeded_init(&seeded, 1);
	is_int(private_buffers_new(&seeded.source, &buffers), 0, "a table of buffers");
	life();
	owned();
	bytes();
	seals();
	bounds();
	count_bound();
	private_buffers_free(buffers);
	return done_testing();
}
