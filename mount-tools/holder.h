/* The holder's work: a mount, its device descriptor and its shared memory, and the daemon that serves it. */
#ifndef DIOS_MOUNT_TOOLS_HOLDER_H
#define DIOS_MOUNT_TOOLS_HOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "mount-tools/control.h"
#include "mount-tools/keep.h"
#include "mount-tools/mount_options.h"
#include "mount-tools/unmount.h"

struct holder {
	const char *data, *mount;            /* absolute paths */
	const struct mount_options *options;
	int device_fd, region_fd, signal_fd;
	struct control control;              /* to the daemon */
	struct keep keep;                    /* what it wants to have kept */
	pid_t daemon, probe, unmounter;      /* 0: none */
	bool mounted, ready, stopping, pid_written;     /* ready: the mount has answered once */
	bool daemon_ready, incompatible;     /* of the daemon that runs, or ran last; what is on the disk is of a version that cannot go on */
	int program_fd, good_fd;             /* the binaries of that one, and of the last that was ready; -1: none */
	unsigned failures, burst;            /* starts that failed since the last that was ready; deaths in quick succession of those that were */
	int64_t died_ms;                     /* boot clock: the last death of one that was ready */
	char reason[CONTROL_LINE_MAX];       /* why the last start failed; "": it did not say */
	struct mount_identity identity;      /* of our mount */
	bool connected;                      /* it was alive when the device was closed */
	int report_fd;                       /* to the starter: "ready" or a sentence; -1: told */
};

/* Serves until the mount ends or SIGTERM comes. Returns the exit status. Takes report_fd. */
int holder_run(struct holder *h);

/* holder_daemon.c */
int daemon_start(struct holder *h);
void daemon_is_ready(struct holder *h);
int64_t daemon_ended(struct holder *h, int status);   /* it is to be started again: when, in ms of the boot clock */
void daemon_renew(struct holder *h);          /* kills it, so that the binary on the disk takes over */

/* holder_mount.c */
/* Errors are told to people in error[]. */
int holder_check(const char *data, const char *mount, char *error, size_t error_size);
int holder_open_device(int *ret_fd, char *error, size_t error_size);
int holder_mount(struct holder *h, char *error, size_t error_size);
void holder_unmount(struct holder *h);        /* writes back what the kernel has; detaches when it is busy */
bool holder_is_mounted(const char *mount);    /* by a dios */

#endif
