/* What a task is given: references narrowed by their makers stay so, shared ones are one, consumers share records. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libdios/dios-util.h"
#include "libdios/dios.h"
#include "tests/fs/mount.h"
#include "tests/tap.h"

/* Perl: reads 3 bytes at offset 2, then at offset 0, then tries to write. */
#define RANGE_SCRIPT "open F, '+<&=3' or open F, '<&=3'; sysseek F, 2, 0; $n = sysread F, $b, 9; print defined $n ? $b : $!, '|'; " \
	"sysseek F, 0, 0; $n = sysread F, $b, 1; print defined $n ? 'read' : $!, '|'; print defined syswrite(F, 'x') ? 'wrote' : $!"

static dios_ref perl(const char *script, struct dios_run_options o, const char *what)
{
	static const char *arguments[] = { "perl", "-e", NULL, NULL }, *const environment[] = { "PATH=/usr/bin:/bin", NULL };
	dios_ref task = -1;

	arguments[2] = script;
	o.path = "/usr/bin/perl";
	o.arguments = arguments;
	o.environment = environment;
	int r = dios_run(0, -1, &o, &task);
	ok(r == 0, "%s: %s", what, strerror(-r));
	return task;
}

static int end_of(dios_ref task)
{
	struct dios_wait wait = { .ref = task, .wanted = DIOS_ENDED };
	struct dios_ioctl_info info = { 0 };

	if (dios_select(0, &wait, 1, 30000000000LL) < 0 || dios_info(task, &info) < 0)
		return -1;
	dios_close(task);
	return info.exit_status;
}

static dios_ref make(uint32_t flags, enum dios_kind kind, const char *path)
{
	struct dios_create_options o = { .kind = kind, .path = path, .mode = 0644 };
	dios_ref ref = -1;
	int r = dios_create(flags, &o, NULL, &ref);

	if (r < 0)
		ok(false, "an object at %s: %s", path, strerror(-r));
	return ref;
}

static void narrowed(void)
{
	dios_ref whole = -1, part = -1, timed = -1, out = make(DIOS_UNPRODUCED, DIOS_BLOB, "narrow-out");
	struct dios_copy_options range = { .rights = DIOS_READ, .offset = 2, .length = 3 };
	struct dios_copy_options expired = { .rights = DIOS_READ, .expiry_ns = 1 };
	char token[DIOS_TOKEN_SIZE];

	ok(put("whole", "0123456789") && dios_open(0, "whole", DIOS_READ, &whole) == 0, "a blob");
	is_int(dios_copy(0, whole, &range, &part, NULL), 0, "a reference to three bytes of it");
	is_int(end_of(perl(RANGE_SCRIPT, (struct dios_run_options){ .inputs = &part, .input_count = 1, .standard_output = &out }, "a task that is given it")), 0,
		"ends well");
	ok(holds("narrow-out", "234|Permission denied|Bad file descriptor"), "and could read these bytes and no others, and write none");
	is_int(dios_copy(DIOS_TOKEN, whole, &expired, NULL, token), 0, "a token that has expired");
	ok(dios_lookup(0, token, DIOS_READ, &timed, &(size_t){ 1 }) == -EACCES, "gives no reference to hand on");
	dios_close(part);
	dios_close(whole);
	dios_close(out);
}

static void shared(void)
{
	dios_ref out = make(DIOS_UNPRODUCED, DIOS_BLOB, "both"), file = make(0, DIOS_BLOB, "twice");
	dios_ref outputs[] = { file, file };

	is_int(end_of(perl("$| = 1; print 'one '; print STDERR 'two '; print 'three'", (struct dios_run_options){ .standard_output = &out,
		.standard_error = &out }, "standard output and error by one reference")), 0, "ends well");
	ok(holds("both", "one two three"), "they share one position");
	is_int(end_of(perl("open A, '>&=3'; open B, '>&=4'; syswrite A, 'first '; syswrite B, 'second'", (struct dios_run_options){ .outputs = outputs,
		.output_count = 2 }, "an output given twice")), 0, "ends well");
	ok(holds("twice", "first second"), "the two descriptors too");
	dios_close(out);
	dios_close(file);
}

static void appended(void)
{
	dios_ref log = -1;
	struct dios_copy_options only = { .rights = DIOS_APPEND };

	ok(put("appended", "old\n"), "a blob");
	dios_ref whole = -1;
	is_int(dios_open(0, "appended", DIOS_READ | DIOS_WRITE, &whole), 0, "opened");
	is_int(dios_copy(0, whole, &only, &log, NULL), 0, "a reference that can only append");
	is_int(end_of(perl("open F, '>&=3'; sysseek F, 0, 0; syswrite F, \"new\\n\"", (struct dios_run_options){ .outputs = &log, .output_count = 1 },
		"a task with it")), 0, "ends well");
	ok(holds("appended", "old\nnew\n"), "and could overwrite nothing");
	dios_close(log);
	dios_close(whole);
}

