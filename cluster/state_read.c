/* Reading the applied state: objects, entries, attributes, names and the lists. Any thread, beside the applier; one key or one iterator a
 * call, so that what it returns is of one moment. */
#include <string.h>

#include "caps/bigendian.h"
#include "cluster/state_directory.h"

#define VALUE_MAX (8u << 20)       /* bytes: more than any value */

static struct slice slice_of(const struct buffer *b)
{
	return (struct slice){ .data = b->data, .size = b->size };
}

static int get(struct state *s, struct state_key key, struct buffer *value)
{
	return kv_get(s->kv, NULL, key_slice(&key), value);
}

static bool exists(struct state *s, struct state_key key)
{
	struct buffer value _cleanup_buffer_;

	buffer_init(&value, VALUE_MAX);
	return get(s, key, &value) == 0;
}

static int get_u64(struct state *s, struct state_key key, uint64_t *ret_value)
{
	struct buffer value _cleanup_buffer_;

	buffer_init(&value, VALUE_MAX);
	int r = get(s, key, &value);
	if (r < 0)
		return r;
	if (value.size != 8)
		return -EBADMSG;
	*ret_value = get_be64(value.data);
	return 0;
}

int state_get(struct state *s, uint64_t ino, struct record *ret_record)
{
	struct buffer value _cleanup_buffer_;

	buffer_init(&value, VALUE_MAX);
	if (state_cache_get(s, ino, ret_record))
		return 0;
	int r = get(s, key_ino(KEY_RECORD, ino), &value);
	return r < 0 ? r : record_decode(slice_of(&value), ret_record);
}

int state_lookup(struct state *s, uint64_t parent, const char *entry, size_t size, uint64_t *ret_ino)
{
	struct buffer value _cleanup_buffer_;
	struct entry found;

	if (size > NAME_MAX_BYTES)
		return -ENAMETOOLONG;
	buffer_init(&value, VALUE_MAX);
	int r = get(s, key_ino_bytes(KEY_ENTRY, parent, (struct slice){ .data = (const uint8_t *)entry, .size = size }), &value);
	if (r == 0)
		r = entry_decode(slice_of(&value), &found);
	if (r == 0)
		*ret_ino = found.ino;
	return r;
}

int state_find_name(struct state *s, const struct name *name, uint64_t *ret_ino)
{
	return get_u64(s, key_name(name), ret_ino);
}

int state_get_inline(struct state *s, uint64_t ino, struct buffer *content)
{
	struct record record;
	int r = get(s, key_ino(KEY_INLINE, ino), content);

	if (r != -ENOENT)
		return r;
	/* Empty content has no key. */
	r = state_get(s, ino, &record);
	if (r < 0)
		return r;
	if (record.size > 0 || record.place != PLACE_INLINE || (record.kind != KIND_BLOB && record.kind != KIND_TASK))
		return -ENOENT;
	buffer_reset(content);
	return 0;
}

int state_get_task_spec(struct state *s, uint64_t ino, struct buffer *spec)
{
	return state_get_inline(s, ino, spec);
}

int state_get_task_stats(struct state *s, uint64_t ino, struct buffer *stats)
{
	return get(s, key_ino(KEY_TASK_STATS, ino), stats);
}

int state_get_xattr(struct state *s, uint64_t ino, struct slice key, struct buffer *value)
{
	if (key.size == 0 || key.size > NAME_MAX_BYTES)
		return -ENODATA;
	int r = get(s, key_ino_bytes(KEY_XATTR, ino, key), value);
	return r == -ENOENT ? -ENODATA : r;
}

bool state_token_revoked(struct state *s, const uint8_t token_id[16])
{
	return exists(s, key_shard_id(KEY_REVOKED, token_id));
}

/* ---- lists ---- */

/* A list of keys: each() is called with the part of each key after `skip` bytes, until it returns non-zero. */
struct scan {
	struct state *s;
	size_t skip;
	int (*each)(const struct scan *scan, struct slice rest, struct slice value);
	void *arg;
};

/* 1: stopped by each(). */
static int scan_range(const struct scan *scan, struct state_key from, struct state_key below)
{
	struct kv *kv = scan->s->kv;
	struct kv_iter *it = kv_iter_new(kv, NULL, key_slice(&from), key_slice(&below));
	int r = it ? 0 : -ENOMEM;

	for (; r == 0 && kv_iter_valid(kv, it); kv_iter_next(kv, it))
		r = scan->each(scan, key_rest(kv_iter_key(kv, it), scan->skip), kv_iter_value(kv, it));
	if (r == 0)
		r = kv_iter_error(kv, it);
	kv_iter_free(kv, it);
	return r;
}

static int scan_prefix(const struct scan *scan, struct state_key prefix)
{
	int r = scan_range(scan, prefix, key_after(&prefix));
	return r > 0 ? 0 : r;
}

struct directory_scan { int (*each)(void *arg, const struct state_entry *e); void *arg; };

static int each_entry(const struct scan *scan, struct slice rest, struct slice value)
{
	const struct directory_scan *d = scan->arg;
	struct state_entry entry;

	if (rest.size != 8)
		return -EBADMSG;
	int r = cookie_decode(get_be64(rest.data), value, &entry);
	return r < 0 ? r : d->each(d->arg, &entry);
}

int state_read_directory(struct state *s, uint64_t parent, uint64_t after, int (*each)(void *arg, const struct state_entry *e), void *arg)
{
	struct directory_scan d = { .each = each, .arg = arg };
	struct state_key all = key_ino(KEY_COOKIE, parent);
	const struct scan scan = { .s = s, .skip = all.size, .each = each_entry, .arg = &d };

	if (after == UINT64_MAX)
		return 0;
	int r = scan_range(&scan, key_ino_u64(KEY_COOKIE, parent, after + 1), key_after(&all));
	return r > 0 ? 0 : r;
}

