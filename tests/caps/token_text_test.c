/* The text of tokens: one text for one token, bounded, and nothing else is a token. */
#include <stdlib.h>

#include "caps/base64url.h"
#include "caps/token_bytes.h"
#include "tests/caps/token_samples.h"

static struct token_grant grant;

/* xxd -r -p | basenc --base64url -w0 | tr -d =, of the bytes of token_test's vectors */
static const char plain_text[] = "AQAAAAcAAQIDBAUGBwgJCgsMDQ4PoKGio6SlpqeoqaqrrK2ur7CxsrO0tba3uLm6u7y9vr8SNFZ4mrze8APwCjGChu8b0LRLx-"
	"JhmUG5U7tpYNBMapmqufQeDL6k3Q";
static const char narrow_text[] = "AQAAAAcAAQIDBAUGBwgJCgsMDQ4PoKGio6SlpqeoqaqrrK2ur7CxsrO0tba3uLm6u7y9vr8SNFZ4mrze8AMCCBeXnP42KgAAAx"
	"AAAAAAAAAQAAAAAAAAACAAAQEBBAgAAAAAAAAACQUgAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8GEPDx8vP09fb3-Pn6-_z9_v9mN3-6jJ29"
	"j6qb749US3GVlKdLEPhn-YcqSwtK3Ch9Rw";

static struct token all_caveats(void)
{
	static const int order[] = { 1, 2, 0, 3, 4, 5 };
	struct token token = mint(RIGHT_READ | RIGHT_WRITE);

	for (int i = 0; i < 6; i++)
		token = narrowed(token, &caveats[order[i]]);
	return token;
}

static void test_vectors(void)
{
	struct token token = mint(RIGHT_READ | RIGHT_WRITE), back;
	char text[TOKEN_TEXT_MAX + 1];
	size_t length = 0;

	is_int(token_to_text(&token, text, sizeof(text), &length), 0, "a token as text");
	is_str(text, plain_text, "is base64url of its bytes");
	is_int(length, 126, "126 characters without caveats");
	token = all_caveats();
	is_int(token_to_text(&token, text, sizeof(text), &length), 0, "a token with each caveat as text");
	is_str(text, narrow_text, "is base64url of its bytes too");
	is_int(token_from_text(text, length, &back), 0, "it is read back");
	is_int(back.caveat_count, 6, "with its caveats");
	is_int(verify(&back, &grant), 0, "and holds");
	ok(grant.rights == RIGHT_READ && grant.expiry_ns == EXPIRY && grant.offset == 4096 && grant.length == 8192 && grant.once,
		"for what all caveats leave");
	back = narrowed(back, &(struct caveat){ .kind = CAVEAT_RANGE, .range = { 5000, 10 } });
	is_int(verify(&back, &grant), 0, "what was read can be narrowed");
	ok(grant.offset == 5000 && grant.length == 10, "further");
}

static void test_room(void)
{
	struct token token = mint(RIGHT_READ);
	char text[127] = "before";
	size_t length = 1234;

	is_int(token_to_text(&token, text, 126, &length), -ENOBUFS, "no room for the NUL");
	is_int(token_to_text(&token, text, 0, &length), -ENOBUFS, "no room at all");
	is_int(length, 1234, "leaves the length");
	is_str(text, "before", "and the text alone");
	is_int(token_to_text(&token, text, 127, &length), 0, "just enough room");
	token.caveat_count = TOKEN_CAVEATS_MAX + 1;
	is_int(token_to_text(&token, text, 127, &length), -EINVAL, "a count beyond the array is refused, not followed");
	token = mint(RIGHT_READ);
	token.rights = 0;
	is_int(token_to_text(&token, text, 127, &length), -EINVAL, "a token without rights has no text");
	token = narrowed(mint(RIGHT_READ), &caveats[2]);
	token.caveats[0].range.length = 0;
	is_int(token_to_text(&token, text, 127, &length), -EINVAL, "nor has one with an empty range");
}

/* The length of the text with caveats a, b, c, d (by kind, so far as a token takes them), all values as large as they get. */
static size_t length_of(const int kinds[4])
{
	struct token token = { 0 };
	struct token_key large_key = { .id = UINT32_MAX };
	struct caveat largest[6];
	char text[TOKEN_TEXT_MAX + 1];
	size_t length = 0;

	memcpy(largest, caveats, sizeof(largest));
	largest[0].rights = RIGHT_ALL;
	largest[1].expiry_ns = INT64_MAX;
	largest[2].range.offset = UINT64_MAX / 2;
	largest[2].range.length = UINT64_MAX / 2;
	largest[3].node = UINT64_MAX;
	token_mint(&large_key, &counting, &object, UINT64_MAX, RIGHT_ALL, &token);
	for (int i = 0; i < 4; i++)
		token_narrow(&token, &largest[kinds[i]]);
	token_to_text(&token, text, sizeof(text), &length);
	return length;
}

