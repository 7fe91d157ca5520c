/* Ioctls about the object as a whole: information, replicas, names, the end. */
#include <string.h>

#include "cluster/cluster.h"
#include "fs/ioctl_calls.h"
#include "fs/wait.h"
#include "libdios/dios.h"

static uint32_t create_flags_of(const struct record *r)
{
	return (r->flags & CREATE_MEMORY_ONLY ? DIOS_MEMORY : 0) | (r->flags & CREATE_LOCAL_ONLY ? DIOS_LOCAL : 0) |
		(r->flags & CREATE_STREAM_DIRECT ? DIOS_DIRECT : 0) | (r->flags & CREATE_STREAM_END_ON_CLOSE ? DIOS_END_ON_CLOSE : 0);
}

static bool in_memory(const struct record *r) { return r->flags & (CREATE_MEMORY_ONLY | CREATE_STREAM_DIRECT); }

static void fill_stream(const struct ioctl_context *c, const struct record *r, struct dios_ioctl_info *i)
{
	const struct stream_state *s = &r->stream;

	i->stream_state = (s->ended ? DIOS_STREAM_ENDED : 0) | (s->broken ? DIOS_STREAM_BROKEN : 0) | (s->trim_consumed ? DIOS_STREAM_TRIM_CONSUMED : 0);
	i->stream_mode = reference_get_options(c->reference)->stream_mode;
	i->stream_start = s->start;
	i->stream_end = s->end;
	i->stream_consumed = s->consumed;
	i->stream_records = s->records;
	i->limit_bytes = s->limit_bytes;
	i->trim_bytes = s->trim_bytes;
	i->trim_age_ns = s->trim_age_ns;
	i->max_read = i->max_write = STREAM_RECORD_MAX;
}

static void fill_task(const struct record *r, struct dios_ioctl_info *i)
{
	i->task_state = r->task.state;
	i->exit_status = r->task.exit_status;
	i->start_ns = r->task.start_ns;
	i->end_ns = r->task.end_ns;
	memcpy(i->job, r->task.job.bytes, sizeof(i->job));
}

int ioctl_info(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	struct dios_ioctl_info *i = out;
	struct attributes a;
	int e = ioctl_record(c, &a);

	(void)in;
	(void)ret_size;
	if (e < 0)
		return e;
	const struct record *r = &a.record;
	*i = (struct dios_ioctl_info){ .version = DIOS_ABI_VERSION, .ino = r->ino, .object_version = r->version, .size = r->size,
		.max_read = PRIVATE_BUFFER_MAX, .max_write = PRIVATE_BUFFER_MAX, .node = cluster_node_id(objects_cluster(c->mount->objects)),
		.kind = r->kind, .rights = reference_rights(c->reference), .proximity = in_memory(r) ? DIOS_NEAR_MEMORY : DIOS_NEAR_DISK,
		.fate = DIOS_FATE_NODE | (in_memory(r) ? DIOS_FATE_DAEMON : 0), .read_consistency = r->read_consistency,
		.write_consistency = r->write_consistency, .ready = poll_ready(c->handle), .lifecycle = r->lifecycle,
		.create_flags = create_flags_of(r), .produced = r->produced, .replicas = 1, .nlink = r->nlink };
	memcpy(i->id, reference_id(c->reference), sizeof(i->id));
	memcpy(i->name, r->name.bytes, sizeof(i->name));
	memcpy(i->creator, r->creator.bytes, sizeof(i->creator));
	lock_acquire(&c->handle->lock);
	i->position = c->handle->entry->position;
	lock_release(&c->handle->lock);
	if (r->kind == KIND_STREAM)
		fill_stream(c, r, i);
	if (r->kind == KIND_TASK)
		fill_task(r, i);
	return 0;
}

/* One node keeps one replica of each of its objects. */
int ioctl_lookup(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_lookup *l = in;
	struct dios_ioctl_lookup *answer = out;
	struct attributes a;
	int r = ioctl_record(c, &a);

	(void)ret_size;
	if (r < 0)
		return r;
	if (l->bind > 1)
		return -ENOENT;
	memset(answer->replicas, 0, sizeof(answer->replicas));
	answer->total = 1;
	answer->count = l->first == 0;
	if (answer->count)
		answer->replicas[0] = (struct dios_ioctl_replica){ .node = cluster_node_id(objects_cluster(c->mount->objects)),
			.proximity = in_memory(&a.record) ? DIOS_NEAR_MEMORY : DIOS_NEAR_DISK };
	return 0;
}

int ioctl_name(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_name *n = in;
	struct dios_ioctl_name *answer = out;
	struct attributes root;
	struct name name;
	int r = object_get(c->mount->objects, ROOT_INO, &root);

	(void)ret_size;
	if (r == 0)
		r = name_from_string(root.record.realm, n->string, n->string_size, &name);
	if (r == 0)
		memcpy(answer->name, name.bytes, sizeof(answer->name));
	return r;
}

/* A reference-counted object goes by itself when its last path and reference are gone: the caller closes the descriptor next. */
int ioctl_delete(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	struct attributes a;
	int r = ioctl_record(c, &a);

	(void)in;
	(void)out;
	(void)ret_size;
	if (r == 0)
		r = ioctl_need_owner_or(c, RIGHT_DELETE, &a.record);
	if (r < 0)
		return r;
	return a.record.lifecycle == LIFECYCLE_REFCOUNTED ? 0 : object_delete(c->mount->objects, a.record.ino);
}

/* On one node every replica is local already. */
int ioctl_make_local(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	(void)in;
	(void)out;
	(void)ret_size;
	return ioctl_need_right(c, RIGHT_READ);
}

int ioctl_set_produced(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_produced *p = in;
	int r = ioctl_need_right(c, RIGHT_WRITE);

	(void)out;
	(void)ret_size;
	return r < 0 ? r : object_set_produced(c->mount->objects, reference_ino(c->reference), (enum produced)p->produced);
}

int ioctl_select(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_select *s = in;
	struct dios_ioctl_select *answer = out;

	(void)ret_size;
	lock_acquire(&c->handle->lock);
	if (s->set & DIOS_SELECT_VERSION)
		c->handle->entry->version = s->object_version;
	if (s->set & DIOS_SELECT_POSITION)
		c->handle->entry->position = s->position;
	lock_release(&c->handle->lock);
	answer->ready = poll_ready(c->handle);
	return 0;
}
