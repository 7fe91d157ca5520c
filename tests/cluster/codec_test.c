/* Records, commands and results to bytes and back; bytes that are none. */
#include <string.h>
#include <sys/stat.h>

#include "cluster/codec.h"
#include "tests/cluster/commands.h"
#include "tests/cluster/fixture.h"
#include "tests/tap.h"

#define KINDS_MAX 64

static struct slice slice_of(const struct buffer *b) { return (struct slice){ .data = b->data, .size = b->size }; }

/* Decodes from a block of exactly the size, so that a sanitizer sees every byte read past it. */
static int decode_exact(const uint8_t *data, size_t size, struct command *c)
{
	uint8_t *copy = malloc(size ? size : 1);
	memcpy(copy, data, size);
	int r = command_decode((struct slice){ .data = copy, .size = size }, c);
	if (r == 0)
		command_done(c);
	free(copy);
	return r;
}

static void every_command_comes_back(void)
{
	struct buffer b _cleanup_buffer_;
	struct command c, back;
	unsigned kinds = 0;

	buffer_init(&b, COMMAND_MAX);
	for (unsigned kind = 0; kind < KINDS_MAX; kind++) {
		if (!full_command(kind, &c))
			continue;
		kinds++;
		buffer_reset(&b);
		is_int(command_encode(&c, &b), 0, "%s: encoded", command_name(kind));
		is_int(command_decode(slice_of(&b), &back), 0, "%s: decoded", command_name(kind));
		ok(same_command(&c, &back), "%s: every field comes back", command_name(kind));
		command_done(&back);
	}
	is_int(kinds, 22, "all kinds were tried");
}

static void a_cut_command_is_refused(void)
{
	struct buffer b _cleanup_buffer_;
	struct command c;

	buffer_init(&b, COMMAND_MAX);
	for (unsigned kind = 0; kind < KINDS_MAX; kind++) {
		size_t accepted = 0;
		if (!full_command(kind, &c))
			continue;
		buffer_reset(&b);
		command_encode(&c, &b);
		for (size_t size = 0; size < b.size; size++)
			accepted += decode_exact(b.data, size, &c) == 0;
		is_int(accepted, 0, "%s: cut anywhere it is refused", command_name(kind));
		buffer_append(&b, "", 1);
		is_int(decode_exact(b.data, b.size, &c), -EBADMSG, "%s: a byte more is refused", command_name(kind));
	}
}

static void flipped_bits_do_no_harm(void)
{
	struct buffer b _cleanup_buffer_;
	struct command c;
	struct fixture f;
	unsigned decoded = 0, applied = 0;

	buffer_init(&b, COMMAND_MAX);
	fixture_open_realm(&f);
	uint64_t blob = fixture_make_head(&f, "head", 100000, 'x');
	is_int(blob, 2, "the commands are about an inode that is there");
	for (unsigned kind = 0; kind < KINDS_MAX; kind++) {
		if (!full_command(kind, &c))
			continue;
		c.client = c.seq = c.done_below = c.time_ns = 0;
		buffer_reset(&b);
		command_encode(&c, &b);
		for (size_t bit = 0; bit < b.size * 8; bit++) {
			b.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			if (decode_exact(b.data, b.size, &c) == 0) {
				decoded++;
				applied += fixture_apply_bytes(&f, slice_of(&b)) == 0;
			}
			b.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		}
	}
	ok(decoded > 1000, "%u flips were still commands", decoded);
	is_int(applied, decoded, "each of them can be applied");
	const char *wrong = fixture_check(&f);
	ok(wrong == NULL, "and the state is sound");
	if (wrong)
		printf("# %s\n", wrong);
	fixture_close(&f);
}

/* The bytes of this format, written out by hand from docs/DISK_FORMAT.md: they must not change. */
static void the_bytes_are_as_documented(void)
{
	static const uint8_t want[] = { 0x97, 1, 3, 7, 0xcd, 1, 0x2c, 0, 0xcf, 0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64, 0, 0, 0x83, 1, 1, 2, 0xc4, 1, 'a', 3, 0xc3 };
	struct buffer b _cleanup_buffer_;
	struct command c = { .kind = COMMAND_UNLINK, .client = 7, .seq = 300, .time_ns = 1000000000000000000 };

	buffer_init(&b, COMMAND_MAX);
	c.unlink = (struct command_unlink){ .parent = 1, .entry = text("a"), .directory = true };
	command_encode(&c, &b);
	ok(b.size == sizeof(want) && memcmp(b.data, want, sizeof(want)) == 0, "UNLINK as bytes");
	is_int(command_decode((struct slice){ want, sizeof(want) }, &c), 0, "and back");
	command_done(&c);
}

