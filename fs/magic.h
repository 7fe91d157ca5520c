/* The .dios folder. Node ids are this node's own (INO_LOCAL_BIT) and computed, not remembered: slot and counter of a task's inode number
 * with a class in the counter's top four bits; class 0 are the fixed folders and files, MAGIC_CLASS_TOKEN an index into the
 * table of token look-ups, MAGIC_CLASS_BUFFER a private buffer. Nothing here is cached by the kernel. */
#ifndef DIOS_FS_MAGIC_H
#define DIOS_FS_MAGIC_H

#include "fs/session.h"

#define MAGIC_NAME FS_MAGIC_NAME
#define MAGIC_CLASS_SHIFT 43
enum magic_class { MAGIC_CLASS_FIXED = 0, MAGIC_CLASS_TASK_FIRST = 1, MAGIC_CLASS_TASK_LAST = 8, MAGIC_CLASS_BUFFER = 14, MAGIC_CLASS_TOKEN = 15 };
#define MAGIC_ROOT (INO_LOCAL_BIT | 1)

static inline bool magic_is(uint64_t node) { return (node & INO_LOCAL_BIT) != 0; }
static inline enum magic_class magic_class_of(uint64_t node) { return (enum magic_class)((node >> MAGIC_CLASS_SHIFT) & 15); }
static inline uint64_t magic_node(enum magic_class class, uint64_t number)
{
	return INO_LOCAL_BIT | ((uint64_t)class << MAGIC_CLASS_SHIFT) | number;
}

int magic_new(struct fs *fs, struct magic **ret_magic);
void magic_free(struct magic *m);
void magic_stop(struct magic *m);     /* what runs beside the requests ends; requests have ended before */

/* The operations, with a parent or node for which magic_is() holds (lookup also: the root and MAGIC_NAME). Each answers. */
void magic_lookup(fuse_req_t req, uint64_t parent, const char *name);
void magic_forget(struct fs *fs, uint64_t node, uint64_t count);
void magic_getattr(fuse_req_t req, uint64_t node);
void magic_setattr(fuse_req_t req, uint64_t node, struct stat *st, int to_set);
void magic_open(fuse_req_t req, uint64_t node, struct fuse_file_info *fi);
int magic_restore(struct handle *h);       /* an earlier daemon's handle shows its text again, as it is now */
void magic_create(fuse_req_t req, uint64_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);
void magic_unlink(fuse_req_t req, uint64_t parent, const char *name);
void magic_read(fuse_req_t req, struct handle *h, size_t size, uint64_t offset);       /* handles other than HANDLE_OBJECT */
void magic_write(fuse_req_t req, struct handle *h, const char *data, size_t size, uint64_t offset);
void magic_release(struct handle *h);      /* what h->data holds */
void magic_opendir(fuse_req_t req, uint64_t node, struct fuse_file_info *fi);
void magic_readdir(fuse_req_t req, uint64_t node, size_t size, uint64_t offset, struct handle *h, bool plus);
/* The object behind a node: of a token look-up; else the node itself. */
uint64_t magic_object(struct fs *fs, uint64_t node);

/* The caller's next look-up of .dios/cap/ALIAS, within a minute, is one of `token` (TOKEN_TEXT_MAX at most): for tokens longer than a
 * file name. alias[64] is filled in. */
int magic_token_alias(struct fs *fs, const struct caller *caller, const char *token, size_t size, char *alias);

#endif
