/* Bytes from one blob to another: as a clone where that is what is asked for (a reflink where the file system has it), else piece by piece. */
#include "objects/object.h"

#define COPY_PIECE (1u << 20)     /* bytes */

static bool unrestricted(const struct reference *r) { return r->options.range_offset == 0 && r->options.range_length == UINT64_MAX; }

/* Both locked: a whole blob with a head into one that has no content yet. */
static bool clone_fits(const struct object *from, const struct object *to, size_t size)
{
	return from->record.kind == KIND_BLOB && to->record.kind == KIND_BLOB && blob_size_now(from) > from->os->options.inline_max
		&& size >= blob_size_now(from) && (to->record.place == PLACE_INLINE || to->record.in_place) && to->record.size == 0 && !to->is_dirty;
}

/* 0: not a case for it. */
static ssize_t copy_by_clone(struct reference *from, struct reference *to, size_t size)
{
	struct object *a = from->object, *b = to->object;
	if (a == b || !unrestricted(from) || !unrestricted(to) || to->options.append) return 0;
	int r = reference_check_right(from, RIGHT_READ);
	if (r == 0) r = reference_check_right(to, RIGHT_WRITE);
	if (r == 0) r = object_lock_pair(a, b);
	if (r < 0) return r;
	ssize_t n = 0;
	if (clone_fits(a, b, size)) {
		r = store_has_room(a->os->store, blob_size_now(a)) ? blob_clone(a, b) : -ENOSPC;
		if (r == 0 && to->options.sync) r = cluster_sync(a->os->cluster);
		n = r < 0 ? r : (ssize_t)b->record.size;
	}
	object_unlock_pair(a, b);
	return n;
}

ssize_t reference_copy_range(struct reference *from, uint64_t from_offset, struct reference *to, uint64_t to_offset, size_t size)
{
	if (from_offset == 0 && to_offset == 0) {
		ssize_t n = copy_by_clone(from, to, size);
		if (n != 0) return n;
	}
	_cleanup_free_ uint8_t *piece = malloc(COPY_PIECE);
	if (!piece) return -ENOMEM;
	if (from->object == to->object && from_offset < to_offset + size && to_offset < from_offset + size) return -EINVAL;
	size_t done = 0;
	while (done < size) {
		size_t want = size - done < COPY_PIECE ? size - done : COPY_PIECE;
		ssize_t n = reference_read(from, from_offset + done, piece, want);
		if (n > 0) n = reference_write(to, to_offset + done, piece, (size_t)n, false);
		if (n < 0) return done > 0 ? (ssize_t)done : n;
		if (n == 0) break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int object_clone(struct objects *os, struct reference *from, const struct command_create *create, struct attributes *ret)
{
	struct reference *to;
	int r = object_create(os, create, RIGHT_WRITE, &to, ret);
	if (r < 0) return r;
	r = reference_clone(from, to);
	if (r == 0) r = object_get(os, ret->record.ino, ret);
	reference_close(to);
	if (r == 0) return 0;
	if (create->parent != 0) (void)object_unlink(os, create->parent, (const char *)create->entry.data, create->entry.size, false);
	else if (!create->orphan) (void)object_delete(os, ret->record.ino);
	return r;
}
