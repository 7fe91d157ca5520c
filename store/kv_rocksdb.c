/* The key-value store over RocksDB's C interface; the only file that includes it. One column family, no write-ahead log:
 * the log of dios replaces it. RocksDB may make more durable than was flushed (a full memtable goes to disk by itself),
 * always a whole number of batches.
 *
 * The iterators over a batch and the database (BaseDeltaIterator) do not know the bounds of the database's iterator, in
 * RocksDB 7.8 as in 9.10: they are checked here. */
#include <assert.h>
#include <rocksdb/c.h>
#include <string.h>

#include "base/log.h"
#include "store/kv.h"
#include "store/why.h"

#define CACHE_MIN (4 << 20)            /* bytes: below it RocksDB's own tables hardly fit */
#define CACHE_PART_MIN (16 << 20)      /* bytes: many times a table's largest block, its filter of most of a MiB */
#define MEMTABLES 4                    /* one is written, the others wait for their flush; half of the memory is theirs */
#define MEMTABLE_MAX (64u << 20)       /* bytes each */
#define OPEN_FILES 128                 /* descriptors: a table of 64 MiB each */
#define MANIFEST_MAX (4 << 20)         /* bytes, then a new one is begun: it is read at each start */
/* Above every level of RocksDB: it writes no line into a log file of its own, since it asserts that no second one follows one that could
 * not be written, and a full disk would end the daemon. What fails is told by rocks_error. */
#define INFO_LOG_NOTHING 6
#define INFO_LOGS 2                    /* empty files */
#define BLOCK_SIZE_BYTES (16 * 1024)   /* bytes of a table's block: inlined blobs and rows of 4 KiB are the bulk */
#define BLOOM_BITS 10                  /* a key: one false positive in a hundred */
#define FORMAT_VERSION 5               /* of tables: the newest that 7.8 reads */

struct rocks_kv {
	struct kv kv;
	rocksdb_t *db;
	rocksdb_options_t *options;
	rocksdb_cache_t *cache;
	rocksdb_readoptions_t *read;
	rocksdb_writeoptions_t *write;
	rocksdb_flushoptions_t *flush;
};

struct rocks_iter {
	rocksdb_iterator_t *it;
	rocksdb_readoptions_t *options;   /* points into bounds */
	struct slice lower, upper;        /* into bounds */
	uint8_t bounds[];
};

static struct rocks_kv *to_kv(struct kv *kv) { return (struct rocks_kv *)kv; }
static rocksdb_writebatch_wi_t *to_batch(struct kv_batch *b) { return (rocksdb_writebatch_wi_t *)b; }
static struct rocks_iter *to_iter(struct kv_iter *it) { return (struct rocks_iter *)it; }
static const struct rocks_iter *to_const_iter(const struct kv_iter *it) { return (const struct rocks_iter *)it; }
static const char *chars(struct slice s) { return s.size ? (const char *)s.data : ""; }

/* RocksDB tells errors as text, "Kind: details"; the beginnings are part of its interface (Status::ToString). */
static const struct { const char *text; bool anywhere; int error; } error_texts[] = {
	{ "No space left", true, -ENOSPC },
	{ "Disk quota exceeded", true, -EDQUOT },
	{ "Too many open files", true, -EMFILE },
	{ "Permission denied", true, -EACCES },
	{ "does not exist (create_if_missing is false)", true, -ENOENT },
	{ "/LOCK: Resource temporarily unavailable", true, -EBUSY },
	{ "lock hold by current process", true, -EBUSY },
	{ "Corruption", false, -EBADMSG },
	{ "NotFound", false, -ENOENT },
	{ "Invalid argument", false, -EBADMSG },
	{ "Not implemented", false, -EBADMSG },
	{ "Resource busy", false, -EBUSY },
};

/* Takes the text. 0 if there is none. */
static int rocks_error(char *text)
{
	int error = -EIO;

	if (!text)
		return 0;
	for (size_t i = 0; i < sizeof(error_texts) / sizeof(error_texts[0]); i++) {
		const char *found = strstr(text, error_texts[i].text);
		if (found && (error_texts[i].anywhere || found == text)) {
			error = error_texts[i].error;
			break;
		}
	}
	log_error("store", "rocksdb failed error=\"%s\" errno=%d", text, -error);
	store_why_set("%s", text);
	rocksdb_free(text);
	return error;
}

