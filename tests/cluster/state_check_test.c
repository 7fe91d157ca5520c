/* The check of the state: it says nothing of a sound one, whatever was done to it, and names what is wrong with a damaged one. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cluster/state_check.h"
#include "cluster/state_keys.h"
#include "tests/cluster/fixture.h"
#include "tests/tap.h"

struct report { size_t count; uint64_t ino; char text[4096]; };

static void on_report(void *arg, uint64_t ino, const char *text)
{
	struct report *r = arg;
	size_t used = strlen(r->text);

	if (r->count++ == 0)
		r->ino = ino;
	snprintf(r->text + used, sizeof(r->text) - used, "%s\n", text);
}

static struct report check(struct fixture *f, struct state_check *ret_check)
{
	struct report r = { 0 };
	struct state_check c = { .report = on_report, .arg = &r };

	if (state_check(f->state, &c) < 0) {
		printf("Bail out! the check itself failed\n");
		exit(1);
	}
	if (ret_check)
		*ret_check = c;
	else
		free(c.pieces);
	return r;
}

/* ---- a sound state with something of every kind ---- */

static uint64_t folder, sub, inside, blob, head, sparse, stream, task, linkage, orphan;

static void append(struct fixture *f, uint64_t ino, const char *bytes, uint32_t size)
{
	struct command c = { .kind = COMMAND_STREAM_APPEND };

	c.stream_append = (struct command_stream_append){ .ino = ino, .sizes = &size, .count = 1, .bytes = text(bytes) };
	if (fixture_apply(f, &c) < 0)
		abort();
}

/* Block 1 gets a row; the size becomes two blocks and a half, whose last block is a row too. */
static void overwrite(struct fixture *f, uint64_t ino)
{
	struct command_row rows[] = { { .block = 1, .bytes = text("row") }, { .block = 2, .bytes = text("cut") } };
	struct command c = { .kind = COMMAND_COMMIT };

	c.commit = (struct command_commit){ .ino = ino, .size = 2 * BLOCK_SIZE + BLOCK_SIZE / 2, .rows = rows, .row_count = 2 };
	if (fixture_apply(f, &c) < 0)
		abort();
}

static void populate(struct fixture *f)
{
	struct command c = { .kind = COMMAND_SETXATTR };

	fixture_open_realm(f);
	folder = fixture_make(f, ROOT_INO, "folder", KIND_DIRECTORY);
	sub = fixture_make(f, folder, "sub", KIND_DIRECTORY);
	inside = fixture_make(f, sub, "inside", KIND_BLOB);
	fixture_write_inline(f, inside, "content");
	fixture_link(f, inside, ROOT_INO, "second");
	c.setxattr = (struct command_setxattr){ .ino = inside, .key = text("user.a"), .value = text("b") };
	fixture_apply(f, &c);
	blob = fixture_make(f, ROOT_INO, "empty", KIND_BLOB);
	head = fixture_make_head(f, "head", 5 * BLOCK_SIZE, 'h');
	overwrite(f, head);
	sparse = fixture_make_head(f, "sound", 300 * BLOCK_SIZE + 7, 's');
	linkage = fixture_make(f, ROOT_INO, "link", KIND_SYMLINK);
	stream = fixture_make(f, ROOT_INO, "stream", KIND_STREAM);
	append(f, stream, "one", 3);
	append(f, stream, "three", 5);
	task = fixture_make(f, 0, NULL, KIND_TASK);
	orphan = fixture_make(f, ROOT_INO, "gone", KIND_BLOB);
	fixture_unlink(f, ROOT_INO, "gone", false);
}

static void test_sound(struct fixture *f)
{
	struct state_check c;
	struct report r = check(f, &c);

	is_int(r.count, 0, "a sound state has nothing to report");
	if (r.count)
		printf("# %s", r.text);
	is_int(c.problems, 0, "and counts no problem");
	is_int(c.objects, 11, "it counts every object: the root, and those made");
	is_int(c.piece_count, 3, "a piece for each MiB of a head");
	ok(c.piece_count == 3 && c.pieces[0].ino == head && c.pieces[1].ino == sparse && c.pieces[2].mib == 1, "in order");
	is_int(c.piece_bytes, (3 + 301) * BLOCK_SIZE, "and the bytes to verify");
	free(c.pieces);
}

static void test_empty(void)
{
	struct fixture f;

	fixture_open(&f);
	is_int(check(&f, NULL).count, 0, "an empty state is sound");
	fixture_close(&f);
}

