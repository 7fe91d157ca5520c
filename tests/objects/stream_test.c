/* Streams of both kinds, as their readers and writers meet them on a node. */
#include "tests/objects/sim_node.h"

#define LIMIT 64u     /* bytes that a stream holds: eight records of eight */

static struct sim_node node;
static char entry;    /* of the last stream made */

static uint64_t make(bool direct)
{
	const char name[2] = { ++entry, '\0' };
	struct command_create create = { .parent = ROOT_INO, .entry = { (const uint8_t *)name, 1 }, .kind = KIND_STREAM, .mode = S_IFREG | 0600,
		.limit_bytes = LIMIT, .flags = direct ? CREATE_STREAM_DIRECT : 0 };
	struct attributes a;

	must(object_create(node.objects, &create, 0, NULL, &a), "making a stream");
	return a.record.ino;
}

static struct reference *consumer(uint64_t ino)
{
	struct reference *r = node_reference(&node, ino, RIGHT_READ);

	reference_set_stream_mode(r, STREAM_CONSUME);
	return r;
}

/* Eight bytes, all of them the digit. */
static ssize_t put(struct reference *w, int digit)
{
	char record[8];

	memset(record, '0' + digit, sizeof(record));
	return stream_append(w, record, sizeof(record), false);
}

static bool is_record(const char *bytes, int digit)
{
	for (int i = 0; i < 8; i++)
		if (bytes[i] != '0' + digit)
			return false;
	return true;
}

static const char *kind_of(bool direct) { return direct ? "direct" : "durable"; }

static void records(bool direct)
{
	uint64_t ino = make(direct), offset = 0;
	struct reference *a = node_reference(&node, ino, RIGHT_WRITE), *b = node_reference(&node, ino, RIGHT_APPEND);
	struct reference *f = node_reference(&node, ino, RIGHT_READ);
	char bytes[64];
	size_t size;

	for (int i = 0; i < 6; i++)
		put(i % 2 ? a : b, i);
	is_int(stream_next(f, &offset, bytes, 7, &size), -EMSGSIZE, "%s: a record is not split for who asks for less", kind_of(direct));
	is_int(size, 8, "its size is told");
	for (int i = 0; i < 6; i++)
		ok(stream_next(f, &offset, bytes, sizeof(bytes), &size) == 8 && size == 8 && is_record(bytes, i), "record %d comes whole and alone", i);
	is_int(stream_next(f, &offset, bytes, sizeof(bytes), &size), -EAGAIN, "then there is nothing yet");
	reference_close(a);
	reference_close(b);
	reference_close(f);
}

static void consumers(bool direct)
{
	uint64_t ino = make(direct);
	struct reference *w = node_reference(&node, ino, RIGHT_WRITE), *a = consumer(ino), *b = consumer(ino);
	char bytes[64];
	size_t size;

	for (int i = 0; i < 6; i++)
		put(w, i);
	for (int i = 0; i < 6; i++)
		ok(stream_consume(i % 3 ? a : b, bytes, sizeof(bytes), &size) == 8 && is_record(bytes, i), "%s: record %d goes to one consumer", kind_of(direct), i);
	is_int(stream_consume(a, bytes, sizeof(bytes), &size), -EAGAIN, "and to no other");
	is_int(stream_consume(b, bytes, sizeof(bytes), &size), -EAGAIN, "nor to the same again");
	reference_close(w);
	reference_close(a);
	reference_close(b);
}

static void followers(bool direct)
{
	uint64_t ino = make(direct), fast_at = 0, slow_at = 0;
	struct reference *w = node_reference(&node, ino, RIGHT_WRITE), *fast = node_reference(&node, ino, RIGHT_READ), *slow = node_reference(&node, ino, RIGHT_READ);
	char bytes[64];
	size_t size;

	for (int i = 0; i < 8; i++)
		is_int(put(w, i), 8, "%s: record %d fits", kind_of(direct), i);
	is_int(put(w, 8), -EAGAIN, "the stream is full");
	for (int i = 0; i < 8; i++)
		ok(stream_next(fast, &fast_at, bytes, sizeof(bytes), &size) == 8 && is_record(bytes, i), "one follower sees record %d", i);
	is_int(put(w, 8), -EAGAIN, "it is full as long as another has read nothing");
	for (int i = 0; i < 8; i++)
		ok(stream_next(slow, &slow_at, bytes, sizeof(bytes), &size) == 8 && is_record(bytes, i), "the other one sees record %d", i);
	is_int(put(w, 8), direct ? 8 : -EAGAIN, direct ? "then there is room" : "a durable one without trimming stays full");
	reference_close(fast);
	reference_close(slow);
	reference_close(w);
}

/* What is trimmed is a follower's loss, and he is told. */
static void trimmed(void)
{
	uint64_t ino = make(false), at = 0;
	struct reference *w = node_reference(&node, ino, RIGHT_WRITE), *f = node_reference(&node, ino, RIGHT_READ);
	char bytes[64];
	size_t size;

	must(stream_configure(node.objects, ino, &(struct command_stream_update){ .set_limits = true, .limit_bytes = LIMIT, .trim_bytes = 32 }), "configure");
	put(w, 0);
	is_int(stream_next(f, &at, bytes, sizeof(bytes), &size), 8, "a follower has read a record");
	for (int i = 1; i < 9; i++)
		put(w, i);
	is_int(stream_read(f, &at, false, bytes, sizeof(bytes)), -EIO, "what is trimmed before he reads on is EIO, not a skip");
	is_int(stream_next(f, &at, bytes, sizeof(bytes), &size), -EIO, "also by records");
	at = 0;
	ok(stream_read(f, &at, true, bytes, 8) == 8 && is_record(bytes, 5), "who begins, begins at the oldest kept record");
	reference_close(f);
	reference_close(w);
}

