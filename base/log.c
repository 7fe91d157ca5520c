/* The structured log. One write(2) a line, so that lines of several threads and processes don't mix; log_mutex guards
 * the call sites' windows. A plain mutex without a rank: a line may be written under any lock. */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/counter.h"
#include "base/log.h"

COUNTER(suppressed_total, "dios_log_suppressed_total", "Log lines left out by the rate limit.");

static const char *const level_names[] = { "error", "warning", "notice", "info", "debug" };
static const char *const level_labels[] = { "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG" };

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int log_level = LOG_LEVEL_INFO;
static _Atomic int log_fd = 2;
static struct clock *log_clock = &clock_system;   /* guarded by log_mutex */

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_set_fd(int fd)
{
	log_fd = fd;
}

void log_set_clock(struct clock *clock)
{
	pthread_mutex_lock(&log_mutex);
	log_clock = clock;
	pthread_mutex_unlock(&log_mutex);
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++)
		if (strcmp(text, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

/* Whether the site may write a line now; *ret_suppressed is how many it had to leave out in its last window. */
static int site_admit(struct log_site *site, uint32_t *ret_suppressed)
{
	int admit = 1;

	*ret_suppressed = 0;
	pthread_mutex_lock(&log_mutex);
	int64_t now = clock_boot_ns(log_clock);
	if (site->lines == 0 || now - site->window_start_ns >= LOG_INTERVAL_S * NS_PER_SECOND || now < site->window_start_ns) {
		*ret_suppressed = site->suppressed;
		*site = (struct log_site){ .window_start_ns = now, .lines = 1 };
	} else if (site->lines < LOG_BURST) {
		site->lines++;
	} else {
		site->suppressed++;
		admit = 0;
	}
	pthread_mutex_unlock(&log_mutex);
	if (!admit)
		counter_add(&suppressed_total, 1);
	return admit;
}

/* Copies text so that it stays on its line and can be read back without doubt: printable ASCII as it is, a backslash
 * doubled, every other byte as \xNN. Returns the new length; never more than size. */
static size_t escape_text(const char *text, char *out, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (size - n < 4)   /* the longest escape */
			break;
		if (c == '\\') {
			out[n++] = '\\';
			out[n++] = '\\';
		} else if (c >= 0x20 && c < 0x7f) {
			out[n++] = (char)c;
		} else {
			out[n++] = '\\';
			out[n++] = 'x';
			out[n++] = hex[c >> 4];
			out[n++] = hex[c & 15];
		}
	}
	if (*text && n >= 3)
		memcpy(out + n - 3, "...", 3);
	return n;
}

static void line_write(const char *line, size_t size)
{
	while (size > 0) {
		ssize_t n = write(log_fd, line, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;   /* there is nobody left to tell */
		line += n;
		size -= (size_t)n;
	}
}

void log_write(struct log_site *site, enum log_level level, const char *area, const char *format, ...)
{
	/* journald reads "<N>" as the syslog priority */
	static const char *const priorities[] = { "<3>", "<4>", "<5>", "<6>", "<7>" };
	char text[LOG_LINE_MAX], line[LOG_LINE_MAX];
	int saved_errno = errno;   /* a log line between a call and the look at its errno does no harm */
	uint32_t suppressed;
	va_list ap;

	if ((int)level > log_level || !site_admit(site, &suppressed))
		return;
	va_start(ap, format);
	if (vsnprintf(text, sizeof(text), format, ap) < 0)
		text[0] = '\0';
	va_end(ap);

	int head = snprintf(line, sizeof(line), "%s%s %s: ", log_fd == 2 && getenv("JOURNAL_STREAM") ? priorities[level] : "",
		level_labels[level], area);
	size_t size = head < 0 ? 0 : (size_t)head < sizeof(line) / 2 ? (size_t)head : sizeof(line) / 2;
	char tail[32] = "";
	if (suppressed > 0)
		snprintf(tail, sizeof(tail), " suppressed=%u", suppressed);
	size_t tail_size = strlen(tail);
	size += escape_text(text, line + size, sizeof(line) - size - tail_size - 1);
	memcpy(line + size, tail, tail_size);
	size += tail_size;
	line[size++] = '\n';
	line_write(line, size);
	errno = saved_errno;
}