/* ---- damage ---- */

static void put(struct fixture *f, const struct state_key *key, const void *value, size_t size)
{
	struct kv_batch *b = kv_batch_new(f->kv);

	if (value)
		kv_batch_put(f->kv, b, key_slice(key), (struct slice){ .data = value, .size = size });
	else
		kv_batch_delete(f->kv, b, key_slice(key));
	if (kv_write(f->kv, b) < 0)
		abort();
	kv_batch_free(f->kv, b);
}

/* Writes (value NULL: deletes) one key, looks for the report, and puts back what was there. */
static void damage(struct fixture *f, const char *what, struct state_key key, const void *value, size_t size, uint64_t ino, const char *expected)
{
	struct buffer before;
	struct report r;

	buffer_init(&before, 1 << 20);
	bool there = kv_get(f->kv, NULL, key_slice(&key), &before) == 0;
	put(f, &key, value, size);
	r = check(f, NULL);
	ok(r.count > 0 && strstr(r.text, expected), "%s: %s", what, expected);
	if (!strstr(r.text, expected))
		printf("# reported: %s\n", r.text[0] ? r.text : "nothing");
	ok(r.count == 0 || ino == 0 || r.ino == ino || strstr(r.text, expected), "%s: of that object", what);
	put(f, &key, there ? (const void *)(before.data ? before.data : (const uint8_t *)"") : NULL, before.size);
	buffer_done(&before);
}

/* The object's record with something changed. */
static void damage_record(struct fixture *f, const char *what, uint64_t ino, void (*change)(struct record *r), const char *expected)
{
	struct record r = fixture_record(f, ino);
	struct buffer encoded;

	buffer_init(&encoded, 1 << 20);
	change(&r);
	record_encode(&r, &encoded);
	damage(f, what, key_ino(KEY_RECORD, ino), encoded.data, encoded.size, ino, expected);
	buffer_done(&encoded);
}

static void more_links(struct record *r) { r->nlink++; }
static void other_name(struct record *r) { r->name.bytes[20] ^= 1; }
static void other_kind(struct record *r) { r->mode = S_IFDIR | 0755; }
static void other_parent(struct record *r) { r->parent = ROOT_INO; }
static void more_entries(struct record *r) { r->entries++; }
static void fewer_cookies(struct record *r) { r->next_cookie = 1; }
static void larger(struct record *r) { r->size++; }
static void more_blocks(struct record *r) { r->blocks++; }
static void more_rows(struct record *r) { r->rows++; }
static void no_rows(struct record *r) { r->rows = 0; }
static void more_trims(struct record *r) { r->trims++; }
static void smaller(struct record *r) { r->size = BLOCK_SIZE; }
static void older(struct record *r) { r->version = 1; }
static void no_orphan(struct record *r) { r->orphan = false; }
static void is_orphan(struct record *r) { r->orphan = true; }
static void longer(struct record *r) { r->stream.end += 4; r->size += 4; }
static void inside_record(struct record *r) { r->stream.start = 1; r->stream.consumed = 1; }
static void backward(struct record *r) { r->stream.start = 9; }
static void more_xattrs(struct record *r) { r->xattr_list_bytes += 3; }
static void other_slot(struct record *r) { r->name.bytes[0] ^= 1; }
static void other_ino(struct record *r) { r->ino++; }

