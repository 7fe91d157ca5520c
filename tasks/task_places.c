/* The references of a new task: each is checked for the right that its place needs, its object is held, and a token is minted by which dios-task
 * opens it. */
#include <string.h>
#include <sys/stat.h>

#include "tasks/task_request.h"

static bool in_group(const struct launch *l, uint32_t gid)
{
	if (l->gid == gid)
		return true;
	for (size_t i = 0; i < l->group_count; i++)
		if (l->groups[i] == gid)
			return true;
	return false;
}

/* The reference has the right, or the mode gives it to the caller; root: to anybody. */
static bool may_execute(const struct run *run, const struct reference *r, const struct record *record)
{
	const struct launch *l = &run->launch;
	uint32_t mode = record->mode;

	if (reference_rights(r) & RIGHT_EXECUTE)
		return true;
	if (l->uid == 0)
		return mode & 0111;
	if (l->uid == record->uid)
		return mode & 0100;
	return mode & (in_group(l, record->gid) ? 0010 : 0001);
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

/* The daemon mints: what the caller may do with its own reference has been checked, and the token is for the caller's own task. */
static int mint(struct run *run, struct reference *r, uint32_t rights, const char **ret_text)
{
	const struct caller daemon = { .uid = 0 };
	const struct caveat only_this_task = { .kind = CAVEAT_TASK, .task = run->task->name };

	for (size_t i = 0; i < run->minted_count; i++)
		if (run->minted[i].reference == r && run->minted[i].rights == rights) {
			*ret_text = run->minted[i].text;
			return 0;
		}
	struct minted *m = &run->minted[run->minted_count];
	int e = capability_mint(r, &daemon, rights, &only_this_task, 1, m->text);
	if (e < 0)
		return e;
	if (strlen(m->text) > NAME_MAX_BYTES)
		return -ENAMETOOLONG;      /* dios-task opens it as a file name */
	m->reference = r;
	m->rights = rights;
	run->minted_count++;
	*ret_text = m->text;
	return 0;
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

/* Holds a stream as a writer, or as nobody in particular: see task.h. */
static int hold(struct run *run, struct reference *r, enum object_kind kind, bool output, struct reference **ret_held)
{
	struct reference_options options = { .rights = output ? RIGHT_WRITE | RIGHT_APPEND : RIGHT_DELEGATE };

	if (kind == KIND_STREAM)
		return reference_open(run->tasks->objects, reference_ino(r), &options, ret_held);
	*ret_held = reference_ref(r);
	return 0;
}

static int take_place(struct run *run, struct reference *r, bool output, struct task_places *places, struct record *ret_record)
{
	struct task_place *p = &places->place[places->count];
	struct attributes a;
	int e = object_get(run->tasks->objects, reference_ino(r), &a);

	if (e == 0 && a.record.kind != KIND_BLOB && a.record.kind != KIND_STREAM)
		e = -EINVAL;
	if (e < 0)
		return e;
	*p = (struct task_place){ .ino = a.record.ino, .kind = a.record.kind, .direct = a.record.flags & CREATE_STREAM_DIRECT,
		.waits = !output && a.record.produced == PRODUCED_NOT_YET };
	e = hold(run, r, p->kind, output, &p->held);
	if (e < 0)
		return e;
	places->count++;
	*ret_record = a.record;
	return 0;
}

static int take_input(struct run *run, struct reference *r, struct launch_reference *l, struct spec_reference *s)
{
	struct record record = { 0 };

	if (!(reference_rights(r) & RIGHT_READ))
		return -EACCES;
	int e = take_place(run, r, false, &run->task->inputs, &record);
	if (e == 0)
		e = mint(run, r, RIGHT_READ, &l->token);
	l->read = true;
	l->consume = record.kind == KIND_STREAM && reference_get_options(r)->stream_mode == STREAM_CONSUME;
	*s = (struct spec_reference){ .ino = record.ino, .name = record.name };
	return e;
}

/* A stream is opened for writing only: as a reader the task would have to read. */
static int take_output(struct run *run, struct reference *r, struct launch_reference *l, struct spec_reference *s)
{
	uint32_t rights = reference_rights(r) & (RIGHT_READ | RIGHT_WRITE | RIGHT_APPEND);
	struct record record = { 0 };

	if (!(rights & (RIGHT_WRITE | RIGHT_APPEND)))
		return -EACCES;
	int e = take_place(run, r, true, &run->task->outputs, &record);
	if (e == 0 && record.kind == KIND_STREAM)
		rights &= ~(uint32_t)RIGHT_READ;
	if (e == 0)
		e = mint(run, r, rights, &l->token);
	l->read = rights & RIGHT_READ;
	l->write = true;
	l->append = reference_get_options(r)->append || !(rights & RIGHT_WRITE);
	*s = (struct spec_reference){ .ino = record.ino, .name = record.name };
	return e;
}

static int check_executable(struct reference *r)
{
	char begin[4];
	ssize_t n = reference_read(r, 0, begin, sizeof(begin));

	if (n < 0)
		return (int)n;
	return (n == 4 && memcmp(begin, "\177ELF", 4) == 0) || (n >= 2 && memcmp(begin, "#!", 2) == 0) ? 0 : -ENOEXEC;
}

/* One that is still to be produced is waited for like an input, and looked at by the kernel when it is executed. */
static int take_program(struct run *run, struct reference *r)
{
	struct task_places *inputs = &run->task->inputs;
	struct record record;
	int e = take_place(run, r, false, inputs, &record);

	if (e == 0 && (record.kind != KIND_BLOB || !(reference_rights(r) & RIGHT_READ) || !may_execute(run, r, &record)))
		e = -EACCES;
	if (e == 0 && !inputs->place[inputs->count - 1].waits)
		e = check_executable(r);
	if (e == 0)
		e = mint(run, r, RIGHT_READ | RIGHT_EXECUTE, &run->launch.program.token);
	if (e < 0)
		return e;
	run->launch.program.read = true;
	run->spec.program = (struct spec_reference){ .ino = record.ino, .name = record.name };
	return 0;
}

static int allocate(struct run *run)
{
	const struct task_request *q = run->request;

	run->task->inputs.place = calloc(q->input_count + 2, sizeof(struct task_place));
	run->task->outputs.place = calloc(q->output_count + 2, sizeof(struct task_place));
	run->spec.inputs = calloc(q->input_count + 1, sizeof(struct spec_reference));
	run->spec.outputs = calloc(q->output_count + 1, sizeof(struct spec_reference));
	run->launch.inputs = calloc(q->input_count + 1, sizeof(struct launch_reference));
	run->launch.outputs = calloc(q->output_count + 1, sizeof(struct launch_reference));
	run->minted = calloc(q->input_count + q->output_count + 4, sizeof(*run->minted));
	return run->task->inputs.place && run->task->outputs.place && run->spec.inputs && run->spec.outputs && run->launch.inputs &&
		run->launch.outputs && run->minted ? 0 : -ENOMEM;
}

int run_take_places(struct run *run)
{
	const struct task_request *q = run->request;
	struct reference *const standard[] = { q->standard_input, q->standard_output, q->standard_error };
	int r = allocate(run);

	if (r == 0 && q->program)
		r = take_program(run, q->program);
	for (size_t i = 0; r == 0 && i < q->input_count; i++)
		r = take_input(run, q->inputs[i], &run->launch.inputs[run->launch.input_count++], &run->spec.inputs[run->spec.input_count++]);
	for (size_t i = 0; r == 0 && i < q->output_count; i++)
		r = take_output(run, q->outputs[i], &run->launch.outputs[run->launch.output_count++], &run->spec.outputs[run->spec.output_count++]);
	for (size_t i = 0; r == 0 && i < 3; i++)
		if (standard[i])
			r = (i == 0 ? take_input : take_output)(run, standard[i], &run->launch.standard[i], &run->spec.standard[i]);
	return r;
}

/* ---- streams of its own ------------------------------------------------------------------------------------------ */

static int make_stream(struct run *run, int which)
{
	struct task_places *outputs = &run->task->outputs;
	struct command_create create = { .kind = KIND_STREAM, .mode = S_IFREG | 0600, .uid = run->launch.uid, .gid = run->launch.gid,
		.lifecycle = LIFECYCLE_SINGLE_DELETE, .creator = run->task->name, .trim_bytes = TASK_OUTPUT_KEPT };
	struct launch_reference *l = &run->launch.standard[which];
	struct reference *writer;
	struct attributes a;
	int r = object_create(run->tasks->objects, &create, RIGHT_WRITE | RIGHT_APPEND, &writer, &a);

	if (r < 0)
		return r;
	run->spec.standard[which] = (struct spec_reference){ .ino = a.record.ino, .name = a.record.name };
	run->spec.own[which] = true;
	outputs->place[outputs->count++] = (struct task_place){ .ino = a.record.ino, .kind = KIND_STREAM, .own = true };
	l->write = l->append = true;
	r = mint(run, writer, RIGHT_WRITE | RIGHT_APPEND, &l->token);
	/* Another reference may get the same address: what is found by it must not be this one's token. */
	if (r == 0)
		run->minted[run->minted_count - 1].reference = NULL;
	reference_close(writer);
	return r;
}

int run_make_streams(struct run *run)
{
	int r = 0;

	for (int which = 1; r == 0 && which < 3; which++)
		if (run->spec.standard[which].ino == 0)
			r = make_stream(run, which);
	return r;
}

void run_delete_streams(struct run *run)
{
	for (int which = 1; which < 3; which++)
		if (run->spec.own[which])
			object_delete(run->tasks->objects, run->spec.standard[which].ino);
}
