/* What a program's request has done so far, so that a later daemon can do the request again and each of its effects still comes once (rule D2).
 *
 * A redo lies in memory that outlives the daemon (fs/region.h), beside the bytes of its request. Each command of the request that counts
 * (struct command, `counts`) leaves its number here before it is sent; its result is remembered in the state until the request has
 * been answered. A command is found again by its place among those that count, so these come in the same order each time; commands that an
 * earlier life has made superfluous (commits of what was dirty) do not count. A command that is refused has had no effect and leaves nothing.
 *
 * Not by the kernel's number of the request: that is neither ordered nor dense on every kernel, and what is kept has to be bounded by an order.
 *
 * A worker enters a redo before it serves the request, and leaves it afterwards; what it does in between counts there. */
#ifndef DIOS_CLUSTER_REDO_H
#define DIOS_CLUSTER_REDO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define REDO_COMMANDS_MAX 8u     /* of one request; further ones are not found again: no request has so many */

struct redo {
	_Atomic uint64_t numbers[REDO_COMMANDS_MAX];   /* in order; 0: not sent yet */
	_Atomic uint64_t place, size;                  /* where an append or a consumer's read began, and how much it is */
	_Atomic bool placed;
};

void redo_enter(struct redo *redo);    /* this thread begins that request, from its beginning; NULL: none */
void redo_leave(void);
/* Where an append goes: `place` now, which is kept; or where it went when the request was begun by an earlier daemon. Under the lock that
 * keeps others from appending. */
uint64_t redo_keep_place(uint64_t place);
/* The same for what is taken from a place: false if an earlier daemon has taken it. */
bool redo_take_place(uint64_t *place, uint64_t *size);
void redo_put_place(uint64_t place, uint64_t size);

/* For cluster/client.c: where this thread's next command that counts is kept; NULL: nowhere. */
_Atomic uint64_t *redo_next(void);
void redo_advance(void);

#endif
