/* The frame: parsing, dispatch and messages; see cli.h. What a subcommand's --help prints is in cli_help.c. */
#include <stdarg.h>
#include <string.h>

#include "base/config.h"
#include "caps/name.h"
#include "mount-tools/cli.h"
#include "mount-tools/cli_help.h"
#include "mount-tools/text.h"

enum { OPTION_MOUNT = 1000, OPTION_JSON, OPTION_QUIET, OPTION_HELP };

const struct cli_option cli_common_options[] = {
	{ OPTION_MOUNT, "mount", "DIR", "the mount to speak to (default: $DIOS_MOUNT, else the file's own, else " MOUNT_DEFAULT ", else the only one)" },
	{ OPTION_JSON, "json", NULL, "print JSON, as docs/JSON.md describes it" },
	{ OPTION_QUIET, "quiet", NULL, "show no progress" },
	{ OPTION_HELP, "help", NULL, "explain this command" },
	{ 0 },
};

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static char *_printf_(1, 0) format_message(const char *format, va_list ap)
{
	char *raw, *text;

	if (vasprintf(&raw, format, ap) < 0)
		return NULL;
	text = text_printable(raw);
	free(raw);
	return text;
}

static void print_message(const struct cli *cli, const char *kind, const char *message)
{
	fflush(stdout);   /* so that a message comes after what was printed before it */
	fprintf(stderr, "dios%s%s: %s%s\n", cli->command ? " " : "", cli->command ? cli->command->name : "", kind, message);
}

/* Ends the JSON document, whatever is open, with an error in its root object. */
static void print_json_error(struct cli *cli, int error, const char *message)
{
	struct json *j = &cli->writer;
	const char *code = error < 0 ? strerrorname_np(-error) : NULL;

	if (!cli->json || j->done)
		return;
	if (j->depth == 0)
		json_open_object(j, NULL);
	while (j->depth > 1 || j->in_base64)
		json_close(j);
	json_open_object(j, "error");
	json_string(j, "command", cli->command ? cli->command->name : "");
	json_int(j, "errno", error < 0 ? -error : 0);
	if (code)
		json_string(j, "code", code);
	else
		json_null(j, "code");
	json_string(j, "message", message);
	json_close(j);
	json_close(j);
}

/* Takes message. */
static int fail_with(struct cli *cli, int error, const char *advice, char *message)
{
	_cleanup_free_ char *whole = NULL;
	const char *meaning = error < 0 ? strerrordesc_np(-error) : NULL;

	if (message && asprintf(&whole, "%s%s%s%s%s", message, error < 0 ? ": " : "", error < 0 ? meaning ? meaning : "unknown error" : "",
			advice ? "; " : "", advice ? advice : "") < 0)
		whole = NULL;
	const char *text = whole ? whole : message ? message : "no memory for a message";
	print_message(cli, "", text);
	print_json_error(cli, error, text);
	free(message);
	cli->failed = true;
	return EXIT_FAILED;
}

int cli_fail(struct cli *cli, int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	char *message = format_message(format, ap);
	va_end(ap);
	return fail_with(cli, error, NULL, message);
}

int cli_fail_advised(struct cli *cli, int error, const char *advice, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	char *message = format_message(format, ap);
	va_end(ap);
	return fail_with(cli, error, advice, message);
}

static int usage_status(const struct cli *cli)
{
	return cli->command && cli->command->usage_status ? cli->command->usage_status : EXIT_USAGE;
}

int cli_usage(struct cli *cli, const char *format, ...)
{
	_cleanup_free_ char *message = NULL;
	va_list ap;

	va_start(ap, format);
	message = format_message(format, ap);
	va_end(ap);
	print_message(cli, "", message ? message : "wrong usage");
	fprintf(stderr, "try 'dios%s%s --help'\n", cli->command ? " " : "", cli->command ? cli->command->name : "");
	print_json_error(cli, -EINVAL, message ? message : "wrong usage");
	cli->failed = true;
	return usage_status(cli);
}

void cli_warn(struct cli *cli, const char *format, ...)
{
	_cleanup_free_ char *message = NULL;
	va_list ap;

	va_start(ap, format);
	message = format_message(format, ap);
	va_end(ap);
	if (message)
		print_message(cli, "warning: ", message);
}

