/* TASK_UPDATE and PRODUCED. A task that has exited or failed stays so; a lost one may run again. */
#include "cluster/state_apply.h"

static bool is_over(enum task_state state)
{
	return state == TASK_EXITED || state == TASK_FAILED;
}

int apply_task_update(struct apply *a, const struct command *command)
{
	const struct command_task_update *c = &command->task_update;
	struct record *task;
	int r = apply_record(a, c->ino, &task);

	if (r < 0)
		return r;
	if (task->kind != KIND_TASK || (is_over(task->task.state) && c->state != task->task.state))
		return -EINVAL;
	task->task.state = c->state;
	task->task.exit_status = c->exit_status;
	if (c->start_ns)
		task->task.start_ns = c->start_ns;
	if (c->end_ns)
		task->task.end_ns = c->end_ns;
	task->ctime_ns = a->now_ns;
	apply_dirty(a, task);
	apply_report(a, task);
	if (c->stats.size == 0)
		return 0;
	struct state_key key = key_ino(KEY_TASK_STATS, c->ino);
	return apply_put(a, &key, c->stats);
}

/* What is produced stays so; what failed may be tried again. */
int apply_produced(struct apply *a, const struct command *command)
{
	const struct command_produced *c = &command->produced;
	struct record *object;
	int r = apply_record(a, c->ino, &object);

	if (r < 0)
		return r;
	if (object->produced == PRODUCED_YES && c->produced != PRODUCED_YES)
		return -EINVAL;
	object->produced = c->produced;
	object->ctime_ns = a->now_ns;
	apply_dirty(a, object);
	apply_report(a, object);
	return 0;
}