static int rocks_get(struct kv *kv, struct kv_batch *overlay, struct slice key, struct buffer *value)
{
	struct rocks_kv *k = to_kv(kv);
	char *error = NULL;
	size_t size = 0;
	int r;

	buffer_reset(value);
	if (overlay) {
		char *copy = rocksdb_writebatch_wi_get_from_batch_and_db(to_batch(overlay), k->db, k->read, chars(key), key.size, &size, &error);
		r = rocks_error(error);
		if (r == 0)
			r = copy ? buffer_append(value, copy, size) : -ENOENT;
		rocksdb_free(copy);
		return r;
	}
	rocksdb_pinnableslice_t *pin = rocksdb_get_pinned(k->db, k->read, chars(key), key.size, &error);
	r = rocks_error(error);
	if (r == 0 && pin) {
		const char *data = rocksdb_pinnableslice_value(pin, &size);
		r = buffer_append(value, data, size);
	} else if (r == 0) {
		r = -ENOENT;
	}
	if (pin)
		rocksdb_pinnableslice_destroy(pin);
	return r;
}

static struct kv_batch *rocks_batch_new(struct kv *kv)
{
	(void)kv;
	/* A later change of a key replaces the earlier one in the index: iterators over the batch need it. */
	return (struct kv_batch *)rocksdb_writebatch_wi_create(0, 1);
}

static void rocks_batch_clear(struct kv_batch *b)
{
	rocksdb_writebatch_wi_clear(to_batch(b));
}

static void rocks_batch_free(struct kv_batch *b)
{
	rocksdb_writebatch_wi_destroy(to_batch(b));
}

static int rocks_batch_put(struct kv_batch *b, struct slice key, struct slice value)
{
	rocksdb_writebatch_wi_put(to_batch(b), chars(key), key.size, chars(value), value.size);
	return 0;
}

static int rocks_batch_delete(struct kv_batch *b, struct slice key)
{
	rocksdb_writebatch_wi_delete(to_batch(b), chars(key), key.size);
	return 0;
}

static int rocks_write(struct kv *kv, struct kv_batch *b)
{
	char *error = NULL;

	rocksdb_write_writebatch_wi(to_kv(kv)->db, to_kv(kv)->write, to_batch(b), &error);
	return rocks_error(error);
}

static int slice_compare(struct slice a, const char *data, size_t size)
{
	size_t least = a.size < size ? a.size : size;
	int r = least ? memcmp(a.data, data, least) : 0;

	return r ? r : (a.size > size) - (a.size < size);
}

static bool rocks_iter_valid(const struct kv_iter *it)
{
	const struct rocks_iter *i = to_const_iter(it);
	size_t size;

	if (!rocksdb_iter_valid(i->it))
		return false;
	const char *key = rocksdb_iter_key(i->it, &size);
	return slice_compare(i->lower, key, size) <= 0 && (i->upper.size == 0 || slice_compare(i->upper, key, size) > 0);
}

static void rocks_iter_seek(struct kv_iter *it, struct slice key)
{
	struct rocks_iter *i = to_iter(it);

	if (slice_compare(i->lower, chars(key), key.size) > 0)
		key = i->lower;
	rocksdb_iter_seek(i->it, chars(key), key.size);
}

static void rocks_iter_seek_last(struct kv_iter *it)
{
	struct rocks_iter *i = to_iter(it);
	size_t size;

	if (i->upper.size == 0) {
		rocksdb_iter_seek_to_last(i->it);
		return;
	}
	rocksdb_iter_seek_for_prev(i->it, chars(i->upper), i->upper.size);
	if (!rocksdb_iter_valid(i->it))
		return;
	const char *key = rocksdb_iter_key(i->it, &size);
	if (slice_compare(i->upper, key, size) == 0)
		rocksdb_iter_prev(i->it);
}

static struct kv_iter *iter_make(struct kv *kv, struct kv_batch *overlay, struct slice lower, struct slice upper, bool fill_cache)
{
	struct rocks_iter *i = malloc(sizeof(*i) + lower.size + upper.size);

	if (!i)
		return NULL;
	i->lower = (struct slice){ i->bounds, lower.size };
	i->upper = (struct slice){ i->bounds + lower.size, upper.size };
	if (lower.size)
		memcpy(i->bounds, lower.data, lower.size);
	if (upper.size)
		memcpy(i->bounds + lower.size, upper.data, upper.size);
	i->options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_verify_checksums(i->options, 1);
	rocksdb_readoptions_set_fill_cache(i->options, fill_cache);
	if (lower.size)
		rocksdb_readoptions_set_iterate_lower_bound(i->options, chars(i->lower), lower.size);
	if (upper.size)
		rocksdb_readoptions_set_iterate_upper_bound(i->options, chars(i->upper), upper.size);
	i->it = rocksdb_create_iterator(to_kv(kv)->db, i->options);
	if (overlay)
		i->it = rocksdb_writebatch_wi_create_iterator_with_base(to_batch(overlay), i->it);   /* takes it over */
	rocks_iter_seek((struct kv_iter *)i, i->lower);
	return (struct kv_iter *)i;
}

