/* What is damaged is not served: of each place where bytes of an object can be, they are changed below the daemon, and the read is EIO; the
 * bytes beside them are read. On the simulated disk, where every place can be reached. */
#include <fcntl.h>

#include "base/log.h"
#include "cluster/state_keys.h"
#include "tests/objects/sim_node.h"

static struct sim_node node;

static uint64_t make(const char *name, size_t size, char fill)
{
	uint64_t ino = node_make(&node, name, KIND_BLOB, 0644, 0);
	struct reference *r = node_reference(&node, ino, RIGHT_READ | RIGHT_WRITE);
	char *bytes = malloc(size);

	memset(bytes, fill, size);
	must((int)reference_write(r, 0, bytes, size, false), name);
	must(reference_sync(r), name);
	reference_close(r);
	free(bytes);
	return ino;
}

static void overwrite(uint64_t ino, uint64_t offset, size_t size, char fill, bool sync)
{
	struct reference *r = node_reference(&node, ino, RIGHT_READ | RIGHT_WRITE);
	char *bytes = malloc(size);

	memset(bytes, fill, size);
	must((int)reference_write(r, offset, bytes, size, false), "write");
	if (sync)
		must(reference_sync(r), "sync");
	reference_close(r);
	free(bytes);
}

/* 1: they are all `fill`; 0: others; or the error. */
static int reads(uint64_t ino, uint64_t offset, size_t size, char fill)
{
	struct reference *r = node_reference(&node, ino, RIGHT_READ);
	char *bytes = malloc(size);
	ssize_t n = reference_read(r, offset, bytes, size);
	int same = n == (ssize_t)size;

	for (size_t i = 0; same && i < size; i++)
		same = bytes[i] == fill;
	reference_close(r);
	free(bytes);
	return n < 0 ? (int)n : same;
}

/* Changes one byte of a value in the state, or removes it. */
static void spoil_key(const struct state_key *key, bool remove)
{
	_cleanup_buffer_ struct buffer value;
	struct kv *kv = node.store->kv;
	struct kv_batch *b = kv_batch_new(kv);

	buffer_init(&value, 1 << 20);
	must(kv_get(kv, NULL, key_slice(key), &value), "key");
	value.data[value.size - 1] ^= 1;
	must(remove ? kv_batch_delete(kv, b, key_slice(key)) : kv_batch_put(kv, b, key_slice(key), (struct slice){ value.data, value.size }), "spoil");
	must(kv_write(kv, b), "spoil");
	kv_batch_free(kv, b);
}

static void spoil_file(const char *path, uint64_t offset)
{
	struct disk_file *file;
	uint8_t byte;

	must(disk_open(node.disk, path, O_RDWR, &file), path);
	must((int)disk_pread(file, &byte, 1, offset), path);
	byte ^= 0x20;
	must(disk_pwrite(file, &byte, 1, offset), path);
	disk_close(file);
}

static void spoil_head(uint64_t ino, uint64_t offset)
{
	char path[64];

	head_path(ino, path);
	spoil_file(path, offset);
}

static void content_in_the_state(void)
{
	uint64_t gone = make("gone", 5000, 'a');
	struct state_key key = key_ino(KEY_INLINE, gone);

	is_int(reads(gone, 0, 5000, 'a'), 1, "small content is read");
	spoil_key(&key, true);
	is_int(reads(gone, 0, 5000, 'a'), -EIO, "content that is missing is EIO, not zeros");
}

static void rows(void)
{
	uint64_t ino = make("rows", 40000, 'b');
	struct state_key key = key_ino_u64(KEY_ROW, ino, 2);

	node_settle(&node);
	overwrite(ino, 2 * 4096, 4096, 'c', true);
	is_int(reads(ino, 2 * 4096, 4096, 'c'), 1, "a row is read");
	spoil_key(&key, false);
	is_int(reads(ino, 2 * 4096, 4096, 'c'), -EIO, "one with other bytes is EIO");
	is_int(reads(ino, 0, 2 * 4096, 'b'), 1, "what is beside it is read");
}

