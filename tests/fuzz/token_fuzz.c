/* Any bytes as the text of a token. The first byte says how: 0 mod 3: the rest is the text; 1 mod 3: the rest is the binary
 * form, put into base64url first, so that the fuzzer gets past it; 2 mod 3: the rest is the text of rights. */
#include <string.h>

#include "base/error.h"
#include "caps/base64url.h"
#include "caps/token.h"
#include "tests/fuzz/fuzz.h"

static const struct token_key key = { .id = 7, .bytes = "known to every fuzzer" };

static void grant_is_within(const struct token_grant *grant, const struct token *token, int64_t now_ns)
{
	fuzz_check(grant->rights != 0 && (grant->rights & ~token->rights) == 0);
	fuzz_check(now_ns < grant->expiry_ns);
	fuzz_check(grant->length > 0 && grant->length <= UINT64_MAX - grant->offset);
	for (size_t i = 0; i < token->caveat_count; i++) {
		const struct caveat *c = &token->caveats[i];
		if (c->kind == CAVEAT_RIGHTS)
			fuzz_check((grant->rights & ~c->rights) == 0);
		else if (c->kind == CAVEAT_EXPIRY)
			fuzz_check(grant->expiry_ns <= c->expiry_ns);
		else if (c->kind == CAVEAT_RANGE)
			fuzz_check(grant->offset >= c->range.offset &&
				grant->offset + grant->length <= c->range.offset + c->range.length);
		else if (c->kind == CAVEAT_ONCE)
			fuzz_check(grant->once);
		else
			fuzz_check(c->kind == CAVEAT_NODE || c->kind == CAVEAT_TASK);
	}
}

/* The same token, under a chain that is right: what its caveats leave is within each of them. */
static void honest_token_grants_within(const struct token *token)
{
	struct random_seeded random;
	struct token honest;
	struct token_grant grant;
	struct token_context context = { .now_ns = 1000, .node = 1, .task = &token->name };
	int r;

	random_seeded_init(&random, 1);
	fuzz_check(token_mint(&key, &random.source, &token->name, token->epoch, token->rights, &honest) == 0);
	for (size_t i = 0; i < token->caveat_count; i++) {
		r = token_narrow(&honest, &token->caveats[i]);
		fuzz_check(r == 0 || (r == -EINVAL && token->caveats[i].kind > CAVEAT_ONCE));
		if (r < 0)
			return;
	}
	r = token_verify(&honest, &key, token->epoch, &context, &grant);
	fuzz_check(r == 0 || r == -EACCES);
	if (r == 0)
		grant_is_within(&grant, &honest, context.now_ns);
	fuzz_check(token_verify(&honest, &key, token->epoch + 1, &context, &grant) == -EACCES);
}

static void text_is_one_token_or_none(const char *text, size_t size)
{
	struct token token;
	struct token_grant grant;
	struct token_context context = { .now_ns = 1000, .node = 1 };
	char back[TOKEN_TEXT_MAX + 1];
	size_t length = 0;
	int r = token_from_text(text, size, &token);

	fuzz_check(r == 0 || r == -EINVAL);
	if (r < 0)
		return;
	fuzz_check(token_to_text(&token, back, sizeof(back), &length) == 0);
	fuzz_check(length == size && memcmp(text, back, size) == 0);
	r = token_verify(&token, &key, token.epoch, &context, &grant);
	fuzz_check(r == 0 || r == -EACCES || (r == -ENOKEY && token.key_id != key.id));
	honest_token_grants_within(&token);
}

static void rights_are_written_as_read(const char *text)
{
	uint32_t rights = 0, again = 0;
	char back[64];

	if (rights_from_text(text, &rights) < 0)
		return;
	rights_to_text(rights, back);
	fuzz_check(rights_from_text(back, &again) == 0 && again == rights && strlen(back) == strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = NULL;
	int how;

	if (size == 0)
		return 0;
	how = *data++ % 3;
	size--;
	if (how == 0) {
		text_is_one_token_or_none((const char *)data, size);
		return 0;
	}
	text = malloc(BASE64URL_SIZE(size) + 1);
	if (!text)
		return 0;
	if (how == 1) {
		base64url_encode(data, size, text);
		text_is_one_token_or_none(text, BASE64URL_SIZE(size));
	} else {
		memcpy(text, data, size);
		text[size] = '\0';
		rights_are_written_as_read(text);
	}
	return 0;
}
