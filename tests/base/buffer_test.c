/* base/buffer: bounds, the sticky error, growth. */
#include "base/buffer.h"
#include "tests/tap.h"

static void appends_up_to_the_limit_and_not_past_it(void)
{
	_cleanup_buffer_ struct buffer b;
	buffer_init(&b, 10);

	is_int(buffer_append(&b, "12345", 5), 0, "5 of 10 bytes fit");
	is_int(buffer_append(&b, "67890", 5), 0, "10 of 10 bytes fit");
	is_int(buffer_append(&b, "", 0), 0, "no byte fits into a full buffer");
	is_int(buffer_append(&b, "x", 1), -ENOBUFS, "the eleventh does not");
	is_int(b.size, 10, "a refused append adds nothing");
	is_mem(b.data, "1234567890", 10, "the bytes are those appended");
	is_int(buffer_append(&b, "", 0), -ENOBUFS, "the error stays, even for nothing");
	is_int(buffer_error(&b), -ENOBUFS, "and is told");
	buffer_reset(&b);
	is_int(buffer_error(&b), 0, "a reset forgets the error");
	is_int(buffer_append(&b, "abc", 3), 0, "and makes room");
}

static void sizes_that_overflow_are_refused(void)
{
	_cleanup_buffer_ struct buffer b;
	uint8_t *space = NULL;

	buffer_init(&b, SIZE_MAX);
	is_int(buffer_append(&b, "abc", 3), 0, "three bytes fit");
	is_int(buffer_reserve(&b, SIZE_MAX - 2, &space), -ENOBUFS, "a size that would wrap around is refused");
	ok(space == NULL, "and the output is untouched");
	buffer_reset(&b);
	is_int(buffer_reserve(&b, SIZE_MAX / 2, &space), -ENOMEM, "what memory cannot hold is -ENOMEM");
	buffer_done(&b);
	buffer_init(&b, 0);
	is_int(buffer_append(&b, "a", 1), -ENOBUFS, "limit 0 holds nothing");
	buffer_reset(&b);
	is_int(buffer_append(&b, "", 0), 0, "but nothing fits");
}

static void grows_by_many_appends(void)
{
	_cleanup_buffer_ struct buffer b;
	bool same = true;

	buffer_init(&b, 100000);
	for (int i = 0; i < 100000; i++) {
		uint8_t c = (uint8_t)(i * 7);
		buffer_append(&b, &c, 1);
	}
	is_int(buffer_error(&b), 0, "100,000 single bytes fit into 100,000");
	for (int i = 0; i < 100000; i++)
		same = same && b.data[i] == (uint8_t)(i * 7);
	ok(same, "and are all there");
	ok(b.capacity <= 100000, "without more memory than the limit");
}

static void prints_short_and_long_text(void)
{
	_cleanup_buffer_ struct buffer b;
	char expected[1001];

	buffer_init(&b, 1100);
	buffer_printf(&b, "%d-%s", 42, "x");
	is_mem(b.data, "42-x", 4, "short text");
	buffer_printf(&b, "%0999d!", 1);
	memset(expected, '0', 998);
	memcpy(expected + 998, "1!", 3);
	is_int(b.size, 4 + 1000, "long text has its length");
	is_mem(b.data + 4, expected, 1000, "long text");
	is_int(buffer_printf(&b, "%0200d", 1), -ENOBUFS, "text past the limit is refused");
	is_int(b.size, 1004, "and leaves nothing behind");
}

int main(void)
{
	appends_up_to_the_limit_and_not_past_it();
	sizes_that_overflow_are_refused();
	grows_by_many_appends();
	prints_short_and_long_text();
	return done_testing();
}
