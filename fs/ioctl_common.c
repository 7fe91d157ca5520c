/* What several handlers ask: rights, records, other references, and things that live as long as a descriptor. */
#include <string.h>
#include <sys/stat.h>

#include "fs/ioctl_calls.h"
#include "fs/session.h"
#include "fs/slot.h"
#include "libdios/dios.h"

int ioctl_need_right(const struct ioctl_context *c, uint32_t any_of)
{
	return reference_rights(c->reference) & any_of ? 0 : -EACCES;
}

int ioctl_need_owner_or(const struct ioctl_context *c, uint32_t right, const struct record *record)
{
	if (reference_rights(c->reference) & right)
		return 0;
	bool owner = c->caller.uid == 0 || c->caller.uid == record->uid;
	return owner && !c->from_token ? 0 : -EACCES;
}

int ioctl_record(const struct ioctl_context *c, struct attributes *ret)
{
	return object_get(c->mount->objects, reference_ino(c->reference), ret);
}

int ioctl_kind(const struct ioctl_context *c, enum object_kind kind)
{
	return c->handle->object_kind == kind ? 0 : -EINVAL;
}

int ioctl_wait(struct ioctl_context *c, uint32_t flags)
{
	if (!c->nonblock && !(flags & DIOS_NOWAIT))
		c->wait_ino = reference_ino(c->reference);
	return -EAGAIN;
}

int ioctl_may_create(const struct ioctl_context *c, uint64_t directory)
{
	struct attributes a;
	int r = object_get(c->mount->objects, directory, &a);

	if (r < 0)
		return r;
	const struct record *d = &a.record;
	if (c->caller.uid == 0)
		return 0;
	unsigned shift = 0;
	if (c->caller.uid == d->uid)
		shift = 6;
	else if (c->caller.gid == d->gid || (c->in_group && c->in_group(c, d->gid)))
		shift = 3;
	return (d->mode >> shift & 3) == 3 ? 0 : -EACCES;   /* write and search */
}

int ioctl_find(const struct ioctl_context *c, const uint8_t id[DIOS_ID_SIZE], struct reference **ret_reference)
{
	struct reference *r = reference_find(c->mount->objects, id);
	if (!r)
		return -ENOENT;
	*ret_reference = r;
	return 0;
}

int ioctl_find_buffer(const struct ioctl_context *c, const uint8_t id[DIOS_ID_SIZE], struct private_buffer **ret_buffer)
{
	struct private_buffer *b = private_buffer_find(c->mount->buffers, c->caller.uid, id);
	if (!b)
		return -ENOENT;
	*ret_buffer = b;
	return 0;
}

void ioctl_set_version(const struct ioctl_context *c, uint64_t version)
{
	lock_acquire(&c->handle->lock);
	c->handle->entry->version = version;
	lock_release(&c->handle->lock);
}

/* ---- what goes with the descriptor ------------------------------------------------------------------------------- */

void *ioctl_find_attachment(struct handle *h, void (*release)(void *arg))
{
	LOCK_GUARD(&h->lock);
	for (struct handle_attachment *a = h->attachments; a; a = a->next)
		if (a->release == release)
			return a->arg;
	return NULL;
}

void *ioctl_attach_once(struct handle *h, void (*release)(void *arg), void *arg)
{
	struct handle_attachment *fresh = malloc(sizeof(*fresh)), *a;

	if (!fresh)
		return NULL;
	*fresh = (struct handle_attachment){ .release = release, .arg = arg };
	lock_acquire(&h->lock);
	for (a = h->attachments; a && a->release != release; a = a->next)
		;
	if (a) {
		arg = a->arg;
	} else {
		fresh->next = h->attachments;
		h->attachments = TAKE_PTR(fresh);
	}
	lock_release(&h->lock);
	free(fresh);
	return arg;
}

struct owned_buffers { struct private_buffers *buffers; struct handle *handle; };

static void owned_buffers_release(void *arg)
{
	struct owned_buffers *o = arg;
	private_buffers_free_owned(o->buffers, o->handle->fh);
	free(o);
}

static int attach_buffers(struct private_buffers *buffers, struct handle *h)
{
	if (ioctl_find_attachment(h, owned_buffers_release))
		return 0;
	struct owned_buffers *o = malloc(sizeof(*o));
	if (!o)
		return -ENOMEM;
	*o = (struct owned_buffers){ .buffers = buffers, .handle = h };
	void *attached = ioctl_attach_once(h, owned_buffers_release, o);
	if (attached != o)
		free(o);
	return attached ? 0 : -ENOMEM;
}

