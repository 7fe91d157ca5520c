/* Help texts; see cli_help.h. */
#include <string.h>

#include "mount-tools/cli_help.h"

static void print_option(const struct cli_option *o, FILE *out)
{
	char form[64];
	bool letter = o->id < 256;

	snprintf(form, sizeof(form), "%c%c%c --%s%s%s", letter ? '-' : ' ', letter ? o->id : ' ', letter ? ',' : ' ', o->name,
		o->argument ? " " : "", o->argument ? o->argument : "");
	fprintf(out, "  %-28s%s%s\n", form, strlen(form) >= 28 ? "\n                              " : "", o->help);
}

void cli_print_help(const struct cli_command *c, FILE *out)
{
	fprintf(out, "usage: dios %s [OPTION]...%s%s\n%s.\n", c->name, c->arguments ? " " : "", c->arguments ? c->arguments : "", c->summary);
	if (c->details)
		fprintf(out, "\n%s\n", c->details);
	fputs("\noptions:\n", out);
	for (const struct cli_option *o = c->options; o && o->name; o++)
		print_option(o, out);
	for (const struct cli_option *o = cli_common_options; o->name; o++)
		if (!(c->no_mount && strcmp(o->name, "mount") == 0))
			print_option(o, out);
}

void cli_print_overview(const struct cli *cli, FILE *out)
{
	fputs("usage: dios [--mount DIR] [--json] [--quiet] COMMAND [OPTION]... [ARGUMENT]...\n\ncommands:\n", out);
	for (size_t i = 0; cli->commands[i]; i++)
		fprintf(out, "  %-16s%s\n", cli->commands[i]->name, cli->commands[i]->summary);
	fputs("\n'dios help COMMAND' explains one; dios(1) is the manual.\n", out);
}

void cli_print_family(const struct cli *cli, const char *family, FILE *out)
{
	size_t size = strlen(family);

	fprintf(out, "usage: dios %s VERB [OPTION]... [ARGUMENT]...\n\nverbs:\n", family);
	for (size_t i = 0; cli->commands[i]; i++) {
		const char *name = cli->commands[i]->name;

		if (strncmp(name, family, size) == 0 && name[size] == ' ')
			fprintf(out, "  %-12s%s\n", name + size + 1, cli->commands[i]->summary);
	}
	fprintf(out, "\n'dios help %s VERB' explains one.\n", family);
}

static void print_option_words(const struct cli_command *c, FILE *out)
{
	for (const struct cli_option *o = c ? c->options : NULL; o && o->name; o++)
		fprintf(out, "--%s%s\n", o->name, o->argument ? "=" : "");
	for (const struct cli_option *o = cli_common_options; o->name; o++)
		if (!(c && c->no_mount && strcmp(o->name, "mount") == 0))
			fprintf(out, "--%s%s\n", o->name, o->argument ? "=" : "");
}

void cli_print_words(const struct cli *cli, int count, char **words, bool options, FILE *out)
{
	int used = 0;
	const struct cli_command *c = cli_find_command(cli, count, words, &used);
	const char *previous = "";
	size_t previous_size = 0;

	if (options) {
		print_option_words(c, out);
		return;
	}
	if (c)
		return;
	for (size_t i = 0; cli->commands[i]; i++) {
		const char *name = cli->commands[i]->name;
		size_t size = strcspn(name, " ");

		if (count == 1 && strlen(words[0]) == size && strncmp(name, words[0], size) == 0 && name[size] == ' ')
			fprintf(out, "%s\n", name + size + 1);
		/* A family's members follow each other in the table: its word is printed once. */
		if (count == 0 && (size != previous_size || strncmp(name, previous, size) != 0))
			fprintf(out, "%.*s\n", (int)size, name);
		previous = name;
		previous_size = size;
	}
}
