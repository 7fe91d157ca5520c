/* Syncs of a head that fail (R6): who hears of it, and what is on the disk afterwards. */
#include "base/condition.h"
#include "store/store.h"
#include "tests/objects/sim_node.h"

#define RIGHTS (RIGHT_READ | RIGHT_WRITE)
#define KIB 1024

static struct sim_node node;
static bool fails, evicts;      /* the next sync of a head; and the cache forgets what it could not write */
static unsigned lies_in;        /* 1: the next one says that it is done, and nothing is written; 0: none does */

int __real_head_sync(struct heads *h, struct head *head);
int __wrap_head_sync(struct heads *h, struct head *head);

int __wrap_head_sync(struct heads *h, struct head *head)
{
	bool evicting = fails && evicts, lying = lies_in > 0 && --lies_in == 0;

	if (fails || lying)
		disk_sim_fail_sync(node.disk, 1);
	fails = false;
	int r = __real_head_sync(h, head);
	if (evicting || lying)
		disk_drop_cache(head_file(head), 0, 1 << 30);
	if (lying)
		head_trust(h, head);
	return lying ? 0 : r;
}

static void fail_next_sync(bool evict)
{
	fails = true;
	evicts = evict;
}

/* A blob with a head of 100 KiB of 'a', synced. */
static struct reference *make_large(uint64_t *ret_ino)
{
	node_open(&node);
	*ret_ino = node_make(&node, "file", KIND_BLOB, 0600, 0);
	struct reference *r = node_reference(&node, *ret_ino, RIGHTS);
	node_write(r, 0, 100 * KIB, 'a');
	must(reference_sync(r), "sync");
	node_settle(&node);
	return r;
}

static struct reference *after_power_cut(struct reference *r, uint64_t ino)
{
	reference_close(r);
	node_power_cut(&node);
	return node_reference(&node, ino, RIGHTS);
}

static void finish(struct reference *r)
{
	reference_close(r);
	node_close(&node);
}

static void R6_failed_sync_is_repaired(void)
{
	uint64_t ino;
	struct reference *r = make_large(&ino), *other = node_reference(&node, ino, RIGHTS);

	node_write(r, 100 * KIB + 10, 300 * KIB, 'b');
	node_write(r, 200 * KIB, 100, 'c');   /* over the tail */
	fail_next_sync(false);
	is_int(reference_sync(r), -EIO, "R6: a sync of the head fails: fsync says so");
	struct reference *later = node_reference(&node, ino, RIGHTS);
	is_int(reference_sync(r), 0, "once for this handle");
	is_int(reference_flush(other), -EIO, "close of another handle says so too");
	is_int(reference_flush(other), 0, "once");
	is_int(reference_flush(later), 0, "one that was opened later has nothing to report");
	reference_close(later);
	reference_close(other);
	r = after_power_cut(r, ino);
	ok(node_reads(r, 0, 100 * KIB, 'a') && node_reads(r, 100 * KIB, 10, 0) && node_reads(r, 200 * KIB, 100, 'c') &&
		node_reads(r, 200 * KIB + 100, 200 * KIB - 90, 'b'), "what the second fsync promised survives a power cut");
	finish(r);
}

static void R6_bytes_that_the_cache_lost_are_void(void)
{
	uint64_t ino;
	struct reference *r = make_large(&ino);

	node_write(r, 100 * KIB, 300 * KIB, 'b');
	fail_next_sync(true);
	is_int(reference_sync(r), -EIO, "R6: the cache does not have any more what could not be written");
	ok(node_reads(r, 0, 100 * KIB, 'a') && node_reads(r, 100 * KIB, 300 * KIB, 0), "it reads as zeros, not as what the disk happened to have");
	node_write(r, 104 * KIB, 300 * KIB, 'c');
	is_int(reference_sync(r), 0, "what is written anew is committed");
	r = after_power_cut(r, ino);
	ok(node_reads(r, 0, 100 * KIB, 'a') && node_reads(r, 100 * KIB, 4 * KIB, 0) && node_reads(r, 104 * KIB, 300 * KIB, 'c'), "and durable");
	finish(r);
}