int ioctl_make_buffer(const struct ioctl_context *c, uint64_t size, struct private_buffer **ret_buffer)
{
	if (size > PRIVATE_BUFFER_MAX)
		return -ENOBUFS;
	int r = attach_buffers(c->mount->buffers, c->handle);
	return r < 0 ? r : private_buffer_create(c->mount->buffers, c->handle->fh, request_unique(), c->caller.uid, size, ret_buffer);
}

static bool owner_is_known(void *arg, uint64_t owner)
{
	struct fs *fs = arg;
	struct handle *h = handle_get(fs->handles, owner);

	return h && attach_buffers(fs->ioctls->buffers, h) == 0;
}

void ioctl_restore_buffers(struct fs *fs)
{
	for (uint32_t i = 0; i < SLOT_COUNT; i++)
		if (region_slot_waits(fs->region, i) && fs->region->slots[i].answer_size == 0)
			private_buffers_free_made_by(fs->ioctls->buffers, slot_header(fs, i)->unique);
	private_buffers_restored(fs->ioctls->buffers, owner_is_known, fs);
}

void ioctl_spend_buffer(struct private_buffer *b, int result, uint64_t version)
{
	redo_put_place(version, (uint64_t)-result);
	private_buffer_free(b);
}

bool ioctl_was_spent(int *ret_result, uint64_t *ret_version)
{
	uint64_t version, error;

	if (!redo_take_place(&version, &error))
		return false;
	*ret_result = -(int)error;
	*ret_version = version;
	return true;
}

#define CREATED_MAX 16u   /* a program opens what it made before it makes so many more through the same descriptor */

/* Each has an entry of the open table as well, for the next daemon. */
struct created { struct handle_table *table; struct lock lock; struct kept { struct reference *reference; uint32_t index; } kept[CREATED_MAX]; unsigned next; };

static void kept_release(struct handle_table *table, const struct kept *k)
{
	if (!k->reference)
		return;
	reference_close(k->reference);
	handle_drop(table, k->index);
}

static void created_release(void *arg)
{
	struct created *created = arg;
	for (unsigned i = 0; i < CREATED_MAX; i++)
		kept_release(created->table, &created->kept[i]);
	lock_done(&created->lock);
	free(created);
}

static struct created *attach_created(struct handle *h)
{
	struct created *created = ioctl_find_attachment(h, created_release);
	if (created)
		return created;
	created = calloc(1, sizeof(*created));
	if (!created)
		return NULL;
	created->table = h->fs->handles;
	lock_init(&created->lock, "fs.created", LOCK_HANDLE);
	struct created *attached = ioctl_attach_once(h, created_release, created);
	if (attached != created) {
		lock_done(&created->lock);
		free(created);
	}
	return attached;
}

static void created_put(struct created *created, struct reference *r, uint32_t index)
{
	lock_acquire(&created->lock);
	struct kept oldest = created->kept[created->next];
	created->kept[created->next] = (struct kept){ .reference = r, .index = index };
	created->next = (created->next + 1) % CREATED_MAX;
	lock_release(&created->lock);
	kept_release(created->table, &oldest);
}

int ioctl_keep_created(const struct ioctl_context *c, struct reference *r)
{
	struct created *created = attach_created(c->handle);
	uint32_t index;
	int e = created ? handle_hold(created->table, c->handle, reference_ino(r), &index) : -ENOMEM;

	if (e < 0) {
		reference_close(r);
		return e;
	}
	created_put(created, r, index);
	return 0;
}

int ioctl_restore_created(struct fs *fs, uint32_t index)
{
	static const struct reference_options options = { .rights = 0 };
	const struct handle_entry *e = &fs->region->handles[index];
	struct handle *h = handle_get(fs->handles, e->node);
	struct created *created = h ? attach_created(h) : NULL;
	uint8_t id[REFERENCE_ID_SIZE];
	struct reference *r;

	if (!created)
		return h ? -ENOMEM : -ENOENT;
	random_fill(cluster_random(objects_cluster(fs->objects)), id, sizeof(id));
	int error = reference_restore(fs->objects, e->ino, &options, id, 0, &r);
	if (error == 0)
		created_put(created, r, index);
	return error;
}