static void test_any_four_caveats_fit_a_file_name(void)
{
	size_t worst = 0, count = 0;

	for (int n = 0; n < 6 * 6 * 6 * 6; n++) {
		int kinds[4] = { n % 6, n / 6 % 6, n / 36 % 6, n / 216 };
		size_t length = length_of(kinds);
		count += length > 0 && length <= 255;
		if (length > worst)
			worst = length;
	}
	is_int(count, 1296, "any four caveats fit in 255 characters");
	is_int(worst, 243, "the worst four (task, once, range, range: 182 bytes) take 243");
	is_int(length_of((int[]){ 2, 1, 5, 4 }), 232, "range, expiry, once and task (174 bytes) take 232");
}

static void test_any_token_fits(void)
{
	struct token token = all_caveats();
	char text[TOKEN_TEXT_MAX + 1];
	size_t length = 0;

	while (token_narrow(&token, &caveats[2]) == 0)
		;
	is_int(token.caveat_count, TOKEN_CAVEATS_MAX, "as many caveats as there can be");
	is_int(token_to_text(&token, text, sizeof(text), &length), 0, "fit");
	ok(length <= TOKEN_TEXT_MAX, "in %zu characters", length);
	is_int(token_from_text(text, length, &token), 0, "are read back");
	is_int(verify(&token, &grant), 0, "and hold");
}

static void test_every_change_of_a_text(const char *original, const char *what)
{
	size_t size = strlen(original), held = 0, not_canonical = 0;
	struct token token;

	for (size_t at = 0; at < size; at++)
		for (int c = 0; c < 256; c++) {
			char text[TOKEN_TEXT_MAX + 1], back[TOKEN_TEXT_MAX + 1];
			size_t length = 0;
			memcpy(text, original, size + 1);
			if (text[at] == (char)c)
				continue;
			text[at] = (char)c;
			if (token_from_text(text, size, &token) < 0)
				continue;
			held += verify(&token, &grant) == 0;
			token_to_text(&token, back, sizeof(back), &length);
			not_canonical += length != size || memcmp(back, text, size) != 0;
		}
	is_int(held, 0, "%s: none with one character changed holds", what);
	is_int(not_canonical, 0, "%s: each that is a token is that token's only text", what);
}

