/* What a token gives and refuses, on live objects: each right and caveat is refused once, and so is everybody who may not mint or revoke. */
#include <fcntl.h>
#include <linux/falloc.h>

#include "tests/objects/sim_node.h"

#define OWNER 1000
#define STRANGER 65534

static struct sim_node node;
static uint64_t ino;                               /* 0600, of OWNER, with the text */
static const char text[] = "0123456789";
static const struct caller owner = { .uid = OWNER, .gid = OWNER }, stranger = { .uid = STRANGER, .gid = STRANGER }, root = { .uid = 0 };

static void mint(char token[static TOKEN_TEXT_MAX + 1], uint32_t rights, const struct caveat *caveats, size_t count)
{
	struct reference *r = node_reference(&node, ino, RIGHT_READ);

	must(capability_mint(r, &owner, rights, caveats, count, token), "mint");
	reference_close(r);
}

/* Opens as whoever it is. */
static int open_as(const char *token, const struct caller *who, uint32_t want, struct reference **ret_reference)
{
	struct reference_options options = { .rights = 0 };
	struct token_grant grant;
	uint64_t found;
	int r = capability_verify(node.objects, token, strlen(token), who, &found, &grant);

	if (r < 0)
		return r;
	if (found != ino)
		return -ENOTUNIQ;
	return capability_open(node.objects, found, &grant, want, &options, ret_reference);
}

/* The error of opening and closing again. */
static int opens(const char *token, const struct caller *who, uint32_t want)
{
	struct reference *r;
	int e = open_as(token, who, want, &r);

	if (e == 0)
		reference_close(r);
	return e;
}

static struct reference *must_open(const char *token, uint32_t want)
{
	struct reference *r;

	must(open_as(token, &stranger, want, &r), "opening by token");
	return r;
}

static ssize_t reads(struct reference *r, uint64_t offset, size_t size)
{
	char bytes[64];

	return reference_read(r, offset, bytes, size);
}

static int commits(struct reference *r, uint32_t flags, uint64_t offset)
{
	uint64_t version;

	return reference_commit(r, 0, flags | COMMIT_FORCE, offset, "x", 1, &version);
}

static void rights(void)
{
	static const uint32_t all[] = { RIGHT_READ, RIGHT_WRITE, RIGHT_APPEND, RIGHT_EXECUTE, RIGHT_DELETE, RIGHT_DELEGATE };
	char token[TOKEN_TEXT_MAX + 1];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		mint(token, (uint32_t)RIGHT_ALL & ~all[i], NULL, 0);
		is_int(opens(token, &stranger, all[i]), -EACCES, "a token without right %u does not give it", all[i]);
		is_int(opens(token, &stranger, all[i] | all[(i + 1) % 6]), -EACCES, "nor together with one that it gives");
		mint(token, all[i], NULL, 0);
		is_int(opens(token, &stranger, all[i]), 0, "one with it does");
		mint(token, RIGHT_ALL, &(struct caveat){ .kind = CAVEAT_RIGHTS, .rights = (uint32_t)RIGHT_ALL & ~all[i] }, 1);
		is_int(opens(token, &stranger, all[i]), -EACCES, "one narrowed by it does not");
	}
	is_int(opens(token, &stranger, 0), -EACCES, "no rights are no way to open");
}

