/* Names: how each kind is made, and that a text is one name or none. */
#include "caps/name.h"

#include "base/error.h"
#include "tests/caps/vectors.h"

static const char counted_text[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

static void test_slot(void)
{
	struct random_source counting = { counting_fill };
	struct name name;

	name_random(&counting, 0xabcd, &name);
	is_str(hex(name.bytes, NAME_SIZE), "abcd02030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"a random name is its slot and 240 random bits");
	is_int(name_slot(&name), 0xabcd, "the slot is the first 16 bits, big endian");
	name_set_slot(&name, 0x00ff);
	is_str(hex(name.bytes, 4), "00ff0203", "setting the slot changes the first 16 bits only");
	is_int(name_slot(&name), 0xff, "the slot set is the slot read");
}

static void test_random(void)
{
	struct name a, b;

	name_random(&random_system, 7, &a);
	name_random(&random_system, 7, &b);
	ok(!name_equal(&a, &b), "two random names differ");
	ok(name_equal(&a, &a), "a name equals itself");
	b = a;
	b.bytes[NAME_SIZE - 1] ^= 1;
	ok(!name_equal(&a, &b), "names that differ in the last bit are not equal");
}

static void test_from_string(void)
{
	struct name name, other;

	/* printf '\0\0\0\1hello' | openssl dgst -sha256 */
	is_int(name_from_string(1, "hello", 5, &name), 0, "a name from a string");
	is_str(hex(name.bytes, NAME_SIZE), "8f88fffc2dcc751600338fe4b923971c5331e6df8b91f782befd46938c088582",
		"is the SHA-256 of realm and string, slot included");
	is_int(name_from_string(42, "", 0, &name), 0, "a name from the empty string");
	is_str(hex(name.bytes, NAME_SIZE), "ae3c8b8d99a39542f78af83dbbb42c81cd94199ec1b5f60a0801063e95842570",
		"is the SHA-256 of the realm alone");
	name_from_string(1, "hello", 5, &name);
	name_from_string(2, "hello", 5, &other);
	ok(!name_equal(&name, &other), "one string in two realms makes two names");
	other = name;
	is_int(name_from_string(REALM_RESERVED, "hello", 5, &other), -EINVAL, "no string is hashed under the reserved realm");
	ok(name_equal(&name, &other), "and the name stays as it was");
}

static void test_deterministic(void)
{
	struct name parent, name, again;

	fill_from(parent.bytes, NAME_SIZE, 0);
	/* { printf '\377\377\377\377'; the bytes 0 to 31; printf '\1\2\3\4\5\6\7\10'; } | openssl dgst -sha256 */
	is_int(name_deterministic(&parent, 0x0102030405060708, 0x1234, &name), 0, "a deterministic name");
	is_str(hex(name.bytes, NAME_SIZE), "1234839d54ef90bfe7a7c451a1824c0a061861f9d58e1f632d57b70e196c4b85",
		"is the SHA-256 with the slot as given");
	name_deterministic(&parent, 0x0102030405060708, 0x1234, &again);
	ok(name_equal(&name, &again), "the same parent and counter make the same name");
	name_deterministic(&parent, 0x0102030405060709, 0x1234, &again);
	ok(!name_equal(&name, &again), "the next counter makes another");
	parent.bytes[31] ^= 1;
	name_deterministic(&parent, 0x0102030405060708, 0x1234, &again);
	ok(!name_equal(&name, &again), "another parent makes another");
}

static void test_text(void)
{
	struct name name, back;
	char text[NAME_TEXT_SIZE + 1];

	fill_from(name.bytes, NAME_SIZE, 0);
	name_to_text(&name, text);
	is_str(text, counted_text, "the text is unpadded base64url");
	is_int(name_from_text(text, NAME_TEXT_SIZE, &back), 0, "the text is read back");
	ok(name_equal(&name, &back), "as the same name");
	memset(name.bytes, 0xff, NAME_SIZE);
	name_to_text(&name, text);
	is_str(text, "__________________________________________8", "all ones use the URL alphabet's last character");
	memset(name.bytes, 0xfb, NAME_SIZE);
	name_to_text(&name, text);
	is_str(text, "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s", "and its last but one");
}

static void test_bad_texts(void)
{
	static const struct { const char *text, *what; } cases[] = {
		{ "", "nothing" },
		{ "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh", "42 characters" },
		{ "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A", "44 characters" },
		{ "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "padding" },
		{ "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh=", "padding in the last character's place" },
		{ "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9", "an unused bit set" },
		{ "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh-", "the other unused bit set" },
		{ "+AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "the plus of the other alphabet" },
		{ "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX/BkaGxwdHh8", "the slash of the other alphabet" },
		{ " AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "a blank in front" },
		{ "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh\n", "a newline at the end" },
	};
	struct name name, before;

	fill_from(before.bytes, NAME_SIZE, 99);
	name = before;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_int(name_from_text(cases[i].text, strlen(cases[i].text), &name), -EINVAL, "refused: %s", cases[i].what);
	is_int(name_from_text(counted_text, SIZE_MAX, &name), -EINVAL, "refused: the largest size there is");
	ok(name_equal(&name, &before), "the name is untouched by refused texts");
}

static void test_every_change_of_a_text(void)
{
	struct name original, changed;
	size_t same = 0, not_canonical = 0, decoded = 0;

	name_from_text(counted_text, NAME_TEXT_SIZE, &original);
	for (size_t at = 0; at < NAME_TEXT_SIZE; at++)
		for (int c = 0; c < 256; c++) {
			char text[NAME_TEXT_SIZE + 1], back[NAME_TEXT_SIZE + 1];
			memcpy(text, counted_text, sizeof(text));
			if (text[at] == (char)c)
				continue;
			text[at] = (char)c;
			if (name_from_text(text, NAME_TEXT_SIZE, &changed) < 0)
				continue;
			decoded++;
			same += name_equal(&original, &changed);
			name_to_text(&changed, back);
			not_canonical += memcmp(back, text, sizeof(back)) != 0;
		}
	is_int(same, 0, "no text with one character changed is the same name");
	is_int(not_canonical, 0, "each that is a name is that name's only text");
	is_int(decoded, 42 * 63 + 15, "63 other characters are names in each place, and 15 in the last");
}

int main(void)
{
	test_slot();
	test_random();
	test_from_string();
	test_deterministic();
	test_text();
	test_bad_texts();
	test_every_change_of_a_text();
	return done_testing();
}
