/* Tokens: minting, narrowing, verifying.
 *
 * Invariant: token->tag is the last tag of the chain over the header and all caveats. The key is needed to start the
 * chain, only the last tag to go on with it. */
#include "caps/token_bytes.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include "base/error.h"

/* One link: tag = HMAC-SHA256(key, data). The key may be the tag itself. OpenSSL fails here only for want of memory. */
static int chain_link(const uint8_t key[static TOKEN_KEY_SIZE], const uint8_t *data, size_t size,
	uint8_t tag[static TOKEN_TAG_SIZE])
{
	uint8_t next[TOKEN_TAG_SIZE];

	if (!HMAC(EVP_sha256(), key, TOKEN_KEY_SIZE, data, size, next, NULL))
		return -ENOMEM;
	memcpy(tag, next, TOKEN_TAG_SIZE);
	OPENSSL_cleanse(next, sizeof(next));
	return 0;
}

static int chain_start(const struct token *token, const struct token_key *key, uint8_t tag[static TOKEN_TAG_SIZE])
{
	uint8_t header[TOKEN_HEADER_SIZE];
	int r = token_header_encode(token, header);

	return r < 0 ? r : chain_link(key->bytes, header, sizeof(header), tag);
}

static int chain_append(const struct caveat *caveat, uint8_t tag[static TOKEN_TAG_SIZE])
{
	uint8_t bytes[CAVEAT_BYTES_MAX];
	int size = caveat_encode(caveat, bytes);

	return size < 0 ? size : chain_link(tag, bytes, (size_t)size, tag);
}

int token_mint(const struct token_key *key, struct random_source *random, const struct name *name, uint64_t epoch,
	uint32_t rights, struct token *ret_token)
{
	struct token token = { .key_id = key->id, .name = *name, .epoch = epoch, .rights = rights };
	int r;

	random_fill(random, token.id, sizeof(token.id));
	r = chain_start(&token, key, token.tag);
	if (r == 0)
		*ret_token = token;
	return r;
}

/* 1: the token says it already; 0: it does not; -EINVAL: it says something else, and nobody could satisfy both. */
static int token_demands(const struct token *token, const struct caveat *caveat)
{
	const struct caveat *held = caveat_find_single(token, caveat->kind);

	if (!held)
		return 0;
	if (caveat->kind == CAVEAT_NODE)
		return held->node == caveat->node ? 1 : -EINVAL;
	if (caveat->kind == CAVEAT_TASK)
		return name_equal(&held->task, &caveat->task) ? 1 : -EINVAL;
	/* A second id of a once could be spent only together with the first. */
	return 1;
}

int token_narrow(struct token *token, const struct caveat *caveat)
{
	int r;

	if (!caveat_known(caveat))
		return -EINVAL;
	r = token_demands(token, caveat);
	if (r != 0)
		return r < 0 ? r : 0;
	if (token->caveat_count >= TOKEN_CAVEATS_MAX)
		return -E2BIG;
	r = chain_append(caveat, token->tag);
	if (r == 0)
		token->caveats[token->caveat_count++] = *caveat;
	return r;
}

int token_check(const struct token *token, const struct token_key *key)
{
	uint8_t tag[TOKEN_TAG_SIZE];
	int r;

	if (token->key_id != key->id)
		return -ENOKEY;
	if (token->caveat_count > TOKEN_CAVEATS_MAX)
		return -EACCES;
	r = chain_start(token, key, tag);
	for (size_t i = 0; r == 0 && i < token->caveat_count; i++)
		r = chain_append(&token->caveats[i], tag);
	if (r == 0 && CRYPTO_memcmp(tag, token->tag, TOKEN_TAG_SIZE) != 0)
		r = -EACCES;
	OPENSSL_cleanse(tag, sizeof(tag));   /* the right tag of a forged token is a capability */
	return r == -EINVAL ? -EACCES : r;
}

/* Cuts the granted range down to its part inside the caveat's. */
static int grant_narrow_range(struct token_grant *grant, uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length, grant_end = grant->offset + grant->length;

	if (offset > grant->offset)
		grant->offset = offset;
	if (end > grant_end)
		end = grant_end;
	if (end <= grant->offset)
		return -EACCES;
	grant->length = end - grant->offset;
	grant->ranged = true;
	return 0;
}

static int grant_narrow(struct token_grant *grant, const struct caveat *caveat, const struct token_context *context)
{
	switch (caveat->kind) {
	case CAVEAT_RIGHTS:
		grant->rights &= caveat->rights;
		return grant->rights ? 0 : -EACCES;
	case CAVEAT_EXPIRY:
		if (caveat->expiry_ns < grant->expiry_ns)
			grant->expiry_ns = caveat->expiry_ns;
		return context->now_ns < grant->expiry_ns ? 0 : -EACCES;
	case CAVEAT_RANGE:
		return grant_narrow_range(grant, caveat->range.offset, caveat->range.length);
	case CAVEAT_NODE:
		grant->bound = true;
		return context->node == caveat->node ? 0 : -EACCES;
	case CAVEAT_TASK:
		grant->bound = true;
		return context->task && name_equal(context->task, &caveat->task) ? 0 : -EACCES;
	case CAVEAT_ONCE:
		if (grant->once)
			return -EACCES;   /* one id can be spent, and no token of ours holds two */
		grant->once = grant->bound = true;
		grant->once_until_ns = grant->expiry_ns;   /* others may hold the token as it was here, without what follows */
		memcpy(grant->once_id, caveat->once, TOKEN_ID_SIZE);
		return 0;
	}
	return -EACCES;
}

int token_verify(const struct token *token, const struct token_key *key, uint64_t epoch, const struct token_context *context,
	struct token_grant *ret_grant)
{
	struct token_grant grant = {
		.name = token->name, .rights = token->rights, .length = UINT64_MAX, .expiry_ns = INT64_MAX,
	};
	int r;

	r = token_check(token, key);
	if (r < 0)
		return r;
	if (token->epoch != epoch)
		return -EACCES;
	for (size_t i = 0; i < token->caveat_count; i++) {
		r = grant_narrow(&grant, &token->caveats[i], context);
		if (r < 0)
			return r;
	}
	*ret_grant = grant;
	return 0;
}