static void consumed(void)
{
	dios_ref work = make(0, DIOS_STREAM, "work"), reader = -1, outs[2], tasks[2];
	static const char *const names[] = { "share0", "share1" };

	for (int i = 0; i < 40; i++) {
		char record[16];
		snprintf(record, sizeof(record), "r%02d\n", i);
		append("work", record);
	}
	dios_stream_end(work);
	is_int(dios_open(0, "work", DIOS_READ, &reader), 0, "a reader of a stream");
	is_int(dios_stream_mode(reader, DIOS_CONSUME, DIOS_NEXT), 0, "that shares records with others");
	for (int i = 0; i < 2; i++) {
		outs[i] = make(DIOS_UNPRODUCED, DIOS_BLOB, names[i]);
		tasks[i] = perl("open F, '<&=3'; while (sysread F, $b, 100) { $n++; $all .= $b } print defined $all ? $all : ''",
			(struct dios_run_options){ .inputs = &reader, .input_count = 1, .standard_output = &outs[i] }, "a task that is given it");
	}
	size_t lines = 0;
	for (int i = 0; i < 2; i++) {
		static char text[4096];
		is_int(end_of(tasks[i]), 0, "it ends well");
		int fd = open(names[i], O_RDONLY);
		ssize_t n = read(fd, text, sizeof(text));
		for (ssize_t at = 0; at < n; at++)
			lines += text[at] == '\n';
		close(fd);
		dios_close(outs[i]);
	}
	is_int(lines, 40, "each record went to one of the two");
	dios_close(reader);
	dios_close(work);
}

/* A user who owns nothing, with a token: the task that the user starts has what the token gives, and no more. */
static char handed[DIOS_TOKEN_SIZE];

static bool run_with_token(void *arg)
{
	dios_ref ref = -1, task = -1;
	size_t count = 1;
	static const char *arguments[] = { "perl", "-e", "open F, '<&=3'; read F, $b, 100; exit($b eq \"private\\n\" && !open(G, '<', \"$ENV{DIOS_MOUNT}/private\") ? 0 : 1)", NULL };
	struct dios_run_options o = { .path = "/usr/bin/perl", .arguments = arguments, .input_count = 1, .inputs = &ref };

	(void)arg;
	return dios_lookup(0, handed, DIOS_READ, &ref, &count) == 0 && count == 1 && dios_run(0, -1, &o, &task) == 0 && end_of(task) == 0;
}

static void handed_on(void)
{
	dios_ref whole = -1;
	struct dios_copy_options read_only = { .rights = DIOS_READ };

	ok(put("private", "private\n") && chmod("private", 0600) == 0 && dios_open(0, "private", DIOS_READ, &whole) == 0, "a private blob");
	is_int(dios_copy(DIOS_TOKEN, whole, &read_only, NULL, handed), 0, "a token for it");
	ok(as_user(54321, run_with_token, NULL), "another user's task reads it by the user's token, and not by its path");
	dios_close(whole);
}

static char hidden_program[400];

static bool run_hidden(void *arg)
{
	struct dios_run_options o = { .path = hidden_program };
	dios_ref task = -1;

	return dios_run(0, -1, &o, &task) == 0 && end_of(task) == *(int *)arg;
}

/* A program in a folder that only root may enter, and below one that tasks have a new one of, so that dios has to look for it. */
static void looked_for(void)
{
	char folder[300];
	int works = 0, refused = 126 << 8;

	snprintf(folder, sizeof(folder), "%s/closed", mount_work);
	snprintf(hidden_program, sizeof(hidden_program), "%s/program", folder);
	ok(mkdir(folder, 0700) == 0 && put(hidden_program, "#!/bin/sh\nexit 0\n") && chmod(hidden_program, 0755) == 0, "a program in a closed folder");
	ok(run_hidden(&works), "root's task finds it");
	ok(as_user(54321, run_hidden, &refused), "another user's does not: it is looked for with the user's rights");
}

int main(void)
{
	if (!mount_start())
		return mount_result();
	setenv("DIOS_MOUNT", mount_point, 1);
	narrowed();
	shared();
	appended();
	consumed();
	handed_on();
	looked_for();
	return done_testing();
}
