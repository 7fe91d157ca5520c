/* Ioctls of tasks. What a task is, is known to tasks/ alone (struct ioctl_tasks); here are rights and references. */
#include <string.h>

#include "base/fault.h"
#include "fs/ioctl_calls.h"
#include "libdios/dios.h"

/* ---- run --------------------------------------------------------------------------------------------------------- */

/* Through a handle with this one of the rights. Counted. */
static int find_with_right(const struct ioctl_context *c, const struct run_id *id, uint32_t any_of, struct reference **ret_reference)
{
	struct reference *r;
	int e = ioctl_find(c, id->bytes, &r);

	if (e < 0)
		return e;
	if (!(reference_rights(r) & any_of)) {
		reference_close(r);
		return -EACCES;
	}
	*ret_reference = r;
	return 0;
}

static int find_references(const struct ioctl_context *c, struct run_spec *spec)
{
	static const uint32_t standard_rights[3] = { RIGHT_READ, RIGHT_WRITE | RIGHT_APPEND, RIGHT_WRITE | RIGHT_APPEND };
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->input_count; i++)
		r = find_with_right(c, &spec->input_ids[i], RIGHT_READ, &spec->inputs[i]);
	for (size_t i = 0; r == 0 && i < spec->output_count; i++)
		r = find_with_right(c, &spec->output_ids[i], RIGHT_WRITE | RIGHT_APPEND, &spec->outputs[i]);
	for (size_t i = 0; r == 0 && i < 3; i++)
		if (spec->has_standard[i])
			r = find_with_right(c, &spec->standard_ids[i], standard_rights[i], &spec->standard[i]);
	return r;
}

static void close_references(struct run_spec *spec)
{
	for (size_t i = 0; i < spec->input_count && spec->inputs; i++)
		reference_close(spec->inputs[i]);
	for (size_t i = 0; i < spec->output_count && spec->outputs; i++)
		reference_close(spec->outputs[i]);
	for (size_t i = 0; i < 3; i++)
		reference_close(spec->standard[i]);
}

/* The right to execute: the reference's, or what the mode gives the caller. */
static int may_execute(const struct ioctl_context *c)
{
	struct attributes a;

	if (reference_rights(c->reference) & RIGHT_EXECUTE)
		return 0;
	int r = ioctl_record(c, &a);
	if (r < 0)
		return r;
	const struct record *p = &a.record;
	uint32_t bits = c->caller.uid == 0 ? p->mode | p->mode >> 3 | p->mode >> 6 : c->caller.uid == p->uid ? p->mode >> 6 :
		c->caller.gid == p->gid || (c->in_group && c->in_group(c, p->gid)) ? p->mode >> 3 : p->mode;
	return (bits & 1) && !c->from_token ? 0 : -EACCES;
}

static int run_decoded(struct ioctl_context *c, const struct dios_ioctl_run *request, struct run_spec *spec, struct dios_ioctl_run *answer)
{
	const struct ioctl_tasks *tasks = c->mount->tasks;
	struct name name;
	uint64_t ino;
	int r = 0;

	if (spec->path.size > 0 ? c->reference != NULL : c->reference == NULL)
		return -EINVAL;   /* one program, not two, not none */
	if (c->reference) {
		r = ioctl_kind(c, KIND_BLOB);
		if (r == 0)
			r = may_execute(c);
	}
	if (r == 0)
		r = find_references(c, spec);
	if (r == 0)
		r = tasks && tasks->run ? tasks->run(tasks->arg, &c->caller, c->pid, request->flags, c->reference, spec, &name, &ino) : -EOPNOTSUPP;
	if (r < 0)
		return r;
	memcpy(answer, request, offsetof(struct dios_ioctl_run, spec));
	answer->ino = ino;
	memcpy(answer->name, name.bytes, sizeof(answer->name));
	return 0;
}

/* The bytes of the specification: in the request, or a copy of the private buffer, which the program could change while it is read. */
static int spec_bytes(const struct ioctl_context *c, const struct dios_ioctl_run *request, uint8_t **ret_copy, const uint8_t **ret_bytes)
{
	static const uint8_t none[DIOS_ID_SIZE];
	struct private_buffer *b;

	*ret_bytes = request->spec;
	if (memcmp(request->buffer, none, sizeof(none)) == 0)
		return 0;
	int r = ioctl_find_buffer(c, request->buffer, &b);
	if (r < 0)
		return r;
	uint8_t *copy = malloc(request->spec_size ? request->spec_size : 1);
	ssize_t n = copy ? private_buffer_read(b, 0, copy, request->spec_size) : -ENOMEM;
	private_buffer_put(b);
	if (n != (ssize_t)request->spec_size) {
		free(copy);
		return n < 0 ? (int)n : -EINVAL;
	}
	*ret_bytes = *ret_copy = copy;
	return 0;
}

int ioctl_run(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_run *request = in;
	_cleanup_free_ uint8_t *copy = NULL;
	const uint8_t *bytes;
	struct run_spec spec;
	int r = spec_bytes(c, request, &copy, &bytes);

	if (r < 0)
		return r;
	r = run_spec_decode(bytes, request->spec_size, &spec);
	if (r == 0)
		r = run_decoded(c, request, &spec, out);
	close_references(&spec);
	run_spec_done(&spec);
	*ret_size = offsetof(struct dios_ioctl_run, spec);
	return r;
}

/* ---- pause, signals, exit ---------------------------------------------------------------------------------------- */

/* The task that the descriptor is of, if the caller may steer it. */
static int steered(const struct ioctl_context *c, uint64_t *ret_ino)
{
	struct attributes a;

	if (!c->reference)
		return -ENOTTY;
	int r = ioctl_kind(c, KIND_TASK);
	if (r == 0)
		r = ioctl_record(c, &a);
	if (r == 0)
		r = ioctl_need_owner_or(c, RIGHT_WRITE, &a.record);
	if (r == 0)
		*ret_ino = a.record.ino;
	return r;
}

int ioctl_pause(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_plain *p = in;
	const struct ioctl_tasks *tasks = c->mount->tasks;
	uint64_t ino;

	fault_point("fs.pause");
	int r = steered(c, &ino);

	(void)out;
	(void)ret_size;
	if (r < 0)
		return r;
	return tasks && tasks->pause ? tasks->pause(tasks->arg, ino, p->flags & DIOS_RESUME) : -EOPNOTSUPP;
}

static int kill_task(struct ioctl_context *c, int signal, struct dios_ioctl_task *answer)
{
	const struct ioctl_tasks *tasks = c->mount->tasks;
	struct attributes a;
	uint64_t ino;
	int r = steered(c, &ino);

	if (r == 0)
		r = tasks && tasks->kill ? tasks->kill(tasks->arg, ino, signal) : -EOPNOTSUPP;
	if (r == 0)
		r = ioctl_record(c, &a);
	if (r < 0)
		return r;
	answer->task_state = a.record.task.state;
	answer->exit_status = a.record.task.exit_status;
	return 0;
}

int ioctl_task_control(struct ioctl_context *c, const void *in, void *out, size_t *ret_size)
{
	const struct dios_ioctl_task *t = in;
	const struct ioctl_tasks *tasks = c->mount->tasks;

	(void)ret_size;
	if (t->action == DIOS_TASK_KILL)
		return kill_task(c, t->argument, out);
	if (!c->caller.task)
		return -ESRCH;
	return tasks && tasks->exit ? tasks->exit(tasks->arg, c->caller.task, t->argument != 0) : -EOPNOTSUPP;
}
