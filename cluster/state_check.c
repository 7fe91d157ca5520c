/* The pass over all keys; see state_check.h. In the order of keys, the lists of the shard come first, and the records of a slot before
 * everything else of their objects; so each later key finds its object, or belongs to none. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "caps/bigendian.h"
#include "cluster/state_check_internal.h"
#include "cluster/state_directory.h"

#define STOP_KEYS 4096u          /* how often stop() is asked */
#define PROBLEMS_MAX 10000u      /* said one by one; the others are only counted */
#define META_APPLIED 1u          /* as in state.c: format 4 | index 8 | term 8 | objects 8 | blocks 8 | rows 8 */
#define META_APPLIED_SIZE 44u

void check_report(struct scan_state *c, uint64_t ino, const char *format, ...)
{
	char text[512];
	va_list ap;

	if (++c->check->problems > PROBLEMS_MAX)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	c->check->report(c->check->arg, ino, text);
}

/* FNV-1a, stirred at the end so that sums of hashes don't meet by chance. */
uint64_t check_hash(uint64_t seed, const void *data, size_t size)
{
	const uint8_t *p = data;
	uint64_t h = 14695981039346656037ULL ^ seed * 0x9e3779b97f4a7c15ULL;

	for (size_t i = 0; i < size; i++)
		h = (h ^ p[i]) * 1099511628211ULL;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	return h ^ h >> 32;
}

struct seen *check_find(const struct scan_state *c, uint64_t ino)
{
	size_t low = 0, high = c->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->seen[middle].ino < ino)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->count && c->seen[low].ino == ino ? &c->seen[low] : NULL;
}

void *check_grow(void *array, size_t *capacity, size_t count, size_t item)
{
	size_t wanted = *capacity ? *capacity * 2 : 256;

	if (count < *capacity)
		return array;
	void *grown = reallocarray(array, wanted, item);
	if (grown)
		*capacity = wanted;
	return grown;
}

