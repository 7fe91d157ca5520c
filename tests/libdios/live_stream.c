/* Streams on a mount: records, followers and consumers, bounds, the end, and waiting. */
#include "tests/libdios/live.h"

static void gets_bytes(dios_ref ref, uint32_t flags, uint64_t offset, size_t size, const char *text, const char *why)
{
	struct dios_buffer b;
	int r = dios_acquire_read(flags, ref, offset, size, &b);
	bool same = r == 0 && b.size == strlen(text) && memcmp(b.data, text, b.size) == 0;
	ok(same, "%s%s%s", why, r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
	if (r == 0 && !same)
		printf("# got '%.*s', want '%s'\n", (int)b.size, (char *)b.data, text);
	if (r == 0)
		dios_commit_read(0, ref, &b);
}

static int gets_error(dios_ref ref, uint32_t flags, uint64_t offset, size_t size)
{
	struct dios_buffer b;
	int r = dios_acquire_read(flags, ref, offset, size, &b);
	if (r == 0)
		dios_commit_read(DIOS_DISCARD, ref, &b);
	return r;
}

static dios_ref stream_of(uint32_t flags, const char *path, uint64_t limit)
{
	/* A writer that may read as well is a reader for whom a direct stream keeps its bytes. */
	uint32_t rights = flags & DIOS_DIRECT ? DIOS_WRITE : 0;
	return made(flags, (struct dios_create_options){ .kind = DIOS_STREAM, .path = path, .limit_bytes = limit, .rights = rights }, flags & DIOS_DIRECT ? "a direct stream" : "a durable stream");
}

static void follow(uint32_t flags)
{
	const char *path = at("stream");
	dios_ref writer = stream_of(flags, path, 1 << 20), reader = opened(path, DIOS_READ, "a follower");

	is_int(gets_error(reader, DIOS_NOWAIT, DIOS_NEXT, 10), -EAGAIN, "an empty stream has nothing yet");
	is_int(put(0, writer, 0, "one"), 0, "a record");
	is_int(put(DIOS_AT_END, writer, 0, "three"), 0, "another");
	gets_bytes(reader, DIOS_RECORD, DIOS_NEXT, 100, "one", "record by record");
	is_int(gets_error(reader, DIOS_RECORD | DIOS_NOWAIT, DIOS_NEXT, 3), -EMSGSIZE, "a record that does not fit");
	gets_bytes(reader, DIOS_RECORD, DIOS_NEXT, 5, "three", "stays until there is room");
	is_int(gets_error(reader, DIOS_NOWAIT, DIOS_NEXT, 10), -EAGAIN, "then there is nothing more");
	if (!(flags & DIOS_DIRECT)) {
		gets_bytes(reader, 0, 0, 100, "onethree", "or as bytes, from the beginning");
		gets_bytes(reader, 0, 2, 3, "eth", "or from anywhere");
		gets_bytes(reader, 0, DIOS_NEXT, 100, "ree", "and on from there");
		char text[16];
		is_int(pread(reader, text, sizeof(text), 0), 8, "read(2) gives the same bytes");
	}
	is_int(dios_stream_end(writer), 0, "the end");
	is_int(dios_stream_end(writer), 0, "which may be said twice");
	gets_bytes(reader, 0, DIOS_NEXT, 100, "", "the reader comes to it");
	is_int(put(0, writer, 0, "more"), -EPIPE, "and nothing is appended any more");
	dios_close(reader);
	dios_close(writer);
	unlink(path);
}

static void consume(uint32_t flags)
{
	const char *path = at("shared");
	dios_ref writer = stream_of(flags, path, 1 << 20);
	dios_ref readers[2] = { opened(path, DIOS_READ, "one consumer"), opened(path, DIOS_READ, "another") };

	for (int i = 0; i < 2; i++)
		is_int(dios_stream_mode(readers[i], DIOS_CONSUME, DIOS_NEXT), 0, "it consumes");
	is_int(gets_error(readers[0], DIOS_NOWAIT, DIOS_NEXT, 10), -EAGAIN, "there is nothing yet");
	is_int(put(0, writer, 0, "first"), 0, "a record");
	is_int(put(0, writer, 0, "second"), 0, "another");
	is_int(put(0, writer, 0, "third"), 0, "and another");
	gets_bytes(readers[0], 0, DIOS_NEXT, 100, "first", "the first record goes to one");
	gets_bytes(readers[1], 0, DIOS_NEXT, 100, "second", "the second to the other");
	is_int(gets_error(readers[0], DIOS_NOWAIT, DIOS_NEXT, 2), -EMSGSIZE, "a small buffer takes nothing");
	is_int(gets_error(readers[0], 0, 0, 100), -EINVAL, "a consumer has no offset");
	gets_bytes(readers[1], 0, DIOS_NEXT, 100, "third", "the third is still whole");
	dios_stream_end(writer);
	gets_bytes(readers[0], 0, DIOS_NEXT, 100, "", "the end comes to one");
	gets_bytes(readers[1], 0, DIOS_NEXT, 100, "", "and to the other");
	dios_close(readers[0]);
	dios_close(readers[1]);
	dios_close(writer);
	unlink(path);
}

static void large_records(void)
{
	enum { SIZE = 300000 };
	dios_ref ref = stream_of(0, NULL, 8 << 20);
	struct dios_buffer b;

	is_int(dios_acquire_write(DIOS_AT_END, ref, 0, SIZE, &b), 0, "a buffer of 300,000 bytes");
	for (int i = 0; i < SIZE; i++)
		((uint8_t *)b.data)[i] = (uint8_t)(i * 13);
	is_int(dios_commit_write(0, ref, &b, SIZE), 0, "is one record");
	is_int(put(0, ref, 0, "small"), 0, "a small one behind it");
	is_int(gets_error(ref, DIOS_RECORD, DIOS_NEXT, SIZE - 1), -EMSGSIZE, "it does not fit into less");
	is_int(dios_acquire_read(DIOS_RECORD, ref, DIOS_NEXT, 1 << 20, &b), 0, "it is read");
	bool same = b.size == SIZE;
	for (int i = 0; same && i < SIZE; i++)
		same = ((uint8_t *)b.data)[i] == (uint8_t)(i * 13);
	ok(same, "whole");
	is_int(dios_commit_read(0, ref, &b), 0, "and released");
	gets_bytes(ref, DIOS_RECORD, DIOS_NEXT, 1 << 20, "small", "then the small one");
	is_int(dios_acquire_read(0, ref, 0, 1 << 20, &b), 0, "as bytes");
	is_int(b.size, SIZE + 5, "both come at once");
	dios_commit_read(0, ref, &b);
	int r = dios_acquire_write(DIOS_AT_END, ref, 0, (1 << 20) + 1, &b);
	if (r == 0)
		r = dios_commit_write(0, ref, &b, (1 << 20) + 1);
	is_int(r, -EMSGSIZE, "more than 1 MiB is no record");
	is_int(dios_acquire_write(0, ref, 0, (1 << 20) + 1, &b), -EMSGSIZE, "and has no buffer");
	dios_close(ref);
}

struct waiting { dios_ref ref; int result; char text[64]; size_t size; };

static void *read_later(void *arg)
{
	struct waiting *w = arg;
	struct dios_buffer b;
	w->result = dios_acquire_read(DIOS_RECORD, w->ref, DIOS_NEXT, sizeof(w->text), &b);
	if (w->result == 0) {
		w->size = b.size;
		memcpy(w->text, b.data, b.size);
		dios_commit_read(0, w->ref, &b);
	}
	return NULL;
}

static void *write_later(void *arg)
{
	struct waiting *w = arg;
	w->result = put(0, w->ref, 0, "late");
	return NULL;
}

static void bounds(uint32_t flags)
{
	enum { LIMIT = 65536 };
	static char kilobyte[1025];
	const char *path = at("bounded");
	dios_ref writer = stream_of(flags, path, LIMIT), reader = opened(path, DIOS_READ, "a consumer");
	struct dios_ioctl_stream settings = { .set = DIOS_SET_TRIM_CONSUMED, .trim_consumed = 1 };
	struct dios_wait wait = { .ref = writer, .wanted = DIOS_WRITABLE };
	struct waiting w = { .ref = writer };
	pthread_t thread;
	int n = 0, r;

	memset(kilobyte, 'k', 1024);
	is_int(dios_stream_configure(writer, &settings), 0, "consumed records go");
	is_int(dios_stream_mode(reader, DIOS_CONSUME, DIOS_NEXT), 0, "it consumes");
	while ((r = put(DIOS_NOWAIT, writer, 0, kilobyte)) == 0 && n < 1000)
		n++;
	is_int(r, -EAGAIN, "the bound is reached");
	ok(n >= 48 && n <= 64, "after about 64 records of 1 KiB (%d)", n);
	is_int(dios_select(0, &wait, 1, 0), -ETIMEDOUT, "and there is no room");
	pthread_create(&thread, NULL, write_later, &w);
	for (int i = 0; i < n; i++)
		if (gets_error(reader, 0, DIOS_NEXT, 2048) < 0)
			r = -1;
	is_int(r, -EAGAIN, "the consumer takes them all");
	pthread_join(thread, NULL);
	is_int(w.result, 0, "a writer that waited had its turn");
	gets_bytes(reader, 0, DIOS_NEXT, 2048, "late", "with its record");
	is_int(dios_select(0, &wait, 1, 5000000000), 0, "there is room again");
	dios_close(reader);
	dios_close(writer);
	unlink(path);
}

static void waiting(void)
{
	const char *path = at("waited");
	dios_ref writer = stream_of(0, path, 0), reader = opened(path, DIOS_READ, "a reader");
	struct dios_wait wait = { .ref = reader, .wanted = DIOS_READABLE };
	struct waiting w = { .ref = reader };
	pthread_t thread;

	is_int(dios_select(0, &wait, 1, 0), -ETIMEDOUT, "nothing to read");
	pthread_create(&thread, NULL, read_later, &w);
	is_int(put(0, writer, 0, "at last"), 0, "a record");
	pthread_join(thread, NULL);
	ok(w.result == 0 && w.size == 7 && memcmp(w.text, "at last", 7) == 0, "reaches a reader that waited");
	is_int(put(0, writer, 0, "again"), 0, "another");
	is_int(dios_select(0, &wait, 1, 5000000000), 0, "is something to read");
	is_int(wait.ready, DIOS_READABLE, "and select says so");
	gets_bytes(reader, 0, DIOS_NEXT, 100, "again", "it is read");
	dios_stream_end(writer);
	is_int(dios_select(0, &wait, 1, 5000000000), 0, "the end is told");
	ok(wait.ready & DIOS_ENDED, "as the end");
	dios_close(reader);
	dios_close(writer);
	unlink(path);
}

static void trimming(void)
{
	const char *path = at("trimmed");
	dios_ref writer = made(0, (struct dios_create_options){ .kind = DIOS_STREAM, .path = path, .trim_bytes = 4096 }, "a stream that forgets");
	dios_ref reader = opened(path, DIOS_READ, "a reader that is slow");
	static char kilobyte[1025];
	struct dios_ioctl_info info;

	memset(kilobyte, 't', 1024);
	is_int(put(0, writer, 0, "first"), 0, "a record");
	gets_bytes(reader, DIOS_RECORD, DIOS_NEXT, 100, "first", "it has begun to read");
	int failed = 0;
	for (int i = 0; i < 100; i++)
		failed += put(0, writer, 0, kilobyte) != 0;
	is_int(failed, 0, "writers never wait");
	/* Trimming is the daemon's background work, and a change that select tells. */
	struct dios_wait wait = { .ref = reader, .wanted = DIOS_ERROR };
	memset(&info, 0, sizeof(info));
	for (int i = 0; i < 100 && info.stream_start <= 5; i++) {
		dios_select(0, &wait, 1, 100000000);
		if (dios_info(writer, &info) < 0)
			break;
	}
	ok(info.stream_start > 5, "the oldest records are gone");
	is_int(gets_error(reader, DIOS_RECORD, DIOS_NEXT, 2048), -EIO, "the slow reader is told, not made to skip");
	is_int(dios_stream_mode(reader, DIOS_FOLLOW, 0), 0, "it begins anew");
	gets_bytes(reader, DIOS_RECORD, DIOS_NEXT, 2048, kilobyte, "at the oldest record there is");
	dios_close(reader);
	dios_close(writer);
	unlink(path);
}

static void last_writer(void)
{
	const char *path = at("closing");
	dios_ref writer = made(DIOS_END_ON_CLOSE, (struct dios_create_options){ .kind = DIOS_STREAM, .path = path }, "a stream that ends by itself");
	dios_ref reader = opened(path, DIOS_READ, "a reader"), second = opened(path, DIOS_WRITE, "a second writer");
	struct dios_wait wait = { .ref = reader, .wanted = DIOS_READABLE };

	is_int(put(0, writer, 0, "a"), 0, "one writes");
	dios_close(writer);
	is_int(put(DIOS_AT_END, second, 0, "b"), 0, "the other still can");
	dios_close(second);
	gets_bytes(reader, DIOS_RECORD, DIOS_NEXT, 10, "a", "the first record");
	gets_bytes(reader, DIOS_RECORD, DIOS_NEXT, 10, "b", "the second");
	is_int(dios_select(0, &wait, 1, 5000000000), 0, "and the end comes");
	gets_bytes(reader, 0, DIOS_NEXT, 10, "", "with the last writer's close");
	dios_close(reader);
	unlink(path);
}

static void wrong_kinds(void)
{
	dios_ref blob = made(0, (struct dios_create_options){ 0 }, "a blob"), stream = stream_of(0, NULL, 0);
	struct dios_buffer b;

	is_int(dios_stream_end(blob), -EINVAL, "a blob has no end to be set");
	is_int(dios_stream_mode(blob, DIOS_CONSUME, DIOS_NEXT), -EINVAL, "nor consumers");
	is_int(dios_acquire_read(0, blob, DIOS_NEXT, 10, &b), -EINVAL, "nor a next byte");
	is_int(dios_acquire_read(DIOS_RECORD, blob, 0, 10, &b), -EINVAL, "nor records");
	is_int(dios_pause(0, stream), -EINVAL, "a stream is not paused");
	is_int(put(DIOS_TRUNCATE, stream, 0, "x"), -EINVAL, "nor cut");
	is_int(dios_acquire_read(0, stream, 0, 0, &b), -EINVAL, "nor read for nothing");
	dios_close(blob);
	dios_close(stream);
}

int main(void)
{
	follow(0);
	follow(DIOS_DIRECT);
	consume(0);
	consume(DIOS_DIRECT);
	large_records();
	bounds(0);
	bounds(DIOS_DIRECT);
	waiting();
	trimming();
	last_writer();
	wrong_kinds();
	return done_testing();
}
