/* The simulated key-value store. What programs see is one map, what a crash leaves is another that is kept by the disk.
 * Like RocksDB it may flush by itself, before any write: a crash leaves what the last flush left, or more, always a whole
 * number of batches. Iterators hold a reference to the map of their creation, which is copied when it changes. */
#include <assert.h>
#include <string.h>

#include "store/sim.h"

#define SPONTANEOUS 64   /* one write in so many finds that everything before it has been flushed */

struct sim_kv { struct kv kv; struct sim_disk *disk; struct sim_image *image; struct sim_map *map; };

/* At most one of the two places is the current entry; after the last or before the first there is none. */
struct sim_iter {
	struct sim_map *base, *overlay;          /* overlay: NULL or borrowed from the batch */
	struct slice lower, upper;               /* into bounds */
	const struct sim_entry *current;
	uint8_t bounds[];
};

static struct sim_kv *to_kv(struct kv *kv) { return (struct sim_kv *)kv; }
static struct sim_map **to_batch(struct kv_batch *b) { return (struct sim_map **)b; }
static struct sim_iter *to_iter(struct kv_iter *it) { return (struct sim_iter *)it; }
static const struct sim_iter *to_const_iter(const struct kv_iter *it) { return (const struct sim_iter *)it; }

static const struct sim_entry *map_get(const struct sim_map *map, struct slice key)
{
	bool equal;
	size_t at = sim_map_find(map, key, &equal);

	return equal ? map->entries[at] : NULL;
}

static int kv_sim_get(struct kv *kv, struct kv_batch *overlay, struct slice key, struct buffer *value)
{
	const struct sim_entry *e = overlay ? map_get(*to_batch(overlay), key) : NULL;

	buffer_reset(value);
	if (to_kv(kv)->disk->crashed)
		return -ESHUTDOWN;
	if (!e)
		e = map_get(to_kv(kv)->map, key);
	return e && !e->tombstone ? buffer_append(value, e->value.data, e->value.size) : -ENOENT;
}

static struct kv_batch *kv_sim_batch_new(struct kv *kv)
{
	struct sim_map **b = malloc(sizeof(struct sim_map *));

	(void)kv;
	if (b && !(*b = sim_map_new())) {
		free(b);
		return NULL;
	}
	return (struct kv_batch *)b;
}

static void kv_sim_batch_clear(struct kv_batch *b)
{
	struct sim_map *empty = sim_map_new();

	if (!empty)
		abort();   /* a simulation without memory can't go on */
	sim_map_unref(*to_batch(b));
	*to_batch(b) = empty;
}

static void kv_sim_batch_free(struct kv_batch *b)
{
	sim_map_unref(*to_batch(b));
	free(to_batch(b));
}

static int kv_sim_batch_put(struct kv_batch *b, struct slice key, struct slice value)
{
	return sim_map_put(to_batch(b), key, value, false);
}

static int kv_sim_batch_delete(struct kv_batch *b, struct slice key)
{
	return sim_map_put(to_batch(b), key, (struct slice){ NULL, 0 }, true);
}

static void flush_now(struct sim_kv *k)
{
	sim_map_unref(k->image->durable);
	k->image->durable = sim_map_ref(k->map);
}

static int kv_sim_write(struct kv *kv, struct kv_batch *b)
{
	struct sim_kv *k = to_kv(kv);

	if (sim_step(k->disk))
		return -ESHUTDOWN;
	if (random_below(k->disk->disk.random, SPONTANEOUS) == 0)
		flush_now(k);
	return sim_map_apply(&k->map, *to_batch(b));
}

static bool inside(const struct sim_iter *i, struct slice key)
{
	return sim_slice_compare(i->lower, key) <= 0 && (i->upper.size == 0 || sim_slice_compare(i->upper, key) > 0);
}

/* Stands on the first visible entry at or after key (strictly after, if `beyond`). */
static void go_forward(struct sim_iter *i, struct slice key, bool beyond)
{
	static const struct sim_map nothing;
	const struct sim_map *overlay = i->overlay ? i->overlay : &nothing;
	bool equal;
	size_t a = sim_map_find(i->base, key, &equal);
	a += equal && beyond;
	size_t b = sim_map_find(overlay, key, &equal);
	b += equal && beyond;

	i->current = NULL;
	while (a < i->base->count || b < overlay->count) {
		const struct sim_entry *x = a < i->base->count ? i->base->entries[a] : NULL, *y = b < overlay->count ? overlay->entries[b] : NULL;
		int r = !x ? 1 : !y ? -1 : sim_slice_compare(x->key, y->key);
		const struct sim_entry *least = r < 0 ? x : y;
		a += r <= 0;
		b += r >= 0;
		if (least->tombstone)
			continue;
		i->current = inside(i, least->key) ? least : NULL;
		return;
	}
}

/* Stands on the last visible entry before key. everything: there is no such key, on the last of all. */
static void go_back(struct sim_iter *i, struct slice key, bool everything)
{
	static const struct sim_map nothing;
	const struct sim_map *overlay = i->overlay ? i->overlay : &nothing;
	bool equal;
	size_t a = everything ? i->base->count : sim_map_find(i->base, key, &equal);
	size_t b = everything ? overlay->count : sim_map_find(overlay, key, &equal);

	i->current = NULL;
	while (a > 0 || b > 0) {
		const struct sim_entry *x = a > 0 ? i->base->entries[a - 1] : NULL, *y = b > 0 ? overlay->entries[b - 1] : NULL;
		int r = !x ? -1 : !y ? 1 : sim_slice_compare(x->key, y->key);
		const struct sim_entry *most = r > 0 ? x : y;
		a -= r >= 0;
		b -= r <= 0;
		if (most->tombstone)
			continue;
		i->current = inside(i, most->key) ? most : NULL;
		return;
	}
}

