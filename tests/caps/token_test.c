/* Tokens: what each right and caveat refuses, and that nobody without the key can widen one. */
#include "tests/caps/token_samples.h"

static struct token_grant grant;

/* printf HEADER | xxd -r -p | openssl dgst -sha256 -mac HMAC -macopt hexkey:KEY, then each caveat under the tag before. */
static void test_chain_vectors(void)
{
	static const char *const tags[] = {
		"90d65ba5829930ec76f2d2c624a1c68a4cde17ff2524d8b05d4fa2b306030c1b",   /* expiry */
		"da03ee5dd59b11eb7c31c0dfed7251c566fe2a384429041588f0c844b8bfda35",   /* range */
		"45a851f47efa3eecb04975431ccd620567b11ff977e0010cf19b2990c3c2a7e8",   /* rights */
		"dbb0640be4e36a3e4791f9c802fceac6a0b5a7e6b7c80c79af472aa051f426d4",   /* node */
		"eae3b7d1ff664b4054210659d7291b8b4b4d84e5ac28d72ba599a3f923d27333",   /* task */
		"66377fba8c9dbd8faa9bef8f544b719594a74b10f867f9872a4b0b4adc287d47",   /* once */
	};
	static const int order[] = { 1, 2, 0, 3, 4, 5 };
	struct token token = { 0 };

	is_int(token_mint(&key, &counting, &object, EPOCH, RIGHT_READ | RIGHT_WRITE, &token), 0, "a token is minted");
	is_str(hex(token.tag, TOKEN_TAG_SIZE), "f00a318286ef1bd0b44bc7e2619941b953bb6960d04c6a99aab9f41e0cbea4dd", "its first tag");
	for (int i = 0; i < 6; i++) {
		is_int(token_narrow(&token, &caveats[order[i]]), 0, "narrowed with caveat %d", i);
		is_str(hex(token.tag, TOKEN_TAG_SIZE), tags[i], "its tag");
	}
	is_int(verify(&token, &grant), 0, "it holds");
}

static void test_mint(void)
{
	struct token token = mint(RIGHT_ALL), other = token;

	is_int(verify(&token, &grant), 0, "a fresh token holds");
	ok(name_equal(&grant.name, &object), "for its object");
	is_int(grant.rights, RIGHT_ALL, "with its rights");
	ok(grant.offset == 0 && grant.length == UINT64_MAX && !grant.ranged, "for all bytes");
	ok(grant.expiry_ns == INT64_MAX && !grant.once, "for ever and again");
	is_int(token_mint(&key, &counting, &object, EPOCH, 0, &other), -EINVAL, "no rights: refused");
	is_int(token_mint(&key, &counting, &object, EPOCH, 64, &other), -EINVAL, "an unknown right: refused");
	is_int(token_mint(&key, &counting, &object, EPOCH, RIGHT_READ | 1U << 31, &other), -EINVAL, "a known and an unknown: refused");
	is_mem(&other, &token, sizeof(token), "a refused minting changes nothing");
	token_mint(&key, &random_system, &object, EPOCH, RIGHT_READ, &token);
	token_mint(&key, &random_system, &object, EPOCH, RIGHT_READ, &other);
	ok(memcmp(token.id, other.id, TOKEN_ID_SIZE) != 0, "two tokens have two ids");
}

static void test_each_right_is_refused_once(void)
{
	for (uint32_t right = 1; right <= RIGHT_DELEGATE; right <<= 1) {
		struct token token = mint(RIGHT_ALL & ~right);
		is_int(verify(&token, &grant), 0, "without right %u", right);
		is_int(grant.rights, RIGHT_ALL - right, "it is not granted");
		token = narrowed(mint(RIGHT_ALL), &(struct caveat){ .kind = CAVEAT_RIGHTS, .rights = RIGHT_ALL & ~right });
		is_int(verify(&token, &grant), 0, "with right %u narrowed away", right);
		is_int(grant.rights, RIGHT_ALL - right, "it is not granted either");
		token = narrowed(mint(RIGHT_ALL & ~right), &(struct caveat){ .kind = CAVEAT_RIGHTS, .rights = RIGHT_ALL });
		is_int(verify(&token, &grant), 0, "a caveat that names right %u", right);
		is_int(grant.rights, RIGHT_ALL - right, "does not give it");
		token = narrowed(mint(RIGHT_ALL & ~right), &(struct caveat){ .kind = CAVEAT_RIGHTS, .rights = right });
		is_int(verify(&token, &grant), -EACCES, "a token left without rights is refused");
	}
}

