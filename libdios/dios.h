/* dios: one place to keep objects. An object is a blob of bytes, a stream of bytes, or a task that runs.
 *
 * The eleven calls are those of DIOS (Cambridge, 2013 to 2015), here in user space: they do file
 * operations and ioctls on the mount, $DIOS_MOUNT or else /dios, and nothing else. Each returns 0 or a
 * negative errno, takes its flags first and may be called from any thread. What is named ret_... is
 * untouched on failure. Zero in a field of an options struct is its default.
 *
 * Any call may return: -EINVAL an unknown flag, or an argument out of bounds; -EBADF not an open
 * descriptor; -ENOTTY not an object of a dios mount; -EACCES the reference lacks the right, or has
 * expired; -EINTR a signal came while it waited; -EIO the bytes are lost or damaged, or the task that
 * was to produce them failed; -ENOMEM. dios-util.h has what is not a call: dios_info, names as text,
 * ends of streams. Link with -ldios. Overview: libdios(7). */
#ifndef DIOS_H
#define DIOS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A reference: a handle on an object with rights. It is an open descriptor in the mount and nothing
 * else: read, write, dup, close, SCM_RIGHTS and inheritance do what they do on files. Those returned
 * here are close-on-exec. */
typedef int dios_ref;

struct dios_name { uint8_t bytes[32]; };    /* identifies an object for ever; 43 characters as text */

enum dios_kind { DIOS_BLOB = 1, DIOS_STREAM = 2, DIOS_TASK = 3 };
enum dios_right { DIOS_READ = 1, DIOS_WRITE = 2, DIOS_APPEND = 4, DIOS_EXECUTE = 8,
	DIOS_DELETE = 16, DIOS_DELEGATE = 32 };
enum dios_lifecycle { DIOS_REFCOUNTED = 0 /* goes with its last path and reference */,
	DIOS_SINGLE_DELETE /* one delete ends it */, DIOS_IMMORTAL };
enum dios_consistency { DIOS_OPTIMISTIC = 0 /* linearizable, conflicts show at commit */,
	DIOS_NONE /* what this node has */, DIOS_EVENTUAL /* any replica */,
	DIOS_MUTEX /* acquire waits: readers for a writer, a writer for everybody, until the commit */ };

enum dios_flag {
	DIOS_NOWAIT = 0x100,         /* lookup, acquire, commit_write: -EAGAIN where the call would wait */
	DIOS_LOCAL = 0x200,          /* create, lookup: on this node only; copy: makes a replica here */
	DIOS_STRING = 0x400,         /* lookup: `what` is the string that a name was made from */
	DIOS_EXISTING = 0x800,       /* create: an object with that name is returned, not -EEXIST */
	DIOS_MEMORY = 0x1000,        /* create: not durable, gone with this node's daemon */
	DIOS_UNPRODUCED = 0x2000,    /* create: readers wait until a task has made it */
	DIOS_DIRECT = 0x4000,        /* create: a stream in memory only, from writer to reader */
	DIOS_END_ON_CLOSE = 0x8000,  /* create: a stream that ends when its last writer closes */
	DIOS_TOKEN = 0x10000,        /* copy: returns a token */
	DIOS_CLONE = 0x20000,        /* copy: a new object with the same bytes */
	DIOS_DROP = 0x40000,         /* delete: the reference only */
	DIOS_SELF = 0x80000,         /* delete: ends the calling task, with success */
	DIOS_FAILED = 0x100000,      /* delete with DIOS_SELF: with failure */
	DIOS_RESUME = 0x200000,      /* pause: continues instead */
	DIOS_PURE = 0x400000,        /* run: the task has no power but its references */
	DIOS_RESTART = 0x800000,     /* run: again elsewhere if its node is lost */
	DIOS_PIN = 0x1000000,        /* acquire_read: bytes that never change, whoever commits */
	DIOS_RECORD = 0x2000000,     /* acquire_read: one whole record of a stream */
	DIOS_DISCARD = 0x4000000,    /* commit: only releases the buffer */
	DIOS_FORCE = 0x8000000,      /* commit_write: whatever the version is now */
	DIOS_AT_END = 0x10000000,    /* acquire_write, commit_write: at the end; never stale */
	DIOS_RELAXED = 0x20000000,   /* commit_write: durable within a second, not at once */
	DIOS_TRUNCATE = 0x40000000,  /* commit_write: the object ends after these bytes */
};

