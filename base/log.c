/* The structured log. One write(2) a line, so that lines of several threads and processes don't mix; log_mutex guards
 * the call sites' windows, the list of those with repetitions to say, and the file's turning over. A plain mutex without a rank: a line may be
 * written under any lock. */
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/counter.h"
#include "base/log.h"

COUNTER(suppressed_total, "dios_log_suppressed_total", "Log lines left out by the rate limit.");
COUNTER(repeated_total, "dios_log_repeated_total", "Log lines left out because they said the same again.");

static const char *const level_names[] = { "error", "warning", "notice", "info", "debug" };
static const char *const level_labels[] = { "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG" };

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int log_level = LOG_LEVEL_INFO;
static _Atomic int log_fd = STDERR_FILENO;
static struct clock *log_clock = &clock_system;   /* guarded by log_mutex, as what follows */
static const char *log_file;
static uint64_t log_file_max;
static struct log_site *repeating;

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

void log_set_file(const char *path, uint64_t max)
{
	pthread_mutex_lock(&log_mutex);
	log_file = path;
	log_file_max = max;
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

/* The variable is inherited by whatever a service starts, also with another standard error: it names the one that it means. */
bool log_to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
		st.st_ino == inode;
}

/* ---- the file ---- */

static void file_switch(void)
{
	int fd = open(log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return;       /* the old one goes on */
	dup2(fd, STDERR_FILENO);
	if (fd != STDERR_FILENO)
		close(fd);
}

/* With the file's lock, unless somebody else has it: then it is his to do, and nobody waits for him. */
static bool file_move(const struct stat *ours)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char old[4096];
	struct stat there;

	if ((size_t)snprintf(old, sizeof(old), "%s.1", log_file) >= sizeof(old) || fcntl(STDERR_FILENO, F_SETLK, &lock) < 0)
		return false;
	if (stat(log_file, &there) < 0 || there.st_ino != ours->st_ino || rename(log_file, old) == 0)
		return true;       /* the lock ends with our last descriptor of it */
	lock.l_type = F_UNLCK;
	fcntl(STDERR_FILENO, F_SETLK, &lock);
	return false;
}

/* Several processes have the file open: one turns it over, the others see that it is no more in its place. */
static void file_turn(void)
{
	struct stat ours, there;

	if (!log_file || log_fd != STDERR_FILENO || fstat(STDERR_FILENO, &ours) < 0)
		return;
	if (stat(log_file, &there) < 0 || there.st_dev != ours.st_dev || there.st_ino != ours.st_ino ||
			((uint64_t)ours.st_size >= log_file_max && file_move(&ours)))
		file_switch();
}

/* ---- lines ---- */

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

/* What comes before the text: the journal reads "<N>" as the syslog priority and keeps the time itself. */
static size_t line_begin(char *line, size_t size, enum log_level level, const char *area)
{
	static const char *const priorities[] = { "<3>", "<4>", "<5>", "<6>", "<7>" };
	char when[40];

	if (log_fd == STDERR_FILENO && log_to_journal()) {
		snprintf(when, sizeof(when), "%s", priorities[level]);
	} else {
		int64_t now = clock_wall_ns(log_clock);
		time_t seconds = (time_t)(now / NS_PER_SECOND);
		struct tm tm;
		size_t n = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
		snprintf(when + n, sizeof(when) - n, ".%03dZ ", (int)(now % NS_PER_SECOND / NS_PER_MS));
	}
	int n = snprintf(line, size, "%s%s %s: ", when, level_labels[level], area);
	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

/* With log_mutex. */
static void line_say(enum log_level level, const char *area, const char *text, uint32_t suppressed, uint32_t repeated)
{
	char line[LOG_LINE_MAX], tail[64] = "";
	size_t tail_size = 0, size = line_begin(line, sizeof(line) / 2, level, area);

	if (suppressed > 0)
		tail_size += (size_t)snprintf(tail, sizeof(tail), " suppressed=%u", suppressed);
	if (repeated > 0)
		tail_size += (size_t)snprintf(tail + tail_size, sizeof(tail) - tail_size, " (repeated %u times)", repeated);
	size += escape_text(text, line + size, sizeof(line) - size - tail_size - 1);
	memcpy(line + size, tail, tail_size);
	size += tail_size;
	line[size++] = '\n';
	file_turn();
	line_write(line, size);
}

/* ---- limits ---- */

static uint64_t text_hash(const char *text)
{
	uint64_t hash = 14695981039346656037ULL;   /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211ULL;
	return hash;
}

/* The line that repeated, before another one of its site. */
static void site_say_repeated(struct log_site *site)
{
	if (site->repeated > 0)
		line_say(site->level, site->area, site->head, 0, site->repeated);
	site->repeated = 0;
}

static void site_list(struct log_site *site)
{
	if (site->listed)
		return;
	site->listed = true;
	site->next = repeating;
	repeating = site;
}

/* Whether the site may write the text now; *ret_suppressed is how many lines it had to leave out in its last window, *ret_repeated how often
 * this one. */
static bool site_admit(struct log_site *site, const char *text, uint32_t *ret_suppressed, uint32_t *ret_repeated)
{
	int64_t now = clock_boot_ns(log_clock);
	uint64_t hash = text_hash(text);

	*ret_suppressed = *ret_repeated = 0;
	if (site->lines > 0 && site->last_hash == hash && now >= site->said_ns) {
		if (now - site->said_ns < LOG_REPEAT_S * NS_PER_SECOND) {
			site->repeated++;
			site_list(site);
			counter_add(&repeated_total, 1);
			return false;
		}
		*ret_repeated = site->repeated;
		site->repeated = 0;
	}
	if (site->lines == 0 || now - site->window_start_ns >= LOG_INTERVAL_S * NS_PER_SECOND || now < site->window_start_ns) {
		*ret_suppressed = site->suppressed;
		site->suppressed = 0;
		site->window_start_ns = now;
		site->lines = 1;
	} else if (site->lines < LOG_BURST) {
		site->lines++;
	} else {
		site->suppressed++;
		counter_add(&suppressed_total, 1);
		return false;
	}
	site_say_repeated(site);
	site->said_ns = now;
	site->last_hash = hash;
	return true;
}

void log_write(struct log_site *site, enum log_level level, const char *area, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	int saved_errno = errno;   /* a log line between a call and the look at its errno does no harm */
	uint32_t suppressed, repeated;
	va_list ap;

	if ((int)level > log_level)
		return;
	va_start(ap, format);
	if (vsnprintf(text, sizeof(text), format, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	pthread_mutex_lock(&log_mutex);
	if (site_admit(site, text, &suppressed, &repeated)) {
		site->level = level;
		site->area = area;
		snprintf(site->head, sizeof(site->head), "%s", text);
		line_say(level, area, text, suppressed, repeated);
	}
	pthread_mutex_unlock(&log_mutex);
	errno = saved_errno;
}

void log_flush(bool all)
{
	struct log_site **at = &repeating;

	pthread_mutex_lock(&log_mutex);
	int64_t now = clock_boot_ns(log_clock);
	while (*at) {
		struct log_site *site = *at;
		if (!all && now - site->said_ns < LOG_REPEAT_S * NS_PER_SECOND) {
			at = &site->next;
			continue;
		}
		site_say_repeated(site);
		site->said_ns = now;
		site->listed = false;
		*at = site->next;
	}
	pthread_mutex_unlock(&log_mutex);
}
