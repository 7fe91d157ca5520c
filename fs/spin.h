/* Waiting for the next request without sleeping. Internal to fs/. */
#ifndef DIOS_FS_SPIN_H
#define DIOS_FS_SPIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct spin {
	int fd;                 /* the device; borrowed */
	int load_fd;            /* says how many threads want to run; -1: not known */
	long processors;
	int64_t limit_ns;       /* 0: never */
	_Atomic bool taken;     /* one thread at a time */
	_Atomic int64_t rest_until_ns;
	int64_t calm_until_ns;  /* of the thread that looks */
};

/* limit_ns is taken as 0 where there is one processor only: the client could not run meanwhile. */
void spin_init(struct spin *s, int fd, int64_t limit_ns);
void spin_done(struct spin *s);
/* Returns when the device has a request (which another thread may take first), when the limit has passed, or at once. */
void spin_for_request(struct spin *s);

#endif
