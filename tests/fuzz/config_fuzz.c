/* Any bytes as a configuration file, as one value, and as a size or duration. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/config.h"
#include "base/error.h"
#include "tests/fuzz/fuzz.h"

static struct config *defaults(void)
{
	struct config *config = NULL;

	fuzz_check(config_new(&config) == 0);
	return config;
}

static void values_are_within_bounds(const struct config *config)
{
	for (const struct config_key *key = config_keys; key->name; key++) {
		int64_t number = config_number(config, key->name);
		fuzz_check(config_string(config, key->name));
		if (key->type == CONFIG_SIZE || key->type == CONFIG_DURATION || key->type == CONFIG_COUNT)
			fuzz_check(number >= key->minimum && number <= key->maximum);
		else if (key->type == CONFIG_BOOL)
			fuzz_check(number == 0 || number == 1);
	}
}

static void same_values(const struct config *a, const struct config *b)
{
	for (const struct config_key *key = config_keys; key->name; key++) {
		fuzz_check(config_number(a, key->name) == config_number(b, key->name));
		fuzz_check(strcmp(config_string(a, key->name), config_string(b, key->name)) == 0);
	}
}

static void sentence(const char *error, size_t size)
{
	size_t length = strnlen(error, size);

	fuzz_check(length > 0 && length < size);
	for (size_t i = 0; i < length; i++)
		fuzz_check(((unsigned char)error[i] >= 0x20 || error[i] == '\t') && error[i] != 0x7f);
}

/* What was accepted, written out value by value, is accepted one by one. */
static void accepted_values_can_be_set(const struct config *config)
{
	struct config *other = defaults();
	char error[256];

	for (const struct config_key *key = config_keys; key->name; key++)
		fuzz_check(config_set(other, key->name, config_string(config, key->name), error, sizeof(error)) == 0);
	same_values(config, other);
	config_free(other);
}

static void file_is_taken_whole_or_not(const char *text, size_t size)
{
	struct config *config = defaults(), *untouched = defaults();
	char error[256] = "", small[8] = "";
	int r = config_parse(config, "dios.conf", text, size, error, sizeof(error));

	fuzz_check(r == 0 || r == -EINVAL);
	values_are_within_bounds(config);
	if (r < 0) {
		sentence(error, sizeof(error));
		same_values(config, untouched);
		fuzz_check(config_parse(config, "dios.conf", text, size, small, sizeof(small)) == r && strnlen(small, 8) < 8);
		fuzz_check(config_parse(config, "dios.conf", text, size, NULL, 0) == r);
	} else {
		accepted_values_can_be_set(config);
	}
	config_free(config);
	config_free(untouched);
}

static void loading_is_parsing(const char *text, size_t size)
{
	struct config *loaded = defaults(), *parsed = defaults();
	char path[32], error[256] = "", other[256] = "";
	_cleanup_close_ int fd = memfd_create("dios.conf", MFD_CLOEXEC);

	fuzz_check(fd >= 0 && pwrite(fd, text, size, 0) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int r = config_load(loaded, path, error, sizeof(error));
	if (r != -ENOENT) {   /* /proc is not there */
		fuzz_check(config_parse(parsed, path, text, size, other, sizeof(other)) == r && strcmp(error, other) == 0);
		same_values(loaded, parsed);
	}
	config_free(loaded);
	config_free(parsed);
}

static void one_value(const char *text)
{
	struct config *config = defaults();
	char error[256] = "";
	int64_t number;

	for (const struct config_key *key = config_keys; key->name; key++)
		config_set(config, key->name, text, error, sizeof(error));
	values_are_within_bounds(config);
	config_set(config, text, text, error, sizeof(error));
	values_are_within_bounds(config);
	if (parse_size(text, &number) == 0)
		fuzz_check(number >= 0);
	if (parse_duration(text, &number) == 0)
		fuzz_check(number >= 0);
	config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	file_is_taken_whole_or_not((const char *)data, size);
	loading_is_parsing((const char *)data, size);
	one_value(text);
	return 0;
}
