/* Operations of several steps, of which one fails: what was accepted stays, what was refused leaves nothing. */
#include "tests/objects/sim_node.h"

#define RIGHTS (RIGHT_READ | RIGHT_WRITE)
#define KIB 1024
#define MIB (1024 * 1024)

static struct sim_node node;

/* The commands of one kind that are let through before one is refused; 0: all. */
static struct { enum command_kind kind; unsigned passes; int error; bool armed, applied; } refusal;

int __real_cluster_propose(struct cluster *c, struct command *command, bool durable, struct result *ret_result);
int __wrap_cluster_propose(struct cluster *c, struct command *command, bool durable, struct result *ret_result);

int __wrap_cluster_propose(struct cluster *c, struct command *command, bool durable, struct result *ret_result)
{
	if (refusal.armed && command->kind == refusal.kind && refusal.passes-- == 0) {
		refusal.armed = false;
		if (refusal.applied)
			must(__real_cluster_propose(c, command, durable, ret_result), "a command whose answer is lost");
		refusal.applied = false;
		return refusal.error;
	}
	return __real_cluster_propose(c, command, durable, ret_result);
}

static void refuse(enum command_kind kind, unsigned passes, int error)
{
	refusal.kind = kind;
	refusal.passes = passes;
	refusal.error = error;
	refusal.armed = true;
}

static uint64_t version_of(uint64_t ino)
{
	struct attributes a;

	must(object_get(node.objects, ino, &a), "attributes");
	return a.record.version;
}

/* A small blob grows in two commands, and the second is refused: its first bytes are committed by then. */
static void test_second_command_refused(void)
{
	node_open(&node);
	uint64_t ino = node_make(&node, "grows", KIND_BLOB, 0600, 0);
	struct reference *r = node_reference(&node, ino, RIGHTS);
	node_write(r, 0, 100 * KIB, 'a');
	node_write(r, 1ull << 30, 10, 'b');
	refuse(COMMAND_COMMIT, 1, -ENOSPC);
	is_int(reference_sync(r), -ENOSPC, "the second of two commands is refused");
	node_write(r, 4096, 4096, 'c');
	is_int(reference_sync(r), 0, "what is written then is committed with the rest");
	node_settle(&node);
	ok(node_reads(r, 0, 4096, 'a') && node_reads(r, 4096, 4096, 'c') && node_reads(r, 8192, 100 * KIB - 8192, 'a') && node_reads(r, 1ull << 30, 10, 'b'),
		"and all of it is read");
	reference_close(r);
	node_close(&node);
}

/* A commit_write that makes a small blob large, far behind its end. */
static void test_publication_far_behind(void)
{
	uint8_t *bytes = calloc(1, 200 * KIB);
	uint64_t version, after;

	node_open(&node);
	uint64_t ino = node_make(&node, "far", KIND_BLOB, 0600, 0);
	struct reference *r = node_reference(&node, ino, RIGHTS);
	node_write(r, 0, 5000, 'a');
	must(reference_acquire(r, &version), "acquire");
	refuse(COMMAND_COMMIT, 0, -ENOSPC);
	is_int(reference_commit(r, version, 0, 1ull << 30, bytes, 200 * KIB, &after), -ENOSPC, "a commit_write is refused");
	ok(version_of(ino) == version && node_size(&node, ino) == 5000 && node_reads(r, 0, 5000, 'a'), "and nothing has changed");
	refusal.armed = false;
	is_int(reference_commit(r, version, 0, 1ull << 30, bytes, 200 * KIB, &after), 0, "a gibibyte behind the end of a small blob it succeeds");
	is_int(after, version + 1, "as one version");
	node_settle(&node);
	ok(node_reads(r, 0, 5000, 'a') && node_reads(r, 5000, 100 * KIB, 0) && node_reads(r, 1ull << 30, 200 * KIB, 0), "and is read, with what was there before");
	reference_close(r);
	node_close(&node);
	free(bytes);
}

/* A file is unlinked, and given a name again before it is freed. */
static void test_linked_again(void)
{
	struct attributes a;

	node_open(&node);
	uint64_t ino = node_make(&node, "file", KIND_BLOB, 0600, 0);
	struct reference *r = node_reference(&node, ino, RIGHTS);
	node_write(r, 0, 200 * KIB, 'a');
	must(reference_sync(r), "sync");
	must(object_unlink(node.objects, ROOT_INO, "file", 4, false), "unlink");
	reference_close(r);
	is_int(object_link(node.objects, ino, ROOT_INO, "again", 5, &a), 0, "an unlinked file gets a name again before it is freed");
	node_settle(&node);
	r = node_reference(&node, ino, RIGHTS);
	ok(node_reads(r, 0, 200 * KIB, 'a'), "and keeps its bytes");
	reference_close(r);
	node_close(&node);
}