static void R6_background_commit_reports(void)
{
	uint64_t ino;
	struct reference *r = make_large(&ino);

	node_write(r, 100 * KIB, 300 * KIB, 'b');
	fail_next_sync(false);
	node_settle(&node);
	is_int(reference_flush(r), -EIO, "R6: a sync in the background fails: close says so, though it was repaired");
	is_int(reference_flush(r), 0, "once");
	r = after_power_cut(r, ino);
	ok(node_reads(r, 0, 100 * KIB, 'a') && node_reads(r, 100 * KIB, 300 * KIB, 'b'), "the bytes are there");
	finish(r);
}

static void R6_rows_are_written_again(void)
{
	uint64_t ino;
	struct reference *r = make_large(&ino);

	node_write(r, 8 * KIB, 20 * KIB, 'b');
	must(reference_sync(r), "sync");
	ok(state_row_count(cluster_state(node.cluster, ino)) > 0, "R6: rows wait for the head");
	fail_next_sync(true);
	node_settle(&node);
	is_int(state_row_count(cluster_state(node.cluster, ino)), 0, "the sync of the head fails, and later it has them");
	must(cluster_sync(node.cluster), "sync");
	r = after_power_cut(r, ino);
	ok(node_reads(r, 0, 8 * KIB, 'a') && node_reads(r, 8 * KIB, 20 * KIB, 'b') && node_reads(r, 28 * KIB, 72 * KIB, 'a'), "on the disk");
	finish(r);
}

/* After a failure: repaired, and written again, whose sync is not true. */
static void R6_rows_that_read_back_wrong_are_kept(void)
{
	uint64_t ino;
	struct reference *r = make_large(&ino);

	node_write(r, 8 * KIB, 20 * KIB, 'b');
	must(reference_sync(r), "sync");
	fail_next_sync(false);
	lies_in = 3;
	node_settle(&node);
	is_int(lies_in, 0, "R6: a sync says that it is done, and nothing is on the disk");
	is_int(state_row_count(cluster_state(node.cluster, ino)), 0, "rows are read back, and written once more");
	ok(node_reads(r, 0, 8 * KIB, 'a') && node_reads(r, 8 * KIB, 20 * KIB, 'b') && node_reads(r, 28 * KIB, 72 * KIB, 'a'), "nothing is lost");
	finish(r);
}

static void R6_refused_publication(void)
{
	static uint8_t bytes[2 * KIB * KIB];
	uint64_t ino, version, after;
	struct reference *r = make_large(&ino);

	memset(bytes, 'b', sizeof(bytes));
	must(reference_acquire(r, &version), "acquire");
	fail_next_sync(false);
	is_int(reference_commit(r, version, 0, 100 * KIB, bytes, sizeof(bytes), &after), -EIO, "R6: a commit_write whose bytes cannot be synced fails");
	ok(!fails && reference_check(r, version) == 0 && node_size(&node, ino) == 100 * KIB, "and changes nothing");
	memset(bytes, 'c', sizeof(bytes));   /* the disk may have the others by now */
	fail_next_sync(true);
	is_int(reference_commit(r, version, 0, 100 * KIB, bytes, sizeof(bytes), &after), -EIO, "nor does one whose bytes the cache loses");
	reference_close(r);
	node_kill(&node);
	r = node_reference(&node, ino, RIGHTS);
	ok(node_size(&node, ino) == 100 * KIB && node_reads(r, 0, 100 * KIB, 'a'), "also after the daemon's death");
	must(reference_acquire(r, &version), "acquire");
	is_int(reference_commit(r, version, 0, 100 * KIB, bytes, sizeof(bytes), &version), 0, "the next one succeeds");
	r = after_power_cut(r, ino);
	ok(node_reads(r, 0, 100 * KIB, 'a') && node_reads(r, 100 * KIB, sizeof(bytes), 'c'), "and is durable");
	finish(r);
}

