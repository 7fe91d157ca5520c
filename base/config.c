/* The configuration: one value for each entry of config_keys[], always complete and within its bounds. A text is taken
 * as a whole or not at all: it is read into a copy that replaces the old values at the end. */
#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/config.h"

#define CONFIG_FILE_MAX (1 << 20)   /* bytes; there are fewer than a hundred keys */

struct config_value {
	char *text;       /* owned */
	int64_t number;
	int line;         /* where the text being parsed set it; 0: not */
};

struct config {
	size_t count;
	struct config_value values[];   /* in the order of config_keys[] */
};

/* Where a message points: a file and a line, or nowhere. */
struct place { const char *source; int line; char *error; size_t error_size; };

static int _printf_(2, 3) complain(const struct place *at, const char *format, ...)
{
	va_list ap;
	int n = 0;

	if (at->error_size == 0)
		return -EINVAL;
	if (at->source)
		n = snprintf(at->error, at->error_size, "%s:%d: ", at->source, at->line);
	if (n < 0 || (size_t)n >= at->error_size)
		return -EINVAL;
	va_start(ap, format);
	vsnprintf(at->error + n, at->error_size - (size_t)n, format, ap);
	va_end(ap);
	return -EINVAL;
}

static size_t keys_count(void)
{
	size_t n = 0;

	while (config_keys[n].name)
		n++;
	return n;
}

static int key_find(const char *name, size_t size)
{
	for (int i = 0; config_keys[i].name; i++)
		if (strlen(config_keys[i].name) == size && memcmp(config_keys[i].name, name, size) == 0)
			return i;
	return -ENOENT;
}

static int choice_index(const char *choices, const char *text)
{
	size_t size = strlen(text);

	for (int i = 0; ; i++) {
		size_t n = strcspn(choices, "|");
		if (n == size && memcmp(choices, text, n) == 0)
			return i;
		if (choices[n] == '\0')
			return -EINVAL;
		choices += n + 1;
	}
}

/* A number the way a person would write it: "64K", "1s"; the largest unit that divides it. */
static const char *number_text(enum config_type type, int64_t value, char *out, size_t size)
{
	static const struct { const char *suffix; int64_t factor; } units[2][6] = {
		{ { "T", 1LL << 40 }, { "G", 1LL << 30 }, { "M", 1LL << 20 }, { "K", 1LL << 10 }, { "", 1 } },
		{ { "d", 86400 * NS_PER_SECOND }, { "h", 3600 * NS_PER_SECOND }, { "m", 60 * NS_PER_SECOND }, { "s", NS_PER_SECOND },
		  { "ms", NS_PER_MS }, { "us", 1000 } },
	};
	int i = 0, row = type == CONFIG_DURATION;

	if (type == CONFIG_COUNT || value == 0) {
		snprintf(out, size, "%" PRId64, value);
		return out;
	}
	while (i < 5 && units[row][i].factor > 1 && value % units[row][i].factor != 0)
		i++;
	snprintf(out, size, "%" PRId64 "%s", value / units[row][i].factor, units[row][i].suffix);
	return out;
}

static int complain_value(const struct place *at, const struct config_key *key, const char *text)
{
	static const char *const what[] = {
		[CONFIG_SIZE] = "a number of bytes (suffix K, M, G or T)", [CONFIG_DURATION] = "a duration (suffix us, ms, s, m, h or d)",
		[CONFIG_COUNT] = "a whole number",
	};
	char low[32], high[32];

	if (key->type == CONFIG_BOOL)
		return complain(at, "%s = '%s': expected yes or no", key->name, text);
	if (key->type == CONFIG_CHOICE)
		return complain(at, "%s = '%s': expected one of %s", key->name, text, key->choices);
	return complain(at, "%s = '%s': expected %s from %s to %s", key->name, text, what[key->type],
		number_text(key->type, key->minimum, low, sizeof(low)), number_text(key->type, key->maximum, high, sizeof(high)));
}

