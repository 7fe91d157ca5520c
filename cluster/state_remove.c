/* The end of objects: orphans, DELETE and REAP.
 *
 * An orphan is an object without a link that somebody may still have open (RULES D5). It is in the list of orphans from the command that took
 * its last link until REAP, and keeps its name and its content until then; what certainly nobody has open need not become one (UNLINK). REAP of
 * what is not an orphan (any more: a link was made to it) does nothing, so that a list that is out of date does no harm. */
#include "cluster/state_apply.h"

int orphan_add(struct apply *a, struct record *r)
{
	struct state_key key = key_shard_u64(KEY_ORPHAN, r->ino);

	r->orphan = true;
	a->result->orphaned = r->ino;
	apply_dirty(a, r);
	return apply_put(a, &key, (struct slice){ 0 });
}

int orphan_drop(struct apply *a, struct record *r)
{
	struct state_key key = key_shard_u64(KEY_ORPHAN, r->ino);

	r->orphan = false;
	apply_dirty(a, r);
	return apply_delete(a, &key);
}

int apply_remove(struct apply *a, const struct command *command)
{
	struct record *object;
	int r = apply_record(a, command->remove.ino, &object);

	if (r < 0)
		return r;
	if (object->kind == KIND_DIRECTORY)
		return -EISDIR;
	if (object->lifecycle == LIFECYCLE_IMMORTAL)
		return -EPERM;
	if (object->nlink > 0)
		return -EBUSY;
	apply_report(a, object);
	if (object->orphan)
		return 0;
	object->ctime_ns = a->now_ns;
	return orphan_add(a, object);
}

/* Keys that begin with the inode, of one type. */
static int delete_all(struct apply *a, enum state_key_type type, uint64_t ino)
{
	struct state_key prefix = key_ino(type, ino);
	return apply_delete_prefix(a, &prefix);
}

static int reap_blob(struct apply *a, const struct record *r)
{
	struct state_key key = key_ino(KEY_INLINE, r->ino);
	int error;

	if (r->place == PLACE_INLINE)
		return apply_delete(a, &key);
	error = delete_all(a, KEY_CRC, r->ino);
	if (error == 0 && r->in_place) {
		key = key_shard_u64(KEY_IN_PLACE, r->ino);
		error = apply_delete(a, &key);
	}
	if (error == 0 && r->rows > 0)
		error = delete_all(a, KEY_ROW, r->ino);
	if (error == 0 && r->trims > 0)
		error = delete_all(a, KEY_TRIM, r->ino);
	if (error == 0 && r->rows + r->trims > 0) {
		key = key_shard_u64(KEY_UNABSORBED, r->ino);
		error = apply_delete(a, &key);
	}
	return error;
}

static int reap_content(struct apply *a, const struct record *r)
{
	struct state_key key = key_ino(KEY_INLINE, r->ino);
	int error;

	switch (r->kind) {
	case KIND_BLOB:
		return reap_blob(a, r);
	case KIND_SYMLINK:
		return apply_delete(a, &key);
	case KIND_STREAM:
		error = delete_all(a, KEY_STREAM_INDEX, r->ino);
		return error < 0 ? error : delete_all(a, KEY_STREAM_DATA, r->ino);
	case KIND_TASK:
		error = apply_delete(a, &key);
		key = key_ino(KEY_TASK_STATS, r->ino);
		if (error == 0)
			error = apply_delete(a, &key);
		key = key_shard_u64(KEY_TASK, r->made);
		return error < 0 ? error : apply_delete(a, &key);
	default:
		return 0;
	}
}

/* The record, the name, and what goes with them. */
static int remove_object(struct apply *a, const struct record *r)
{
	struct state_key key = key_name(&r->name);
	int error = reap_content(a, r);

	if (error == 0 && r->xattr_list_bytes > 0)
		error = delete_all(a, KEY_XATTR, r->ino);
	if (error == 0)
		error = apply_delete(a, &key);
	if (error < 0)
		return error;
	a->objects--;
	a->blocks -= (int64_t)r->blocks;
	a->rows -= r->rows;
	if (a->result->touched_count < RESULT_TOUCHED_MAX)
		a->result->touched[a->result->touched_count++] = r->ino;
	key = key_ino(KEY_RECORD, r->ino);
	return apply_delete(a, &key);
}

int object_free(struct apply *a, struct record *r)
{
	apply_freed(a, r);
	return remove_object(a, r);
}

static int reap_one(struct apply *a, uint64_t ino)
{
	struct state_key key = key_shard_u64(KEY_ORPHAN, ino);
	struct record record;

	if (!apply_exists(a, &key))
		return a->fatal;
	int r = apply_peek(a, ino, &record);
	if (r < 0)
		return apply_fatal(a, -EBADMSG);   /* an orphan without a record */
	r = apply_delete(a, &key);
	if (r < 0)
		return r;
	state_cache_drop(a->s, ino);
	return remove_object(a, &record);
}

int apply_reap(struct apply *a, const struct command *command)
{
	const struct command_reap *c = &command->reap;
	int r = 0;

	a->overlay = true;   /* so that an inode that is named twice is gone the second time */
	for (uint32_t i = 0; r == 0 && i < c->count; i++)
		r = reap_one(a, c->inos[i]);
	return r;
}