static int list_add(struct listed *list, uint64_t number)
{
	uint64_t *grown = check_grow(list->number, &list->capacity, list->count, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->number = grown;
	list->number[list->count++] = number;
	return 0;
}

/* ---- the shard's own keys ---------------------------------------------------------------------------------------- */

static int scan_shard(struct scan_state *c, enum state_key_type type, struct slice rest, struct slice value)
{
	switch (type) {
	case KEY_META:
		if (rest.size == 8 && get_be64(rest.data) == META_APPLIED && value.size == META_APPLIED_SIZE) {
			c->objects = get_be64(value.data + 20);
			c->blocks = get_be64(value.data + 28);
			c->rows = get_be64(value.data + 36);
			c->has_totals = true;
		}
		return 0;
	case KEY_UNABSORBED:
	case KEY_ORPHAN:
	case KEY_IN_PLACE:
		if (rest.size != 8)
			break;
		return list_add(type == KEY_ORPHAN ? &c->orphans : type == KEY_IN_PLACE ? &c->unsealed : &c->unabsorbed, get_be64(rest.data));
	case KEY_TASK:
		if (rest.size != 8 || value.size != 8)
			break;
		return list_add(&c->tasks, get_be64(value.data));
	case KEY_REVOKED:
	case KEY_SPENT:
		if (rest.size != 16)
			break;
		return 0;
	case KEY_EXPIRY:
	case KEY_RESULT:
		return 0;
	default:
		break;
	}
	check_report(c, 0, "a key of type %u that is not understood in the lists of the shard", (unsigned)type);
	return 0;
}

/* ---- records ------------------------------------------------------------------------------------------------------ */

static void fill_kind(struct seen *o, const struct record *r)
{
	switch (r->kind) {
	case KIND_DIRECTORY:
		o->directory.parent = r->parent;
		o->directory.next_cookie = r->next_cookie;
		o->directory.entries = r->entries > UINT32_MAX ? UINT32_MAX : (uint32_t)r->entries;
		break;
	case KIND_BLOB:
		o->blob.rows = r->rows;
		o->blob.trims = r->trims;
		break;
	case KIND_STREAM:
		o->stream.chunk = o->stream.next = r->stream.chunk;
		o->stream.start = r->stream.start;
		o->stream.end = r->stream.end;
		o->stream.start_found = r->stream.start == r->stream.chunk;
		break;
	default:
		break;
	}
}

static bool mode_fits(const struct record *r)
{
	switch (r->kind) {
	case KIND_DIRECTORY: return S_ISDIR(r->mode);
	case KIND_SYMLINK: return S_ISLNK(r->mode);
	case KIND_SPECIAL: return S_ISFIFO(r->mode) || S_ISSOCK(r->mode) || S_ISCHR(r->mode) || S_ISBLK(r->mode);
	default: return S_ISREG(r->mode);
	}
}

static void check_record(struct scan_state *c, uint64_t ino, const struct record *r)
{
	uint64_t counter = ino & 0xffffffffffffULL;

	if (r->ino != ino)
		check_report(c, ino, "its record says that it is inode %" PRIu64, r->ino);
	if (r->realm != REALM_FIRST || name_slot(&r->name) != ino_slot(ino))
		check_report(c, ino, "its name or realm is not of its slot");
	if (!mode_fits(r))
		check_report(c, ino, "its kind %u and mode %o don't fit", (unsigned)r->kind, r->mode);
	if (ino != ROOT_INO && (counter >= c->counter_next || ino_slot(ino) != c->counter_slot))
		check_report(c, ino, "its number has not been given out yet: it could be given again");
	if (r->kind == KIND_STREAM && !(r->stream.chunk <= r->stream.start && r->stream.start <= r->stream.end && r->stream.consumed <= r->stream.end))
		check_report(c, ino, "the offsets of the stream are out of order");
}

static int scan_record(struct scan_state *c, uint64_t ino, struct slice value)
{
	struct record r;
	struct seen *grown = check_grow(c->seen, &c->capacity, c->count, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	c->seen = grown;
	int error = record_decode(value, &r);
	if (error < 0) {
		check_report(c, ino, "its record cannot be read: %s", error == -ENOTSUP ? "it is of a newer version" : "damaged");
		return 0;
	}
	check_record(c, ino, &r);
	struct seen *o = &c->seen[c->count++];
	*o = (struct seen){ .ino = ino, .version = r.version, .size = r.size, .blocks = r.blocks, .made = r.made,
		.name_hash = check_hash(0, r.name.bytes, NAME_SIZE), .nlink = r.nlink, .xattr_bytes = r.xattr_list_bytes,
		.type = r.mode & S_IFMT, .kind = (uint8_t)r.kind, .place = (uint8_t)r.place, .immortal = r.lifecycle == LIFECYCLE_IMMORTAL,
		.orphan = r.orphan, .in_place = r.in_place };
	fill_kind(o, &r);
	return 0;
}

/* ---- names and entries -------------------------------------------------------------------------------------------- */

static void scan_name(struct scan_state *c, struct slice rest, struct slice value)
{
	struct seen *o;
	char text[NAME_TEXT_SIZE + 1];

	if (rest.size != NAME_SIZE || value.size != 8) {
		check_report(c, 0, "a name that cannot be read");
		return;
	}
	o = check_find(c, get_be64(value.data));
	if (o && o->name_hash == check_hash(0, rest.data, NAME_SIZE)) {
		o->named = true;
		return;
	}
	struct name name;
	memcpy(name.bytes, rest.data, NAME_SIZE);
	name_to_text(&name, text);
	check_report(c, 0, "the name %s leads to inode %" PRIu64 ", which %s", text, get_be64(value.data), o ? "has another name" : "is not there");
}

/* An entry's name, escaped for a message. */
static void entry_text(struct slice name, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < name.size && used + 8 < size; i++) {
		uint8_t b = name.data[i];
		used += (size_t)snprintf(out + used, size - used, b > 0x20 && b < 0x7f && b != '\\' ? "%c" : "\\x%02x", b);
	}
	out[used] = '\0';
}

static uint64_t entry_hash(uint64_t ino, uint64_t cookie, uint32_t type, struct slice name)
{
	uint64_t words[3] = { ino, cookie, type };

	return check_hash(check_hash(1, words, sizeof(words)), name.data, name.size);
}

/* The directory of an entry, or NULL after a report. */
static struct seen *entry_directory(struct scan_state *c, uint64_t parent, struct slice name)
{
	struct seen *d = check_find(c, parent);
	char text[128];

	if (d && d->kind == KIND_DIRECTORY)
		return d;
	entry_text(name, text, sizeof(text));
	check_report(c, parent, "an entry '%s' of %s", text, d ? "what is no directory" : "a directory that is not there");
	return NULL;
}

static void scan_entry(struct scan_state *c, uint64_t parent, struct slice name, struct slice value)
{
	struct seen *d = entry_directory(c, parent, name), *o;
	struct entry entry;
	char text[128];

	entry_text(name, text, sizeof(text));
	if (entry_check(name) < 0 || entry_decode(value, &entry) < 0) {
		check_report(c, parent, "its entry '%s' cannot be read", text);
		return;
	}
	if (d) {
		d->directory.found++;
		d->hash += entry_hash(entry.ino, entry.cookie, entry.type, name);
	}
	o = check_find(c, entry.ino);
	if (!o) {
		check_report(c, parent, "its entry '%s' leads to inode %" PRIu64 ", which is not there", text, entry.ino);
		return;
	}
	o->links++;
	if (o->type != entry.type)
		check_report(c, parent, "its entry '%s' is of another type than inode %" PRIu64, text, entry.ino);
	if (o->kind != KIND_DIRECTORY)
		return;
	if (d)
		d->directory.subfolders++;
	if (o->directory.parent != parent)
		check_report(c, entry.ino, "the directory is in inode %" PRIu64 " as '%s', but says that it is in %" PRIu64, parent, text, o->directory.parent);
}

static void scan_cookie(struct scan_state *c, uint64_t parent, struct slice rest, struct slice value)
{
	struct state_entry entry;
	struct seen *d;

	if (rest.size != 16 || cookie_decode(get_be64(rest.data + 8), value, &entry) < 0) {
		check_report(c, parent, "a place in the order of its entries cannot be read");
		return;
	}
	struct slice name = { .data = (const uint8_t *)entry.name, .size = entry.name_size };
	d = entry_directory(c, parent, name);
	if (!d)
		return;
	d->hash -= entry_hash(entry.ino, entry.cookie, entry.mode, name);
	if (entry.cookie >= d->directory.next_cookie)
		check_report(c, parent, "the place %" PRIu64 " of an entry has not been given out yet", entry.cookie);
}

static void scan_xattr(struct scan_state *c, uint64_t ino, struct slice rest)
{
	struct seen *o = check_find(c, ino);

	if (!o)
		check_report(c, ino, "an extended attribute of what is not there");
	else
		o->xattr_found += (uint32_t)(rest.size - 8) + 1;
}

/* ---- the pass ----------------------------------------------------------------------------------------------------- */

static int scan_object(struct scan_state *c, uint32_t slot, enum state_key_type type, struct slice rest, struct slice value)
{
	uint64_t ino = rest.size >= 8 ? get_be64(rest.data) : 0;

	switch (type) {
	case KEY_COUNTER:
		if (value.size != 8) {
			check_report(c, 0, "the counter of slot %u cannot be read", slot);
			return 0;
		}
		c->counter_slot = slot;
		c->counter_next = get_be64(value.data);
		return 0;
	case KEY_NAME: scan_name(c, rest, value); return 0;
	case KEY_TOKEN_KEY: return 0;
	case KEY_QUOTA:
		if (slot != 0 || rest.size != 0 || value.size != 16)
			check_report(c, 0, "the quota cannot be read");
		return 0;
	default: break;
	}
	if (rest.size < 8 || ino_slot(ino) != slot) {
		check_report(c, 0, "a key of type %u that is not understood in slot %u", (unsigned)type, slot);
		return 0;
	}
	switch (type) {
	case KEY_RECORD: return scan_record(c, ino, value);
	case KEY_ENTRY: scan_entry(c, ino, key_rest(rest, 8), value); break;
	case KEY_COOKIE: scan_cookie(c, ino, rest, value); break;
	case KEY_INLINE: check_inline(c, rest, value); break;
	case KEY_ROW: check_row(c, rest, value); break;
	case KEY_CRC: return check_crcs(c, rest, value);
	case KEY_TRIM: check_trim(c, rest, value); break;
	case KEY_XATTR: scan_xattr(c, ino, rest); break;
	case KEY_STREAM_INDEX: check_stream_index(c, rest, value); break;
	case KEY_STREAM_DATA: check_stream_data(c, rest, value); break;
	case KEY_TASK_STATS:
		if (!check_find(c, ino))
			check_report(c, ino, "statistics of a task that is not there");
		break;
	default: check_report(c, 0, "a key of type %u that is not understood in slot %u", (unsigned)type, slot);
	}
	return 0;
}

static int scan_key(struct scan_state *c, struct slice key, struct slice value)
{
	if (key.size < STATE_KEY_PREFIX) {
		check_report(c, 0, "a key of %zu bytes that is not understood", key.size);
		return 0;
	}
	uint32_t slot = (uint32_t)key.data[0] << 8 | key.data[1], realm = get_be32(key.data + 2);
	struct slice rest = key_rest(key, STATE_KEY_PREFIX);

	if (realm == REALM_NONE && slot == 0)
		return scan_shard(c, key.data[6], rest, value);
	if (realm == REALM_FIRST)
		return scan_object(c, slot, key.data[6], rest, value);
	check_report(c, 0, "a key of slot %u in a realm %" PRIu32 " that is not there", slot, realm);
	return 0;
}

static int scan_all(struct state *s, struct scan_state *c)
{
	struct kv_iter *it = kv_iter_new(s->kv, NULL, (struct slice){ 0 }, (struct slice){ 0 });
	int r = it ? 0 : -ENOMEM;

	for (uint64_t n = 0; r == 0 && kv_iter_valid(s->kv, it); kv_iter_next(s->kv, it), n++) {
		if (n % STOP_KEYS == 0 && c->check->stop && c->check->stop(c->check->arg))
			r = -EINTR;
		else
			r = scan_key(c, kv_iter_key(s->kv, it), kv_iter_value(s->kv, it));
	}
	if (r == 0)
		r = kv_iter_error(s->kv, it);
	kv_iter_free(s->kv, it);
	return r;
}

int state_check(struct state *s, struct state_check *check)
{
	struct scan_state c = { .check = check, .counter_slot = UINT32_MAX };

	check->pieces = NULL;
	check->piece_count = 0;
	check->piece_bytes = check->objects = check->problems = 0;
	int r = scan_all(s, &c);
	if (r == 0) {
		check_verdict(&c);
		check->objects = c.count;
	} else {
		free(check->pieces);
		check->pieces = NULL;
	}
	free(c.seen);
	free(c.orphans.number);
	free(c.tasks.number);
	free(c.unabsorbed.number);
	free(c.unsealed.number);
	return r;
}