static void R6_refused_move_and_clone(void)
{
	uint64_t ino, version;
	static uint8_t bytes[300 * KIB];
	struct reference *from = make_large(&ino);
	uint64_t small_ino = node_make(&node, "small", KIND_BLOB, 0600, 0), clone_ino = node_make(&node, "clone", KIND_BLOB, 0600, 0);
	struct reference *small = node_reference(&node, small_ino, RIGHTS), *to = node_reference(&node, clone_ino, RIGHTS);

	memset(bytes, 'b', sizeof(bytes));
	node_write(small, 0, 10, 'a');
	fail_next_sync(false);
	is_int(reference_commit(small, 0, COMMIT_FORCE, 10, bytes, sizeof(bytes), &version), -EIO, "R6: a small blob that cannot become large");
	ok(node_reads(small, 0, 10, 'a') && node_size(&node, small_ino) == 10, "stays as it was");
	is_int(reference_commit(small, 0, COMMIT_FORCE, 10, bytes, sizeof(bytes), &version), 0, "and becomes large the next time");
	fail_next_sync(false);
	is_int(reference_clone(from, to), -EIO, "a clone that cannot be synced");
	is_int(reference_clone(from, to), 0, "can be the next time");
	must(cluster_sync(node.cluster), "sync");
	reference_close(to);
	reference_close(small);
	from = after_power_cut(from, clone_ino);
	ok(node_reads(from, 0, 100 * KIB, 'a'), "and its bytes are there");
	reference_close(from);
	from = node_reference(&node, small_ino, RIGHTS);
	ok(node_reads(from, 0, 10, 'a') && node_reads(from, 10, sizeof(bytes), 'b'), "as are the other's");
	finish(from);
}

static bool is_in_place(uint64_t ino)
{
	struct attributes a;

	must(object_get(node.objects, ino, &a), "attributes");
	return a.record.in_place;
}

/* There is no second copy of what is written past the daemon, and nobody can say which of it is on the disk. */
static void R6_in_place_it_stays_an_error(void)
{
	uint64_t ino;
	struct reference *r = make_large(&ino), *other = node_reference(&node, ino, RIGHTS);

	condition_clear(CONDITION_DISK_FAILING);
	must(reference_pass(r, true, false, NULL), "pass");
	node_write(r, 8 * KIB, 20 * KIB, 'b');
	fail_next_sync(false);
	is_int(reference_sync(r), -EIO, "R6: a head that is written in place cannot be synced: fsync says so");
	is_int(reference_sync(r), -EIO, "and goes on saying so, though the next sync of the disk would succeed");
	is_int(reference_flush(other), -EIO, "close of another handle says so");
	is_int(reference_flush(other), 0, "once");
	struct condition_state said;
	ok(condition_get(CONDITION_DISK_FAILING, &said), "the status says so");
	reference_close(other);
	reference_close(r);
	node_settle(&node);
	ok(is_in_place(ino), "it is not sealed, also when nobody has it open any more");
	r = node_reference(&node, ino, RIGHTS);
	is_int(reference_sync(r), -EIO, "who opens it later is told too");
	reference_close(r);
	node_kill(&node);
	node_settle(&node);
	ok(!is_in_place(ino), "the next start believes what the disk has, and seals that");
	finish(node_reference(&node, ino, RIGHTS));
}

int main(void)
{
	R6_failed_sync_is_repaired();
	R6_bytes_that_the_cache_lost_are_void();
	R6_background_commit_reports();
	R6_rows_are_written_again();
	R6_rows_that_read_back_wrong_are_kept();
	R6_refused_publication();
	R6_refused_move_and_clone();
	R6_in_place_it_stays_an_error();
	return done_testing();
}
