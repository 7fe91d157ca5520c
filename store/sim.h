/* Shared by the files of the simulated disk only. */
#ifndef DIOS_STORE_SIM_H
#define DIOS_STORE_SIM_H

#include "store/disk_sim.h"
#include "store/sim_map.h"

#define SIM_PAGE 4096u
#define SIM_SECTOR 512u
#define SIM_PAGE_SECTORS 8u
#define SIM_CHUNK_PAGES 512u

/* A page as programs see it and as the platter has it. Bits of the masks are sectors, lowest first.
 * Without `differs` the platter has what programs see. A NULL pointer is a page of zeros. */
struct sim_page {
	uint8_t *now, *durable;
	uint8_t dirty;       /* written, and still known to be so by the kernel: the next sync makes it durable */
	uint8_t lost;        /* a sync of it failed: the kernel believes it clean, the platter has the old bytes */
	uint8_t cut;         /* dirty because the file was cut: lost or kept together with the new size */
	bool differs;
	bool allocated;      /* counts against the capacity */
};

struct sim_chunk { struct sim_page pages[SIM_CHUNK_PAGES]; };

struct sim_content {
	struct sim_chunk **chunks;
	size_t chunk_count;
	uint64_t size, durable_size;
	bool size_dirty, size_lost;
	uint64_t *used_pages;            /* the disk's count of allocated pages */
	uint64_t allocated_pages;        /* this file's part of it, if it is counted: */
	int64_t mtime_ns;
	bool uncounted;                  /* no name and nobody has it open; a power cut may bring it back */
	struct random_source *random;
};

void sim_content_init(struct sim_content *c, struct random_source *random, uint64_t *used_pages);
void sim_content_done(struct sim_content *c);
int sim_content_read(const struct sim_content *c, uint8_t *data, size_t size, uint64_t offset);   /* bytes beyond what was written are zeros */
/* room: pages that may still be allocated. -ENOSPC: what fits was written, as on a real disk. Grows the size. */
int sim_content_write(struct sim_content *c, const uint8_t *data, size_t size, uint64_t offset, uint64_t room);
int sim_content_allocate(struct sim_content *c, uint64_t offset, uint64_t size, uint64_t room);
int sim_content_punch(struct sim_content *c, uint64_t offset, uint64_t size);
int sim_content_truncate(struct sim_content *c, uint64_t size);
int sim_content_copy(const struct sim_content *from, struct sim_content *to, uint64_t room);
void sim_content_sync(struct sim_content *c);
void sim_content_fail_sync(struct sim_content *c);
void sim_content_drop_cache(struct sim_content *c, uint64_t offset, uint64_t size);
uint64_t sim_content_seek(const struct sim_content *c, uint64_t offset, bool hole);   /* the first page that is data, or is none; at least the size: there is none */
void sim_content_power_cut(struct sim_content *c);
void sim_content_count(struct sim_content *c, bool counted);
void sim_content_flip(struct sim_content *c, uint64_t bit);

struct sim_node;

struct sim_name { char *name; struct sim_node *node; };
struct sim_names { struct sim_name *names; size_t count, capacity; };   /* sorted */

/* One change of a folder, in the order of the calls: an entry goes, an entry comes, or (rename) both at once. */
struct sim_change { char *removed, *put; struct sim_node *node; };

/* A file or a folder, counted: by entries, by changes, by open files. */
struct sim_node {
	unsigned refs;
	unsigned names, opens;           /* entries that programs see, open files: without either its room is free */
	unsigned writers;                /* of the open files */
	bool folder;
	struct sim_content content;
	struct sim_names now, durable;
	struct sim_change *changes;      /* what a sync of the folder would make durable */
	size_t change_count, change_capacity;
};

struct sim_node *sim_node_new(bool folder, struct random_source *random, uint64_t *used_pages);
void sim_node_unref(struct sim_node *node);
struct sim_node *sim_node_find(struct sim_node *folder, const char *name);   /* NULL: not there; borrowed */
/* Changes the folder, and notes the change. Either of the names may be NULL; node is what `put` names. */
int sim_node_change(struct sim_node *folder, const char *removed, const char *put, struct sim_node *node);
void sim_node_settle(struct sim_node *node);                                 /* after names or opens became fewer */
int sim_node_sync(struct sim_node *folder);
void sim_node_power_cut(struct sim_node *node);                              /* and all below */

/* What one simulated key-value store has on the platter. */
struct sim_image { char *directory; struct sim_map *durable; bool open; struct sim_image *next; };

struct sim_disk {
	struct disk disk;
	struct sim_node *root;
	struct sim_image *images;
	uint64_t capacity_bytes, used_pages, steps, crash_step, syncs, fail_sync;
	struct clock *clock;             /* of mtime; NULL: it stands still */
	bool crashed;
	unsigned open_files;
};

/* Counts a step. 0: go on. 1: the machine dies in this very step; the caller may do any part of it, then returns
 * -ESHUTDOWN. -ESHUTDOWN: it is dead already. */
int sim_step(struct sim_disk *d);
bool sim_coin(struct sim_disk *d);

#endif
