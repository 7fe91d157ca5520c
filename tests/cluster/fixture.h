/* A state machine over a simulated store, for the tests of its commands: applies, keeps the log, and checks invariants. */
#ifndef DIOS_TESTS_CLUSTER_FIXTURE_H
#define DIOS_TESTS_CLUSTER_FIXTURE_H

#include "cluster/state.h"
#include "store/disk_sim.h"

#define FIXTURE_CLIENT 7
#define FIXTURE_START 1000000000000000000LL   /* ns: the first command's time; each later one is a millisecond after */
#define FIXTURE_NO_CRC 0xdeadbeefu

struct fixture {
	struct random_seeded random;
	struct disk *disk;
	struct kv *kv;
	struct state *state;
	uint64_t index, seq, done_below;
	int64_t now_ns;
	struct result result;          /* of the last command */
	struct { uint8_t *data; size_t size; } *log;
	size_t log_count, log_capacity;
};

void fixture_open(struct fixture *f);              /* empty */
void fixture_open_realm(struct fixture *f);        /* with the root directory */
void fixture_close(struct fixture *f);
void fixture_reopen(struct fixture *f);            /* the state is closed and opened again over the same store */

/* Fills in client, seq, done_below and time where they are 0, encodes, applies. Returns the result's error; a failure of encoding or of the
 * state machine itself ends the program. */
int fixture_apply(struct fixture *f, struct command *c);
int fixture_apply_bytes(struct fixture *f, struct slice entry);      /* as state_apply; logs it if it went well */

/* Commands in one line. */
struct name fixture_name(struct fixture *f, uint16_t slot);
int fixture_create(struct fixture *f, uint64_t parent, const char *entry, enum object_kind kind, uint64_t *ret_ino);
uint64_t fixture_make(struct fixture *f, uint64_t parent, const char *entry, enum object_kind kind);   /* must succeed */
int fixture_link(struct fixture *f, uint64_t ino, uint64_t parent, const char *entry);
int fixture_unlink(struct fixture *f, uint64_t parent, const char *entry, bool directory);
int fixture_rename(struct fixture *f, uint64_t parent, const char *entry, uint64_t new_parent, const char *new_entry, uint32_t flags);
int fixture_reap(struct fixture *f, uint64_t ino);
uint64_t fixture_lookup(struct fixture *f, uint64_t parent, const char *entry);    /* 0: not there */
struct record fixture_record(struct fixture *f, uint64_t ino);                     /* ino 0: not there */
void fixture_put_record(struct fixture *f, const struct record *r);                /* behind apply's back */
struct slice text(const char *s);                                                  /* borrows */

/* Content. */
int fixture_write_inline(struct fixture *f, uint64_t ino, const char *content);    /* replaces all */
/* A new blob with a head of `size` bytes, whose blocks are all in the tail, with checksums of the byte `fill`. */
uint64_t fixture_make_head(struct fixture *f, const char *entry, uint64_t size, uint8_t fill);
uint32_t fixture_crc(uint8_t fill, size_t size);                                   /* of a block: size bytes, then zeros */

/* The stores hold the same bytes. */
bool fixture_same(struct fixture *a, struct fixture *b);
/* What must hold of every state, checked by reading all keys: returns NULL, or what is wrong. */
const char *fixture_check(struct fixture *f);

#endif