/* What nobody has open goes with its last link; what somebody has open does not, nor what an earlier daemon's programs may have. */
static void test_unlink_of_small_files(void)
{
	struct cluster_info before, after;

	node_open(&node);
	cluster_get_info(node.cluster, &before);
	struct reference *r = node_reference(&node, node_make(&node, "open", KIND_BLOB, 0600, 0), RIGHTS);
	node_make(&node, "closed", KIND_BLOB, 0600, 0);
	node_write(r, 0, 1000, 's');
	must(reference_sync(r), "sync");
	refuse(COMMAND_REAP, 0, -ENOSPC);
	must(object_unlink(node.objects, ROOT_INO, "closed", 6, false), "unlink");
	cluster_get_info(node.cluster, &after);
	ok(after.objects == before.objects + 1, "a small file that nobody has open goes with its last link");
	must(object_unlink(node.objects, ROOT_INO, "open", 4, false), "unlink");
	node_settle(&node);
	ok(refusal.armed && node_reads(r, 0, 1000, 's'), "D5_one that is open stays");
	refusal.armed = false;
	reference_close(r);
	node_settle(&node);
	cluster_get_info(node.cluster, &after);
	ok(after.objects == before.objects, "D5_until it is closed");
	node_close(&node);
}

/* Freeing unlinked files is refused for a while. */
static void test_freeing_refused(void)
{
	struct cluster_info before, after;

	node_open(&node);
	cluster_get_info(node.cluster, &before);
	struct reference *r = node_reference(&node, node_make(&node, "file", KIND_BLOB, 0600, 0), RIGHTS);
	must(object_unlink(node.objects, ROOT_INO, "file", 4, false), "unlink");
	reference_close(r);
	refuse(COMMAND_REAP, 0, -ENOSPC);
	node_settle(&node);
	cluster_get_info(node.cluster, &after);
	ok(!refusal.armed && after.objects == before.objects, "what could not be freed is freed later");
	node_close(&node);
}

static void node_power_cut_closing(struct reference **r, uint64_t ino)
{
	reference_close(*r);
	node_power_cut(&node);
	*r = node_reference(&node, ino, RIGHTS);
}

static struct reference *make_large(const char *entry, uint64_t *ret_ino)
{
	*ret_ino = node_make(&node, entry, KIND_BLOB, 0600, 0);
	struct reference *r = node_reference(&node, *ret_ino, RIGHTS);
	node_write(r, 0, 256 * KIB, 'a');
	must(reference_sync(r), "sync");
	return r;
}

/* The commit at the end of the daemon is refused: the bytes wait for the next daemon, wherever in the staging log they are. */
static void test_stop_without_commit(void)
{
	uint64_t ino, other_ino;

	node_open(&node);
	struct reference *r = make_large("file", &ino), *other = make_large("other", &other_ino);
	node_write(r, 4096, 4096, 'b');
	for (unsigned i = 0; i < 140; i++) {   /* more than a segment of the staging log */
		node_write(other, 0, 256 * KIB, (uint8_t)i);
		must(reference_sync(other), "sync");
		if (i % 10 == 9)
			must(cluster_maintain(node.cluster), "maintain");
	}
	reference_close(other);
	reference_close(r);
	refuse(COMMAND_COMMIT, 0, -ENOSPC);
	node_stop(&node);
	ok(!refusal.armed, "the last commit of a daemon is refused");
	node_start(&node);
	r = node_reference(&node, ino, RIGHTS);
	ok(node_reads(r, 0, 4096, 'a') && node_reads(r, 4096, 4096, 'b') && node_reads(r, 8192, 248 * KIB, 'a'), "its bytes are there for the next one");
	reference_close(r);
	node_close(&node);
}

/* The disk is full before the end of a write. */
static void test_short_write(void)
{
	static uint8_t bytes[400 * KIB];
	struct disk_space space;
	uint64_t ino;

	memset(bytes, 'b', sizeof(bytes));
	node_open(&node);
	struct reference *r = make_large("file", &ino);
	must(disk_space(node.disk, &space), "space");
	disk_sim_set_capacity(node.disk, space.total_bytes - space.free_bytes + 300 * KIB);
	ssize_t n = reference_write(r, 128 * KIB, bytes, sizeof(bytes), false);
	is_int(n, 128 * KIB, "what has found room is what a write returns");
	disk_sim_set_capacity(node.disk, space.total_bytes);
	is_int(reference_sync(r), 0, "and what is committed");
	ok(node_size(&node, ino) == 256 * KIB && node_reads(r, 128 * KIB, 128 * KIB, 'b'), "and read");
	reference_close(r);
	node_close(&node);
}

/* The head of a publication that was refused is empty again. */
static void test_refused_publication_leaves_no_bytes(void)
{
	static uint8_t bytes[2 * MIB];
	struct disk_space before, after;
	uint64_t ino, version;

	node_open(&node);
	struct reference *r = make_large("file", &ino);
	node_settle(&node);
	must(disk_space(node.disk, &before), "space");
	refuse(COMMAND_COMMIT, 0, -ENOSPC);
	is_int(reference_commit(r, 0, COMMIT_FORCE, 256 * KIB, bytes, sizeof(bytes), &version), -ENOSPC, "a large commit_write is refused");
	must(disk_space(node.disk, &after), "space");
	ok(before.free_bytes - after.free_bytes < 100 * KIB, "and takes no room");
	reference_close(r);
	node_close(&node);
}

