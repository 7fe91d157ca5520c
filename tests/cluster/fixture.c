/* Opening, applying, and commands in one line. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/crc32c.h"
#include "cluster/state_keys.h"
#include "tests/cluster/fixture.h"

#define DISK_BYTES (4ull << 30)

static void must(int r, const char *what)
{
	if (r < 0) {
		printf("Bail out! %s: %s\n", what, strerror(-r));
		abort();
	}
}

void fixture_open(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	random_seeded_init(&f->random, 1);
	must(disk_sim_new(&f->random.source, DISK_BYTES, &f->disk), "disk");
	must(kv_sim_open(f->disk, "state", &f->kv), "store");
	must(state_open(f->kv, &f->state), "state");
	f->now_ns = FIXTURE_START;
}

void fixture_open_realm(struct fixture *f)
{
	fixture_open(f);
	struct command c = { .kind = COMMAND_REALM_INIT };
	c.realm_init = (struct command_realm_init){ .realm = 1, .root = ROOT_INO, .mode = 0755, .name = fixture_name(f, 0) };
	must(fixture_apply(f, &c), "realm");
}

void fixture_close(struct fixture *f)
{
	state_free(f->state);
	kv_close(f->kv);
	disk_free(f->disk);
	for (size_t i = 0; i < f->log_count; i++)
		free(f->log[i].data);
	free(f->log);
}

void fixture_reopen(struct fixture *f)
{
	state_free(f->state);
	must(state_open(f->kv, &f->state), "state again");
}

static void log_append(struct fixture *f, struct slice entry)
{
	if (f->log_count == f->log_capacity) {
		f->log_capacity = f->log_capacity ? 2 * f->log_capacity : 64;
		f->log = realloc(f->log, f->log_capacity * sizeof(*f->log));
		assert(f->log);
	}
	f->log[f->log_count].data = malloc(entry.size ? entry.size : 1);
	assert(f->log[f->log_count].data);
	memcpy(f->log[f->log_count].data, entry.data, entry.size);
	f->log[f->log_count++].size = entry.size;
}

int fixture_apply_bytes(struct fixture *f, struct slice entry)
{
	int r = state_apply(f->state, f->index + 1, 3, entry, &f->result);

	if (r < 0)
		return r;
	f->index++;
	log_append(f, entry);
	return 0;
}

int fixture_apply(struct fixture *f, struct command *c)
{
	struct buffer encoded _cleanup_buffer_;

	if (c->seq == 0) {
		c->client = FIXTURE_CLIENT;
		c->seq = ++f->seq;
		c->done_below = f->done_below;
	}
	if (c->time_ns == 0)
		c->time_ns = f->now_ns += 1000000;
	buffer_init(&encoded, COMMAND_MAX);
	must(command_encode(c, &encoded), "encoding");
	must(fixture_apply_bytes(f, (struct slice){ .data = encoded.data, .size = encoded.size }), "applying");
	return f->result.error;
}

struct name fixture_name(struct fixture *f, uint16_t slot)
{
	struct name name;
	name_random(&f->random.source, slot, &name);
	return name;
}

struct slice text(const char *s)
{
	return (struct slice){ .data = (const uint8_t *)s, .size = strlen(s) };
}

static uint32_t mode_of(enum object_kind kind)
{
	switch (kind) {
	case KIND_DIRECTORY: return S_IFDIR | 0755;
	case KIND_SYMLINK:   return S_IFLNK | 0777;
	case KIND_SPECIAL:   return S_IFIFO | 0644;
	default:             return S_IFREG | 0644;
	}
}

int fixture_create(struct fixture *f, uint64_t parent, const char *entry, enum object_kind kind, uint64_t *ret_ino)
{
	struct command c = { .kind = COMMAND_CREATE };

	c.create = (struct command_create){ .parent = parent, .kind = kind, .mode = mode_of(kind), .uid = 1000, .gid = 100,
		.name = fixture_name(f, parent ? ino_slot(parent) : 0x1234) };
	if (entry)
		c.create.entry = text(entry);
	if (kind == KIND_SYMLINK)
		c.create.target = text("somewhere/else");
	int r = fixture_apply(f, &c);
	if (r == 0)
		*ret_ino = f->result.record.ino;
	return r;
}

uint64_t fixture_make(struct fixture *f, uint64_t parent, const char *entry, enum object_kind kind)
{
	uint64_t ino = 0;
	must(fixture_create(f, parent, entry, kind, &ino), entry ? entry : "object without path");
	return ino;
}

int fixture_link(struct fixture *f, uint64_t ino, uint64_t parent, const char *entry)
{
	struct command c = { .kind = COMMAND_LINK };
	c.link = (struct command_link){ .ino = ino, .parent = parent, .entry = text(entry) };
	return fixture_apply(f, &c);
}

int fixture_unlink(struct fixture *f, uint64_t parent, const char *entry, bool directory)
{
	struct command c = { .kind = COMMAND_UNLINK };
	c.unlink = (struct command_unlink){ .parent = parent, .entry = text(entry), .directory = directory };
	return fixture_apply(f, &c);
}

int fixture_rename(struct fixture *f, uint64_t parent, const char *entry, uint64_t new_parent, const char *new_entry, uint32_t flags)
{
	struct command c = { .kind = COMMAND_RENAME };
	c.rename = (struct command_rename){ .parent = parent, .entry = text(entry), .new_parent = new_parent, .new_entry = text(new_entry), .flags = flags };
	return fixture_apply(f, &c);
}

int fixture_reap(struct fixture *f, uint64_t ino)
{
	struct command c = { .kind = COMMAND_REAP };
	c.reap = (struct command_reap){ .inos = &ino, .count = 1 };
	return fixture_apply(f, &c);
}

uint64_t fixture_lookup(struct fixture *f, uint64_t parent, const char *entry)
{
	uint64_t ino;
	return state_lookup(f->state, parent, entry, strlen(entry), &ino) == 0 ? ino : 0;
}

struct record fixture_record(struct fixture *f, uint64_t ino)
{
	struct record r = { 0 };
	state_get(f->state, ino, &r);
	return r;
}

void fixture_put_record(struct fixture *f, const struct record *r)
{
	struct state_key key = key_ino(KEY_RECORD, r->ino);
	struct kv_batch *batch = kv_batch_new(f->kv);
	struct buffer encoded _cleanup_buffer_;

	assert(batch);
	buffer_init(&encoded, RECORD_SIZE_MAX);
	record_encode(r, &encoded);
	must(buffer_error(&encoded), "record");
	kv_batch_put(f->kv, batch, key_slice(&key), (struct slice){ .data = encoded.data, .size = encoded.size });
	must(kv_write(f->kv, batch), "record");
	kv_batch_free(f->kv, batch);
	fixture_reopen(f);
}

int fixture_write_inline(struct fixture *f, uint64_t ino, const char *content)
{
	struct command_patch patch = { .bytes = text(content) };
	struct command c = { .kind = COMMAND_COMMIT };
	c.commit = (struct command_commit){ .ino = ino, .size = patch.bytes.size, .patches = &patch, .patch_count = 1 };
	return fixture_apply(f, &c);
}

uint32_t fixture_crc(uint8_t fill, size_t size)
{
	uint8_t block[BLOCK_SIZE] = { 0 };
	memset(block, fill, size);
	return crc32c(0, block, sizeof(block));
}

uint64_t fixture_make_head(struct fixture *f, const char *entry, uint64_t size, uint8_t fill)
{
	uint64_t ino = fixture_make(f, ROOT_INO, entry, KIND_BLOB);
	uint32_t blocks = (uint32_t)((size + BLOCK_SIZE - 1) / BLOCK_SIZE);
	uint32_t *crcs = calloc(blocks ? blocks : 1, sizeof(*crcs));
	struct command c = { .kind = COMMAND_COMMIT };

	assert(crcs);
	for (uint32_t i = 0; i < blocks; i++)
		crcs[i] = fixture_crc(fill, i == blocks - 1 && size % BLOCK_SIZE ? size % BLOCK_SIZE : BLOCK_SIZE);
	c.commit = (struct command_commit){ .ino = ino, .size = size, .to_head = true, .tail_crcs = crcs, .tail_count = blocks };
	must(fixture_apply(f, &c), "head");
	free(crcs);
	return ino;
}

static struct kv_iter *iterate_all(struct kv *kv)
{
	struct kv_iter *it = kv_iter_new(kv, NULL, (struct slice){ 0 }, (struct slice){ 0 });
	assert(it);
	return it;
}

static bool same_bytes(struct slice a, struct slice b)
{
	return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

bool fixture_same(struct fixture *a, struct fixture *b)
{
	struct kv_iter *x = iterate_all(a->kv), *y = iterate_all(b->kv);
	bool same = true;

	while (same && kv_iter_valid(a->kv, x) && kv_iter_valid(b->kv, y)) {
		same = same_bytes(kv_iter_key(a->kv, x), kv_iter_key(b->kv, y)) && same_bytes(kv_iter_value(a->kv, x), kv_iter_value(b->kv, y));
		kv_iter_next(a->kv, x);
		kv_iter_next(b->kv, y);
	}
	same = same && !kv_iter_valid(a->kv, x) && !kv_iter_valid(b->kv, y);
	kv_iter_free(a->kv, x);
	kv_iter_free(b->kv, y);
	return same;
}