static void what_a_handle_does(void)
{
	char token[TOKEN_TEXT_MAX + 1], byte = 'x';
	uint64_t version;

	mint(token, RIGHT_ALL, NULL, 0);
	struct reference *r = must_open(token, RIGHT_READ);
	is_int(reads(r, 0, 10), 10, "a handle to read reads");
	is_int(reference_write(r, 0, &byte, 1, false), -EBADF, "does not write");
	is_int(commits(r, 0, 0), -EBADF, "nor commit");
	is_int(commits(r, COMMIT_APPEND, 0), -EBADF, "nor append");
	is_int(reference_allocate(r, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1), -EBADF, "nor punch");
	reference_close(r);
	r = must_open(token, RIGHT_APPEND);
	is_int(reads(r, 0, 10), -EBADF, "a handle to append does not read");
	is_int(commits(r, 0, 0), -EBADF, "nor commit over what is there");
	is_int(reference_allocate(r, 0, 0, 100), -EBADF, "nor grow it by other means");
	is_int(reference_write(r, 0, "!", 1, false), 1, "it appends");
	is_int(reference_acquire(r, &version), 0, "(acquires)");
	reference_close(r);
	r = must_open(token, RIGHT_READ);
	char found[16];
	ok(reference_read(r, 0, found, 16) == 11 && memcmp(found, "0123456789!", 11) == 0, "whatever offset it gives");
	reference_close(r);
	r = must_open(token, RIGHT_DELETE);
	is_int(reads(r, 0, 10), -EBADF, "a handle to delete does not read");
	is_int(reference_write(r, 0, &byte, 1, false), -EBADF, "nor write");
	reference_close(r);
}

static void range(void)
{
	static const struct caveat caveat = { .kind = CAVEAT_RANGE, .range = { 2, 3 } };
	char token[TOKEN_TEXT_MAX + 1];

	mint(token, RIGHT_READ | RIGHT_WRITE | RIGHT_DELEGATE, &caveat, 1);
	struct reference *r = must_open(token, RIGHT_READ | RIGHT_WRITE | RIGHT_DELEGATE);
	is_int(reads(r, 2, 3), 3, "a range is read");
	is_int(reads(r, 3, 10), 2, "and no further");
	is_int(reads(r, 1, 2), -EACCES, "not from before it");
	is_int(reads(r, 5, 1), -EACCES, "nor from behind it");
	is_int(reference_write(r, 2, "234", 3, false), 3, "it is written");
	is_int(reference_write(r, 4, "45", 2, false), -EACCES, "not beyond");
	is_int(reference_write(r, 0, "0", 1, false), -EACCES, "nor before");
	is_int(commits(r, 0, 5), -EACCES, "nor committed");
	is_int(commits(r, COMMIT_TRUNCATE, 3), -EACCES, "nor is what follows cut away");
	is_int(commits(r, COMMIT_APPEND, 0), -EACCES, "nor anything appended");
	is_int(reference_allocate(r, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4, 2), -EACCES, "nor punched");
	struct command_create create = { .parent = ROOT_INO, .entry = { (const uint8_t *)"clone", 5 }, .kind = KIND_BLOB, .mode = S_IFREG | 0600 };
	struct attributes a;
	is_int(object_clone(node.objects, r, &create, &a), -EACCES, "nor is all of it cloned");
	uint64_t other = node_make(&node, "copy", KIND_BLOB, 0600, STRANGER);
	struct reference *to = node_reference(&node, other, RIGHT_WRITE | RIGHT_READ);
	is_int(reference_copy_range(r, 0, to, 0, 10), -EACCES, "nor copied from the beginning");
	is_int(reference_copy_range(r, 2, to, 0, 10), 3, "but the range is");
	reference_close(to);
	/* What is minted from it is as narrow. */
	char handed[TOKEN_TEXT_MAX + 1];
	is_int(capability_mint(r, &stranger, RIGHT_READ, NULL, 0, handed), 0, "with `delegate` it is handed on");
	reference_close(r);
	r = must_open(handed, RIGHT_READ);
	is_int(reads(r, 0, 1), -EACCES, "as narrow as it is");
	is_int(reads(r, 2, 10), 3, "and no wider");
	reference_close(r);
}

