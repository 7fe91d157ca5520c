/* The attributes user.dios.*: name, type, version, replicas, proximity, checksum. */
#ifndef DIOS_FS_XATTR_H
#define DIOS_FS_XATTR_H

#include "fs/session.h"

#define VIRTUAL_PREFIX "user.dios."

const char *kind_text(enum object_kind kind);
/* which: without the prefix. -ENODATA: no such attribute, or none on this kind of object. */
int virtual_xattr_get(struct fs *fs, uint64_t ino, const char *which, struct buffer *value);

#endif
