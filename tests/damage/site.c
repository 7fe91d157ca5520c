/* site make DIR clean|killed: a data directory with something of everything, left by an orderly end or as a kill would leave it.
 * site read DIR [lossy]: opens it as the daemon would and compares all that is there with what was written. Prints what is not as it should
 * be. Exit status: 0 all is right, 3 some could not be read, 2 it was refused, 1 wrong bytes were served.
 *
 * It works on the daemon's own objects, not through a mount, so that hundreds of damaged directories can be read in a minute, and so that what
 * a kill leaves is the same each time: rows that no head has, a side file, a tail, staged writes. "lossy": after a repair that says that
 * something is lost, what is there may be older or missing, but never what never was. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "cluster/state_peek.h"
#include "objects/objects.h"
#include "store/why.h"
#include "tests/tap.h"

#define KIB 1024u
#define MIB (1024u * KIB)
#define VERSIONS_MAX 6
#define STREAM_RECORDS 40

enum step_kind { WRITE, SYNC, PUBLISH, SETTLE };
struct step { const char *path; enum step_kind kind; uint32_t offset, size; };

/* In this order. After SETTLE all rows are in the heads; what follows stays as it was left. */
static const struct step steps[] = {
	{ "empty", SYNC, 0, 0 },
	{ "inline1", WRITE, 0, 1 }, { "inline1", SYNC, 0, 0 },
	{ "inline2", WRITE, 0, 4096 }, { "inline2", SYNC, 0, 0 },
	{ "inline3", WRITE, 0, 11111 }, { "inline3", SYNC, 0, 0 },
	{ "inline4", WRITE, 0, 60000 }, { "inline4", SYNC, 0, 0 },
	{ "folder/deep/inline5", WRITE, 0, 30000 }, { "folder/deep/inline5", SYNC, 0, 0 },
	{ "head", WRITE, 0, 3 * MIB + 777 }, { "head", SYNC, 0, 0 },
	{ "folder/head", WRITE, 0, 200 * KIB }, { "folder/head", SYNC, 0, 0 },
	{ "sparse", WRITE, 0, 4096 }, { "sparse", WRITE, 5 * MIB, 4096 }, { "sparse", SYNC, 0, 0 },
	{ "rows", WRITE, 0, 2 * MIB }, { "rows", SYNC, 0, 0 },
	{ "side", WRITE, 0, 2 * MIB + 100 }, { "side", SYNC, 0, 0 },
	{ "tail", WRITE, 0, MIB + 50 }, { "tail", SYNC, 0, 0 },
	{ "staged", WRITE, 0, 5000 }, { "staged", SYNC, 0, 0 },
	{ "last", WRITE, 0, 100 }, { "last", SYNC, 0, 0 },
	{ NULL, SETTLE, 0, 0 },
	{ "rows", WRITE, 3 * 4096, 4096 }, { "rows", WRITE, 77 * 4096 + 10, 3000 }, { "rows", WRITE, 300 * 4096, 50000 }, { "rows", SYNC, 0, 0 },
	{ "inline3", WRITE, 5000, 100 }, { "inline3", SYNC, 0, 0 },
	{ "late", WRITE, 0, 20000 }, { "late", SYNC, 0, 0 },
	{ "side", PUBLISH, 4096, MIB + 300 * KIB },
	{ "tail", WRITE, MIB + 50, 700 * KIB },
	{ "staged", WRITE, 4000, 3000 },
	{ "staged", WRITE, 100, 50 },
	{ "new", WRITE, 0, 9000 },
	{ "last", WRITE, 50, 100 },   /* the last staged record: damage to it looks like one that was not finished */
};
#define STEP_COUNT (sizeof(steps) / sizeof(steps[0]))
#define LAST_STEP (STEP_COUNT - 1)

static const char *const folders[] = { "folder", "folder/deep" };

/* Byte `at` of what step `number` writes. */
static uint8_t pattern(size_t number, uint64_t at)
{
	uint64_t h = (number + 1) * 0x9e3779b97f4a7c15ull ^ (at / 7) * 0xd6e8feb86659fd93ull;

	h ^= h >> 29;
	return (uint8_t)(h * 0xbf58476d1ce4e5b9ull >> 40) ^ (uint8_t)at;
}