void config_describe(const struct config_key *key, char *out, size_t size)
{
	static const char *const what[] = {
		[CONFIG_STRING] = "text", [CONFIG_BOOL] = "yes or no", [CONFIG_SIZE] = "bytes", [CONFIG_DURATION] = "duration",
		[CONFIG_COUNT] = "number",
	};
	char low[32], high[32];

	if (key->type == CONFIG_CHOICE)
		snprintf(out, size, "one of %s, default %s", key->choices, key->fallback);
	else if (key->type == CONFIG_STRING || key->type == CONFIG_BOOL)
		snprintf(out, size, "%s, default %s", what[key->type], key->fallback);
	else
		snprintf(out, size, "%s, from %s to %s, default %s", what[key->type],
			number_text(key->type, key->minimum, low, sizeof(low)),
			number_text(key->type, key->maximum, high, sizeof(high)), key->fallback);
}

static int parse_count(const char *text, int64_t *ret_count)
{
	/* digits only: parse_size() takes suffixes too */
	return text[strspn(text, "0123456789")] == '\0' ? parse_size(text, ret_count) : -EINVAL;
}

static int value_number(const struct config_key *key, const char *text, int64_t *ret_number)
{
	int64_t number = 0;
	int r = 0;

	switch (key->type) {
	case CONFIG_STRING:
		break;
	case CONFIG_SIZE:
		r = parse_size(text, &number);
		break;
	case CONFIG_DURATION:
		r = parse_duration(text, &number);
		break;
	case CONFIG_COUNT:
		r = parse_count(text, &number);
		break;
	case CONFIG_BOOL:
		number = strcmp(text, "yes") == 0;
		r = number || strcmp(text, "no") == 0 ? 0 : -EINVAL;
		break;
	case CONFIG_CHOICE:
		r = choice_index(key->choices, text);
		number = r;
		break;
	}
	if (r < 0)
		return -EINVAL;
	bool bounded = key->type == CONFIG_SIZE || key->type == CONFIG_DURATION || key->type == CONFIG_COUNT;
	if (bounded && (number < key->minimum || number > key->maximum))
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int value_set(struct config *config, int index, const char *text, const struct place *at)
{
	const struct config_key *key = &config_keys[index];
	struct config_value *value = &config->values[index];
	int64_t number;

	if (value_number(key, text, &number) < 0)
		return complain_value(at, key, text);
	char *copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(value->text);
	value->text = copy;
	value->number = number;
	value->line = at->line;
	return 0;
}

int config_new(struct config **ret_config)
{
	static const struct place nowhere = { 0 };
	size_t count = keys_count();
	struct config *config = calloc(1, sizeof(*config) + count * sizeof(config->values[0]));

	if (!config)
		return -ENOMEM;
	config->count = count;
	for (size_t i = 0; i < count; i++) {
		int r = value_set(config, (int)i, config_keys[i].fallback, &nowhere);
		assert(r != -EINVAL);   /* a default outside its own bounds is a bug in the table */
		if (r < 0) {
			config_free(config);
			return r;
		}
	}
	*ret_config = config;
	return 0;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->count; i++)
		free(config->values[i].text);
	free(config);
}

