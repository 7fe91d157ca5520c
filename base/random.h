/* Random bytes, injectable: production uses getrandom(2), the simulation a seeded generator. */
#ifndef DIOS_BASE_RANDOM_H
#define DIOS_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random_source { void (*fill)(struct random_source *r, void *out, size_t size); };

extern struct random_source random_system;   /* getrandom(2); aborts if the kernel refuses, which it never does after boot */

/* A seeded generator for tests and simulation: same seed, same bytes, on every machine. Never for keys. */
struct random_seeded { struct random_source source; uint64_t state; };
void random_seeded_init(struct random_seeded *r, uint64_t seed);

static inline void random_fill(struct random_source *r, void *out, size_t size) { r->fill(r, out, size); }
uint64_t random_u64(struct random_source *r);
uint64_t random_below(struct random_source *r, uint64_t bound);   /* uniform in [0, bound); bound > 0 */

#endif
