/* Starting, watching and joining a MapReduce; see mapreduce.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "mount-tools/mapreduce.h"
#include "mount-tools/progress.h"
#include "mount-tools/transfer.h"

#define LOOK_NS (200 * NS_PER_MS)   /* how often the progress is asked for */
#define KILL_WAIT_NS (10 * NS_PER_SECOND)   /* until tasks that were killed have ended, so that nothing runs when we return */

/* Each input goes to the mapper with the fewest bytes so far: with the largest first, a good balance. */
static int share_inputs(struct mapreduce *m)
{
	_cleanup_free_ size_t *counts = calloc(m->mappers, sizeof(*counts));

	m->assigned = calloc(m->input_count, sizeof(*m->assigned));
	m->mapper_bytes = calloc(m->mappers, sizeof(*m->mapper_bytes));
	if (!counts || !m->assigned || !m->mapper_bytes)
		return cli_fail(m->cli, -ENOMEM, "no memory for %zu inputs", m->input_count);
	for (size_t i = 0; i < m->input_count; i++) {
		size_t best = m->mappers;

		for (size_t k = 0; k < m->mappers; k++) {
			if (counts[k] == RUN_REFS_MAX)
				continue;
			if (best == m->mappers || m->mapper_bytes[k] < m->mapper_bytes[best] ||
			    (m->mapper_bytes[k] == m->mapper_bytes[best] && counts[k] < counts[best]))
				best = k;
		}
		if (best == m->mappers)
			return cli_fail_advised(m->cli, -E2BIG, "give more mappers with -m", "%zu inputs are too many for %zu mappers, which take %u each",
				m->input_count, m->mappers, RUN_REFS_MAX);
		m->assigned[i] = best;
		m->mapper_bytes[best] += m->inputs[i].size;
		counts[best]++;
		m->input_bytes += m->inputs[i].size;
	}
	return 0;
}

static int make_streams_and_parts(struct mapreduce *m)
{
	const struct dios_create_options stream = { .kind = DIOS_STREAM, .rights = DIOS_READ | DIOS_WRITE };
	const struct dios_create_options part = { .kind = DIOS_BLOB, .rights = DIOS_READ | DIOS_WRITE };

	for (size_t i = 0; i < m->reducers; i++) {
		dios_ref ref;
		int r = dios_create(DIOS_DIRECT | DIOS_END_ON_CLOSE, &stream, NULL, &ref);

		if (r < 0)
			return cli_fail(m->cli, r, "cannot make a stream in %s", m->mount);
		refs_add(m->cli, &m->streams, ref, "a reducer");
		r = dios_create(0, &part, NULL, &ref);
		if (r < 0)
			return cli_fail(m->cli, r, "cannot make a part of the result in %s", m->mount);
		refs_add(m->cli, &m->parts, ref, "a reducer");
	}
	return 0;
}

static int start_task(struct mapreduce *m, const struct program *program, const char *name, const struct refs *inputs, const dios_ref *outputs,
	size_t output_count)
{
	const char *arguments[] = { name, NULL };
	struct dios_run_options options = {
		.path = program->path, .arguments = arguments, .environment = (const char *const *)m->environment,
		.inputs = inputs->ref, .input_count = inputs->count, .outputs = outputs, .output_count = output_count,
		.job = &m->job, .gang = &m->gang, .gang_size = (uint32_t)(m->mappers + m->reducers),
	};
	struct task *t = &m->tasks[m->started];
	struct dios_name object;
	int r = dios_run(0, program->ref, &options, &t->ref);

	if (r < 0)
		return cli_object_failed(m->cli, r, "run", name);
	m->started++;
	r = task_refresh(t);
	if (r < 0)
		return cli_fail(m->cli, r, "cannot ask a task that was started");
	memcpy(object.bytes, t->info.name, sizeof(object.bytes));
	dios_name_to_text(&object, t->name);
	return 0;
}

static int start_mapper(struct mapreduce *m, size_t mapper)
{
	struct refs inputs = { .count = 0 };
	int status = 0;

	for (size_t i = 0; status == 0 && i < m->input_count; i++) {
		dios_ref ref;

		if (m->assigned[i] != mapper)
			continue;
		status = input_open(m->cli, m->inputs[i].path, &ref);
		if (status == 0)
			status = refs_add(m->cli, &inputs, ref, m->inputs[i].path);
	}
	if (status == 0)
		status = start_task(m, &m->map, m->map_name, &inputs, m->streams.ref, m->reducers);
	refs_close(&inputs);
	return status;
}

