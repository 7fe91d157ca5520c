/* dios stream create, append, set, end: the writing side of streams. Reading is in cmd_stream_read.c. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"
#include "libdios/dios-util.h"

enum { STREAM_LIMIT = 256, STREAM_TRIM_BYTES, STREAM_TRIM_AGE, STREAM_TRIM_CONSUMED, STREAM_KEEP_CONSUMED, STREAM_DIRECT, STREAM_END_ON_CLOSE,
	STREAM_MODE, STREAM_WHOLE, STREAM_DURABLE, STREAM_NOWAIT };

struct limits { uint64_t limit, trim; int64_t age; };

static int read_limits(struct cli *cli, struct limits *l)
{
	if (cli_size(cli, STREAM_LIMIT, &l->limit) != 0 || cli_size(cli, STREAM_TRIM_BYTES, &l->trim) != 0 ||
	    cli_duration(cli, STREAM_TRIM_AGE, &l->age) != 0)
		return EXIT_USAGE;
	return 0;
}

static int open_stream(struct cli *cli, const char *what, uint32_t rights, dios_ref *ret_ref)
{
	_cleanup_free_ char *path = NULL;
	struct dios_ioctl_info info;
	dios_ref ref;
	int status = cli_object_path(cli, what, &path);

	if (status != 0)
		return status;
	int r = dios_open(0, path, rights, &ref);
	if (r < 0)
		return cli_object_failed(cli, r, "open", what);
	r = dios_info(ref, &info);
	if (r == 0 && info.kind == DIOS_STREAM) {
		*ret_ref = ref;
		return 0;
	}
	dios_close(ref);
	if (r == 0)
		return cli_fail_advised(cli, -EINVAL, "make one with 'dios stream create'", "%s is not a stream", what);
	return cli_object_failed(cli, r, "ask", what);
}

static void json_stream_done(struct cli *cli, const char *file, const struct dios_name *name)
{
	char text[DIOS_NAME_TEXT];

	json_open_object(&cli->writer, NULL);
	json_string(&cli->writer, "file", file);
	if (name) {
		dios_name_to_text(name, text);
		json_string(&cli->writer, "name", text);
	}
	json_close(&cli->writer);
}

/* ---- create ------------------------------------------------------------------------------------------------------- */

static int parse_mode(struct cli *cli, uint32_t *mode)
{
	const char *text = cli_value(cli, STREAM_MODE);
	mode_t mask = umask(0);
	char *end;

	umask(mask);
	*mode = 0666 & ~mask;
	if (!text)
		return 0;
	errno = 0;
	unsigned long value = strtoul(text, &end, 8);
	if (errno != 0 || *end || text[0] < '0' || text[0] > '7' || value > 0777)
		return cli_usage(cli, "--mode: '%s' is not a mode: expected octal digits up to 777, as in 640", text);
	*mode = (uint32_t)value;
	return 0;
}

static int run_create(struct cli *cli)
{
	const char *path = cli->argv[0];
	struct dios_create_options options = { .kind = DIOS_STREAM, .path = path, .rights = DIOS_READ };
	struct limits limits = { 0 };
	struct dios_name name;
	uint32_t flags = 0;
	dios_ref ref;

	if (read_limits(cli, &limits) != 0 || parse_mode(cli, &options.mode) != 0)
		return EXIT_USAGE;
	if (cli_has(cli, STREAM_LIMIT) && limits.limit == 0)
		return cli_usage(cli, "--limit: a stream that keeps nothing carries nothing");
	options.limit_bytes = limits.limit;
	options.trim_bytes = limits.trim;
	options.trim_age_ns = limits.age;
	options.trim_consumed = cli_has(cli, STREAM_TRIM_CONSUMED);
	if (cli_has(cli, STREAM_DIRECT))
		flags |= DIOS_DIRECT;
	if (cli_has(cli, STREAM_END_ON_CLOSE))
		flags |= DIOS_END_ON_CLOSE;
	if (!cli_mount(cli, path))
		return EXIT_FAILED;
	/* Only for reading: closing a reference for writing would end a stream that ends on close. */
	int r = dios_create(flags, &options, &name, &ref);
	if (r < 0)
		return cli_fail_advised(cli, r, r == -EEXIST ? "remove it first, or choose another place" : NULL, "cannot make the stream %s", path);
	dios_close(ref);
	if (cli->json)
		json_stream_done(cli, path, &name);
	return EXIT_OK;
}

