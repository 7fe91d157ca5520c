/* A small JSON reader (RFC 8259) for what the daemon says in .dios/: a whole text into a tree, strict, with bounds on size and
 * depth, so that not even a damaged daemon can make the command misbehave. Numbers keep their text: 64-bit integers stay exact. */
#ifndef DIOS_MOUNT_TOOLS_JSON_READ_H
#define DIOS_MOUNT_TOOLS_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mount-tools/json.h"

#define JSON_TEXT_MAX (16u << 20)    /* bytes: a status of a large cluster has far less */
#define JSON_READ_DEPTH_MAX 12       /* less than JSON_DEPTH_MAX: what was read can be written inside something else */

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_value {
	enum json_type type;
	char *key;                   /* in an object; else NULL */
	char *text;                  /* string: its bytes, \udcNN being the byte NN; number: its digits. NUL-terminated */
	size_t text_size;
	struct json_value *child;    /* first item */
	struct json_value *next;     /* in the same object or array */
};

/* -EBADMSG: not one JSON text, or the bounds above; -ENOMEM. The tree is the caller's. */
int json_parse(const char *text, size_t size, struct json_value **ret_value);
void json_value_free(struct json_value *value);
const struct json_value *json_get(const struct json_value *object, const char *key);       /* NULL: not an object, no such key */
const char *json_get_string(const struct json_value *object, const char *key);             /* NULL: none, or not a string */
int json_get_int(const struct json_value *object, const char *key, int64_t *ret_value);    /* -ENOENT; -EBADMSG: not a whole number */
void json_write_value(struct json *out, const char *key, const struct json_value *value);

#endif
