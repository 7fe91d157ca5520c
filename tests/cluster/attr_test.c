/* SETATTR, SETXATTR, tasks, capabilities and keys. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/cluster/fixture.h"
#include "tests/tap.h"

#define is_sound(f, what) do { const char *_wrong = fixture_check(f); if (!ok(_wrong == NULL, "%s", what)) printf("# %s\n", _wrong); } while (0)

static int setattr(struct fixture *f, struct command_setattr s)
{
	struct command c = { .kind = COMMAND_SETATTR };
	c.setattr = s;
	return fixture_apply(f, &c);
}

static void attributes(void)
{
	struct fixture f;
	struct record r;

	fixture_open_realm(&f);
	uint64_t a = fixture_make(&f, ROOT_INO, "a", KIND_BLOB);
	is_int(setattr(&f, (struct command_setattr){ .ino = a, .mask = ATTR_MODE, .mode = S_IFDIR | 06750, .uid = 5 }), 0, "chmod");
	r = fixture_record(&f, a);
	ok(r.mode == (S_IFREG | 06750) && r.uid == 1000, "chmod: only the permission bits");
	is_int(r.ctime_ns, f.now_ns, "chmod: ctime");
	is_int(setattr(&f, (struct command_setattr){ .ino = a, .mask = ATTR_UID | ATTR_GID | ATTR_KILL_PRIVILEGE, .uid = 7, .gid = 8 }), 0, "chown");
	r = fixture_record(&f, a);
	ok(r.uid == 7 && r.gid == 8 && r.mode == (S_IFREG | 0750), "chown: owner, and privilege goes");
	setattr(&f, (struct command_setattr){ .ino = a, .mask = ATTR_MODE, .mode = 06640 });
	setattr(&f, (struct command_setattr){ .ino = a, .mask = ATTR_KILL_PRIVILEGE });
	is_int(fixture_record(&f, a).mode, S_IFREG | 02640, "kill privilege: set-gid without group execution stays");
	is_int(setattr(&f, (struct command_setattr){ .ino = a, .mask = ATTR_KILL_PRIVILEGE | ATTR_MODE, .mode = 04755 }), 0, "chmod with kill privilege");
	is_int(fixture_record(&f, a).mode, S_IFREG | 04755, "what is set explicitly stands");
	is_int(setattr(&f, (struct command_setattr){ .ino = a, .mask = ATTR_ATIME | ATTR_MTIME, .atime_ns = -5, .mtime_ns = 123456789012345678 }), 0, "utimens");
	r = fixture_record(&f, a);
	ok(r.atime_ns == -5 && r.mtime_ns == 123456789012345678, "utimens: to the nanosecond, before 1970 too");
	is_int(setattr(&f, (struct command_setattr){ .ino = a, .mask = ATTR_REPLICAS | ATTR_CONSISTENCY, .replicas = 2, .read_consistency = CONSISTENCY_EVENTUAL, .write_consistency = CONSISTENCY_MUTEX }), 0, "replicas and consistency");
	r = fixture_record(&f, a);
	ok(r.replicas == 2 && r.read_consistency == CONSISTENCY_EVENTUAL && r.write_consistency == CONSISTENCY_MUTEX, "are kept");
	is_int(setattr(&f, (struct command_setattr){ .ino = a, .mask = 1u << 20 }), -EINVAL, "setattr: an unknown bit");
	is_int(setattr(&f, (struct command_setattr){ .ino = 99, .mask = ATTR_MODE }), -ENOENT, "setattr: of nothing");
	uint64_t d = fixture_make(&f, ROOT_INO, "d", KIND_DIRECTORY);
	setattr(&f, (struct command_setattr){ .ino = d, .mask = ATTR_MODE, .mode = 02775 });
	setattr(&f, (struct command_setattr){ .ino = d, .mask = ATTR_KILL_PRIVILEGE });
	is_int(fixture_record(&f, d).mode, S_IFDIR | 02775, "kill privilege: a directory's set-gid is no privilege");
	fixture_unlink(&f, ROOT_INO, "a", false);
	is_int(setattr(&f, (struct command_setattr){ .ino = a, .mask = ATTR_LIFECYCLE, .lifecycle = LIFECYCLE_IMMORTAL }), 0, "an orphan is made immortal");
	ok(!fixture_record(&f, a).orphan, "and is no orphan any more");
	is_sound(&f, "attributes: the state is sound");
	fixture_close(&f);
}

static int put_xattr(struct fixture *f, uint64_t ino, const char *key, const char *value, int flags, bool remove)
{
	struct command c = { .kind = COMMAND_SETXATTR };
	c.setxattr = (struct command_setxattr){ .ino = ino, .key = text(key), .value = text(value), .flags = flags, .remove = remove };
	return fixture_apply(f, &c);
}

static void extended_attributes(void)
{
	struct fixture f;
	struct buffer b _cleanup_buffer_;
	char name[256];

	buffer_init(&b, 1u << 20);
	fixture_open_realm(&f);
	uint64_t a = fixture_make(&f, ROOT_INO, "a", KIND_BLOB);
	is_int(put_xattr(&f, a, "user.x", "1", XATTR_REPLACE, false), -ENODATA, "setxattr: replace what is not there");
	is_int(put_xattr(&f, a, "user.x", "1", XATTR_CREATE, false), 0, "setxattr: create");
	is_int(put_xattr(&f, a, "user.x", "2", XATTR_CREATE, false), -EEXIST, "setxattr: create what is there");
	is_int(put_xattr(&f, a, "user.x", "two", XATTR_REPLACE, false), 0, "setxattr: replace");
	is_int(put_xattr(&f, a, "user.empty", "", 0, false), 0, "setxattr: an empty value");
	is_int(state_get_xattr(f.state, a, text("user.x"), &b), 0, "getxattr");
	ok(b.size == 3 && memcmp(b.data, "two", 3) == 0, "getxattr: the value");
	is_int(state_get_xattr(f.state, a, text("user.empty"), &b), 0, "getxattr: the empty one");
	is_int(b.size, 0, "getxattr: is empty");
	is_int(state_get_xattr(f.state, a, text("user.y"), &b), -ENODATA, "getxattr: none");
	is_int(state_list_xattrs(f.state, a, &b), 0, "listxattr");
	ok(b.size == 18 && memcmp(b.data, "user.empty\0user.x", 18) == 0, "listxattr: names with their NULs");
	is_int(fixture_record(&f, a).xattr_list_bytes, 18, "the record has the list's size");
	is_int(put_xattr(&f, a, "user.y", "", 0, true), -ENODATA, "removexattr: none");
	is_int(put_xattr(&f, a, "user.empty", "", 0, true), 0, "removexattr");
	is_int(put_xattr(&f, a, "", "x", 0, false), -ERANGE, "setxattr: no name");
	memset(name, 'n', sizeof(name));
	struct command c = { .kind = COMMAND_SETXATTR };
	c.setxattr = (struct command_setxattr){ .ino = a, .key = { (uint8_t *)name, 256 }, .value = text("x") };
	is_int(fixture_apply(&f, &c), -ERANGE, "setxattr: too long a name");
	is_int(put_xattr(&f, a, "user.z", "x", 8, false), -EINVAL, "setxattr: an unknown flag");
	uint8_t *large = calloc(1, XATTR_VALUE_MAX + 1);
	c = (struct command){ .kind = COMMAND_SETXATTR };
	c.setxattr = (struct command_setxattr){ .ino = a, .key = text("user.large"), .value = { large, XATTR_VALUE_MAX + 1 } };
	is_int(fixture_apply(&f, &c), -E2BIG, "setxattr: too large");
	c = (struct command){ .kind = COMMAND_SETXATTR };
	c.setxattr = (struct command_setxattr){ .ino = a, .key = text("user.large"), .value = { large, XATTR_VALUE_MAX } };
	is_int(fixture_apply(&f, &c), 0, "setxattr: the largest");
	free(large);
	int r = 0;
	for (unsigned i = 0; r == 0 && i < 400; i++) {
		memset(name, 'n', 255);
		snprintf(name, sizeof(name), "user.%u", i);
		name[strlen(name)] = 'n';
		c = (struct command){ .kind = COMMAND_SETXATTR };
		c.setxattr = (struct command_setxattr){ .ino = a, .key = { (uint8_t *)name, 255 }, .value = text("x") };
		r = fixture_apply(&f, &c);
	}
	is_int(r, -ENOSPC, "setxattr: more names than listxattr can return");
	is_sound(&f, "xattrs: the state is sound");
	fixture_unlink(&f, ROOT_INO, "a", false);
	fixture_reap(&f, a);
	is_sound(&f, "xattrs: reaped with their object");
	fixture_close(&f);
}

static void capabilities_of_files_go_with_a_write(void)
{
	struct fixture f;
	struct buffer b _cleanup_buffer_;
	struct command c = { .kind = COMMAND_COMMIT };

	buffer_init(&b, 1u << 20);
	fixture_open_realm(&f);
	uint64_t a = fixture_make(&f, ROOT_INO, "a", KIND_BLOB);
	put_xattr(&f, a, "security.capability", "cap", 0, false);
	put_xattr(&f, a, "user.x", "kept", 0, false);
	setattr(&f, (struct command_setattr){ .ino = a, .mask = ATTR_MODE, .mode = 06755 });
	c.commit = (struct command_commit){ .ino = a, .size = 1, .kill_privilege = true };
	is_int(fixture_apply(&f, &c), 0, "a write by somebody without privilege");
	is_int(fixture_record(&f, a).mode, S_IFREG | 0755, "takes set-uid and set-gid away");
	is_int(state_get_xattr(f.state, a, text("security.capability"), &b), -ENODATA, "and the file's capabilities");
	is_int(state_get_xattr(f.state, a, text("user.x"), &b), 0, "and nothing else");
	is_sound(&f, "capabilities: the state is sound");
	fixture_close(&f);
}

static int collect(void *arg, uint64_t ino)
{
	uint64_t *inos = arg;
	inos[1 + inos[0]++] = ino;
	return 0;
}

static uint64_t make_task(struct fixture *f, uint16_t slot, const char *spec)
{
	struct command c = { .kind = COMMAND_CREATE };
	c.create = (struct command_create){ .kind = KIND_TASK, .mode = S_IFREG | 0700, .name = fixture_name(f, slot), .spec = text(spec), .job = { { 9 } } };
	fixture_apply(f, &c);
	return f->result.record.ino;
}

static int task_update(struct fixture *f, struct command_task_update u)
{
	struct command c = { .kind = COMMAND_TASK_UPDATE };
	c.task_update = u;
	return fixture_apply(f, &c);
}

static void tasks(void)
{
	struct fixture f;
	struct buffer b _cleanup_buffer_;
	uint64_t inos[8] = { 0 };

	buffer_init(&b, 1u << 20);
	fixture_open_realm(&f);
	uint64_t first = make_task(&f, 900, "spec one"), second = make_task(&f, 3, "spec two");
	is_int(state_get_task_spec(f.state, first, &b), 0, "task: its specification");
	ok(b.size == 8 && memcmp(b.data, "spec one", 8) == 0, "task: as given");
	is_int(state_get_task_stats(f.state, first, &b), -ENOENT, "task: no statistics yet");
	state_each_task(f.state, collect, inos);
	ok(inos[0] == 2 && inos[1] == first && inos[2] == second, "tasks are listed in the order of making, over slots");
	is_int(fixture_record(&f, first).task.state, TASK_WAITING, "task: waits at first");
	is_int(task_update(&f, (struct command_task_update){ .ino = first, .state = TASK_RUNNING, .start_ns = 77 }), 0, "task: runs");
	is_int(task_update(&f, (struct command_task_update){ .ino = first, .state = TASK_LOST }), 0, "task: is lost");
	is_int(task_update(&f, (struct command_task_update){ .ino = first, .state = TASK_RUNNING }), 0, "task: runs again");
	is_int(task_update(&f, (struct command_task_update){ .ino = first, .state = TASK_EXITED, .exit_status = -1, .end_ns = 99, .stats = text("stats") }), 0, "task: exits");
	struct record r = fixture_record(&f, first);
	ok(r.task.state == TASK_EXITED && r.task.exit_status == -1 && r.task.start_ns == 77 && r.task.end_ns == 99, "task: status and times");
	is_int(state_get_task_stats(f.state, first, &b), 0, "task: statistics");
	is_int(task_update(&f, (struct command_task_update){ .ino = first, .state = TASK_RUNNING }), -EINVAL, "task: what has exited does not run");
	is_int(task_update(&f, (struct command_task_update){ .ino = ROOT_INO, .state = TASK_RUNNING }), -EINVAL, "task: a directory is none");
	struct command c = { .kind = COMMAND_DELETE };
	c.remove.ino = first;
	fixture_apply(&f, &c);
	fixture_reap(&f, first);
	inos[0] = 0;
	state_each_task(f.state, collect, inos);
	ok(inos[0] == 1 && inos[1] == second, "task: reaped, the list has the other");
	is_sound(&f, "tasks: the state is sound");

	c = (struct command){ .kind = COMMAND_CREATE };
	c.create = (struct command_create){ .parent = ROOT_INO, .entry = text("out"), .kind = KIND_BLOB, .mode = S_IFREG | 0600, .name = fixture_name(&f, 0), .flags = CREATE_UNPRODUCED, .creator = { { 4 } } };
	fixture_apply(&f, &c);
	uint64_t out = f.result.record.ino;
	is_int(f.result.record.produced, PRODUCED_NOT_YET, "output: not yet produced");
	static const struct { enum produced to; int want; const char *what; } steps[] = {
		{ PRODUCED_FAILED, 0, "its producer failed" }, { PRODUCED_NOT_YET, 0, "and is tried again" },
		{ PRODUCED_YES, 0, "produced" }, { PRODUCED_YES, 0, "produced once more" }, { PRODUCED_NOT_YET, -EINVAL, "what is produced stays so" } };
	for (size_t i = 0; i < 5; i++) {
		c = (struct command){ .kind = COMMAND_PRODUCED };
		c.produced = (struct command_produced){ .ino = out, .produced = steps[i].to };
		is_int(fixture_apply(&f, &c), steps[i].want, "output: %s", steps[i].what);
	}
	fixture_close(&f);
}

static int revoke_token(struct fixture *f, uint64_t ino, bool whole, uint8_t id, int64_t expiry)
{
	struct command c = { .kind = COMMAND_REVOKE };
	c.revoke = (struct command_revoke){ .ino = ino, .whole_object = whole, .token_id = { id }, .expiry_ns = expiry };
	return fixture_apply(f, &c);
}

static int spend(struct fixture *f, uint8_t id, int64_t expiry)
{
	struct command c = { .kind = COMMAND_SPEND };
	c.spend = (struct command_spend){ .once_id = { id }, .expiry_ns = expiry };
	return fixture_apply(f, &c);
}

static void tokens(void)
{
	struct fixture f;
	const int64_t hour = 3600LL * 1000000000;

	fixture_open_realm(&f);
	uint64_t a = fixture_make(&f, ROOT_INO, "a", KIND_BLOB);
	is_int(revoke_token(&f, a, true, 0, 0), 0, "revoke: all tokens of an object");
	is_int(fixture_record(&f, a).cap_epoch, 1, "revoke: raises its epoch");
	is_int(revoke_token(&f, 99, true, 0, 0), -ENOENT, "revoke: of nothing");
	is_int(revoke_token(&f, a, false, 5, f.now_ns + hour), 0, "revoke: one token");
	is_int(revoke_token(&f, a, false, 6, 0), 0, "revoke: one that never expires");
	is_int(fixture_record(&f, a).cap_epoch, 1, "revoke: the others stay");
	ok(state_token_revoked(f.state, (uint8_t[16]){ 5 }) && state_token_revoked(f.state, (uint8_t[16]){ 6 }) && !state_token_revoked(f.state, (uint8_t[16]){ 7 }), "revoked tokens are known");
	is_int(spend(&f, 5, f.now_ns + hour), 0, "spend: once");
	is_int(spend(&f, 5, f.now_ns + hour), -EACCES, "spend: not twice");
	f.now_ns += hour + hour / 2;
	is_int(spend(&f, 9, f.now_ns + hour), 0, "another, half an hour after their expiry");
	ok(state_token_revoked(f.state, (uint8_t[16]){ 5 }), "an expired id is kept for an hour, since clocks differ");
	f.now_ns += hour;
	is_int(spend(&f, 10, f.now_ns + hour), 0, "another, later");
	ok(!state_token_revoked(f.state, (uint8_t[16]){ 5 }), "then it is forgotten");
	ok(state_token_revoked(f.state, (uint8_t[16]){ 6 }), "one that never expires is not");
	is_int(revoke_token(&f, 0, false, 9, f.now_ns + 3 * hour), 0, "revoke: an id that was spent is another thing");
	is_int(revoke_token(&f, 0, false, 9, f.now_ns + hour), 0, "revoke: again with an earlier expiry");
	f.now_ns += 3 * hour;
	spend(&f, 11, 0);
	ok(state_token_revoked(f.state, (uint8_t[16]){ 9 }), "the later expiry counts");
	is_int(revoke_token(&f, 0, true, 0, 0), -EINVAL, "revoke: a whole object needs one");
	is_sound(&f, "tokens: the state is sound");
	fixture_close(&f);
}

static int key_put(struct fixture *f, uint32_t id, const char *sealed)
{
	struct command c = { .kind = COMMAND_KEY_PUT };
	c.key_put = (struct command_key_put){ .realm = 1, .key_id = id, .sealed = text(sealed) };
	return fixture_apply(f, &c);
}

static void keys(void)
{
	struct fixture f;
	struct buffer b _cleanup_buffer_;

	buffer_init(&b, 1u << 20);
	fixture_open_realm(&f);
	is_int(state_get_key(f.state, 1, 0, &b), -ENOENT, "keys: none yet");
	is_int(key_put(&f, 1, "first"), 0, "keys: one");
	is_int(key_put(&f, 1, "first"), 0, "keys: the same again");
	is_int(key_put(&f, 1, "other"), -EEXIST, "keys: another under its id");
	is_int(key_put(&f, 300, "newest"), 0, "keys: the next");
	is_int(key_put(&f, 0, "x"), -EINVAL, "keys: id 0 means the newest");
	is_int(state_get_key(f.state, 1, 1, &b), 0, "keys: by id");
	ok(b.size == 5 && memcmp(b.data, "first", 5) == 0, "keys: the first");
	is_int(state_get_key(f.state, 1, 0, &b), 0, "keys: the newest");
	ok(b.size == 6 && memcmp(b.data, "newest", 6) == 0, "keys: is the one with the highest id");
	is_int(state_get_key(f.state, 1, 2, &b), -ENOENT, "keys: an unknown id");
	is_int(state_get_key(f.state, 2, 0, &b), -ENOENT, "keys: another realm has none");
	struct command c = { .kind = COMMAND_REALM_INIT };
	c.realm_init = (struct command_realm_init){ .realm = 1, .root = ROOT_INO, .mode = 0700, .name = fixture_name(&f, 0) };
	is_int(fixture_apply(&f, &c), 0, "realm: made again");
	ok(f.result.record.mode == (S_IFDIR | 0755) && f.result.touched_count == 0, "realm: is left as it is");
	c = (struct command){ .kind = COMMAND_REALM_INIT };
	c.realm_init = (struct command_realm_init){ .realm = 2, .root = ROOT_INO, .name = fixture_name(&f, 0) };
	is_int(fixture_apply(&f, &c), -EINVAL, "realm: there is one so far");
	fixture_close(&f);
}

int main(void)
{
	attributes();
	extended_attributes();
	capabilities_of_files_go_with_a_write();
	tasks();
	tokens();
	keys();
	return done_testing();
}