static void test_records(struct fixture *f)
{
	damage(f, "a quota that is cut", key_quota(REALM_FIRST), "half", 4, 0, "the quota cannot be read");
	damage_record(f, "a stream's blocks", stream, more_blocks, "it counts 2 blocks of 512 bytes and has 1");
	damage_record(f, "a link too many", inside, more_links, "it counts 3 links and has 2");
	damage_record(f, "a directory's link too many", folder, more_links, "it counts 4 links and has 3");
	damage_record(f, "another name", inside, other_name, "nothing leads from its name to it");
	damage_record(f, "another slot", inside, other_slot, "not of its slot");
	damage_record(f, "another number", inside, other_ino, "its record says that it is inode");
	damage_record(f, "another kind", inside, other_kind, "don't fit");
	damage_record(f, "another parent", sub, other_parent, "but says that it is in 1");
	damage_record(f, "an entry too many", folder, more_entries, "counts 2 entries and has 1");
	damage_record(f, "cookies to be given again", ROOT_INO, fewer_cookies, "has not been given out yet");
	damage_record(f, "a larger size", inside, larger, "its content has 7 bytes, its record says 8");
	damage_record(f, "more blocks", head, more_blocks, "it counts");
	damage_record(f, "more blocks in all", head, more_blocks, "the totals are wrong");
	damage_record(f, "more rows", head, more_rows, "its rows (2, its record says 3)");
	damage_record(f, "no rows", head, no_rows, "its rows (2, its record says 0)");
	damage_record(f, "more trims", head, more_trims, "trims and has");
	damage_record(f, "a smaller size, rows", head, smaller, "a row past its end: block 1");
	damage_record(f, "a smaller size, checksums", sparse, smaller, "a checksum past its end: block 1");
	damage_record(f, "an older version, rows", head, older, "is of a version to come");
	damage_record(f, "an orphan that is none", orphan, no_orphan, "wrongly in the list of orphans");
	damage_record(f, "none that is an orphan", inside, is_orphan, "missing in the list of orphans");
	damage_record(f, "a longer stream", stream, longer, "its records from 8 to its end at 12 are missing");
	damage_record(f, "a stream cut inside a record", stream, inside_record, "it begins inside a record, at 1");
	damage_record(f, "a stream that ends before it begins", stream, backward, "out of order");
	damage_record(f, "names of attributes", inside, more_xattrs, "its record says 10");
}

static void test_keys(struct fixture *f)
{
	struct record r = fixture_record(f, inside);
	uint8_t row[9 + 3] = { 0, 0, 0, 0, 0, 0, 0, 1, 0, 'r', 'o', 'x' };
	const uint8_t none[8] = { 0x12, 0x34, 0, 0, 0, 0, 0, 99 };
	struct state_key key = key_shard_u64(KEY_META, 7);

	damage(f, "a record gone", key_ino(KEY_RECORD, inside), NULL, 0, 0, "which is not there");
	damage(f, "a record damaged", key_ino(KEY_RECORD, inside), "x", 1, inside, "its record cannot be read: damaged");
	damage(f, "a name gone", key_name(&r.name), NULL, 0, inside, "nothing leads from its name to it");
	damage(f, "a name of nothing", key_name(&(struct name){ .bytes = { 0x12, 0x34, 9 } }), none, 8, 0, "which is not there");
	damage(f, "an entry gone", key_ino_bytes(KEY_ENTRY, sub, text("inside")), NULL, 0, inside, "it counts 2 links and has 1");
	damage(f, "an entry gone, its order left", key_ino_bytes(KEY_ENTRY, sub, text("inside")), NULL, 0, sub, "entries and their order don't agree");
	damage(f, "an order gone", key_ino_u64(KEY_COOKIE, sub, 1), NULL, 0, sub, "entries and their order don't agree");
	damage(f, "an entry damaged", key_ino_bytes(KEY_ENTRY, sub, text("inside")), "x", 1, sub, "its entry 'inside' cannot be read");
	damage(f, "an entry of strange bytes", key_ino_bytes(KEY_ENTRY, sub, text("a\x1b/")), "x", 1, sub, "its entry 'a\\x1b/' cannot be read");
	damage(f, "an entry of no directory", key_ino_bytes(KEY_ENTRY, inside, text("x")), "x", 1, inside, "an entry 'x' of what is no directory");
	damage(f, "a directory's entry gone", key_ino_bytes(KEY_ENTRY, ROOT_INO, text("folder")), NULL, 0, folder, "the directory is in 0 places");
	damage(f, "content gone", key_ino(KEY_INLINE, inside), NULL, 0, inside, "its content of 7 bytes is missing");
	damage(f, "a link's text gone", key_ino(KEY_INLINE, linkage), NULL, 0, linkage, "the symbolic link leads nowhere");
	damage(f, "content of nothing", key_ino(KEY_INLINE, blob + 1000), "x", 1, blob + 1000, "content of what is not there");
	damage(f, "content where the head has it", key_ino(KEY_INLINE, head), "x", 1, head, "where its kind has none");
	damage(f, "a row gone", key_ino_u64(KEY_ROW, head, 1), NULL, 0, head, "its rows (1, its record says 2)");
	damage(f, "a row of other bytes", key_ino_u64(KEY_ROW, head, 1), row, sizeof(row), head, "their checksums don't agree");
	damage(f, "a row damaged", key_ino_u64(KEY_ROW, head, 1), "x", 1, head, "the row of its block 1 cannot be read");
	damage(f, "a row of what has no head", key_ino_u64(KEY_ROW, inside, 0), row, sizeof(row), inside, "a row of what has no head");
	damage(f, "checksums gone", key_ino_u64(KEY_CRC, sparse, 1), NULL, 0, sparse, "it counts");
	damage(f, "checksums damaged", key_ino_u64(KEY_CRC, sparse, 1), "x", 1, sparse, "the checksums of its MiB 1 cannot be read");
	damage(f, "a trim of nothing", key_ino_pair(KEY_TRIM, inside, 1, 1), none, 8, inside, "a trim of what has no head");
	damage(f, "an empty trim", key_ino_pair(KEY_TRIM, head, 1, 1), "\0\0\0\0\0\0\0", 8, head, "a trim that cannot be read");
	damage(f, "an attribute gone", key_ino_bytes(KEY_XATTR, inside, text("user.a")), NULL, 0, inside, "have 0 bytes, its record says 7");
	damage(f, "an attribute of nothing", key_ino_bytes(KEY_XATTR, blob + 1000, text("user.a")), "b", 1, blob + 1000, "attribute of what is not there");
	damage(f, "records of a stream gone", key_ino_u64(KEY_STREAM_INDEX, stream, 0), NULL, 0, stream, "its records from 0 to 3 are missing");
	damage(f, "bytes of a stream gone", key_ino_u64(KEY_STREAM_DATA, stream, 3), NULL, 0, stream, "don't agree with their sizes");
	damage(f, "bytes of a stream short", key_ino_u64(KEY_STREAM_DATA, stream, 3), "thre", 4, stream, "don't agree with their sizes");
	damage(f, "a task not listed", key_shard_u64(KEY_TASK, fixture_record(f, task).made), NULL, 0, task, "missing in the list of tasks");
	damage(f, "a list of tasks with something else", key_shard_u64(KEY_TASK, 12345), none, 8, 0, "in the list of tasks and is not there");
	damage(f, "an orphan not listed", key_shard_u64(KEY_ORPHAN, orphan), NULL, 0, orphan, "missing in the list of orphans");
	damage(f, "an orphan of nothing", key_shard_u64(KEY_ORPHAN, 77), "", 0, 77, "in the list of orphans and is not there");
	damage(f, "rows not listed", key_shard_u64(KEY_UNABSORBED, head), NULL, 0, head, "missing in the list of those with rows");
	damage(f, "no rows, but listed", key_shard_u64(KEY_UNABSORBED, sparse), "", 0, sparse, "wrongly in the list of those with rows");
	damage(f, "a counter set back", key_counter(0), "\0\0\0\0\0\0\0\2", 8, 0, "has not been given out yet: it could be given again");
	key.data[6] = 200;
	damage(f, "a key of an unknown type", key, "", 0, 0, "a key of type 200 that is not understood");
	key = key_ino(KEY_RECORD, inside);
	key.data[5] = 9;
	damage(f, "a key of another realm", key, "", 0, 0, "in a realm 9 that is not there");
	key = (struct state_key){ .size = 3, .data = { 0, 0, 0 } };
	damage(f, "a short key", key, "", 0, 0, "a key of 3 bytes that is not understood");
}

