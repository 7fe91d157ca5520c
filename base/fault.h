/* Fault points for tests. A build without -Dfault_points=true compiles them to nothing.
 * DIOS_FAULT="point=action[:N]" (comma separated) in the environment arms them; actions: error (returns -EIO),
 * kill (raises SIGKILL), wait (that thread goes no further), crash at the Nth passage only if :N is given. */
#ifndef DIOS_BASE_FAULT_H
#define DIOS_BASE_FAULT_H

#ifdef DIOS_FAULT_POINTS
int fault_point(const char *name);   /* 0, or a negative errno to be returned by the caller */
int fault_point_of(const char *name, unsigned number);   /* the point NAME.NUMBER */
#else
static inline int fault_point_of(const char *name, unsigned number) { (void)name; (void)number; return 0; }
static inline int fault_point(const char *name) { (void)name; return 0; }
#endif

#endif
