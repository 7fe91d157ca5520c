/* dios help: the list of commands, one command, the configuration keys, and the words that completion asks for. */
#include <inttypes.h>
#include <string.h>

#include "base/config.h"
#include "mount-tools/cli_help.h"
#include "mount-tools/commands.h"

enum { HELP_WORDS = 256, HELP_OPTIONS };

static const char *const type_names[] = {
	[CONFIG_STRING] = "text", [CONFIG_SIZE] = "size", [CONFIG_DURATION] = "duration", [CONFIG_BOOL] = "yes|no", [CONFIG_COUNT] = "number",
};

static void print_config(FILE *out)
{
	fputs("keys of the configuration file, dios.conf(5):\n", out);
	for (const struct config_key *k = config_keys; k->name; k++)
		fprintf(out, "  %-20s%s\n  %-20s%s; default %s\n", k->name, k->help, "",
			k->type == CONFIG_CHOICE ? k->choices : type_names[k->type], k->fallback);
}

static void json_command(struct json *j, const struct cli_command *c)
{
	json_open_object(j, NULL);
	json_string(j, "name", c->name);
	json_string(j, "arguments", c->arguments ? c->arguments : "");
	json_string(j, "summary", c->summary);
	json_open_array(j, "options");
	for (const struct cli_option *o = c->options; o && o->name; o++) {
		json_open_object(j, NULL);
		json_string(j, "name", o->name);
		if (o->id < 256)
			json_bytes(j, "letter", &(char){ (char)o->id }, 1);
		else
			json_null(j, "letter");
		if (o->argument)
			json_string(j, "argument", o->argument);
		else
			json_null(j, "argument");
		json_string(j, "help", o->help);
		json_close(j);
	}
	json_close(j);
	json_close(j);
}

static void json_help(struct cli *cli, const struct cli_command *only)
{
	struct json *j = &cli->writer;

	json_open_object(j, NULL);
	json_open_array(j, "commands");
	for (size_t i = 0; cli->commands[i]; i++)
		if (!only || cli->commands[i] == only)
			json_command(j, cli->commands[i]);
	json_close(j);
	json_close(j);
}

static int run_help(struct cli *cli)
{
	const struct cli_command *c;
	int words = 0;

	if (cli_has(cli, HELP_WORDS) || cli_has(cli, HELP_OPTIONS)) {
		cli_print_words(cli, cli->argc, cli->argv, cli_has(cli, HELP_OPTIONS), stdout);
		return EXIT_OK;
	}
	if (cli->argc == 0) {
		if (cli->json)
			json_help(cli, NULL);
		else
			cli_print_overview(cli, stdout);
		return EXIT_OK;
	}
	if (strcmp(cli->argv[0], "config") == 0 && cli->argc == 1 && !cli->json) {
		print_config(stdout);
		return EXIT_OK;
	}
	c = cli_find_command(cli, cli->argc, cli->argv, &words);
	if (c && words == cli->argc) {
		if (cli->json)
			json_help(cli, c);
		else
			cli_print_help(c, stdout);
		return EXIT_OK;
	}
	if (cli->argc == 1 && cli_is_family(cli, cli->argv[0]) && !cli->json) {
		cli_print_family(cli, cli->argv[0], stdout);
		return EXIT_OK;
	}
	return cli_usage(cli, "no command '%s%s%s'; 'dios help' lists what there is", cli->argv[0], cli->argc > 1 ? " " : "",
		cli->argc > 1 ? cli->argv[1] : "");
}

static const struct cli_option help_options[] = {
	{ HELP_WORDS, "words", NULL, "only the words that may follow, one a line, for completion" },
	{ HELP_OPTIONS, "options", NULL, "only the command's options, one a line, for completion" },
	{ 0 },
};
const struct cli_command command_help = {
	.name = "help", .arguments = "[COMMAND...|config]", .summary = "explain the commands, one command, or the configuration keys",
	.options = help_options, .arguments_max = 2, .no_mount = true, .run = run_help,
};