static struct kv_iter *kv_sim_iter_new(struct kv *kv, struct kv_batch *overlay, struct slice lower, struct slice upper)
{
	struct sim_iter *i = malloc(sizeof(*i) + lower.size + upper.size);

	if (!i)
		return NULL;
	*i = (struct sim_iter){ .base = sim_map_ref(to_kv(kv)->map), .overlay = overlay ? *to_batch(overlay) : NULL };
	if (lower.size)
		memcpy(i->bounds, lower.data, lower.size);
	if (upper.size)
		memcpy(i->bounds + lower.size, upper.data, upper.size);
	i->lower = (struct slice){ i->bounds, lower.size };
	i->upper = (struct slice){ i->bounds + lower.size, upper.size };
	go_forward(i, i->lower, false);
	return (struct kv_iter *)i;
}

static struct kv_iter *kv_sim_scan_new(struct kv *kv, struct slice lower)
{
	return kv_sim_iter_new(kv, NULL, lower, (struct slice){ 0 });
}

static void kv_sim_iter_free(struct kv_iter *it)
{
	sim_map_unref(to_iter(it)->base);
	free(to_iter(it));
}

static bool kv_sim_iter_valid(const struct kv_iter *it)
{
	return to_const_iter(it)->current != NULL;
}

static void kv_sim_iter_seek(struct kv_iter *it, struct slice key)
{
	struct sim_iter *i = to_iter(it);

	go_forward(i, sim_slice_compare(i->lower, key) > 0 ? i->lower : key, false);
}

static void kv_sim_iter_seek_last(struct kv_iter *it)
{
	go_back(to_iter(it), to_iter(it)->upper, to_iter(it)->upper.size == 0);
}

static void kv_sim_iter_next(struct kv_iter *it)
{
	assert(kv_sim_iter_valid(it));
	go_forward(to_iter(it), to_iter(it)->current->key, true);
}

static void kv_sim_iter_prev(struct kv_iter *it)
{
	assert(kv_sim_iter_valid(it));
	go_back(to_iter(it), to_iter(it)->current->key, false);
}

static struct slice kv_sim_iter_key(const struct kv_iter *it)
{
	assert(kv_sim_iter_valid(it));
	return to_const_iter(it)->current->key;
}

static struct slice kv_sim_iter_value(const struct kv_iter *it)
{
	assert(kv_sim_iter_valid(it));
	return to_const_iter(it)->current->value;
}

static int kv_sim_iter_error(const struct kv_iter *it)
{
	(void)it;
	return 0;
}

static int kv_sim_flush(struct kv *kv)
{
	struct sim_kv *k = to_kv(kv);
	int step = sim_step(k->disk);

	if (step == 0 || (step > 0 && sim_coin(k->disk)))
		flush_now(k);
	return step ? -ESHUTDOWN : 0;
}

static void kv_sim_close(struct kv *kv)
{
	struct sim_kv *k = to_kv(kv);

	k->image->open = false;
	sim_map_unref(k->map);
	free(k);
}

static const struct kv_ops sim_ops = {
	.get = kv_sim_get, .batch_new = kv_sim_batch_new, .batch_clear = kv_sim_batch_clear, .batch_free = kv_sim_batch_free,
	.batch_put = kv_sim_batch_put, .batch_delete = kv_sim_batch_delete, .write = kv_sim_write, .iter_new = kv_sim_iter_new, .scan_new = kv_sim_scan_new,
	.iter_free = kv_sim_iter_free, .iter_valid = kv_sim_iter_valid, .iter_seek = kv_sim_iter_seek,
	.iter_seek_last = kv_sim_iter_seek_last, .iter_next = kv_sim_iter_next, .iter_prev = kv_sim_iter_prev,
	.iter_key = kv_sim_iter_key, .iter_value = kv_sim_iter_value, .iter_error = kv_sim_iter_error, .flush = kv_sim_flush,
	.close = kv_sim_close,
};

static struct sim_image *image_find(struct sim_disk *d, const char *directory)
{
	for (struct sim_image *image = d->images; image; image = image->next)
		if (strcmp(image->directory, directory) == 0)
			return image;

	struct sim_image *image = calloc(1, sizeof(*image));
	if (!image)
		return NULL;
	image->directory = strdup(directory);
	image->durable = sim_map_new();
	if (!image->directory || !image->durable) {
		free(image->directory);
		sim_map_unref(image->durable);
		free(image);
		return NULL;
	}
	image->next = d->images;
	d->images = image;
	return image;
}

int kv_sim_open(struct disk *disk, const char *directory, struct kv **ret_kv)
{
	struct sim_disk *d = (struct sim_disk *)disk;

	if (d->crashed)
		return -ESHUTDOWN;
	struct sim_image *image = image_find(d, directory);
	struct sim_kv *k = image ? malloc(sizeof(*k)) : NULL;
	if (!k)
		return -ENOMEM;
	if (image->open) {
		free(k);
		return -EBUSY;
	}
	image->open = true;
	*k = (struct sim_kv){ .kv.ops = &sim_ops, .disk = d, .image = image, .map = sim_map_ref(image->durable) };
	*ret_kv = &k->kv;
	return 0;
}
