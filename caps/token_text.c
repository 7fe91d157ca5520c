/* The text form of tokens: strict both ways, so that a token has one text and a text is one token or none. */
#include "caps/token_bytes.h"

#include <string.h>
#include "base/error.h"
#include "caps/base64url.h"
#include "caps/bigendian.h"

_Static_assert(BASE64URL_SIZE(TOKEN_BYTES_MAX) <= TOKEN_TEXT_MAX, "any token fits");

static bool rights_valid(uint32_t rights)
{
	return rights != 0 && (rights & ~(uint32_t)RIGHT_ALL) == 0;
}

int token_header_encode(const struct token *token, uint8_t out[static TOKEN_HEADER_SIZE])
{
	if (!rights_valid(token->rights))
		return -EINVAL;
	*out++ = TOKEN_VERSION;
	put_be32(out, token->key_id);
	out += 4;
	memcpy(out, token->id, TOKEN_ID_SIZE);
	out += TOKEN_ID_SIZE;
	memcpy(out, token->name.bytes, NAME_SIZE);
	out += NAME_SIZE;
	put_be64(out, token->epoch);
	out[8] = (uint8_t)token->rights;
	return 0;
}

/* Decodes data[TOKEN_HEADER_SIZE]. */
static int token_header_decode(const uint8_t *data, struct token *token)
{
	if (*data++ != TOKEN_VERSION)
		return -EINVAL;
	token->key_id = get_be32(data);
	data += 4;
	memcpy(token->id, data, TOKEN_ID_SIZE);
	data += TOKEN_ID_SIZE;
	memcpy(token->name.bytes, data, NAME_SIZE);
	data += NAME_SIZE;
	token->epoch = get_be64(data);
	token->rights = data[8];
	return rights_valid(token->rights) ? 0 : -EINVAL;
}

int token_to_text(const struct token *token, char *text, size_t size, size_t *ret_length)
{
	uint8_t bytes[TOKEN_BYTES_MAX];
	size_t used = TOKEN_HEADER_SIZE, length;
	int r;

	if (token->caveat_count > TOKEN_CAVEATS_MAX)
		return -EINVAL;
	r = token_header_encode(token, bytes);
	if (r < 0)
		return r;
	for (size_t i = 0; i < token->caveat_count; i++) {
		r = caveat_encode(&token->caveats[i], bytes + used);
		if (r < 0)
			return r;
		used += (size_t)r;
	}
	memcpy(bytes + used, token->tag, TOKEN_TAG_SIZE);
	used += TOKEN_TAG_SIZE;
	length = BASE64URL_SIZE(used);
	if (size <= length)
		return -ENOBUFS;
	base64url_encode(bytes, used, text);
	text[length] = '\0';
	*ret_length = length;
	return 0;
}

int token_from_text(const char *text, size_t size, struct token *ret_token)
{
	uint8_t bytes[TOKEN_BYTES_MAX];
	struct token token = { 0 };
	size_t left, at = TOKEN_HEADER_SIZE;
	int r = base64url_decode(text, size, bytes, sizeof(bytes), &left);

	if (r < 0)
		return r;
	if (left < TOKEN_HEADER_SIZE + TOKEN_TAG_SIZE)
		return -EINVAL;
	r = token_header_decode(bytes, &token);
	if (r < 0)
		return r;
	/* What lies between the header and the tag is caveats, with nothing left over. */
	for (left -= TOKEN_HEADER_SIZE + TOKEN_TAG_SIZE; left > 0; left -= (size_t)r, at += (size_t)r) {
		if (token.caveat_count == TOKEN_CAVEATS_MAX)
			return -EINVAL;
		r = caveat_decode(bytes + at, left, &token.caveats[token.caveat_count]);
		if (r < 0)
			return r;
		if (caveat_find_single(&token, token.caveats[token.caveat_count].kind))
			return -EINVAL;
		token.caveat_count++;
	}
	memcpy(token.tag, bytes + at, TOKEN_TAG_SIZE);
	*ret_token = token;
	return 0;
}