/* Two directories, each in the other: every count is right, only no way leads to them. */
static void cycle_change(struct record *r) { r->parent = sub; }

static void test_cycle(struct fixture *f)
{
	struct report r;
	struct record record = fixture_record(f, folder);
	struct buffer encoded;
	struct state_key key = key_ino(KEY_RECORD, folder);

	buffer_init(&encoded, 1 << 20);
	cycle_change(&record);
	record_encode(&record, &encoded);
	put(f, &key, encoded.data, encoded.size);
	r = check(f, NULL);
	ok(strstr(r.text, "no way leads from the directory up to the root"), "directories in a circle are found");
	record.parent = ROOT_INO;
	buffer_reset(&encoded);
	record_encode(&record, &encoded);
	put(f, &key, encoded.data, encoded.size);
	buffer_done(&encoded);
	is_int(check(f, NULL).count, 0, "what was damaged and put back is sound");
}

static bool stop_at_once(void *arg)
{
	(void)arg;
	return true;
}

int main(void)
{
	struct state_check c = { .report = on_report, .stop = stop_at_once };
	struct fixture f;

	test_empty();
	populate(&f);
	test_sound(&f);
	test_records(&f);
	test_keys(&f);
	test_cycle(&f);
	is_int(state_check(f.state, &c), -EINTR, "the check can be stopped");
	ok(c.pieces == NULL, "and leaves nothing to free");
	fixture_close(&f);
	return done_testing();
}
