/* Which workers look for the next request, and how. Internal to fs/. */
#ifndef DIOS_FS_LISTEN_H
#define DIOS_FS_LISTEN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/lock.h"

struct rester;

struct listen {
	int fd;                       /* the device; borrowed */
	int64_t spin_ns;              /* 0: never */
	_Atomic int64_t spin_after_ns;
	_Atomic bool spinning;        /* one at a time */
	_Atomic uint32_t looking;     /* workers that wait for a request, or have been called to */
	_Atomic int64_t all_until_ns; /* till then nobody rests */
	_Atomic bool began;           /* one has begun to wait since the deputy's last look */
	_Atomic bool quiet;           /* the deputy sleeps */
	struct lock lock;             /* guards what follows */
	struct rester *resting;       /* the last one that came first; the first one, at the end, is the deputy */
	unsigned still;               /* looks of the deputy since something happened */
	bool ended;
};

/* spin_ns: how long one looks without sleeping. Taken as 0 where there is one processor only: the client could not run meanwhile. */
void listen_init(struct listen *l, int fd, int64_t spin_ns);
void listen_done(struct listen *l);   /* no worker uses it any more */
/* A worker that serves nothing: returns true when it is to read the device, false at the end. After the read it says so with what it got here. */
bool listen_for_request(struct listen *l, bool *ret_counted);
void listen_received(struct listen *l, bool counted);
/* A worker that serves a request is about to wait: another one looks meanwhile. */
void listen_will_wait(struct listen *l);
void listen_end(struct listen *l);    /* nobody rests any more */

#endif