static int start_reducer(struct mapreduce *m, size_t reducer)
{
	struct refs inputs = { .count = 1, .ref[0] = m->streams.ref[reducer] };   /* borrowed: not closed here */

	return start_task(m, &m->reduce, m->reduce_name, &inputs, &m->parts.ref[reducer], 1);
}

int mapreduce_start(struct mapreduce *m)
{
	int status;

	m->tasks = calloc(m->mappers + m->reducers, sizeof(*m->tasks));
	if (!m->tasks)
		return cli_fail(m->cli, -ENOMEM, "no memory for %zu tasks", m->mappers + m->reducers);
	status = share_inputs(m);
	if (status == 0)
		status = make_streams_and_parts(m);
	for (size_t i = 0; status == 0 && i < m->mappers; i++)
		status = start_mapper(m, i);
	for (size_t i = 0; status == 0 && i < m->reducers; i++)
		status = start_reducer(m, i);
	if (status != 0)
		mapreduce_kill(m);
	return status;
}

/* The tasks that have not ended, for dios_select. */
static void fill_waits(const struct mapreduce *m, struct dios_wait *waits)
{
	for (size_t i = 0; i < m->started; i++)
		waits[i] = (struct dios_wait){ .ref = task_ended(&m->tasks[i]) ? -1 : m->tasks[i].ref, .wanted = DIOS_ENDED };
}

/* Among the first `count` tasks. */
static size_t count_running(const struct mapreduce *m, size_t count)
{
	size_t running = 0;

	for (size_t i = 0; i < count; i++)
		running += !task_ended(&m->tasks[i]);
	return running;
}

void mapreduce_kill(struct mapreduce *m)
{
	_cleanup_free_ struct dios_wait *waits = calloc(m->started ? m->started : 1, sizeof(*waits));
	int64_t deadline = clock_boot_ns(&clock_system) + KILL_WAIT_NS, left;

	for (size_t i = 0; i < m->started; i++)
		dios_task_kill(m->tasks[i].ref, SIGKILL);   /* -ESRCH: it has ended, as wanted */
	for (size_t i = 0; i < m->started; i++)
		task_refresh(&m->tasks[i]);
	while (waits && count_running(m, m->started) > 0 && (left = deadline - clock_boot_ns(&clock_system)) > 0) {
		fill_waits(m, waits);
		int r = dios_select(0, waits, m->started, left);

		if (r < 0 && r != -EINTR)
			return;   /* they end all the same */
		for (size_t i = 0; i < m->started; i++)
			if (waits[i].ready)
				task_refresh(&m->tasks[i]);
	}
}

/* ---- watching ------------------------------------------------------------------------------------------------------ */

/* Bytes that the task has read so far; 0: not known. */
static uint64_t task_read(struct mapreduce *m, const struct task *t)
{
	_cleanup_free_ char *text = task_stat(m->cli, m->mount, t, "bytes_read");

	return text ? strtoull(text, NULL, 10) : 0;
}

/* Bytes of the inputs that the mappers have behind them, and how many tasks have ended. */
static uint64_t mapreduce_look(struct mapreduce *m, char *detail, size_t size)
{
	size_t ended[2] = { 0, 0 };
	uint64_t bytes = 0;

	for (size_t i = 0; i < m->started; i++) {
		const struct task *t = &m->tasks[i];

		ended[i >= m->mappers] += task_ended(t);
		if (i >= m->mappers)
			continue;
		uint64_t n = task_ended(t) ? m->mapper_bytes[i] : task_read(m, t);
		bytes += n < m->mapper_bytes[i] ? n : m->mapper_bytes[i];
	}
	snprintf(detail, size, "%zu of %zu mappers and %zu of %zu reducers done", ended[0], m->mappers, ended[1], m->reducers);
	return bytes;
}

/* The first task that failed; NULL: none. */
static const struct task *find_failed(const struct mapreduce *m)
{
	for (size_t i = 0; i < m->started; i++)
		if (task_ended(&m->tasks[i]) && task_status(&m->tasks[i]) != 0)
			return &m->tasks[i];
	return NULL;
}

static int fail_task(struct mapreduce *m, const struct task *t)
{
	_cleanup_free_ char *outcome = task_explain(m->cli, m->mount, t);

	return cli_fail_advised(m->cli, 0, "'dios logs' with that name prints what it said", "%s %s %s",
		t - m->tasks < (ptrdiff_t)m->mappers ? "the mapper" : "the reducer", t->name, outcome ? outcome : "failed");
}

