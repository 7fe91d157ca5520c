/* The frame of the command: what it makes of a command line. The commands here are the test's own. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "mount-tools/cli.h"
#include "mount-tools/cli_help.h"
#include "tests/tap.h"

static struct cli cli;
static int runs;
static char seen[256];       /* options and arguments of the last run, in order */

static int record(struct cli *c)
{
	size_t used = 0;

	runs++;
	seen[0] = '\0';
	for (size_t i = 0; i < c->given_count; i++)
		used += (size_t)snprintf(seen + used, sizeof(seen) - used, "%d=%s ", c->given[i].id, c->given[i].value ? c->given[i].value : "-");
	for (int i = 0; i < c->argc; i++)
		used += (size_t)snprintf(seen + used, sizeof(seen) - used, "%s ", c->argv[i]);
	if (c->json)
		snprintf(seen + used, sizeof(seen) - used, "json ");
	return 7;
}

static const struct cli_option options[] = {
	{ 'a', "all", NULL, "everything" }, { 'n', "number", "N", "how many" }, { 300, "long", "TEXT", "no letter" }, { 0 },
};
static const struct cli_command one = { .name = "one", .arguments = "FILE [FILE]", .summary = "the first", .options = options,
	.arguments_min = 1, .arguments_max = 2, .run = record };
static const struct cli_command run = { .name = "run", .arguments = "PROG ARG...", .summary = "stops", .options = options,
	.arguments_min = 1, .arguments_max = -1, .stop_at_argument = true, .run = record };
static const struct cli_command cap_mint = { .name = "cap mint", .summary = "of a family", .options = options, .run = record };
static const struct cli_command cap_show = { .name = "cap show", .summary = "of a family too", .no_mount = true, .run = record };
static const struct cli_command *const table[] = { &one, &run, &cap_mint, &cap_show, NULL };

/* Runs a command line given as one text, with standard output and error in files; returns the status. */
static char out[4096], err[4096];

static void slurp(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);
	text[n > 0 ? n : 0] = '\0';
}

static int cli_do(const char *line)
{
	static char words[1024];
	char *argv[64] = { "dios" };
	int argc = 1, saved[2] = { dup(1), dup(2) }, status;
	int files[2] = { open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) };

	snprintf(words, sizeof(words), "%s", line);
	for (char *p = words; *p;) {
		argv[argc++] = p;
		p += strcspn(p, " ");
		if (*p)
			*p++ = '\0';
	}
	cli = (struct cli){ .commands = table };
	fflush(stdout);
	dup2(files[0], 1);
	dup2(files[1], 2);
	seen[0] = '\0';
	runs = 0;
	status = cli_main(&cli, argc, argv);
	fflush(stdout);
	dup2(saved[0], 1);
	dup2(saved[1], 2);
	slurp(files[0], out, sizeof(out));
	slurp(files[1], err, sizeof(err));
	for (int i = 0; i < 2; i++) {
		close(saved[i]);
		close(files[i]);
	}
	return status;
}