static struct kv_iter *rocks_iter_new(struct kv *kv, struct kv_batch *overlay, struct slice lower, struct slice upper)
{
	return iter_make(kv, overlay, lower, upper, true);
}

static struct kv_iter *rocks_scan_new(struct kv *kv, struct slice lower)
{
	return iter_make(kv, NULL, lower, (struct slice){ 0 }, false);
}

static void rocks_iter_free(struct kv_iter *it)
{
	rocksdb_iter_destroy(to_iter(it)->it);
	rocksdb_readoptions_destroy(to_iter(it)->options);
	free(to_iter(it));
}

static void rocks_iter_next(struct kv_iter *it)
{
	assert(rocks_iter_valid(it));
	rocksdb_iter_next(to_iter(it)->it);
}

static void rocks_iter_prev(struct kv_iter *it)
{
	assert(rocks_iter_valid(it));
	rocksdb_iter_prev(to_iter(it)->it);
}

static struct slice rocks_iter_key(const struct kv_iter *it)
{
	struct slice s;

	assert(rocks_iter_valid(it));
	s.data = (const uint8_t *)rocksdb_iter_key(to_const_iter(it)->it, &s.size);
	return s;
}

static struct slice rocks_iter_value(const struct kv_iter *it)
{
	struct slice s;

	assert(rocks_iter_valid(it));
	s.data = (const uint8_t *)rocksdb_iter_value(to_const_iter(it)->it, &s.size);
	return s;
}

static int rocks_iter_error(const struct kv_iter *it)
{
	char *error = NULL;

	rocksdb_iter_get_error(to_const_iter(it)->it, &error);
	return rocks_error(error);
}

static int rocks_flush(struct kv *kv)
{
	char *error = NULL;

	uint64_t failures = 0;
	rocksdb_flush(to_kv(kv)->db, to_kv(kv)->flush, &error);
	int r = rocks_error(error);
	/* After a flush or compaction that failed RocksDB goes on by itself, but what it says of its files is not believed any more. */
	if (r == 0 && (rocksdb_property_int(to_kv(kv)->db, "rocksdb.background-errors", &failures) != 0 || failures > 0))
		r = -ESTALE;
	return r;
}

static void rocks_close(struct kv *kv)
{
	struct rocks_kv *k = to_kv(kv);

	if (k->db)
		rocksdb_close(k->db);
	rocksdb_flushoptions_destroy(k->flush);
	rocksdb_writeoptions_destroy(k->write);
	rocksdb_readoptions_destroy(k->read);
	rocksdb_options_destroy(k->options);
	rocksdb_cache_destroy(k->cache);
	free(k);
}

static const struct kv_ops rocks_ops = {
	.get = rocks_get, .batch_new = rocks_batch_new, .batch_clear = rocks_batch_clear, .batch_free = rocks_batch_free,
	.batch_put = rocks_batch_put, .batch_delete = rocks_batch_delete, .write = rocks_write, .iter_new = rocks_iter_new, .scan_new = rocks_scan_new,
	.iter_free = rocks_iter_free, .iter_valid = rocks_iter_valid, .iter_seek = rocks_iter_seek,
	.iter_seek_last = rocks_iter_seek_last, .iter_next = rocks_iter_next, .iter_prev = rocks_iter_prev,
	.iter_key = rocks_iter_key, .iter_value = rocks_iter_value, .iter_error = rocks_iter_error, .flush = rocks_flush,
	.close = rocks_close,
};

static void set_table_options(struct rocks_kv *k)
{
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_format_version(table, FORMAT_VERSION);
	rocksdb_block_based_options_set_block_size(table, BLOCK_SIZE_BYTES);
	rocksdb_block_based_options_set_block_cache(table, k->cache);
	rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
	/* Indexes and filters in the cache too, so that its size bounds the memory. */
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
	rocksdb_options_set_block_based_table_factory(k->options, table);
	rocksdb_block_based_options_destroy(table);
}

#ifdef HAVE_ROCKSDB_CALLBACK_LOGGER
static void drop_line(void *data, unsigned level, char *line, size_t line_bytes)
{
	(void)data, (void)level, (void)line, (void)line_bytes;
}
#endif

