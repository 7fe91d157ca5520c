/* Text for people: bytes of hostile origin made harmless for a terminal, and times and sizes as words.
 * Names in a mount are any bytes; what reaches a terminal is valid UTF-8 without control characters. */
#ifndef DIOS_MOUNT_TOOLS_TEXT_H
#define DIOS_MOUNT_TOOLS_TEXT_H

#include <stdint.h>
#include "base/buffer.h"

/* Length of the well-formed UTF-8 character at the start of data[size] (RFC 3629: no surrogates, no overlong forms), or 0. */
size_t text_utf8_length(const uint8_t *data, size_t size);
/* Appends data with control characters, backslashes and bytes that are not UTF-8 as \n, \t, \\ or \xNN. Returns what buffer_append returns. */
int text_append_printable(struct buffer *out, const void *data, size_t size);
/* The same as a string to be freed; NULL without memory. */
char *text_printable(const char *text);
/* Columns that a printable text takes: its characters. */
size_t text_width(const char *text);
/* "4096", "3.2K", "17M": at most three digits, of 1,024. */
#define TEXT_SIZE_MAX 24
void text_size(uint64_t bytes, char out[static TEXT_SIZE_MAX]);
/* "1.2s", "3m20s", "4d2h". */
#define TEXT_DURATION_MAX 24
void text_duration(int64_t ns, char out[static TEXT_DURATION_MAX]);
/* RFC 3339 in UTC with nanoseconds: "2025-01-31T10:20:30.000000000Z". */
#define TEXT_TIME_MAX 48
void text_time(int64_t ns, char out[static TEXT_TIME_MAX]);

#endif
