/* The configuration file (dios.conf(5)): "key = value" lines, '#' comments, no sections.
 * One table describes each key: type, default, bounds and help; the man page and `dios help config` are checked
 * against it. An error names file, line, key, the value found and what was expected. */
#ifndef DIOS_BASE_CONFIG_H
#define DIOS_BASE_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define CONFIG_VALUE_MAX 4096   /* longest line accepted, bytes: paths fit, a hostile file does not cost memory */

enum config_type { CONFIG_STRING, CONFIG_SIZE /* bytes, suffix K M G T */, CONFIG_DURATION /* ns, suffix us ms s m h d */,
	CONFIG_BOOL, CONFIG_CHOICE, CONFIG_COUNT };

struct config_key {
	const char *name;         /* "log.level" */
	enum config_type type;
	const char *fallback;     /* default, as text */
	const char *choices;      /* CONFIG_CHOICE: "off|read|write" */
	int64_t minimum, maximum; /* numbers, inclusive */
	const char *help;         /* one line */
};

extern const struct config_key config_keys[];   /* ends with name == NULL */

struct config;
int config_new(struct config **ret_config);                /* all defaults */
void config_free(struct config *config);
/* Parses text. On error -EINVAL and a sentence in error[size]. `source` is the file's name for messages. */
int config_parse(struct config *config, const char *source, const char *text, size_t size, char *error, size_t error_size);
int config_load(struct config *config, const char *path, char *error, size_t error_size);   /* -ENOENT if missing */
int config_set(struct config *config, const char *key, const char *value, char *error, size_t error_size);
const char *config_string(const struct config *config, const char *key);   /* borrowed; asserts that the key exists */
int64_t config_number(const struct config *config, const char *key);       /* size, duration (ns), count, bool, index of choice */

/* What a key takes, as dios.conf(5) and `dios help config` say it: "bytes, from 0 to 64K, default 64K". Cut to size. */
void config_describe(const struct config_key *key, char *out, size_t size);

int parse_size(const char *text, int64_t *ret_bytes);         /* "64K", "1.5G" refused; -EINVAL, -ERANGE */
int parse_duration(const char *text, int64_t *ret_ns);        /* "90", "1h", "250ms"; plain number is seconds */

#endif
