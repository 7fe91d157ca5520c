/* What is known of a file of the mount, or of an object: from stat(2), the reference information, and the extended attributes
 * user.dios.*, which also speak for objects that can't be opened yet because a task has still to produce them. */
#ifndef DIOS_MOUNT_TOOLS_FACTS_H
#define DIOS_MOUNT_TOOLS_FACTS_H

#include <stdbool.h>
#include <sys/stat.h>
#include "libdios/dios-util.h"
#include "mount-tools/json.h"

struct facts {
	struct stat st;
	const char *kind;              /* blob, stream, task, directory, symlink, fifo, device, socket */
	char name[DIOS_NAME_TEXT];     /* "-": unknown */
	bool has_version;
	uint64_t version;
	char proximity[24];            /* "-": unknown */
	char replicas[512];            /* node ids, nearest first, with commas; "-": unknown */
	uint32_t replica_count;
	char lease[16];                /* "modified", "exclusive", "shared", "invalid"; "-": unknown */
	bool has_info;                 /* `info` is filled in */
	struct dios_ioctl_info info;
	int refused;                   /* 0, or why the object itself could not be asked: -EACCES, ... */
};

/* directory: AT_FDCWD or a folder's descriptor. flags: 0 or AT_SYMLINK_NOFOLLOW. -errno of stat(2); what more can't be found out
 * stays "-". Never waits for a task or a stream. */
int facts_read(int directory, const char *path, int flags, struct facts *ret_facts);
void facts_json(struct json *j, const struct facts *f);     /* members of the object that is open in j */
const char *facts_task_state(uint32_t state);
const char *facts_proximity(uint32_t proximity);
const char *facts_lifecycle(uint32_t lifecycle);
const char *facts_produced(uint32_t produced);

#endif
