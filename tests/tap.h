/* A few lines of TAP (testanything.org) for the unit tests: each ok() is one line; done_testing() prints the plan and
 * gives the exit status. */
#ifndef DIOS_TESTS_TAP_H
#define DIOS_TESTS_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failed;

static inline bool __attribute__((format(printf, 2, 3))) ok(bool pass, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	printf("%s %d - ", pass ? "ok" : "not ok", ++tap_count);
	vprintf(format, ap);
	putchar('\n');
	va_end(ap);
	if (!pass) tap_failed++;
	fflush(stdout);
	return pass;
}

#define is_int(got, want, ...) do { int64_t _g = (int64_t)(got), _w = (int64_t)(want); \
	if (!ok(_g == _w, __VA_ARGS__)) printf("# %s:%d: got %" PRId64 ", want %" PRId64 "\n", __FILE__, __LINE__, _g, _w); } while (0)
#define is_str(got, want, ...) do { const char *_g = (got), *_w = (want); \
	if (!ok(_g && strcmp(_g, _w) == 0, __VA_ARGS__)) printf("# %s:%d: got '%s', want '%s'\n", __FILE__, __LINE__, _g ? _g : "(null)", _w); } while (0)
#define is_mem(got, want, size, ...) do { \
	if (!ok(memcmp(got, want, size) == 0, __VA_ARGS__)) printf("# %s:%d: %zu bytes differ\n", __FILE__, __LINE__, (size_t)(size)); } while (0)

static inline void skip_all(const char *why) { printf("1..0 # SKIP %s\n", why); }
static inline void skip(const char *what, const char *why) { printf("ok %d - %s # SKIP %s\n", ++tap_count, what, why); }

static inline int done_testing(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? 1 : 0;
}

#endif