static void expiry(void)
{
	struct caveat caveat = { .kind = CAVEAT_EXPIRY, .expiry_ns = node.now_ns + 10 };
	char token[TOKEN_TEXT_MAX + 1], handed[TOKEN_TEXT_MAX + 1];

	mint(token, RIGHT_READ | RIGHT_WRITE | RIGHT_DELEGATE, &caveat, 1);
	struct reference *r = must_open(token, RIGHT_READ | RIGHT_WRITE | RIGHT_DELEGATE);
	is_int(capability_mint(r, &stranger, RIGHT_READ, NULL, 0, handed), 0, "a token that expires is handed on");
	node.now_ns += 9;
	is_int(reads(r, 0, 1), 1, "until it expires its handle reads");
	is_int(opens(token, &stranger, RIGHT_READ), 0, "and it opens");
	node.now_ns += 1;
	is_int(opens(token, &stranger, RIGHT_READ), -EACCES, "then it does not");
	is_int(opens(handed, &stranger, RIGHT_READ), -EACCES, "nor does what was handed on");
	is_int(reads(r, 0, 1), -EACCES, "and its handle does not read");
	is_int(reference_write(r, 0, "0", 1, false), -EACCES, "nor write");
	is_int(commits(r, 0, 0), -EACCES, "nor commit");
	reference_close(r);
}

static void bound(void)
{
	struct name task, other;
	char token[TOKEN_TEXT_MAX + 1];

	name_random(&node.random.source, 1, &task);
	name_random(&node.random.source, 1, &other);
	mint(token, RIGHT_READ | RIGHT_DELEGATE, &(struct caveat){ .kind = CAVEAT_NODE, .node = cluster_node_id(node.cluster) + 1 }, 1);
	is_int(opens(token, &stranger, RIGHT_READ), -EACCES, "a token for another node does not open");
	mint(token, RIGHT_READ | RIGHT_DELEGATE, &(struct caveat){ .kind = CAVEAT_TASK, .task = task }, 1);
	is_int(opens(token, &stranger, RIGHT_READ), -EACCES, "one for a task does not open to others");
	is_int(opens(token, &(struct caller){ .uid = STRANGER, .task = &other }, RIGHT_READ), -EACCES, "nor to another task");
	struct reference *r;
	must(open_as(token, &(struct caller){ .uid = STRANGER, .task = &task }, RIGHT_READ | RIGHT_DELEGATE, &r), "opening as the task");
	is_int(capability_mint(r, &stranger, RIGHT_READ, NULL, 0, token), -EACCES, "and the task does not hand it on");
	reference_close(r);
}

static void once(void)
{
	char token[TOKEN_TEXT_MAX + 1], shorter[TOKEN_TEXT_MAX + 1];
	struct token t;
	size_t length;

	mint(token, RIGHT_READ, &(struct caveat){ .kind = CAVEAT_ONCE }, 1);
	is_int(opens(token, &stranger, RIGHT_WRITE), -EACCES, "an open that is refused");
	is_int(opens(token, &stranger, RIGHT_READ), 0, "does not spend a token that is good once");
	is_int(opens(token, &stranger, RIGHT_READ), -EACCES, "which opens once");
	node_restart(&node);
	is_int(opens(token, &stranger, RIGHT_READ), -EACCES, "also after a restart");

	/* Spent through a copy that expires soon, the token itself must stay spent. */
	mint(token, RIGHT_READ, &(struct caveat){ .kind = CAVEAT_ONCE }, 1);
	must(token_from_text(token, strlen(token), &t), "reading the token");
	must(token_narrow(&t, &(struct caveat){ .kind = CAVEAT_EXPIRY, .expiry_ns = node.now_ns + NS_PER_SECOND }), "narrowing");
	must(token_to_text(&t, shorter, sizeof(shorter), &length), "writing the token");
	is_int(opens(shorter, &stranger, RIGHT_READ), 0, "a copy that ends sooner opens");
	node.now_ns += 24 * 3600 * NS_PER_SECOND;
	char another[TOKEN_TEXT_MAX + 1];
	mint(another, RIGHT_READ, &(struct caveat){ .kind = CAVEAT_ONCE }, 1);
	is_int(opens(another, &stranger, RIGHT_READ), 0, "(what is past is forgotten with another)");
	is_int(opens(token, &stranger, RIGHT_READ), -EACCES, "and a day later the one it came from is spent still");
}