static int each_xattr(const struct scan *scan, struct slice rest, struct slice value)
{
	(void)value;
	buffer_append(scan->arg, rest.data, rest.size);
	return buffer_append(scan->arg, "", 1);
}

int state_list_xattrs(struct state *s, uint64_t ino, struct buffer *names)
{
	struct state_key all = key_ino(KEY_XATTR, ino);
	const struct scan scan = { .s = s, .skip = all.size, .each = each_xattr, .arg = names };

	buffer_reset(names);
	return scan_prefix(&scan, all);
}

struct ino_scan { int (*each)(void *arg, uint64_t ino); void *arg; };

/* The inode is the key's end, or the value. */
static int each_ino(const struct scan *scan, struct slice rest, struct slice value)
{
	const struct ino_scan *i = scan->arg;
	struct slice number = value.size ? value : rest;

	if (number.size != 8)
		return -EBADMSG;
	return i->each(i->arg, get_be64(number.data));
}

static int each_listed(struct state *s, enum state_key_type type, uint64_t after, int (*each)(void *arg, uint64_t ino), void *arg)
{
	struct ino_scan i = { .each = each, .arg = arg };
	const struct scan scan = { .s = s, .skip = STATE_KEY_PREFIX, .each = each_ino, .arg = &i };
	struct state_key all = key_shard(type);

	if (after == UINT64_MAX)
		return 0;
	int r = scan_range(&scan, key_shard_u64(type, after + 1), key_after(&all));
	return r > 0 ? 0 : r;
}

int state_each_unabsorbed(struct state *s, uint64_t after, int (*each)(void *arg, uint64_t ino), void *arg)
{
	return each_listed(s, KEY_UNABSORBED, after, each, arg);
}

int state_each_in_place(struct state *s, uint64_t after, int (*each)(void *arg, uint64_t ino), void *arg)
{
	return each_listed(s, KEY_IN_PLACE, after, each, arg);
}

int state_each_task(struct state *s, int (*each)(void *arg, uint64_t ino), void *arg)
{
	struct ino_scan i = { .each = each, .arg = arg };
	const struct scan scan = { .s = s, .skip = STATE_KEY_PREFIX, .each = each_ino, .arg = &i };

	return scan_prefix(&scan, key_shard(KEY_TASK));
}

int state_each_orphan(struct state *s, int (*each)(void *arg, uint64_t ino), void *arg)
{
	struct ino_scan i = { .each = each, .arg = arg };
	const struct scan scan = { .s = s, .skip = STATE_KEY_PREFIX, .each = each_ino, .arg = &i };

	return scan_prefix(&scan, key_shard(KEY_ORPHAN));
}

/* Names lie under their slots, with other keys between: after the names of one slot the iterator jumps to those of the next slot that
 * has any key at all. */
int state_each_name(struct state *s, const struct name *after, int (*each)(void *arg, const struct name *name, uint64_t ino), void *arg)
{
	struct state_key from = after ? key_name(after) : key_slot(KEY_NAME, 0);
	struct kv_iter *it = kv_iter_new(s->kv, NULL, key_slice(&from), (struct slice){ 0 });
	int r = it ? 0 : -ENOMEM;

	while (r == 0 && kv_iter_valid(s->kv, it)) {
		struct slice key = kv_iter_key(s->kv, it), value = kv_iter_value(s->kv, it);
		struct name name;

		if (key.size < STATE_KEY_PREFIX) {
			r = -EBADMSG;
			break;
		}
		uint32_t slot = (uint32_t)key.data[0] << 8 | key.data[1];
		struct state_key names = key_slot(KEY_NAME, (uint16_t)slot);
		int order = memcmp(key.data, names.data, STATE_KEY_PREFIX);

		if (order > 0 && slot == UINT16_MAX)
			break;
		if (order != 0) {   /* before this slot's names, or behind them */
			names = order < 0 ? names : key_slot(KEY_NAME, (uint16_t)(slot + 1));
			kv_iter_seek(s->kv, it, key_slice(&names));
			continue;
		}
		if (key.size != STATE_KEY_PREFIX + NAME_SIZE || value.size != 8) {
			r = -EBADMSG;
			break;
		}
		memcpy(name.bytes, key.data + STATE_KEY_PREFIX, NAME_SIZE);
		if (!after || memcmp(name.bytes, after->bytes, NAME_SIZE) > 0)
			r = each(arg, &name, get_be64(value.data));
		if (r == 0)
			kv_iter_next(s->kv, it);
	}
	if (r == 0)
		r = kv_iter_error(s->kv, it);
	kv_iter_free(s->kv, it);
	return r > 0 ? 0 : r;
}

int state_get_key(struct state *s, uint32_t realm, uint32_t key_id, struct buffer *sealed)
{
	struct state_key from = key_token_key(realm, 0), below = key_token_key(realm, UINT32_MAX);

	if (key_id != 0)
		return get(s, key_token_key(realm, key_id), sealed);
	below = key_after(&below);
	struct kv_iter *it = kv_iter_new(s->kv, NULL, key_slice(&from), key_slice(&below));
	if (!it)
		return -ENOMEM;
	kv_iter_seek_last(s->kv, it);
	int r = -ENOENT;
	if (kv_iter_valid(s->kv, it)) {
		struct slice value = kv_iter_value(s->kv, it);
		buffer_reset(sealed);
		r = buffer_append(sealed, value.data, value.size);
	}
	if (kv_iter_error(s->kv, it) < 0)
		r = kv_iter_error(s->kv, it);
	kv_iter_free(s->kv, it);
	return r;
}