/* create --------------------------------------------------------------------------
 * Makes an object; returns its name (ret_name may be NULL) and a reference to it. The name is random, or
 * made from `string` (SHA-256 of realm and string; at most 1,023 bytes; never a secret; no path with it),
 * or from `parent` and `counter`, so that a task run again makes the same names. With `path`, a new place
 * in the mount, it is linked there too: -ENOENT, -ENOTDIR, -EACCES as open(2). Flags: LOCAL, EXISTING, MEMORY,
 * UNPRODUCED, DIRECT, END_ON_CLOSE. -EEXIST; -ENOSPC; -EDQUOT; -ENAMETOOLONG. */
struct dios_create_options {
	enum dios_kind kind;                     /* default DIOS_BLOB; tasks are made by dios_run */
	uint32_t rights;                         /* of ret_ref; default read and write */
	const char *path, *string;
	const struct dios_name *parent;          /* default: the calling task, if counter is not 0 */
	uint64_t counter;
	uint32_t mode;                           /* permission bits, umask not applied; default 0600 */
	enum dios_lifecycle lifecycle;
	uint32_t replicas;                       /* default: the cluster's */
	uint64_t node;                           /* the first replica's; default this one */
	const dios_ref *near;                    /* or: where this object is */
	enum dios_consistency read_consistency, write_consistency;
	/* streams */
	uint64_t limit_bytes;                    /* writers wait while it keeps so many */
	uint64_t trim_bytes; int64_t trim_age_ns;    /* the oldest records go past these; default never */
	uint32_t trim_consumed;                  /* 1: consumed records go */
};
int dios_create(uint32_t flags, const struct dios_create_options *options /* or NULL */,
	struct dios_name *ret_name, dios_ref *ret_ref);

/* lookup --------------------------------------------------------------------------
 * From a name (43 characters), a token, or a path (has a '/') to references with `rights` (0: read), one
 * for each physical replica, nearest first. *count: capacity in, matches out; 1 asks for the nearest; no
 * such object is 0 matches and no error. Waits for an object that a task has still to produce. Flags:
 * LOCAL, STRING, NOWAIT. -EACCES also: a token that is forged, expired, revoked or spent, or that gives
 * less than `rights`. */
int dios_lookup(uint32_t flags, const char *what, uint32_t rights, dios_ref *refs, size_t *count);

/* copy ----------------------------------------------------------------------------
 * Without flags: another reference, narrowed as the options say. TOKEN: a token for it, as text, that
 * anybody can open or narrow and nobody can widen; with `task`, only that task. Both want the object's
 * owner, root, or the right DELEGATE. CLONE: a new object with the same bytes, made as by dios_create.
 * LOCAL: a replica on this node, and nothing returned. */
#define DIOS_TOKEN_SIZE 1001                 /* bytes of a token's text, with its NUL */
struct dios_copy_options {
	uint32_t rights;                         /* default: those of ref */
	uint64_t offset, length;                 /* only these bytes; default all */
	int64_t expiry_ns;                       /* wall clock, since the epoch; default never */
	uint32_t once;                           /* 1: good for one opening */
	uint64_t node; const dios_ref *task;     /* only there, only for that task */
	const struct dios_create_options *create;
};
int dios_copy(uint32_t flags, dios_ref ref, const struct dios_copy_options *options /* or NULL */,
	dios_ref *ret_ref, char *ret_token /* [DIOS_TOKEN_SIZE] */);

/* delete --------------------------------------------------------------------------
 * Drops the reference, closing the descriptor, and the object as its lifecycle says: a reference-counted
 * one goes with its last path and reference, a single-delete one now (open references last), an immortal
 * one never: -EPERM, and the reference stays. SELF (ref is ignored) ends the calling task and returns
 * only if there is none: -ESRCH. Flags: DROP, SELF, FAILED. */
int dios_delete(uint32_t flags, dios_ref ref);

/* run -----------------------------------------------------------------------------
 * Starts an executable object as a task, with the caller's user and no more rights; returns a reference
 * to it: dios_select says when it has ended, dios_info how. program < 0: `path` of the node instead.
 * Inputs and outputs are descriptors from 3 up in the task. It starts when all inputs are produced.
 * Flags: PURE, RESTART. -ENOEXEC; -E2BIG past 240 KiB of arguments. */
