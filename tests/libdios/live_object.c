/* Objects on a mount: names, lifecycles, look-ups, copies, tokens, clones, information, and what another user gets. */
#include "tests/libdios/live.h"

static void same_object(dios_ref ref, const struct dios_name *name, const char *why)
{
	struct dios_ioctl_info info = { 0 };
	int r = dios_info(ref, &info);
	ok(r == 0 && memcmp(info.name, name->bytes, sizeof(info.name)) == 0, "%s", why);
}

/* The kernel tells the daemon of a close soon, not at once. */
static bool goes(const char *what)
{
	for (int i = 0; i < 100; i++) {
		struct dios_wait none = { .ref = -1 };
		dios_ref ref;
		size_t count = 1;
		if (dios_lookup(0, what, DIOS_READ, &ref, &count) == 0 && count == 0)
			return true;
		if (count > 0)
			dios_close(ref);
		dios_select(0, &none, 1, 50000000);
	}
	return false;
}

static void random_names(void)
{
	struct dios_name name, other;
	struct dios_ioctl_info info;
	char text[DIOS_NAME_TEXT];
	dios_ref ref, second, found;
	size_t count = 1;

	is_int(dios_create(0, NULL, &name, &ref), 0, "a blob with all defaults");
	is_int(dios_create(0, NULL, &other, &second), 0, "and another");
	ok(memcmp(&name, &other, sizeof(name)) != 0, "have different names");
	is_int(dios_info(ref, &info), 0, "it says");
	ok(info.kind == DIOS_BLOB && info.nlink == 0 && info.size == 0 && info.lifecycle == DIOS_REFCOUNTED && info.replicas == 1, "what it is");
	is_int(info.rights & (DIOS_READ | DIOS_WRITE | DIOS_EXECUTE | DIOS_DELETE | DIOS_DELEGATE), DIOS_READ | DIOS_WRITE, "with the rights to read and to write");
	is_int(info.proximity, DIOS_NEAR_DISK, "on the local disk");
	ok(memcmp(info.name, name.bytes, sizeof(name.bytes)) == 0, "under its name");
	is_int(fcntl(ref, F_GETFD), FD_CLOEXEC, "its descriptor is close-on-exec");
	dios_name_to_text(&name, text);
	is_int(put(0, ref, 0, "found"), 0, "five bytes");
	found = opened(text, DIOS_READ, "it is found by its name");
	holds(found, 0, "found", "with its bytes");
	dios_close(ref);
	is_int(dios_lookup(0, text, DIOS_READ, &second, &count), 0, "without a path it lives");
	is_int(count, 1, "as long as a reference");
	dios_close(second);
	dios_close(found);
	ok(goes(text), "with the last one it goes");
}

static void other_names(void)
{
	struct dios_name first, second, from_string, parent = { { 1, 2, 3 } };
	struct dios_create_options o = { .string = "the same string", .lifecycle = DIOS_SINGLE_DELETE };
	dios_ref ref, again;
	char text[DIOS_NAME_TEXT];
	size_t count = 1;

	is_int(dios_create(0, &o, &first, &ref), 0, "a blob from a string");
	is_int(dios_name_from_string(o.string, &from_string), 0, "the string's name");
	ok(memcmp(&first, &from_string, sizeof(first)) == 0, "is its name");
	is_int(dios_create(0, &o, &second, &again), -EEXIST, "there is one of each string");
	is_int(dios_create(DIOS_EXISTING, &o, &second, &again), 0, "which may be asked for");
	ok(memcmp(&first, &second, sizeof(first)) == 0, "by the same name");
	dios_close(again);
	is_int(dios_lookup(DIOS_STRING, o.string, DIOS_READ, &again, &count), 0, "or looked up by the string");
	is_int(count, 1, "and found");
	dios_close(again);
	o.kind = DIOS_STREAM;
	is_int(dios_create(DIOS_EXISTING, &o, &second, &again), -EEXIST, "but not as a stream");
	dios_close(ref);
	dios_name_to_text(&first, text);
	ref = opened(text, DIOS_READ | DIOS_WRITE, "a single-delete object lives without a reference");
	is_int(dios_delete(0, ref), 0, "until it is deleted");
	count = 1;
	is_int(dios_lookup(DIOS_STRING, o.string, DIOS_READ, &again, &count), 0, "then its name");
	is_int(count, 0, "names nothing");
	o = (struct dios_create_options){ .parent = &parent, .counter = 5 };
	is_int(dios_create(0, &o, &first, &ref), 0, "a blob from a parent and a counter");
	is_int(dios_create(0, &o, &second, &again), -EEXIST, "there is one of each");
	o.counter = 6;
	is_int(dios_create(0, &o, &second, &again), 0, "another counter");
	ok(memcmp(&first, &second, sizeof(first)) != 0 && memcmp(first.bytes, second.bytes, 2) == 0, "is another name in the same slot");
	dios_close(ref);
	dios_close(again);
	o = (struct dios_create_options){ .counter = 6 };
	is_int(dios_create(0, &o, &second, &again), -EINVAL, "a counter of nobody: this is no task");
}

