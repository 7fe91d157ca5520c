/* Printable text; see text.h. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "mount-tools/text.h"

static bool is_continuation(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

size_t text_utf8_length(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] < 0x80)
		return 1;
	if (data[0] < 0xc2)
		return 0;   /* a continuation, or an overlong form of ASCII */
	if (data[0] < 0xe0)
		return size >= 2 && is_continuation(data[1]) ? 2 : 0;
	if (data[0] < 0xf0) {
		if (size < 3 || !is_continuation(data[1]) || !is_continuation(data[2]))
			return 0;
		if ((data[0] == 0xe0 && data[1] < 0xa0) || (data[0] == 0xed && data[1] > 0x9f))
			return 0;
		return 3;
	}
	if (data[0] > 0xf4 || size < 4 || !is_continuation(data[1]) || !is_continuation(data[2]) || !is_continuation(data[3]))
		return 0;
	if ((data[0] == 0xf0 && data[1] < 0x90) || (data[0] == 0xf4 && data[1] > 0x8f))
		return 0;
	return 4;
}

int text_append_printable(struct buffer *out, const void *data, size_t size)
{
	const uint8_t *p = data;

	while (size > 0) {
		size_t n = text_utf8_length(p, size);
		bool control = n == 1 && (*p < 0x20 || *p == 0x7f);
		bool c1 = n == 2 && p[0] == 0xc2 && p[1] < 0xa0;   /* U+0080 to U+009F: terminals obey these too */

		if (n == 0 || control || c1) {
			if (*p == '\n')
				buffer_append(out, "\\n", 2);
			else if (*p == '\t')
				buffer_append(out, "\\t", 2);
			else
				buffer_printf(out, "\\x%02x", *p);
			n = 1;
		} else if (*p == '\\') {
			buffer_append(out, "\\\\", 2);
		} else {
			buffer_append(out, p, n);
		}
		p += n;
		size -= n;
	}
	return buffer_error(out);
}

char *text_printable(const char *text)
{
	struct buffer out;

	buffer_init(&out, SIZE_MAX / 2);
	text_append_printable(&out, text, strlen(text));
	buffer_append(&out, "", 1);
	if (buffer_error(&out) < 0) {
		buffer_done(&out);
		return NULL;
	}
	return (char *)out.data;   /* the caller's from here on */
}

size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += !is_continuation((uint8_t)*text);
	return width;
}

void text_size(uint64_t bytes, char out[static TEXT_SIZE_MAX])
{
	static const char units[] = "KMGTPE";
	uint64_t tenths = bytes;
	int unit = -1;

	if (bytes < 1024) {
		snprintf(out, TEXT_SIZE_MAX, "%" PRIu64, bytes);
		return;
	}
	/* Rounded up like ls -h: a size is never shown smaller than it is. */
	do {
		tenths = unit < 0 ? (bytes / 1024) * 10 + ((bytes % 1024) * 10 + 1023) / 1024 : (tenths + 1023) / 1024;
		unit++;
	} while (tenths >= 10240 && unit < 5);
	if (tenths < 100)
		snprintf(out, TEXT_SIZE_MAX, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10, units[unit]);
	else
		snprintf(out, TEXT_SIZE_MAX, "%" PRIu64 "%c", (tenths + 9) / 10, units[unit]);
}

void text_duration(int64_t ns, char out[static TEXT_DURATION_MAX])
{
	int64_t s = ns / NS_PER_SECOND, ms = ns / NS_PER_MS;

	if (ns < 0)
		snprintf(out, TEXT_DURATION_MAX, "-");
	else if (s < 1)
		snprintf(out, TEXT_DURATION_MAX, "%" PRId64 "ms", ms);
	else if (s < 60)
		snprintf(out, TEXT_DURATION_MAX, "%" PRId64 ".%" PRId64 "s", s, ms % 1000 / 100);
	else if (s < 3600)
		snprintf(out, TEXT_DURATION_MAX, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, TEXT_DURATION_MAX, "%" PRId64 "h%" PRId64 "m", s / 3600, s % 3600 / 60);
	else
		snprintf(out, TEXT_DURATION_MAX, "%" PRId64 "d%" PRId64 "h", s / 86400, s % 86400 / 3600);
}

void text_time(int64_t ns, char out[static TEXT_TIME_MAX])
{
	int64_t nanoseconds = ns % NS_PER_SECOND;
	time_t s = (time_t)(ns / NS_PER_SECOND);
	struct tm tm;
	char date[32];

	if (nanoseconds < 0) {
		nanoseconds += NS_PER_SECOND;
		s--;
	}
	if (!gmtime_r(&s, &tm) || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
		snprintf(out, TEXT_TIME_MAX, "-");
		return;
	}
	snprintf(out, TEXT_TIME_MAX, "%s.%09" PRId64 "Z", date, nanoseconds);
}
