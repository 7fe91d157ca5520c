/* The specification of a task as a program writes it (enum dios_spec_kind of libdios/dios-ioctl.h), decoded. */
#ifndef DIOS_FS_RUN_SPEC_H
#define DIOS_FS_RUN_SPEC_H

#include <stdbool.h>
#include "caps/name.h"
#include "libdios/dios-ioctl.h"

struct reference;

struct run_id { uint8_t bytes[DIOS_ID_SIZE]; };
struct run_text { const char *text; size_t size; };       /* borrowed from the bytes; not terminated, holds no NUL */

struct run_spec {
	struct run_text *arguments, *environment;         /* environment: each has a '=' that is not its first character */
	size_t argument_count, environment_count;
	struct run_id *input_ids, *output_ids;
	size_t input_count, output_count;                 /* at most DIOS_SPEC_REFERENCES_MAX each */
	bool has_standard[3];
	struct run_id standard_ids[3];
	struct run_text path;                             /* size 0: none */
	uint64_t memory_bytes, cpu_percent, node, gang_size;      /* 0: not said */
	struct name job, gang;                            /* zero: none */
	/* What the ids name, in the same places; counted. Filled in by the handler of run. */
	struct reference **inputs, **outputs, *standard[3];
};

/* -EINVAL: malformed; -ENOMEM. *ret_spec is to be given to run_spec_done in any case. */
int run_spec_decode(const uint8_t *data, size_t size, struct run_spec *ret_spec);
void run_spec_done(struct run_spec *spec);        /* the references are the caller's to close before */

#endif