/* The answers of two commands are lost, and they have been applied. */
static void test_unknown_outcome(void)
{
	struct attribute_change cut = { .mask = SET_SIZE, .size = 5000 };
	uint64_t ino;

	node_open(&node);
	struct reference *r = make_large("file", &ino);
	refuse(COMMAND_COMMIT, 0, -EIO);
	refusal.applied = true;
	is_int(object_set(node.objects, ino, &cut, NULL), -EIO, "the outcome of a truncation is not known");
	ok(node_size(&node, ino) == 5000 && node_reads(r, 0, 5000, 'a'), "what is seen is what has become of it");
	node_write(r, 5000, 300 * KIB, 'b');
	refuse(COMMAND_COMMIT, 0, -EIO);
	refusal.applied = true;
	is_int(reference_sync(r), -EIO, "the outcome of a commit is not known");
	ok(node_reads(r, 0, 5000, 'a') && node_reads(r, 5000, 300 * KIB, 'b'), "the bytes are there");
	node_write(r, 8192, 100, 'c');
	is_int(reference_sync(r), 0, "and are committed again");
	node_settle(&node);
	node_power_cut_closing(&r, ino);
	ok(node_reads(r, 0, 5000, 'a') && node_reads(r, 5000, 3192, 'b') && node_reads(r, 8192, 100, 'c') && node_reads(r, 8292, 300 * KIB - 3292, 'b'), "for good");
	reference_close(r);
	node_close(&node);
}

/* The answer of an unlink is lost: what it has orphaned is freed by this daemon all the same, and what is held is not. */
static void test_unknown_unlink(void)
{
	struct command_create create = { .kind = KIND_BLOB, .mode = S_IFREG | 0600, .orphan = true, .lifecycle = LIFECYCLE_REFCOUNTED };
	struct disk_space before, after;
	struct reference *unnamed;
	struct attributes a;
	uint64_t ino;

	node_open(&node);
	must(object_create(node.objects, &create, RIGHTS, &unnamed, &a), "an object without a name");
	node_settle(&node);
	must(disk_space(node.disk, &before), "space");
	reference_close(make_large("file", &ino));
	node_settle(&node);
	refuse(COMMAND_UNLINK, 0, -EIO);
	refusal.applied = true;
	is_int(object_unlink(node.objects, ROOT_INO, "file", 4, false), -EIO, "the outcome of an unlink is not known");
	node_settle(&node);
	must(disk_space(node.disk, &after), "space");
	ok(after.free_bytes + 64 * KIB > before.free_bytes, "its bytes are given back");
	struct record record;
	is_int(state_get(cluster_state(node.cluster, ino), ino, &record), -ENOENT, "and it is gone");
	node_write(unnamed, 0, 100, 'u');
	ok(reference_sync(unnamed) == 0 && node_reads(unnamed, 0, 100, 'u'), "one that is held stays");
	reference_close(unnamed);
	node_close(&node);
}

static void test_clone_of_itself(void)
{
	uint64_t ino;

	node_open(&node);
	struct reference *r = make_large("file", &ino), *same = node_reference(&node, ino, RIGHTS), *reader = node_reference(&node, ino, RIGHT_READ);
	uint64_t empty = node_make(&node, "empty", KIND_BLOB, 0600, 0);
	struct reference *to = node_reference(&node, empty, RIGHT_READ);
	is_int(reference_clone(r, same), -EINVAL, "an object is not cloned into itself");
	is_int(reference_clone(reader, to), -EBADF, "nor into one that may not be written");
	reference_close(to);
	reference_close(reader);
	reference_close(same);
	reference_close(r);
	node_close(&node);
}

/* The command that ends a stream with its last writer is refused. */
static void test_end_refused(void)
{
	struct command_create create = { .parent = ROOT_INO, .entry = { (const uint8_t *)"ends", 4 }, .kind = KIND_STREAM, .mode = S_IFREG | 0600,
		.flags = CREATE_STREAM_END_ON_CLOSE };
	struct attributes a;
	char bytes[8];
	uint64_t at = 0;

	node_open(&node);
	must(object_create(node.objects, &create, 0, NULL, &a), "making a stream");
	struct reference *r = node_reference(&node, a.record.ino, RIGHT_READ), *w = node_reference(&node, a.record.ino, RIGHT_WRITE);
	refuse(COMMAND_STREAM_UPDATE, 0, -ENOSPC);
	reference_close(w);
	is_int(stream_read(r, &at, true, bytes, sizeof(bytes)), -EAGAIN, "an end that is refused has not come");
	node_settle(&node);
	is_int(stream_read(r, &at, true, bytes, sizeof(bytes)), 0, "it comes later");
	reference_close(r);
	node_close(&node);
}

int main(void)
{
	test_end_refused();
	test_unknown_outcome();
	test_unknown_unlink();
	test_clone_of_itself();
	test_second_command_refused();
	test_publication_far_behind();
	test_linked_again();
	test_unlink_of_small_files();
	test_freeing_refused();
	test_stop_without_commit();
	test_short_write();
	test_refused_publication_leaves_no_bytes();
	return done_testing();
}
