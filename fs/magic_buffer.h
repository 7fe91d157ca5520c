/* What .dios/buf/ID shows: functions of whoever keeps private buffers, set once before the mount answers. The kernel caches a buffer's
 * pages (it is mapped); each has its own node id, magic_node(MAGIC_CLASS_BUFFER, number), number < 2^32, never used twice in one mount. */
#ifndef DIOS_FS_MAGIC_BUFFER_H
#define DIOS_FS_MAGIC_BUFFER_H

#include "fs/session.h"

struct magic_buffers {
	/* By the id's bytes, for this caller. -ENOENT: no such buffer, or not the caller's. */
	int (*find)(struct fs *fs, const uint8_t id[16], const struct caller *caller, uint64_t *ret_number);
	/* Size in bytes, and the owner's user id. -ENOENT: freed. */
	int (*get)(struct fs *fs, uint64_t number, uint64_t *ret_size, uint32_t *ret_uid);
	int (*open)(struct fs *fs, uint64_t number, void **ret_data);      /* counted: lives until released */
	int (*open_again)(struct fs *fs, uint64_t number, void **ret_data);        /* for a handle that an earlier daemon had opened */
	void (*release)(struct fs *fs, void *data);
	ssize_t (*read)(struct fs *fs, void *data, uint64_t offset, void *bytes, size_t size);
	ssize_t (*write)(struct fs *fs, void *data, uint64_t offset, const void *bytes, size_t size);   /* within the size */
};
void magic_set_buffers(struct fs *fs, const struct magic_buffers *buffers);

#endif
