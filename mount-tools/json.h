/* A small JSON writer (RFC 8259) straight to a stdio stream: nothing is kept, so that a listing may have any length.
 *
 * Names in a mount are any bytes, JSON text is Unicode. A byte that is not part of well-formed UTF-8 becomes the escape \udcNN,
 * a lone low surrogate with the byte in it, as Python's "surrogateescape" does: nothing is lost, os.fsencode() gives the bytes
 * back, and parsers that know nothing of this show a replacement character. See docs/JSON.md.
 *
 * The writer puts commas and checks nesting by assertion: a misuse is a bug of the caller. Write errors are the stream's: check
 * ferror() once at the end (cli_finish does). */
#ifndef DIOS_MOUNT_TOOLS_JSON_H
#define DIOS_MOUNT_TOOLS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH_MAX 16

struct json {
	FILE *out;                        /* borrowed */
	int depth;
	char open[JSON_DEPTH_MAX];        /* '{' or '[' for each level */
	bool filled[JSON_DEPTH_MAX];      /* the level has an item already */
	bool done;                        /* the root has been closed */
	bool in_base64;
	uint8_t carry[3];                 /* base64: bytes that wait for their group of three */
	size_t carry_size;
};

void json_init(struct json *j, FILE *out);
void json_open_object(struct json *j, const char *key);   /* key: NULL in an array and at the root */
void json_open_array(struct json *j, const char *key);
void json_close(struct json *j);                          /* the innermost (or a base64 string); the root's ends the line */
void json_string(struct json *j, const char *key, const char *text);
void json_bytes(struct json *j, const char *key, const void *data, size_t size);   /* a string; see above */
void json_uint(struct json *j, const char *key, uint64_t value);
void json_int(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
void json_number(struct json *j, const char *key, const char *digits);   /* as it is: from json_parse, or made by the caller */
/* A string of base64 (RFC 4648 section 4, padded), in pieces: open, any number of adds, close. */
void json_base64_open(struct json *j, const char *key);
void json_base64_add(struct json *j, const void *data, size_t size);
void json_base64_close(struct json *j);

#endif
