/* The daemon's parts, in the order in which they are opened, and closed the other way round. */
#ifndef DIOS_MOUNT_TOOLS_DIOSD_H
#define DIOS_MOUNT_TOOLS_DIOSD_H

#include <pthread.h>
#include <stdbool.h>
#include "base/clock.h"
#include "base/config.h"
#include "fs/fs.h"
#include "fs/region.h"
#include "mount-tools/control.h"
#include "mount-tools/unmount.h"

struct diosd {
	struct config *config;
	struct region region;
	struct control control;
	int device_fd, keep_fd, notify_fd, signal_fd, ready_fd;
	struct store *store;
	struct cluster *cluster;
	struct objects *objects;
	struct diosd_tasks *tasks;
	struct fs *fs;
	struct mount_identity mount;
	pthread_t maintenance;
	bool maintained;
	int stop_maintenance_fd;
	int64_t next_memory_look_ns;
	struct scrub *scrub;
	pthread_t scrubbing;
	bool scrubbed;
	int stop_scrub_fd;
	struct diosd_health { int64_t next_look_ns, stepped_ns; uint64_t given_up; struct clock_watch clock; char stopped_why[REGION_WHY_MAX]; } health;   /* the maintenance thread's; boot clock */
};

/* diosd_health.c: raises and clears what is wrong with disk, clock and log. */
void diosd_health_start(struct diosd *d);
void diosd_health_ready(struct diosd *d);    /* the kernel has said what it offers */
void diosd_health_leave(struct diosd *d);    /* it ends, to begin again from disk: the next one says why */
void diosd_health_look(struct diosd *d);     /* by the maintenance thread: once a second it looks, else it is free */

/* diosd_scrub.c: reads all data again and again, in a thread of its own. */
int diosd_scrub_start(struct diosd *d);
void diosd_scrub_stop(struct diosd *d);

/* diosd_tasks.c: running tasks, joined to what fs/ shows of them. */
int diosd_tasks_fill(struct diosd *d, struct fs_options *options);
int diosd_tasks_open(struct diosd *d, const char *mount);
int diosd_tasks_start(struct diosd *d);      /* the mount answers */
void diosd_tasks_stop(struct diosd *d);      /* while it still answers: the tasks are ended */
void diosd_tasks_close(struct diosd *d);     /* no request is under way any more */
void diosd_tasks_free(struct diosd *d);      /* after fs_free */

#endif
