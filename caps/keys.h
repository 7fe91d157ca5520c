/* The keys under which tokens are made: one at a time for each realm, with an id. They are kept in shard 0, sealed under
 * the cluster's key with AES-256-GCM, so that a state store, a snapshot or a log segment alone does not mint tokens.
 *
 * Sealed form: version 1 | key id 4, big endian | nonce 12 | ciphertext 32 | tag 16 (bytes). The realm, the version and
 * the key id are authenticated with it: a sealed key put in another realm's place, or under another id, does not open.
 * Nonces are random; a cluster's key would have to seal billions of realm keys before one came twice. */
#ifndef DIOS_CAPS_KEYS_H
#define DIOS_CAPS_KEYS_H

#include "caps/token.h"

#define CLUSTER_KEY_SIZE 32
#define KEY_SEALED_SIZE (1 + 4 + 12 + TOKEN_KEY_SIZE + 16)

/* `random` must be fit for keys: random_system outside the simulation. Returns 0. */
int token_key_generate(struct random_source *random, uint32_t id, struct token_key *ret_key);
/* Writes KEY_SEALED_SIZE bytes. -ENOBUFS: size is less; -ENOMEM. */
int key_seal(const uint8_t cluster_key[static CLUSTER_KEY_SIZE], struct random_source *random, uint32_t realm,
	const struct token_key *key, uint8_t *out, size_t size, size_t *ret_size);
/* -EBADMSG: not the form above, tampered with, of another realm, or sealed under another cluster's key; -ENOMEM. */
int key_unseal(const uint8_t cluster_key[static CLUSTER_KEY_SIZE], uint32_t realm, const uint8_t *data, size_t size,
	struct token_key *ret_key);
/* Has the algorithms of this folder loaded, once, at a program's start: OpenSSL does not survive memory that runs out while it loads
 * them. -ENOMEM. */
int keys_prepare(void);
/* Wipes a key that is no longer needed, in a way the compiler keeps. */
void token_key_done(struct token_key *key);

#endif