static void test_expiry(void)
{
	static const struct { int64_t now; int want; const char *what; } cases[] = {
		{ EXPIRY - 1, 0, "a nanosecond before" }, { EXPIRY, -EACCES, "at the moment" }, { EXPIRY + 1, -EACCES, "a nanosecond after" },
		{ INT64_MAX, -EACCES, "at the end of time" }, { 0, 0, "with a clock that was never set" },
	};
	struct token token = narrowed(mint(RIGHT_READ), &caveats[1]);
	struct token_context then = context;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		then.now_ns = cases[i].now;
		is_int(token_verify(&token, &key, EPOCH, &then, &grant), cases[i].want, "expiry: %s", cases[i].what);
	}
	token = narrowed(token, &(struct caveat){ .kind = CAVEAT_EXPIRY, .expiry_ns = EXPIRY + 100 });
	is_int(verify(&token, &grant), 0, "with a later expiry behind");
	ok(grant.expiry_ns == EXPIRY, "the earlier counts");
	then.now_ns = EXPIRY + 50;
	is_int(token_verify(&token, &key, EPOCH, &then, &grant), -EACCES, "also when it is reached");
	token = narrowed(token, &(struct caveat){ .kind = CAVEAT_EXPIRY, .expiry_ns = NOW });
	is_int(verify(&token, &grant), -EACCES, "an expiry already reached refuses at once");
}

