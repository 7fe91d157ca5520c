/* base/config: what a user writes, and what is said when it is wrong. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/config.h"
#include "tests/tap.h"

static const struct { const char *text, *error; } bad[] = {
	{ "nonsense\n", "dios.conf:1: 'nonsense': expected key = value" },
	{ "\n# a comment\n\ncolour = red\n", "dios.conf:4: unknown key 'colour': expected one of those in dios.conf(5)" },
	{ "Durability = full\n", "dios.conf:1: unknown key 'Durability': expected one of those in dios.conf(5)" },
	{ "= full\n", "dios.conf:1: unknown key '': expected one of those in dios.conf(5)" },
	{ "durability = maybe\n", "dios.conf:1: durability = 'maybe': expected one of full|relaxed" },
	{ "durability =\n", "dios.conf:1: durability = '': expected one of full|relaxed" },
	{ "durability = ful\n", "dios.conf:1: durability = 'ful': expected one of full|relaxed" },
	{ "durability = full|relaxed\n", "dios.conf:1: durability = 'full|relaxed': expected one of full|relaxed" },
	{ "log.level = loud\n", "dios.conf:1: log.level = 'loud': expected one of error|warning|notice|info|debug" },
	{ "inline.max = 64Q\n", "dios.conf:1: inline.max = '64Q': expected a number of bytes (suffix K, M, G or T) from 0 to 64K" },
	{ "inline.max = 65K", "dios.conf:1: inline.max = '65K': expected a number of bytes (suffix K, M, G or T) from 0 to 64K" },
	{ "workers = 4\ninline.max = -1\n", "dios.conf:2: inline.max = '-1': expected a number of bytes (suffix K, M, G or T) from 0 to 64K" },
	{ "commit.interval = 5\ncommit.interval = 6\n", "dios.conf:2: commit.interval is set a second time, first in line 1: expected each key once" },
	{ "commit.interval = 9ms", "dios.conf:1: commit.interval = '9ms': expected a duration (suffix us, ms, s, m, h or d) from 10ms to 1m" },
	{ "commit.interval = 99999999999999999999h",
	  "dios.conf:1: commit.interval = '99999999999999999999h': expected a duration (suffix us, ms, s, m, h or d) from 10ms to 1m" },
	{ "workers = 0\n", "dios.conf:1: workers = '0': expected a whole number from 1 to 256" },
	{ "workers = 4K\n", "dios.conf:1: workers = '4K': expected a whole number from 1 to 256" },
	{ "workers = 4 # threads\n", "dios.conf:1: workers = '4 # threads': expected a whole number from 1 to 256" },
	{ "workers\x01 = 4\n", "dios.conf:1: control character 0x01: expected plain text" },
	{ "workers = 4\n\x1b[31m = 4\n", "dios.conf:2: control character 0x1b: expected plain text" },
};

static void says_where_what_and_what_was_expected(void)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct config *config;
		char error[300] = "";
		config_new(&config);
		int r = config_parse(config, "dios.conf", bad[i].text, strlen(bad[i].text), error, sizeof(error));
		ok(r == -EINVAL && strcmp(error, bad[i].error) == 0, "refused: %s", error);
		if (strcmp(error, bad[i].error) != 0)
			printf("# want: %s\n", bad[i].error);
		config_free(config);
	}
}

static void reads_what_is_right(void)
{
	static const char text[] = "# comment\n\n\t inline.max=4K \t\r\ndurability = relaxed\ncommit.interval\t=\t250ms\nworkers = 3";
	struct config *config;
	char error[200] = "";

	is_int(config_new(&config), 0, "a configuration of defaults");
	is_str(config_string(config, "durability"), "full", "default as text");
	is_int(config_number(config, "durability"), 0, "a choice's number is its index");
	is_int(config_number(config, "commit.interval"), 1000000000, "default as number");
	is_int(config_parse(config, "x", text, sizeof(text) - 1, error, sizeof(error)), 0, "a good text is taken %s", error);
	is_int(config_number(config, "inline.max"), 4096, "size");
	is_str(config_string(config, "inline.max"), "4K", "text without the blanks around it");
	is_int(config_number(config, "durability"), 1, "choice");
	is_int(config_number(config, "commit.interval"), 250000000, "duration in ns");
	is_int(config_number(config, "workers"), 3, "count, in a last line without newline");
	is_int(config_parse(config, "x", "workers = 5\n", 12, error, sizeof(error)), 0, "a second text may set a key again");
	is_int(config_number(config, "workers"), 5, "and wins");
	is_int(config_number(config, "inline.max"), 4096, "what it does not name stays");
	config_free(config);
}

static void a_bad_text_changes_nothing(void)
{
	struct config *config;
	char error[200] = "";
	static const char text[] = "workers = 3\nworkers = x\n";

	config_new(&config);
	is_int(config_parse(config, "x", text, sizeof(text) - 1, error, sizeof(error)), -EINVAL, "refused as a whole");
	is_int(config_number(config, "workers"), 8, "no line of it is taken");
	char tiny[8] = "";
	is_int(config_parse(config, "dios.conf", "x", 1, tiny, sizeof(tiny)), -EINVAL, "a small place for the message is no trouble");
	is_str(tiny, "dios.co", "and is filled as far as it goes");
	is_int(config_parse(config, "dios.conf", "x", 1, NULL, 0), -EINVAL, "nor is none");
	config_free(config);
}

static void bounds_a_line(void)
{
	struct config *config;
	char error[200] = "", line[CONFIG_VALUE_MAX + 2];

	config_new(&config);
	memset(line, 'x', sizeof(line));
	line[0] = '#';
	is_int(config_parse(config, "c", line, CONFIG_VALUE_MAX, error, sizeof(error)), 0, "the longest line is taken");
	is_int(config_parse(config, "c", line, CONFIG_VALUE_MAX + 1, error, sizeof(error)), -EINVAL, "a longer one is not");
	is_str(error, "c:1: line of 4097 bytes: expected at most 4096", "and the message says so");
	memset(line, '=', sizeof(line));
	is_int(config_parse(config, "c", line, CONFIG_VALUE_MAX, error, sizeof(error)), -EINVAL, "a line of equal signs is refused");
	is_int(config_parse(config, "c", "workers = 4\0\n", 13, error, sizeof(error)), -EINVAL, "so is one with a zero byte");
	is_str(error, "c:1: control character 0x00: expected plain text", "by name");
	config_free(config);
}

static void sets_one_key(void)
{
	struct config *config;
	char error[200] = "";

	config_new(&config);
	is_int(config_set(config, "workers", "7", error, sizeof(error)), 0, "config_set");
	is_int(config_number(config, "workers"), 7, "sets the value");
	is_int(config_set(config, "workers", "many", error, sizeof(error)), -EINVAL, "a bad value is refused");
	is_str(error, "workers = 'many': expected a whole number from 1 to 256", "in words");
	is_int(config_set(config, "worker", "7", error, sizeof(error)), -EINVAL, "an unknown key is refused");
	is_str(error, "unknown key 'worker': expected one of those in dios.conf(5)", "in words");
	config_free(config);
}

static void write_file(const char *path, const char *text, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n = write(fd, text, size);
	if (n != (ssize_t)size)
		abort();
	close(fd);
}

static void loads_files(void)
{
	struct config *config;
	char error[300] = "", folder[] = "/tmp/dios-config.XXXXXX", path[64], fifo[64], expected[300];

	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/dios.conf", folder);
	snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
	config_new(&config);
	is_int(config_load(config, path, error, sizeof(error)), -ENOENT, "a missing file is -ENOENT");
	snprintf(expected, sizeof(expected), "%s: No such file or directory", path);
	is_str(error, expected, "and named");
	write_file(path, "workers = 9\n", 12);
	is_int(config_load(config, path, error, sizeof(error)), 0, "a file is read");
	is_int(config_number(config, "workers"), 9, "and taken");
	write_file(path, "workers = 9\nx\n", 14);
	is_int(config_load(config, path, error, sizeof(error)), -EINVAL, "a bad one is refused");
	snprintf(expected, sizeof(expected), "%s:2: 'x': expected key = value", path);
	is_str(error, expected, "with file and line");
	is_int(config_load(config, folder, error, sizeof(error)), -EINVAL, "a directory is refused");
	mkfifo(fifo, 0600);
	is_int(config_load(config, fifo, error, sizeof(error)), -EINVAL, "a FIFO is refused, without waiting");
	char *large = malloc(2 << 20);
	memset(large, '\n', 2 << 20);
	write_file(path, large, 2 << 20);
	free(large);
	is_int(config_load(config, path, error, sizeof(error)), -EINVAL, "a file of 2 MiB is refused");
	unlink(path);
	unlink(fifo);
	rmdir(folder);
	config_free(config);
	config_free(NULL);
}

static void the_table_is_sorted_and_complete(void)
{
	bool sorted = true, complete = true;

	for (const struct config_key *key = config_keys; key->name; key++) {
		sorted = sorted && (!key[1].name || strcmp(key->name, key[1].name) < 0);
		complete = complete && key->help && key->fallback && (key->type != CONFIG_CHOICE || key->choices);
	}
	ok(sorted, "keys are in order, none twice");
	ok(complete, "each has help and default");
}

int main(void)
{
	says_where_what_and_what_was_expected();
	reads_what_is_right();
	a_bad_text_changes_nothing();
	bounds_a_line();
	sets_one_key();
	loads_files();
	the_table_is_sorted_and_complete();
	return done_testing();
}
