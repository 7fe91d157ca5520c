/* One simulated node: the daemon's own objects, cluster, caps and rpc code over a simulated disk, clock and randomness, in one
 * thread; and what it is compared with. A run is a pure function of its seed. */
#ifndef DIOS_TESTS_SIM_SIM_H
#define DIOS_TESTS_SIM_SIM_H

#include "objects/objects.h"
#include "store/disk_sim.h"
#include "tests/sim/model.h"

#define SIM_DISK_BYTES (256ull << 20)
#define SIM_HANDLES 8
#define SIM_TOKENS 16
#define SIM_MAPPINGS 3

struct sim_clock { struct clock clock; int64_t now_ns; };

struct sim_history { struct model *snapshots; size_t count, capacity; };
struct sim_content { struct content *content; uint64_t life; };
struct sim_contents { struct sim_content *items; size_t count, capacity; };     /* of one blob, since its last durable point */

/* An open blob; `orphan`: its content after its last link has gone. */
struct sim_handle {
	struct reference *reference;
	unsigned node;
	uint64_t life;
	struct content *orphan;
	struct disk_file *file;                       /* the head, opened by the kernel past the daemon; NULL: it is not */
	bool file_writes;
	struct content *acquired;                     /* what acquire_read found as `version`; NULL: nothing acquired */
	uint64_t version;
	unsigned passes_seen;                         /* of the node when it was acquired */
};
/* A mapping that outlives its file descriptor, and the daemon. */
struct sim_mapping { struct disk_file *file; unsigned node; uint64_t life; };
struct sim_token { char text[TOKEN_TEXT_MAX + 1]; unsigned node; uint64_t life; uint32_t rights; bool once, spent, revoked, used; };

struct sim {
	const struct sim_options *options;
	bool verbose;                                 /* prints each operation */
	uint64_t first_step;                          /* of the disk, when the operations began */
	struct random_seeded random, disk_random;
	struct sim_clock clock;
	struct disk *disk;
	uint8_t boot_id[16];
	struct store *store;
	struct cluster *cluster;
	struct objects *objects;

	struct model model;                           /* now */
	struct sim_history history;                   /* since the last durable point; the first is that point */
	struct sim_contents contents[MODEL_NODES];
	uint64_t inos[MODEL_NODES];
	struct sim_handle handles[SIM_HANDLES];
	struct sim_token tokens[SIM_TOKENS];
	struct sim_mapping mappings[SIM_MAPPINGS];
	bool in_place[MODEL_NODES];                   /* was, when last looked at */
	bool loose[MODEL_NODES];                      /* was at some time since its last durable point: then each sector reaches the disk for itself */
	unsigned passes[MODEL_NODES];                 /* times that it may have become so */

	/* The operation that a crash interrupted: it may have happened, or not. */
	struct model maybe;
	bool maybe_valid;
	struct { bool valid; unsigned node; uint64_t life, offset; struct content *bytes; } torn;   /* an interrupted write: any part of it */
	/* An interrupted change of a blob: all or nothing; in_place: it may have been the first in the head, each sector for itself then. */
	struct { bool valid, in_place; unsigned node; uint64_t life; struct content *content; } changed;
	bool disk_full;
	unsigned operations, crashes, power_cuts;
	char failure[512];
};

/* crash_at_step: 0, or the one step of the disk after the start at which the node crashes, by a power cut or a kill. */
struct sim_options { uint64_t seed; unsigned operations, faults; uint64_t crash_at_step; bool power_cut, verbose; };
/* *ret_steps: steps of the disk in the operations. */
int sim_run(const struct sim_options *options, uint64_t *ret_steps, char *failure, size_t failure_size);
int sim_fail(struct sim *s, const char *format, ...) _printf_(2, 3);   /* always -1 */

/* node.c */
int sim_start(struct sim *s);
void sim_close_handle(struct sim_handle *h);
void sim_stop(struct sim *s);               /* frees everything in memory; nothing is written if the disk has crashed */
int sim_restart_after_crash(struct sim *s, bool power_cut);
uint64_t sim_below(struct sim *s, uint64_t bound);

/* history.c */
void history_event(struct sim *s);                         /* the model has changed in the log's order */
void history_content(struct sim *s, unsigned node);        /* a blob has a new content */
void history_durable(struct sim *s);                       /* everything so far is durable */
void history_log_durable(struct sim *s);                   /* what the log orders is durable; blobs' contents need not be */
void history_blob_durable(struct sim *s, unsigned node);   /* this blob's content is */
void history_done(struct sim *s);

void history_survived(struct sim *s, unsigned node);       /* a blob has a new content while the daemon is dead */
void history_orphan(struct sim *s, const struct sim_handle *h);   /* of one that has no name any more, but may get it back */
bool history_look(struct sim *s, unsigned node);           /* is it in place? */

/* pass.c */
int op_pass(struct sim *s);
int sim_survivors_write(struct sim *s);                    /* while the daemon is dead */
void sim_keep_mappings(struct sim *s);                     /* some of the open files live on without their handles */
void sim_end_mappings(struct sim *s);
bool sim_is_written(const struct sim *s, unsigned node, uint64_t life);   /* the kernel has it open for writing, or mapped so */

/* check.c */
int check_space(struct sim *s);                            /* no handle is open: nothing is kept that belongs to no object */
int check_live(struct sim *s);                             /* the node shows exactly the model */
int check_recovered(struct sim *s, bool power_cut);        /* it shows what it may show after a crash; the model becomes that */

/* ops.c */
int sim_operation(struct sim *s);                          /* 0, or -1 with s->failure */

#endif
