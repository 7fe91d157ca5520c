/* Rights as words. */
#include "caps/token.h"

#include "base/error.h"
#include "tests/tap.h"

static void test_words(void)
{
	static const struct { const char *text; uint32_t rights; } cases[] = {
		{ "read", RIGHT_READ }, { "write", RIGHT_WRITE }, { "append", RIGHT_APPEND }, { "execute", RIGHT_EXECUTE },
		{ "delete", RIGHT_DELETE }, { "delegate", RIGHT_DELEGATE }, { "read,write", RIGHT_READ | RIGHT_WRITE },
		{ "read,delegate", RIGHT_READ | RIGHT_DELEGATE }, { "read,write,append,execute,delete,delegate", RIGHT_ALL },
	};
	char text[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t rights = 0;
		is_int(rights_from_text(cases[i].text, &rights), 0, "'%s' is understood", cases[i].text);
		is_int(rights, cases[i].rights, "as %u", cases[i].rights);
		rights_to_text(cases[i].rights, text);
		is_str(text, cases[i].text, "and written the same");
	}
	uint32_t rights = 0;
	is_int(rights_from_text("write,read", &rights), 0, "the order is free");
	rights_to_text(rights, text);
	is_str(text, "read,write", "and written in the order of the bits");
	rights_to_text(0, text);
	is_str(text, "none", "no right is none");
	rights_to_text(UINT32_MAX, text);
	is_str(text, "read,write,append,execute,delete,delegate", "unknown bits are left out");
}

static void test_refused(void)
{
	static const char *const cases[] = {
		"", ",", "read,", ",read", "read,,write", "read,read", "Read", "rea", "reads", "read write", "read, write", " read",
		"read ", "none", "all", "63", "read,write,append,execute,delete,delegate,read",
	};
	uint32_t rights = 1234;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_int(rights_from_text(cases[i], &rights), -EINVAL, "refused: '%s'", cases[i]);
	is_int(rights, 1234, "the result is untouched by what is refused");
}

int main(void)
{
	test_words();
	test_refused();
	return done_testing();
}
