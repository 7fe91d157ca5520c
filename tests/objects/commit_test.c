/* Commits of more than one command: what was written is accepted, and reads the same, whatever else of the blob changed with it. */
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "objects/check.h"
#include "objects/objects.h"
#include "tests/tap.h"

#define MIB (1u << 20)

struct node { char directory[64]; struct store *store; struct cluster *cluster; struct objects *objects; };

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	printf("Bail out! %s: %s\n", what, strerror(-r));
	exit(1);
}

/* A real data directory: the simulated disk's log is too small for commands of a full megabyte. */
static void node_open(struct node *n)
{
	const struct objects_options options = { .commit_interval_ns = NS_PER_SECOND, .inline_max = INLINE_MAX_DEFAULT, .dirty_max_bytes = 32 * MIB,
		.stage_max_bytes = 256 * MIB, .cached_max = 100, .stream_limit_bytes = MIB };
	char error[256] = "";

	snprintf(n->directory, sizeof(n->directory), "/var/tmp/dios-commit.XXXXXX");
	must(mkdtemp(n->directory) ? 0 : -errno, "a folder");
	must(store_init(n->directory, &random_system, &clock_system, error, sizeof(error)), error);
	must(store_open(n->directory, 64 * MIB, &n->store, error, sizeof(error)), error);
	must(cluster_open(n->store, &clock_system, &random_system, &n->cluster), "cluster");
	must(objects_open(n->cluster, n->store, &options, &n->objects), "objects");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void node_close(struct node *n)
{
	objects_close(n->objects);
	cluster_close(n->cluster);
	store_close(n->store);
	nftw(n->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct reference *make_blob(struct node *n, const char *entry)
{
	struct command_create create = { .parent = ROOT_INO, .entry = { (const uint8_t *)entry, strlen(entry) }, .kind = KIND_BLOB, .mode = S_IFREG | 0644 };
	struct attributes a;
	struct reference *r;

	must(object_create(n->objects, &create, RIGHT_READ | RIGHT_WRITE, &r, &a), entry);
	return r;
}

static void write_at(struct reference *r, uint64_t offset, size_t size, uint8_t fill)
{
	uint8_t *bytes = malloc(size);

	if (!bytes)
		abort();
	memset(bytes, fill, size);
	must(reference_write(r, offset, bytes, size, false) == (ssize_t)size ? 0 : -EIO, "write");
	free(bytes);
}

static bool reads(struct reference *r, uint64_t offset, size_t size, uint8_t fill)
{
	uint8_t *bytes = malloc(size);
	bool same = bytes && reference_read(r, offset, bytes, size) == (ssize_t)size;

	for (size_t i = 0; same && i < size; i++)
		same = bytes[i] == fill;
	free(bytes);
	return same;
}

/* The old end lies inside a block; a row for it goes with those of a full command before it, or after it. */
static void test_growth_beside_many_rows(struct node *n)
{
	struct reference *r = make_blob(n, "grows");

	write_at(r, 3 * MIB + 123, MIB, 'a');
	is_int(reference_sync(r), 0, "a blob with a head, whose end lies inside a block");
	write_at(r, 6 * MIB + 5, 10, 'b');
	write_at(r, MIB + 77, MIB, 'c');
	is_int(reference_sync(r), 0, "more than a command of rows before the old end, and bytes past it");
	ok(reads(r, 3 * MIB + 123, MIB, 'a') && reads(r, 6 * MIB + 5, 10, 'b') && reads(r, MIB + 77, MIB, 'c'), "what was written is read");
	ok(reads(r, 4 * MIB + 123, 2 * MIB - 118, 0), "what was not is zeros");
	write_at(r, 8 * MIB, 10, 'd');
	write_at(r, 3 * MIB, 3 * MIB, 'e');
	is_int(reference_sync(r), 0, "rows over the old end");
	ok(reads(r, 3 * MIB, 3 * MIB, 'e') && reads(r, 6 * MIB + 15, 2 * MIB - 15, 0) && reads(r, 8 * MIB, 10, 'd'), "and read again");
	reference_close(r);
}

static void on_report(void *arg, const struct finding *finding)
{
	(void)arg;
	if (finding->kind == FINDING_PROBLEM)
		printf("# %s\n", finding->text);
}

static void test_check(struct node *n)
{
	const struct check_options options = { .report = on_report };
	struct check_result result;

	is_int(objects_check(n->store, cluster_state(n->cluster, ROOT_INO), &options, &result), 0, "the check comes to its end");
	is_int(result.problems, 0, "and finds nothing wrong");
	ok(result.bytes > 4 * MIB || result.heads == 1, "having read the head");
}

int main(void)
{
	struct node n = { 0 };

	node_open(&n);
	test_growth_beside_many_rows(&n);
	objects_run_due(n.objects);
	test_check(&n);
	node_close(&n);
	return done_testing();
}
