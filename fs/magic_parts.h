/* The parts of .dios. Internal to magic*.c. */
#ifndef DIOS_FS_MAGIC_PARTS_H
#define DIOS_FS_MAGIC_PARTS_H

#include "fs/magic.h"
#include "fs/magic_buffer.h"
#include "fs/magic_tasks.h"

/* The fixed nodes' numbers. */
enum { FIXED_ROOT = 1, FIXED_NAME, FIXED_CAP, FIXED_BUF, FIXED_TASKS, FIXED_FILES = 16 };

struct magic {
	struct fs *fs;
	const struct magic_buffers *buffers;
	struct tokens *tokens;
	struct fsck *fsck;
};

/* magic.c */
void magic_entry(uint64_t node, mode_t mode, struct fuse_entry_param *entry);     /* an entry that the kernel does not keep */
void magic_open_control(fuse_req_t req, uint64_t node, uint64_t ino, struct fuse_file_info *fi);   /* a file whose writes are commands */
void magic_reply_entry(fuse_req_t req, uint64_t node, mode_t mode);
/* A real object under a .dios name: looked up again each time. owner_only: -EACCES for anybody but its owner and root. */
void magic_reply_object(fuse_req_t req, uint64_t ino, bool owner_only);
bool magic_owns(fuse_req_t req, const struct record *record);

/* A listing that is being answered. */
struct magic_listing { fuse_req_t req; char *out; size_t size, used; bool plus; };
bool magic_list_add(struct magic_listing *l, const char *name, uint64_t ino, mode_t mode, uint64_t cookie);   /* false: full */

/* magic_text.c: the fixed files. */
struct magic_file {
	const char *name;
	int (*print)(struct fs *fs, struct buffer *out);                 /* NULL: fsck */
	bool private;                                                    /* root's only, as fsck */
	int (*write)(struct fs *fs, const char *line, size_t size);      /* NULL: nobody writes it; else root, a line a write */
};
extern const struct magic_file magic_files[];
extern const size_t magic_file_count;

/* magic_fsck.c: .dios/fsck */
int fsck_new(struct fs *fs, struct fsck **ret_fsck);
void fsck_free(struct fsck *f);
void fsck_stop(struct fsck *f);                                          /* ends a check that runs; none begins any more */
int fsck_print_progress(struct fs *fs, struct buffer *out);
void fsck_open(struct fsck *f, fuse_req_t req, uint64_t node, const struct fuse_file_info *fi);

/* magic_quota.c: .dios/quota */
int quota_print(struct fs *fs, struct buffer *out);
int quota_write(struct fs *fs, const char *line, size_t size);

/* magic_name.c: .dios/name */
void name_lookup(fuse_req_t req, const char *name);
void name_create(fuse_req_t req, const char *name, mode_t mode, struct fuse_file_info *fi);
void name_unlink(fuse_req_t req, const char *name);
void name_list(struct magic_listing *l, uint64_t after, struct handle *h);

/* magic_cap.c: .dios/cap */
int tokens_new(struct fs *fs, struct tokens **ret_tokens);
void tokens_free(struct tokens *t);
void token_lookup(fuse_req_t req, const char *text);
void token_forget(struct fs *fs, uint64_t node, uint64_t count);
void token_getattr(fuse_req_t req, uint64_t node);
void token_setattr(fuse_req_t req, uint64_t node, struct stat *st, int to_set);
void token_open(fuse_req_t req, uint64_t node, struct fuse_file_info *fi);
struct token_entry *token_find(struct fs *fs, uint64_t node);       /* NULL: forgotten */

/* magic_task.c: .dios/tasks */
void task_lookup(fuse_req_t req, uint64_t parent, const char *name);     /* parent: FIXED_TASKS or a task's folder */
void task_getattr(fuse_req_t req, uint64_t node);
void task_open(fuse_req_t req, uint64_t node, struct fuse_file_info *fi);
int task_opendir(struct fs *fs, struct handle *h);                       /* takes the list of tasks */
void task_list(struct magic_listing *l, uint64_t node, uint64_t after, struct handle *h);
void task_write(fuse_req_t req, struct handle *h, const char *data, size_t size);
int task_text(struct fs *fs, uint64_t node, struct buffer *out);         /* of a task's file */
int task_print(struct fs *fs, uint64_t ino, struct buffer *out);         /* what the task's own file says */

/* magic_buf.c: .dios/buf */
void buf_lookup(fuse_req_t req, const char *name);
void buf_getattr(fuse_req_t req, uint64_t node);
void buf_open(fuse_req_t req, uint64_t node, struct fuse_file_info *fi);
int buf_open_again(struct handle *h);

#endif
