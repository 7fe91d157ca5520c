/* dios status: what the daemon behind a mount says of itself in .dios/status, as a person would. What is wrong comes first: what, since when, what dios does
 * about it, and what to type. With nothing wrong it is one short page. */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "mount-tools/ask.h"
#include "mount-tools/cli_mount.h"
#include "mount-tools/commands.h"
#include "mount-tools/json_read.h"
#include "mount-tools/text.h"

#define LINE_WIDTH 100

static int read_status(struct cli *cli, const char *mount, struct json_value **ret_status)
{
	_cleanup_free_ char *path = cli_dios_path(cli, mount, "status");
	_cleanup_buffer_ struct buffer text;

	buffer_init(&text, CLI_FILE_MAX);
	if (!path)
		return EXIT_FAILED;
	int r = ask_read(path, &text);
	if (r == -ETIMEDOUT)
		return ask_failed(cli, mount);
	if (r == 0)
		r = json_parse((char *)text.data, text.size, ret_status);
	else
		r = cli_object_failed(cli, r, "read", path);
	if (r == 0 && (*ret_status)->type != JSON_OBJECT) {
		json_value_free(*ret_status);
		r = -EBADMSG;
	}
	if (r < 0)
		r = cli_fail_advised(cli, r, "the daemon is of another version?", "%s is not what was expected", path);
	return r;
}

static const char *text_of(const struct json_value *object, const char *key)
{
	const char *text = json_get_string(object, key);

	return text ? text : "-";
}

static uint64_t number_of(const struct json_value *object, const char *key)
{
	int64_t value;

	return json_get_int(object, key, &value) == 0 && value > 0 ? (uint64_t)value : 0;
}

