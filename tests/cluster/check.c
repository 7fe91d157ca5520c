/* What must hold of every state, found by reading all its keys: lists against records, entries against links, counters against what they
 * count. Written against docs/DISK_FORMAT.md, with as little as possible of the code that it checks. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/crc32c.h"
#include "caps/bigendian.h"
#include "cluster/state_check.h"
#include "cluster/state_keys.h"
#include "tests/cluster/fixture.h"

struct check {
	struct fixture *f;
	uint64_t objects, blocks, rows;
	uint64_t orphans, names, tasks, unabsorbed;          /* records that should be in the lists */
	uint64_t orphan_keys, name_keys, task_keys, unabsorbed_keys;
	bool failed;
};

static char message[256];

static void __attribute__((format(printf, 3, 4))) require(struct check *c, bool holds, const char *format, ...)
{
	va_list ap;

	if (holds || c->failed)
		return;
	c->failed = true;
	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
}

struct key_parts { uint16_t slot; uint32_t realm; uint8_t type; struct slice rest; };

static struct key_parts parse(struct slice key)
{
	assert(key.size >= 7);
	return (struct key_parts){ .slot = (uint16_t)(key.data[0] << 8 | key.data[1]), .realm = get_be32(key.data + 2), .type = key.data[6],
		.rest = { .data = key.data + 7, .size = key.size - 7 } };
}

/* Calls for every key of one type under one prefix (the number `first`; 0: all keys of the type). */
typedef void each_key(struct check *c, void *arg, struct key_parts key, struct slice value);

static void for_each(struct check *c, uint8_t type, uint64_t first, each_key *each, void *arg)
{
	struct kv *kv = c->f->kv;
	struct kv_iter *it = kv_iter_new(kv, NULL, (struct slice){ 0 }, (struct slice){ 0 });

	assert(it);
	if (first) {   /* as many keys as there are of this inode lie together */
		uint8_t from[15] = { (uint8_t)(first >> 56), (uint8_t)(first >> 48), 0, 0, 0, 1, type };
		put_be64(from + 7, first);
		kv_iter_seek(kv, it, (struct slice){ .data = from, .size = sizeof(from) });
	}
	for (; kv_iter_valid(kv, it); kv_iter_next(kv, it)) {
		struct key_parts key = parse(kv_iter_key(kv, it));
		bool match = key.type == type && (!first || (key.rest.size >= 8 && get_be64(key.rest.data) == first));
		if (match)
			each(c, arg, key, kv_iter_value(kv, it));
		else if (first)
			break;
	}
	kv_iter_free(kv, it);
}

static bool has_key(struct check *c, struct state_key key)
{
	struct buffer value _cleanup_buffer_;

	buffer_init(&value, 8u << 20);
	return kv_get(c->f->kv, NULL, key_slice(&key), &value) == 0;
}

/* ---- directories ---- */

struct directory { uint64_t ino, entries, subdirectories; };

static void check_entry(struct check *c, void *arg, struct key_parts key, struct slice value)
{
	struct directory *d = arg;
	struct record target;
	uint64_t ino = get_be64(value.data), cookie = get_be64(value.data + 8);
	uint32_t type = get_be32(value.data + 16);

	require(c, value.size == 20, "entry of %llx: size %zu", (unsigned long long)d->ino, value.size);
	require(c, state_get(c->f->state, ino, &target) == 0, "entry of %llx leads nowhere", (unsigned long long)d->ino);
	require(c, (target.mode & S_IFMT) == type, "entry of %llx has another type", (unsigned long long)d->ino);
	require(c, target.kind != KIND_DIRECTORY || target.parent == d->ino, "directory %llx has another parent", (unsigned long long)ino);
	require(c, key.rest.size > 8, "entry without name");
	require(c, has_key(c, key_ino_u64(KEY_COOKIE, d->ino, cookie)), "entry of %llx without cookie", (unsigned long long)d->ino);
	d->entries++;
	d->subdirectories += S_ISDIR(type);
}

static void count_key(struct check *c, void *arg, struct key_parts key, struct slice value)
{
	(void)c; (void)key; (void)value;
	++*(uint64_t *)arg;
}

static void check_directory(struct check *c, const struct record *r)
{
	struct directory d = { .ino = r->ino };
	uint64_t cookies = 0;

	for_each(c, KEY_ENTRY, r->ino, check_entry, &d);
	for_each(c, KEY_COOKIE, r->ino, count_key, &cookies);
	require(c, d.entries == r->entries && cookies == r->entries, "directory %llx: %llu entries, %llu cookies, record says %llu", (unsigned long long)r->ino,
		(unsigned long long)d.entries, (unsigned long long)cookies, (unsigned long long)r->entries);
	if (r->orphan)
		require(c, r->nlink == 0 && d.entries == 0, "removed directory %llx has links or entries", (unsigned long long)r->ino);
	else
		require(c, r->nlink == 2 + d.subdirectories, "directory %llx: %u links for %llu subdirectories", (unsigned long long)r->ino, r->nlink, (unsigned long long)d.subdirectories);
}

struct links { uint64_t ino, count; };

