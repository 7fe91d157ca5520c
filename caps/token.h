/* Capability tokens: a name, rights and caveats under a chained HMAC-SHA256 (after macaroons, Birgisson et al. 2014).
 *
 * tag0 = HMAC(realm key, version | key id | token id | name | capability epoch | rights); each caveat's tag is
 * HMAC(previous tag, caveat bytes). The token carries only the last tag: anybody can append a caveat offline
 * (narrow), nobody can take one away. Binary form, then base64url without padding; strict, one text for one token.
 * Up to 4 caveats fit in 255 characters; any token fits in 1,000. */
#ifndef DIOS_CAPS_TOKEN_H
#define DIOS_CAPS_TOKEN_H

#include "caps/name.h"

enum {
	RIGHT_READ = 1, RIGHT_WRITE = 2, RIGHT_APPEND = 4, RIGHT_EXECUTE = 8, RIGHT_DELETE = 16, RIGHT_DELEGATE = 32,
	RIGHT_ALL = 63,
};

#define TOKEN_KEY_SIZE 32
#define TOKEN_ID_SIZE 16
#define TOKEN_CAVEATS_MAX 16
#define TOKEN_TEXT_MAX 1000      /* characters */

enum caveat_kind { CAVEAT_RIGHTS = 1 /* only these */, CAVEAT_EXPIRY, CAVEAT_RANGE, CAVEAT_NODE, CAVEAT_TASK, CAVEAT_ONCE };

struct caveat {
	enum caveat_kind kind;
	union {
		uint32_t rights;
		int64_t expiry_ns;                                  /* wall clock, since the epoch */
		struct { uint64_t offset, length; } range;          /* bytes; length > 0 */
		uint64_t node;
		struct name task;
		uint8_t once[TOKEN_ID_SIZE];                        /* spent by this id */
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
	uint8_t tag[32];
};

/* Who presents a token, and when. */
struct token_context { int64_t now_ns; uint64_t node; const struct name *task; /* NULL: none */ };

/* What a verified token gives after all caveats. */
struct token_grant {
	struct name name;
	uint32_t rights;
	uint64_t offset, length;    /* the range allowed; 0, UINT64_MAX without a range caveat */
	int64_t expiry_ns;          /* INT64_MAX without one */
	bool once;                  /* must be spent with a command before use */
	uint8_t once_id[TOKEN_ID_SIZE];
	bool ranged;
};

int token_mint(const struct token_key *key, struct random_source *random, const struct name *name, uint64_t epoch,
	uint32_t rights, struct token *ret_token);                       /* -EINVAL: no or unknown rights */
int token_narrow(struct token *token, const struct caveat *caveat);      /* offline; -E2BIG past TOKEN_CAVEATS_MAX */
/* Checks the chain (constant time) and every caveat. -EACCES: forged, expired, wrong node or task; -ENOKEY: other key id.
 * `epoch` is the object's current capability epoch: an older token is refused (-EACCES). Revocation by id is the caller's. */
int token_verify(const struct token *token, const struct token_key *key, uint64_t epoch, const struct token_context *context,
	struct token_grant *ret_grant);
int token_to_text(const struct token *token, char *text, size_t size, size_t *ret_length);   /* -ENOBUFS */
int token_from_text(const char *text, size_t size, struct token *ret_token);                 /* -EINVAL with garbage */
int rights_from_text(const char *text, uint32_t *ret_rights);     /* "read,write": -EINVAL */
void rights_to_text(uint32_t rights, char text[static 64]);

#endif
