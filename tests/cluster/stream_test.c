/* STREAM_APPEND and STREAM_UPDATE: records, limits, trimming, the end; and reading them. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/cluster/fixture.h"
#include "tests/tap.h"

#define is_sound(f, what) do { const char *_wrong = fixture_check(f); if (!ok(_wrong == NULL, "%s", what)) printf("# %s\n", _wrong); } while (0)

/* Appends the words of a text as one command, each a record. */
static int append(struct fixture *f, uint64_t ino, const char *words, bool check_limit)
{
	struct command c = { .kind = COMMAND_STREAM_APPEND };
	char bytes[256];
	uint32_t sizes[32], count = 0;
	size_t used = 0;

	for (const char *p = words; *p; ) {
		size_t length = strcspn(p, " ");
		memcpy(bytes + used, p, length);
		used += length;
		sizes[count++] = (uint32_t)length;
		p += length + (p[length] == ' ');
	}
	c.stream_append = (struct command_stream_append){ .ino = ino, .sizes = sizes, .count = count, .bytes = { (const uint8_t *)bytes, used }, .check_limit = check_limit };
	return fixture_apply(f, &c);
}

static int update(struct fixture *f, struct command_stream_update u)
{
	struct command c = { .kind = COMMAND_STREAM_UPDATE };
	c.stream_update = u;
	return fixture_apply(f, &c);
}

struct reading { char text[512]; unsigned count, stop_after; };

static int read_one(void *arg, uint64_t offset, struct slice record)
{
	struct reading *r = arg;
	size_t used = strlen(r->text);

	snprintf(r->text + used, sizeof(r->text) - used, "%s%u:%.*s", used ? " " : "", (unsigned)offset, (int)record.size, (const char *)record.data);
	return ++r->count == r->stop_after;
}

static const char *from(struct fixture *f, uint64_t ino, uint64_t offset)
{
	static struct reading r;
	r = (struct reading){ .stop_after = 0 };
	state_read_stream(f->state, ino, offset, read_one, &r);
	return r.text;
}

static uint64_t make(struct fixture *f, uint64_t limit, uint64_t trim_bytes, int64_t trim_age_ns, bool trim_consumed)
{
	struct command c = { .kind = COMMAND_CREATE };
	c.create = (struct command_create){ .kind = KIND_STREAM, .mode = S_IFREG | 0600, .name = fixture_name(f, 0), .limit_bytes = limit,
		.trim_bytes = trim_bytes, .trim_age_ns = trim_age_ns, .trim_consumed = trim_consumed };
	fixture_apply(f, &c);
	return f->result.record.ino;
}

