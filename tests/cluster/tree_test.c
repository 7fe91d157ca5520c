/* CREATE, LINK, UNLINK, RENAME, REAP, DELETE and reading of directories. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/cluster/fixture.h"
#include "tests/tap.h"

#define is_sound(f, what) do { const char *_wrong = fixture_check(f); if (!ok(_wrong == NULL, "%s", what)) printf("# %s\n", _wrong); } while (0)

static void create_makes_an_object(void)
{
	struct fixture f;
	struct record r;
	uint64_t ino, found;

	fixture_open_realm(&f);
	struct record before = fixture_record(&f, ROOT_INO);
	ino = fixture_make(&f, ROOT_INO, "a", KIND_BLOB);
	r = fixture_record(&f, ino);
	is_int(ino, 2, "the first inode after the root has counter 2");
	is_int(fixture_lookup(&f, ROOT_INO, "a"), ino, "create: the entry leads to the object");
	is_int(r.nlink, 1, "create: one link");
	is_int(r.uid, 1000, "create: owner");
	is_int(r.mode, S_IFREG | 0644, "create: mode");
	is_int(r.version, 0, "create: version 0");
	is_int(r.btime_ns, f.now_ns, "create: the time is the command's");
	is_int(r.made, f.index, "create: knows the log entry that made it");
	ok(f.result.has_record && f.result.record.ino == ino, "create: the result has the record");
	is_int(f.result.touched_count, 2, "create: object and directory are reported");
	is_int(state_find_name(f.state, &r.name, &found), 0, "create: the name is found");
	is_int(found, ino, "create: the name leads to the object");
	r = fixture_record(&f, ROOT_INO);
	ok(r.entries == 1 && r.mtime_ns == f.now_ns && r.ctime_ns == f.now_ns && r.mtime_ns > before.mtime_ns, "create: the directory's entries and times");
	is_int(fixture_make(&f, ROOT_INO, "d", KIND_DIRECTORY), 3, "counters go on");
	is_int(fixture_record(&f, ROOT_INO).nlink, 3, "mkdir: the parent gains a link");
	is_int(fixture_record(&f, 3).nlink, 2, "mkdir: two links");
	is_int(fixture_record(&f, 3).parent, ROOT_INO, "mkdir: knows its parent");
	is_int(fixture_create(&f, ROOT_INO, "a", KIND_BLOB, &ino), -EEXIST, "create: an existing name is refused");
	is_int(fixture_create(&f, 77, "a", KIND_BLOB, &ino), -ENOENT, "create: in a directory that is not there");
	is_int(fixture_create(&f, 2, "b", KIND_BLOB, &ino), -ENOTDIR, "create: in a file");
	is_sound(&f, "create: the state is sound");
	fixture_close(&f);
}

static int create_with(struct fixture *f, struct command_create create)
{
	struct command c = { .kind = COMMAND_CREATE };
	c.create = create;
	return fixture_apply(f, &c);
}

static void create_refuses_nonsense(void)
{
	struct fixture f;
	char longest[NAME_MAX_BYTES + 2];

	fixture_open_realm(&f);
	struct command_create good = { .parent = ROOT_INO, .entry = text("x"), .kind = KIND_BLOB, .mode = S_IFREG | 0600, .name = fixture_name(&f, 0) };
	static const char *const bad_names[] = { "", ".", "..", "a/b" };
	for (size_t i = 0; i < 4; i++) {
		struct command_create c = good;
		c.entry = text(bad_names[i]);
		is_int(create_with(&f, c), -EINVAL, "create: the name '%s' is refused", bad_names[i]);
	}
	struct command_create c = good;
	c.entry = (struct slice){ .data = (const uint8_t *)"a\0b", .size = 3 };
	is_int(create_with(&f, c), -EINVAL, "create: a name with NUL is refused");
	memset(longest, 'n', sizeof(longest));
	c.entry = (struct slice){ .data = (const uint8_t *)longest, .size = 256 };
	is_int(create_with(&f, c), -ENAMETOOLONG, "create: 256 bytes are too many");
	c.entry.size = 255;
	is_int(create_with(&f, c), 0, "create: 255 bytes are not");
	is_int(create_with(&f, c), -EEXIST, "create: and are found again");
	c = good;
	is_int((c.name = fixture_name(&f, 9), create_with(&f, c)), -EXDEV, "create: a name of another slot than the directory's");
	c = good;
	is_int((c.mode = S_IFDIR | 0600, create_with(&f, c)), -EINVAL, "create: a mode that does not fit the kind");
	c = good;
	is_int((c.kind = KIND_SYMLINK, c.mode = S_IFLNK | 0777, create_with(&f, c)), -EINVAL, "create: a symbolic link without target");
	c = good;
	is_int((c.name = (struct name){ { 0 } }, create_with(&f, c)), -EINVAL, "create: without a name");
	c = good;
	is_int((c.orphan = true, create_with(&f, c)), -EINVAL, "create: an orphan with a path");
	c = good;
	c.parent = 0;
	is_int(create_with(&f, c), -EINVAL, "create: an entry without a directory");
	c = good;
	c.name = fixture_name(&f, 0);
	is_int(create_with(&f, c), 0, "create: and the good one is fine");
	c.entry = text("y");
	is_int(create_with(&f, c), -EEXIST, "create: the same object name once more");
	is_sound(&f, "after refusals the state is sound");
	fixture_close(&f);
}

static void objects_without_path(void)
{
	struct fixture f;
	struct name name;
	uint64_t ino, orphan;

	fixture_open_realm(&f);
	ino = fixture_make(&f, 0, NULL, KIND_STREAM);
	is_int(ino >> 48, 0x1234, "without a path: the slot is the name's");
	is_int(ino & 0xffffffffffff, 2, "without a path: each slot counts from 2");
	is_int(fixture_record(&f, ino).nlink, 0, "without a path: no link");
	ok(!fixture_record(&f, ino).orphan, "without a path: it stays under its name");
	name = fixture_name(&f, 5);
	is_int(create_with(&f, (struct command_create){ .kind = KIND_BLOB, .mode = S_IFREG | 0600, .name = name, .orphan = true }), 0, "an object in use only");
	orphan = f.result.record.ino;
	is_int(f.result.orphaned, orphan, "in use only: it is reported as orphaned");
	ok(fixture_record(&f, orphan).orphan, "in use only: it is an orphan");
	is_int(create_with(&f, (struct command_create){ .kind = KIND_DIRECTORY, .mode = S_IFDIR | 0700, .name = fixture_name(&f, 5) }), -EINVAL, "a directory needs a path");
	is_int(fixture_link(&f, ino, ROOT_INO, "s"), -EXDEV, "link: across slots");
	is_int(fixture_reap(&f, ino), 0, "reap: of what is no orphan");
	is_int(fixture_record(&f, ino).ino, ino, "reap: does nothing to it");
	is_int(fixture_reap(&f, orphan), 0, "reap: an orphan");
	is_int(fixture_record(&f, orphan).ino, 0, "reap: it is gone");
	ok(state_find_name(f.state, &name, &orphan) == -ENOENT, "reap: its name too");
	is_int(create_with(&f, (struct command_create){ .kind = KIND_BLOB, .mode = S_IFREG | 0600, .name = fixture_name(&f, 5) }), 0, "another in that slot");
	is_int(f.result.record.ino & 0xffffffffffff, 3, "inode numbers are not used again");
	is_sound(&f, "objects without path: the state is sound");
	fixture_close(&f);
}

static void link_and_unlink(void)
{
	struct fixture f;
	uint64_t a, d;

	fixture_open_realm(&f);
	a = fixture_make(&f, ROOT_INO, "a", KIND_BLOB);
	d = fixture_make(&f, ROOT_INO, "d", KIND_DIRECTORY);
	is_int(fixture_link(&f, a, d, "b"), 0, "link: into another directory");
	is_int(f.result.record.nlink, 2, "link: two links now");
	is_int(fixture_record(&f, a).ctime_ns, f.now_ns, "link: ctime");
	is_int(fixture_link(&f, a, d, "b"), -EEXIST, "link: over an existing name");
	is_int(fixture_link(&f, d, ROOT_INO, "e"), -EPERM, "link: to a directory");
	is_int(fixture_link(&f, 99, ROOT_INO, "e"), -ENOENT, "link: to nothing");
	is_int(fixture_unlink(&f, ROOT_INO, "x", false), -ENOENT, "unlink: what is not there");
	is_int(fixture_unlink(&f, ROOT_INO, "d", false), -EISDIR, "unlink: a directory");
	is_int(fixture_unlink(&f, ROOT_INO, "a", true), -ENOTDIR, "rmdir: a file");
	is_int(fixture_unlink(&f, ROOT_INO, "d", true), -ENOTEMPTY, "rmdir: a directory with an entry");
	is_int(fixture_unlink(&f, a, "d", true), -ENOTDIR, "rmdir: in a file");
	is_int(fixture_unlink(&f, ROOT_INO, "a", false), 0, "unlink: one of two links");
	is_int(f.result.orphaned, 0, "unlink: no orphan yet");
	is_int(f.result.record.nlink, 1, "unlink: the result has the object");
	is_int(fixture_unlink(&f, d, "b", false), 0, "unlink: the last link");
	is_int(f.result.orphaned, a, "unlink: an orphan now");
	ok(fixture_record(&f, a).orphan, "unlink: the object is still there");
	is_sound(&f, "with an orphan the state is sound");
	is_int(fixture_unlink(&f, ROOT_INO, "d", true), 0, "rmdir: an empty directory");
	is_int(f.result.orphaned, d, "rmdir: somebody may be in it");
	is_int(fixture_record(&f, ROOT_INO).nlink, 2, "rmdir: the parent loses a link");
	is_int(fixture_create(&f, d, "x", KIND_BLOB, &a), -ENOENT, "create: in a removed directory");
	uint64_t both[] = { d, 2, d };
	struct command c = { .kind = COMMAND_REAP };
	c.reap = (struct command_reap){ .inos = both, .count = 3 };
	is_int(fixture_apply(&f, &c), 0, "reap: several, one twice");
	is_int(fixture_record(&f, d).ino + fixture_record(&f, 2).ino, 0, "reap: they are gone");
	is_sound(&f, "after reaping the state is sound");
	fixture_close(&f);
}

static int unlink_unused(struct fixture *f, const char *entry, uint64_t unused)
{
	struct command c = { .kind = COMMAND_UNLINK };

	c.unlink = (struct command_unlink){ .parent = ROOT_INO, .entry = text(entry), .unused = unused };
	return fixture_apply(f, &c);
}

static void unlink_frees_what_is_unused(void)
{
	struct fixture f;
	uint64_t a, b, found;

	fixture_open_realm(&f);
	a = fixture_make(&f, ROOT_INO, "a", KIND_BLOB);
	b = fixture_make(&f, ROOT_INO, "b", KIND_BLOB);
	struct record before = fixture_record(&f, a);
	is_int(fixture_link(&f, a, ROOT_INO, "c"), 0, "two links");
	is_int(unlink_unused(&f, "a", a), 0, "unlink of an unused one: not its last link");
	is_int(fixture_record(&f, a).nlink, 1, "it stays");
	is_int(unlink_unused(&f, "c", a), 0, "unlink of an unused one: its last link");
	is_int(f.result.orphaned, 0, "it is no orphan");
	ok(f.result.record.ino == a && f.result.record.nlink == 0, "the result says that it went");
	is_int(fixture_record(&f, a).ino, 0, "it is gone");
	is_int(state_find_name(f.state, &before.name, &found), -ENOENT, "its name too");
	is_sound(&f, "nothing of it is left");
	is_int(unlink_unused(&f, "b", a), 0, "the entry leads to another one by now");
	is_int(f.result.orphaned, b, "which becomes an orphan");
	is_int(fixture_record(&f, b).ino, b, "and stays");
	is_sound(&f, "with it the state is sound");
	fixture_close(&f);
}

static void link_saves_an_orphan(void)
{
	struct fixture f;

	fixture_open_realm(&f);
	is_int(create_with(&f, (struct command_create){ .kind = KIND_BLOB, .mode = S_IFREG | 0600, .name = fixture_name(&f, 0), .orphan = true }), 0, "O_TMPFILE: made");
	uint64_t ino = f.result.record.ino;
	is_int(fixture_link(&f, ino, ROOT_INO, "kept"), 0, "O_TMPFILE: gets a name");
	ok(!fixture_record(&f, ino).orphan && fixture_record(&f, ino).nlink == 1, "O_TMPFILE: is no orphan any more");
	is_int(fixture_reap(&f, ino), 0, "a reap that comes too late");
	is_int(fixture_lookup(&f, ROOT_INO, "kept"), ino, "does nothing");
	is_sound(&f, "O_TMPFILE: the state is sound");
	fixture_close(&f);
}

static void lifecycles(void)
{
	struct fixture f;
	struct command_create create = { .parent = ROOT_INO, .entry = text("i"), .kind = KIND_BLOB, .mode = S_IFREG | 0600, .lifecycle = LIFECYCLE_IMMORTAL };
	struct command c = { .kind = COMMAND_DELETE };

	fixture_open_realm(&f);
	create.name = fixture_name(&f, 0);
	is_int(create_with(&f, create), 0, "immortal: made");
	c.remove.ino = f.result.record.ino;
	is_int(fixture_apply(&f, &c), -EPERM, "immortal: delete is refused");
	is_int(fixture_unlink(&f, ROOT_INO, "i", false), 0, "immortal: its path may go");
	is_int(f.result.orphaned, 0, "immortal: it is no orphan");
	is_int(fixture_record(&f, c.remove.ino).nlink, 0, "immortal: it stays under its name");

	create = (struct command_create){ .kind = KIND_BLOB, .mode = S_IFREG | 0600, .lifecycle = LIFECYCLE_SINGLE_DELETE, .name = fixture_name(&f, 3) };
	is_int(create_with(&f, create), 0, "single-delete: made");
	c = (struct command){ .kind = COMMAND_DELETE };
	c.remove.ino = f.result.record.ino;
	is_int(fixture_apply(&f, &c), 0, "single-delete: deleted");
	is_int(f.result.orphaned, c.remove.ino, "single-delete: an orphan");
	c.seq = 0, c.time_ns = 0;
	is_int(fixture_apply(&f, &c), 0, "delete: once more does nothing");
	is_int(f.result.orphaned, 0, "delete: nothing");
	c = (struct command){ .kind = COMMAND_DELETE };
	c.remove.ino = fixture_make(&f, ROOT_INO, "p", KIND_BLOB);
	is_int(fixture_apply(&f, &c), -EBUSY, "delete: an object with a path");
	c = (struct command){ .kind = COMMAND_DELETE };
	c.remove.ino = ROOT_INO;
	is_int(fixture_apply(&f, &c), -EISDIR, "delete: a directory");
	c = (struct command){ .kind = COMMAND_DELETE };
	c.remove.ino = 999;
	is_int(fixture_apply(&f, &c), -ENOENT, "delete: nothing there");
	is_sound(&f, "lifecycles: the state is sound");
	fixture_close(&f);
}

static void rename_moves(void)
{
	struct fixture f;
	uint64_t a, b, d, e;

	fixture_open_realm(&f);
	a = fixture_make(&f, ROOT_INO, "a", KIND_BLOB);
	b = fixture_make(&f, ROOT_INO, "b", KIND_BLOB);
	d = fixture_make(&f, ROOT_INO, "d", KIND_DIRECTORY);
	e = fixture_make(&f, d, "e", KIND_DIRECTORY);
	is_int(fixture_rename(&f, ROOT_INO, "a", d, "a2", 0), 0, "rename: into another directory");
	ok(fixture_lookup(&f, d, "a2") == a && fixture_lookup(&f, ROOT_INO, "a") == 0, "rename: it is there and not here");
	is_int(fixture_record(&f, a).ctime_ns, f.now_ns, "rename: the object's ctime");
	is_int(f.result.record.ino, a, "rename: the result has the moved object");
	is_int(fixture_rename(&f, d, "a2", ROOT_INO, "b", 0), 0, "rename: over a file");
	is_int(f.result.orphaned, b, "rename: what was there is an orphan");
	is_int(f.result.record.ino, b, "rename: and is in the result");
	is_int(fixture_lookup(&f, ROOT_INO, "b"), a, "rename: the name leads to the moved one");
	is_int(fixture_rename(&f, d, "e", ROOT_INO, "e", 0), 0, "rename: a directory up");
	ok(fixture_record(&f, d).nlink == 2 && fixture_record(&f, ROOT_INO).nlink == 4 && fixture_record(&f, e).parent == ROOT_INO, "rename: links and parent follow");
	is_int(fixture_rename(&f, ROOT_INO, "d", e, "d", 0), 0, "rename: a directory down");
	is_int(fixture_rename(&f, ROOT_INO, "e", d, "e", 0), -EINVAL, "rename: a directory into its own child");
	is_int(fixture_rename(&f, ROOT_INO, "e", e, "e", 0), -EINVAL, "rename: a directory into itself");
	is_int(fixture_rename(&f, e, "d", ROOT_INO, "e", 0), -ENOTEMPTY, "rename: a directory over its parent");
	is_int(fixture_rename(&f, ROOT_INO, "b", ROOT_INO, "e", 0), -EISDIR, "rename: a file over a directory");
	is_int(fixture_rename(&f, ROOT_INO, "e", ROOT_INO, "b", 0), -ENOTDIR, "rename: a directory over a file");
	is_int(fixture_rename(&f, ROOT_INO, "no", ROOT_INO, "b", 0), -ENOENT, "rename: nothing");
	is_int(fixture_rename(&f, ROOT_INO, "b", ROOT_INO, "b", 0), 0, "rename: to itself does nothing");
	is_int(fixture_rename(&f, ROOT_INO, "b", ROOT_INO, "b", RENAME_NOREPLACE), -EEXIST, "rename: to itself without replacing");
	fixture_make(&f, ROOT_INO, "empty", KIND_DIRECTORY);
	is_int(fixture_rename(&f, e, "d", ROOT_INO, "empty", 0), 0, "rename: a directory over an empty one");
	is_int(fixture_record(&f, ROOT_INO).nlink, 4, "rename: the parent's links stay");
	is_sound(&f, "rename: the state is sound");
	fixture_close(&f);
}

static void rename_of_two_links(void)
{
	struct fixture f;
	uint64_t a;

	fixture_open_realm(&f);
	a = fixture_make(&f, ROOT_INO, "a", KIND_BLOB);
	fixture_link(&f, a, ROOT_INO, "b");
	is_int(fixture_rename(&f, ROOT_INO, "a", ROOT_INO, "b", 0), 0, "rename: of one link over another of the same object");
	ok(fixture_lookup(&f, ROOT_INO, "a") == a && fixture_lookup(&f, ROOT_INO, "b") == a, "rename: both stay (POSIX)");
	is_int(fixture_record(&f, a).nlink, 2, "rename: two links");
	fixture_close(&f);
}

static void rename_flags(void)
{
	struct fixture f;
	uint64_t a, d, e;

	fixture_open_realm(&f);
	a = fixture_make(&f, ROOT_INO, "a", KIND_BLOB);
	d = fixture_make(&f, ROOT_INO, "d", KIND_DIRECTORY);
	e = fixture_make(&f, d, "e", KIND_DIRECTORY);
	is_int(fixture_rename(&f, ROOT_INO, "a", ROOT_INO, "d", RENAME_NOREPLACE), -EEXIST, "noreplace: an existing name");
	is_int(fixture_rename(&f, ROOT_INO, "a", ROOT_INO, "new", RENAME_NOREPLACE), 0, "noreplace: a free name");
	is_int(fixture_rename(&f, ROOT_INO, "new", ROOT_INO, "no", RENAME_EXCHANGE), -ENOENT, "exchange: with nothing");
	is_int(fixture_rename(&f, ROOT_INO, "new", d, "e", RENAME_EXCHANGE), 0, "exchange: a file and a directory");
	ok(fixture_lookup(&f, ROOT_INO, "new") == e && fixture_lookup(&f, d, "e") == a, "exchange: each is where the other was");
	ok(fixture_record(&f, d).nlink == 2 && fixture_record(&f, ROOT_INO).nlink == 4 && fixture_record(&f, e).parent == ROOT_INO, "exchange: links and parent follow");
	is_int(f.result.touched_count, 4, "exchange: four records changed");
	is_int(fixture_rename(&f, ROOT_INO, "d", d, "e", RENAME_EXCHANGE), -EINVAL, "exchange: a directory with what is in it");
	is_int(fixture_rename(&f, d, "e", ROOT_INO, "d", RENAME_EXCHANGE), -EINVAL, "exchange: with the directory it is in");
	is_int(fixture_rename(&f, ROOT_INO, "d", ROOT_INO, "new", RENAME_EXCHANGE), 0, "exchange: in one directory");
	is_int(fixture_rename(&f, ROOT_INO, "d", ROOT_INO, "x", 8), -EINVAL, "rename: an unknown flag");
	is_int(fixture_rename(&f, ROOT_INO, "d", ROOT_INO, "x", RENAME_EXCHANGE | RENAME_NOREPLACE), -EINVAL, "rename: two flags that exclude each other");
	is_sound(&f, "rename with flags: the state is sound");
	fixture_close(&f);
}

struct listing { char names[256]; uint64_t last; unsigned count, stop_after; };

static int list_one(void *arg, const struct state_entry *e)
{
	struct listing *l = arg;
	size_t used = strlen(l->names);

	snprintf(l->names + used, sizeof(l->names) - used, "%s%.*s", used ? " " : "", (int)e->name_size, e->name);
	l->last = e->cookie;
	return ++l->count == l->stop_after;
}

static void directories_are_read_in_a_stable_order(void)
{
	struct fixture f;
	struct listing l = { .stop_after = 2 };

	fixture_open_realm(&f);
	fixture_make(&f, ROOT_INO, "c", KIND_BLOB);
	fixture_make(&f, ROOT_INO, "a", KIND_DIRECTORY);
	fixture_make(&f, ROOT_INO, "b", KIND_BLOB);
	is_int(state_read_directory(f.state, ROOT_INO, 0, list_one, &l), 0, "readdir: a part");
	is_str(l.names, "c a", "readdir: in the order of making");
	fixture_make(&f, ROOT_INO, "tmp", KIND_BLOB);
	fixture_rename(&f, ROOT_INO, "tmp", ROOT_INO, "c", 0);
	l = (struct listing){ .last = l.last };
	is_int(state_read_directory(f.state, ROOT_INO, l.last, list_one, &l), 0, "readdir: goes on after a rename over a name already read");
	is_str(l.names, "b", "readdir: that name does not come twice");
	fixture_unlink(&f, ROOT_INO, "b", false);
	fixture_make(&f, ROOT_INO, "b", KIND_BLOB);
	l = (struct listing){ .last = l.last };
	state_read_directory(f.state, ROOT_INO, l.last, list_one, &l);
	is_str(l.names, "b", "readdir: what is made again comes at the end");
	is_int(state_read_directory(f.state, ROOT_INO, UINT64_MAX, list_one, &l), 0, "readdir: after the largest cookie there is nothing");
	fixture_close(&f);
}

static int collect(void *arg, const struct name *name, uint64_t ino)
{
	struct listing *l = arg;

	(void)ino;
	snprintf(l->names + strlen(l->names), sizeof(l->names) - strlen(l->names), "%x ", name_slot(name));
	return ++l->count == l->stop_after;
}

static void names_are_listed_across_slots(void)
{
	static const uint16_t slots[] = { 0xffff, 0x10, 0x8000, 0 };
	struct listing l = { .stop_after = 0 };
	struct fixture f;
	struct name third = { { 0 } };

	fixture_open_realm(&f);
	for (size_t i = 0; i < 4; i++) {
		struct name name = fixture_name(&f, slots[i]);
		if (i == 2)
			third = name;
		create_with(&f, (struct command_create){ .kind = KIND_BLOB, .mode = S_IFREG | 0600, .name = name });
	}
	is_int(state_each_name(f.state, NULL, collect, &l), 0, "names: all of them");
	is_str(l.names, "0 0 10 8000 ffff ", "names: in order, over slots with other keys between");
	l = (struct listing){ .stop_after = 1 };
	state_each_name(f.state, &third, collect, &l);
	is_str(l.names, "ffff ", "names: after one of them");
	fixture_close(&f);
}

static void too_many_links(void)
{
	struct fixture f;

	fixture_open_realm(&f);
	uint64_t a = fixture_make(&f, ROOT_INO, "a", KIND_BLOB);
	struct record r = fixture_record(&f, a);
	r.nlink = 64999;   /* as if so many had been made */
	fixture_put_record(&f, &r);
	is_int(fixture_link(&f, a, ROOT_INO, "b"), 0, "link: the 65,000th");
	is_int(fixture_link(&f, a, ROOT_INO, "c"), -EMLINK, "link: one too many");
	r = fixture_record(&f, ROOT_INO);
	r.nlink = 65000;
	fixture_put_record(&f, &r);
	is_int(fixture_create(&f, ROOT_INO, "d", KIND_DIRECTORY, &a), -EMLINK, "mkdir: one too many");
	is_int(fixture_create(&f, ROOT_INO, "d", KIND_BLOB, &a), 0, "create: a file adds no link to its directory");
	fixture_close(&f);
}

int main(void)
{
	create_makes_an_object();
	create_refuses_nonsense();
	objects_without_path();
	link_and_unlink();
	unlink_frees_what_is_unused();
	link_saves_an_orphan();
	lifecycles();
	rename_moves();
	rename_of_two_links();
	rename_flags();
	directories_are_read_in_a_stable_order();
	names_are_listed_across_slots();
	too_many_links();
	return done_testing();
}
