/* Values of user.dios.*: text without a newline. */
#include <inttypes.h>
#include <string.h>

#include "base/crc32c.h"
#include "fs/xattr.h"

const char *kind_text(enum object_kind kind)
{
	static const char *const text[] = { [KIND_BLOB] = "blob", [KIND_STREAM] = "stream", [KIND_TASK] = "task",
		[KIND_DIRECTORY] = "directory", [KIND_SYMLINK] = "symlink", [KIND_SPECIAL] = "special" };

	return (unsigned)kind < sizeof(text) / sizeof(text[0]) && text[kind] ? text[kind] : "unknown";
}

static int print_name(struct fs *fs, const struct record *r, struct buffer *value)
{
	char text[NAME_TEXT_SIZE + 1];

	(void)fs;
	name_to_text(&r->name, text);
	return buffer_append(value, text, NAME_TEXT_SIZE);
}

static int print_type(struct fs *fs, const struct record *r, struct buffer *value)
{
	(void)fs;
	return buffer_printf(value, "%s", kind_text(r->kind));
}

static int print_version(struct fs *fs, const struct record *r, struct buffer *value)
{
	(void)fs;
	return buffer_printf(value, "%" PRIu64, r->version);
}

static int print_replicas(struct fs *fs, const struct record *r, struct buffer *value)
{
	(void)r;
	return buffer_printf(value, "%" PRIu64, cluster_node_id(objects_cluster(fs->objects)));
}

static int print_proximity(struct fs *fs, const struct record *r, struct buffer *value)
{
	bool memory = (r->flags & (CREATE_MEMORY_ONLY | CREATE_STREAM_DIRECT)) != 0;

	(void)fs;
	return buffer_printf(value, memory ? "local memory" : "local disk");
}

/* CRC32C over the CRC32Cs (little endian) of all 4 KiB blocks of the committed version, the last one filled up with zeros, holes as zeros:
 * the same for equal bytes, however they are stored. */
struct checksum { uint32_t crc; };

static void checksum_add(struct checksum *c, uint32_t block_crc)
{
	uint8_t bytes[4] = { (uint8_t)block_crc, (uint8_t)(block_crc >> 8), (uint8_t)(block_crc >> 16), (uint8_t)(block_crc >> 24) };

	c->crc = crc32c(c->crc, bytes, sizeof(bytes));
}

static int checksum_inline(struct state *state, const struct record *r, struct checksum *c)
{
	uint8_t block[BLOCK_SIZE];
	struct buffer content;

	buffer_init(&content, INLINE_MAX_DEFAULT);
	int e = state_get_inline(state, r->ino, &content);
	for (uint64_t at = 0; e == 0 && at < r->size; at += BLOCK_SIZE) {
		size_t n = at < content.size ? content.size - at : 0;
		if (n > BLOCK_SIZE)
			n = BLOCK_SIZE;
		memset(block, 0, sizeof(block));
		if (n > 0)
			memcpy(block, content.data + at, n);
		checksum_add(c, crc32c(0, block, sizeof(block)));
	}
	buffer_done(&content);
	return e;
}

static int checksum_head(struct state *state, const struct record *r, struct checksum *c)
{
	static const uint8_t zeros[BLOCK_SIZE];
	uint32_t hole = crc32c(0, zeros, sizeof(zeros));
	uint64_t blocks = (r->size + BLOCK_SIZE - 1) / BLOCK_SIZE;
	struct state_crcs crcs;

	for (uint64_t mib = 0; mib * CRC_BLOCKS < blocks; mib++) {
		int e = state_get_crcs(state, r->ino, mib, &crcs);
		if (e < 0 && e != -ENOENT)
			return e;
		for (uint64_t i = 0; i < CRC_BLOCKS && mib * CRC_BLOCKS + i < blocks; i++)
			checksum_add(c, e == 0 && (crcs.present[i / 8] >> (i % 8) & 1) ? crcs.crc[i] : hole);
	}
	return 0;
}

/* Of what is written in place nothing is kept: its bytes are read. */
static int checksum_in_place(struct fs *fs, const struct record *r, struct checksum *c)
{
	const struct reference_options options = { .rights = RIGHT_READ };
	_cleanup_free_ uint8_t *bytes = malloc(CRC_BLOCKS * BLOCK_SIZE);
	struct reference *reference;
	int e = bytes ? reference_open(fs->objects, r->ino, &options, &reference) : -ENOMEM;

	if (e < 0)
		return e;
	ssize_t n = 0;
	for (uint64_t at = 0; at < r->size; at += (uint64_t)n) {
		n = reference_read(reference, at, bytes, CRC_BLOCKS * BLOCK_SIZE);
		if (n <= 0)
			break;
		size_t blocks = ((size_t)n + BLOCK_SIZE - 1) / BLOCK_SIZE;
		memset(bytes + n, 0, blocks * BLOCK_SIZE - (size_t)n);
		for (size_t i = 0; i < blocks; i++)
			checksum_add(c, crc32c(0, bytes + i * BLOCK_SIZE, BLOCK_SIZE));
	}
	reference_close(reference);
	return n < 0 ? (int)n : 0;
}

static int print_sealed(struct fs *fs, const struct record *r, struct buffer *value)
{
	(void)fs;
	return r->kind != KIND_BLOB ? -ENODATA : buffer_printf(value, "%s", r->in_place ? "no" : "yes");
}

static int print_checksum(struct fs *fs, const struct record *now, struct buffer *value)
{
	struct state *state = cluster_state(objects_cluster(fs->objects), now->ino);
	struct checksum c = { 0 };
	struct record r;

	if (now->kind != KIND_BLOB)
		return -ENODATA;
	int e = state_get(state, now->ino, &r);
	if (e == 0)
		e = r.in_place ? checksum_in_place(fs, now, &c) : r.place == PLACE_INLINE ? checksum_inline(state, &r, &c) : checksum_head(state, &r, &c);
	return e < 0 ? e : buffer_printf(value, "crc32c-blocks:%08" PRIx32, c.crc);
}

static int print_lease(enum lease_mode lease, struct buffer *value)
{
	static const char *const text[] = { [LEASE_INVALID] = "invalid", [LEASE_SHARED] = "shared", [LEASE_EXCLUSIVE] = "exclusive",
		[LEASE_MODIFIED] = "modified" };

	return buffer_printf(value, "%s", (unsigned)lease < sizeof(text) / sizeof(text[0]) ? text[lease] : "unknown");
}

int virtual_xattr_get(struct fs *fs, uint64_t ino, const char *which, struct buffer *value)
{
	static const struct { const char *name; int (*print)(struct fs *fs, const struct record *r, struct buffer *value); } table[] = {
		{ "name", print_name }, { "type", print_type }, { "version", print_version }, { "replicas", print_replicas },
		{ "proximity", print_proximity }, { "checksum", print_checksum }, { "sealed", print_sealed },
	};
	struct attributes a;

	if (strcmp(which, "lease") == 0) {
		int r = object_get(fs->objects, ino, &a);
		return r < 0 ? r : print_lease(a.lease, value);
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(which, table[i].name) != 0)
			continue;
		int r = object_get(fs->objects, ino, &a);
		return r < 0 ? r : table[i].print(fs, &a.record, value);
	}
	return -ENODATA;
}