static void what_newer_versions_say(void)
{
	static const struct { const char *what; uint8_t bytes[32]; size_t size; int want; } cases[] = {
		{ "a newer version", { 0x97, 2, 3, 0, 0, 0, 0, 0x80 }, 8, -ENOTSUP },
		{ "an unknown kind", { 0x97, 1, 99, 0, 0, 0, 0, 0x80 }, 8, -ENOTSUP },
		{ "a kind that fits no table", { 0x97, 1, 0xcf, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0x80 }, 16, -ENOTSUP },
		{ "unknown keys, whatever is in them", { 0x97, 1, 10, 0, 0, 0, 0, 0x84, 1, 5, 50, 0x92, 0x81, 0xa1, 'x', 0xc0, 0xca, 0, 0, 0, 0, 60, 0xd4, 1, 2, 100, 0xc7, 0, 9 }, 29, 0 },
		{ "keys in another order", { 0x97, 1, 2, 0, 0, 0, 0, 0x82, 2, 5, 1, 5 }, 12, -EBADMSG },
		{ "a key twice", { 0x97, 1, 10, 0, 0, 0, 0, 0x82, 1, 5, 1, 5 }, 12, -EBADMSG },
		{ "a string for a number", { 0x97, 1, 10, 0, 0, 0, 0, 0x81, 1, 0xa1, 'x' }, 11, -EBADMSG },
		{ "a negative number for an unsigned one", { 0x97, 1, 10, 0, 0, 0, 0, 0x81, 1, 0xff }, 10, -EBADMSG },
		{ "an enum that is none", { 0x97, 1, 13, 0, 0, 0, 0, 0x81, 2, 3 }, 10, -EBADMSG },
		{ "a name of 3 bytes", { 0x97, 1, 1, 0, 0, 0, 0, 0x81, 3, 0xc4, 3, 1, 2, 3 }, 14, -EBADMSG },
		{ "four billion inodes", { 0x97, 1, 9, 0, 0, 0, 0, 0x81, 64, 0xdd, 0xff, 0xff, 0xff, 0xff }, 14, -EBADMSG },
		{ "four billion fields", { 0x97, 1, 9, 0, 0, 0, 0, 0xdf, 0xff, 0xff, 0xff, 0xff }, 12, -EBADMSG },
		{ "four billion bytes to skip", { 0x97, 1, 9, 0, 0, 0, 0, 0x81, 50, 0xc6, 0xff, 0xff, 0xff, 0xff }, 14, -EBADMSG },
		{ "four billion elements to skip", { 0x97, 1, 9, 0, 0, 0, 0, 0x81, 50, 0xdd, 0xff, 0xff, 0xff, 0xff }, 14, -EBADMSG },
		{ "a map of four billion to skip", { 0x97, 1, 9, 0, 0, 0, 0, 0x81, 50, 0xdf, 0xff, 0xff, 0xff, 0xff }, 14, -EBADMSG },
		{ "a list of another command", { 0x97, 1, 10, 0, 0, 0, 0, 0x82, 1, 5, 64, 0x90 }, 12, 0 },
		{ "a bitmap without a tail", { 0x97, 1, 7, 0, 0, 0, 0, 0x81, 67, 0xc4, 1, 0xff }, 12, -EBADMSG },
		{ "checksums of 3 bytes", { 0x97, 1, 7, 0, 0, 0, 0, 0x81, 66, 0xc4, 3, 1, 2, 3 }, 14, -EBADMSG },
		{ "a row of three", { 0x97, 1, 7, 0, 0, 0, 0, 0x81, 64, 0x91, 0x93, 1, 2, 3 }, 14, -EBADMSG },
		{ "a row in side file 0", { 0x97, 1, 7, 0, 0, 0, 0, 0x81, 64, 0x91, 0x95, 1, 0, 3, 4, 5 }, 16, -EBADMSG },
	};
	struct command c;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_int(decode_exact(cases[i].bytes, cases[i].size, &c), cases[i].want, "decode: %s", cases[i].what);
}

