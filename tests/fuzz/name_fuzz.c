/* Any bytes as the text of a name, and as a string that a name is made from. */
#include <string.h>

#include "base/error.h"
#include "caps/name.h"
#include "tests/fuzz/fuzz.h"

static void text_is_one_name_or_none(const char *text, size_t size)
{
	struct name name;
	char back[NAME_TEXT_SIZE + 1];
	int r = name_from_text(text, size, &name);

	fuzz_check(r == 0 || r == -EINVAL);
	if (r < 0)
		return;
	name_to_text(&name, back);
	fuzz_check(size == NAME_TEXT_SIZE && memcmp(text, back, size) == 0);
}

static void made_name_has_a_text(const char *string, size_t size)
{
	struct name name, child, back;
	char text[NAME_TEXT_SIZE + 1];

	fuzz_check(name_from_string(1, string, size, &name) == 0);
	fuzz_check(name_deterministic(&name, size, name_slot(&name), &child) == 0);
	fuzz_check(name_slot(&child) == name_slot(&name) && !name_equal(&child, &name));
	name_to_text(&child, text);
	fuzz_check(name_from_text(text, strlen(text), &back) == 0 && name_equal(&child, &back));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	text_is_one_name_or_none((const char *)data, size);
	made_name_has_a_text((const char *)data, size);
	return 0;
}
