/* A proposer of blob commits, as small as can be: what objects/ does with staging and heads, done with arrays. A head is a run of bytes
 * in memory; a tail is written there before it is committed, rows and trims are absorbed into it. */
#ifndef DIOS_TESTS_CLUSTER_PROPOSER_H
#define DIOS_TESTS_CLUSTER_PROPOSER_H

#include "tests/cluster/fixture.h"

#define PROPOSER_HEADS 256
#define PROPOSER_INLINE_MAX 20000u    /* bytes: small, so that blobs move to heads often */

struct proposer {
	struct fixture *f;
	struct random_source *random;
	struct { uint64_t ino; uint8_t *bytes; size_t size, capacity; } heads[PROPOSER_HEADS];
};

void proposer_init(struct proposer *p, struct fixture *f, struct random_source *random);
void proposer_done(struct proposer *p);
int proposer_write(struct proposer *p, uint64_t ino, uint64_t offset, const uint8_t *data, size_t size);
int proposer_resize(struct proposer *p, uint64_t ino, uint64_t size);
int proposer_zero(struct proposer *p, uint64_t ino, uint64_t offset, uint64_t size);
int proposer_absorb(struct proposer *p, uint64_t ino);           /* all trims and rows, and reports a part of them */
/* A head as it is now, and as it was: what a refused commit wrote into it is no part of the blob. */
struct proposer_head { uint8_t *bytes; size_t size; };
struct proposer_head proposer_keep(struct proposer *p, uint64_t ino);
void proposer_put_back(struct proposer *p, uint64_t ino, const struct proposer_head *head);
void proposer_forget(struct proposer *p, uint64_t ino);          /* the blob was reaped */
/* The content as a reader finds it: inline, rows, heads, holes; every checksum verified. Returns `size` bytes that the caller frees; NULL
 * and a sentence in *ret_wrong if something does not fit. */
uint8_t *proposer_read(struct proposer *p, uint64_t ino, uint64_t *ret_size, const char **ret_wrong);

#endif
