/* Memory-only streams: records whole, bounds kept, offsets for ever. */
#include "objects/object.h"
#include "tests/tap.h"

static void append_text(struct direct_stream *s, const char *text) { (void)direct_stream_append(s, text, strlen(text)); }

static void test_basics(void)
{
	struct direct_stream *s = direct_stream_new(20);
	char bytes[64];
	uint64_t at = 0;
	size_t size;
	is_int(direct_stream_read(s, &at, bytes, sizeof(bytes), false, NULL), -EAGAIN, "nothing yet");
	append_text(s, "one\n");
	append_text(s, "three\n");
	is_int(direct_stream_read(s, &at, bytes, sizeof(bytes), true, &size), 4, "a whole record");
	is_mem(bytes, "one\n", 4, "its bytes");
	is_int(direct_stream_read(s, &at, bytes, 3, true, &size), -EMSGSIZE, "a record does not fit");
	is_int(size, 6, "and its size is told");
	at = 0;
	is_int(direct_stream_read(s, &at, bytes, sizeof(bytes), false, NULL), 10, "bytes across records");
	is_int(at, 10, "the offset moves on");
	is_int(direct_stream_append(s, "0123456789ab", 12), -EAGAIN, "full: the bound is 20 bytes");
	is_int(direct_stream_append(s, "0123456789012345678901", 22), -EMSGSIZE, "a record larger than the bound never fits");
	direct_stream_release(s, 5);
	is_int(direct_stream_append(s, "0123456789ab", 12), 12, "room after the first record was released");
	at = 0;
	is_int(direct_stream_read(s, &at, bytes, 1, false, NULL), -EIO, "what was released is gone, not skipped");
	at = 4;
	is_int(direct_stream_read(s, &at, bytes, sizeof(bytes), false, NULL), 18, "the rest is there");
	is_mem(bytes, "three\n0123456789ab", 18, "in order, around the end of the ring");
	direct_stream_end(s, false);
	is_int(direct_stream_read(s, &at, bytes, 1, false, NULL), 0, "the end");
	is_int(direct_stream_append(s, "x", 1), -EPIPE, "no writing after the end");
	direct_stream_free(s);
}

static void test_growth(void)
{
	struct direct_stream *s = direct_stream_new(1 << 20);
	char record[1000], got[1000];
	uint64_t written = 0, at = 0;
	bool good = true;
	for (unsigned i = 0; i < 5000; i++) {
		memset(record, (int)(i % 251), sizeof(record));
		good = good && direct_stream_append(s, record, 1 + i % 999) == 1 + (int)(i % 999);
		written += 1 + i % 999;
		if (i % 3 == 2) continue;
		size_t size;
		ssize_t n = direct_stream_read(s, &at, got, sizeof(got), true, &size);
		good = good && n > 0 && got[0] == got[n - 1];
		direct_stream_release(s, at);
	}
	struct stream_state state;
	direct_stream_state(s, &state);
	ok(good, "5,000 records through a ring that grows");
	is_int(state.end, written, "the end counts every byte");
	is_int(state.records, 5000, "and every record");
	is_int(state.start, at, "what was read was released");
	direct_stream_free(s);
}

int main(void)
{
	test_basics();
	test_growth();
	return done_testing();
}
