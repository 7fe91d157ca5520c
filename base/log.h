/* Structured log: one line an event, "TIME LEVEL area: event key=value ...", to standard error; where the journal reads that (JOURNAL_STREAM
 * names it), "<N>LEVEL area: ...", since it keeps the time itself. Values are escaped, so that hostile input cannot forge a line.
 *
 * Each call site is rate limited: LOG_BURST lines in LOG_INTERVAL_S seconds; what was suppressed is counted and said once. The same line again
 * within LOG_REPEAT_S seconds is counted only, and the count is said with the next one of the site, or by log_flush. Secrets (tokens, keys) are
 * never passed to it. Thread-safe. */
#ifndef DIOS_BASE_LOG_H
#define DIOS_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include "base/clock.h"
#include "base/error.h"

#define LOG_BURST 20         /* lines a call site may write in LOG_INTERVAL_S: enough to see what goes on, too few to fill a disk */
#define LOG_INTERVAL_S 10
#define LOG_REPEAT_S 60      /* one line a minute of what goes wrong each second */
#define LOG_LINE_MAX 2048    /* bytes of a line; a longer one is cut and ends in "..." */
#define LOG_HEAD_MAX 160     /* bytes of a repeated line that log_flush says again */
#define LOG_FILE_MAX (8 << 20)          /* bytes of a log file; then it becomes FILE.1, in the place of the one before */
#define LOG_FILE_VARIABLE "DIOS_LOG_FILE"   /* by it the holder tells its daemons which file standard error is */

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Of one call site; static, since what has repetitions to say is in a list. */
struct log_site {
	int64_t window_start_ns, said_ns;
	uint32_t lines, suppressed, repeated;
	uint64_t last_hash;
	enum log_level level;
	const char *area;
	char head[LOG_HEAD_MAX];
	struct log_site *next;
	bool listed;
};

void log_set_level(enum log_level level);
int log_level_parse(const char *text, enum log_level *ret_level);   /* "error" ... "debug"; -EINVAL */
void log_set_fd(int fd);                                            /* default 2; borrowed */
void log_set_clock(struct clock *clock);                            /* for times and limits; default clock_system; borrowed */
/* Standard error is `path`, opened with O_APPEND, perhaps by other processes of ours too: it is turned over at `max` bytes, and what another
 * has turned over is followed. NULL: it is left alone. Borrowed. */
void log_set_file(const char *path, uint64_t max);
bool log_to_journal(void);                                          /* the journal reads this process's standard error */
void log_write(struct log_site *site, enum log_level level, const char *area, const char *format, ...) _printf_(4, 5);
/* Says what has repeated and was not said for LOG_REPEAT_S seconds; all: whatever is left, before the end. To be called now and then. */
void log_flush(bool all);

#define log_at(level, area, ...) do { static struct log_site _site; log_write(&_site, level, area, __VA_ARGS__); } while (0)
#define log_error(area, ...) log_at(LOG_LEVEL_ERROR, area, __VA_ARGS__)
#define log_warning(area, ...) log_at(LOG_LEVEL_WARNING, area, __VA_ARGS__)
#define log_notice(area, ...) log_at(LOG_LEVEL_NOTICE, area, __VA_ARGS__)
#define log_info(area, ...) log_at(LOG_LEVEL_INFO, area, __VA_ARGS__)
#define log_debug(area, ...) log_at(LOG_LEVEL_DEBUG, area, __VA_ARGS__)

#endif
