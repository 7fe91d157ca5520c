/* Tasks on a mount: run, wait, pause, end; references and long specifications; what is refused. */
#include "tests/libdios/live.h"

#define LONG_NS 30000000000LL

static const char *self;   /* this program, which some of the tasks are */

static int run_sh(const char *script, struct dios_run_options o, dios_ref *ret_task)
{
	const char *const arguments[] = { "sh", "-c", script, NULL };
	const char *const environment[] = { "PATH=/bin:/usr/bin", NULL };

	o.path = "/bin/sh";
	o.arguments = arguments;
	if (!o.environment)
		o.environment = environment;
	return dios_run(0, -1, &o, ret_task);
}

static dios_ref sh(const char *script, struct dios_run_options o, const char *what)
{
	dios_ref task = -1;
	is_int(run_sh(script, o, &task), 0, "%s", what);
	return task;
}

/* Waits for the end; what waitpid(2) would say, or a negative errno. */
static int end_of(dios_ref task, uint32_t *ret_state)
{
	struct dios_wait wait = { .ref = task };
	struct dios_ioctl_info info;
	int r = dios_select(0, &wait, 1, LONG_NS);
	if (r == 0)
		r = dios_info(task, &info);
	if (r < 0)
		return r;
	*ret_state = info.task_state;
	return info.exit_status;
}

static void ends(dios_ref task, int status, uint32_t state, const char *why)
{
	uint32_t s = 99;
	is_int(end_of(task, &s), status, "%s", why);
	is_int(s, state, "and its state says so");
	dios_close(task);
}

static void outcome(void)
{
	struct dios_ioctl_info info = { 0 };
	dios_ref task = sh("exit 0", (struct dios_run_options){ 0 }, "a task that succeeds");

	is_int(dios_info(task, &info), 0, "its information");
	is_int(info.kind, DIOS_TASK, "says that it is a task");
	ends(task, 0, DIOS_TASK_EXITED, "it ends with success");
	ends(sh("exit 3", (struct dios_run_options){ 0 }, "a task that fails"), 3 << 8, DIOS_TASK_FAILED, "it ends with its status");
	ends(sh("kill -9 $$", (struct dios_run_options){ 0 }, "a task that is killed"), 9, DIOS_TASK_FAILED, "it ends with the signal");
}

static void holds_end(dios_ref ref, const char *text, const char *why)
{
	char bytes[256];
	ssize_t n = read(ref, bytes, sizeof(bytes));
	bool same = n == (ssize_t)strlen(text) && memcmp(bytes, text, strlen(text)) == 0;
	ok(same, "%s", why);
	if (!same)
		printf("# got '%.*s' (%zd), want '%s'\n", (int)(n > 0 ? n : 0), bytes, n, text);
}

static void references(void)
{
	dios_ref in = made(0, (struct dios_create_options){ 0 }, "an input"), second = made(0, (struct dios_create_options){ 0 }, "another");
	dios_ref out = made(DIOS_UNPRODUCED, (struct dios_create_options){ .path = at("task-out") }, "an output that is not there yet");
	dios_ref std = made(DIOS_UNPRODUCED, (struct dios_create_options){ .path = at("task-std") }, "and another for standard output");
	dios_ref inputs[] = { in, second };

	is_int(put(0, in, 0, "first "), 0, "bytes for one");
	is_int(put(0, second, 0, "second\n"), 0, "and for the other");
	dios_ref task = sh("cat <&3; cat <&3 <&4 >&5; echo \"$DIOS_INPUTS $DIOS_OUTPUTS\"", (struct dios_run_options){ .inputs = inputs, .input_count = 2,
		.outputs = &out, .output_count = 1, .standard_output = &std }, "a task with all of them");
	dios_ref reader = opened(at("task-out"), DIOS_READ, "its output is waited for");
	holds_end(reader, "second\n", "and has what it wrote");
	dios_close(reader);
	reader = opened(at("task-std"), DIOS_READ, "so is its standard output");
	holds_end(reader, "first 3,4 5\n", "with what it said");
	dios_close(reader);
	ends(task, 0, DIOS_TASK_EXITED, "it ends with success");
	dios_close(in);
	dios_close(second);
	dios_close(out);
	dios_close(std);
	unlink(at("task-out"));
	unlink(at("task-std"));
}