/* A newer RocksDB refuses to open with a level that it has no name for, but takes a logger of ours; an older one is the other way round. */
static void set_no_log(rocksdb_options_t *o)
{
#ifdef HAVE_ROCKSDB_CALLBACK_LOGGER
	rocksdb_logger_t *log = rocksdb_logger_create_callback_logger(INFO_LOG_NOTHING, drop_line, NULL);
	rocksdb_options_set_info_log(o, log);
	rocksdb_logger_destroy(log); /* the options hold it */
#else
	rocksdb_options_set_info_log_level(o, INFO_LOG_NOTHING);
	rocksdb_options_set_keep_log_file_num(o, INFO_LOGS);
#endif
}

static void set_options(struct rocks_kv *k, bool create, uint64_t memtable_bytes)
{
	rocksdb_options_t *o = k->options;

	rocksdb_options_set_create_if_missing(o, create);
	rocksdb_options_set_paranoid_checks(o, 1);
	rocksdb_options_set_max_open_files(o, OPEN_FILES);
	rocksdb_options_set_write_buffer_size(o, memtable_bytes);
	rocksdb_options_set_max_write_buffer_number(o, MEMTABLES);
	rocksdb_options_set_max_background_jobs(o, 2);
	/* Every library of the distribution can read it, and what is large here (users' bytes) is often compressed already. */
	rocksdb_options_set_compression(o, rocksdb_no_compression);
	rocksdb_options_set_max_manifest_file_size(o, MANIFEST_MAX);
	set_no_log(o);
	rocksdb_options_set_stats_dump_period_sec(o, 0);
	rocksdb_options_set_stats_persist_period_sec(o, 0);
	set_table_options(k);
}

/* In parts with a lock each. By itself RocksDB makes dozens of a cache of this size, none of which has room for a large table's filter: it would be
 * read again at each look-up. */
static rocksdb_cache_t *cache_make(uint64_t bytes)
{
	rocksdb_lru_cache_options_t *options = rocksdb_lru_cache_options_create();
	int bits = 0;

	while (bytes >> (bits + 1) >= CACHE_PART_MIN)
		bits++;
	rocksdb_lru_cache_options_set_capacity(options, bytes);
	rocksdb_lru_cache_options_set_num_shard_bits(options, bits);
	rocksdb_cache_t *cache = rocksdb_cache_create_lru_opts(options);
	rocksdb_lru_cache_options_destroy(options);
	return cache;
}

/* NULL: no memory. */
static struct rocks_kv *make(bool create, uint64_t cache_bytes)
{
	struct rocks_kv *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	if (cache_bytes < CACHE_MIN)
		cache_bytes = CACHE_MIN;
	uint64_t memtable_bytes = cache_bytes / 2 / MEMTABLES < MEMTABLE_MAX ? cache_bytes / 2 / MEMTABLES : MEMTABLE_MAX;
	k->kv.ops = &rocks_ops;
	k->cache = cache_make(cache_bytes - memtable_bytes * MEMTABLES);
	k->options = rocksdb_options_create();
	k->read = rocksdb_readoptions_create();
	k->write = rocksdb_writeoptions_create();
	k->flush = rocksdb_flushoptions_create();
	rocksdb_readoptions_set_verify_checksums(k->read, 1);
	rocksdb_writeoptions_disable_WAL(k->write, 1);
	rocksdb_flushoptions_set_wait(k->flush, 1);
	set_options(k, create, memtable_bytes);
	return k;
}

/* Takes k, opened or not. */
static int made(struct rocks_kv *k, char *error, struct kv **ret_kv)
{
	bool missing = error && strstr(error, "No such file or directory");
	int r = rocks_error(error);

	r = r == -EIO && missing ? -ENOENT : r;
	if (r < 0) {
		k->db = NULL;
		rocks_close(&k->kv);
		return r;
	}
	*ret_kv = &k->kv;
	return 0;
}

int kv_rocksdb_open(const char *directory, bool create, uint64_t cache_bytes, struct kv **ret_kv)
{
	struct rocks_kv *k = make(create, cache_bytes);
	char *error = NULL;

	if (!k)
		return -ENOMEM;
	k->db = rocksdb_open(k->options, directory, &error);
	return made(k, error, ret_kv);
}

int kv_rocksdb_open_read(const char *directory, uint64_t cache_bytes, struct kv **ret_kv)
{
	struct rocks_kv *k = make(false, cache_bytes);
	char *error = NULL;

	if (!k)
		return -ENOMEM;
	k->db = rocksdb_open_for_read_only(k->options, directory, 0, &error);
	return made(k, error, ret_kv);
}

int kv_rocksdb_rebuild(const char *directory)
{
	struct rocks_kv *k = make(false, CACHE_MIN);
	char *error = NULL;

	if (!k)
		return -ENOMEM;
	rocksdb_repair_db(k->options, directory, &error);
	int r = rocks_error(error);
	rocks_close(&k->kv);
	return r;
}
