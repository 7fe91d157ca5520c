/* The table of tasks that have not ended, their gangs, and who belongs to which task. */
#include <string.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "tasks/process.h"
#include "tasks/task.h"

#define ANCESTORS_MAX 128     /* processes between a task's first and one that asks; name spaces nest 32 deep */

struct task *task_find(struct tasks *t, uint64_t ino)
{
	struct task *task;

	HASH_FIND(hh, t->table, &ino, sizeof(ino), task);
	return task;
}

struct task *task_find_name(struct tasks *t, const struct name *name)
{
	for (struct task *task = t->table; task; task = task->hh.next)
		if (name_equal(&task->name, name))
			return task;
	return NULL;
}

void tasks_wake(struct tasks *t)
{
	/* Full only if it was woken 2^64 times and has not looked. */
	if (eventfd_write(t->wake_fd, 1) < 0)
		log_error("tasks", "cannot wake the thread errno=%d", errno);
}

/* ---- gangs ------------------------------------------------------------------------------------------------------- */

/* A gang of this name that has neither started nor failed, or a new one. */
static int gang_join(struct tasks *t, const struct name *name, uint32_t uid, uint32_t size, struct gang **ret_gang)
{
	struct gang *g;

	for (g = t->gangs; g; g = g->next)
		if (name_equal(&g->name, name) && g->uid == uid && !g->started && !g->failed)
			break;
	if (g && (g->size != size || g->count == size))
		return -EINVAL;
	if (!g) {
		g = calloc(1, sizeof(*g));
		if (!g)
			return -ENOMEM;
		*g = (struct gang){ .name = *name, .id = random_u64(cluster_random(objects_cluster(t->objects))) | 1, .uid = uid, .size = size,
			.next = t->gangs };
		t->gangs = g;
	}
	g->count++;
	*ret_gang = g;
	return 0;
}

static void gang_leave(struct tasks *t, struct gang *g)
{
	if (!g || --g->count > 0)
		return;
	struct gang **at = &t->gangs;
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	free(g);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

int task_insert(struct tasks *t, struct task *task, const struct name *gang, uint32_t gang_size)
{
	int r = 0;

	if (t->stopping)
		return -ESHUTDOWN;
	if (HASH_COUNT(t->table) >= TASKS_MAX)
		return -EAGAIN;
	if (gang_size > 0)
		r = gang_join(t, gang, task->uid, gang_size, &task->gang);
	if (r < 0)
		return r;
	HASH_ADD(hh, t->table, ino, sizeof(task->ino), task);
	if (hash_added(hh, task))
		return 0;
	gang_leave(t, task->gang);
	task->gang = NULL;
	return -ENOMEM;
}

int task_adopt(struct tasks *t, struct task *task, uint64_t gang_id, const struct name *gang, uint32_t gang_size)
{
	struct gang *g = t->gangs;

	while (g && g->id != gang_id)
		g = g->next;
	if (!g && gang_id != 0) {
		g = calloc(1, sizeof(*g));
		if (!g)
			return -ENOMEM;
		*g = (struct gang){ .name = *gang, .id = gang_id, .uid = task->uid, .size = gang_size, .next = t->gangs };
		t->gangs = g;
	}
	if (g) {
		g->count++;
		g->started |= task->phase != PHASE_WAITING;
		task->gang = g;
	}
	HASH_ADD(hh, t->table, ino, sizeof(task->ino), task);
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void places_done(struct task_places *p)
{
	for (size_t i = 0; i < p->count; i++)
		reference_close(p->place[i].held);
	free(p->place);
	*p = (struct task_places){ 0 };
}

void task_free(struct task *task)
{
	if (!task)
		return;
	places_done(&task->inputs);
	places_done(&task->outputs);
	close_fd(&task->helper_fd);
	close_fd(&task->program_fd);
	close_fd(&task->socket);
	task_page_done(task);
	buffer_done(&task->launch);
	free(task);
}

void task_remove(struct tasks *t, struct task *task)
{
	task_wait_stop(task);
	task_unkeep(task);
	if (task->helper)
		member_remove(t, task->helper);
	gang_leave(t, task->gang);
	HASH_DEL(t->table, task);
	task_free(task);
}

/* ---- members ----------------------------------------------------------------------------------------------------- */

int member_add(struct tasks *t, pid_t helper, const struct name *name)
{
	LOCK_GUARD(&t->member_lock);
	if (t->member_count == t->member_capacity) {
		size_t capacity = t->member_capacity ? t->member_capacity * 2 : 16;
		struct member *members = reallocarray(t->members, capacity, sizeof(*members));
		if (!members)
			return -ENOMEM;
		t->members = members;
		t->member_capacity = capacity;
	}
	t->members[t->member_count++] = (struct member){ .helper = helper, .name = *name };
	atomic_store(&t->member_hint, t->member_count);
	return 0;
}

void member_remove(struct tasks *t, pid_t helper)
{
	LOCK_GUARD(&t->member_lock);
	for (size_t i = 0; i < t->member_count; i++)
		if (t->members[i].helper == helper) {
			t->members[i] = t->members[--t->member_count];
			break;
		}
	atomic_store(&t->member_hint, t->member_count);
}

/* By the name space of a process, or by its being the child of a helper, which is the first process of one: remembered then. */
static bool member_of(struct tasks *t, uint64_t pid_namespace, pid_t parent, struct name *ret_name)
{
	LOCK_GUARD(&t->member_lock);
	for (size_t i = 0; i < t->member_count; i++) {
		struct member *m = &t->members[i];
		if (m->pid_namespace != pid_namespace && m->helper != parent)
			continue;
		if (m->helper == parent)
			m->pid_namespace = pid_namespace;
		*ret_name = m->name;
		return true;
	}
	return false;
}

int tasks_find_process(struct tasks *t, pid_t pid, struct name *ret_task)
{
	if (atomic_load(&t->member_hint) == 0)
		return -ESRCH;
	for (int depth = 0; depth < ANCESTORS_MAX; depth++) {
		struct process_status status;
		uint64_t pid_namespace;

		/* A process of this daemon's own name space is in no task; most are. */
		if (process_namespace(pid, &pid_namespace) < 0 || pid_namespace == t->own_namespace)
			return -ESRCH;
		if (member_of(t, pid_namespace, -1, ret_task))
			return 0;
		if (process_get_status(pid, &status) < 0 || status.parent <= 1)
			return -ESRCH;
		if (member_of(t, pid_namespace, status.parent, ret_task))
			return 0;
		pid = status.parent;
	}
	return -ESRCH;
}