static void paths(void)
{
	const char *path = at("placed");
	struct dios_create_options o = { .path = path, .mode = 0640 };
	struct dios_name name, again;
	struct stat st;
	dios_ref ref, second;

	is_int(dios_create(0, &o, &name, &ref), 0, "a blob with a path");
	is_int(stat(path, &st), 0, "which stat(2) sees");
	is_int(st.st_mode, S_IFREG | 0640, "with its mode");
	is_int(dios_create(0, &o, NULL, &second), -EEXIST, "the path is taken");
	is_int(dios_create(DIOS_EXISTING, &o, &again, &second), 0, "but may be asked for");
	ok(memcmp(&name, &again, sizeof(name)) == 0, "and is the same object");
	dios_close(second);
	second = opened(path, DIOS_READ, "looked up by its path");
	same_object(second, &name, "it is the same too");
	dios_close(second);
	is_int(unlink(path), 0, "unlinked");
	is_int(put(0, ref, 0, "still"), 0, "it is there for who has it open");
	holds(ref, 0, "still", "with its bytes");
	dios_close(ref);
	o.path = at("no/such/folder");
	is_int(dios_create(0, &o, NULL, &ref), -ENOENT, "no such folder");
	o.path = "/tmp/not-in-the-mount";
	is_int(dios_create(0, &o, NULL, &ref), -ENOTTY, "not in the mount");
	o.path = at("");
	is_int(dios_create(0, &o, NULL, &ref), -EINVAL, "no name in the folder");
	o.path = at(".dios/x");
	is_int(dios_create(0, &o, NULL, &ref), -EINVAL, "nothing is made in .dios");
	size_t count = 1;
	int r = dios_lookup(0, at("nothing"), DIOS_READ, &ref, &count);
	ok(r == 0 && count == 0, "a path that is none is no match and no error");
	is_int(dios_open(0, at("nothing"), DIOS_READ, &ref), -ENOENT, "dios_open says ENOENT");
}

static void lifecycles(void)
{
	struct dios_create_options o = { .lifecycle = DIOS_IMMORTAL };
	struct dios_name name;
	char text[DIOS_NAME_TEXT];
	dios_ref ref;

	is_int(dios_create(0, &o, &name, &ref), 0, "an immortal blob");
	is_int(dios_delete(0, ref), -EPERM, "is not deleted");
	ok(fcntl(ref, F_GETFD) >= 0, "and stays open");
	is_int(dios_delete(DIOS_DROP, ref), 0, "its reference is dropped");
	dios_name_to_text(&name, text);
	dios_close(opened(text, DIOS_READ, "it stays"));
	o = (struct dios_create_options){ .path = at("once"), .lifecycle = DIOS_SINGLE_DELETE };
	ref = made(0, o, "a single-delete blob with a path");
	is_int(dios_delete(0, ref), -EBUSY, "loses its path first");
	unlink(o.path);
	is_int(dios_delete(0, ref), 0, "then it is deleted");
}

static void replicas(void)
{
	struct dios_ioctl_replica r[4];
	dios_ref ref = made(0, (struct dios_create_options){ .path = at("replicas") }, "a blob"), refs[4];
	size_t count = 4;

	is_int(dios_replicas(ref, r, &count), 0, "its replicas");
	is_int(count, 1, "are one");
	ok(r[0].node != 0 && r[0].proximity == DIOS_NEAR_DISK && r[0].state == 0, "on this node, and good");
	count = 4;
	is_int(dios_lookup(0, at("replicas"), DIOS_READ, refs, &count), 0, "looked up with room for four");
	is_int(count, 1, "one comes");
	dios_close(refs[0]);
	count = 4;
	is_int(dios_lookup(DIOS_LOCAL, at("replicas"), DIOS_READ, refs, &count), 0, "local ones only");
	is_int(count, 1, "the same");
	dios_close(refs[0]);
	is_int(dios_copy(DIOS_LOCAL, ref, NULL, NULL, NULL), 0, "a local copy is there");
	refs[0] = made(0, (struct dios_create_options){ .near = &ref, .node = r[0].node }, "a blob near it, on this node");
	dios_close(refs[0]);
	dios_close(ref);
	unlink(at("replicas"));
	is_int(dios_create(0, &(struct dios_create_options){ .node = r[0].node + 1 }, NULL, &ref), -EHOSTUNREACH, "another node is not there");
}

