/* Names as text, against vectors made with Python's base64.urlsafe_b64encode. */
#include <errno.h>
#include <dios-util.h>
#include "tests/tap.h"

static const struct { uint8_t first, step; const char *text; } vectors[] = {
	{ 0x00, 0, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
	{ 0xff, 0, "__________________________________________8" },
	{ 0x00, 1, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" },
	{ 0xfb, 7, "-wIJEBceJSwzOkFIT1ZdZGtyeYCHjpWco6qxuL_GzdQ" },
};

static struct dios_name name_of(size_t i)
{
	struct dios_name n;
	for (size_t j = 0; j < sizeof(n.bytes); j++)
		n.bytes[j] = (uint8_t)(vectors[i].first + j * vectors[i].step);
	return n;
}

int main(void)
{
	static const char *const wrong[] = { "", "A", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH+8", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH/8",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh=", " AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" };

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct dios_name n = name_of(i), back;
		char text[DIOS_NAME_TEXT];
		dios_name_to_text(&n, text);
		is_str(text, vectors[i].text, "name %zu as text", i);
		is_int(dios_name_from_text(vectors[i].text, &back), 0, "and back");
		is_mem(back.bytes, n.bytes, sizeof(n.bytes), "to the same name");
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct dios_name n = name_of(0), zero = n;
		is_int(dios_name_from_text(wrong[i], &n), -EINVAL, "'%s' is no name", wrong[i]);
		is_mem(n.bytes, zero.bytes, sizeof(n.bytes), "and nothing is returned");
	}
	return done_testing();
}
