/* Making, sealing and unsealing the keys of tokens. Plain key bytes are wiped from every buffer of this file. */
#include "caps/keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include "base/error.h"
#include "caps/bigendian.h"

#define SEALED_VERSION 1
#define HEADER_SIZE (1 + 4)
#define NONCE_SIZE 12
#define TAG_SIZE 16

int token_key_generate(struct random_source *random, uint32_t id, struct token_key *ret_key)
{
	ret_key->id = id;
	random_fill(random, ret_key->bytes, TOKEN_KEY_SIZE);
	return 0;
}

void token_key_done(struct token_key *key)
{
	OPENSSL_cleanse(key, sizeof(*key));
}

/* Keys the cipher and takes in what is authenticated only: realm and header. */
static EVP_CIPHER_CTX *cipher_new(const uint8_t *cluster_key, const uint8_t *sealed, uint32_t realm, int encrypt)
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	uint8_t realm_bytes[4];
	int n;

	put_be32(realm_bytes, realm);
	if (cipher && EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, cluster_key, sealed + HEADER_SIZE, encrypt) == 1 &&
	    EVP_CipherUpdate(cipher, NULL, &n, realm_bytes, sizeof(realm_bytes)) == 1 &&
	    EVP_CipherUpdate(cipher, NULL, &n, sealed, HEADER_SIZE) == 1)
		return cipher;
	EVP_CIPHER_CTX_free(cipher);
	return NULL;
}

int key_seal(const uint8_t cluster_key[static CLUSTER_KEY_SIZE], struct random_source *random, uint32_t realm,
	const struct token_key *key, uint8_t *out, size_t size, size_t *ret_size)
{
	uint8_t sealed[KEY_SEALED_SIZE], *text = sealed + HEADER_SIZE + NONCE_SIZE;
	EVP_CIPHER_CTX *cipher;
	int n, r = -ENOMEM;

	if (size < KEY_SEALED_SIZE)
		return -ENOBUFS;
	sealed[0] = SEALED_VERSION;
	put_be32(sealed + 1, key->id);
	random_fill(random, sealed + HEADER_SIZE, NONCE_SIZE);
	cipher = cipher_new(cluster_key, sealed, realm, 1);
	if (cipher && EVP_CipherUpdate(cipher, text, &n, key->bytes, TOKEN_KEY_SIZE) == 1 &&
	    EVP_CipherFinal_ex(cipher, text + TOKEN_KEY_SIZE, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, text + TOKEN_KEY_SIZE) == 1) {
		memcpy(out, sealed, KEY_SEALED_SIZE);
		*ret_size = KEY_SEALED_SIZE;
		r = 0;
	}
	EVP_CIPHER_CTX_free(cipher);
	return r;
}

int key_unseal(const uint8_t cluster_key[static CLUSTER_KEY_SIZE], uint32_t realm, const uint8_t *data, size_t size,
	struct token_key *ret_key)
{
	struct token_key key;
	uint8_t tag[TAG_SIZE], end[TAG_SIZE];
	EVP_CIPHER_CTX *cipher;
	int n, r;

	if (size != KEY_SEALED_SIZE || data[0] != SEALED_VERSION)
		return -EBADMSG;
	cipher = cipher_new(cluster_key, data, realm, 0);
	if (!cipher)
		return -ENOMEM;
	key.id = get_be32(data + 1);
	memcpy(tag, data + size - TAG_SIZE, TAG_SIZE);
	r = -EBADMSG;
	if (EVP_CipherUpdate(cipher, key.bytes, &n, data + HEADER_SIZE + NONCE_SIZE, TOKEN_KEY_SIZE) == 1 &&
	    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) == 1 &&
	    EVP_CipherFinal_ex(cipher, end, &n) == 1) {
		*ret_key = key;
		r = 0;
	}
	EVP_CIPHER_CTX_free(cipher);
	token_key_done(&key);
	return r;
}

int keys_prepare(void)
{
	static const uint8_t zeros[CLUSTER_KEY_SIZE];
	uint8_t sealed[KEY_SEALED_SIZE], tag[EVP_MAX_MD_SIZE];
	struct token_key key = { .id = 1 };
	size_t size;
	int r = key_seal(zeros, &random_system, 0, &key, sealed, sizeof(sealed), &size);

	if (r == 0)
		r = key_unseal(zeros, 0, sealed, size, &key);
	return r < 0 || !HMAC(EVP_sha256(), zeros, sizeof(zeros), zeros, sizeof(zeros), tag, NULL) ? -ENOMEM : 0;
}
