/* Realm keys: sealed under the cluster's key, and nothing but the very same bytes opens. */
#include "caps/keys.h"

#include "base/error.h"
#include "tests/caps/vectors.h"

#define REALM 1

/* AES-256-GCM over `openssl enc -aes-256-ecb` as the block cipher: key 00..1f, nonce 00..0b, text 40..5f; authenticated
 * besides: 00000001 (the realm) and 0100000007 (version and key id). */
static const char sealed_hex[] = "0100000007" "000102030405060708090a0b"
	"0743945881a0845cc508ddc0fda43622d387d567a42e092b603ebfde41345eed" "040f30b913c76935516fd79c42dfab65";

static uint8_t cluster_key[CLUSTER_KEY_SIZE];
static struct token_key realm_key = { .id = 7 };
static struct random_source counting = { counting_fill };

static void test_generate(void)
{
	struct token_key key, other;

	is_int(token_key_generate(&counting, 9, &key), 0, "a key is made");
	is_int(key.id, 9, "with the id asked for");
	is_str(hex(key.bytes, TOKEN_KEY_SIZE), "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		"from the random source");
	token_key_generate(&random_system, 9, &key);
	token_key_generate(&random_system, 9, &other);
	ok(memcmp(key.bytes, other.bytes, TOKEN_KEY_SIZE) != 0, "two keys differ");
	token_key_done(&key);
	struct token_key zero = { 0 };
	is_mem(&key, &zero, sizeof(key), "a key that is done is wiped");
}

static void test_seal(void)
{
	uint8_t sealed[KEY_SEALED_SIZE + 1];
	size_t size = 0;
	struct token_key key;

	is_int(key_seal(cluster_key, &counting, REALM, &realm_key, sealed, sizeof(sealed), &size), 0, "a key is sealed");
	is_int(size, KEY_SEALED_SIZE, "its size");
	is_str(hex(sealed, KEY_SEALED_SIZE), sealed_hex, "its bytes, against an independent AES-GCM");
	is_int(key_unseal(cluster_key, REALM, sealed, size, &key), 0, "it opens");
	is_int(key.id, 7, "with its id");
	is_mem(key.bytes, realm_key.bytes, TOKEN_KEY_SIZE, "and its bytes");

	uint8_t other[KEY_SEALED_SIZE];
	key_seal(cluster_key, &random_system, REALM, &realm_key, sealed, KEY_SEALED_SIZE, &size);
	key_seal(cluster_key, &random_system, REALM, &realm_key, other, KEY_SEALED_SIZE, &size);
	ok(memcmp(sealed, other, KEY_SEALED_SIZE) != 0, "one key sealed twice is two texts");
	size = 1234;
	is_int(key_seal(cluster_key, &counting, REALM, &realm_key, sealed, KEY_SEALED_SIZE - 1, &size), -ENOBUFS, "no room");
	is_int(size, 1234, "and the size is untouched");
}

static void test_tampered(void)
{
	uint8_t sealed[KEY_SEALED_SIZE], key_bytes[CLUSTER_KEY_SIZE];
	struct token_key key = { .id = 1234 }, before = key;
	size_t size, opened = 0;

	key_seal(cluster_key, &counting, REALM, &realm_key, sealed, sizeof(sealed), &size);
	for (size_t bit = 0; bit < 8 * KEY_SEALED_SIZE; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		opened += key_unseal(cluster_key, REALM, sealed, size, &key) != -EBADMSG;
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	is_int(opened, 0, "EBADMSG with any one bit changed");
	opened = 0;
	for (size_t cut = 0; cut < KEY_SEALED_SIZE; cut++)
		opened += key_unseal(cluster_key, REALM, sealed, cut, &key) != -EBADMSG;
	is_int(opened, 0, "EBADMSG with any number of bytes missing");
	is_int(key_unseal(cluster_key, REALM + 1, sealed, size, &key), -EBADMSG, "EBADMSG for another realm");
	memcpy(key_bytes, cluster_key, sizeof(key_bytes));
	key_bytes[31] ^= 1;
	is_int(key_unseal(key_bytes, REALM, sealed, size, &key), -EBADMSG, "EBADMSG under another cluster's key");
	is_mem(&key, &before, sizeof(key), "the result is untouched by what does not open");
	is_int(key_unseal(cluster_key, REALM, sealed, size, &key), 0, "unchanged, it opens");
}

int main(void)
{
	fill_from(cluster_key, sizeof(cluster_key), 0);
	fill_from(realm_key.bytes, sizeof(realm_key.bytes), 0x40);
	test_generate();
	test_seal();
	test_tampered();
	return done_testing();
}
