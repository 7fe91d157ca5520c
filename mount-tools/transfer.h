/* Copying whole files, with progress, so that the destination is either the whole file or what it was before: bytes go to a hidden
 * file beside it, are synced, and are renamed over it. */
#ifndef DIOS_MOUNT_TOOLS_TRANSFER_H
#define DIOS_MOUNT_TOOLS_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "mount-tools/cli.h"
#include "mount-tools/progress.h"

struct transfer {
	struct cli *cli;             /* borrowed */
	bool no_clobber;             /* a destination that exists is an error */
	bool times;                  /* the copy gets the times of its source */
	uint64_t bytes;              /* moved so far */
	uint64_t files;
	struct progress progress;
	char *chunk;                 /* owned */
};

int transfer_init(struct transfer *t, struct cli *cli, const char *label, uint64_t total);   /* status, after a message */
void transfer_done(struct transfer *t);      /* ends the progress; frees */
/* source "-": standard input; destination "-": standard output. Status, after a message. *ret_size: bytes of this file. */
int transfer_file(struct transfer *t, const char *source, const char *destination, uint64_t *ret_size);
/* Copies what is left of one descriptor to another, in the kernel where it can. -errno; *written says on which side. */
int transfer_descriptor(struct transfer *t, int from, int to, bool *written, uint64_t *ret_size);
/* DESTINATION/name where the destination is a folder, else the destination itself; to be freed. NULL: no memory. */
char *transfer_place(const char *source, const char *destination, bool folder);

#endif