static void die(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-r));
	exit(99);
}

struct site { struct store *store; struct cluster *cluster; struct objects *objects; };

/* 2: refused. */
static int site_open(struct site *s, const char *directory)
{
	struct objects_options options = { .commit_interval_ns = 3600 * NS_PER_SECOND, .inline_max = 64 * KIB, .dirty_max_bytes = 32 << 20,
		.stage_max_bytes = 256 << 20, .cached_max = 1024, .stream_limit_bytes = 64 << 20 };
	char error[1024] = "";
	int r = store_open_judged(directory, 16 << 20, state_fits_log, &s->store, error, sizeof(error));

	if (r < 0) {
		printf("refused: %s\n", error[0] ? error : strerror(-r));
		return 2;
	}
	store_why_clear();
	r = cluster_open(s->store, &clock_system, &random_system, &s->cluster);
	if (r < 0) {
		printf("refused: %s: %s\n", strerror(-r), store_why());
		store_close(s->store);
		return 2;
	}
	store_why_clear();
	r = objects_open(s->cluster, s->store, &options, &s->objects);
	if (r < 0) {
		printf("refused: %s: %s\n", strerror(-r), store_why());
		cluster_close(s->cluster);
		store_close(s->store);
		return 2;
	}
	return 0;
}

static void site_close(struct site *s)
{
	objects_close(s->objects);
	cluster_close(s->cluster);
	store_close(s->store);
}

/* ---- making -------------------------------------------------------------------------------------------------------- */

static int find(struct site *s, const char *path, struct attributes *ret)
{
	uint64_t at = ROOT_INO;
	int r = 0;

	for (const char *part = path; r == 0 && *part;) {
		size_t size = strcspn(part, "/");
		r = object_lookup(s->objects, at, part, size, ret);
		at = ret->record.ino;
		part += size + (part[size] == '/');
	}
	return r;
}

static uint64_t parent_of(struct site *s, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	struct attributes a = { .record.ino = ROOT_INO };
	char folder[100];

	*ret_name = slash ? slash + 1 : path;
	if (slash) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		die(find(s, folder, &a), folder);
	}
	return a.record.ino;
}

static uint64_t make(struct site *s, const char *path, enum object_kind kind, uint32_t mode)
{
	const char *name;
	struct attributes a;
	uint64_t parent = parent_of(s, path, &name);
	struct command_create create = { .parent = parent, .entry = { (const uint8_t *)name, strlen(name) }, .kind = kind, .mode = mode,
		.target = kind == KIND_SYMLINK ? (struct slice){ (const uint8_t *)"head", 4 } : (struct slice){ 0 } };

	die(object_create(s->objects, &create, 0, NULL, &a), path);
	return a.record.ino;
}

static struct reference *open_path(struct site *s, const char *path)
{
	struct reference_options options = { .rights = RIGHT_READ | RIGHT_WRITE | RIGHT_APPEND };
	struct reference *r;
	struct attributes a;

	if (find(s, path, &a) == -ENOENT)
		a.record.ino = make(s, path, KIND_BLOB, S_IFREG | 0644);
	die(reference_open(s->objects, a.record.ino, &options, &r), path);
	return r;
}

static void do_step(struct site *s, size_t number)
{
	const struct step *t = &steps[number];
	uint64_t version;

	if (t->kind == SETTLE) {
		for (int i = 0; i < 200; i++)
			(void)objects_run_due(s->objects);
		return;
	}
	struct reference *r = open_path(s, t->path);
	uint8_t *bytes = malloc(t->size + 1);
	for (uint32_t i = 0; i < t->size; i++)
		bytes[i] = pattern(number, i);
	if (t->kind == SYNC)
		die(reference_sync(r), t->path);
	else if (t->kind == PUBLISH)
		die(reference_commit(r, 0, COMMIT_FORCE, t->offset, bytes, t->size, &version), t->path);
	else if (reference_write(r, t->offset, bytes, t->size, false) != (ssize_t)t->size)
		die(-EIO, t->path);
	free(bytes);
	reference_close(r);
}

