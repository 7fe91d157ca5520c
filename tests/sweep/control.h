/* The control of the library that makes calls fail (sweep.h), for every test that loads it into its daemon. */
#ifndef DIOS_TESTS_SWEEP_CONTROL_H
#define DIOS_TESTS_SWEEP_CONTROL_H

#include "tests/sweep/sweep.h"

extern struct sweep_control *control;

/* Made below mount_work; daemons that are started with the library (LD_PRELOAD) from now on obey it. False: it could not be, and why was printed. */
bool control_make(void);
/* The nth call of these kinds (1 << enum sweep_kind) on files whose path has `match` in it ("": all) fails with the errno, and all from it on up to the last. */
void control_fail(const char *match, uint32_t kinds, int error, uint64_t nth, uint64_t last);
void control_stop(void);

#endif
