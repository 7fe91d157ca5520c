/* dios.conf(5) against the table of keys: every key has its paragraph, in the table's order and with what it takes; no paragraph is
 * about a key that does not exist; the example is taken by the parser. Argument: the page. */
#include <stdlib.h>

#include "base/config.h"
#include "tests/tap.h"

static char page[65536];

/* The text between two marks in the page; ends the program if they are missing. */
static char *section(const char *from, const char *to)
{
	char *start = strstr(page, from), *end = start ? strstr(start + strlen(from), to) : NULL;

	if (!ok(end != NULL, "the page has a section %.*s", (int)strcspn(from, "\n"), from))
		exit(done_testing());
	return strndup(start + strlen(from), (size_t)(end - start) - strlen(from));
}

static void each_key_has_its_paragraph(void)
{
	char *keys = section(".SH KEYS\n", ".SH "), *at = keys;

	for (const struct config_key *key = config_keys; key->name; key++) {
		char head[400], what[300];
		config_describe(key, what, sizeof(what));
		snprintf(head, sizeof(head), ".TP\n.B %s\n%s\n.IP\n", key->name, what);
		char *found = strstr(keys, head);
		ok(found && found >= at, "%s: %s", key->name, what);
		at = found ? found : at;
	}
	size_t paragraphs = 0, known = 0;
	for (const char *p = keys; (p = strstr(p, ".TP\n")); p++)
		paragraphs++;
	for (const struct config_key *key = config_keys; key->name; key++)
		known++;
	is_int(paragraphs, known, "there are as many paragraphs as keys");
	free(keys);
}

static void the_example_is_taken(void)
{
	char *example = section(".SH EXAMPLE\n.EX\n", ".EE\n"), error[300] = "";
	struct config *config;

	config_new(&config);
	is_int(config_parse(config, "example", example, strlen(example), error, sizeof(error)), 0, "the example is taken %s", error);
	config_free(config);
	free(example);
}

int main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;

	if (!ok(file != NULL, "the page is there"))
		return done_testing();
	page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
	fclose(file);
	each_key_has_its_paragraph();
	the_example_is_taken();
	return done_testing();
}