static void ends(bool direct)
{
	uint64_t ino = make(direct), at = 0;
	struct reference *w = node_reference(&node, ino, RIGHT_WRITE), *f = node_reference(&node, ino, RIGHT_READ);
	char bytes[64];
	size_t size;

	put(w, 1);
	is_int(stream_end(f), -EBADF, "%s: a reader does not end a stream", kind_of(direct));
	is_int(stream_append(f, "x", 1, false), -EBADF, "nor writes");
	is_int(stream_end(w), 0, "a writer does");
	is_int(put(w, 2), -EPIPE, "and it takes no more");
	is_int(stream_next(f, &at, bytes, sizeof(bytes), &size), 8, "what was written is read");
	is_int(stream_next(f, &at, bytes, sizeof(bytes), &size), 0, "then comes the end");
	reference_close(f);
	reference_close(w);
}

/* A daemon's death: a durable stream is as it was, a direct one says that it is broken. */
static void restart(void)
{
	uint64_t durable = make(false), direct = make(true), at = 0;
	struct reference *w = node_reference(&node, durable, RIGHT_WRITE), *v = node_reference(&node, direct, RIGHT_WRITE), *c = consumer(durable);
	char bytes[64];
	size_t size;

	for (int i = 0; i < 3; i++)
		put(w, i);
	put(v, 7);
	stream_consume(c, bytes, sizeof(bytes), &size);
	reference_close(c);
	reference_close(w);
	reference_close(v);
	node_restart(&node);
	c = consumer(durable);
	ok(stream_consume(c, bytes, sizeof(bytes), &size) == 8 && is_record(bytes, 1), "after a restart consumers go on where they were");
	reference_close(c);
	struct reference *f = node_reference(&node, durable, RIGHT_READ);
	ok(stream_next(f, &at, bytes, sizeof(bytes), &size) == 8 && is_record(bytes, 0), "and followers see every record");
	reference_close(f);
	f = node_reference(&node, direct, RIGHT_READ | RIGHT_WRITE);
	at = 0;
	is_int(stream_read(f, &at, true, bytes, sizeof(bytes)), -EPIPE, "a direct stream of an earlier daemon is broken for readers");
	is_int(put(f, 1), -EPIPE, "and for writers");
	reference_close(f);
}

/* What poll says and what a write does agree, whatever the bound was when the stream was made. */
static void bound_changes(bool direct)
{
	uint64_t ino = make(direct);
	struct reference *w = node_reference(&node, ino, RIGHT_WRITE);
	uint32_t events;

	for (int i = 0; i < 8; i++)
		put(w, i);
	must(stream_configure(node.objects, ino, &(struct command_stream_update){ .set_limits = true, .limit_bytes = 2 * LIMIT }), "configure");
	must(reference_ready(w, 0, 0, &events), "ready");
	ok(events & READY_WRITE, "%s: a stream whose bound is raised has room", kind_of(direct));
	is_int(put(w, 8), 8, "and takes a record");
	must(stream_configure(node.objects, ino, &(struct command_stream_update){ .set_limits = true, .limit_bytes = 2 }), "configure");
	must(reference_ready(w, 0, 0, &events), "ready");
	ok(!(events & READY_WRITE), "one whose bound is lowered has none");
	is_int(put(w, 8), -EMSGSIZE, "and a record that is larger than it does not wait for ever");
	reference_close(w);
}

/* A follower that begins at the end needs nothing of before. */
static void begins_at_the_end(void)
{
	uint64_t ino = make(true), at;
	struct reference *w = node_reference(&node, ino, RIGHT_WRITE), *f = node_reference(&node, ino, RIGHT_READ);
	char bytes[8];

	for (int i = 0; i < 8; i++)
		put(w, i);
	at = 64;
	is_int(stream_read(f, &at, false, bytes, 8), -EAGAIN, "direct: a follower waits at the end");
	is_int(put(w, 8), 8, "and what is before it makes room");
	ok(stream_read(f, &at, false, bytes, 8) == 8 && is_record(bytes, 8), "it sees what comes");
	reference_close(f);
	reference_close(w);
}

/* A stream that nobody writes to loses what is too old as well, also after a restart. */
static void trimmed_by_age(void)
{
	uint64_t ino = make(false), at = 0;
	struct reference *w = node_reference(&node, ino, RIGHT_WRITE), *f;
	char bytes[64];
	size_t size;

	must(stream_configure(node.objects, ino, &(struct command_stream_update){ .set_limits = true, .limit_bytes = LIMIT,
		.trim_age_ns = 10 * NS_PER_SECOND }), "configure");
	put(w, 1);
	node.now_ns += 8 * NS_PER_SECOND;
	put(w, 2);
	node_settle(&node);
	f = node_reference(&node, ino, RIGHT_READ);
	ok(stream_read(f, &at, true, bytes, 8) == 8 && is_record(bytes, 2), "the record that is too old has gone, the younger one is there");
	reference_close(f);
	reference_close(w);
	node_restart(&node);
	f = node_reference(&node, ino, RIGHT_READ);
	node.now_ns += 10 * NS_PER_SECOND;
	node_settle(&node);
	at = 0;
	is_int(stream_next(f, &at, bytes, sizeof(bytes), &size), -EAGAIN, "until that is too old as well");
	reference_close(f);
}

int main(void)
{
	entry = 'a';
	node_open(&node);
	for (int direct = 0; direct < 2; direct++) {
		records(direct);
		consumers(direct);
		followers(direct);
		ends(direct);
		bound_changes(direct);
	}
	begins_at_the_end();
	trimmed();
	trimmed_by_age();
	restart();
	node_close(&node);
	return done_testing();
}
