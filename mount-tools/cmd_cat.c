/* dios cat: the bytes of objects, by path, name or token. */
#include <fcntl.h>
#include <string.h>

#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"

#define CHUNK (1u << 20)   /* bytes: the largest FUSE read */

enum { CAT_NOWAIT = 'n' };

static int copy_out(struct cli *cli, int fd, const char *what, char *chunk, uint64_t *ret_size)
{
	uint64_t size = 0;

	for (;;) {
		ssize_t n = read(fd, chunk, CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cli_object_failed(cli, -errno, "read", what);
		if (n == 0)
			break;
		size += (uint64_t)n;
		if (cli->json) {
			json_base64_add(&cli->writer, chunk, (size_t)n);
			continue;
		}
		/* At once: a stream's reader sees each record when it comes. */
		if (fwrite(chunk, 1, (size_t)n, stdout) != (size_t)n || fflush(stdout) != 0)
			return EXIT_FAILED;   /* cli_main says why */
	}
	*ret_size = size;
	return EXIT_OK;
}

static int cat_one(struct cli *cli, const char *what, char *chunk)
{
	_cleanup_close_ int fd = -1;
	uint64_t size = 0;
	int r = cli_open_object(cli, what, O_RDONLY | (cli_has(cli, CAT_NOWAIT) ? O_NONBLOCK : 0), &fd);

	if (r != 0)
		return r;
	if (!cli->json)
		return copy_out(cli, fd, what, chunk, &size);
	json_open_object(&cli->writer, NULL);
	json_string(&cli->writer, "file", what);
	json_string(&cli->writer, "encoding", "base64");
	json_base64_open(&cli->writer, "content");
	r = copy_out(cli, fd, what, chunk, &size);
	if (r != EXIT_OK)
		return r;   /* the document has ended with the error */
	json_base64_close(&cli->writer);
	json_uint(&cli->writer, "size", size);
	json_close(&cli->writer);
	return EXIT_OK;
}

static int run_cat(struct cli *cli)
{
	_cleanup_free_ char *chunk = malloc(CHUNK);
	int status = EXIT_OK;

	if (!chunk)
		return cli_fail(cli, -ENOMEM, "no memory for a buffer");
	if (cli->json) {
		json_open_object(&cli->writer, NULL);
		json_open_array(&cli->writer, "files");
	}
	for (int i = 0; i < cli->argc; i++) {
		if (cat_one(cli, cli->argv[i], chunk) != EXIT_OK)
			status = EXIT_FAILED;
		if (cli->writer.done || ferror(stdout))
			break;
	}
	if (cli->json && !cli->writer.done)
		cli_json_end(cli);
	return status;
}

static const struct cli_option cat_options[] = {
	{ CAT_NOWAIT, "no-wait", NULL, "fail where the object is not produced yet, or the stream has nothing, instead of waiting" },
	{ 0 },
};
const struct cli_command command_cat = {
	.name = "cat", .arguments = "OBJECT...", .summary = "print the bytes of objects",
	.details = "OBJECT is a path in a mount, an object's name, or a token. An object that a task has still to produce is waited for; a stream is\n"
		"followed from its oldest kept byte until it ends.",
	.options = cat_options, .arguments_min = 1, .arguments_max = -1, .run = run_cat,
};