struct dios_run_options {
	const char *path;
	const char *const *arguments;            /* from argv[0]; ends with NULL */
	const char *const *environment;          /* "KEY=value"; ends with NULL */
	const dios_ref *inputs, *outputs;
	size_t input_count, output_count;        /* at most 256 each */
	const dios_ref *standard_input, *standard_output, *standard_error;   /* default: streams of its own */
	uint64_t memory_bytes;                   /* default: no bound */
	uint32_t cpu_percent;                    /* 100: one processor; default: no bound */
	uint64_t node;                           /* default: near its inputs */
	const struct dios_name *job;             /* a group for wait and kill */
	const struct dios_name *gang;            /* starts when gang_size tasks of this gang are there */
	uint32_t gang_size;
};
int dios_run(uint32_t flags, dios_ref program, const struct dios_run_options *options, dios_ref *ret_task);

/* pause ---------------------------------------------------------------------------
 * Stops all threads of a task; with RESUME lets them go on. Doing either twice is no error. -ESRCH: the
 * task has ended. */
int dios_pause(uint32_t flags, dios_ref task);

/* acquire and commit --------------------------------------------------------------
 * A buffer belongs to one acquire and is released by its commit, whatever that returns but -EAGAIN and
 * -EINTR. Set no field. */
struct dios_buffer {
	void *data; size_t size;                 /* the bytes */
	uint64_t offset;                         /* of data[0] in the object */
	uint64_t version;                        /* of the object: read, based on, or made by the commit */
	void *map; size_t map_size; uint8_t id[16];
};
#define DIOS_NEXT UINT64_MAX                 /* offset in streams: where the last acquire_read ended */

/* Up to `size` bytes of the current version at `offset`, mapped rather than copied where they can be;
 * less at the object's end, and size 0 past it. A mapped page changes when somebody writes (commit_read
 * tells), and is SIGBUS after a truncation: PIN avoids both with a private copy. Streams: waits for the
 * next bytes, or record; size 0 is the end; -EMSGSIZE: the record is larger than `size`, and stays;
 * -EIO: bytes trimmed away unread. Flags: PIN, RECORD, NOWAIT. -ENOBUFS: too many copies held. */
int dios_acquire_read(uint32_t flags, dios_ref ref, uint64_t offset, size_t size,
	struct dios_buffer *ret_buffer);

/* Releases the buffer and says whether what was read is still current: 0, or -ESTALE (after PIN too).
 * Streams: 0. Flag: DISCARD. */
int dios_commit_read(uint32_t flags, dios_ref ref, struct dios_buffer *buffer);

/* A private copy of `size` bytes of the current version at `offset`, to be changed; zeros past the end.
 * With AT_END, and on streams, all zeros. Flags: AT_END, NOWAIT. -EFBIG; -ENOBUFS. */
int dios_acquire_write(uint32_t flags, dios_ref ref, uint64_t offset, size_t size,
	struct dios_buffer *ret_buffer);

/* Publishes the first `size` bytes of the buffer as the next version, atomically, on disk when it
 * returns, if the version they are based on is still current; else -ESTALE and nothing changed. Streams:
 * appends one record, waiting for room: -EPIPE once it has ended, -EMSGSIZE for more than it can hold.
 * Flags: FORCE, AT_END, DISCARD, RELAXED, TRUNCATE, NOWAIT. -ENOSPC; -EDQUOT. */
int dios_commit_write(uint32_t flags, dios_ref ref, struct dios_buffer *buffer, size_t size);

/* select --------------------------------------------------------------------------
 * Waits until one of the references is ready for what is wanted of it, or timeout_ns has passed:
 * -ETIMEDOUT. < 0: no limit; 0 only looks. Sets each `ready`. END and ERROR are always reported. At most
 * 4,096 references; those < 0 are passed over. */
enum dios_event { DIOS_READABLE = 1, DIOS_WRITABLE = 2, DIOS_ENDED = 4 /* stream or task */,
	DIOS_PRODUCED = 8, DIOS_ERROR = 32,
	DIOS_CHANGED = 16 /* another version than this reference last acquired or committed */ };
struct dios_wait { dios_ref ref; uint32_t wanted, ready; };
int dios_select(uint32_t flags, struct dios_wait *waits, size_t count, int64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
