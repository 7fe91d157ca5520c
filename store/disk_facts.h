/* What the file system under a directory keeps when the power goes, as far as it says so. */
#ifndef DIOS_STORE_DISK_FACTS_H
#define DIOS_STORE_DISK_FACTS_H

#include <stdbool.h>
#include <stddef.h>

enum disk_journal { DISK_JOURNAL_UNKNOWN, DISK_JOURNAL_YES, DISK_JOURNAL_NO };

struct disk_facts {
	char type[32];                  /* "ext4", "xfs", ...; "" if it could not be told */
	char device[64];                /* "sda1": as in /sys/class/block; "" if no block device is behind it */
	enum disk_journal journal;      /* NO: ext4 without one. A power cut may undo renames and lose files that nobody has synced,
	                                 * and the file system is to be checked (e2fsck) before it is mounted again */
	bool read_only;                 /* mounted so, or made so by the kernel after an error, which statvfs(2) does not tell on every kernel */
	bool writeback;                 /* ext4 with data=writeback: after a power cut files may have bytes of deleted ones where they grew unsynced */
	bool no_flush;                  /* mounted so that fsync does not empty the device's write cache (nobarrier): nothing is durable */
};

/* directory: any that exists. 0, or the errno of stat(2). */
int disk_facts_read(const char *directory, struct disk_facts *ret);
/* One sentence about what is dangerous there, with its remedy; "" if nothing is known to be. */
void disk_facts_warn(const struct disk_facts *facts, char *sentence, size_t size);

#endif
