/* The mount: turns what the kernel asks over /dev/fuse into operations on objects.
 *
 * The device descriptor and the shared memory (fs/region.h) belong to the holder process and outlive this one; the mount
 * itself is the holder's work (mount-tools/dios-holder.c). One fs a process. */
#ifndef DIOS_FS_FS_H
#define DIOS_FS_FS_H

#include <sys/types.h>
#include "base/config.h"
#include "objects/objects.h"

#define FS_MAGIC_NAME ".dios"    /* in the root; not part of the tree: nothing else may have this name there */

struct fs;
struct ioctl_tasks;     /* fs/ioctl_calls.h */
struct magic_tasks;     /* fs/magic_tasks.h */
struct region;

struct fs_options {
	int device_fd;                  /* /dev/fuse, of the mount; taken */
	int notify_fd;                  /* of notify_process_start; borrowed */
	struct region *region;          /* attached; borrowed */
	uint32_t workers;               /* threads that serve requests */
	int64_t spin_ns;                /* how long a worker looks for the next request before it sleeps */
	int64_t timeout_ns;             /* how long the kernel may keep names and attributes */
	const char *mount, *data;       /* paths, for .dios/status; borrowed */
	const struct config *config;    /* for .dios/config; borrowed */
	const struct magic_tasks *tasks;    /* NULL: none; borrowed */
	const struct ioctl_tasks *ioctl_tasks;    /* NULL: none; borrowed */
};

/* At a restart, before anything is proposed to the cluster: the results that requests under way may still ask for are kept (D2). */
void fs_keep_results(const struct region *region, struct cluster *cluster);
const char *fs_libfuse(void);     /* "3.17.2 private": version, and whether it is the system's or was built for dios */
/* Does not touch the device yet, so that fs_invalidate can be given to objects_open. */
int fs_new(const struct fs_options *options, struct fs **ret_fs);
/* An invalidate callback of struct objects_options; arg is the fs. Until fs_start it does nothing: nothing is cached. */
void fs_invalidate(void *arg, uint64_t ino, bool content);
/* Starts the threads. ready() is called once, from one of them, when the kernel's first request has been answered. */
int fs_start(struct fs *fs, struct objects *os, void (*ready)(void *arg), void *arg);
/* Once it is ready: the passthrough in force (off, read, write), and why it is not what is configured ("": it is). */
const char *fs_passthrough(struct fs *fs, const char **ret_why);
/* Becomes readable when the kernel has ended the connection (unmounted, aborted). Borrowed. */
int fs_ended_fd(const struct fs *fs);
struct scrub;
void fs_set_scrub(struct fs *fs, struct scrub *scrub);   /* for .dios/damage; borrowed until fs_stop; before fs_start */
/* No request is taken any more; those under way are finished; what waits stays unanswered in its slot. Then closes all references. */
void fs_stop(struct fs *fs);
/* After fs_stop. Threads that still sit in a read of the device keep the session's memory until the process exits. */
void fs_free(struct fs *fs);

#endif
