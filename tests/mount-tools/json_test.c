/* The JSON writer and reader: what bytes become, what is refused, and that nothing is lost between the two. */
#include <stdlib.h>

#include "base/error.h"
#include "mount-tools/json_read.h"
#include "tests/tap.h"

/* What is written between init and the end, as text. */
struct written { char *text; size_t size; FILE *out; struct json json; };

static void written_open(struct written *w)
{
	w->out = open_memstream(&w->text, &w->size);
	if (!w->out)
		abort();
	json_init(&w->json, w->out);
}

static const char *written_text(struct written *w)
{
	fflush(w->out);
	return w->text;
}

static void written_close(struct written *w)
{
	fclose(w->out);
	free(w->text);
}

static void test_strings(void)
{
	static const struct { const char *what, *bytes; size_t size; const char *json; } rows[] = {
		{ "plain", "abc", 3, "\"abc\"\n" },
		{ "nothing", "", 0, "\"\"\n" },
		{ "quote and backslash", "a\"b\\c", 5, "\"a\\\"b\\\\c\"\n" },
		{ "control characters", "\n\t\x01\x7f", 4, "\"\\n\\u0009\\u0001\\u007f\"\n" },
		{ "NUL", "a\0b", 3, "\"a\\u0000b\"\n" },
		{ "UTF-8", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"\n" },
		{ "a byte that is none", "a\xff", 2, "\"a\\udcff\"\n" },
		{ "a cut character", "\xe2\x82", 2, "\"\\udce2\\udc82\"\n" },
		{ "an overlong slash", "\xc0\xaf", 2, "\"\\udcc0\\udcaf\"\n" },
		{ "an encoded surrogate", "\xed\xb2\x80", 3, "\"\\udced\\udcb2\\udc80\"\n" },
		{ "past U+10FFFF", "\xf4\x90\x80\x80", 4, "\"\\udcf4\\udc90\\udc80\\udc80\"\n" },
		{ "line separators", "\xe2\x80\xa8\xe2\x80\xa9", 6, "\"\\u2028\\u2029\"\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct written w;

		written_open(&w);
		json_bytes(&w.json, NULL, rows[i].bytes, rows[i].size);
		is_str(written_text(&w), rows[i].json, "string: %s", rows[i].what);
		written_close(&w);
	}
}

static void test_structure(void)
{
	struct written w;

	written_open(&w);
	json_open_object(&w.json, NULL);
	json_string(&w.json, "a", "x");
	json_open_array(&w.json, "b");
	json_uint(&w.json, NULL, UINT64_MAX);
	json_int(&w.json, NULL, INT64_MIN);
	json_bool(&w.json, NULL, true);
	json_null(&w.json, NULL);
	json_open_object(&w.json, NULL);
	json_close(&w.json);
	json_close(&w.json);
	json_bool(&w.json, "c", false);
	json_close(&w.json);
	is_str(written_text(&w), "{\"a\": \"x\", \"b\": [18446744073709551615, -9223372036854775808, true, null, {}], \"c\": false}\n",
		"objects and arrays nest");
	ok(w.json.done && w.json.depth == 0, "the root's end is the end");
	written_close(&w);
}

static void test_base64(void)
{
	/* RFC 4648 section 10 */
	static const char *const rows[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
	char want[32];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t piece = 1; piece <= 3; piece++) {
			struct written w;
			size_t size = strlen(rows[i][0]);

			written_open(&w);
			json_base64_open(&w.json, NULL);
			for (size_t at = 0; at < size; at += piece)
				json_base64_add(&w.json, rows[i][0] + at, size - at < piece ? size - at : piece);
			json_base64_close(&w.json);
			snprintf(want, sizeof(want), "\"%s\"\n", rows[i][1]);
			is_str(written_text(&w), want, "base64 of '%s' in pieces of %zu", rows[i][0], piece);
			written_close(&w);
		}
}

static void test_refused(void)
{
	static const char *const rows[] = { "", " ", "{", "[1,]", "{\"a\":}", "{\"a\" 1}", "{a:1}", "[1 2]", "01", "-", "1.", "1e", "+1", "tru", "nulll",
		"\"abc", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\nb\"", "1 2", "{}x", "'a'", "\"\\", "[\"a\"", "{\"a\":1,}" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json_value *value = NULL;
		is_int(json_parse(rows[i], strlen(rows[i]), &value), -EBADMSG, "refused: row %zu", i);
	}

	char deep[JSON_READ_DEPTH_MAX * 2 + 3];
	struct json_value *value = NULL;
	memset(deep, '[', sizeof(deep));
	memset(deep + JSON_READ_DEPTH_MAX + 1, ']', JSON_READ_DEPTH_MAX + 1);
	is_int(json_parse(deep, JSON_READ_DEPTH_MAX * 2 + 2, &value), -EBADMSG, "refused: deeper than the bound");
	is_int(json_parse(deep + 1, JSON_READ_DEPTH_MAX * 2, &value), 0, "as deep as the bound is read");
	json_value_free(value);
}

static void test_read(void)
{
	static const char text[] = " {\"name\": \"a\\u00e4\\ud83d\\ude00\\/\\n\", \"n\": 18446744073709551615, \"m\": -5, \"f\": 1.5e3, \"list\": [true, false, null, {}],"
		" \"raw\": \"\xff\"} ";
	struct json_value *v = NULL;
	int64_t n = 0;

	is_int(json_parse(text, sizeof(text) - 1, &v), 0, "an object is read");
	is_str(json_get_string(v, "name"), "a\xc3\xa4\xf0\x9f\x98\x80/\n", "escapes become their characters");
	is_str(json_get(v, "n")->text, "18446744073709551615", "a number keeps its digits");
	is_int(json_get_int(v, "m", &n), 0, "a whole number is read");
	is_int(n, -5, "with its sign");
	is_int(json_get_int(v, "n", &n), -EBADMSG, "one that does not fit is refused");
	is_int(json_get_int(v, "f", &n), -EBADMSG, "so is one with a fraction");
	is_int(json_get_int(v, "name", &n), -EBADMSG, "and what is no number");
	is_int(json_get_int(v, "none", &n), -ENOENT, "and what is not there");
	ok(!json_get(v, "none") && !json_get(json_get(v, "list"), "a") && !json_get(NULL, "a"), "what is not there is NULL");
	is_str(json_get_string(v, "raw"), "\xff", "a byte that is not UTF-8 is taken as it is");
	json_value_free(v);
}

static void test_round_trip(void)
{
	uint8_t bytes[256];
	struct json_value *v = NULL;
	struct written w, again;

	for (int i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	written_open(&w);
	json_open_object(&w.json, NULL);
	json_bytes(&w.json, "all", bytes, sizeof(bytes));
	json_open_array(&w.json, "list");
	json_number(&w.json, NULL, "1.50");
	json_close(&w.json);
	json_close(&w.json);
	const char *text = written_text(&w);
	is_int(json_parse(text, w.size, &v), 0, "what was written is read");
	ok(v && json_get(v, "all")->text_size == 256 && memcmp(json_get(v, "all")->text, bytes, 256) == 0, "every byte comes back");
	written_open(&again);
	json_write_value(&again.json, NULL, v);
	is_str(written_text(&again), written_text(&w), "and is written the same again");
	json_value_free(v);
	written_close(&again);
	written_close(&w);
}

int main(void)
{
	test_strings();
	test_structure();
	test_base64();
	test_refused();
	test_read();
	test_round_trip();
	return done_testing();
}