static void head(void)
{
	uint64_t ino = make("head", 40000, 'd');

	node_settle(&node);
	spoil_head(ino, 3 * 4096 + 9);
	is_int(reads(ino, 3 * 4096, 10, 'd'), -EIO, "a damaged block of a head is EIO");
	is_int(reads(ino, 0, 3 * 4096, 'd'), 1, "what is before it is read");
	is_int(reads(ino, 4 * 4096, 40000 - 4 * 4096, 'd'), 1, "what is behind it too");
	overwrite(ino, 3 * 4096, 4096, 'e', true);
	is_int(reads(ino, 3 * 4096, 4096, 'e'), 1, "written again it is read");
}

static int count_segment(void *arg, const char *name)
{
	if (strlen(name) == 8)
		snprintf(arg, 64, "stage/%s", name);
	return 0;
}

/* Each byte of what was staged, as far as it is not all the same. */
static void staged(void)
{
	uint64_t ino = make("staged", 40000, 'f');
	struct disk_file *file;
	char path[64] = "", bytes[8192];
	uint64_t found = 0;

	node_settle(&node);
	overwrite(ino, 4096, 3000, 'g', false);
	is_int(reads(ino, 4096, 3000, 'g'), 1, "a staged write is read");
	must(disk_list(node.disk, "stage", count_segment, path), "stage");
	must(disk_open(node.disk, path, O_RDWR, &file), path);
	for (uint64_t at = 0; !found && at < (4u << 20); at += sizeof(bytes) - 64) {
		ssize_t n = disk_pread(file, bytes, sizeof(bytes), at);
		for (ssize_t i = 0; !found && i + 64 <= n; i++)
			if (memcmp(bytes + i, "gggggggggggggggggggggggggggggggg", 32) == 0)
				found = at + (uint64_t)i + 100;
	}
	disk_close(file);
	ok(found > 0, "it lies in the staging log");
	spoil_file(path, found);
	is_int(reads(ino, 4096, 3000, 'g'), -EIO, "one that is damaged is EIO");
	is_int(reads(ino, 4096 + 2900, 10, 'g'), -EIO, "also where only a part of it is read");
	spoil_file(path, found);
	is_int(reads(ino, 4096, 3000, 'g'), 1, "as it was it is read again");
}

/* The bytes of a tail have no checksum in the state yet, and survive the daemon. */
static void tail(void)
{
	const uint8_t boot_id[16] = { 1, node.boot };
	struct objects_options options = { .commit_interval_ns = NS_PER_SECOND, .inline_max = 12000, .dirty_max_bytes = 1 << 20, .stage_max_bytes = 64 << 20,
		.cached_max = 16, .stream_limit_bytes = 1 << 20 };
	uint64_t ino = make("tail", 100000, 'h');

	node_settle(&node);
	overwrite(ino, 100000, 600000, 'i', false);
	disk_sim_crash_after(node.disk, 1);
	(void)disk_sync_dir(node.disk, ".");
	node_stop(&node);
	disk_sim_process_kill(node.disk);
	spoil_head(ino, 500000);
	must(store_open_sim(node.disk, &node.random.source, boot_id, &node.store), "store");
	must(cluster_open(node.store, &node.clock, &node.random.source, &node.cluster), "cluster");
	is_int(objects_open(node.cluster, node.store, &options, &node.objects), -EBADMSG, "a tail that is damaged after the daemon's death is not taken for what was written");
	cluster_close(node.cluster);
	store_close(node.store);
	spoil_head(ino, 500000);
	node_start(&node);
	is_int(reads(ino, 100000, 600000, 'i'), 1, "one that is whole is, and is read");
}

int main(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	node_open(&node);
	content_in_the_state();
	rows();
	head();
	staged();
	tail();
	return done_testing();
}