static void count_links(struct check *c, void *arg, struct key_parts key, struct slice value)
{
	struct links *l = arg;

	(void)c; (void)key;
	l->count += get_be64(value.data) == l->ino;
}

/* ---- blobs ---- */

struct head { const struct record *r; uint64_t present, rows, row_keys, trims; };

static void check_crc_entry(struct check *c, void *arg, struct key_parts key, struct slice value)
{
	struct head *h = arg;
	uint64_t mib = get_be64(key.rest.data + 8), last = (h->r->size + BLOCK_SIZE - 1) / BLOCK_SIZE;
	const uint8_t *present = value.data + 8, *rows = present + 32;
	uint64_t count = 0;

	require(c, value.size >= 72, "short checksum entry");
	for (unsigned i = 0; i < CRC_BLOCKS; i++) {
		bool p = present[i / 8] >> (i % 8) & 1, row = rows[i / 8] >> (i % 8) & 1;
		count += p;
		h->rows += row;
		require(c, p || !row, "row without checksum");
		require(c, !p || mib * CRC_BLOCKS + i < last, "checksum past the end of %llx", (unsigned long long)h->r->ino);
		require(c, row == has_key(c, key_ino_u64(KEY_ROW, h->r->ino, mib * CRC_BLOCKS + i)), "row bit and row of %llx disagree", (unsigned long long)h->r->ino);
	}
	require(c, count > 0 && value.size == 72 + 4 * count, "checksum entry of wrong size");
	require(c, get_be64(value.data) <= h->r->version, "checksum entry from the future");
	h->present += count;
}

static void check_row(struct check *c, void *arg, struct key_parts key, struct slice value)
{
	struct head *h = arg;
	uint64_t block = get_be64(key.rest.data + 8);
	uint8_t bytes[BLOCK_SIZE] = { 0 };
	struct state_crcs crcs = { 0 };

	h->row_keys++;
	require(c, value.size >= 9 && get_be64(value.data) <= h->r->version, "row from the future");
	require(c, state_get_crcs(c->f->state, h->r->ino, block / CRC_BLOCKS, &crcs) == 0, "row without checksum entry");
	if (value.data[8] != 0)
		return;
	memcpy(bytes, value.data + 9, value.size - 9);
	require(c, crc32c(0, bytes, sizeof(bytes)) == crcs.crc[block % CRC_BLOCKS], "row's checksum is another");
}

static void check_blob(struct check *c, const struct record *r)
{
	struct head h = { .r = r };
	struct buffer content _cleanup_buffer_;
	uint64_t keys = 0;

	buffer_init(&content, 8u << 20);
	for_each(c, KEY_CRC, r->ino, check_crc_entry, &h);
	for_each(c, KEY_ROW, r->ino, check_row, &h);
	for_each(c, KEY_TRIM, r->ino, count_key, &h.trims);
	for_each(c, KEY_INLINE, r->ino, count_key, &keys);
	require(c, h.rows == r->rows && h.row_keys == r->rows && h.trims == r->trims, "blob %llx: rows or trims miscounted", (unsigned long long)r->ino);
	if (r->place == PLACE_HEAD) {
		require(c, h.present * 8 == r->blocks && keys == 0, "blob %llx: %llu blocks present, record says %llu sectors", (unsigned long long)r->ino,
			(unsigned long long)h.present, (unsigned long long)r->blocks);
		return;
	}
	require(c, h.present == 0 && h.trims == 0 && keys == (r->size > 0), "inline blob %llx has blocks", (unsigned long long)r->ino);
	require(c, state_get_inline(c->f->state, r->ino, &content) == 0 && content.size == r->size && r->blocks == (r->size + 511) / 512,
		"inline blob %llx has another size", (unsigned long long)r->ino);
}

/* ---- streams ---- */

struct chunks { const struct record *r; uint64_t next; bool start_seen; };

static void check_chunk(struct check *c, void *arg, struct key_parts key, struct slice value)
{
	struct chunks *s = arg;
	uint64_t offset = get_be64(key.rest.data + 8);
	struct state_key data = key_ino_u64(KEY_STREAM_DATA, s->r->ino, offset);
	struct buffer bytes _cleanup_buffer_;

	require(c, offset == s->next, "stream %llx has a gap", (unsigned long long)s->r->ino);
	for (size_t at = 8; at + 4 <= value.size; at += 4) {
		s->start_seen |= s->next == s->r->stream.start;
		s->next += get_be32(value.data + at);
	}
	buffer_init(&bytes, 8u << 20);
	require(c, kv_get(c->f->kv, NULL, key_slice(&data), &bytes) == 0 && bytes.size == s->next - offset, "chunk of another size");
}

