/* Building and reading keys. */
#include <assert.h>
#include <string.h>

#include "caps/bigendian.h"
#include "cluster/state_keys.h"

static struct state_key begin(uint16_t slot, uint32_t realm, enum state_key_type type)
{
	struct state_key k;

	k.data[0] = (uint8_t)(slot >> 8);
	k.data[1] = (uint8_t)slot;
	put_be32(k.data + 2, realm);
	k.data[6] = (uint8_t)type;
	k.size = STATE_KEY_PREFIX;
	return k;
}

static void add_bytes(struct state_key *k, const void *data, size_t size)
{
	assert(k->size + size <= sizeof(k->data));
	memcpy(k->data + k->size, data, size);
	k->size += (uint16_t)size;
}

static void add_u64(struct state_key *k, uint64_t n)
{
	assert(k->size + 8u <= sizeof(k->data));
	put_be64(k->data + k->size, n);
	k->size += 8;
}

struct state_key key_shard(enum state_key_type type)
{
	return begin(0, REALM_NONE, type);
}

struct state_key key_shard_u64(enum state_key_type type, uint64_t n)
{
	struct state_key k = key_shard(type);
	add_u64(&k, n);
	return k;
}

struct state_key key_shard_pair(enum state_key_type type, uint64_t a, uint64_t b)
{
	struct state_key k = key_shard_u64(type, a);
	add_u64(&k, b);
	return k;
}

struct state_key key_shard_id(enum state_key_type type, const uint8_t id[16])
{
	struct state_key k = key_shard(type);
	add_bytes(&k, id, 16);
	return k;
}

struct state_key key_expiry(int64_t expiry_ns, const uint8_t id[16], enum state_key_type of)
{
	assert(expiry_ns >= 0);
	struct state_key k = key_shard_u64(KEY_EXPIRY, (uint64_t)expiry_ns);
	add_bytes(&k, id, 16);
	add_bytes(&k, &(uint8_t){ (uint8_t)of }, 1);
	return k;
}

struct state_key key_slot(enum state_key_type type, uint16_t slot)
{
	return begin(slot, REALM_FIRST, type);
}

struct state_key key_counter(uint16_t slot)
{
	return key_slot(KEY_COUNTER, slot);
}

struct state_key key_name(const struct name *name)
{
	struct state_key k = key_slot(KEY_NAME, name_slot(name));
	add_bytes(&k, name->bytes, NAME_SIZE);
	return k;
}

struct state_key key_token_key(uint32_t realm, uint32_t key_id)
{
	struct state_key k = begin(0, realm, KEY_TOKEN_KEY);
	add_u64(&k, key_id);
	return k;
}

struct state_key key_quota(uint32_t realm)
{
	return begin(0, realm, KEY_QUOTA);
}

struct state_key key_ino(enum state_key_type type, uint64_t ino)
{
	struct state_key k = key_slot(type, ino_slot(ino));
	add_u64(&k, ino);
	return k;
}

struct state_key key_ino_u64(enum state_key_type type, uint64_t ino, uint64_t n)
{
	struct state_key k = key_ino(type, ino);
	add_u64(&k, n);
	return k;
}

struct state_key key_ino_pair(enum state_key_type type, uint64_t ino, uint64_t a, uint64_t b)
{
	struct state_key k = key_ino_u64(type, ino, a);
	add_u64(&k, b);
	return k;
}

struct state_key key_ino_bytes(enum state_key_type type, uint64_t ino, struct slice bytes)
{
	struct state_key k = key_ino(type, ino);
	assert(bytes.size <= NAME_MAX_BYTES);
	add_bytes(&k, bytes.data, bytes.size);
	return k;
}

struct state_key key_after(const struct state_key *k)
{
	struct state_key after = *k;

	/* The type's byte is never 255, so the carry stops. */
	while (after.data[after.size - 1] == UINT8_MAX)
		after.size--;
	after.data[after.size - 1]++;
	return after;
}

uint64_t key_last_u64(struct slice key)
{
	return key.size >= STATE_KEY_PREFIX + 8u ? get_be64(key.data + key.size - 8) : 0;
}

struct slice key_rest(struct slice key, size_t skip)
{
	return key.size >= skip ? (struct slice){ .data = key.data + skip, .size = key.size - skip } : (struct slice){ 0 };
}