void cli_json_end(struct cli *cli)
{
	while (cli->writer.depth > 0 || cli->writer.in_base64)
		json_close(&cli->writer);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

const char *cli_value(const struct cli *cli, int id)
{
	for (size_t i = cli->given_count; i > 0; i--)
		if (cli->given[i - 1].id == id)
			return cli->given[i - 1].value;
	return NULL;
}

size_t cli_count(const struct cli *cli, int id)
{
	size_t count = 0;

	for (size_t i = 0; i < cli->given_count; i++)
		count += cli->given[i].id == id;
	return count;
}

bool cli_has(const struct cli *cli, int id)
{
	return cli_count(cli, id) > 0;
}

static const struct cli_option *find_option_by_id(const struct cli_option *options, int id)
{
	for (; options && options->name; options++)
		if (options->id == id)
			return options;
	return NULL;
}

static int refuse_value(struct cli *cli, int id, const char *value, const char *expected)
{
	const struct cli_option *o = find_option_by_id(cli->command->options, id);

	return cli_usage(cli, "--%s: '%s' is not %s", o->name, value, expected);
}

int cli_size(struct cli *cli, int id, uint64_t *value)
{
	const char *text = cli_value(cli, id);
	int64_t bytes;

	if (!text)
		return 0;
	if (parse_size(text, &bytes) < 0)
		return refuse_value(cli, id, text, "a size: expected digits and at most one of K, M, G, T, as in 64M");
	*value = (uint64_t)bytes;
	return 0;
}

int cli_duration(struct cli *cli, int id, int64_t *value_ns)
{
	const char *text = cli_value(cli, id);

	if (!text)
		return 0;
	if (parse_duration(text, value_ns) < 0)
		return refuse_value(cli, id, text, "a duration: expected digits and at most one of us, ms, s, m, h, d, as in 90s or 1h");
	return 0;
}

int cli_count_value(struct cli *cli, int id, uint64_t minimum, uint64_t maximum, uint64_t *value)
{
	const char *text = cli_value(cli, id);
	char expected[96], *end;

	if (!text)
		return 0;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (errno != 0 || *end || text[0] < '0' || text[0] > '9' || n < minimum || n > maximum) {
		snprintf(expected, sizeof(expected), "a number from %llu to %llu", (unsigned long long)minimum, (unsigned long long)maximum);
		return refuse_value(cli, id, text, expected);
	}
	*value = n;
	return 0;
}

/* ---- parsing ----------------------------------------------------------------------------------------------------- */

static int cli_give(struct cli *cli, const struct cli_option *option, const char *value)
{
	switch (option->id) {
	case OPTION_MOUNT: cli->mount_option = value; return 0;
	case OPTION_JSON: cli->json = true; return 0;
	case OPTION_QUIET: cli->quiet = true; return 0;
	case OPTION_HELP: cli->help = true; return 0;
	}
	if (cli->given_count == CLI_GIVEN_MAX)
		return cli_usage(cli, "more than %d options", CLI_GIVEN_MAX);
	cli->given[cli->given_count++] = (struct cli_given){ .id = option->id, .value = value };
	return 0;
}

static const struct cli_option *find_long(const struct cli *cli, const char *name, size_t size)
{
	const struct cli_option *tables[] = { cli->command ? cli->command->options : NULL, cli_common_options };

	for (size_t t = 0; t < 2; t++)
		for (const struct cli_option *o = tables[t]; o && o->name; o++)
			if (strlen(o->name) == size && memcmp(o->name, name, size) == 0 &&
			    !(o->id == OPTION_MOUNT && cli->command && cli->command->no_mount))
				return o;
	return NULL;
}

/* --name, --name=value, --name value. *at is moved past what was used. */
static int parse_long(struct cli *cli, int argc, char **argv, int *at)
{
	const char *word = argv[*at] + 2;
	size_t size = strcspn(word, "=");
	const struct cli_option *o = find_long(cli, word, size);
	const char *value = NULL;

	if (!o)
		return cli_usage(cli, "unknown option '--%.*s'", (int)size, word);
	if (word[size] == '=') {
		if (!o->argument)
			return cli_usage(cli, "option '--%s' takes no value", o->name);
		value = word + size + 1;
	} else if (o->argument) {
		if (*at + 1 >= argc)
			return cli_usage(cli, "option '--%s' needs a value: --%s %s", o->name, o->name, o->argument);
		value = argv[++*at];
	}
	return cli_give(cli, o, value);
}

/* -abc, -xVALUE, -x VALUE. */
static int parse_short(struct cli *cli, int argc, char **argv, int *at)
{
	for (const char *p = argv[*at] + 1; *p; p++) {
		const struct cli_option *o = find_option_by_id(cli->command ? cli->command->options : NULL, (unsigned char)*p);
		const char *value = NULL;
		int r;

		if (!o)
			return cli_usage(cli, "unknown option '-%c'", *p);
		if (o->argument) {
			if (!p[1] && *at + 1 >= argc)
				return cli_usage(cli, "option '-%c' needs a value: -%c %s", *p, *p, o->argument);
			value = p[1] ? p + 1 : argv[++*at];
		}
		r = cli_give(cli, o, value);
		if (r != 0 || value)
			return r;
	}
	return 0;
}

/* One name in 64 begins with a dash: what is exactly a name is an argument. */
static bool is_option(const char *word)
{
	struct name name;

	return word[0] == '-' && word[1] && name_from_text(word, strlen(word), &name) < 0;
}

/* Takes the options out of argv; the arguments are moved to its front, and end with NULL. Returns how many, or -1 after a message. With `first`,
 * stops in front of the first argument. */
static int parse_options(struct cli *cli, int argc, char **argv, bool first, int *ret_used)
{
	int kept = 0, at = 0;

	for (; at < argc; at++) {
		if (strcmp(argv[at], "--") == 0 && !(first && !cli->command)) {
			at++;
			break;
		}
		if (!is_option(argv[at])) {
			if (first)
				break;
			argv[kept++] = argv[at];
			continue;
		}
		if ((argv[at][1] == '-' ? parse_long : parse_short)(cli, argc, argv, &at) != 0)
			return -1;
	}
	*ret_used = at;
	if (!cli->command)
		return 0;
	for (; at < argc; at++)
		argv[kept++] = argv[at];
	argv[kept] = NULL;
	return kept;
}

const struct cli_command *cli_find_command(const struct cli *cli, int argc, char **argv, int *ret_words)
{
	for (size_t i = 0; cli->commands[i]; i++) {
		const char *name = cli->commands[i]->name, *space = strchr(name, ' ');
		size_t size = space ? (size_t)(space - name) : strlen(name);

		if (argc < 1 || strncmp(argv[0], name, size) != 0 || argv[0][size])
			continue;
		if (space && (argc < 2 || strcmp(argv[1], space + 1) != 0))
			continue;
		*ret_words = space ? 2 : 1;
		return cli->commands[i];
	}
	return NULL;
}

bool cli_is_family(const struct cli *cli, const char *word)
{
	size_t size = strlen(word);

	for (size_t i = 0; cli->commands[i]; i++)
		if (strncmp(cli->commands[i]->name, word, size) == 0 && cli->commands[i]->name[size] == ' ')
			return true;
	return false;
}

static int cli_no_command(struct cli *cli, int argc, char **argv)
{
	if (cli_is_family(cli, argv[0])) {
		if (argc > 1 && strcmp(argv[1], "--help") == 0) {
			cli_print_family(cli, argv[0], stdout);
			return EXIT_OK;
		}
		if (argc > 1 && argv[1][0] != '-')
			return cli_usage(cli, "unknown command '%s %s'; 'dios help %s' lists what there is", argv[0], argv[1], argv[0]);
		return cli_usage(cli, "'%s' needs a verb; 'dios help %s' lists what there is", argv[0], argv[0]);
	}
	return cli_usage(cli, "unknown command '%s'; 'dios help' lists what there is", argv[0]);
}

static int cli_check_arguments(struct cli *cli)
{
	const struct cli_command *c = cli->command;

	if (cli->argc < c->arguments_min)
		return cli_usage(cli, "needs %s", c->arguments);
	if (c->arguments_max >= 0 && cli->argc > c->arguments_max) {
		if (c->arguments)
			return cli_usage(cli, "one argument too many: '%s'; expected %s", cli->argv[c->arguments_max], c->arguments);
		return cli_usage(cli, "takes no argument, found '%s'", cli->argv[0]);
	}
	return 0;
}

static int cli_run(struct cli *cli, int argc, char **argv)
{
	int words = 0, used = 0, r;

	if (parse_options(cli, argc, argv, true, &used) < 0)
		return EXIT_USAGE;
	argc -= used;
	argv += used;
	if (cli->help || argc == 0) {
		cli_print_overview(cli, cli->help ? stdout : stderr);
		return cli->help ? EXIT_OK : EXIT_USAGE;
	}
	cli->command = cli_find_command(cli, argc, argv, &words);
	if (!cli->command)
		return cli_no_command(cli, argc, argv);
	cli->argv = argv + words;
	cli->argc = parse_options(cli, argc - words, cli->argv, cli->command->stop_at_argument, &used);
	if (cli->argc < 0)
		return EXIT_USAGE;
	if (cli->help) {
		cli_print_help(cli->command, stdout);
		return EXIT_OK;
	}
	r = cli_check_arguments(cli);
	return r != 0 ? r : cli->command->run(cli);
}

int cli_main(struct cli *cli, int argc, char **argv)
{
	json_init(&cli->writer, stdout);
	int status = cli_run(cli, argc - 1, argv + 1);

	/* What a full disk or a closed pipe swallowed must not look like success. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "dios: cannot write to standard output: %s\n", strerror(errno));
		if (status == EXIT_OK)
			status = EXIT_FAILED;
	}
	mounts_done(&cli->mounts);
	return status;
}
