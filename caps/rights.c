/* Rights as words: "read,write". One table serves both directions. */
#include "caps/token.h"

#include <string.h>
#include "base/error.h"

static const struct { uint32_t right; const char *word; } words[] = {
	{ RIGHT_READ, "read" }, { RIGHT_WRITE, "write" }, { RIGHT_APPEND, "append" }, { RIGHT_EXECUTE, "execute" },
	{ RIGHT_DELETE, "delete" }, { RIGHT_DELEGATE, "delegate" },
};
#define WORDS (sizeof(words) / sizeof(words[0]))

/* 0 if word[size] is none. */
static uint32_t right_from_word(const char *word, size_t size)
{
	for (size_t i = 0; i < WORDS; i++)
		if (strlen(words[i].word) == size && memcmp(words[i].word, word, size) == 0)
			return words[i].right;
	return 0;
}

int rights_from_text(const char *text, uint32_t *ret_rights)
{
	uint32_t rights = 0;

	for (;;) {
		size_t size = strcspn(text, ",");
		uint32_t right = right_from_word(text, size);
		if (!right || (rights & right))
			return -EINVAL;
		rights |= right;
		if (text[size] == '\0')
			break;
		text += size + 1;
	}
	*ret_rights = rights;
	return 0;
}

void rights_to_text(uint32_t rights, char text[static 64])
{
	char *at = text;

	for (size_t i = 0; i < WORDS; i++) {
		size_t size = strlen(words[i].word);
		if (!(rights & words[i].right))
			continue;
		if (at != text)
			*at++ = ',';
		memcpy(at, words[i].word, size);   /* all six and their commas are 40 characters */
		at += size;
	}
	if (at == text) {
		memcpy(at, "none", 4);
		at += 4;
	}
	*at = '\0';
}