/* "since 2025-01-31 10:20, for 3h": local time, as the person's clock on the wall. */
static void print_since(const char *utc)
{
	char when[32], how_long[TEXT_DURATION_MAX];
	struct tm tm = { 0 };

	if (!strptime(utc, "%Y-%m-%dT%H:%M:%S", &tm)) {
		printf("at an unknown time");
		return;
	}
	time_t then = timegm(&tm), now = time(NULL);
	localtime_r(&then, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	text_duration((now - then) * NS_PER_SECOND, how_long);
	printf("%s%s%s", when, now > then ? ", for " : ", just now", now > then ? how_long : "");
}

/* "label  text", whose lines go on below each other; text may come from a file name, so it is made printable. */
static void print_paragraph(const char *label, const char *text)
{
	_cleanup_free_ char *printable = text_printable(text);
	int column = printf("  %-13s", label);

	for (const char *word = printable ? printable : "?"; *word;) {
		size_t size = strcspn(word, " ");
		if (column > 15 && column + (int)size + 1 > LINE_WIDTH)
			column = printf("\n%15s", "") - 1;
		column += printf("%s%.*s", column > 15 ? " " : "", (int)size, word);
		word += size + (word[size] == ' ');
	}
	putchar('\n');
}

static bool needs_person(const struct json_value *condition)
{
	return strcmp(text_of(condition, "severity"), "note") != 0;
}

static void print_condition(const struct json_value *c)
{
	const char *severity = text_of(c, "severity");
	_cleanup_free_ char *id = text_printable(text_of(c, "id"));

	printf("%s: %s\n", strcmp(severity, "error") == 0 ? "ERROR" : strcmp(severity, "warning") == 0 ? "WARNING" : "NOTE", id ? id : "?");
	print_paragraph("what", text_of(c, "what"));
	printf("  %-13s", "since");
	print_since(text_of(c, "since"));
	putchar('\n');
	print_paragraph("dios", text_of(c, "does"));
	print_paragraph("you", text_of(c, "remedy"));
	putchar('\n');
}

/* Of the file system that the data is on, as df(1) counts. */
static void print_room(const struct json_value *status)
{
	char free_text[TEXT_SIZE_MAX], total_text[TEXT_SIZE_MAX], bytes_text[TEXT_SIZE_MAX];
	uint64_t total = number_of(status, "total_bytes"), left = number_of(status, "free_bytes");

	text_size(left, free_text);
	text_size(total, total_text);
	text_size(number_of(status, "bytes"), bytes_text);
	printf("  %-13s%llu, with %s bytes in them\n", "objects", (unsigned long long)number_of(status, "objects"), bytes_text);
	printf("  %-13s%s of %s free (%llu%% used)\n", "disk", free_text, total_text,
		(unsigned long long)(total > 0 && left <= total ? (total - left) * 100 / total : 0));
}

/* What the scrubber does, and how far it is. */
static void print_scrub(const struct json_value *status)
{
	const struct json_value *scrub = json_get(status, "scrub");
	uint64_t done = scrub ? number_of(scrub, "done_bytes") : 0, total = scrub ? number_of(scrub, "total_bytes") : 0;

	if (!scrub)
		return;
	printf("  %-13s%s", "scrubber", text_of(scrub, "state"));
	if (strcmp(text_of(scrub, "state"), "reading") == 0)
		printf(", %llu%% of this pass", (unsigned long long)(total > 0 && done < total ? done * 100 / total : 100));
	printf(", %llu whole pass%s", (unsigned long long)number_of(scrub, "passes"), number_of(scrub, "passes") == 1 ? "" : "es");
	if (json_get_string(scrub, "last_full")) {
		printf(", the last ended ");
		print_since(json_get_string(scrub, "last_full"));
	}
	putchar('\n');
}

static void print_facts(const struct json_value *status, const char *mount)
{
	const struct json_value *at = json_get(status, "mount");
	uint64_t running = number_of(status, "tasks_running"), waiting = number_of(status, "tasks_waiting"), starts = number_of(status, "starts");

	print_paragraph("mount", at && at->type == JSON_STRING ? at->text : mount);
	print_paragraph("data", text_of(status, "data"));
	printf("  %-13s", "mounted");
	print_since(text_of(status, "mounted"));
	printf("\n  %-13spid %llu (version %s), started ", "daemon", (unsigned long long)number_of(status, "daemon_pid"), text_of(status, "version"));
	print_since(text_of(status, "started"));
	if (starts > 1)
		printf(", %llu%s start", (unsigned long long)starts, starts == 2 ? "nd" : starts == 3 ? "rd" : "th");
	printf("\n  %-13spid %llu\n", "holder", (unsigned long long)number_of(status, "holder_pid"));
	print_room(status);
	printf("  %-13s%llu running, %llu waiting\n", "tasks", (unsigned long long)running, (unsigned long long)waiting);
	print_scrub(status);
	printf("  %-13sdurability %s, passthrough %s, libfuse %s\n", "settings", text_of(status, "durability"), text_of(status, "passthrough"),
		text_of(status, "libfuse"));
}

static int run_status(struct cli *cli)
{
	const char *mount = cli_mount(cli, NULL);
	struct json_value *status = NULL;
	int wrong = 0, notes = 0;

	if (!mount)
		return EXIT_FAILED;
	int r = read_status(cli, mount, &status);
	if (r != 0)
		return r;
	const struct json_value *conditions = json_get(status, "conditions");
	for (const struct json_value *c = conditions ? conditions->child : NULL; c; c = c->next)
		*(needs_person(c) ? &wrong : &notes) += 1;
	if (cli->json) {
		json_write_value(&cli->writer, NULL, status);
	} else {
		if (wrong > 0)
			printf("%d thing%s a person:\n\n", wrong, wrong == 1 ? " needs" : "s need");
		else
			printf("all is well%s\n\n", notes > 0 ? "; worth knowing:" : "");
		for (const struct json_value *c = conditions ? conditions->child : NULL; c; c = c->next)
			print_condition(c);
		print_facts(status, mount);
	}
	json_value_free(status);
	return wrong > 0 ? EXIT_FAILED : EXIT_OK;
}

const struct cli_command command_status = {
	.name = "status", .summary = "say what is wrong with the mount, and how it is",
	.details = "What is wrong comes first: what, since when, what dios does about it, and what to type. Exits with 0 if nothing needs a person (notes\n"
		"do not), with 1 if something does, or the mount does not answer.",
	.run = run_status,
};
