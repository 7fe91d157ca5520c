/* A MapReduce of tasks: mappers that share the inputs, reducers, and one direct stream to each reducer that every mapper writes. All
 * are one job and one gang: they start together or not at all.
 *
 * Mapper: DIOS_INPUTS are its input objects, DIOS_OUTPUTS one stream a reducer; it chooses by key, and writes whole records.
 * Reducer: DIOS_INPUTS is its stream, which ends when the last mapper has closed it; DIOS_OUTPUTS the part of the result that is its. */
#ifndef DIOS_MOUNT_TOOLS_MAPREDUCE_H
#define DIOS_MOUNT_TOOLS_MAPREDUCE_H

#include <signal.h>
#include "mount-tools/cli_task.h"
#include "mount-tools/run_refs.h"

#define MAPPERS_MAX 256u
#define REDUCERS_MAX 256u      /* outputs of a mapper */

struct input { char *path; uint64_t size; };   /* path owned */

struct mapreduce {
	struct cli *cli;                /* borrowed */
	const char *mount, *out;        /* borrowed */
	struct program map, reduce;
	const char *map_name, *reduce_name;   /* as given: their argv[0]; borrowed */
	char **environment;
	struct input *inputs;           /* largest first */
	size_t input_count;
	uint64_t input_bytes;
	size_t mappers, reducers;
	struct dios_name job, gang;
	struct refs streams, parts;     /* one for each reducer; dropped when the mappers have ended; after the result */
	struct task *tasks;             /* the mappers, then the reducers */
	size_t *assigned;               /* inputs: the mapper */
	uint64_t *mapper_bytes;
	size_t started;
};

int mapreduce_start(struct mapreduce *m);      /* status, after a message; what was started is ended then */
/* Waits until all have ended, with progress. Status, after a message. *stop, set by a signal, ends them. */
int mapreduce_wait(struct mapreduce *m, const volatile sig_atomic_t *stop);
/* Joins the parts at m->out, which appears whole. */
int mapreduce_join(struct mapreduce *m, bool overwrite, uint64_t *ret_size);
void mapreduce_kill(struct mapreduce *m);      /* and waits until they have ended */
void mapreduce_done(struct mapreduce *m);

#endif