static void clones(void)
{
	struct dios_create_options where = { .path = at("clone") };
	struct dios_copy_options o = { .create = &where };
	struct dios_buffer b;
	dios_ref ref = made(0, (struct dios_create_options){ 0 }, "a blob"), clone = -1;

	is_int(dios_acquire_write(0, ref, 0, 300000, &b), 0, "300,000 bytes");
	memset(b.data, 'c', b.size);
	is_int(dios_commit_write(0, ref, &b, 300000), 0, "are put into it");
	is_int(dios_copy(DIOS_CLONE, ref, &o, &clone, NULL), 0, "cloned to a path");
	is_int(dios_acquire_read(0, clone, 0, 400000, &b), 0, "the clone");
	ok(b.size == 300000 && ((char *)b.data)[0] == 'c' && ((char *)b.data)[299999] == 'c', "has the bytes");
	is_int(dios_commit_read(0, clone, &b), 0, "and is current");
	is_int(put(0, ref, 0, "x"), 0, "the first one changes");
	is_int(dios_acquire_read(0, clone, 0, 10, &b), 0, "the clone");
	ok(((char *)b.data)[0] == 'c', "does not");
	dios_commit_read(0, clone, &b);
	is_int(dios_copy(DIOS_CLONE, ref, &o, &clone, NULL), -EEXIST, "the path is taken now");
	dios_close(clone);
	unlink(where.path);
	is_int(dios_copy(DIOS_CLONE, ref, NULL, &clone, NULL), 0, "a clone without a path");
	is_int(dios_acquire_read(0, clone, 0, 400000, &b), 0, "lives");
	is_int(b.size, 300000, "with its bytes");
	dios_commit_read(0, clone, &b);
	dios_close(clone);
	dios_close(ref);
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

struct token_use { const char *token; uint32_t rights; };

/* Opens the token and closes it again. */
static int use(const void *arg)
{
	const struct token_use *u = arg;
	dios_ref ref;
	size_t count = 1;
	int r = dios_lookup(0, u->token, u->rights, &ref, &count);
	if (r == 0 && count == 0)
		r = -ENOENT;
	if (r == 0)
		dios_close(ref);
	return r;
}

static int as_nobody(const char *token, uint32_t rights)
{
	return as_user(NOBODY, use, &(struct token_use){ token, rights });
}

static void mint(dios_ref ref, struct dios_copy_options o, char *token, const char *why)
{
	is_int(dios_copy(DIOS_TOKEN, ref, &o, NULL, token), 0, "%s", why);
}

static void tokens(void)
{
	const char *path = at("secret");
	char token[DIOS_TOKEN_SIZE], narrow[DIOS_TOKEN_SIZE], other[DIOS_TOKEN_SIZE];
	struct timespec now;
	dios_ref ref = made(0, (struct dios_create_options){ .path = path }, "a blob of mode 0600");

	is_int(put(0, ref, 0, "0123456789"), 0, "ten bytes");
	is_int(as_nobody(path, DIOS_READ), -EACCES, "nobody may not read it");
	mint(ref, (struct dios_copy_options){ .rights = DIOS_READ }, token, "a token to read");
	is_int(as_nobody(token, DIOS_READ), 0, "nobody may, with it");
	is_int(as_nobody(token, DIOS_WRITE), -EACCES, "but not write");
	is_int(as_nobody(token, DIOS_READ | DIOS_DELEGATE), -EACCES, "nor hand it on with more");
	mint(ref, (struct dios_copy_options){ .rights = DIOS_READ | DIOS_WRITE }, other, "a token to read and write");
	is_int(as_nobody(other, DIOS_READ | DIOS_WRITE), 0, "gives both");
	is_int(dios_narrow(other, &(struct dios_copy_options){ .rights = DIOS_READ }, narrow), 0, "narrowed to read");
	is_int(as_nobody(narrow, DIOS_READ), 0, "it gives that");
	is_int(as_nobody(narrow, DIOS_WRITE), -EACCES, "and no more");
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t now_ns = now.tv_sec * 1000000000LL + now.tv_nsec;
	is_int(dios_narrow(token, &(struct dios_copy_options){ .expiry_ns = now_ns - 1 }, narrow), 0, "narrowed to the past");
	is_int(as_nobody(narrow, DIOS_READ), -EACCES, "it gives nothing");
	mint(ref, (struct dios_copy_options){ .rights = DIOS_READ, .once = 1 }, narrow, "a token for once");
	is_int(as_nobody(narrow, DIOS_READ), 0, "opens once");
	is_int(as_nobody(narrow, DIOS_READ), -EACCES, "not twice");
	struct dios_ioctl_info info = { 0 };
	is_int(dios_info(ref, &info), 0, "this node");
	mint(ref, (struct dios_copy_options){ .rights = DIOS_READ, .node = info.node }, narrow, "a token for this node");
	is_int(as_nobody(narrow, DIOS_READ), 0, "opens here");
	mint(ref, (struct dios_copy_options){ .rights = DIOS_READ, .node = info.node + 1 }, narrow, "a token for another node");
	is_int(as_nobody(narrow, DIOS_READ), -EACCES, "gives nothing here");
	is_int(dios_revoke(token), 0, "the first token revoked");
	is_int(as_nobody(token, DIOS_READ), -EACCES, "gives nothing");
	is_int(as_nobody(other, DIOS_READ), 0, "the second still does");
	is_int(dios_revoke_all(ref), 0, "all revoked");
	is_int(as_nobody(other, DIOS_READ), -EACCES, "nor does the second");
	is_int(dios_revoke("AAAA"), -EINVAL, "what is no token is not revoked");
	token[30] ^= 1;
	is_int(as_nobody(token, DIOS_READ) < 0, 1, "a changed token gives nothing");
	dios_close(ref);
	unlink(path);
}

/* Up to 16 caveats: longer than a file name, so that it goes by ioctl. */
static void long_token(void)
{
	const char *path = at("long");
	char token[DIOS_TOKEN_SIZE];
	int r = 0;
	dios_ref ref = made(0, (struct dios_create_options){ .path = path }, "a blob");

	is_int(put(0, ref, 0, "0123456789"), 0, "ten bytes");
	mint(ref, (struct dios_copy_options){ .rights = DIOS_READ }, token, "a token");
	for (uint64_t i = 0; i < 12 && r == 0; i++)
		r = dios_narrow(token, &(struct dios_copy_options){ .length = 100 - i }, token);
	is_int(r, 0, "narrowed twelve times");
	ok(strlen(token) > 255, "is longer than a file name");
	is_int(as_nobody(token, DIOS_READ), 0, "and opens");
	is_int(as_nobody(token, DIOS_WRITE), -EACCES, "to read only");
	token[100] ^= 1;
	is_int(as_nobody(token, DIOS_READ) < 0, 1, "changed it does not");
	dios_close(ref);
	unlink(path);
}

static void narrowed(void)
{
	struct dios_buffer b;
	char text[16];
	dios_ref ref = made(0, (struct dios_create_options){ .path = at("narrow") }, "a blob"), part = -1, reader = -1;

	is_int(put(0, ref, 0, "0123456789"), 0, "ten bytes");
	is_int(dios_copy(0, ref, &(struct dios_copy_options){ .rights = DIOS_READ, .offset = 2, .length = 5 }, &part, NULL), 0, "a reference to five of them");
	holds(part, 2, "23456", "has them");
	is_int(dios_acquire_read(0, part, 0, 1, &b), -EACCES, "and not those before");
	is_int(pread(part, text, 1, 8) < 0 ? -errno : 0, -EACCES, "nor those behind, for read(2) either");
	is_int(dios_acquire_write(0, part, 2, 1, &b), -EACCES, "nor is it for writing");
	is_int(dios_copy(0, ref, NULL, &reader, NULL), 0, "a reference without limits");
	holds(reader, 0, "0123456789", "has all");
	is_int(dios_acquire_read(DIOS_PIN, part, 2, 5, &b), 0, "a pinned copy of the part");
	is_int(dios_commit_read(0, part, &b), 0, "is current");
	dios_close(part);
	dios_close(reader);
	dios_close(ref);
	unlink(at("narrow"));
}

/* ---- another user ------------------------------------------------------------------------------------------------ */

static int nobody_creates(const void *arg)
{
	const char *path = arg;
	dios_ref ref;
	int r = dios_create(0, &(struct dios_create_options){ .path = path }, NULL, &ref);
	if (r == 0)
		dios_close(ref);
	return r;
}

static int nobody_opens_name(const void *arg) { return use(&(struct token_use){ arg, DIOS_READ }); }

static int nobody_makes_nameless(const void *arg)
{
	struct dios_buffer b;
	dios_ref ref;
	(void)arg;
	int r = dios_create(0, NULL, NULL, &ref);
	if (r == 0) r = put(0, ref, 0, "mine");
	if (r == 0) r = dios_acquire_read(0, ref, 0, 100, &b);
	if (r == 0) r = b.size == 4 && memcmp(b.data, "mine", 4) == 0 ? dios_commit_read(0, ref, &b) : -EIO;
	if (r == 0) r = dios_acquire_write(0, ref, 0, 1 << 20, &b);   /* through a private buffer */
	if (r == 0) r = dios_commit_write(0, ref, &b, 1 << 20);
	if (r == 0) r = dios_delete(0, ref);
	return r;
}

static int nobody_mints(const void *arg)
{
	char token[DIOS_TOKEN_SIZE];
	dios_ref ref;
	int r = dios_open(0, arg, DIOS_READ, &ref);
	return r < 0 ? r : dios_copy(DIOS_TOKEN, ref, NULL, NULL, token);
}

static int nobody_revokes(const void *arg) { return dios_revoke(arg); }

static void others(void)
{
	struct dios_name name;
	char text[DIOS_NAME_TEXT], token[DIOS_TOKEN_SIZE];
	dios_ref ref;

	mkdir(at("open"), 0);
	chmod(at("open"), 0777);
	mkdir(at("closed"), 0755);
	is_int(as_user(NOBODY, nobody_creates, at("open/a")), 0, "anybody makes objects in a folder open to all");
	is_int(as_user(NOBODY, nobody_creates, at("closed/a")), -EACCES, "but not in one that is closed");
	is_int(as_user(NOBODY, nobody_makes_nameless, NULL), 0, "and objects without a path, private buffers and all");
	is_int(dios_create(0, &(struct dios_create_options){ .path = at("open/mine"), .mode = 0644 }, &name, &ref), 0, "root's blob of mode 0644");
	dios_name_to_text(&name, text);
	is_int(as_user(NOBODY, nobody_opens_name, text), -EACCES, "by its bare name nobody else opens it");
	is_int(as_user(NOBODY, nobody_opens_name, at("open/mine")), 0, "by its path they read it");
	is_int(as_user(NOBODY, nobody_mints, at("open/mine")), -EACCES, "but mint no token");
	mint(ref, (struct dios_copy_options){ .rights = DIOS_READ }, token, "a token of root's");
	is_int(as_user(NOBODY, nobody_revokes, token), -EPERM, "nobody else revokes");
	dios_close(ref);
	unlink(at("open/a"));
	unlink(at("open/mine"));
	rmdir(at("open"));
	rmdir(at("closed"));
}

static void changes(void)
{
	struct dios_buffer b;
	const char *path = at("changing");
	dios_ref ref = made(0, (struct dios_create_options){ .path = path }, "a blob"), watcher = opened(path, DIOS_READ, "somebody who watches");
	struct dios_wait wait = { .ref = watcher, .wanted = DIOS_CHANGED };

	is_int(dios_select(0, &wait, 1, 0), -ETIMEDOUT, "nothing has changed");
	is_int(put(0, ref, 0, "new"), 0, "a commit");
	is_int(dios_select(0, &wait, 1, 5000000000), 0, "is a change");
	is_int(wait.ready, DIOS_CHANGED, "and select says so");
	is_int(dios_acquire_read(0, watcher, 0, 10, &b), 0, "acquired");
	is_int(dios_commit_read(0, watcher, &b), 0, "and committed");
	is_int(dios_select(0, &wait, 1, 0), -ETIMEDOUT, "it is not news any more");
	is_int(put(DIOS_AT_END, ref, 0, "er"), 0, "another commit");
	is_int(dios_select(0, &wait, 1, 5000000000), 0, "is");
	dios_close(watcher);
	dios_close(ref);
	unlink(path);
}

int main(void)
{
	random_names();
	other_names();
	paths();
	lifecycles();
	replicas();
	clones();
	tokens();
	long_token();
	narrowed();
	others();
	changes();
	return done_testing();
}
