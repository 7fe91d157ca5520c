/* QUOTA, and what it refuses: what grows past a limit, whole, and nothing else. */
#include <stdio.h>
#include <string.h>

#include "tests/cluster/fixture.h"
#include "tests/tap.h"

#define is_sound(f, what) do { const char *_wrong = fixture_check(f); if (!ok(_wrong == NULL, "%s", what)) printf("# %s\n", _wrong); } while (0)

static int set_quota(struct fixture *f, uint32_t realm, uint64_t bytes, uint64_t objects)
{
	struct command c = { .kind = COMMAND_QUOTA, .quota = { .realm = realm, .bytes = bytes, .objects = objects } };
	return fixture_apply(f, &c);
}

static struct state_usage usage(struct fixture *f)
{
	struct state_usage u = { 0 };

	if (state_get_usage(f->state, REALM_FIRST, &u) < 0)
		abort();
	return u;
}

static int commit(struct fixture *f, struct command_commit commit)
{
	struct command c = { .kind = COMMAND_COMMIT };
	c.commit = commit;
	return fixture_apply(f, &c);
}

static int append(struct fixture *f, uint64_t ino, uint32_t size)
{
	static const uint8_t bytes[4096];
	struct command c = { .kind = COMMAND_STREAM_APPEND };
	c.stream_append = (struct command_stream_append){ .ino = ino, .sizes = &size, .count = 1, .bytes = { bytes, size } };
	return fixture_apply(f, &c);
}

static void limits(void)
{
	struct fixture f;

	fixture_open_realm(&f);
	struct state_usage u = usage(&f);
	ok(u.limit.bytes == 0 && u.limit.objects == 0 && u.used.bytes == 0 && u.used.objects == 1, "a new realm has no quota, and a root");
	is_int(set_quota(&f, 2, 1, 1), -ENOENT, "no other realm");
	is_int(set_quota(&f, REALM_FIRST, UINT64_MAX, 7), 0, "both limits");
	fixture_reopen(&f);
	u = usage(&f);
	ok(u.limit.bytes == UINT64_MAX && u.limit.objects == 7, "they are kept");
	is_sound(&f, "the state is sound");
	is_int(set_quota(&f, REALM_FIRST, 0, 0), 0, "taken away");
	fixture_reopen(&f);
	u = usage(&f);
	ok(u.limit.bytes == 0 && u.limit.objects == 0, "they are gone");
	is_int(state_get_usage(f.state, 2, &u), -ENOENT, "there is no use of a realm that is not there");
	fixture_close(&f);
}

static void objects(void)
{
	struct fixture f;
	uint64_t ino;

	fixture_open_realm(&f);
	uint64_t a = fixture_make(&f, ROOT_INO, "a", KIND_BLOB);
	fixture_make(&f, ROOT_INO, "b", KIND_DIRECTORY);
	set_quota(&f, REALM_FIRST, 0, 3);
	is_int(fixture_create(&f, ROOT_INO, "c", KIND_BLOB, &ino), -EDQUOT, "quota_decided_in_apply: one object more");
	is_int(fixture_create(&f, ROOT_INO, "c", KIND_DIRECTORY, &ino), -EDQUOT, "a directory is one too");
	ok(fixture_lookup(&f, ROOT_INO, "c") == 0 && fixture_record(&f, ROOT_INO).entries == 2, "nothing is left of it");
	is_int(fixture_create(&f, ROOT_INO, "a", KIND_BLOB, &ino), -EEXIST, "what is there comes first");
	is_int(fixture_link(&f, a, ROOT_INO, "d"), 0, "a link is none");
	is_int(fixture_rename(&f, ROOT_INO, "d", ROOT_INO, "e", 0), 0, "a rename makes none");
	is_int(fixture_write_inline(&f, a, "text"), 0, "bytes are not limited");
	fixture_unlink(&f, ROOT_INO, "b", true);
	is_int(fixture_create(&f, ROOT_INO, "c", KIND_BLOB, &ino), -EDQUOT, "what is unlinked counts until it is freed");
	fixture_close(&f);

	fixture_open_realm(&f);
	uint64_t b = fixture_make(&f, ROOT_INO, "b", KIND_BLOB);
	fixture_unlink(&f, ROOT_INO, "b", false);
	set_quota(&f, REALM_FIRST, 0, 2);
	is_int(fixture_create(&f, ROOT_INO, "c", KIND_BLOB, &ino), -EDQUOT, "an orphan holds its place");
	is_int(fixture_reap(&f, b), 0, "it is freed");
	is_int(fixture_create(&f, ROOT_INO, "c", KIND_BLOB, &ino), 0, "and there is room");
	set_quota(&f, REALM_FIRST, 0, 1);
	is_int(fixture_unlink(&f, ROOT_INO, "c", false), 0, "deleting works above the limit");
	is_sound(&f, "the state is sound");
	fixture_close(&f);
}

