/* What the operations of the simulation share. */
#ifndef DIOS_TESTS_SIM_OPS_H
#define DIOS_TESTS_SIM_OPS_H

#include "tests/sim/sim.h"

#define SIM_BLOB_MAX 200000u     /* bytes: inline, moving, rows and tails all occur */
#define SIM_LARGE_MAX 3000000u   /* a few commits: absorbed in several steps */
#define ANY (1u << MODEL_FILE | 1u << MODEL_DIRECTORY | 1u << MODEL_SYMLINK | 1u << MODEL_STREAM)

/* Choosing, by the seed. */
void pick_name(struct sim *s, char name[MODEL_NAME]);
unsigned pick_directory(struct sim *s);
struct model_entry *pick_entry(struct sim *s, unsigned kinds);
uint64_t pick_offset(struct sim *s, uint64_t size);
struct sim_handle *pick_handle(struct sim *s);      /* NULL: not open */

/* Compares the answer of a change that the log orders, and makes the model `next` if it was done. Takes next. */
int settle(struct sim *s, struct model *next, int expected, int got, const char *what);

struct content *handle_content(struct sim *s, struct sim_handle *h);      /* borrowed */
/* A model with one node that has the handle's content: the same code computes the expected bytes of orphans too. */
void scratch_init(struct model *scratch, unsigned node, struct content *content);
/* After a change of bytes that was answered with success. */
void blob_changed(struct sim *s, struct sim_handle *h, struct model *scratch, unsigned node);
/* A write, or another change of bytes, that a crash has interrupted. */
void note_torn(struct sim *s, struct sim_handle *h, uint64_t offset, const void *bytes, size_t size);
void note_changed(struct sim *s, struct sim_handle *h, struct model *scratch);

int op_open(struct sim *s);

/* ops_calls.c */
int op_publish(struct sim *s);
int op_check(struct sim *s);
int op_clone(struct sim *s);
int op_damage(struct sim *s);
int op_mint(struct sim *s);
int op_token(struct sim *s);

#endif
