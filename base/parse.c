/* Sizes and durations in text, as people write them in the configuration and on the command line. Strict: digits, then at most
 * one suffix, nothing else; no sign, no blank, no fraction. */
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"

/* The digits at *text, which is moved past them. */
static int parse_digits(const char **text, int64_t *ret_value)
{
	const char *p = *text;
	int64_t value = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, (int64_t)10, &value) || __builtin_add_overflow(value, (int64_t)(*p - '0'), &value))
			return -ERANGE;
	*text = p;
	*ret_value = value;
	return 0;
}

struct unit { const char *suffix; int64_t factor; };

static int parse_number_unit(const char *text, const struct unit *units, size_t unit_count, int64_t *ret_value)
{
	int64_t value = 0;
	int r = parse_digits(&text, &value);

	if (r == -EINVAL)
		return r;
	if (r == -ERANGE)
		text += strspn(text, "0123456789");   /* garbage behind too many digits is garbage first */
	for (size_t i = 0; i < unit_count; i++)
		if (strcmp(text, units[i].suffix) == 0) {
			if (r < 0 || __builtin_mul_overflow(value, units[i].factor, &value))
				return -ERANGE;
			*ret_value = value;
			return 0;
		}
	return -EINVAL;
}

int parse_size(const char *text, int64_t *ret_bytes)
{
	static const struct unit units[] = {
		{ "", 1 }, { "K", 1LL << 10 }, { "M", 1LL << 20 }, { "G", 1LL << 30 }, { "T", 1LL << 40 },
	};
	return parse_number_unit(text, units, sizeof(units) / sizeof(units[0]), ret_bytes);
}

int parse_duration(const char *text, int64_t *ret_ns)
{
	static const struct unit units[] = {
		{ "", NS_PER_SECOND }, { "us", 1000 }, { "ms", NS_PER_MS }, { "s", NS_PER_SECOND },
		{ "m", 60 * NS_PER_SECOND }, { "h", 3600 * NS_PER_SECOND }, { "d", 86400 * NS_PER_SECOND },
	};
	return parse_number_unit(text, units, sizeof(units) / sizeof(units[0]), ret_ns);
}
