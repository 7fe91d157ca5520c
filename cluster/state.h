/* The replicated state machine: a pure function of (state, command). No clock, no randomness, no file I/O but the
 * key-value store it is kept in. Applying the same log to an empty store gives the same bytes.
 *
 * Every key begins with slot (2 bytes, big endian), realm (4) and type (1); see docs/DISK_FORMAT.md. Reads see applied
 * commands only; a single read is consistent in itself. Thread-safe: one applier, any number of readers. */
#ifndef DIOS_CLUSTER_STATE_H
#define DIOS_CLUSTER_STATE_H

#include "cluster/command.h"
#include "store/kv.h"

struct state;

struct state_limits { uint32_t inline_max; };   /* same on every node: from the log, not from a node's configuration */

int state_open(struct kv *kv, struct state **ret_state);         /* borrows kv */
void state_free(struct state *s);
uint64_t state_applied_index(const struct state *s);             /* 0: nothing yet */
uint64_t state_applied_term(const struct state *s);
/* Applies one committed entry atomically. data may be empty (barrier entries): only the index moves. index must be above the applied one
 * (-EINVAL). Returns an error only if the store failed or the entry is malformed: the replica must stop (R8), and state_open again over
 * the same store is the only way on. A refused command is a result with error != 0. */
int state_apply(struct state *s, uint64_t index, uint64_t term, struct slice data, struct result *ret_result);
/* A small value kept beside the applied index (the Raft configuration), which does not move by it. Called by the applier. */
int state_put_configuration(struct state *s, uint64_t index, struct slice configuration);
int state_get_configuration(struct state *s, uint64_t *ret_index, struct buffer *configuration);

/* Reads. -ENOENT where there is nothing. Buffers are reset first. An each() ends the list with 0 by returning more than 0, and
 * with an error by returning that; it must not apply. */
int state_get(struct state *s, uint64_t ino, struct record *ret_record);
int state_lookup(struct state *s, uint64_t parent, const char *entry, size_t size, uint64_t *ret_ino);
int state_find_name(struct state *s, const struct name *name, uint64_t *ret_ino);
/* Entries with cookie > after, in cookie order, until each() returns non-zero. Cookies grow with insertion and are never used again in
 * one directory. "." and ".." are not stored. */
struct state_entry { uint64_t cookie, ino; uint32_t mode; const char *name; size_t name_size; };
int state_read_directory(struct state *s, uint64_t parent, uint64_t after, int (*each)(void *arg, const struct state_entry *e), void *arg);
int state_get_inline(struct state *s, uint64_t ino, struct buffer *content);   /* blob content or symlink target or task spec; -ENOENT: a blob with a head */
int state_get_xattr(struct state *s, uint64_t ino, struct slice key, struct buffer *value);   /* -ENODATA */
int state_list_xattrs(struct state *s, uint64_t ino, struct buffer *names);    /* NUL-terminated names, as of listxattr(2) */

struct state_row { uint64_t block, version; struct slice bytes; uint64_t side, side_offset; uint32_t side_size, side_crc; };
int state_get_row(struct state *s, uint64_t ino, uint64_t block, struct buffer *storage, struct state_row *ret_row);   /* bytes borrow from storage */
int state_each_row(struct state *s, uint64_t ino, uint64_t from_block, int (*each)(void *arg, const struct state_row *row), void *arg);
/* Inodes with rows or trims that the heads have not absorbed, from `after` on. */
int state_each_unabsorbed(struct state *s, uint64_t after, int (*each)(void *arg, uint64_t ino), void *arg);
int state_each_in_place(struct state *s, uint64_t after, int (*each)(void *arg, uint64_t ino), void *arg);   /* unsealed blobs, likewise */
struct state_trim { uint64_t block, count, version; };   /* the head may still hold bytes here: they read as zeros */
int state_each_trim(struct state *s, uint64_t ino, int (*each)(void *arg, const struct state_trim *trim), void *arg);
/* Checksums of one MiB of a blob with a head: crc[i] is meaningful where present has bit i; absent blocks are holes. A block with a row counts
 * as present; its checksum is then that of the row. */
struct state_crcs { uint64_t version; uint32_t crc[CRC_BLOCKS]; uint8_t present[CRC_BLOCKS / 8];
	uint8_t rows[CRC_BLOCKS / 8];      /* blocks whose newest bytes are in a row: a subset of present */ };
int state_get_crcs(struct state *s, uint64_t ino, uint64_t mib, struct state_crcs *ret_crcs);  /* -ENOENT: all holes */

/* The first MiB at or after `mib` that is not all holes. -ENOENT: none. */
int state_find_crcs(struct state *s, uint64_t ino, uint64_t mib, uint64_t *ret_mib, struct state_crcs *ret_crcs);

/* Stream records from the one that contains offset on, or from the oldest kept one. each(): one record, its offset and bytes. Records
 * that are trimmed meanwhile are missing: the offsets show it. */
int state_read_stream(struct state *s, uint64_t ino, uint64_t offset, int (*each)(void *arg, uint64_t offset, struct slice record), void *arg);

int state_stream_oldest(struct state *s, uint64_t ino, int64_t *ret_time_ns);   /* when its oldest kept record was appended; -ENOENT: it is empty */

int state_get_task_spec(struct state *s, uint64_t ino, struct buffer *spec);
int state_get_task_stats(struct state *s, uint64_t ino, struct buffer *stats);
int state_each_name(struct state *s, const struct name *after, int (*each)(void *arg, const struct name *name, uint64_t ino), void *arg);  /* all objects of the realm */
int state_each_task(struct state *s, int (*each)(void *arg, uint64_t ino), void *arg);   /* tasks, in order of making */
int state_each_orphan(struct state *s, int (*each)(void *arg, uint64_t ino), void *arg);
int state_get_result(struct state *s, uint64_t client, uint64_t seq, struct result *ret_result);   /* remembered for that command */
bool state_token_revoked(struct state *s, const uint8_t token_id[16]);
int state_get_key(struct state *s, uint32_t realm, uint32_t key_id, struct buffer *sealed);   /* key_id 0: the newest; sealed form */
/* Kept up to date by apply; O(1): all records, orphans and directories too; the bytes of their blocks. */
int state_totals(struct state *s, uint64_t *ret_objects, uint64_t *ret_bytes);
/* A realm's limits (0: none) and what it has of each, objects in use by nobody but not freed yet included; O(1). -ENOENT: no such realm. */
struct state_quota { uint64_t bytes, objects; };
struct state_usage { struct state_quota limit, used; };
int state_get_usage(const struct state *s, uint32_t realm, struct state_usage *ret_usage);
uint64_t state_row_count(const struct state *s);    /* rows that no head has absorbed yet, of all objects; O(1) */

#endif