static void failing_output(void)
{
	dios_ref out = made(DIOS_UNPRODUCED, (struct dios_create_options){ .path = at("never") }, "an output"), reader;
	size_t count = 1;
	dios_ref task = sh("exit 1", (struct dios_run_options){ .outputs = &out, .output_count = 1 }, "of a task that fails");

	is_int(dios_lookup(0, at("never"), DIOS_READ, &reader, &count), -EIO, "who waits for it is told");
	ends(task, 1 << 8, DIOS_TASK_FAILED, "as the task's end is");
	dios_close(out);
	unlink(at("never"));
}

static bool comes_to(dios_ref task, uint32_t state)
{
	struct dios_wait none = { .ref = -1 };
	struct dios_ioctl_info info;
	for (int i = 0; i < 200; i++) {
		if (dios_info(task, &info) == 0 && info.task_state == state)
			return true;
		dios_select(0, &none, 1, 50000000);
	}
	return false;
}

static void steering(void)
{
	dios_ref task = sh("while :; do read x; done <&3", (struct dios_run_options){ 0 }, "a task that goes on for ever");
	dios_ref other = sh("exec tail -f /dev/null", (struct dios_run_options){ 0 }, "and one that waits");

	ok(comes_to(other, DIOS_TASK_RUNNING), "it runs");
	is_int(dios_pause(0, other), 0, "paused");
	ok(comes_to(other, DIOS_TASK_PAUSED), "it is");
	is_int(dios_pause(0, other), 0, "twice does no harm");
	is_int(dios_pause(DIOS_RESUME, other), 0, "resumed");
	ok(comes_to(other, DIOS_TASK_RUNNING), "it runs again");
	is_int(dios_task_kill(other, SIGTERM), 0, "ended by a signal");
	uint32_t state = 0;
	is_int(end_of(other, &state), SIGTERM, "it says by which");
	is_int(dios_pause(0, other), -ESRCH, "then it is not paused");
	is_int(dios_task_kill(other, SIGKILL), -ESRCH, "nor ended again");
	dios_close(other);
	is_int(end_of(task, &state) >= 0, 1, "the first has ended too: it has no descriptor 3");
	dios_close(task);
}

/* An executable in the mount. */
static dios_ref program_of(const char *from, const char *path, uint32_t mode)
{
	static char bytes[1 << 16];
	int file = open(from, O_RDONLY | O_CLOEXEC);
	dios_ref ref = -1;
	ssize_t n;
	int r = file < 0 ? -errno : dios_create(0, &(struct dios_create_options){ .path = path, .mode = mode }, NULL, &ref);

	while (r == 0 && (n = read(file, bytes, sizeof(bytes))) > 0)
		if (write(ref, bytes, (size_t)n) != n)
			r = -EIO;
	is_int(r, 0, "a program in the mount");
	close(file);
	dios_close(ref);
	return r < 0 ? -1 : opened(path, DIOS_READ, "opened");
}

static void objects(void)
{
	static const char *const yes[] = { "self", "--exit", "0", NULL }, *const no[] = { "self", "--exit", "1", NULL };
	dios_ref program = program_of(self, at("program"), 0755), task = -1, plain = made(0, (struct dios_create_options){ .mode = 0644 }, "a text");

	is_int(dios_run(0, program, &(struct dios_run_options){ .arguments = yes }, &task), 0, "it runs as a task");
	ends(task, 0, DIOS_TASK_EXITED, "and ends itself with success");
	is_int(dios_run(0, program, &(struct dios_run_options){ .arguments = no }, &task), 0, "it runs again");
	ends(task, 1 << 8, DIOS_TASK_FAILED, "and ends itself with failure");
	is_int(put(0, plain, 0, "text"), 0, "bytes that are no program");
	is_int(dios_run(0, plain, &(struct dios_run_options){ 0 }, &task), -EACCES, "a mode without execute is refused");
	dios_close(plain);
	plain = made(0, (struct dios_create_options){ .mode = 0755 }, "with it");
	is_int(put(0, plain, 0, "\1\2\3\4 not a program"), 0, "but nothing to execute");
	int r = dios_run(0, plain, &(struct dios_run_options){ 0 }, &task);
	if (r == 0) {   /* found out when it is started */
		uint32_t state = 0;
		end_of(task, &state);
		is_int(state, DIOS_TASK_FAILED, "it fails");
		dios_close(task);
	} else {
		is_int(r, -ENOEXEC, "it fails");
	}
	dios_close(plain);
	dios_close(program);
	unlink(at("program"));
	is_int(dios_delete(DIOS_SELF, -1), -ESRCH, "who is no task has no self to end");
}

