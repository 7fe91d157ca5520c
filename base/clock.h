/* Time, injectable: production reads the kernel's clocks, the simulation its own. */
#ifndef DIOS_BASE_CLOCK_H
#define DIOS_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_SECOND 1000000000LL
#define NS_PER_MS 1000000LL

struct clock {
	int64_t (*wall_ns)(struct clock *c);   /* since the epoch; may step */
	int64_t (*boot_ns)(struct clock *c);   /* CLOCK_BOOTTIME: never goes back, counts suspend */
};

extern struct clock clock_system;

static inline int64_t clock_wall_ns(struct clock *c) { return c->wall_ns(c); }
static inline int64_t clock_boot_ns(struct clock *c) { return c->boot_ns(c); }

/* Notices when somebody sets the wall clock, by comparing it with the one that never steps. */
struct clock_watch { int64_t apart_ns; bool begun; };
/* By how much it was set since the last call, if by more than limit_ns, else 0. The first call only begins. */
int64_t clock_watch_step(struct clock_watch *watch, struct clock *clock, int64_t limit_ns);

#endif
