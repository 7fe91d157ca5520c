/* Heads: one plain file for each larger blob, named by its inode number, raw bytes at the object's own offsets.
 * Side files: bytes of an atomic overwrite, written before the command that refers to them.
 * Descriptors are kept in a bounded cache; a head in use is pinned. */
#ifndef DIOS_STORE_HEAD_H
#define DIOS_STORE_HEAD_H

#include "store/aside.h"
#include "store/disk.h"

struct heads;
struct head;     /* an open head, counted */

int heads_open(struct disk *disk, size_t open_max, struct heads **ret_heads);   /* folders heads/ and side/ */
void heads_close(struct heads *h);
void heads_set_aside(struct heads *h, struct aside *a);            /* from now on a new file and its folder are synced beside each other */
int head_get(struct heads *h, uint64_t ino, bool create, struct head **ret_head);   /* -ENOENT without create */
void head_put(struct heads *h, struct head *head);
struct disk_file *head_file(struct head *head);                   /* borrowed while the head is held */
/* fdatasync, and the folder's sync if the file is new. After a failure the head is marked doubtful: -EIO until head_trust. */
int head_sync(struct heads *h, struct head *head);
/* 0 if nobody has the head open for writing or mapped so (unread: or open at all), this process included; -EAGAIN; -ENOENT; -EOPNOTSUPP. */
int head_unused(struct heads *h, uint64_t ino, bool unread);
int head_open_fd(struct heads *h, uint64_t ino, bool create);     /* a descriptor for reading, the caller's; -ENOENT without create */
bool head_doubtful(struct heads *h, struct head *head);
void head_trust(struct heads *h, struct head *head);              /* its bytes were written anew and read back past the cache */
void head_path(uint64_t ino, char path[static 64]);               /* below the data directory */
void side_path(uint64_t id, char path[static 64]);
int head_remove(struct heads *h, uint64_t ino);                   /* -ENOENT is success */
/* The head that is made next is not another one that a power cut brings back under its name: removals are on the disk. */
int head_settle_names(struct heads *h, uint64_t ino);
int heads_settle_names(struct heads *h);                          /* of all folders: at start, whatever an earlier daemon has removed */
int heads_list(struct heads *h, int (*each)(void *arg, uint64_t ino), void *arg);

int side_write(struct heads *h, uint64_t id, const void *data, size_t size, uint64_t offset);   /* made at first use */
int side_sync(struct heads *h, uint64_t id);
int side_read(struct heads *h, uint64_t id, void *data, size_t size, uint64_t offset);          /* exactly size bytes or -EIO */
int side_remove(struct heads *h, uint64_t id);
int sides_list(struct heads *h, int (*each)(void *arg, uint64_t id), void *arg);

#endif
