/* What `dios doctor` looks at, and how a finding is said. A check changes nothing on the machine, and says one thing with one verdict; what it cannot find
 * out is no shortfall. */
#ifndef DIOS_MOUNT_TOOLS_DOCTOR_H
#define DIOS_MOUNT_TOOLS_DOCTOR_H

#include "mount-tools/cli.h"

enum doctor_verdict { DOCTOR_OK, DOCTOR_WARN /* it works, worse than it could */, DOCTOR_BAD /* dios does not work so, or data is at risk */ };

struct doctor {
	struct cli *cli;
	const char *data;          /* the data directory, or where it is to be made; NULL: not known */
	unsigned count[3];         /* by verdict */
};

/* remedy: what to do, with what to type; NULL where there is nothing. */
void doctor_say(struct doctor *d, const char *check, enum doctor_verdict verdict, const char *remedy, const char *format, ...) _printf_(5, 6);
/* The first line of a file, without its newline. -errno. */
int doctor_read_line(const char *path, char *line, size_t size);
#define CAP_IPC_LOCK_BIT 14
#define CAP_SYS_ADMIN_BIT 21
bool doctor_has_capability(unsigned bit);    /* of capabilities(7) */

void doctor_kernel(struct doctor *d);        /* doctor_machine.c: kernel, limits, clock */
void doctor_limits(struct doctor *d);
void doctor_clock(struct doctor *d);
void doctor_programs(struct doctor *d);      /* doctor_fuse.c: what dios is made of, /dev/fuse, passthrough */
void doctor_fuse(struct doctor *d);
void doctor_tasks(struct doctor *d);         /* doctor_tasks.c: name spaces, control groups, seccomp */
void doctor_disk(struct doctor *d);          /* doctor_disk.c: the data directory's file system */

#endif