static void deep_nesting_is_skipped(void)
{
	enum { DEPTH = 200000 };
	static const uint8_t header[] = { 0x97, 1, 10, 0, 0, 0, 0, 0x82, 1, 5, 50 };
	uint8_t *deep = malloc(sizeof(header) + DEPTH + 1);
	struct command c;

	memcpy(deep, header, sizeof(header));
	memset(deep + sizeof(header), 0x91, DEPTH);
	deep[sizeof(header) + DEPTH] = 0xc0;
	is_int(decode_exact(deep, sizeof(header) + DEPTH + 1, &c), 0, "decode: 200,000 arrays in one another take no stack");
	free(deep);
}

static void what_is_too_long_is_not_encoded(void)
{
	static const uint8_t large[TASK_SPEC_MAX + 1];
	struct buffer b _cleanup_buffer_;
	struct command c;

	buffer_init(&b, 2 * COMMAND_MAX);
	buffer_append(&b, "kept", 4);
	full_command(COMMAND_CREATE, &c);
	c.create.spec = (struct slice){ .data = large, .size = sizeof(large) };
	is_int(command_encode(&c, &b), -EINVAL, "encode: a specification that is too long");
	full_command(COMMAND_CREATE, &c);
	c.create.kind = 7;
	is_int(command_encode(&c, &b), -EINVAL, "encode: a kind that is none");
	full_command(COMMAND_REAP, &c);
	c.reap.count = COMMAND_INODES_MAX + 1;
	is_int(command_encode(&c, &b), -EINVAL, "encode: too many inodes");
	c.kind = 99;
	is_int(command_encode(&c, &b), -EINVAL, "encode: an unknown kind");
	struct command_patch *patches = calloc(20, sizeof(*patches));
	for (size_t i = 0; i < 20; i++)
		patches[i].bytes = (struct slice){ .data = large, .size = TASK_SPEC_MAX };
	full_command(COMMAND_COMMIT, &c);
	c.commit.patches = patches;
	c.commit.patch_count = 20;
	is_int(command_encode(&c, &b), -EMSGSIZE, "encode: more than a command may have");
	free(patches);
	ok(b.size == 4 && memcmp(b.data, "kept", 4) == 0 && buffer_error(&b) == 0, "encode: what was refused left nothing in the buffer");
	struct buffer small _cleanup_buffer_;
	buffer_init(&small, 10);
	full_command(COMMAND_CREATE, &c);
	is_int(command_encode(&c, &small), -ENOBUFS, "encode: into a buffer that is too small");
}

static struct record full_record(void)
{
	return (struct record){ .ino = UINT64_MAX, .name = { { 1, 2, 3, [31] = 4 } }, .realm = 5, .kind = KIND_SPECIAL, .mode = S_IFCHR | 07777, .uid = 6, .gid = 7, .nlink = 8,
		.rdev = 9, .size = 10, .blocks = 11, .version = 12, .atime_ns = -13, .mtime_ns = INT64_MIN, .ctime_ns = INT64_MAX, .btime_ns = 16, .lifecycle = LIFECYCLE_IMMORTAL,
		.flags = 31, .place = PLACE_HEAD, .produced = PRODUCED_FAILED, .read_consistency = CONSISTENCY_MUTEX, .write_consistency = CONSISTENCY_EVENTUAL, .replicas = 17,
		.stage_seq = 18, .cap_epoch = 19, .parent = 20, .entries = 21, .next_cookie = 22, .made = 23, .orphan = true, .rows = 24, .trims = 25, .xattr_list_bytes = 26,
		.creator = { { 27 } }, .stream = { 28, 29, 30, 31, 32, 33, -34, true, true, true, 35 }, .task = { TASK_LOST, -36, 37, 38, { { 39 } } } };
}