static void records_are_kept_in_order(void)
{
	struct fixture f;

	fixture_open_realm(&f);
	uint64_t s = make(&f, 0, 0, 0, false);
	is_str(from(&f, s, 0), "", "stream: empty");
	is_int(append(&f, s, "one", false), 0, "append: one record");
	is_int(f.result.offset, 0, "append: at the beginning");
	is_int(append(&f, s, "two three", false), 0, "append: two records");
	is_int(f.result.offset, 3, "append: after the first");
	append(&f, s, "four", false);
	is_str(from(&f, s, 0), "0:one 3:two 6:three 11:four", "read: all records, whole");
	is_str(from(&f, s, 3), "3:two 6:three 11:four", "read: from a record's beginning");
	is_str(from(&f, s, 7), "6:three 11:four", "read: from the record that holds the offset");
	is_str(from(&f, s, 14), "11:four", "read: the last record");
	is_str(from(&f, s, 15), "", "read: at the end there is nothing");
	is_str(from(&f, s, 1000), "", "read: past the end neither");
	struct reading r = { .stop_after = 2 };
	is_int(state_read_stream(f.state, s, 0, read_one, &r), 0, "read: stops when told");
	is_str(r.text, "0:one 3:two", "read: two records");
	struct record record = fixture_record(&f, s);
	ok(record.size == 15 && record.stream.end == 15 && record.stream.records == 4 && record.version == 3 && record.blocks == 1, "append: size, records, version, blocks");
	is_int(append(&f, s, "", false), -EINVAL, "append: nothing");
	struct command c = { .kind = COMMAND_STREAM_APPEND };
	uint32_t sizes[] = { 3, 0 };
	c.stream_append = (struct command_stream_append){ .ino = s, .sizes = sizes, .count = 1, .bytes = text("four") };
	is_int(fixture_apply(&f, &c), -EINVAL, "append: sizes that are not those of the bytes");
	c.stream_append = (struct command_stream_append){ .ino = s, .sizes = sizes, .count = 2, .bytes = text("thr") };
	c.seq = 0, c.time_ns = 0;
	is_int(fixture_apply(&f, &c), -EINVAL, "append: an empty record");
	uint64_t blob = fixture_make(&f, ROOT_INO, "b", KIND_BLOB);
	is_int(append(&f, blob, "x", false), -EINVAL, "append: to a blob");
	is_int(state_read_stream(f.state, blob, 0, read_one, &r), -EINVAL, "read: of a blob");
	is_int(append(&f, 99, "x", false), -ENOENT, "append: to nothing");
	is_sound(&f, "streams: the state is sound");
	fixture_close(&f);
}

static void the_end(void)
{
	struct fixture f;

	fixture_open_realm(&f);
	uint64_t s = make(&f, 0, 0, 0, false), t = make(&f, 0, 0, 0, false);
	append(&f, s, "last", false);
	is_int(update(&f, (struct command_stream_update){ .ino = s, .end = true }), 0, "end");
	is_int(append(&f, s, "more", false), -EPIPE, "append: to an ended stream");
	is_str(from(&f, s, 0), "0:last", "end: what was there is still read");
	ok(fixture_record(&f, s).stream.ended, "end: the record says so");
	is_int(update(&f, (struct command_stream_update){ .ino = t, .broken = true }), 0, "broken");
	is_int(append(&f, t, "more", false), -EPIPE, "append: to a broken stream");
	struct command c = { .kind = COMMAND_CREATE };
	c.create = (struct command_create){ .kind = KIND_STREAM, .mode = S_IFREG | 0600, .name = fixture_name(&f, 0), .flags = CREATE_STREAM_DIRECT };
	fixture_apply(&f, &c);
	is_int(append(&f, f.result.record.ino, "x", false), -EINVAL, "append: a direct stream's bytes are not in the state");
	fixture_close(&f);
}

static void limits(void)
{
	struct fixture f;

	fixture_open_realm(&f);
	uint64_t s = make(&f, 10, 0, 0, false);
	is_int(append(&f, s, "12345678901", false), -EMSGSIZE, "limit: a record that can never fit");
	is_int(append(&f, s, "1234567", true), 0, "limit: there is room");
	is_int(append(&f, s, "1234", true), -EAGAIN, "limit: there is none");
	is_int(f.result.offset, 0, "limit: nothing was appended");
	is_int(append(&f, s, "123", true), 0, "limit: exactly full");
	is_int(append(&f, s, "1", false), 0, "limit: not checked when not asked");
	is_int(update(&f, (struct command_stream_update){ .ino = s, .set_start = true, .start = 7 }), 0, "trimming makes room");
	is_int(append(&f, s, "123456", true), 0, "limit: which is used");
	is_int(update(&f, (struct command_stream_update){ .ino = s, .set_limits = true, .limit_bytes = 100 }), 0, "limit: raised");
	is_int(append(&f, s, "1234567890", true), 0, "limit: more room");
	is_sound(&f, "limits: the state is sound");
	fixture_close(&f);
}