static void revoked(void)
{
	char first[TOKEN_TEXT_MAX + 1], second[TOKEN_TEXT_MAX + 1], third[TOKEN_TEXT_MAX + 1], narrow[TOKEN_TEXT_MAX + 1];
	struct token t;
	size_t length;

	mint(first, RIGHT_READ, NULL, 0);
	mint(second, RIGHT_READ, NULL, 0);
	must(token_from_text(first, strlen(first), &t), "reading the token");
	must(token_narrow(&t, &(struct caveat){ .kind = CAVEAT_RANGE, .range = { 0, 1 } }), "narrowing");
	must(token_to_text(&t, narrow, sizeof(narrow), &length), "writing the token");
	is_int(capability_revoke(node.objects, &stranger, first, strlen(first)), -EPERM, "a stranger does not revoke");
	is_int(opens(first, &stranger, RIGHT_READ), 0, "and it opens still");
	is_int(capability_revoke(node.objects, &owner, first, strlen(first)), 0, "the owner does");
	is_int(opens(first, &stranger, RIGHT_READ), -EACCES, "and it does not");
	is_int(opens(narrow, &stranger, RIGHT_READ), -EACCES, "nor what was narrowed from it");
	is_int(opens(second, &stranger, RIGHT_READ), 0, "others of the object do");
	is_int(capability_revoke_all(node.objects, &stranger, ino), -EPERM, "a stranger does not revoke all");
	is_int(capability_revoke_all(node.objects, &root, ino), 0, "root does");
	is_int(opens(second, &stranger, RIGHT_READ), -EACCES, "and no token of before opens");
	mint(third, RIGHT_READ, NULL, 0);
	is_int(opens(third, &stranger, RIGHT_READ), 0, "one of after does");
	node.now_ns += 365 * 24 * 3600 * NS_PER_SECOND;
	node_restart(&node);
	is_int(opens(first, &stranger, RIGHT_READ), -EACCES, "a year and a restart later: the one that was revoked by itself");
	is_int(opens(second, &stranger, RIGHT_READ), -EACCES, "and the one that was revoked with all");
	is_int(opens(third, &stranger, RIGHT_READ), 0, "the last opens still");
}

/* Whoever sees another's token, and owns an object himself, does not revoke by a text made up of both. */
static void revoking_by_a_forged_text(void)
{
	uint64_t own = node_make(&node, "own", KIND_BLOB, 0600, STRANGER);
	struct attributes a;
	char token[TOKEN_TEXT_MAX + 1], forged[TOKEN_TEXT_MAX + 1];
	struct token t;
	size_t length;

	mint(token, RIGHT_READ, NULL, 0);
	must(token_from_text(token, strlen(token), &t), "reading the token");
	must(object_get(node.objects, own, &a), "attributes");
	t.name = a.record.name;
	must(token_to_text(&t, forged, sizeof(forged), &length), "writing the token");
	is_int(capability_revoke(node.objects, &stranger, forged, length), -EACCES, "a forged token is not revoked");
	is_int(opens(token, &stranger, RIGHT_READ), 0, "and the one whose id it has opens still");
}

