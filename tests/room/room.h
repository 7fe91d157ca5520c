/* What the tests of suite room share: an ext4 of their own in a loop-mounted image, with a dios on it, and what is done on its mount. */
#ifndef DIOS_TESTS_ROOM_H
#define DIOS_TESTS_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MIB (1u << 20)

extern char disk[];          /* where the image is mounted; gone at exit */
extern uint8_t bytes[MIB];   /* what files are filled with */

long result(long r);         /* of a system call: a negative errno */
int shell(const char *command);   /* exit status; -1: a signal */

/* The image, the file system (options of mkfs.ext4; of mount, ",..."), a data directory on it. Where that cannot be had the test is skipped and ends. */
bool disk_make(unsigned mib, const char *options, const char *mount_options);
void disk_fill(uint64_t leave_kib);   /* somebody else's file takes everything but so much */
void disk_give_back(void);

bool up(void);               /* mounts, and changes into the mount's root */
long write_file(const char *name, size_t mib);   /* 0, or the first error of write, fsync and close */
bool file_is_whole(const char *name, size_t mib);
bool works(void *unused);    /* a file is written, synced, read, removed */
off_t log_size(void);        /* bytes of the daemon's log */
void show_log(void);         /* it, as lines of TAP that say nothing */

#endif
