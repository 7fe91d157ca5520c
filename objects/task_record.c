/* What becomes of a task, in its record: one command a change of state, heard by whoever watches the task. */
#include "objects/object.h"

int object_update_task(struct objects *os, uint64_t ino, const struct command_task_update *change)
{
	struct object *o;
	int r = object_acquire(os, ino, &o);

	if (r < 0)
		return r;
	if (o->record.kind != KIND_TASK) {
		object_release(o);
		return -EINVAL;
	}
	struct command c = { .kind = COMMAND_TASK_UPDATE, .task_update = *change };
	struct result result;
	c.task_update.ino = ino;
	r = object_propose(os, o, &c, false, &result);
	object_release(o);
	return r;
}