static void bytes(void)
{
	struct command_row grow = { .block = 4, .bytes = text("new") }, over = { .block = 1, .bytes = text("over") };
	struct command_row grow_over[] = { { .block = 1, .bytes = text("x") }, { .block = 4, .bytes = text("y") } };
	struct fixture f;

	fixture_open_realm(&f);
	uint64_t head = fixture_make_head(&f, "head", 4 * BLOCK_SIZE, 'h'), small = fixture_make(&f, ROOT_INO, "small", KIND_BLOB);
	fixture_write_inline(&f, small, "text");
	is_int((long)usage(&f).used.bytes, 4 * BLOCK_SIZE + 512, "used: what du counts");
	set_quota(&f, REALM_FIRST, 5 * BLOCK_SIZE, 0);
	is_int(commit(&f, (struct command_commit){ .ino = head, .size = 5 * BLOCK_SIZE, .rows = &grow, .row_count = 1 }), -EDQUOT, "quota_decided_in_apply: a block more");
	is_int(commit(&f, (struct command_commit){ .ino = head, .size = 5 * BLOCK_SIZE, .rows = grow_over, .row_count = 2 }), -EDQUOT, "nor together with what would go");
	struct record r = fixture_record(&f, head);
	ok(r.size == 4 * BLOCK_SIZE && r.blocks == 32 && r.rows == 0 && r.version == 1, "nothing of it is done");
	is_int(commit(&f, (struct command_commit){ .ino = head, .size = 4 * BLOCK_SIZE, .rows = &over, .row_count = 1 }), 0, "overwriting goes on");
	is_int(commit(&f, (struct command_commit){ .ino = head, .size = 400 * BLOCK_SIZE }), 0, "a hole takes nothing");
	is_int(commit(&f, (struct command_commit){ .ino = small, .size = 3584 }), 0, "up to the limit");
	is_int(commit(&f, (struct command_commit){ .ino = small, .size = 4096 }), 0, "to the byte");
	is_int(commit(&f, (struct command_commit){ .ino = small, .size = 4097 }), -EDQUOT, "and no further");
	set_quota(&f, REALM_FIRST, 1000, 0);
	is_int(commit(&f, (struct command_commit){ .ino = small, .size = 4000 }), 0, "less than it was, above the limit");
	is_int(commit(&f, (struct command_commit){ .ino = small, .size = 5000 }), -EDQUOT, "more than it was, above the limit");
	is_int(commit(&f, (struct command_commit){ .ino = head, .size = 390 * BLOCK_SIZE, .rows = &grow, .row_count = 1 }), -EDQUOT, "a row in a hole");
	is_int(commit(&f, (struct command_commit){ .ino = head, .size = 390 * BLOCK_SIZE, .rows = &grow, .row_count = 1, .taken_in = true }), 0, "unless it was taken in before");
	is_int(fixture_unlink(&f, ROOT_INO, "head", false), 0, "deleting works");
	fixture_reap(&f, head);
	is_int(commit(&f, (struct command_commit){ .ino = small, .size = 1 }), 0, "so does cutting");
	is_int((long)usage(&f).used.bytes, 512, "what is given back is there");
	is_int(commit(&f, (struct command_commit){ .ino = small, .size = 513 }), -EDQUOT, "a part of 512 bytes is none");
	is_sound(&f, "the state is sound");
	fixture_close(&f);
}

static void streams(void)
{
	struct fixture f;

	fixture_open_realm(&f);
	uint64_t s = fixture_make(&f, ROOT_INO, "s", KIND_STREAM);
	struct command c = { .kind = COMMAND_STREAM_UPDATE };
	c.stream_update = (struct command_stream_update){ .ino = s, .set_limits = true, .limit_bytes = 1 << 20, .trim_bytes = 2048 };
	fixture_apply(&f, &c);
	set_quota(&f, REALM_FIRST, 2048, 0);
	is_int(append(&f, s, 1024), 0, "a record");
	is_int(append(&f, s, 1024), 0, "and another, to the limit");
	is_int(append(&f, s, 1024), 0, "a stream that keeps no more than it has goes on");
	is_int(append(&f, s, 2048), 0, "and on");
	is_int(append(&f, s, 4096), -EDQUOT, "quota_decided_in_apply: a record that does not fit");
	is_int((long)fixture_record(&f, s).stream.end, 5120, "nothing of it is there");
	is_sound(&f, "the state is sound");
	fixture_close(&f);
}

int main(void)
{
	limits();
	objects();
	bytes();
	streams();
	return done_testing();
}