static void test_accepted(void)
{
	static const char *const rows[][2] = {
		{ "one f", "f " }, { "one -a f", "97=- f " }, { "one f -a", "97=- f " }, { "one --all f g", "97=- f g " }, { "one -n 3 f", "110=3 f " },
		{ "one -n3 f", "110=3 f " }, { "one --number 3 f", "110=3 f " }, { "one --number=3 f", "110=3 f " }, { "one --number= f", "110= f " },
		{ "one -an3 f", "97=- 110=3 f " }, { "one -n -a f", "110=-a f " }, { "one --long x --long y f", "300=x 300=y f " }, { "one -- -a", "-a " },
		{ "one f -- --all", "f --all " }, { "one -", "- " }, { "--json one f", "f json " }, { "one --json f", "f json " },
		{ "--mount /m one f", "f " }, { "one --mount=/m f", "f " }, { "run -a p -a --number", "97=- p -a --number " }, { "run -- -p --all", "-p --all " },
		{ "run p -- q", "p -- q " },
		{ "one -Zz345678901234567890123456789012345678901" "A", "-Zz345678901234567890123456789012345678901" "A " },
		{ "one --z345678901234567890123456789012345678901" "A -a", "97=- --z345678901234567890123456789012345678901" "A " }, { "cap mint -a", "97=- " }, { "cap show", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		is_int(cli_do(rows[i][0]), 7, "'%s' is run", rows[i][0]);
		is_str(seen, rows[i][1], "'%s' is taken apart", rows[i][0]);
	}
}

static void test_refused(void)
{
	static const char *const rows[][2] = {
		{ "one", "dios one: needs FILE [FILE]" }, { "one f g h", "dios one: one argument too many: 'h'" }, { "one --such f", "dios one: unknown option '--such'" },
		{ "one -x f", "dios one: unknown option '-x'" }, { "one -ax f", "unknown option '-x'" }, { "one --all=3 f", "option '--all' takes no value" },
		{ "one f -n", "option '-n' needs a value: -n N" }, { "one f --number", "option '--number' needs a value: --number N" }, { "two", "unknown command 'two'" },
		{ "cap", "'cap' needs a verb" }, { "cap burn", "unknown command 'cap burn'" }, { "--such one f", "unknown option '--such'" },
		{ "cap mint x", "takes no argument, found 'x'" }, { "cap show --mount /m", "unknown option '--mount'" }, { "--mount", "option '--mount' needs a value" },
		{ "-a one f", "unknown option '-a'" }, { "run", "needs PROG ARG..." },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		is_int(cli_do(rows[i][0]), EXIT_USAGE, "'%s' is wrong usage", rows[i][0]);
		ok(runs == 0 && strstr(err, rows[i][1]) && strstr(err, "--help"), "'%s' says: %s", rows[i][0], rows[i][1]);
	}
	cli_do("one --json \x1b[31m g h");
	ok(strstr(err, "\\x1b") == NULL && strchr(err, '\x1b') == NULL, "what is not named is not printed");
	cli_do("one --json f g \x1b[31m");
	ok(strstr(err, "'\\x1b[31m'") && !strchr(err, '\x1b'), "what is printed of an argument is escaped");
	ok(strstr(out, "{\"error\": {\"command\": \"one\", \"errno\": 22, \"code\": \"EINVAL\"") == out, "with --json the refusal is JSON too");
}

static void test_help(void)
{
	is_int(cli_do("one --help"), EXIT_OK, "--help is no error");
	ok(strstr(out, "usage: dios one [OPTION]... FILE [FILE]\n") == out && runs == 0, "it begins with the usage and runs nothing");
	for (const struct cli_option *o = options; o->name; o++)
		ok(strstr(out, o->name) && strstr(out, o->help), "it explains --%s", o->name);
	ok(strstr(out, "--mount") && strstr(out, "--json") && strstr(out, "--help"), "it explains the common options");
	cli_do("cap show --help");
	ok(!strstr(out, "--mount"), "a command that asks no mount has no --mount");
	is_int(cli_do("--help"), EXIT_OK, "so has the whole");
	ok(strstr(out, "cap mint") && strstr(out, "the first"), "it lists the commands");
	is_int(cli_do("cap --help"), EXIT_OK, "and a family");
	is_int(cli_do(""), EXIT_USAGE, "nothing at all is wrong usage");
	is_int(cli_do("run p --help"), 7, "--help behind a program is the program's");
}

static void test_values(void)
{
	static const struct cli_option sizes[] = { { 's', "size", "SIZE", "" }, { 'd', "duration", "DURATION", "" }, { 'n', "number", "N", "" }, { 0 } };
	static const struct cli_command c = { .name = "c", .options = sizes, .run = record };
	static const struct cli_command *const only[] = { &c, NULL };
	struct cli v = { .commands = only, .command = &c, .given = { { 's', "4K" }, { 'd', "90" }, { 'n', "12" } }, .given_count = 3 };
	uint64_t size = 0, number = 0;
	int64_t ns = 0;

	ok(cli_size(&v, 's', &size) == 0 && size == 4096, "a size");
	ok(cli_duration(&v, 'd', &ns) == 0 && ns == 90 * 1000000000LL, "a duration");
	ok(cli_count_value(&v, 'n', 1, 12, &number) == 0 && number == 12, "a number");
	size = 5;
	ok(cli_size(&v, 'x', &size) == 0 && size == 5, "what is not given stays");
	v.given[3] = (struct cli_given){ 's', "1M" };
	v.given_count = 4;
	ok(cli_size(&v, 's', &size) == 0 && size == 1 << 20 && cli_count(&v, 's') == 2, "the last one counts");
	ok(cli_has(&v, 'n') && !cli_has(&v, 'x') && !cli_value(&v, 'x'), "given or not");
}

/* The refusals print: they are looked at through a command. */
static int run_values(struct cli *c)
{
	uint64_t n = 0;
	int64_t ns;

	return cli_size(c, 's', &n) || cli_duration(c, 'd', &ns) || cli_count_value(c, 'n', 1, 12, &n) ? EXIT_USAGE : EXIT_OK;
}

static void test_bad_values(void)
{
	static const struct cli_option sizes[] = { { 's', "size", "SIZE", "" }, { 'd', "duration", "DURATION", "" }, { 'n', "number", "N", "" }, { 0 } };
	static const struct cli_command c = { .name = "one", .options = sizes, .run = run_values };
	static const struct cli_command *const saved = &c;
	static const char *const rows[][2] = {
		{ "-s 4X", "--size: '4X' is not a size" }, { "-s -1", "--size: '-1' is not a size" }, { "-d 1y", "--duration: '1y' is not a duration" },
		{ "-n 0", "--number: '0' is not a number from 1 to 12" }, { "-n 13", "'13' is not" }, { "-n 1x", "'1x' is not" }, { "-n +1", "'+1' is not" },
		{ "-n 99999999999999999999", "is not a number" },
	};
	const struct cli_command *const only[] = { saved, NULL };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *argv[] = { "dios", "one", (char[3]){ rows[i][0][0], rows[i][0][1], '\0' }, (char *)(uintptr_t)(rows[i][0] + 3), NULL };
		int keep = dup(2), file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

		cli = (struct cli){ .commands = only };
		dup2(file, 2);
		int status = cli_main(&cli, 4, argv);
		dup2(keep, 2);
		slurp(file, err, sizeof(err));
		close(keep);
		close(file);
		ok(status == EXIT_USAGE && strstr(err, rows[i][1]), "%s: %s", rows[i][0], rows[i][1]);
	}
}

int main(void)
{
	test_accepted();
	test_refused();
	test_help();
	test_values();
	test_bad_values();
	return done_testing();
}
