/* Object names: making them, and their text form. */
#include "caps/name.h"

#include <openssl/evp.h>
#include <string.h>
#include "base/error.h"
#include "caps/base64url.h"
#include "caps/bigendian.h"

_Static_assert(BASE64URL_SIZE(NAME_SIZE) == NAME_TEXT_SIZE, "a name's text is its bytes in base64url");

void name_set_slot(struct name *n, uint16_t slot)
{
	n->bytes[0] = (uint8_t)(slot >> 8);
	n->bytes[1] = (uint8_t)slot;
}

bool name_equal(const struct name *a, const struct name *b)
{
	return memcmp(a->bytes, b->bytes, NAME_SIZE) == 0;
}

void name_random(struct random_source *random, uint16_t slot, struct name *ret_name)
{
	random_fill(random, ret_name->bytes, NAME_SIZE);
	name_set_slot(ret_name, slot);
}

/* SHA-256 of realm and data. OpenSSL fails here only for want of memory. */
static int name_digest(uint32_t realm, const void *data, size_t size, struct name *ret_name)
{
	uint8_t realm_bytes[4], digest[NAME_SIZE];
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int r = -ENOMEM;

	put_be32(realm_bytes, realm);
	if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(context, realm_bytes, sizeof(realm_bytes)) == 1 &&
	    EVP_DigestUpdate(context, data, size) == 1 && EVP_DigestFinal_ex(context, digest, NULL) == 1) {
		memcpy(ret_name->bytes, digest, NAME_SIZE);
		r = 0;
	}
	EVP_MD_CTX_free(context);
	return r;
}

int name_from_string(uint32_t realm, const char *string, size_t size, struct name *ret_name)
{
	if (realm == REALM_RESERVED)
		return -EINVAL;
	return name_digest(realm, string, size, ret_name);
}

int name_deterministic(const struct name *parent, uint64_t counter, uint16_t slot, struct name *ret_name)
{
	uint8_t data[NAME_SIZE + 8];
	int r;

	memcpy(data, parent->bytes, NAME_SIZE);
	put_be64(data + NAME_SIZE, counter);
	r = name_digest(REALM_RESERVED, data, sizeof(data), ret_name);
	if (r == 0)
		name_set_slot(ret_name, slot);
	return r;
}

void name_to_text(const struct name *n, char text[static NAME_TEXT_SIZE + 1])
{
	base64url_encode(n->bytes, NAME_SIZE, text);
	text[NAME_TEXT_SIZE] = '\0';
}

int name_from_text(const char *text, size_t size, struct name *ret_name)
{
	struct name name;
	size_t decoded;
	int r;

	if (size != NAME_TEXT_SIZE)
		return -EINVAL;
	r = base64url_decode(text, size, name.bytes, NAME_SIZE, &decoded);
	if (r == 0)
		*ret_name = name;
	return r;
}
