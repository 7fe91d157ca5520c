/* The fields of each kind of command, for both directions of the codec. Lists, which the tables can't say, are the keys below. */
#ifndef DIOS_CLUSTER_COMMAND_FIELDS_H
#define DIOS_CLUSTER_COMMAND_FIELDS_H

#include "cluster/command.h"
#include "cluster/fields.h"

struct command_fields {
	const char *name;
	const struct field *fields;   /* offsets from the command's member of the union */
	size_t count;
};

const struct command_fields *command_fields_of(unsigned kind);    /* NULL: unknown kind */

/* Keys of lists. A row is [block, bytes], or [block, side, offset, size, crc]; other elements are arrays of their integers in the order of
 * their structs; checksums are 4 bytes each, big endian, in one run of bytes. */
enum {
	EXTRA_ROWS = FIELD_KEY_EXTRA, EXTRA_HOLES, EXTRA_TAIL_CRCS, EXTRA_TAIL_PRESENT, EXTRA_PATCHES,   /* COMMIT */
	EXTRA_ABSORBED_ROWS = FIELD_KEY_EXTRA, EXTRA_ABSORBED_TRIMS,
	EXTRA_INOS = FIELD_KEY_EXTRA,       /* REAP */
	EXTRA_SIZES = FIELD_KEY_EXTRA,      /* STREAM_APPEND */
};

static inline size_t bitmap_size(uint32_t bits) { return (bits + 7u) / 8u; }

#endif
