/* base/config: sizes and durations in text. */
#include "base/config.h"
#include "tests/tap.h"

static const struct { const char *text; int result; int64_t value; } sizes[] = {
	{ "0", 0, 0 }, { "1", 0, 1 }, { "64K", 0, 65536 }, { "1M", 0, 1048576 }, { "3G", 0, 3221225472 }, { "1T", 0, 1099511627776 },
	{ "007", 0, 7 }, { "9223372036854775807", 0, INT64_MAX }, { "8388607T", 0, 8388607LL << 40 },
	{ "9223372036854775808", -ERANGE, 0 }, { "8388608T", -ERANGE, 0 }, { "99999999999999999999999K", -ERANGE, 0 },
	{ "", -EINVAL, 0 }, { "K", -EINVAL, 0 }, { "1.5G", -EINVAL, 0 }, { "-1", -EINVAL, 0 }, { "+1", -EINVAL, 0 }, { " 1", -EINVAL, 0 },
	{ "1 ", -EINVAL, 0 }, { "1 K", -EINVAL, 0 }, { "1k", -EINVAL, 0 }, { "1KB", -EINVAL, 0 }, { "1KK", -EINVAL, 0 }, { "0x10", -EINVAL, 0 },
	{ "1e3", -EINVAL, 0 }, { "99999999999999999999999Q", -EINVAL, 0 },
}, durations[] = {
	{ "0", 0, 0 }, { "90", 0, 90000000000 }, { "250ms", 0, 250000000 }, { "7us", 0, 7000 }, { "2s", 0, 2000000000 },
	{ "3m", 0, 180000000000 }, { "1h", 0, 3600000000000 }, { "2d", 0, 172800000000000 }, { "106751d", 0, 106751 * 86400000000000 },
	{ "106752d", -ERANGE, 0 }, { "9223372037", -ERANGE, 0 }, { "9223372036854775807us", -ERANGE, 0 },
	{ "", -EINVAL, 0 }, { "s", -EINVAL, 0 }, { "1.5h", -EINVAL, 0 }, { "-1s", -EINVAL, 0 }, { "1 s", -EINVAL, 0 }, { "1S", -EINVAL, 0 },
	{ "1ns", -EINVAL, 0 }, { "1h30m", -EINVAL, 0 }, { "1w", -EINVAL, 0 },
};

int main(void)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int64_t value = -7;
		int r = parse_size(sizes[i].text, &value);
		ok(r == sizes[i].result && value == (r == 0 ? sizes[i].value : -7), "size '%s' is %d, %" PRId64, sizes[i].text, r, value);
	}
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		int64_t value = -7;
		int r = parse_duration(durations[i].text, &value);
		ok(r == durations[i].result && value == (r == 0 ? durations[i].value : -7), "duration '%s' is %d, %" PRId64, durations[i].text, r, value);
	}
	return done_testing();
}