/* One wait, and what has changed. */
static int wait_some(struct mapreduce *m, struct dios_wait *waits)
{
	fill_waits(m, waits);
	int r = dios_select(0, waits, m->started, LOOK_NS);
	if (r < 0 && r != -ETIMEDOUT && r != -EINTR)
		return cli_fail(m->cli, r, "cannot wait for the tasks");
	for (size_t i = 0; r == 0 && i < m->started; i++)
		if (waits[i].ref >= 0 && waits[i].ready)
			r = task_refresh(&m->tasks[i]);
	return r < 0 && r != -ETIMEDOUT && r != -EINTR ? cli_fail(m->cli, r, "cannot ask a task") : 0;
}

int mapreduce_wait(struct mapreduce *m, const volatile sig_atomic_t *stop)
{
	_cleanup_free_ struct dios_wait *waits = calloc(m->started, sizeof(*waits));
	struct progress progress;
	char detail[96];
	uint64_t bytes = 0;
	int status = waits ? 0 : cli_fail(m->cli, -ENOMEM, "no memory to wait");

	progress_init(&progress, "mapreduce", PROGRESS_BYTES, m->input_bytes, m->cli->json || m->cli->quiet);
	while (status == 0 && count_running(m, m->started) > 0 && !*stop && !find_failed(m)) {
		status = wait_some(m, waits);
		if (status == 0) {
			bytes = mapreduce_look(m, detail, sizeof(detail));
			progress_update(&progress, bytes, detail);
			/* A stream ends when its last writer closes. Ours stays open until the mappers have ended, so that none ends before a
			 * mapper has opened it; if this command dies, that closes them too. */
			if (count_running(m, m->mappers) == 0)
				refs_close(&m->streams);
		}
	}
	const struct task *failed = find_failed(m);
	if (status == 0 && !failed && !*stop) {
		bytes = mapreduce_look(m, detail, sizeof(detail));
		progress_finish(&progress, bytes, detail);
		return 0;
	}
	progress_clear(&progress);
	mapreduce_kill(m);
	if (status == 0)
		status = failed ? fail_task(m, failed) : cli_fail(m->cli, -EINTR, "stopped: the tasks were killed, and there is no result");
	return status;
}

/* ---- the result ---------------------------------------------------------------------------------------------------- */

static int join_parts(struct mapreduce *m, struct transfer *t, int to, uint64_t *ret_size)
{
	uint64_t size = 0, part;
	bool written;

	for (size_t i = 0; i < m->parts.count; i++) {
		if (lseek(m->parts.ref[i], 0, SEEK_SET) < 0)
			return -errno;
		int r = transfer_descriptor(t, m->parts.ref[i], to, &written, &part);

		if (r < 0)
			return r;
		size += part;
	}
	*ret_size = size;
	return fsync(to) < 0 ? -errno : 0;
}

int mapreduce_join(struct mapreduce *m, bool overwrite, uint64_t *ret_size)
{
	_cleanup_free_ char *temporary = temporary_path(m->out);
	_cleanup_close_ int to = -1;
	struct transfer t;
	int r;

	if (!temporary)
		return cli_fail(m->cli, -ENOMEM, "%s", m->out);
	to = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (to < 0)
		return cli_object_failed(m->cli, -errno, "make the result", m->out);
	if (transfer_init(&t, m->cli, "joining", 0) != 0) {
		unlink(temporary);
		return EXIT_FAILED;
	}
	t.progress.quiet = true;
	r = join_parts(m, &t, to, ret_size);
	transfer_done(&t);
	if (r == 0 && renameat2(AT_FDCWD, temporary, AT_FDCWD, m->out, overwrite ? 0 : RENAME_NOREPLACE) < 0)
		r = -errno;
	if (r < 0) {
		unlink(temporary);
		return cli_fail_advised(m->cli, r, r == -EEXIST ? "somebody made it meanwhile" : NULL, "cannot make the result %s", m->out);
	}
	return 0;
}

void mapreduce_done(struct mapreduce *m)
{
	for (size_t i = 0; i < m->started; i++)
		task_close(&m->tasks[i]);
	refs_close(&m->streams);
	refs_close(&m->parts);
	program_close(&m->map);
	program_close(&m->reduce);
	environment_free(m->environment);
	for (size_t i = 0; i < m->input_count; i++)
		free(m->inputs[i].path);
	free(m->inputs);
	free(m->tasks);
	free(m->assigned);
	free(m->mapper_bytes);
}
