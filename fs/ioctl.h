/* Ioctls of the mount (libdios/dios-ioctl.h): the calls of libdios that are not plain file operations.
 *
 * The file system's IOCTL handler fills in a context and calls ioctl_dispatch with the bytes that came in and room for those that go
 * out; ioctl_check has then seen every field before a handler does. A handler never blocks for another program and never calls
 * into FUSE. What it returns:
 *
 *   >= 0      the answer is out[0..*out_size): send it; if context->settle_ino is not 0, only after every invalidation of that
 *             inode that was queued before now has been carried out (the pages a program maps next must not be older than the
 *             version that it is told)
 *   -EAGAIN   with context->wait_ino != 0: put the request aside, object_watch that inode, and dispatch again with the same bytes
 *             when it has changed (once directly after the watch is set: the change may lie between); -EINTR at an interrupt.
 *             Handlers change nothing before they answer so. With wait_ino == 0: the program's answer
 *   other     the program's answer
 */
#ifndef DIOS_FS_IOCTL_H
#define DIOS_FS_IOCTL_H

#include "base/lock.h"
#include "libdios/dios-ioctl.h"
#include "objects/objects.h"
#include "objects/private_buffer.h"

/* ---- what a mount has ---- */

struct run_spec;

/* What tasks/ fills in. ino: a task's. All answer at once; starting goes on by itself. */
struct ioctl_task_operations {
	void *arg;
	/* Makes the task and returns its name. program: NULL if spec->path names it. References are borrowed: take what is kept. flags: DIOS_... of
	 * dios.h. */
	int (*run)(void *arg, const struct caller *caller, int32_t pid, uint32_t flags, struct reference *program, const struct run_spec *spec,
		struct name *ret_name, uint64_t *ret_ino);
	int (*pause)(void *arg, uint64_t ino, bool resume);             /* -ESRCH: it has ended */
	int (*kill)(void *arg, uint64_t ino, int signal);               /* the same */
	int (*exit)(void *arg, const struct name *task, bool failed);   /* ends the task, which is the caller */
};

/* Tokens too long for a file name, under short aliases for a minute each (ioctl_alias.c). */
struct ioctl_aliases;
int ioctl_aliases_new(struct clock *clock, struct random_source *random, struct ioctl_aliases **ret_aliases);
void ioctl_aliases_free(struct ioctl_aliases *a);
/* The look-up of .dios/cap/TEXT: true, and the token's text, if TEXT is an alias made by this user. token[TOKEN_TEXT_MAX + 1]. */
bool ioctl_alias_find(struct ioctl_aliases *a, uint32_t uid, const char *text, size_t size, char *token, size_t *ret_size);

struct ioctl_mount {
	struct objects *objects;
	struct private_buffers *buffers;
	struct ioctl_aliases *aliases;
	const struct ioctl_task_operations *tasks;    /* NULL: no tasks here, -EOPNOTSUPP */
};

/* ---- what an open descriptor has ---- */

#define IOCTL_CREATED_MAX 16   /* objects that a directory's descriptor keeps alive; of more, the oldest are let go */

struct ioctl_handle {
	struct lock lock;                 /* LOCK_HANDLE: guards all below */
	uint64_t seen_version;            /* poll: CHANGED is relative to this; the one last acquired or committed */
	bool has_seen;
	uint64_t position;                /* streams: where acquire_read with DIOS_NEXT goes on, and what poll looks from */
	bool positioned;                  /* false: before the first read, which starts at the oldest kept byte */
	struct reference *created[IOCTL_CREATED_MAX];
	unsigned created_next;
};
void ioctl_handle_init(struct ioctl_handle *h);
/* At RELEASE: lets go of what the descriptor kept alive. */
void ioctl_handle_done(struct ioctl_mount *mount, struct ioctl_handle *h);
/* For POLL: what is ready as enum READY_... of objects.h, seen from this descriptor. */
int ioctl_handle_ready(struct ioctl_handle *h, struct reference *r, uint32_t *ret_events);

/* ---- one call ---- */

struct ioctl_context {
	struct ioctl_mount *mount;
	struct ioctl_handle *handle;
	struct reference *reference;      /* NULL: not an object's descriptor */
	uint64_t directory;               /* a directory of the tree: its inode; else 0 */
	bool from_token;                  /* the reference was opened with a token: it has those rights and no more, whoever the caller is */
	bool mappable;                    /* its descriptor may be mapped: cached, not direct I/O */
	bool nonblock;                    /* O_NONBLOCK */
	struct caller caller;
	int32_t pid;
	/* Whether the caller has this supplementary group. NULL: it has none. */
	bool (*in_group)(struct ioctl_context *c, uint32_t gid);
	void *in_group_arg;

	uint64_t wait_ino, settle_ino;    /* out, see above */
};

/* *out_size: room in, bytes out. Structs need room for themselves. */
int ioctl_dispatch(struct ioctl_context *c, unsigned command, const void *in, size_t in_size, void *out, size_t *out_size);

/* The pure part (ioctl_check.c): -ENOTTY: no such number; -EINVAL: anything wrong with the bytes. */
int ioctl_check(unsigned command, const void *in, size_t in_size);

/* ---- the specification of a task (run_spec.c) ---- */

struct run_id { uint8_t bytes[DIOS_ID_SIZE]; };
struct run_text { const char *text; size_t size; };      /* borrowed from the specification; not terminated, holds no NUL */
struct run_spec {
	struct run_text *arguments, *environment; size_t argument_count, environment_count;
	struct run_id input_ids[DIOS_SPEC_REFERENCES_MAX], output_ids[DIOS_SPEC_REFERENCES_MAX]; size_t input_count, output_count;
	struct run_id standard_ids[3]; bool has_standard[3];
	struct run_text path;                                     /* size 0: none */
	uint64_t memory_bytes, cpu_percent, node, gang_size;      /* 0: not said */
	struct name job, gang;                                    /* zero: none */
	/* filled in by the handler of run, counted: freed by run_spec_done */
	struct reference *inputs[DIOS_SPEC_REFERENCES_MAX], *outputs[DIOS_SPEC_REFERENCES_MAX], *standard[3];
};
/* -EINVAL: malformed. -ENOMEM. Then run_spec_done. */
int run_spec_decode(const uint8_t *data, size_t size, struct run_spec *ret_spec);
void run_spec_done(struct run_spec *spec);

#endif
