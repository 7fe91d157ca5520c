/* The keys of the applied state. Each begins with slot (2 bytes), realm (4) and type (1); all integers are big endian, so that the
 * order of keys is the order of numbers. docs/DISK_FORMAT.md describes keys and values.
 *
 * What belongs to an object is kept under the slot of its inode or name, so that a slot can be moved as a whole. Indexes that are read across all
 * slots (orphans, tasks, unabsorbed blobs, results) are kept under slot 0, realm 0, which is no realm: one scan finds them. */
#ifndef DIOS_CLUSTER_STATE_KEYS_H
#define DIOS_CLUSTER_STATE_KEYS_H

#include "cluster/record.h"

#define REALM_NONE 0u
#define STATE_KEY_PREFIX 7u      /* bytes */
#define STATE_KEY_MAX (STATE_KEY_PREFIX + 8u + NAME_MAX_BYTES)

/* Numbers are never used again. */
enum state_key_type {
	KEY_META = 1,         /* | which: u64 (enum state_meta)                  -> see state.c */
	KEY_COUNTER = 2,      /* of a slot                                       -> next inode counter */
	KEY_RECORD = 3,       /* | ino                                           -> record */
	KEY_ENTRY = 4,        /* | parent | name                                 -> ino, cookie, S_IFMT bits */
	KEY_COOKIE = 5,       /* | parent | cookie                               -> ino, S_IFMT bits, name */
	KEY_NAME = 6,         /* | the name's 32 bytes                           -> ino */
	KEY_INLINE = 7,       /* | ino                                           -> blob content, symlink target or task spec */
	KEY_ROW = 8,          /* | ino | block                                   -> version, bytes or place in a side file */
	KEY_CRC = 9,          /* | ino | MiB                                     -> version, bitmaps, checksums */
	KEY_TRIM = 10,        /* | ino | version | block                         -> count */
	KEY_UNABSORBED = 11,  /* shard: | ino                                    -> nothing */
	KEY_XATTR = 12,       /* | ino | name                                    -> value */
	KEY_STREAM_INDEX = 13,/* | ino | offset                                  -> time, sizes of the records */
	KEY_STREAM_DATA = 14, /* | ino | offset                                  -> bytes */
	KEY_TASK_STATS = 15,  /* | ino                                           -> opaque */
	KEY_TASK = 16,        /* shard: | log index that made it                 -> ino */
	KEY_ORPHAN = 17,      /* shard: | ino                                    -> nothing */
	KEY_REVOKED = 18,     /* shard: | token id                               -> expiry */
	KEY_SPENT = 19,       /* shard: | once id                                -> expiry */
	KEY_EXPIRY = 20,      /* shard: | expiry | id | type: what to forget when -> nothing */
	KEY_TOKEN_KEY = 21,   /* slot 0 of a realm: | key id                     -> sealed key */
	KEY_RESULT = 22,      /* shard: | client | seq                           -> done_below, result */
	KEY_IN_PLACE = 23,    /* shard: | ino: unsealed blobs                    -> nothing */
	KEY_QUOTA = 24,       /* slot 0 of a realm                               -> bytes, objects */
};

struct state_key { uint16_t size; uint8_t data[STATE_KEY_MAX + 9]; };   /* room for an expiry's key */

static inline struct slice key_slice(const struct state_key *k) { return (struct slice){ .data = k->data, .size = k->size }; }

struct state_key key_shard(enum state_key_type type);
struct state_key key_shard_u64(enum state_key_type type, uint64_t n);
struct state_key key_shard_pair(enum state_key_type type, uint64_t a, uint64_t b);
struct state_key key_shard_id(enum state_key_type type, const uint8_t id[16]);
struct state_key key_expiry(int64_t expiry_ns, const uint8_t id[16], enum state_key_type of);
struct state_key key_counter(uint16_t slot);
struct state_key key_name(const struct name *name);
struct state_key key_quota(uint32_t realm);
struct state_key key_token_key(uint32_t realm, uint32_t key_id);
struct state_key key_ino(enum state_key_type type, uint64_t ino);
struct state_key key_ino_u64(enum state_key_type type, uint64_t ino, uint64_t n);
struct state_key key_ino_pair(enum state_key_type type, uint64_t ino, uint64_t a, uint64_t b);
struct state_key key_ino_bytes(enum state_key_type type, uint64_t ino, struct slice bytes);   /* at most NAME_MAX_BYTES */
/* All names of one slot. */
struct state_key key_slot(enum state_key_type type, uint16_t slot);
/* The smallest key above all that begin with k. */
struct state_key key_after(const struct state_key *k);

/* The big-endian number that ends a key; the bytes after `skip` of them. */
uint64_t key_last_u64(struct slice key);
struct slice key_rest(struct slice key, size_t skip);

#endif
