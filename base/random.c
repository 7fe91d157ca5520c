/* Random sources: the kernel's, and a seeded one (splitmix64, Steele, Lea and Flood 2014) whose bytes are the same on
 * every machine, whatever its byte order. */
#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/random.h"

static void system_fill(struct random_source *r, void *out, size_t size)
{
	uint8_t *bytes = out;

	(void)r;
	while (size > 0) {
		ssize_t n = getrandom(bytes, size, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort();   /* going on would make guessable keys */
		bytes += n;
		size -= (size_t)n;
	}
}

struct random_source random_system = { .fill = system_fill };

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void seeded_fill(struct random_source *r, void *out, size_t size)
{
	struct random_seeded *seeded = (struct random_seeded *)r;
	uint8_t *bytes = out;

	for (size_t i = 0; i < size; ) {
		uint64_t word = splitmix64(&seeded->state);
		for (int k = 0; k < 8 && i < size; k++, word >>= 8)
			bytes[i++] = (uint8_t)word;
	}
}

void random_seeded_init(struct random_seeded *r, uint64_t seed)
{
	_Static_assert(offsetof(struct random_seeded, source) == 0, "seeded_fill casts the source back");
	*r = (struct random_seeded){ .source.fill = seeded_fill, .state = seed };
}

uint64_t random_u64(struct random_source *r)
{
	uint8_t bytes[8];
	uint64_t value = 0;

	random_fill(r, bytes, sizeof(bytes));
	for (int i = 7; i >= 0; i--)
		value = value << 8 | bytes[i];
	return value;
}

uint64_t random_below(struct random_source *r, uint64_t bound)
{
	assert(bound > 0);
	/* Values below 2^64 mod bound would make the small results more likely: drawn again. */
	uint64_t skip = -bound % bound, value;

	do
		value = random_u64(r);
	while (value < skip);
	return value % bound;
}
