/* Tasks of an earlier daemon: what those that go on were given, and those that do not: whoever waits for them or for what they were to make must
 * hear of it. */
#include <string.h>

#include "base/log.h"
#include "tasks/task.h"

#define RECORDED_MAX (1u << 20)

static int collect(void *arg, uint64_t ino)
{
	struct recorded *all = arg;

	if (all->count == all->capacity) {
		size_t capacity = all->capacity ? all->capacity * 2 : 64;
		uint64_t *inos = capacity <= RECORDED_MAX ? reallocarray(all->inos, capacity, sizeof(*inos)) : NULL;
		if (!inos)
			return -ENOMEM;
		all->inos = inos;
		all->capacity = capacity;
	}
	all->inos[all->count++] = ino;
	return 0;
}

/* What it was given, as far as it is still there. The streams that it wrote are opened as by a writer: closing that ends one that was to end
 * with its last writer. */
static int open_places(struct tasks *t, const struct spec_reference *list, size_t count, const struct task_spec *spec, bool outputs,
	struct task_places *p)
{
	for (size_t i = 0; i < count; i++) {
		struct task_place place = { .ino = list[i].ino, .own = list == spec->standard && spec->own[i] };
		struct reference_options options = { .rights = RIGHT_WRITE | RIGHT_APPEND };
		struct attributes a;

		if (place.ino == 0 || object_get(t->objects, place.ino, &a) < 0)
			continue;
		place.kind = a.record.kind;
		place.direct = a.record.flags & CREATE_STREAM_DIRECT;
		if (outputs && place.kind == KIND_STREAM && !place.own && reference_open(t->objects, place.ino, &options, &place.held) < 0)
			place.held = NULL;
		struct task_place *grown = reallocarray(p->place, p->count + 1, sizeof(*grown));
		if (!grown) {
			reference_close(place.held);
			return -ENOMEM;
		}
		p->place = grown;
		p->place[p->count++] = place;
	}
	return 0;
}

static int read_spec(struct tasks *t, uint64_t ino, struct buffer *bytes, struct task_spec *ret_spec)
{
	int r = state_get_task_spec(cluster_state(objects_cluster(t->objects), ino), ino, bytes);
	return r < 0 ? r : task_spec_decode((struct slice){ .data = bytes->data, .size = bytes->size }, ret_spec);
}

static int open_all(struct tasks *t, struct task_spec *spec, struct task_places *inputs, struct task_places *outputs)
{
	int r = spec->program.ino ? open_places(t, &spec->program, 1, spec, false, inputs) : 0;
	if (r == 0)
		r = open_places(t, spec->inputs, spec->input_count, spec, false, inputs);
	if (r == 0)
		r = open_places(t, spec->standard, 1, spec, false, inputs);
	if (r == 0)
		r = open_places(t, spec->outputs, spec->output_count, spec, true, outputs);
	/* Not standard input, which is the first of them: a stream's reader is no writer. */
	spec->standard[0].ino = 0;
	return r < 0 ? r : open_places(t, spec->standard, 3, spec, true, outputs);
}

/* As nobody in particular: see task.h. */
static int hold_places(struct tasks *t, struct task_places *p)
{
	static const struct reference_options options = { .rights = RIGHT_DELEGATE };
	uint8_t id[REFERENCE_ID_SIZE];
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->count; i++) {
		struct attributes a;
		random_fill(cluster_random(objects_cluster(t->objects)), id, sizeof(id));
		if (!p->place[i].held && !p->place[i].own)
			r = reference_restore(t->objects, p->place[i].ino, &options, id, 0, &p->place[i].held);
		if (r == 0)
			r = object_get(t->objects, p->place[i].ino, &a);
		p->place[i].waits = r == 0 && a.record.produced == PRODUCED_NOT_YET;
	}
	return r;
}

int task_adopt_places(struct task *task)
{
	struct tasks *t = task->tasks;
	_cleanup_buffer_ struct buffer bytes;
	struct task_spec spec;

	buffer_init(&bytes, TASK_SPEC_MAX);
	int r = read_spec(t, task->ino, &bytes, &spec);
	if (r < 0)
		return r;
	r = open_all(t, &spec, &task->inputs, &task->outputs);
	if (r == 0)
		r = hold_places(t, &task->inputs);
	if (r == 0)
		r = hold_places(t, &task->outputs);
	task_spec_done(&spec);
	return r;
}

static void settle(struct tasks *t, uint64_t ino)
{
	_cleanup_buffer_ struct buffer bytes;
	struct task_places inputs = { 0 }, outputs = { 0 };
	struct task_spec spec;

	buffer_init(&bytes, TASK_SPEC_MAX);
	int r = read_spec(t, ino, &bytes, &spec);
	if (r < 0) {
		log_error("tasks", "a lost task's outputs are not known ino=%llu errno=%d", (unsigned long long)ino, -r);
		return;
	}
	r = open_all(t, &spec, &inputs, &outputs);
	if (r < 0)
		log_error("tasks", "no memory for a lost task's outputs ino=%llu", (unsigned long long)ino);
	places_settle(t->objects, &inputs, &outputs, false);
	free(inputs.place);
	free(outputs.place);
	task_spec_done(&spec);
}

static void lose(struct tasks *t, const struct record *record)
{
	struct task_stats stats = { .ended = true, .error = "the daemon ended under it", .page_cache_bytes = LAUNCH_UNKNOWN, .runtime_ns = -1 };

	task_usage_unknown(&stats.usage);
	settle(t, record->ino);
	int r = task_record_end(t, record->ino, TASK_LOST, 0, 0, &stats);
	if (r < 0)
		log_error("tasks", "a lost task is not recorded ino=%llu errno=%d", (unsigned long long)record->ino, -r);
}

int tasks_list_recorded(struct tasks *t)
{
	int r = state_each_task(cluster_state(objects_cluster(t->objects), ROOT_INO), collect, &t->recorded);
	return r < 0 ? r : 0;
}

void tasks_recover(struct tasks *t)
{
	size_t lost = 0;

	LOCK_GUARD(&t->lock);
	for (size_t i = 0; i < t->recorded.count; i++) {
		uint64_t ino = t->recorded.inos[i];
		struct attributes a;

		if (task_find(t, ino))
			continue;       /* it goes on */
		if (object_get(t->objects, ino, &a) < 0)
			continue;
		if (a.record.task.state < TASK_EXITED) {
			lose(t, &a.record);
			lost++;
		}
		task_remember_ended(t, ino);
	}
	free(t->recorded.inos);
	t->recorded = (struct recorded){ 0 };
	if (lost > 0)
		log_notice("tasks", "tasks of an earlier daemon are lost count=%zu", lost);
}