static void check_stream(struct check *c, const struct record *r)
{
	struct chunks s = { .r = r, .next = r->stream.chunk };
	uint64_t indexes = 0, datas = 0;

	for_each(c, KEY_STREAM_INDEX, r->ino, check_chunk, &s);
	for_each(c, KEY_STREAM_INDEX, r->ino, count_key, &indexes);
	for_each(c, KEY_STREAM_DATA, r->ino, count_key, &datas);
	require(c, s.next == r->stream.end && indexes == datas, "stream %llx ends elsewhere", (unsigned long long)r->ino);
	require(c, s.start_seen || r->stream.start == r->stream.end, "stream %llx begins inside a record", (unsigned long long)r->ino);
	require(c, r->stream.chunk <= r->stream.start && r->stream.start <= r->stream.consumed && r->stream.consumed <= r->stream.end, "stream %llx: offsets out of order",
		(unsigned long long)r->ino);
}

/* ---- records ---- */

static void sum_xattr(struct check *c, void *arg, struct key_parts key, struct slice value)
{
	(void)c; (void)value;
	*(uint64_t *)arg += key.rest.size - 8 + 1;
}

static void check_record(struct check *c, void *arg, struct key_parts key, struct slice value)
{
	struct record r;
	uint64_t named = 0, xattrs = 0;

	(void)arg;
	require(c, record_decode(value, &r) == 0, "record does not decode");
	if (c->failed)
		return;
	require(c, key.rest.size == 8 && get_be64(key.rest.data) == r.ino && key.slot == ino_slot(r.ino) && name_slot(&r.name) == key.slot, "record under another key");
	require(c, state_find_name(c->f->state, &r.name, &named) == 0 && named == r.ino, "name of %llx leads elsewhere", (unsigned long long)r.ino);
	require(c, r.orphan == has_key(c, key_shard_u64(KEY_ORPHAN, r.ino)), "orphan %llx is not in the list", (unsigned long long)r.ino);
	require(c, (r.kind == KIND_TASK) == has_key(c, key_shard_u64(KEY_TASK, r.made)) || r.kind != KIND_TASK, "task %llx is not in the list", (unsigned long long)r.ino);
	require(c, (r.rows + r.trims > 0) == has_key(c, key_shard_u64(KEY_UNABSORBED, r.ino)), "unabsorbed %llx is not in the list", (unsigned long long)r.ino);
	for_each(c, KEY_XATTR, r.ino, sum_xattr, &xattrs);
	require(c, xattrs == r.xattr_list_bytes, "xattrs of %llx miscounted", (unsigned long long)r.ino);
	require(c, !r.orphan || r.nlink == 0, "orphan %llx has links", (unsigned long long)r.ino);
	c->objects++;
	c->blocks += r.blocks;
	c->rows += r.rows;
	c->orphans += r.orphan;
	c->tasks += r.kind == KIND_TASK;
	c->unabsorbed += r.rows + r.trims > 0;
	if (r.kind == KIND_DIRECTORY) {
		check_directory(c, &r);
		return;
	}
	struct links l = { .ino = r.ino };
	for_each(c, KEY_ENTRY, 0, count_links, &l);
	require(c, l.count == r.nlink, "%llx has %llu entries and %u links", (unsigned long long)r.ino, (unsigned long long)l.count, r.nlink);
	if (r.kind == KIND_BLOB)
		check_blob(c, &r);
	else if (r.kind == KIND_STREAM)
		check_stream(c, &r);
}

/* Content keys must have a record of their own. */
static void check_owner(struct check *c, void *arg, struct key_parts key, struct slice value)
{
	struct record r;

	(void)arg; (void)value;
	require(c, state_get(c->f->state, get_be64(key.rest.data), &r) == 0, "key of type %u without an object", key.type);
}

static void report(void *arg, uint64_t ino, const char *what)
{
	require(arg, false, "the check of the state itself: %llx: %s", (unsigned long long)ino, what);
}

const char *fixture_check(struct fixture *f)
{
	static const uint8_t owned[] = { KEY_ENTRY, KEY_COOKIE, KEY_INLINE, KEY_ROW, KEY_CRC, KEY_TRIM, KEY_XATTR, KEY_STREAM_INDEX, KEY_STREAM_DATA, KEY_TASK_STATS, KEY_UNABSORBED, KEY_ORPHAN };
	struct check c = { .f = f };
	uint64_t objects, bytes;

	for_each(&c, KEY_RECORD, 0, check_record, NULL);
	for (size_t i = 0; i < sizeof(owned); i++)
		for_each(&c, owned[i], 0, check_owner, NULL);
	for_each(&c, KEY_ORPHAN, 0, count_key, &c.orphan_keys);
	for_each(&c, KEY_NAME, 0, count_key, &c.name_keys);
	for_each(&c, KEY_TASK, 0, count_key, &c.task_keys);
	for_each(&c, KEY_UNABSORBED, 0, count_key, &c.unabsorbed_keys);
	require(&c, c.orphans == c.orphan_keys && c.objects == c.name_keys && c.tasks == c.task_keys && c.unabsorbed == c.unabsorbed_keys, "a list names what is not there");
	state_totals(f->state, &objects, &bytes);
	require(&c, objects == c.objects && bytes == c.blocks * 512 && state_row_count(f->state) == c.rows, "totals are wrong");
	struct state_check own = { .report = report, .arg = &c };
	require(&c, state_check(f->state, &own) == 0 && own.objects == objects, "the check of the state itself counts otherwise");
	free(own.pieces);
	return c.failed ? message : NULL;
}