#define LIMIT_OPTIONS \
	{ STREAM_LIMIT, "limit", "SIZE", "writers wait while so many bytes are kept (default: stream.max_bytes of the configuration)" }, \
	{ STREAM_TRIM_BYTES, "trim-bytes", "SIZE", "the oldest records go when more than this is kept; 0: never" }, \
	{ STREAM_TRIM_AGE, "trim-age", "DURATION", "records go when they are this old; 0: never" }, \
	{ STREAM_TRIM_CONSUMED, "trim-consumed", NULL, "records go when a consumer has had them" }

static const struct cli_option create_options[] = {
	LIMIT_OPTIONS,
	{ STREAM_DIRECT, "direct", NULL, "in memory only, straight from writer to reader" },
	{ STREAM_END_ON_CLOSE, "end-on-close", NULL, "it ends when its last writer closes" },
	{ STREAM_MODE, "mode", "MODE", "permission bits in octal (default: 666 less the umask)" },
	{ 0 },
};
const struct cli_command command_stream_create = {
	.name = "stream create", .arguments = "FILE", .summary = "make a stream",
	.options = create_options, .arguments_min = 1, .arguments_max = 1, .run = run_create,
};

/* ---- append ------------------------------------------------------------------------------------------------------- */

struct appender { struct cli *cli; const char *what; dios_ref ref; uint32_t flags; uint64_t records, bytes; };

static int append_record(struct appender *a, const void *data, size_t size)
{
	struct dios_buffer buffer;
	int r;

	do
		r = dios_acquire_write(DIOS_AT_END, a->ref, 0, size, &buffer);
	while (r == -EINTR);
	if (r < 0)
		return cli_object_failed(a->cli, r, "append to", a->what);
	memcpy(buffer.data, data, size);
	do
		r = dios_commit_write(DIOS_AT_END | a->flags, a->ref, &buffer, size);
	while (r == -EINTR);
	if (r == -EAGAIN) {
		dios_commit_write(DIOS_DISCARD, a->ref, &buffer, 0);
		return cli_fail_advised(a->cli, r, "it is full: wait for its readers, or give it a larger --limit", "cannot append to %s", a->what);
	}
	if (r == -EMSGSIZE)
		return cli_fail(a->cli, r, "a record of %zu bytes is more than %s can hold", size, a->what);
	if (r < 0)
		return cli_object_failed(a->cli, r, "append to", a->what);
	a->records++;
	a->bytes += size;
	return 0;
}

static int append_lines(struct appender *a)
{
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	ssize_t size;
	int status = 0;

	while (status == 0 && (size = getline(&line, &room, stdin)) >= 0)
		status = append_record(a, line, (size_t)size);
	if (status == 0 && ferror(stdin))
		status = cli_fail(a->cli, -errno, "cannot read standard input");
	return status;
}

static int append_whole(struct appender *a)
{
	_cleanup_buffer_ struct buffer all = { 0 };
	char chunk[65536];
	size_t n;

	buffer_init(&all, UINT32_MAX);
	while ((n = fread(chunk, 1, sizeof(chunk), stdin)) > 0)
		buffer_append(&all, chunk, n);
	if (ferror(stdin))
		return cli_fail(a->cli, -errno, "cannot read standard input");
	if (buffer_error(&all) < 0)
		return cli_fail(a->cli, buffer_error(&all), "standard input is too much for one record");
	return all.size > 0 ? append_record(a, all.data, all.size) : 0;
}

/* Each argument as a line of its own. */
static int append_arguments(struct appender *a)
{
	int status = 0;

	for (int i = 1; status == 0 && i < a->cli->argc; i++) {
		size_t size = strlen(a->cli->argv[i]);
		_cleanup_free_ char *line = malloc(size + 1);

		if (!line)
			return cli_fail(a->cli, -ENOMEM, "no memory for a record");
		memcpy(line, a->cli->argv[i], size);
		line[size] = '\n';
		status = append_record(a, line, size + 1);
	}
	return status;
}

