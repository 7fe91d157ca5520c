/* Tasks that wait for their inputs, and for the others of their gang. */
#include <string.h>

#include "base/log.h"
#include "tasks/task.h"

static void object_changed(void *arg)
{
	struct waiting *w = arg;

	atomic_store(&w->fired, true);
	tasks_wake(w->tasks);
}

/* A watch that has not fired. */
static int watch_place(struct task *task, struct task_place *p)
{
	struct tasks *t = task->tasks;

	if (p->waiting && !atomic_load(&p->waiting->fired))
		return 0;
	struct waiting *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->tasks = t;
	int r = object_watch(t->objects, p->ino, object_changed, w, &w->watch);
	if (r < 0) {
		free(w);
		return r;
	}
	if (p->waiting) {
		p->waiting->next = t->unwanted;
		t->unwanted = p->waiting;
	}
	p->waiting = w;
	return 0;
}

void task_wait_stop(struct task *task)
{
	struct tasks *t = task->tasks;

	for (size_t i = 0; i < task->inputs.count; i++) {
		struct waiting *w = task->inputs.place[i].waiting;
		if (!w)
			continue;
		w->next = t->unwanted;
		t->unwanted = w;
		task->inputs.place[i].waiting = NULL;
	}
	if (t->unwanted)
		tasks_wake(t);
}

void task_wait_collect(struct tasks *t)
{
	lock_acquire(&t->lock);
	struct waiting *w = t->unwanted;
	t->unwanted = NULL;
	lock_release(&t->lock);
	while (w) {
		struct waiting *next = w->next;
		object_unwatch(w->watch);
		free(w);
		w = next;
	}
}

/* Watches before it looks: a change in between is not missed. */
static int place_ready(struct task *task, struct task_place *p, bool *ret_ready)
{
	struct attributes a;
	int r = watch_place(task, p);

	if (r == 0)
		r = object_get(task->tasks->objects, p->ino, &a);
	if (r < 0)
		return r;
	if (a.record.produced == PRODUCED_FAILED)
		return -EIO;
	p->waits = a.record.produced == PRODUCED_NOT_YET;
	*ret_ready = !p->waits;
	return 0;
}

/* Failed when an input will never be there. */
static bool inputs_ready(struct task *task)
{
	bool all = true;

	for (size_t i = 0; i < task->inputs.count && !task->failed; i++) {
		struct task_place *p = &task->inputs.place[i];
		bool ready;

		if (!p->waits)
			continue;
		int r = place_ready(task, p, &ready);
		if (r < 0)
			task_fail(task, 1 << 8, r == -EIO ? "an input will not be produced: its producer failed" : "an input is lost: %s", strerror(-r));
		else
			all &= ready;
	}
	return all && !task->failed;
}

static bool gang_ready(struct tasks *t, const struct gang *g)
{
	uint32_t ready = 0;

	for (struct task *task = t->table; task; task = task->hh.next)
		ready += task->gang == g && task->phase == PHASE_WAITING && !task->paused && inputs_ready(task);
	return ready == g->size;
}

static void gang_start(struct tasks *t, struct gang *g)
{
	g->started = true;
	for (struct task *task = t->table; task; task = task->hh.next)
		if (task->gang == g && !g->failed)
			task_start(task);
}

/* Ending one may fail others, so each look begins anew. */
static bool end_one_failed(struct tasks *t)
{
	for (struct task *task = t->table; task; task = task->hh.next)
		if (task->failed && task->phase == PHASE_WAITING && !task->over) {
			task_end(task);
			return true;
		}
	return false;
}

void task_wait_advance(struct tasks *t)
{
	if (t->started && !t->stopping) {
		for (struct task *task = t->table; task; task = task->hh.next) {
			if (task->phase != PHASE_WAITING || task->paused || task->failed)
				continue;
			if (inputs_ready(task) && !task->gang)
				task_start(task);
		}
		for (struct gang *g = t->gangs; g; g = g->next)
			if (!g->started && !g->failed && g->count == g->size && gang_ready(t, g))
				gang_start(t, g);
	}
	while (end_one_failed(t))
		;
}
