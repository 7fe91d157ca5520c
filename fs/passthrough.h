/* FUSE passthrough: whether the kernel reads and writes a blob's head itself. See fs/passthrough.c. */
#ifndef DIOS_FS_PASSTHROUGH_H
#define DIOS_FS_PASSTHROUGH_H

#include "fs/session.h"

int passthrough_new(struct fs *fs, struct passthrough **ret_passthrough);
void passthrough_free(struct passthrough *p);
void passthrough_stop(struct passthrough *p);      /* from here on handles close without the kernel's being told; NULL: nothing */
/* In INIT: asks the kernel for it. */
void passthrough_negotiate(struct fs *fs, struct fuse_conn_info *conn);
const char *passthrough_mode(struct fs *fs);       /* in force: off, read, write */
const char *passthrough_why(struct fs *fs);        /* why not what is configured; "": it is */

/* A new file that is opened with these flags is born in place. */
bool passthrough_creates(struct fs *fs, int flags);
/* The open of a blob by its own node: decides how, and notes that in the handle and for the kernel. */
int passthrough_open(struct handle *h, struct fuse_file_info *fi);
int passthrough_restore(struct handle *h);         /* that an earlier daemon had open */
void passthrough_close(struct handle *h);          /* before its reference is closed; any handle */

#endif
