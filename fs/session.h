/* What every file of fs/ sees: the session's state, and how requests are answered. Internal to fs/. */
#ifndef DIOS_FS_SESSION_H
#define DIOS_FS_SESSION_H

/* 3.14 is what Debian 12 has; what came later is used where FUSE_VERSION, the library's own, says that it is there. */
#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)
#endif
#include <fuse_lowlevel.h>

#include "fs/fs.h"
#include "fs/handle.h"
#include "fs/region.h"

struct magic;
struct passthrough;
struct slots;
struct notifier;
struct waiters;

struct fs {
	struct fs_options options;
	struct objects *objects;
	struct fuse_session *session;
	struct region *region;
	struct handle_table *handles;
	struct notifier *notifier;
	struct waiters *waiters;
	struct magic *magic;
	struct scrub *scrub;                 /* NULL: not yet; borrowed */
	struct ioctl_mount *ioctls;          /* fs/ioctl_calls.h */
	struct slots *slots;                 /* fs/slot.h */
	struct passthrough *passthrough;     /* fs/passthrough.h */
	struct loop *loop;
	int64_t started_ns;              /* wall clock */
	double timeout_s;                /* what the kernel is told for entries and attributes */
	bool kill_privilege_v2;          /* the kernel leaves clearing suid to us (P9) */
	bool relaxed;                    /* durability = relaxed: who asks for the disk is answered before it has the bytes */
	int ended_fd;
	void (*ready)(void *arg);
	void *ready_arg;
};

static inline struct fs *fs_of(fuse_req_t req) { return fuse_req_userdata(req); }
void reply_error(fuse_req_t req, int error);   /* fs.c: an errno, of either sign; what is damaged is EIO to programs */
/* Who sent the request. task_name: where caller->task will point if it is one. */
void fs_caller(fuse_req_t req, struct caller *caller, struct name *task_name);

/* attr.c: what the kernel is told about an object. */
void attr_fill(const struct record *record, struct stat *st);
void attr_entry(struct fs *fs, const struct attributes *a, struct fuse_entry_param *entry);
void reply_attr(fuse_req_t req, const struct attributes *a);

/* loop.c: facts about the request that this worker thread is serving. */
bool request_kills_privilege(void);     /* P9: suid and sgid are to be cleared; asked once at the handler's start */
void *request_scratch(size_t size);     /* this thread's buffer of 1 MiB; NULL: larger, or no memory */
void request_scratch_free(void);        /* at the end of a thread that used it */
/* The request will be answered later: its slot stays in use until slot_release. Called by the worker itself. */
struct slot_ref { uint32_t index; bool taken; };
struct slot_ref request_take_slot(void);
void slot_release(struct fs *fs, struct slot_ref slot);
/* Another thread goes on with that request, from its beginning: what it does, and the answer that it gives, count as the request's. */
void request_resume(struct fs *fs, struct slot_ref slot);
void request_suspend(struct fs *fs, struct slot_ref slot, bool anew);   /* anew: it has had no effect, and begins anew some time */
uint64_t request_unique(void);           /* the kernel's number of what this thread serves; 0: nothing */
uint64_t request_poll_handle(void);     /* of a POLL: what the kernel calls whoever is to be woken */
/* Where a record goes that is nobody else's once it is taken: it is there again when a later daemon does the request again (D2). Like scratch
 * otherwise. */
void *request_record_buffer(size_t size);

/* The handlers. */
void ops_fill(struct fuse_lowlevel_ops *ops);
void ops_fill_lookup(struct fuse_lowlevel_ops *ops);
void ops_fill_attr(struct fuse_lowlevel_ops *ops);
void ops_fill_dir(struct fuse_lowlevel_ops *ops);
void ops_fill_open(struct fuse_lowlevel_ops *ops);
void ops_fill_file(struct fuse_lowlevel_ops *ops);
void ops_fill_tree(struct fuse_lowlevel_ops *ops);
void ops_fill_xattr(struct fuse_lowlevel_ops *ops);
void ops_fill_poll(struct fuse_lowlevel_ops *ops);
void ops_fill_ioctl(struct fuse_lowlevel_ops *ops);

#endif
