/* dios status: what the daemon behind a mount says of itself in .dios/status. */
#include <string.h>

#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"
#include "mount-tools/json_read.h"
#include "mount-tools/text.h"

#define LABEL_WIDTH 24

static void print_value(const char *label, const struct json_value *v);

static void print_items(const char *label, const struct json_value *v)
{
	size_t index = 0;

	for (const struct json_value *c = v->child; c; c = c->next) {
		char part[128];

		if (c->key)
			snprintf(part, sizeof(part), "%s.%s", label, c->key);
		else
			snprintf(part, sizeof(part), "%s.%zu", label, ++index);
		print_value(part, c);
	}
	if (!v->child)
		printf("%-*s none\n", LABEL_WIDTH, label);
}

/* A line for each value; those inside others are named with dots. */
static void print_value(const char *label, const struct json_value *v)
{
	_cleanup_free_ char *text = NULL;

	switch (v->type) {
	case JSON_NULL: printf("%-*s -\n", LABEL_WIDTH, label); return;
	case JSON_FALSE: printf("%-*s no\n", LABEL_WIDTH, label); return;
	case JSON_TRUE: printf("%-*s yes\n", LABEL_WIDTH, label); return;
	case JSON_NUMBER:
	case JSON_STRING:
		text = text_printable(v->text);
		printf("%-*s %s\n", LABEL_WIDTH, label, text ? text : "?");
		return;
	case JSON_ARRAY:
	case JSON_OBJECT:
		print_items(label, v);
		return;
	}
}

static int read_status(struct cli *cli, const char *mount, struct json_value **ret_status)
{
	_cleanup_free_ char *path = cli_dios_path(cli, mount, "status");
	_cleanup_buffer_ struct buffer text = { 0 };

	buffer_init(&text, CLI_FILE_MAX);
	if (!path)
		return EXIT_FAILED;
	int r = cli_read_file(path, &text);
	if (r < 0)
		return cli_object_failed(cli, r, "read", path);
	r = json_parse((char *)text.data, text.size, ret_status);
	if (r == 0 && (*ret_status)->type != JSON_OBJECT) {
		json_value_free(*ret_status);
		r = -EBADMSG;
	}
	return r < 0 ? cli_fail_advised(cli, r, "the daemon is of another version?", "%s is not what was expected", path) : 0;
}

static int run_status(struct cli *cli)
{
	const char *mount = cli_mount(cli, NULL);
	struct json_value *status = NULL;

	if (!mount)
		return EXIT_FAILED;
	int r = read_status(cli, mount, &status);
	if (r != 0)
		return r;
	if (cli->json) {
		json_write_value(&cli->writer, NULL, status);
	} else {
		if (!json_get(status, "mount"))
			printf("%-*s %s\n", LABEL_WIDTH, "mount", mount);
		for (const struct json_value *v = status->child; v; v = v->next)
			print_value(v->key, v);
	}
	json_value_free(status);
	return EXIT_OK;
}

const struct cli_command command_status = {
	.name = "status", .summary = "show how the mount's daemon and its data are",
	.details = "Exits with 1 if the mount does not answer.", .run = run_status,
};