static int config_copy(const struct config *from, struct config **ret_copy)
{
	struct config *copy;
	int r = config_new(&copy);

	if (r < 0)
		return r;
	for (size_t i = 0; i < copy->count; i++) {
		char *text = strdup(from->values[i].text);
		if (!text) {
			config_free(copy);
			return -ENOMEM;
		}
		free(copy->values[i].text);
		copy->values[i] = (struct config_value){ .text = text, .number = from->values[i].number };
	}
	*ret_copy = copy;
	return 0;
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

static const char *trim_blanks(const char *start, const char *end)
{
	while (end > start && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	return end;
}

/* One line without its newline. What goes into a message has been checked for control characters before. */
static int parse_line(struct config *config, const char *line, const char *end, const struct place *at)
{
	char value[CONFIG_VALUE_MAX + 1];

	if (end - line > CONFIG_VALUE_MAX)
		return complain(at, "line of %td bytes: expected at most %d", end - line, CONFIG_VALUE_MAX);
	line = skip_blanks(line, end);
	end = trim_blanks(line, end);
	if (line == end || *line == '#')
		return 0;
	for (const char *p = line; p < end; p++)
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return complain(at, "control character 0x%02x: expected plain text", (unsigned char)*p);

	const char *equals = memchr(line, '=', (size_t)(end - line));
	if (!equals)
		return complain(at, "'%.*s': expected key = value", (int)(end - line > 80 ? 80 : end - line), line);
	const char *key_end = trim_blanks(line, equals);
	int index = key_find(line, (size_t)(key_end - line));
	if (index < 0)
		return complain(at, "unknown key '%.*s': expected one of those in dios.conf(5)",
			(int)(key_end - line > 80 ? 80 : key_end - line), line);
	if (config->values[index].line > 0)
		return complain(at, "%s is set a second time, first in line %d: expected each key once",
			config_keys[index].name, config->values[index].line);

	const char *start = skip_blanks(equals + 1, end);
	memcpy(value, start, (size_t)(end - start));
	value[end - start] = '\0';
	return value_set(config, index, value, at);
}

int config_parse(struct config *config, const char *source, const char *text, size_t size, char *error, size_t error_size)
{
	struct place at = { .source = source, .error = error, .error_size = error_size };
	struct config *copy;
	int r = config_copy(config, &copy);
	const char *end = text + size;

	if (r < 0)
		return r;
	while (text < end && r == 0) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *line_end = newline ? newline : end;
		at.line++;
		r = parse_line(copy, text, line_end, &at);
		text = newline ? newline + 1 : end;
	}
	for (size_t i = 0; r == 0 && i < config->count; i++) {
		struct config_value old = config->values[i];
		config->values[i] = copy->values[i];
		config->values[i].line = 0;
		copy->values[i] = old;
	}
	config_free(copy);
	return r;
}

/* Reads up to size bytes; -EFBIG if there are more. */
static ssize_t read_whole(int fd, char *out, size_t size)
{
	size_t used = 0;

	for (;;) {
		ssize_t n = read(fd, out + used, size - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return (ssize_t)used;
		used += (size_t)n;
		if (used == size)
			return -EFBIG;
	}
}

int config_load(struct config *config, const char *path, char *error, size_t error_size)
{
	/* O_NONBLOCK: a FIFO in the file's place must not hang the daemon */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int e = errno;
		snprintf(error, error_size, "%s: %s", path, strerror(e));
		return -e;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(error, error_size, "%s: expected a regular file", path);
		return -EINVAL;
	}
	_cleanup_free_ char *text = malloc(CONFIG_FILE_MAX);
	if (!text)
		return -ENOMEM;
	ssize_t size = read_whole(fd, text, CONFIG_FILE_MAX);
	if (size == -EFBIG) {
		snprintf(error, error_size, "%s: expected less than %d bytes", path, CONFIG_FILE_MAX);
		return -EINVAL;
	}
	if (size < 0) {
		snprintf(error, error_size, "%s: %s", path, strerror((int)-size));
		return (int)size;
	}
	return config_parse(config, path, text, (size_t)size, error, error_size);
}

int config_set(struct config *config, const char *key, const char *value, char *error, size_t error_size)
{
	struct place at = { .error = error, .error_size = error_size };
	int index = key_find(key, strlen(key));

	if (index < 0)
		return complain(&at, "unknown key '%.80s': expected one of those in dios.conf(5)", key);
	if (strlen(value) > CONFIG_VALUE_MAX)
		return complain(&at, "%s: value of %zu bytes: expected at most %d", key, strlen(value), CONFIG_VALUE_MAX);
	return value_set(config, index, value, &at);
}

static const struct config_value *value_get(const struct config *config, const char *key)
{
	int index = key_find(key, strlen(key));

	assert(index >= 0);
	return &config->values[index];
}

const char *config_string(const struct config *config, const char *key)
{
	return value_get(config, key)->text;
}

int64_t config_number(const struct config *config, const char *key)
{
	return value_get(config, key)->number;
}