static void long_specification(void)
{
	enum { SIZE = 100000 };
	char *setting = malloc(SIZE + 3), *huge = malloc(300000);
	const char *environment[] = { "PATH=/bin:/usr/bin", setting, NULL }, *too_much[] = { huge, NULL };
	dios_ref task = -1;

	memset(setting, 'v', SIZE + 2);
	memcpy(setting, "X=", 2);
	setting[SIZE + 2] = '\0';
	memset(huge, 'v', 299999);
	memcpy(huge, "X=", 2);
	huge[299999] = '\0';
	task = sh("[ ${#X} = 100000 ]", (struct dios_run_options){ .environment = environment }, "a specification of 100 KB");
	ends(task, 0, DIOS_TASK_EXITED, "arrives whole");
	is_int(run_sh("true", (struct dios_run_options){ .environment = too_much }, &task), -E2BIG, "300 KB are too much");
	free(setting);
	free(huge);
}

static void wrong(void)
{
	dios_ref task = -1, blob = made(0, (struct dios_create_options){ .path = at("wrong") }, "a blob"), reader = opened(at("wrong"), DIOS_READ, "to read");
	dios_ref writer = opened(at("wrong"), DIOS_WRITE, "to write");
	int none = open("/dev/null", O_RDONLY | O_CLOEXEC);

	is_int(run_sh("true", (struct dios_run_options){ .inputs = &writer, .input_count = 1 }, &task), -EACCES, "an input must be readable");
	is_int(run_sh("true", (struct dios_run_options){ .outputs = &reader, .output_count = 1 }, &task), -EACCES, "an output writable");
	is_int(run_sh("true", (struct dios_run_options){ .inputs = &none, .input_count = 1 }, &task), -ENOTTY, "and both objects");
	is_int(dios_pause(0, blob), -EINVAL, "a blob is not paused");
	is_int(dios_task_kill(blob, SIGTERM), -EINVAL, "nor killed");
	close(none);
	dios_close(blob);
	dios_close(reader);
	dios_close(writer);
	unlink(at("wrong"));
}

/* A token for one task: that task opens it, its neighbour does not. */
static void delegation(void)
{
	static const char *const arguments[] = { "self", "--token", NULL };
	char token[DIOS_TOKEN_SIZE];
	dios_ref program = program_of(self, at("program"), 0755), secret = made(0, (struct dios_create_options){ 0 }, "a secret");
	dios_ref in[2] = { -1, -1 }, task[2] = { -1, -1 };

	is_int(put(0, secret, 0, "secret"), 0, "of six bytes");
	for (int i = 0; i < 2; i++) {
		in[i] = made(0, (struct dios_create_options){ .kind = DIOS_STREAM }, "a stream to tell a task by");
		is_int(dios_run(0, program, &(struct dios_run_options){ .arguments = arguments, .standard_input = &in[i] }, &task[i]), 0, "the task");
	}
	is_int(dios_copy(DIOS_TOKEN, secret, &(struct dios_copy_options){ .rights = DIOS_READ, .task = &task[0] }, NULL, token), 0, "delegated to the first");
	for (int i = 0; i < 2; i++)
		is_int(put(DIOS_AT_END, in[i], 0, token), 0, "told");
	ends(task[0], 0, DIOS_TASK_EXITED, "the first opens it");
	ends(task[1], EACCES << 8, DIOS_TASK_FAILED, "the second does not");
	size_t count = 1;
	is_int(dios_lookup(0, token, DIOS_READ, &in[0], &count), -EACCES, "nor does who is no task");
	dios_close(program);
	unlink(at("program"));
}

/* What this program does as a task. */
static int as_task(char **argv)
{
	struct dios_buffer b;
	char token[DIOS_TOKEN_SIZE] = "";
	size_t count = 1;
	dios_ref ref;

	if (strcmp(argv[1], "--exit") == 0)
		return 99 + (dios_delete(argv[2][0] == '0' ? DIOS_SELF : DIOS_SELF | DIOS_FAILED, -1) < 0);
	if (dios_acquire_read(DIOS_RECORD, 0, DIOS_NEXT, sizeof(token) - 1, &b) < 0)
		return 90;
	memcpy(token, b.data, b.size);
	dios_commit_read(0, 0, &b);
	int r = dios_lookup(0, token, DIOS_READ, &ref, &count);
	return r < 0 ? -r : count == 1 ? 0 : 91;
}

int main(int argc, char **argv)
{
	static char path[4096];

	if (argc > 1)
		return as_task(argv);
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	self = n > 0 ? path : argv[0];
	outcome();
	references();
	failing_output();
	steering();
	objects();
	long_specification();
	wrong();
	delegation();
	return done_testing();
}