/* A handle that is refused was never a writer. */
static void once_on_a_stream_that_ends(void)
{
	struct command_create create = { .parent = ROOT_INO, .entry = { (const uint8_t *)"ends", 4 }, .kind = KIND_STREAM, .mode = S_IFREG | 0600,
		.flags = CREATE_STREAM_END_ON_CLOSE, .uid = OWNER };
	struct reference_options options = { .rights = 0 };
	char token[TOKEN_TEXT_MAX + 1], bytes[8];
	struct token_grant grant;
	struct attributes a;
	struct reference *w;
	uint64_t stream, at = 0;

	must(object_create(node.objects, &create, 0, NULL, &a), "making a stream");
	struct reference *r = node_reference(&node, a.record.ino, RIGHT_READ);
	must(capability_mint(r, &owner, RIGHT_WRITE, &(struct caveat){ .kind = CAVEAT_ONCE }, 1, token), "mint");
	must(capability_verify(node.objects, token, strlen(token), &stranger, &stream, &grant), "verify");
	must(capability_open(node.objects, stream, &grant, RIGHT_WRITE, &options, &w), "opening by token");
	reference_close(w);
	is_int(stream_read(r, &at, true, bytes, sizeof(bytes)), 0, "a stream made so ends with its last writer");
	reference_close(r);
	must(object_unlink(node.objects, ROOT_INO, "ends", 4, false), "unlink");
	must(object_create(node.objects, &create, 0, NULL, &a), "making a stream");
	r = node_reference(&node, a.record.ino, RIGHT_READ);
	is_int(capability_open(node.objects, a.record.ino, &grant, RIGHT_WRITE, &options, &w), -EACCES, "a token that is spent does not open to write");
	is_int(stream_read(r, &at, true, bytes, sizeof(bytes)), -EAGAIN, "nor does the attempt end the stream");
	reference_close(r);
}

static void minting(void)
{
	char token[TOKEN_TEXT_MAX + 1];
	struct reference *r = node_reference(&node, ino, RIGHT_READ | RIGHT_WRITE);

	is_int(capability_mint(r, &stranger, RIGHT_READ, NULL, 0, token), -EACCES, "a stranger does not mint from a handle");
	reference_close(r);
	r = node_reference(&node, ino, RIGHT_READ | RIGHT_DELEGATE);
	is_int(capability_mint(r, &stranger, RIGHT_READ, NULL, 0, token), 0, "but from one with `delegate`");
	is_int(capability_mint(r, &stranger, RIGHT_READ | RIGHT_WRITE, NULL, 0, token), -EACCES, "not more than it has");
	is_int(capability_mint(r, &owner, RIGHT_ALL, NULL, 0, token), -EACCES, "nor does the owner, from a handle that was handed to him");
	is_int(capability_mint(r, &owner, 0, NULL, 0, token), -EINVAL, "a token of no rights is none");
	is_int(capability_mint(r, &owner, RIGHT_ALL + 1, NULL, 0, token), -EINVAL, "nor is one of rights that there are not");
	reference_close(r);
}

/* A token of an object that is gone, and of one that never was. */
static void gone(void)
{
	char token[TOKEN_TEXT_MAX + 1], forged[TOKEN_TEXT_MAX + 1];
	struct token t;
	size_t length;

	mint(token, RIGHT_READ, NULL, 0);
	must(token_from_text(token, strlen(token), &t), "reading the token");
	t.tag[0] ^= 1;
	must(token_to_text(&t, forged, sizeof(forged), &length), "writing the token");
	is_int(opens(forged, &stranger, RIGHT_READ), -EACCES, "a forged token does not open");
	t.name.bytes[20] ^= 1;
	must(token_to_text(&t, forged, sizeof(forged), &length), "writing the token");
	is_int(opens(forged, &stranger, RIGHT_READ), -EACCES, "nor does one of nothing, and tells no more");
	must(object_unlink(node.objects, ROOT_INO, "secret", 6, false), "unlink");
	node_settle(&node);
	is_int(opens(token, &stranger, RIGHT_READ), -EACCES, "nor one of an object that is gone");
}

int main(void)
{
	node_open(&node);
	ino = node_make(&node, "secret", KIND_BLOB, 0600, OWNER);
	struct reference *r = node_reference(&node, ino, RIGHT_WRITE);
	must((int)reference_write(r, 0, text, strlen(text), false), "writing");
	reference_close(r);
	rights();
	what_a_handle_does();
	range();
	expiry();
	bound();
	once();
	revoked();
	revoking_by_a_forged_text();
	once_on_a_stream_that_ends();
	minting();
	gone();
	node_close(&node);
	return done_testing();
}
