/* A small piece of work on the mount, and what must be there of it afterwards, whatever failed on the way. */
#ifndef DIOS_TESTS_SWEEP_WORK_H
#define DIOS_TESTS_SWEEP_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORK_FILES 6
#define WORK_FILE_MAX (512u << 10)   /* bytes */

enum work_there { WORK_ABSENT, WORK_PRESENT, WORK_MAYBE };

/* A file as it was acknowledged (now), as it is if what failed has happened all the same (other), and as of its last sync. */
struct work_image { uint8_t *bytes; size_t size; };
struct work_file { char name[32]; enum work_there there; struct work_image now, other, synced; bool sync_failed; };

struct work {
	char folder[64];              /* below the mount's root, where the program is */
	int error;                    /* the injected errno: it, and EIO, are what calls may fail with */
	struct work_file files[WORK_FILES];
	unsigned failures;            /* calls that failed */
	bool gone;                    /* the mount went away */
	char wrong[256];              /* what should not be; empty: all is well */
};

void work_init(struct work *w, const char *folder, int error);
void work_done(struct work *w);
/* The work itself; goes on after a failure, as programs do. */
void work_run(struct work *w);
/* Looks whether everything acknowledged is there and right: fills in `wrong` and returns false if not. */
bool work_check(struct work *w);
/* Removes what is there, which must work. 0 or a negative errno. */
int work_remove(struct work *w);

#endif
