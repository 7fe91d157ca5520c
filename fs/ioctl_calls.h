/* The calls behind the ioctls (libdios/dios-ioctl.h), without FUSE: bytes in, bytes out. Internal to fs/ioctl*.c, except for struct
 * ioctl_tasks, which tasks/ fills in.
 *
 * ioctl.c takes a request, makes a context of it, and answers as the handler says:
 *   >= 0      out[0..*out_size) is the answer; with context->settle set, only after all invalidations queued before now have been
 *             carried out: the pages that the program maps or reads next are then not older than the version it is told
 *   -EAGAIN   with context->wait_ino != 0: the request is put aside, and the handler called again when that object has changed
 *   other     the error
 * Every field of `in` has been checked (ioctl_check.c) before a handler sees it. A handler changes nothing before it says -EAGAIN. */
#ifndef DIOS_FS_IOCTL_CALLS_H
#define DIOS_FS_IOCTL_CALLS_H

#include "fs/handle.h"
#include "fs/run_spec.h"
#include "libdios/dios-ioctl.h"
#include "objects/objects.h"
#include "objects/private_buffer.h"

struct fs;

/* What tasks/ does. ino: a task's. All answer at once; starting goes on by itself. */
struct ioctl_tasks {
	void *arg;
	/* Makes a task. program: NULL if spec->path names it. References are borrowed: reference_ref what is kept. flags: DIOS_PURE, DIOS_RESTART. */
	int (*run)(void *arg, const struct caller *caller, pid_t pid, uint32_t flags, struct reference *program, const struct run_spec *spec,
		struct name *ret_name, uint64_t *ret_ino);
	int (*pause)(void *arg, uint64_t ino, bool resume);              /* -ESRCH: it has ended */
	int (*kill)(void *arg, uint64_t ino, int signal);                /* the same */
	int (*exit)(void *arg, const struct name *task, bool failed);    /* ends the caller's own task */
};

/* What a mount has; made by ioctl_mount_new. */
struct ioctl_mount {
	struct fs *fs;
	struct objects *objects;
	struct private_buffers *buffers;
	const struct ioctl_tasks *tasks;   /* NULL: none here */
	bool relaxed;                      /* durability = relaxed */
	struct ioctl_mutexes *mutexes;
};
/* Before the first request; fs->objects is set. Also gives the .dios/buf folder what it shows. */
int ioctl_mount_new(struct fs *fs, const struct ioctl_tasks *tasks, struct ioctl_mount **ret_mount);
void ioctl_mount_free(struct ioctl_mount *m);      /* after the last handle is gone */

struct ioctl_context {
	struct ioctl_mount *mount;
	struct handle *handle;
	struct reference *reference;      /* handle->reference; NULL: not an object */
	uint64_t directory;               /* a directory of the tree: its inode; else 0 */
	bool from_token;                  /* the reference has the rights of a token and no more, whoever the caller is */
	bool mappable;                    /* the descriptor may be mapped: cached, not direct I/O */
	bool nonblock;                    /* O_NONBLOCK */
	struct caller caller;
	pid_t pid;
	bool (*in_group)(const struct ioctl_context *c, uint32_t gid);   /* whether the caller has this supplementary group */
	const void *in_group_arg;
	/* out */
	uint64_t wait_ino;
	bool settle;
};

/* out has room for the command's struct; *ret_size: bytes of it to be sent. */
int ioctl_dispatch(struct ioctl_context *c, unsigned command, const void *in, size_t in_size, void *out, size_t *ret_size);
/* ioctl_check.c. -ENOTTY: no such number; -EINVAL: wrong bytes. */
int ioctl_check(unsigned command, const void *in, size_t in_size);

