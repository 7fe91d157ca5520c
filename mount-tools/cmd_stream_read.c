/* dios stream read: records to standard output, following the stream or sharing it with other consumers. */
#include <inttypes.h>
#include <string.h>

#include "libdios/dios-util.h"
#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"

#define RECORD_FIRST (64u << 10)    /* bytes asked for at first; a record that needs more says so */
#define RECORD_MAX (1u << 30)

enum { READ_FOLLOW = 'f', READ_CONSUME = 'c', READ_COUNT = 'n', READ_FROM = 256, READ_NEW, READ_NOWAIT };

struct reader { struct cli *cli; const char *what; dios_ref ref; uint32_t flags; size_t room; };

static void put_record(const struct reader *r, const struct dios_buffer *b)
{
	struct json line;

	if (!r->cli->json) {
		fwrite(b->data, 1, b->size, stdout);
		return;
	}
	/* An object a line: a stream may go on for ever. */
	json_init(&line, stdout);
	json_open_object(&line, NULL);
	json_uint(&line, "offset", b->offset);
	json_uint(&line, "size", b->size);
	json_string(&line, "encoding", "base64");
	json_base64_open(&line, "content");
	json_base64_add(&line, b->data, b->size);
	json_close(&line);
	json_close(&line);
}

/* The next record. 0 and *ret_end, or a status after a message. */
static int read_record(struct reader *r, bool *ret_end)
{
	struct dios_buffer buffer;
	int e;

	*ret_end = false;
	for (;;) {
		e = dios_acquire_read(r->flags | DIOS_RECORD, r->ref, DIOS_NEXT, r->room, &buffer);
		if (e == -EMSGSIZE && r->room < RECORD_MAX)
			r->room *= 4;
		else if (e != -EINTR)
			break;
	}
	if (e == -EAGAIN && r->flags & DIOS_NOWAIT) {
		*ret_end = true;
		return 0;
	}
	if (e == -EIO)
		return cli_fail(r->cli, e, "%s was trimmed past what had been read, or its bytes are damaged", r->what);
	if (e < 0)
		return cli_object_failed(r->cli, e, "read", r->what);
	*ret_end = buffer.size == 0;
	if (buffer.size > 0)
		put_record(r, &buffer);
	dios_commit_read(DIOS_DISCARD, r->ref, &buffer);
	return fflush(stdout) != 0 ? EXIT_FAILED : 0;
}

static int start_reading(struct reader *r, uint64_t from)
{
	struct cli *cli = r->cli;
	struct dios_ioctl_info info;
	int e = dios_info(r->ref, &info);

	if (e < 0)
		return cli_object_failed(cli, e, "ask", r->what);
	if (info.kind != DIOS_STREAM)
		return cli_fail_advised(cli, -EINVAL, "'dios cat' prints it", "%s is not a stream", r->what);
	if (cli_has(cli, READ_CONSUME))
		e = dios_stream_mode(r->ref, DIOS_CONSUME, DIOS_NEXT);
	else
		e = dios_stream_mode(r->ref, DIOS_FOLLOW, cli_has(cli, READ_NEW) ? info.stream_end : cli_has(cli, READ_FROM) ? from : info.stream_start);
	return e < 0 ? cli_object_failed(cli, e, "read", r->what) : 0;
}

static int run_read(struct cli *cli)
{
	struct reader r = { .cli = cli, .what = cli->argv[0], .room = RECORD_FIRST };
	_cleanup_free_ char *path = NULL;
	uint64_t from = 0, count = UINT64_MAX;
	bool end = false;
	int status;

	if (cli_size(cli, READ_FROM, &from) != 0 || cli_count_value(cli, READ_COUNT, 1, UINT64_MAX, &count) != 0)
		return EXIT_USAGE;
	if (cli_has(cli, READ_CONSUME) && (cli_has(cli, READ_FOLLOW) || cli_has(cli, READ_FROM) || cli_has(cli, READ_NEW)))
		return cli_usage(cli, "--consume takes the records that no other consumer has had: it has no place to start from");
	if (cli_has(cli, READ_FROM) && cli_has(cli, READ_NEW))
		return cli_usage(cli, "--from and --new exclude each other");
	if (cli_has(cli, READ_NOWAIT))
		r.flags |= DIOS_NOWAIT;
	status = cli_object_path(cli, r.what, &path);
	if (status != 0)
		return status;
	int e = dios_open(0, path, DIOS_READ, &r.ref);
	if (e < 0)
		return cli_object_failed(cli, e, "open", r.what);
	status = start_reading(&r, from);
	for (uint64_t i = 0; status == 0 && !end && i < count; i++)
		status = read_record(&r, &end);
	dios_close(r.ref);
	return status;
}

static const struct cli_option read_options[] = {
	{ READ_FOLLOW, "follow", NULL, "see all records from the oldest kept one on (the default)" },
	{ READ_CONSUME, "consume", NULL, "take records that no other consumer has had, each whole" },
	{ READ_FROM, "from", "OFFSET", "begin at this byte, counted from the first ever written" },
	{ READ_NEW, "new", NULL, "begin with what is written from now on" },
	{ READ_COUNT, "count", "N", "stop after so many records" },
	{ READ_NOWAIT, "no-wait", NULL, "stop where there is nothing more to read now (default: at the stream's end)" },
	{ 0 },
};
const struct cli_command command_stream_read = {
	.name = "stream read", .arguments = "STREAM", .summary = "print the records of a stream",
	.details = "STREAM is a path in the mount, a name, or a token. With --json each record is an object on a line of its own.",
	.options = read_options, .arguments_min = 1, .arguments_max = 1, .run = run_read,
};