static void make_stream(struct site *s)
{
	struct reference_options options = { .rights = RIGHT_READ | RIGHT_WRITE | RIGHT_APPEND };
	struct reference *r;

	die(reference_open(s->objects, make(s, "stream", KIND_STREAM, S_IFREG | 0644), &options, &r), "stream");
	for (int i = 0; i < STREAM_RECORDS; i++) {
		char record[64];
		int n = snprintf(record, sizeof(record), "record %d of the stream\n", i);
		die(stream_append(r, record, (size_t)n, true) < 0 ? -EIO : 0, "append");
	}
	reference_close(r);
}

static void make_token(struct site *s, const char *directory)
{
	struct reference *r = open_path(s, "inline2");
	const struct caller root = { .uid = 0 };
	char token[TOKEN_TEXT_MAX + 1], path[4096];

	die(capability_mint(r, &root, RIGHT_READ, NULL, 0, token), "mint");
	reference_close(r);
	snprintf(path, sizeof(path), "%s.token", directory);
	FILE *f = fopen(path, "w");
	if (!f || fputs(token, f) < 0 || fclose(f) != 0)
		die(-EIO, path);
}

static int site_make(const char *directory, bool killed)
{
	struct attributes a;
	struct site s;
	char error[512];

	die(store_init(directory, &random_system, &clock_system, error, sizeof(error)), error);
	if (site_open(&s, directory) != 0)
		return 1;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		make(&s, folders[i], KIND_DIRECTORY, S_IFDIR | 0755);
	make(&s, "symlink", KIND_SYMLINK, S_IFLNK | 0777);
	for (size_t i = 0; i < STEP_COUNT; i++) {
		do_step(&s, i);
		if (steps[i].kind != SETTLE)
			continue;
		make_stream(&s);
		make_token(&s, directory);
		die(find(&s, "inline1", &a), "inline1");
		die(object_link(s.objects, a.record.ino, ROOT_INO, "hard", 4, &a), "hard");
		die(object_set_xattr(s.objects, a.record.ino, "user.color", (struct slice){ (const uint8_t *)"blue", 4 }, 0), "xattr");
		/* Tables on disk, and a log that goes on behind them. */
		die(kv_flush(s.store->kv), "flush");
	}
	if (killed)
		_exit(0);
	site_close(&s);
	return 0;
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

/* What a file held after each of its steps, newest last. */
struct history { uint8_t *bytes[VERSIONS_MAX]; uint32_t size[VERSIONS_MAX]; int count; };

struct reading { struct site site; bool lossy; unsigned wrong, unread; };

static void history_make(const char *path, struct history *h)
{
	uint32_t size = 0, largest = 0;

	for (size_t i = 0; i < STEP_COUNT; i++)
		if (steps[i].path && strcmp(steps[i].path, path) == 0 && steps[i].offset + steps[i].size > largest)
			largest = steps[i].offset + steps[i].size;
	uint8_t *now = calloc(1, largest + 1);

	*h = (struct history){ .count = 0 };
	for (size_t i = 0; i < STEP_COUNT; i++) {
		const struct step *t = &steps[i];
		if (!t->path || strcmp(t->path, path) != 0)
			continue;
		for (uint32_t at = 0; at < t->size; at++)
			now[t->offset + at] = pattern(i, at);
		size = t->offset + t->size > size ? t->offset + t->size : size;
		if (t->kind == SYNC && h->count > 0 && h->size[h->count - 1] == size)
			continue;
		h->bytes[h->count] = memcpy(calloc(1, largest + 1), now, size);
		h->size[h->count++] = size;
	}
	free(now);
}

static void history_done(struct history *h)
{
	for (int i = 0; i < h->count; i++)
		free(h->bytes[i]);
}

static void wrong(struct reading *d, const char *path, const char *what)
{
	d->wrong++;
	printf("wrong: %s: %s\n", path, what);
}

static void unread(struct reading *d, const char *path, int error)
{
	if (error != -EIO && error != -EBADMSG) {
		wrong(d, path, strerror(-error));
		return;
	}
	if (d->unread++ < 20)
		printf("unread: %s: %s\n", path, strerror(-error));
}

/* Is it what the newest version has here, or, where older ones will do, each byte what any of them has? A write that was left out, before
 * one that was not, makes a version that never was; no byte of it was never written there. */
static bool block_right(const struct history *h, uint64_t at, const uint8_t *bytes, size_t size, bool older)
{
	if (!older || memcmp(h->bytes[h->count - 1] + at, bytes, size) == 0)
		return memcmp(h->bytes[h->count - 1] + at, bytes, size) == 0;
	for (size_t i = 0; i < size; i++) {
		bool found = false;
		for (int v = 0; v < h->count && !found; v++)
			found = h->bytes[v][at + i] == bytes[i];
		if (!found)
			return false;
	}
	return true;
}

static void compare(struct reading *d, const char *path, struct reference *r, uint64_t size, const struct history *h, bool older)
{
	uint8_t bytes[64 * KIB];

	for (uint64_t at = 0; at < size;) {
		size_t want = size - at < sizeof(bytes) ? (size_t)(size - at) : sizeof(bytes);
		ssize_t n = reference_read(r, at, bytes, want);
		if (n < 0) {   /* what around it is whole can be read */
			size_t step = want < 4096 ? want : 4096;
			n = reference_read(r, at, bytes, step);
			if (n < 0)
				unread(d, path, (int)n);
			want = step;
		}
		if (n >= 0 && (size_t)n != want)
			wrong(d, path, "short");
		for (size_t i = 0; n > 0 && i < (size_t)n; i += 4096)
			if (!block_right(h, at + i, bytes + i, (size_t)n - i < 4096 ? (size_t)n - i : 4096, older))
				wrong(d, path, "wrong bytes");
		at += want;
	}
}

static void read_file(struct reading *d, const char *path)
{
	struct reference_options options = { .rights = RIGHT_READ };
	bool older = d->lossy || strcmp(path, "last") == 0, sized = false;
	struct reference *r;
	struct attributes a;
	struct history h;
	int e = find(&d->site, path, &a);

	if (e < 0 && d->lossy && e == -ENOENT)
		return;
	if (e == 0)
		e = reference_open(d->site.objects, a.record.ino, &options, &r);
	if (e < 0) {
		unread(d, path, e);
		return;
	}
	history_make(path, &h);
	for (int v = older ? 0 : h.count - 1; v < h.count; v++)
		sized |= a.record.size == h.size[v];
	if (!sized && !(d->lossy && a.record.size == 0))
		wrong(d, path, "of another size");
	compare(d, path, r, a.record.size, &h, older);
	history_done(&h);
	reference_close(r);
}

static void read_stream_object(struct reading *d)
{
	struct reference_options options = { .rights = RIGHT_READ };
	char bytes[8192], want[8192];
	struct reference *r;
	struct attributes a;
	uint64_t offset = 0;
	size_t have = 0, size = 0;
	ssize_t n = 0;
	int e = find(&d->site, "stream", &a);

	if (e == 0)
		e = reference_open(d->site.objects, a.record.ino, &options, &r);
	if (e < 0) {
		if (!d->lossy || e != -ENOENT)
			unread(d, "stream", e);
		return;
	}
	for (int i = 0; i < STREAM_RECORDS; i++)
		size += (size_t)snprintf(want + size, sizeof(want) - size, "record %d of the stream\n", i);
	while (have < sizeof(bytes) && (n = stream_read(r, &offset, false, bytes + have, sizeof(bytes) - have)) > 0)
		have += (size_t)n;
	if (n < 0 && n != -EAGAIN)
		unread(d, "stream", (int)n);
	else if (have != size && !d->lossy)
		wrong(d, "stream", "of another length");
	if (memcmp(bytes, want, have < size ? have : size) != 0)
		wrong(d, "stream", "wrong bytes");
	reference_close(r);
}

static int count_entry(void *arg, const struct state_entry *e)
{
	(void)e;
	++*(unsigned *)arg;
	return 0;
}

static void read_names(struct reading *d)
{
	unsigned count = 0, want = 0;
	_cleanup_buffer_ struct buffer value;
	struct attributes a;
	int e = object_read_directory(d->site.objects, ROOT_INO, 0, count_entry, &count);

	for (size_t i = 0; i < STEP_COUNT; i++) {
		bool first = steps[i].path && !strchr(steps[i].path, '/');
		for (size_t k = 0; first && k < i; k++)
			first = !steps[k].path || strcmp(steps[k].path, steps[i].path) != 0;
		want += first;
	}
	want += 4;   /* folder, symlink, stream, hard */
	if (e < 0)
		unread(d, "/", e);
	else if (count != want && !d->lossy)
		wrong(d, "/", "other names than were made");
	buffer_init(&value, 4096);
	e = find(&d->site, "hard", &a);
	if (e == 0)
		e = object_get_xattr(d->site.objects, a.record.ino, "user.color", &value);
	if (e < 0 && !(d->lossy && (e == -ENOENT || e == -ENODATA)))
		unread(d, "hard", e);
	else if (e == 0 && (value.size != 4 || memcmp(value.data, "blue", 4) != 0))
		wrong(d, "hard", "another attribute");
	e = find(&d->site, "symlink", &a);
	if (e == 0)
		e = object_read_link(d->site.objects, a.record.ino, &value);
	if (e < 0 && !(d->lossy && e == -ENOENT))
		unread(d, "symlink", e);
	else if (e == 0 && (value.size != 4 || memcmp(value.data, "head", 4) != 0))
		wrong(d, "symlink", "leads elsewhere");
}

static void read_token(struct reading *d, const char *directory)
{
	const struct caller stranger = { .uid = 65534, .gid = 65534 };
	char token[TOKEN_TEXT_MAX + 1] = "", path[4096];
	struct token_grant grant;
	struct attributes a;
	uint64_t ino;

	snprintf(path, sizeof(path), "%s.token", directory);
	FILE *f = fopen(path, "r");
	if (!f)
		return;
	if (!fgets(token, sizeof(token), f))
		die(-EIO, path);
	fclose(f);
	int e = capability_verify(d->site.objects, token, strlen(token), &stranger, &ino, &grant);
	if (e < 0 && !(d->lossy && (e == -EACCES || e == -ENOENT)))
		unread(d, "token", e);
	else if (e == 0 && find(&d->site, "inline2", &a) == 0 && a.record.ino != ino)
		wrong(d, "token", "it opens another object");
}

static int site_read(const char *directory, bool lossy)
{
	struct reading d = { .lossy = lossy };
	int r = site_open(&d.site, directory);

	if (r != 0)
		return r;
	for (size_t i = 0; i < STEP_COUNT; i++) {
		bool first = steps[i].path != NULL;
		for (size_t k = 0; first && k < i; k++)
			first = !steps[k].path || strcmp(steps[k].path, steps[i].path) != 0;
		if (first)
			read_file(&d, steps[i].path);
	}
	read_stream_object(&d);
	read_names(&d);
	read_token(&d, directory);
	site_close(&d.site);
	if (d.unread > 20)
		printf("unread: %u in all\n", d.unread);
	return d.wrong ? 1 : d.unread ? 3 : 0;
}

int main(int argc, char **argv)
{
	int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (quiet >= 0 && !getenv("SITE_LOG"))
		log_set_fd(quiet);
	if (argc == 4 && strcmp(argv[1], "make") == 0)
		return site_make(argv[2], strcmp(argv[3], "killed") == 0);
	if (argc >= 3 && strcmp(argv[1], "read") == 0)
		return site_read(argv[2], argc > 3 && strcmp(argv[3], "lossy") == 0);
	fprintf(stderr, "usage: site make DIR clean|killed | site read DIR [lossy]\n");
	return 64;
}
