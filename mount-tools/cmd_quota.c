/* dios quota: what all objects of the mount may take together, and what they take. The file .dios/quota says it and, to root, takes it. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"
#include "mount-tools/json_read.h"
#include "mount-tools/text.h"

enum { QUOTA_BYTES = 256, QUOTA_OBJECTS };

static int read_quota(struct cli *cli, const char *path, struct json_value **ret_quota)
{
	struct buffer text;

	buffer_init(&text, CLI_FILE_MAX);
	int r = cli_read_file(path, &text);
	if (r == 0)
		r = json_parse((char *)text.data, text.size, ret_quota);
	buffer_done(&text);
	if (r < 0)
		return cli_fail_advised(cli, r, "the daemon is of another version?", "cannot read the quota from %s", path);
	return 0;
}

static uint64_t number_of(const struct json_value *quota, const char *key)
{
	int64_t value;

	return json_get_int(quota, key, &value) == 0 && value > 0 ? (uint64_t)value : 0;
}

static void print_share(uint64_t used, uint64_t limit)
{
	if (limit > 0)
		printf(" (%llu%%)%s\n", (unsigned long long)((double)used * 100 / (double)limit), used > limit ? ", over it" : "");
	else
		putchar('\n');
}

static void print_quota(const struct json_value *quota)
{
	char used_text[TEXT_SIZE_MAX], limit_text[TEXT_SIZE_MAX];
	uint64_t used = number_of(quota, "bytes"), limit = number_of(quota, "bytes_limit");

	text_size(used, used_text);
	text_size(limit, limit_text);
	printf("bytes    %s of %s", used_text, limit > 0 ? limit_text : "no limit");
	print_share(used, limit);
	used = number_of(quota, "objects");
	limit = number_of(quota, "objects_limit");
	printf("objects  %" PRIu64 " of ", used);
	if (limit > 0)
		printf("%" PRIu64, limit);
	else
		printf("no limit");
	print_share(used, limit);
}

static int show(struct cli *cli, const char *path)
{
	struct json_value *quota;
	int r = read_quota(cli, path, &quota);

	if (r != 0)
		return r;
	if (cli->json)
		json_write_value(&cli->writer, NULL, quota);
	else
		print_quota(quota);
	json_value_free(quota);
	return EXIT_OK;
}

static int change(struct cli *cli, const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = fd < 0 ? -errno : 0;

	if (r == 0 && write(fd, line, strlen(line)) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	if (r < 0)
		return cli_fail_advised(cli, r, r == -EACCES || r == -EPERM ? "be root" : NULL, "cannot set the quota in %s", path);
	return cli->json ? show(cli, path) : EXIT_OK;
}

static int set(struct cli *cli, const char *path)
{
	uint64_t bytes = 0, objects = 0;
	char line[64], bytes_text[24] = "-", objects_text[24] = "-";

	if (!cli_has(cli, QUOTA_BYTES) && !cli_has(cli, QUOTA_OBJECTS))
		return cli_usage(cli, "quota set: --bytes SIZE, --objects N, or both");
	if (cli_size(cli, QUOTA_BYTES, &bytes) != 0 || cli_count_value(cli, QUOTA_OBJECTS, 1, INT64_MAX, &objects) != 0)
		return EXIT_USAGE;
	if (cli_has(cli, QUOTA_BYTES) && bytes == 0)
		return cli_usage(cli, "--bytes: with nothing no object has content; 'dios quota off' takes the limits away");
	if (bytes > 0)
		snprintf(bytes_text, sizeof(bytes_text), "%" PRIu64, bytes);
	if (objects > 0)
		snprintf(objects_text, sizeof(objects_text), "%" PRIu64, objects);
	snprintf(line, sizeof(line), "%s %s\n", bytes_text, objects_text);
	return change(cli, path, line);
}

static int run_quota(struct cli *cli)
{
	const char *verb = cli->argc > 0 ? cli->argv[0] : NULL;
	bool is_set = verb && strcmp(verb, "set") == 0;

	if (verb && !is_set && strcmp(verb, "off") != 0)
		return cli_usage(cli, "'%s' is neither 'set' nor 'off'", verb);
	if (!is_set && (cli_has(cli, QUOTA_BYTES) || cli_has(cli, QUOTA_OBJECTS)))
		return cli_usage(cli, "--bytes and --objects go with 'quota set'");
	const char *mount = cli_mount(cli, NULL);
	_cleanup_free_ char *path = mount ? cli_dios_path(cli, mount, "quota") : NULL;
	if (!path)
		return EXIT_FAILED;
	if (!verb)
		return show(cli, path);
	return is_set ? set(cli, path) : change(cli, path, "0 0\n");
}

static const struct cli_option quota_options[] = {
	{ QUOTA_BYTES, "bytes", "SIZE", "what all content may take, as du(1) counts (default: as it is)" },
	{ QUOTA_OBJECTS, "objects", "N", "how many objects there may be, directories too (default: as it is)" },
	{ 0 },
};
const struct cli_command command_quota = {
	.name = "quota", .arguments = "[set|off]", .summary = "show or set what all objects may take together",
	.details = "Shows the limits and what is used of them. 'set' sets one or both, 'off' takes them away; both are for root. What would grow past a\n"
		"limit gets EDQUOT; deleting, cutting and overwriting always work. A limit may be less than what is there. Not counted are names, extended\n"
		"attributes, and dios's own log and tables. With passthrough = write an open file is written past the daemon, and can outgrow a limit until\n"
		"it is closed: within a second that shows as use above the limit, and no other file is opened so.",
	.options = quota_options, .arguments_max = 1, .run = run_quota,
};