static void test_every_bit_of_the_bytes(const char *original, const char *what)
{
	uint8_t bytes[TOKEN_BYTES_MAX];
	char text[TOKEN_TEXT_MAX + 1];
	size_t size = 0, held = 0;
	struct token token;

	base64url_decode(original, strlen(original), bytes, sizeof(bytes), &size);
	for (size_t bit = 0; bit < 8 * size; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		base64url_encode(bytes, size, text);
		held += token_from_text(text, BASE64URL_SIZE(size), &token) == 0 && verify(&token, &grant) == 0;
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ok(size > 0 && held == 0, "%s: none with one bit changed holds", what);
}

static void test_cut_and_grown(const char *original, const char *what)
{
	size_t size = strlen(original), held = 0;
	char text[TOKEN_TEXT_MAX + 1];
	struct token token;

	for (size_t cut = 0; cut < size; cut++) {
		held += token_from_text(original, cut, &token) == 0 && verify(&token, &grant) == 0;
		held += token_from_text(original + size - cut, cut, &token) == 0 && verify(&token, &grant) == 0;
	}
	is_int(held, 0, "%s: no part of it holds", what);
	memcpy(text, original, size);
	memset(text + size, 'A', sizeof(text) - size);
	for (size_t grown = size + 1; grown < sizeof(text); grown++)
		held += token_from_text(text, grown, &token) == 0 && verify(&token, &grant) == 0;
	is_int(held, 0, "%s: nor with characters behind it", what);
}

/* Decodes the header and tag of plain_text with `middle` between them. */
static int decode_with(const char *middle_hex, struct token *ret_token)
{
	uint8_t bytes[2048], plain[TOKEN_BYTES_MAX];
	char text[4096];
	size_t plain_size = 0, size = strlen(middle_hex) / 2;

	base64url_decode(plain_text, strlen(plain_text), plain, sizeof(plain), &plain_size);
	memcpy(bytes, plain, TOKEN_HEADER_SIZE);
	for (size_t i = 0; i < size; i++) {
		char digits[3] = { middle_hex[2 * i], middle_hex[2 * i + 1], '\0' };
		bytes[TOKEN_HEADER_SIZE + i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	memcpy(bytes + TOKEN_HEADER_SIZE + size, plain + TOKEN_HEADER_SIZE, TOKEN_TAG_SIZE);
	size += TOKEN_HEADER_SIZE + TOKEN_TAG_SIZE;
	base64url_encode(bytes, size, text);
	return token_from_text(text, BASE64URL_SIZE(size), ret_token);
}

#define ZEROS_16 "00000000000000000000000000000000"
#define RIGHTS_4 "010101010101010101010101"

static void test_bad_caveats(void)
{
	static const struct { const char *hex, *what; } cases[] = {
		{ "01", "a kind without a size" }, { "0000", "kind 0" }, { "0101", "rights without a body" },
		{ "010100", "no rights" }, { "010140", "an unknown right" }, { "01020001", "rights of two bytes" },
		{ "0207ffffffffffffff", "an expiry of seven bytes" }, { "02088000000000000000", "an expiry before 1970" },
		{ "0310" ZEROS_16, "an empty range" }, { "031000000000000000ffffffffffffffffff", "a range past the end of numbers" },
		{ "0408000000000000", "a node cut short" }, { "0409000000000000000000", "a node of nine bytes" },
		{ "0510" ZEROS_16, "half a task" }, { "0601ff", "a once of one byte" },
		{ "01ff01", "a size beyond the end" }, { "0721" ZEROS_16 ZEROS_16 "00", "an unknown kind of 33 bytes" },
		{ "0408000000000000000104080000000000000001", "two nodes" }, { "0520" ZEROS_16 ZEROS_16 "0520" ZEROS_16 ZEROS_16, "two tasks" },
		{ "0610" ZEROS_16 "0610" ZEROS_16, "two onces" },
		{ RIGHTS_4 RIGHTS_4 RIGHTS_4 RIGHTS_4 "010101", "17 caveats" },
	};
	struct token token = { .key_id = 1234 }, before = token;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_int(decode_with(cases[i].hex, &token), -EINVAL, "refused: %s", cases[i].what);
	is_mem(&token, &before, sizeof(token), "the token is untouched by refused texts");
	is_int(decode_with(RIGHTS_4 RIGHTS_4 RIGHTS_4 RIGHTS_4, &token), 0, "16 caveats are well formed");
	is_int(verify(&token, &grant), -EACCES, "though forged");
}

/* The plain token with the caveat ff03aabbcc, as a later version might make one, and the same with 010101 behind it. */
static const char unknown_text[] = "AQAAAAcAAQIDBAUGBwgJCgsMDQ4PoKGio6SlpqeoqaqrrK2ur7CxsrO0tba3uLm6u7y9vr8SNFZ4mrze8AP_A6q7zH_lBRsB4H"
	"peI_1Zkuygsg3W44Asz4Wn-fvwynsHeNzw";
static const char unknown_narrow_text[] = "AQAAAAcAAQIDBAUGBwgJCgsMDQ4PoKGio6SlpqeoqaqrrK2ur7CxsrO0tba3uLm6u7y9vr8SNFZ4mrze8AP_A6q7zAEB"
	"Af-vdMKprSGKgP0xONYW0vlnIgw2LYN_en2F7EpNToHe";

static void test_unknown_caveat(void)
{
	struct token token;
	char text[TOKEN_TEXT_MAX + 1];
	size_t length = 0;

	is_int(token_from_text(unknown_text, strlen(unknown_text), &token), 0, "a caveat of an unknown kind is read");
	is_int(token.caveats[0].kind, 255, "and kept");
	is_int(verify(&token, &grant), -EACCES, "the token is refused, though its chain is right");
	token_to_text(&token, text, sizeof(text), &length);
	is_str(text, unknown_text, "it is written as it was");
	is_int(token_narrow(&token, &caveats[0]), 0, "it can be narrowed");
	token_to_text(&token, text, sizeof(text), &length);
	is_str(text, unknown_narrow_text, "with a chain that goes on");
}

static void test_bad_headers(void)
{
	static const struct { size_t at; uint8_t value; const char *what; } cases[] = {
		{ 0, 0, "version 0" }, { 0, 2, "version 2" }, { 0, 255, "version 255" },
		{ TOKEN_HEADER_SIZE - 1, 0, "no rights" }, { TOKEN_HEADER_SIZE - 1, 64, "an unknown right" },
		{ TOKEN_HEADER_SIZE - 1, 255, "all bits of rights" },
	};
	uint8_t bytes[TOKEN_BYTES_MAX];
	char text[TOKEN_TEXT_MAX + 1];
	size_t size = 0;
	struct token token;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		base64url_decode(plain_text, strlen(plain_text), bytes, sizeof(bytes), &size);
		bytes[cases[i].at] = cases[i].value;
		base64url_encode(bytes, size, text);
		is_int(token_from_text(text, BASE64URL_SIZE(size), &token), -EINVAL, "refused: %s", cases[i].what);
	}
	is_int(token_from_text("", 0, &token), -EINVAL, "refused: nothing");
	is_int(token_from_text(plain_text, SIZE_MAX, &token), -EINVAL, "refused: the largest size there is");
}

int main(void)
{
	samples_init();
	test_vectors();
	test_room();
	test_any_four_caveats_fit_a_file_name();
	test_any_token_fits();
	test_every_change_of_a_text(plain_text, "a plain token");
	test_every_change_of_a_text(narrow_text, "one with six caveats");
	test_every_bit_of_the_bytes(plain_text, "a plain token");
	test_every_bit_of_the_bytes(narrow_text, "one with six caveats");
	test_cut_and_grown(plain_text, "a plain token");
	test_cut_and_grown(narrow_text, "one with six caveats");
	test_bad_headers();
	test_bad_caveats();
	test_unknown_caveat();
	return done_testing();
}
