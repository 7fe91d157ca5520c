/* The applied state: an ordered map from bytes to bytes with atomic batches. Two implementations: kv_rocksdb.c
 * (RocksDB, its own write-ahead log off) and kv_sim (store/disk_sim.h).
 *
 * Durability: kv_flush makes everything written before it durable, as a whole number of batches; what was not
 * flushed is lost when the process dies and is replayed from dios' own log. So state and applied index share a batch.
 * More than was flushed may have become durable (a full memtable goes to disk by itself), again a whole number of batches:
 * after a power cut the applied index may lie beyond the last entry that is left in the log.
 *
 * Keys and values are any bytes, ordered as by memcmp, shorter before longer. Errors are negative errnos: -EBADMSG damaged,
 * -EIO, -ENOSPC, -ENOMEM; of a flush also -ESTALE: an earlier one has failed, and only what is opened again is believed. Thread-safe; a batch and an iterator belong to one thread. */
#ifndef DIOS_STORE_KV_H
#define DIOS_STORE_KV_H

#include <stdbool.h>
#include "base/buffer.h"

struct kv;
struct kv_batch;
struct kv_iter;

struct kv_ops {
	int (*get)(struct kv *kv, struct kv_batch *overlay, struct slice key, struct buffer *value);
	struct kv_batch *(*batch_new)(struct kv *kv);
	void (*batch_clear)(struct kv_batch *b);
	void (*batch_free)(struct kv_batch *b);
	int (*batch_put)(struct kv_batch *b, struct slice key, struct slice value);
	int (*batch_delete)(struct kv_batch *b, struct slice key);
	int (*write)(struct kv *kv, struct kv_batch *b);
	struct kv_iter *(*iter_new)(struct kv *kv, struct kv_batch *overlay, struct slice lower, struct slice upper);
	struct kv_iter *(*scan_new)(struct kv *kv, struct slice lower);
	void (*iter_free)(struct kv_iter *it);
	bool (*iter_valid)(const struct kv_iter *it);
	void (*iter_seek)(struct kv_iter *it, struct slice key);
	void (*iter_seek_last)(struct kv_iter *it);
	void (*iter_next)(struct kv_iter *it);
	void (*iter_prev)(struct kv_iter *it);
	struct slice (*iter_key)(const struct kv_iter *it);
	struct slice (*iter_value)(const struct kv_iter *it);
	int (*iter_error)(const struct kv_iter *it);
	int (*flush)(struct kv *kv);
	void (*close)(struct kv *kv);
};

struct kv { const struct kv_ops *ops; };

/* Opens (and makes, when create) a RocksDB in an absolute directory. format_version 5, so that Debian 12's 7.8 and 13's 9.10 read
 * each other's directories. -EBADMSG: damaged or foreign; -EBUSY: in use; -ENOENT: nothing there, without create. cache_bytes
 * (at least 4 MiB are taken) bounds block cache and memtables together. */
int kv_rocksdb_open(const char *directory, bool create, uint64_t cache_bytes, struct kv **ret_kv);
/* The same for reading only, beside whoever has it: what it does not know is left alone, where a plain opening deletes each table that
 * the manifest does not name. Writing to it fails. */
int kv_rocksdb_open_read(const char *directory, uint64_t cache_bytes, struct kv **ret_kv);
/* Makes the manifest anew from the tables that are there (RocksDB's RepairDB). Tables that it cannot read it moves to directory/lost. */
int kv_rocksdb_rebuild(const char *directory);

/* 0 and the value in `value` (reset first), or -ENOENT; -ENOBUFS past its limit. With an overlay the batch's own changes are seen. */
static inline int kv_get(struct kv *kv, struct kv_batch *overlay, struct slice key, struct buffer *value) { return kv->ops->get(kv, overlay, key, value); }
static inline struct kv_batch *kv_batch_new(struct kv *kv) { return kv->ops->batch_new(kv); }   /* NULL: no memory */
static inline void kv_batch_clear(struct kv *kv, struct kv_batch *b) { kv->ops->batch_clear(b); }
static inline void kv_batch_free(struct kv *kv, struct kv_batch *b) { if (b) kv->ops->batch_free(b); }
/* Key and value are copied. Of several changes of one key the last counts. */
static inline int kv_batch_put(struct kv *kv, struct kv_batch *b, struct slice key, struct slice value) { return kv->ops->batch_put(b, key, value); }
static inline int kv_batch_delete(struct kv *kv, struct kv_batch *b, struct slice key) { return kv->ops->batch_delete(b, key); }
/* Applies the batch, all or nothing; it keeps its content: kv_batch_clear before it is filled again. */
static inline int kv_write(struct kv *kv, struct kv_batch *b) { return kv->ops->write(kv, b); }
/* An iterator over lower <= key < upper (an empty upper: to the end), a consistent view as of its creation plus the
 * overlay. It starts at the first key. Freed by the caller, before the overlay changes. NULL: no memory. It is not valid
 * past either end, or after an error (kv_iter_error); next, prev, key and value need a valid one. Key and value are
 * borrowed until it moves. */
static inline struct kv_iter *kv_iter_new(struct kv *kv, struct kv_batch *overlay, struct slice lower, struct slice upper) { return kv->ops->iter_new(kv, overlay, lower, upper); }
/* From lower to the end, without a trace in the cache: for who reads everything once. */
static inline struct kv_iter *kv_scan_new(struct kv *kv, struct slice lower) { return kv->ops->scan_new(kv, lower); }
static inline void kv_iter_free(struct kv *kv, struct kv_iter *it) { if (it) kv->ops->iter_free(it); }
static inline bool kv_iter_valid(struct kv *kv, const struct kv_iter *it) { return kv->ops->iter_valid(it); }
/* To the first key at or after `key` (at or after lower, if key is below it). */
static inline void kv_iter_seek(struct kv *kv, struct kv_iter *it, struct slice key) { kv->ops->iter_seek(it, key); }
static inline void kv_iter_seek_last(struct kv *kv, struct kv_iter *it) { kv->ops->iter_seek_last(it); }
static inline void kv_iter_next(struct kv *kv, struct kv_iter *it) { kv->ops->iter_next(it); }
static inline void kv_iter_prev(struct kv *kv, struct kv_iter *it) { kv->ops->iter_prev(it); }
static inline struct slice kv_iter_key(struct kv *kv, const struct kv_iter *it) { return kv->ops->iter_key(it); }
static inline struct slice kv_iter_value(struct kv *kv, const struct kv_iter *it) { return kv->ops->iter_value(it); }
static inline int kv_iter_error(struct kv *kv, const struct kv_iter *it) { return kv->ops->iter_error(it); }
static inline int kv_flush(struct kv *kv) { return kv->ops->flush(kv); }
/* What was not flushed may be lost. Batches and iterators are freed before. */
static inline void kv_close(struct kv *kv) { if (kv) kv->ops->close(kv); }

#endif
