/* Opening an object: by its own node, or through a token's. Internal to fs/. */
#ifndef DIOS_FS_OPEN_H
#define DIOS_FS_OPEN_H

#include "fs/session.h"

struct open_request {
	uint64_t node, ino;                  /* node != ino: through a token */
	struct fuse_file_info fi;
	bool kill_privilege;                 /* O_TRUNC by somebody who may not keep suid (P9) */
	struct caller caller;                /* tokens only */
	struct name task_name;
	struct token_entry *token;           /* NULL: none; stays while the kernel knows the node */
};

uint32_t open_rights(int flags);         /* RIGHT_... that the flags of open(2) ask for */
void open_options(const struct fs *fs, int flags, uint32_t rights, struct reference_options *ret_options);
/* Answers, or parks until the object has been produced. */
void open_object(fuse_req_t req, const struct open_request *o);
/* Fills in a new handle for a reference (taken when it returns 0) and fi for the kernel. */
int open_handle(struct fs *fs, const struct open_request *o, enum object_kind kind, struct reference *r, struct fuse_file_info *fi,
	struct handle **ret_handle);
/* A handle whose whole text has been made; taken. Answers. */
void open_text(fuse_req_t req, uint64_t node, uint64_t ino, struct buffer *text, const struct fuse_file_info *fi);

#endif
