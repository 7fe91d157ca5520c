/* The key, the object and the caveats that the token tests share. */
#ifndef DIOS_TESTS_CAPS_TOKEN_SAMPLES_H
#define DIOS_TESTS_CAPS_TOKEN_SAMPLES_H

#include "base/error.h"
#include "caps/token.h"
#include "tests/caps/vectors.h"

#define EPOCH 0x123456789abcdef0
#define NOW 1600000000000000000
#define EXPIRY 1700000000000000000
#define NODE 9

static struct token_key key = { .id = 7 };                /* bytes 40 to 5f */
static struct name object, task;                          /* bytes a0 to bf, 00 to 1f */
static struct random_source counting = { counting_fill }; /* token id 00 to 0f */
static struct caveat caveats[6];                          /* one of each kind, at kind - 1 */
static struct token_context context = { .now_ns = NOW, .node = NODE, .task = &task };

static inline void samples_init(void)
{
	fill_from(key.bytes, sizeof(key.bytes), 0x40);
	fill_from(object.bytes, NAME_SIZE, 0xa0);
	fill_from(task.bytes, NAME_SIZE, 0);
	caveats[0] = (struct caveat){ .kind = CAVEAT_RIGHTS, .rights = RIGHT_READ };
	caveats[1] = (struct caveat){ .kind = CAVEAT_EXPIRY, .expiry_ns = EXPIRY };
	caveats[2] = (struct caveat){ .kind = CAVEAT_RANGE, .range = { .offset = 4096, .length = 8192 } };
	caveats[3] = (struct caveat){ .kind = CAVEAT_NODE, .node = NODE };
	caveats[4] = (struct caveat){ .kind = CAVEAT_TASK, .task = task };
	caveats[5] = (struct caveat){ .kind = CAVEAT_ONCE };
	fill_from(caveats[5].once, TOKEN_ID_SIZE, 0xf0);
}

static inline struct token mint(uint32_t rights)
{
	struct token token = { 0 };

	token_mint(&key, &counting, &object, EPOCH, rights, &token);
	return token;
}

static inline struct token narrowed(struct token token, const struct caveat *caveat)
{
	int r = token_narrow(&token, caveat);

	if (r < 0)
		printf("# token_narrow: %d\n", r);
	return token;
}

static inline int verify(const struct token *token, struct token_grant *ret_grant)
{
	return token_verify(token, &key, EPOCH, &context, ret_grant);
}

#endif
