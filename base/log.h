/* Structured log: one line an event, "LEVEL area: event key=value ...", to standard error (with <N> priority
 * prefixes when JOURNAL_STREAM says that the journal reads it). Values are escaped, so that hostile input cannot
 * forge a line. Each call site is rate limited (LOG_BURST lines in LOG_INTERVAL_S seconds); what was suppressed is
 * counted and said once. Secrets (tokens, keys) are never passed to it. Thread-safe. */
#ifndef DIOS_BASE_LOG_H
#define DIOS_BASE_LOG_H

#include <stdint.h>
#include "base/clock.h"
#include "base/error.h"

#define LOG_BURST 20         /* lines a call site may write in LOG_INTERVAL_S: enough to see what goes on, too few to fill a disk */
#define LOG_INTERVAL_S 10
#define LOG_LINE_MAX 2048    /* bytes of a line; a longer one is cut and ends in "..." */

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log_site { int64_t window_start_ns; uint32_t lines; uint32_t suppressed; };

void log_set_level(enum log_level level);
int log_level_parse(const char *text, enum log_level *ret_level);   /* "error" ... "debug"; -EINVAL */
void log_set_fd(int fd);                                            /* default 2; borrowed */
void log_set_clock(struct clock *clock);                            /* for the rate limit; default clock_system; borrowed */
void log_write(struct log_site *site, enum log_level level, const char *area, const char *format, ...) _printf_(4, 5);

#define log_at(level, area, ...) do { static struct log_site _site; log_write(&_site, level, area, __VA_ARGS__); } while (0)
#define log_error(area, ...) log_at(LOG_LEVEL_ERROR, area, __VA_ARGS__)
#define log_warning(area, ...) log_at(LOG_LEVEL_WARNING, area, __VA_ARGS__)
#define log_notice(area, ...) log_at(LOG_LEVEL_NOTICE, area, __VA_ARGS__)
#define log_info(area, ...) log_at(LOG_LEVEL_INFO, area, __VA_ARGS__)
#define log_debug(area, ...) log_at(LOG_LEVEL_DEBUG, area, __VA_ARGS__)

#endif