static void test_range(void)
{
	static const struct { uint64_t offset, length, second_offset, second_length, want_offset, want_length; } cases[] = {
		{ 100, 50, 0, UINT64_MAX, 100, 50 },        /* wider: no effect */
		{ 0, UINT64_MAX, 100, 50, 100, 50 },
		{ 100, 50, 120, 10, 120, 10 },              /* inside */
		{ 100, 50, 120, 100, 120, 30 },             /* overlapping the end */
		{ 100, 50, 50, 60, 100, 10 },               /* overlapping the start */
		{ 100, 50, 149, 1, 149, 1 },                /* the last byte */
		{ 100, 50, 150, 1, 0, 0 },                  /* touching behind: nothing */
		{ 100, 50, 99, 1, 0, 0 },                   /* touching in front */
		{ 100, 50, 1000, 1, 0, 0 },
		{ 1, UINT64_MAX - 1, 0, 1, 0, 0 },
		{ 1, UINT64_MAX - 1, UINT64_MAX - 1, 1, UINT64_MAX - 1, 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct caveat first = { .kind = CAVEAT_RANGE, .range = { cases[i].offset, cases[i].length } };
		struct caveat second = { .kind = CAVEAT_RANGE, .range = { cases[i].second_offset, cases[i].second_length } };
		struct token token = narrowed(narrowed(mint(RIGHT_READ), &first), &second);
		int want = cases[i].want_length ? 0 : -EACCES;
		memset(&grant, 0, sizeof(grant));
		is_int(verify(&token, &grant), want, "ranges, case %zu", i);
		ok(grant.offset == cases[i].want_offset && grant.length == cases[i].want_length, "give what is in both");
		ok(grant.ranged == (want == 0), "and say that there is a range");
	}
}

static void test_node_task_once(void)
{
	struct token token = narrowed(mint(RIGHT_READ), &caveats[3]);
	struct token_context other = context;
	struct name other_task = task;

	is_int(verify(&token, &grant), 0, "on the node it names");
	other.node = NODE + 1;
	is_int(token_verify(&token, &key, EPOCH, &other, &grant), -EACCES, "on another node");

	token = narrowed(mint(RIGHT_READ), &caveats[4]);
	is_int(verify(&token, &grant), 0, "from the task it names");
	other = context;
	other.task = &other_task;
	other_task.bytes[31] ^= 1;
	is_int(token_verify(&token, &key, EPOCH, &other, &grant), -EACCES, "from another task");
	other.task = NULL;
	is_int(token_verify(&token, &key, EPOCH, &other, &grant), -EACCES, "from no task");

	token = narrowed(mint(RIGHT_READ), &caveats[5]);
	is_int(verify(&token, &grant), 0, "a once holds");
	ok(grant.once, "and must be spent");
	is_str(hex(grant.once_id, TOKEN_ID_SIZE), "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "by its id");
	ok(grant.once_until_ns == INT64_MAX, "which is to be remembered for ever");
	token = narrowed(token, &(struct caveat){ .kind = CAVEAT_EXPIRY, .expiry_ns = context.now_ns + 5 });
	is_int(verify(&token, &grant), 0, "and an expiry behind it holds");
	ok(grant.expiry_ns == context.now_ns + 5 && grant.once_until_ns == INT64_MAX, "without shortening that: others may hold the token without it");
	token = narrowed(mint(RIGHT_READ), &(struct caveat){ .kind = CAVEAT_EXPIRY, .expiry_ns = context.now_ns + 9 });
	token = narrowed(token, &caveats[5]);
	is_int(verify(&token, &grant), 0, "an expiry before it holds");
	ok(grant.once_until_ns == context.now_ns + 9, "and all that have the id end with it");
}

static void test_one_node_task_once(void)
{
	struct token token = mint(RIGHT_READ), before;
	struct caveat other;

	for (int i = 3; i < 6; i++)
		token = narrowed(token, &caveats[i]);
	before = token;
	for (int i = 3; i < 6; i++)
		is_int(token_narrow(&token, &caveats[i]), 0, "demanding the same again, kind %d, succeeds", (int)caveats[i].kind);
	other = (struct caveat){ .kind = CAVEAT_ONCE, .once = { 1 } };
	is_int(token_narrow(&token, &other), 0, "a once of a once succeeds");
	other = (struct caveat){ .kind = CAVEAT_NODE, .node = NODE + 1 };
	is_int(token_narrow(&token, &other), -EINVAL, "another node is refused");
	other = (struct caveat){ .kind = CAVEAT_TASK, .task = object };
	is_int(token_narrow(&token, &other), -EINVAL, "another task is refused");
	is_mem(&token, &before, sizeof(token), "all of them leave the token as it was");
}

static void test_bad_caveats(void)
{
	static const struct { struct caveat caveat; const char *what; } cases[] = {
		{ { .kind = CAVEAT_RIGHTS, .rights = 0 }, "no rights" },
		{ { .kind = CAVEAT_RIGHTS, .rights = 64 }, "an unknown right" },
		{ { .kind = CAVEAT_RIGHTS, .rights = 256 | RIGHT_READ }, "a right beyond the byte" },
		{ { .kind = CAVEAT_EXPIRY, .expiry_ns = -1 }, "an expiry before 1970" },
		{ { .kind = CAVEAT_RANGE, .range = { 5, 0 } }, "an empty range" },
		{ { .kind = CAVEAT_RANGE, .range = { 1, UINT64_MAX } }, "a range past the end of numbers" },
		{ { .kind = (enum caveat_kind)0 }, "kind 0" },
		{ { .kind = (enum caveat_kind)7 }, "an unknown kind" },
		{ { .kind = (enum caveat_kind)256 }, "a kind beyond the byte" },
	};
	struct token token = mint(RIGHT_READ), before = token;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_int(token_narrow(&token, &cases[i].caveat), -EINVAL, "refused: %s", cases[i].what);
	is_mem(&token, &before, sizeof(token), "a refused caveat changes nothing");
}

static void test_caveats_are_bounded(void)
{
	struct token token = mint(RIGHT_READ), before;

	for (int i = 0; i < TOKEN_CAVEATS_MAX; i++)
		token = narrowed(token, &caveats[0]);
	is_int(token.caveat_count, 16, "16 caveats");
	is_int(verify(&token, &grant), 0, "hold");
	before = token;
	is_int(token_narrow(&token, &caveats[0]), -E2BIG, "a seventeenth is refused");
	is_mem(&token, &before, sizeof(token), "and changes nothing");
	token.caveat_count = TOKEN_CAVEATS_MAX + 1;
	is_int(verify(&token, &grant), -EACCES, "a count beyond the array is refused, not followed");
}

static void test_cannot_widen(void)
{
	struct token narrow = narrowed(narrowed(narrowed(mint(RIGHT_READ | RIGHT_WRITE), &caveats[0]), &caveats[1]), &caveats[2]);
	struct token t;

	is_int(verify(&narrow, &grant), 0, "rights, expiry and range hold");
	t = narrow;
	t.caveat_count--;
	is_int(verify(&t, &grant), -EACCES, "the last caveat dropped");
	t = narrow;
	memmove(t.caveats, t.caveats + 1, 2 * sizeof(t.caveats[0]));
	t.caveat_count--;
	is_int(verify(&t, &grant), -EACCES, "the first caveat dropped");
	t.caveat_count = 0;
	is_int(verify(&t, &grant), -EACCES, "all caveats dropped");
	t = narrow;
	t.caveats[0] = narrow.caveats[1];
	t.caveats[1] = narrow.caveats[0];
	is_int(verify(&t, &grant), -EACCES, "two caveats exchanged");
	t = narrow;
	t.caveats[1].expiry_ns++;
	is_int(verify(&t, &grant), -EACCES, "a later expiry");
	t = narrow;
	t.caveats[2].range.length++;
	is_int(verify(&t, &grant), -EACCES, "a longer range");
	t = narrow;
	t.caveats[0].rights |= RIGHT_WRITE;
	is_int(verify(&t, &grant), -EACCES, "a right more in the caveat");
	t = narrow;
	t.rights |= RIGHT_DELETE;
	is_int(verify(&t, &grant), -EACCES, "a right more in the token");
	t = narrow;
	t.rights = 64;
	is_int(verify(&t, &grant), -EACCES, "a right that does not exist");
	t = narrow;
	t.name.bytes[0] ^= 1;
	is_int(verify(&t, &grant), -EACCES, "another object");
	t = narrow;
	t.id[0] ^= 1;
	is_int(verify(&t, &grant), -EACCES, "another id");
	t = narrow;
	t.caveats[0].kind = (enum caveat_kind)0;
	is_int(verify(&t, &grant), -EACCES, "a caveat that has no bytes");
	t = mint(RIGHT_READ);
	memcpy(narrow.tag, t.tag, TOKEN_TAG_SIZE);
	is_int(verify(&narrow, &grant), -EACCES, "the tag of another token");
}

static void test_every_bit_of_the_tag(void)
{
	struct token token = narrowed(mint(RIGHT_READ), &caveats[1]);
	int held = 0;

	for (size_t bit = 0; bit < 8 * TOKEN_TAG_SIZE; bit++) {
		token.tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
		held += verify(&token, &grant) != -EACCES;
		token.tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	is_int(held, 0, "EACCES with any one bit of the tag changed");
}

static void test_key_and_epoch(void)
{
	struct token token = mint(RIGHT_READ);
	struct token_key other = key;
	struct token_grant before;

	memset(&grant, 0x5a, sizeof(grant));
	before = grant;
	other.bytes[31] ^= 1;
	is_int(token_verify(&token, &other, EPOCH, &context, &grant), -EACCES, "another key with the same id");
	other = key;
	other.id++;
	is_int(token_verify(&token, &other, EPOCH, &context, &grant), -ENOKEY, "another key id");
	is_int(token_verify(&token, &key, EPOCH + 1, &context, &grant), -EACCES, "an older epoch than the object's: revoked");
	is_int(token_verify(&token, &key, EPOCH - 1, &context, &grant), -EACCES, "a newer epoch than the object's: not this object");
	token.epoch++;
	is_int(token_verify(&token, &key, EPOCH + 1, &context, &grant), -EACCES, "a revoked token with its epoch raised");
	is_mem(&grant, &before, sizeof(grant), "the grant is untouched by what is refused");
}

int main(void)
{
	samples_init();
	test_chain_vectors();
	test_mint();
	test_each_right_is_refused_once();
	test_expiry();
	test_range();
	test_node_task_once();
	test_one_node_task_once();
	test_bad_caveats();
	test_caveats_are_bounded();
	test_cannot_widen();
	test_every_bit_of_the_tag();
	test_key_and_epoch();
	return done_testing();
}
