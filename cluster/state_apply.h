/* Private to the state machine: what is in memory beside the store, and the work of one command.
 *
 * A command works on copies of records (struct apply) and puts its other changes into the batch. Only when it has succeeded are the
 * records put into the batch too, and the batch is written, with result and applied index: all or nothing. A handler returns 0 or the errno
 * for the user; a store that fails sets `fatal`, and the replica stops.
 *
 * Reads in a handler see the state before the command, not its own changes, unless they say otherwise. */
#ifndef DIOS_CLUSTER_STATE_APPLY_H
#define DIOS_CLUSTER_STATE_APPLY_H

#include <stdatomic.h>
#include "base/lock.h"
#include "cluster/state.h"
#include "cluster/state_keys.h"

#define APPLY_RECORDS 6u          /* records in one command: rename has two directories and two objects */
#define STATE_INLINE_MAX (1u << 20)   /* bytes of content that apply accepts inside the state */
#define NLINK_MAX 65000u          /* as ext4 */
#define BLOB_SIZE_LIMIT ((uint64_t)INT64_MAX)
#define RECORD_CACHE 1024u        /* records; a power of two */

/* A client whose results are remembered. */
struct client {
	uint64_t id, done_below;
	uint64_t *seqs;           /* ascending: the results kept */
	size_t count, capacity;
};

struct state {
	struct kv *kv;
	_Atomic uint64_t index, term, objects, blocks, rows;
	_Atomic uint64_t quota_bytes, quota_objects;   /* of the one realm; 0: no limit */

	struct record *cache;     /* RECORD_CACHE, by hash of the inode number; ino 0: empty. Never newer than the store */
	struct lock cache_lock;   /* guards it; only the applier changes it */

	/* Only the applier uses what follows. */
	struct kv_batch *batch;
	struct buffer value, encoded;
	struct client *clients;   /* ascending by id */
	size_t client_count, client_capacity;
	uint64_t counter_next;    /* of counter_slot; 0: not known */
	uint16_t counter_slot;
};

struct apply {
	struct state *s;
	uint64_t index;           /* of the log entry */
	int64_t now_ns;           /* the command's time */
	struct result *result;
	int fatal;
	struct { struct record record; bool dirty, freed; } records[APPLY_RECORDS];
	unsigned record_count;
	const struct record *reported;   /* of these: the one that the result carries */
	int64_t objects, blocks, rows;   /* changes of the totals */
	uint64_t counter_next;    /* 0: unchanged; else of counter_slot */
	uint16_t counter_slot;
	struct state_quota quota; /* the new limits, if quota_set */
	bool quota_set;
	uint64_t gone;            /* the client to forget; 0: none */
	bool overlay;             /* reads see the batch: set by a handler that reads what it wrote */
};

/* Handlers, one a kind of command. */
#define COMMAND(NAME, number, member) int apply_##member(struct apply *a, const struct command *command);
#include "cluster/command.def"
#undef COMMAND

/* state_apply.c: the store */
int apply_read(struct apply *a, const struct state_key *key, struct buffer *value);     /* -ENOENT */
bool apply_exists(struct apply *a, const struct state_key *key);
int apply_put(struct apply *a, const struct state_key *key, struct slice value);
int apply_delete(struct apply *a, const struct state_key *key);
int apply_put_u64(struct apply *a, const struct state_key *key, uint64_t value);
int apply_delete_prefix(struct apply *a, const struct state_key *prefix);                /* every key that begins so */
int apply_fatal(struct apply *a, int error);                                            /* the store failed */
struct kv_iter *apply_iterate(struct apply *a, const struct state_key *from, const struct state_key *below);   /* NULL: fatal */

/* state_apply.c: records */
int apply_record(struct apply *a, uint64_t ino, struct record **ret_record);            /* -ENOENT; borrowed till the command ends */
int apply_peek(struct apply *a, uint64_t ino, struct record *ret_record);               /* a copy, not to be changed */
struct record *apply_new_record(struct apply *a, const struct record *r);
void apply_dirty(struct apply *a, struct record *r);                                    /* it changed: write it, report it */
void apply_set_blocks(struct apply *a, struct record *r, uint64_t blocks);
void apply_freed(struct apply *a, const struct record *r);                              /* it is not written, whatever has changed in it */
void apply_report(struct apply *a, const struct record *r);                             /* the result's record, as it will be in the end */
int apply_flush_records(struct apply *a);
void state_cache_put(struct state *s, const struct record *r);
void state_cache_drop(struct state *s, uint64_t ino);
bool state_cache_get(struct state *s, uint64_t ino, struct record *ret_record);         /* any thread; false: it is not there, ask the store */

/* state_remove.c */
int orphan_add(struct apply *a, struct record *r);
int orphan_drop(struct apply *a, struct record *r);
int object_free(struct apply *a, struct record *r);   /* without a link, and no orphan: all that the state has of it goes */

/* state_seal.c */
int mark_in_place(struct apply *a, struct record *r);
int unmark_in_place(struct apply *a, struct record *r);

/* state_attr.c */
int kill_privilege(struct apply *a, struct record *r);

/* state_blob.c */
#define CRC_VALUE_MAX (8u + 2u * (CRC_BLOCKS / 8u) + 4u * CRC_BLOCKS)
size_t crcs_encode(const struct state_crcs *e, uint8_t out[static CRC_VALUE_MAX]);
int crcs_decode(struct slice data, struct state_crcs *ret_crcs);                        /* -EBADMSG */
int row_decode(uint64_t block, struct slice value, struct state_row *ret_row);          /* -EBADMSG; bytes borrow from value */

/* state_quota.c */
int quota_load(struct state *s);
int quota_check(const struct apply *a, const struct command *c);    /* -EDQUOT: what the command would change does not fit */
void quota_note(const struct apply *a);                          /* after the write: the same in memory */

/* state_results.c */
enum results_found { RESULT_NEW, RESULT_REMEMBERED, RESULT_STALE };
int results_load(struct state *s);
void results_done(struct state *s);
int results_find(struct state *s, const struct command *c, enum results_found *ret_found, struct result *ret_result);
bool results_full(struct state *s, uint64_t client);             /* too many results that the client has not given up */
int results_put(struct apply *a, const struct command *c);       /* into the batch: the result; what its done_below gives up goes */
int results_forget(struct apply *a, uint64_t client);            /* into the batch: all of a client's results go */
void results_note(struct apply *a, const struct command *c);     /* after the write: the same in memory */

#endif