static int run_append(struct cli *cli)
{
	struct appender a = { .cli = cli, .what = cli->argv[0] };
	int status;

	if (!cli_has(cli, STREAM_DURABLE))
		a.flags |= DIOS_RELAXED;
	if (cli_has(cli, STREAM_NOWAIT))
		a.flags |= DIOS_NOWAIT;
	if (cli_has(cli, STREAM_WHOLE) && cli->argc > 1)
		return cli_usage(cli, "--whole is about standard input, which is not read where records are arguments");
	status = open_stream(cli, a.what, DIOS_APPEND, &a.ref);
	if (status != 0)
		return status;
	status = cli->argc > 1 ? append_arguments(&a) : cli_has(cli, STREAM_WHOLE) ? append_whole(&a) : append_lines(&a);
	dios_close(a.ref);
	if (cli->json && !cli->writer.done) {
		json_open_object(&cli->writer, NULL);
		json_string(&cli->writer, "file", a.what);
		json_uint(&cli->writer, "records", a.records);
		json_uint(&cli->writer, "bytes", a.bytes);
		json_close(&cli->writer);
	}
	return status;
}

static const struct cli_option append_options[] = {
	{ STREAM_WHOLE, "whole", NULL, "standard input is one record (default: a record a line)" },
	{ STREAM_DURABLE, "durable", NULL, "each record is on disk before the next is read (default: within a second)" },
	{ STREAM_NOWAIT, "no-wait", NULL, "fail where the stream is full, instead of waiting" },
	{ 0 },
};
const struct cli_command command_stream_append = {
	.name = "stream append", .arguments = "STREAM [LINE]...", .summary = "append records to a stream",
	.details = "STREAM is a path in the mount, a name, or a token. Without LINEs, standard input is appended. A record is never split or mixed with\n"
		"another's.",
	.options = append_options, .arguments_min = 1, .arguments_max = -1, .run = run_append,
};

/* ---- set, end ------------------------------------------------------------------------------------------------------ */

static int run_set(struct cli *cli)
{
	struct dios_ioctl_stream settings = { 0 };
	struct limits limits = { 0 };
	dios_ref ref;

	if (read_limits(cli, &limits) != 0)
		return EXIT_USAGE;
	if (cli_has(cli, STREAM_TRIM_CONSUMED) && cli_has(cli, STREAM_KEEP_CONSUMED))
		return cli_usage(cli, "--trim-consumed and --keep-consumed exclude each other");
	settings.limit_bytes = limits.limit;
	settings.trim_bytes = limits.trim;
	settings.trim_age_ns = limits.age;
	settings.trim_consumed = cli_has(cli, STREAM_TRIM_CONSUMED);
	settings.set = (cli_has(cli, STREAM_LIMIT) ? DIOS_SET_LIMIT : 0u) | (cli_has(cli, STREAM_TRIM_BYTES) ? DIOS_SET_TRIM_BYTES : 0u) |
		(cli_has(cli, STREAM_TRIM_AGE) ? DIOS_SET_TRIM_AGE : 0u) |
		(cli_has(cli, STREAM_TRIM_CONSUMED) || cli_has(cli, STREAM_KEEP_CONSUMED) ? DIOS_SET_TRIM_CONSUMED : 0u);
	if (!settings.set)
		return cli_usage(cli, "says nothing to change: give --limit, --trim-bytes, --trim-age, --trim-consumed or --keep-consumed");
	int status = open_stream(cli, cli->argv[0], DIOS_APPEND, &ref);
	if (status != 0)
		return status;
	int r = dios_stream_configure(ref, &settings);
	dios_close(ref);
	if (r < 0)
		return cli_object_failed(cli, r, "change", cli->argv[0]);
	if (cli->json)
		json_stream_done(cli, cli->argv[0], NULL);
	return EXIT_OK;
}

static int run_end(struct cli *cli)
{
	dios_ref ref;
	int status = open_stream(cli, cli->argv[0], DIOS_APPEND, &ref);

	if (status != 0)
		return status;
	int r = dios_stream_end(ref);
	dios_close(ref);
	if (r < 0)
		return cli_object_failed(cli, r, "end", cli->argv[0]);
	if (cli->json)
		json_stream_done(cli, cli->argv[0], NULL);
	return EXIT_OK;
}

static const struct cli_option set_options[] = {
	LIMIT_OPTIONS,
	{ STREAM_KEEP_CONSUMED, "keep-consumed", NULL, "records stay when a consumer has had them" },
	{ 0 },
};
const struct cli_command command_stream_set = {
	.name = "stream set", .arguments = "STREAM", .summary = "change the bounds of a stream",
	.options = set_options, .arguments_min = 1, .arguments_max = 1, .run = run_set,
};
const struct cli_command command_stream_end = {
	.name = "stream end", .arguments = "STREAM", .summary = "end a stream: its readers come to an end",
	.details = "Doing it twice is no error.", .arguments_min = 1, .arguments_max = 1, .run = run_end,
};