/* Helpers (ioctl_common.c). */
int ioctl_need_right(const struct ioctl_context *c, uint32_t any_of);             /* -EACCES */
/* The caller has the object by right or by owning it (not through a token). -EACCES. */
int ioctl_need_owner_or(const struct ioctl_context *c, uint32_t right, const struct record *record);
int ioctl_record(const struct ioctl_context *c, struct attributes *ret);           /* of the reference */
int ioctl_kind(const struct ioctl_context *c, enum object_kind kind);              /* -EINVAL: it is of another */
/* Waits for a change of the reference's object, or -EAGAIN if the caller will not. */
int ioctl_wait(struct ioctl_context *c, uint32_t flags);
/* May the caller make an entry in this directory? -EACCES. */
int ioctl_may_create(const struct ioctl_context *c, uint64_t directory);
/* An object's reference by its handle's id; counted. -ENOENT. */
int ioctl_find(const struct ioctl_context *c, const uint8_t id[DIOS_ID_SIZE], struct reference **ret_reference);
/* The private buffer of this caller; held. -ENOENT. */
int ioctl_find_buffer(const struct ioctl_context *c, const uint8_t id[DIOS_ID_SIZE], struct private_buffer **ret_buffer);
/* A private buffer that goes with the descriptor; held. */
int ioctl_make_buffer(const struct ioctl_context *c, uint64_t size, struct private_buffer **ret_buffer);
void ioctl_restore_buffers(struct fs *fs);                                         /* goes on with those of an earlier daemon, once its handles are restored */
/* Frees the buffer that the request was to use up, once it has that result. A later daemon that does the request again does not find it, and asks
 * what came of it. */
void ioctl_spend_buffer(struct private_buffer *b, int result, uint64_t version);
bool ioctl_was_spent(int *ret_result, uint64_t *ret_version);
/* What hangs on the descriptor and release() frees, or NULL. */
void *ioctl_find_attachment(struct handle *h, void (*release)(void *arg));
/* Hangs arg on it, unless there is one already: then that one is returned, and arg stays the caller's. NULL: no memory, likewise. */
void *ioctl_attach_once(struct handle *h, void (*release)(void *arg), void *arg);
/* The object stays while the descriptor does. Takes the reference. */
int ioctl_keep_created(const struct ioctl_context *c, struct reference *r);
int ioctl_restore_created(struct fs *fs, uint32_t index);                          /* the same for an entry that an earlier daemon has left */
void ioctl_set_version(const struct ioctl_context *c, uint64_t version);           /* what poll compares with */

/* Objects whose consistency is `mutex` (ioctl_mutex.c). Between acquire and commit a reader has company of readers only, and a writer none.
 * -EAGAIN: somebody else has it; object_wake comes when that changes. A descriptor lets go of all that it has when it is closed. */
int ioctl_mutexes_new(struct ioctl_mutexes **ret_mutexes);
void ioctl_mutexes_free(struct ioctl_mutexes *ms);
int ioctl_mutex_acquire(const struct ioctl_context *c, bool exclusive);
int ioctl_mutex_restore(struct handle *h);                                   /* what the descriptor had when an earlier daemon died */
void ioctl_mutex_release(const struct ioctl_context *c, bool exclusive);     /* does nothing if the descriptor has none */

/* The handlers: in is theirs to read, out is a copy of in (or zeros where the struct is large: see each), to be filled in. */
typedef int ioctl_handler(struct ioctl_context *c, const void *in, void *out, size_t *ret_size);
ioctl_handler ioctl_info, ioctl_lookup, ioctl_name, ioctl_delete, ioctl_make_local, ioctl_set_produced, ioctl_select;
ioctl_handler ioctl_create, ioctl_clone;
ioctl_handler ioctl_acquire_read, ioctl_commit_read, ioctl_acquire_write, ioctl_commit_write, ioctl_buffer;
ioctl_handler ioctl_token_mint, ioctl_token_narrow, ioctl_token_revoke, ioctl_token_open;
ioctl_handler ioctl_stream_end, ioctl_stream_configure;
ioctl_handler ioctl_run, ioctl_pause, ioctl_task_control;

#endif
