/* Capability tokens: a name, rights and caveats under a chained HMAC-SHA256 (after macaroons, Birgisson et al. 2014).
 *
 * tag0 = HMAC(realm key, version | key id | token id | name | capability epoch | rights); each caveat's tag is
 * HMAC(previous tag, caveat bytes). The token carries only the last tag: anybody can append a caveat offline
 * (narrow), nobody can take one away. Binary form, then base64url without padding; strict, one text for one token:
 *
 *   version 1 | key id 4 | token id 16 | name 32 | epoch 8 | rights 1 | caveats | tag 32      (bytes, big endian)
 *   caveat: kind 1 | size 1 | body; the body of rights is 1 byte, of expiry and node 8, of range 16, of task 32, of once 16
 *
 * Integers have a fixed width: there is one encoding of each value, and the worst case is shorter than with varints. A
 * token holds at most one caveat each of node, task and once (a second one would be satisfied by nobody, or say nothing),
 * so that any 4 caveats fit in 255 characters: at worst 182 bytes, 243 characters (task, once, range, range). 16 caveats
 * take at most 638 bytes, 851 characters. A caveat of a kind that this version does not know is kept as it is, up to
 * CAVEAT_UNKNOWN_MAX bytes, so that the token can be shown and narrowed; it is refused when verified. */
#ifndef DIOS_CAPS_TOKEN_H
#define DIOS_CAPS_TOKEN_H

#include "caps/name.h"

enum {
	RIGHT_READ = 1, RIGHT_WRITE = 2, RIGHT_APPEND = 4, RIGHT_EXECUTE = 8, RIGHT_DELETE = 16, RIGHT_DELEGATE = 32,
	RIGHT_ALL = 63,
};

#define TOKEN_VERSION 1
#define TOKEN_KEY_SIZE 32
#define TOKEN_ID_SIZE 16
#define TOKEN_TAG_SIZE 32
#define TOKEN_CAVEATS_MAX 16
#define TOKEN_TEXT_MAX 1000      /* characters */
#define CAVEAT_UNKNOWN_MAX 32    /* bytes */

enum caveat_kind { CAVEAT_RIGHTS = 1 /* only these */, CAVEAT_EXPIRY, CAVEAT_RANGE, CAVEAT_NODE, CAVEAT_TASK, CAVEAT_ONCE };

struct caveat {
	enum caveat_kind kind;                                      /* 1 to 255; above CAVEAT_ONCE: `unknown` holds the body */
	union {
		uint32_t rights;
		int64_t expiry_ns;                                  /* wall clock, since the epoch; valid before it; >= 0 */
		struct { uint64_t offset, length; } range;          /* bytes; length > 0; the end fits in 64 bits */
		uint64_t node;
		struct name task;
		uint8_t once[TOKEN_ID_SIZE];                        /* spent by this id: random, from the narrower */
		struct { uint8_t size, bytes[CAVEAT_UNKNOWN_MAX]; } unknown;
	};
};

struct token_key { uint32_t id; uint8_t bytes[TOKEN_KEY_SIZE]; };

struct token {
	uint32_t key_id;
	uint8_t id[TOKEN_ID_SIZE];
	struct name name;
	uint64_t epoch;             /* the object's capability epoch when it was minted */
	uint32_t rights;
	size_t caveat_count;
	struct caveat caveats[TOKEN_CAVEATS_MAX];
	uint8_t tag[TOKEN_TAG_SIZE];
};

/* Who presents a token, and when. */
struct token_context { int64_t now_ns; uint64_t node; const struct name *task; /* NULL: none */ };

/* What a verified token gives after all caveats. */
struct token_grant {
	struct name name;
	uint32_t rights;            /* never 0 */
	uint64_t offset, length;    /* the range allowed; 0, UINT64_MAX without a range caveat */
	int64_t expiry_ns;          /* INT64_MAX without one */
	bool once;                  /* must be spent with a command before use */
	uint8_t once_id[TOKEN_ID_SIZE];
	int64_t once_until_ns;      /* no token with this once lives longer, whatever was added behind it; INT64_MAX: for ever */
	bool ranged;
	bool bound;                 /* has a node, task or once caveat */
};

/* -EINVAL: no or unknown rights; -ENOMEM. */
int token_mint(const struct token_key *key, struct random_source *random, const struct name *name, uint64_t epoch,
	uint32_t rights, struct token *ret_token);
/* Appends a caveat, offline: it needs no key. The token is unchanged on failure, and also, with success, if it already
 * holds the same node or task, or a once. -EINVAL: the caveat is not well formed or of an unknown kind, or another node
 * or task is already demanded; -E2BIG past TOKEN_CAVEATS_MAX; -ENOMEM. */
int token_narrow(struct token *token, const struct caveat *caveat);
/* Checks the chain alone (constant time): a token of ours, whatever has become of it. -ENOKEY, -EACCES, -ENOMEM as below. */
int token_check(const struct token *token, const struct token_key *key);
/* Checks the chain (constant time), then every caveat. `epoch` is the object's current capability epoch. Revocation by id
 * and the spending of a once are the caller's. -ENOKEY: made under another key id. -EACCES: forged, of another epoch
 * (older: revoked; newer: of an object that is gone), expired, for another node or task, with an unknown caveat, or
 * nothing is left of its rights or range. -ENOMEM. */
int token_verify(const struct token *token, const struct token_key *key, uint64_t epoch, const struct token_context *context,
	struct token_grant *ret_grant);
/* The length is without the final NUL, for which `size` must have room too: TOKEN_TEXT_MAX + 1 is enough for any token.
 * -ENOBUFS; -EINVAL: the token holds what no text can say. */
int token_to_text(const struct token *token, char *text, size_t size, size_t *ret_length);
/* `text` needs no final NUL. Checks the form only: what it returns is forged until token_verify says otherwise. -EINVAL. */
int token_from_text(const char *text, size_t size, struct token *ret_token);
/* "read,write": each right once, no blanks; -EINVAL. */
int rights_from_text(const char *text, uint32_t *ret_rights);
/* In the order of their bits; "none" for 0. Unknown bits are left out. */
void rights_to_text(uint32_t rights, char text[static 64]);

#endif