static bool same_record(const struct record *a, const struct record *b)
{
	/* Field by field, since a struct has padding. */
#define EQ(m) (a->m == b->m)
	return EQ(ino) && name_equal(&a->name, &b->name) && EQ(realm) && EQ(kind) && EQ(mode) && EQ(uid) && EQ(gid) && EQ(nlink) && EQ(rdev) && EQ(size) && EQ(blocks) &&
		EQ(version) && EQ(atime_ns) && EQ(mtime_ns) && EQ(ctime_ns) && EQ(btime_ns) && EQ(lifecycle) && EQ(flags) && EQ(place) && EQ(produced) &&
		EQ(read_consistency) && EQ(write_consistency) && EQ(replicas) && EQ(stage_seq) && EQ(cap_epoch) && EQ(parent) && EQ(entries) && EQ(next_cookie) &&
		EQ(made) && EQ(orphan) && EQ(rows) && EQ(trims) && EQ(xattr_list_bytes) && name_equal(&a->creator, &b->creator) && EQ(stream.start) && EQ(stream.end) &&
		EQ(stream.consumed) && EQ(stream.records) && EQ(stream.limit_bytes) && EQ(stream.trim_bytes) && EQ(stream.trim_age_ns) && EQ(stream.trim_consumed) &&
		EQ(stream.ended) && EQ(stream.broken) && EQ(stream.chunk) && EQ(task.state) && EQ(task.exit_status) && EQ(task.start_ns) && EQ(task.end_ns) &&
		name_equal(&a->task.job, &b->task.job);
#undef EQ
}

static void records(void)
{
	struct buffer b _cleanup_buffer_;
	struct record r = full_record(), back;
	size_t accepted = 0;

	buffer_init(&b, RECORD_SIZE_MAX);
	record_encode(&r, &b);
	is_int(buffer_error(&b), 0, "record: encoded");
	is_int(record_decode(slice_of(&b), &back), 0, "record: decoded");
	ok(same_record(&r, &back), "record: every field comes back");
	for (size_t size = 0; size < b.size; size++)
		accepted += record_decode((struct slice){ b.data, size }, &back) == 0;
	is_int(accepted, 0, "record: cut anywhere it is refused");
	for (size_t bit = 0; bit < b.size * 8; bit++) {
		b.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		record_decode(slice_of(&b), &back);
		b.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	ok(record_decode(slice_of(&b), &back) == 0, "record: flipped bits do no harm");
	r = (struct record){ .ino = 1, .kind = KIND_BLOB };
	buffer_reset(&b);
	record_encode(&r, &b);
	static const uint8_t want[] = { 0x92, 1, 0x82, 1, 1, 4, 1 };
	ok(b.size == sizeof(want) && memcmp(b.data, want, sizeof(want)) == 0, "record: as documented; zeros are left out");
	is_int(record_decode((struct slice){ (const uint8_t *)"\x92\x01\x80", 3 }, &back), -EBADMSG, "record: without inode");
	is_int(record_decode((struct slice){ (const uint8_t *)"\x92\x02\x82\x01\x01\x04\x01", 7 }, &back), -ENOTSUP, "record: of a newer version");
}

static void results(void)
{
	struct buffer b _cleanup_buffer_;
	struct result r = { .error = -EEXIST, .touched = { 1, 2, UINT64_MAX }, .touched_count = 3, .has_record = true, .record = full_record(), .orphaned = 5, .offset = 6 }, back;
	size_t accepted = 0;

	buffer_init(&b, 4096);
	result_encode(&r, &b);
	is_int(result_decode(slice_of(&b), &back), 0, "result: decoded");
	ok(back.error == r.error && back.touched_count == 3 && memcmp(back.touched, r.touched, sizeof(r.touched)) == 0 && back.has_record && back.orphaned == 5 && back.offset == 6 &&
		same_record(&r.record, &back.record), "result: every field comes back");
	for (size_t size = 0; size < b.size; size++)
		accepted += result_decode((struct slice){ b.data, size }, &back) == 0;
	is_int(accepted, 0, "result: cut anywhere it is refused");
	for (size_t bit = 0; bit < b.size * 8; bit++) {
		b.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		result_decode(slice_of(&b), &back);
		b.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	ok(result_decode(slice_of(&b), &back) == 0, "result: flipped bits do no harm");
	r = (struct result){ 0 };
	buffer_reset(&b);
	result_encode(&r, &b);
	is_int(result_decode(slice_of(&b), &back), 0, "result: an empty one");
	ok(!back.has_record && back.error == 0, "result: comes back empty");
}

int main(void)
{
	every_command_comes_back();
	a_cut_command_is_refused();
	flipped_bits_do_no_harm();
	the_bytes_are_as_documented();
	what_newer_versions_say();
	deep_nesting_is_skipped();
	what_is_too_long_is_not_encoded();
	records();
	results();
	return done_testing();
}