static void trimming(void)
{
	struct fixture f;

	fixture_open_realm(&f);
	uint64_t s = make(&f, 0, 10, 0, false);
	append(&f, s, "aaaa bbb", false);
	append(&f, s, "ccc", false);
	is_str(from(&f, s, 0), "0:aaaa 4:bbb 7:ccc", "trim by size: not yet");
	append(&f, s, "d", false);
	is_str(from(&f, s, 0), "4:bbb 7:ccc 10:d", "trim by size: the oldest record goes, whole");
	ok(fixture_record(&f, s).stream.start == 4 && fixture_record(&f, s).stream.consumed == 4, "trim by size: start follows, consumers miss it");
	is_sound(&f, "trim inside a piece: the state is sound");
	append(&f, s, "eeeeeee", false);
	is_str(from(&f, s, 0), "10:d 11:eeeeeee", "trim by size: two more go");
	append(&f, s, "ffffffffffffffffffff", false);
	is_str(from(&f, s, 0), "18:ffffffffffffffffffff", "trim by size: what is appended stays, however large");
	is_sound(&f, "trim by size: the state is sound");

	uint64_t a = make(&f, 0, 0, 10000000, false);
	append(&f, a, "old", false);
	append(&f, a, "young", false);
	f.now_ns += 8500000;
	append(&f, a, "new", false);
	is_str(from(&f, a, 0), "3:young 8:new", "trim by age: as of the command's time");
	f.now_ns += 1000000000;
	update(&f, (struct command_stream_update){ .ino = a });
	is_str(from(&f, a, 0), "", "trim by age: all of it");
	append(&f, a, "again", false);
	is_str(from(&f, a, 0), "11:again", "trim by age: offsets go on");
	is_sound(&f, "trim by age: the state is sound");

	uint64_t c = make(&f, 0, 0, 0, true);
	append(&f, c, "one two three", false);
	is_int(update(&f, (struct command_stream_update){ .ino = c, .set_consumed = true, .consumed = 6 }), 0, "consumed");
	is_str(from(&f, c, 0), "6:three", "trim what is consumed");
	is_int(update(&f, (struct command_stream_update){ .ino = c, .set_consumed = true, .consumed = 8 }), 0, "consumed: inside a record");
	is_str(from(&f, c, 0), "6:three", "trim: never a part of a record");
	is_int(update(&f, (struct command_stream_update){ .ino = c, .set_consumed = true, .consumed = 7 }), -EINVAL, "consumed: does not go back");
	is_int(update(&f, (struct command_stream_update){ .ino = c, .set_consumed = true, .consumed = 12 }), -EINVAL, "consumed: nor past the end");
	is_int(update(&f, (struct command_stream_update){ .ino = c, .set_start = true, .start = 12 }), -EINVAL, "start: nor that");
	is_int(update(&f, (struct command_stream_update){ .ino = c, .set_start = true, .start = 11 }), 0, "start: up to the end");
	is_str(from(&f, c, 0), "", "start: nothing is left");
	is_int(update(&f, (struct command_stream_update){ .ino = c, .set_start = true, .start = 3 }), 0, "start: does not go back");
	is_int(fixture_record(&f, c).stream.start, 11, "start: stays");
	is_sound(&f, "trim by consumption: the state is sound");
	fixture_close(&f);
}

static void reaping(void)
{
	struct fixture f;

	fixture_open_realm(&f);
	uint64_t s = fixture_make(&f, ROOT_INO, "s", KIND_STREAM);
	for (int i = 0; i < 50; i++)
		append(&f, s, "some record", false);
	fixture_unlink(&f, ROOT_INO, "s", false);
	is_int(append(&f, s, "still open", false), 0, "append: to an unlinked stream");
	is_int(fixture_reap(&f, s), 0, "reap: a stream");
	is_sound(&f, "reap: nothing is left");
	fixture_close(&f);
}

int main(void)
{
	records_are_kept_in_order();
	the_end();
	limits();
	trimming();
	reaping();
	return done_testing();
}
