/* Directory entries. Each is kept twice: under its name, for lookups, and under its cookie, for reading the directory in an order that changes
 * don't disturb. Invariant: both are there or neither; cookies of one directory are never used again. */
#include <string.h>
#include <sys/stat.h>

#include "caps/bigendian.h"
#include "cluster/state_directory.h"

#define ENTRY_SIZE 20u     /* ino 8 | cookie 8 | type 4 */
#define COOKIE_HEADER 12u  /* ino 8 | type 4, then the name */

int entry_check(struct slice name)
{
	if (name.size > NAME_MAX_BYTES)
		return -ENAMETOOLONG;
	if (name.size == 0 || memchr(name.data, '/', name.size) || memchr(name.data, '\0', name.size))
		return -EINVAL;
	if (name.data[0] == '.' && (name.size == 1 || (name.size == 2 && name.data[1] == '.')))
		return -EINVAL;
	return 0;
}

int entry_decode(struct slice value, struct entry *ret_entry)
{
	if (value.size != ENTRY_SIZE)
		return -EBADMSG;
	ret_entry->ino = get_be64(value.data);
	ret_entry->cookie = get_be64(value.data + 8);
	ret_entry->type = get_be32(value.data + 16);
	return 0;
}

int cookie_decode(uint64_t cookie, struct slice value, struct state_entry *ret_entry)
{
	if (value.size <= COOKIE_HEADER || value.size > COOKIE_HEADER + NAME_MAX_BYTES)
		return -EBADMSG;
	ret_entry->cookie = cookie;
	ret_entry->ino = get_be64(value.data);
	ret_entry->mode = get_be32(value.data + 8);
	ret_entry->name = (const char *)value.data + COOKIE_HEADER;
	ret_entry->name_size = value.size - COOKIE_HEADER;
	return 0;
}

int entry_get(struct apply *a, uint64_t parent, struct slice name, struct entry *ret_entry)
{
	struct state_key key = key_ino_bytes(KEY_ENTRY, parent, name);
	struct buffer *value = &a->s->value;
	int r = apply_read(a, &key, value);

	if (r < 0)
		return r;
	r = entry_decode((struct slice){ .data = value->data, .size = value->size }, ret_entry);
	return r < 0 ? apply_fatal(a, r) : 0;
}

static int entry_put(struct apply *a, uint64_t parent, struct slice name, uint64_t cookie, const struct record *target)
{
	uint8_t value[COOKIE_HEADER + NAME_MAX_BYTES];

	put_be64(value, target->ino);
	put_be64(value + 8, cookie);
	put_be32(value + 16, target->mode & S_IFMT);
	struct state_key key = key_ino_bytes(KEY_ENTRY, parent, name);
	int r = apply_put(a, &key, (struct slice){ .data = value, .size = ENTRY_SIZE });
	if (r < 0)
		return r;
	put_be32(value + 8, target->mode & S_IFMT);
	memcpy(value + COOKIE_HEADER, name.data, name.size);
	key = key_ino_u64(KEY_COOKIE, parent, cookie);
	return apply_put(a, &key, (struct slice){ .data = value, .size = COOKIE_HEADER + name.size });
}

int entry_add(struct apply *a, struct record *parent, struct slice name, const struct record *target)
{
	int r = entry_put(a, parent->ino, name, parent->next_cookie, target);

	if (r < 0)
		return r;
	parent->next_cookie++;
	parent->entries++;
	directory_touch(a, parent);
	return 0;
}

int entry_replace(struct apply *a, struct record *parent, struct slice name, const struct entry *old, const struct record *target)
{
	directory_touch(a, parent);
	return entry_put(a, parent->ino, name, old->cookie, target);
}

int entry_remove(struct apply *a, struct record *parent, struct slice name, const struct entry *entry)
{
	struct state_key key = key_ino_bytes(KEY_ENTRY, parent->ino, name);
	int r = apply_delete(a, &key);

	if (r < 0)
		return r;
	key = key_ino_u64(KEY_COOKIE, parent->ino, entry->cookie);
	r = apply_delete(a, &key);
	parent->entries--;
	directory_touch(a, parent);
	return r;
}

int directory_get(struct apply *a, uint64_t ino, struct record **ret_directory)
{
	struct record *directory;
	int r = apply_record(a, ino, &directory);

	if (r < 0)
		return r;
	if (directory->kind != KIND_DIRECTORY)
		return -ENOTDIR;
	if (directory->nlink == 0)
		return -ENOENT;
	*ret_directory = directory;
	return 0;
}

void directory_touch(struct apply *a, struct record *directory)
{
	directory->mtime_ns = directory->ctime_ns = a->now_ns;
	apply_dirty(a, directory);
}
