/* The ioctls of a dios mount: what libdios and the file system say to each other. Programs use dios.h instead.
 *
 * One number a call. Each argument is a struct of fixed size that begins with `version` (DIOS_ABI_VERSION) and `flags` (those of
 * dios.h that the call admits) and holds no pointer. Every member lies at a multiple of its size and every struct's size is a
 * multiple of 8, so that 32-bit and 64-bit programs agree; tests/libdios/ checks each offset. An ioctl carries at most 16,383
 * bytes. Small data travels inside (DIOS_INLINE_MAX); larger data in a private buffer, the file .dios/buf/ID (32 hexadecimal
 * digits). A struct that ends with data may be cut behind as many bytes of it as its `size` says, rounded up to a multiple of 8: then its
 * number is DIOS_IOC_SHORT(), and less is copied. Another reference is named by its handle's random id, which DIOS_IOC_INFO returns; a zero id is none.
 *
 * Members marked out are ignored on the way in; reserved ones must be zero. What is wrong gives EINVAL: an unknown version, flag
 * or value, a size past its bound, a reserved member in use. A number that is none gives ENOTTY.
 * Where: R on a reference (an open object), D on a directory of the mount, M on any descriptor of the mount. */
#ifndef DIOS_IOCTL_H
#define DIOS_IOCTL_H

#include <stddef.h>
#include <stdint.h>
#include <linux/ioctl.h>

#define DIOS_ABI_VERSION 1u

/* A flag of open(2), which does nothing to a file: the descriptor is opened to be used with the calls below. So its blob is served with versions,
 * not written in place past them (dios.conf(5), passthrough); of one that is, acquire_write says EBUSY until its last writer has closed it. */
#define DIOS_OPEN_REFERENCE O_ASYNC
#define DIOS_IOCTL_MAX 16383u
#define DIOS_INLINE_MAX 12288u              /* bytes */
#define DIOS_ID_SIZE 16
#define DIOS_NAME_BYTES 32
#define DIOS_ENTRY_MAX 255u                 /* bytes of a directory entry's name */
#define DIOS_STRING_MAX 1023u               /* bytes of a string that a name is made from */
#define DIOS_TOKEN_TEXT_MAX 1000u
#define DIOS_REPLICAS_MAX 64u               /* described by one ioctl */

/* R: the public reference information. */
struct dios_ioctl_info {
	uint32_t version, flags;
	/* out */
	uint8_t id[DIOS_ID_SIZE];           /* of the handle */
	uint8_t name[DIOS_NAME_BYTES];
	uint8_t creator[DIOS_NAME_BYTES];   /* the task that made it; zero: none */
	uint64_t ino;
	uint64_t object_version;
	uint64_t size;                      /* bytes */
	uint64_t max_read, max_write;       /* largest buffers, bytes */
	uint64_t node;                      /* of the replica */
	uint32_t kind, rights;
	uint32_t proximity;                 /* enum dios_proximity */
	uint32_t fate;                      /* DIOS_FATE_... */
	uint32_t read_consistency, write_consistency;
	uint32_t ready;                     /* enum dios_event */
	uint32_t lifecycle;
	uint32_t create_flags;              /* MEMORY, LOCAL, DIRECT, END_ON_CLOSE of dios.h */
	uint32_t produced;                  /* enum dios_produced */
	uint32_t replicas, nlink;
	uint32_t stream_mode;               /* enum dios_stream_mode, of this handle */
	uint32_t stream_state;              /* DIOS_STREAM_... */
	uint64_t stream_start, stream_end;  /* offsets of the oldest kept byte and behind the newest */
	uint64_t stream_consumed, stream_records;
	uint64_t limit_bytes, trim_bytes;
	int64_t trim_age_ns;
	uint64_t position;                  /* where the next acquire_read with DIOS_NEXT begins */
	uint32_t task_state;                /* enum dios_task_state */
	int32_t exit_status;                /* as of waitpid(2) */
	int64_t start_ns, end_ns;           /* wall clock */
	uint8_t job[DIOS_NAME_BYTES];
	uint64_t reserved_out[4];
};
enum dios_proximity { DIOS_NEAR_CPU = 0 /* this processor's memory */, DIOS_NEAR_MEMORY, DIOS_NEAR_DISK, DIOS_ONE_HOP_MEMORY,
	DIOS_ONE_HOP_DISK, DIOS_HOPS_MEMORY, DIOS_HOPS_DISK, DIOS_FAR_MEMORY, DIOS_FAR_DISK };
enum { DIOS_FATE_NODE = 1 /* gone with this node */, DIOS_FATE_DAEMON = 2 /* gone with this node's daemon */,
	DIOS_FATE_TASK = 4 /* gone with the calling task */ };
enum dios_produced { DIOS_PRODUCED_YES = 0, DIOS_PRODUCED_NOT_YET, DIOS_PRODUCED_FAILED };
enum dios_stream_mode { DIOS_FOLLOW = 0, DIOS_CONSUME };
enum { DIOS_STREAM_ENDED = 1, DIOS_STREAM_BROKEN = 2, DIOS_STREAM_TRIM_CONSUMED = 4 };
enum dios_task_state { DIOS_TASK_WAITING = 0, DIOS_TASK_RUNNING, DIOS_TASK_PAUSED, DIOS_TASK_EXITED, DIOS_TASK_FAILED,
	DIOS_TASK_LOST };

/* D: makes an object, with a path in this directory if entry_size is not 0. The object lives at least as long as the directory's
 * descriptor: time to open .dios/name/NAME. clone: its bytes are those of the reference `source`. */
enum dios_name_kind { DIOS_NAME_RANDOM = 0, DIOS_NAME_STRING, DIOS_NAME_COUNTER };
struct dios_ioctl_create {
	uint32_t version, flags;
	uint32_t kind, name_kind;
	uint32_t lifecycle, replicas;
	uint32_t read_consistency, write_consistency;
	uint32_t mode;                      /* permission bits */
	uint32_t trim_consumed;             /* 0 or 1 */
	uint32_t entry_size, string_size;   /* bytes */
	uint64_t node, counter;
	uint64_t limit_bytes, trim_bytes;
	int64_t trim_age_ns;
	uint64_t ino;                       /* out */
	uint8_t near_id[DIOS_ID_SIZE];
	uint8_t source[DIOS_ID_SIZE];
	uint8_t parent[DIOS_NAME_BYTES];    /* DIOS_NAME_COUNTER: zero is the calling task */
	uint8_t name[DIOS_NAME_BYTES];      /* out */
	uint64_t reserved[4];
	char entry[256];
	char string[1024];
};

/* R: the object's replicas from `first` on, nearest first. bind not 0: this handle reads from replica `bind` - 1 from now on. */
struct dios_ioctl_replica { uint64_t node; uint32_t proximity, state; /* 0: good */ };
struct dios_ioctl_lookup {
	uint32_t version, flags;
	uint32_t first, bind;
	uint32_t total, count;              /* out: all; described here */
	struct dios_ioctl_replica replicas[DIOS_REPLICAS_MAX];   /* out */
};

/* M: the name that a string makes in this mount's realm. */
struct dios_ioctl_name {
	uint32_t version, flags;
	uint32_t string_size, reserved;
	uint8_t name[DIOS_NAME_BYTES];      /* out */
	char string[1024];
};

/* mint, R: a token for the reference. narrow, M: the token in text with the caveats added.
 * Caveats are those of the set members; task_id or else task_name names a task. */
enum { DIOS_CAVEAT_RANGE = 1, DIOS_CAVEAT_EXPIRY = 2, DIOS_CAVEAT_NODE = 4, DIOS_CAVEAT_TASK = 8, DIOS_CAVEAT_ONCE = 16,
	DIOS_CAVEAT_RIGHTS = 32 /* narrow only: mint takes rights as they are */ };
struct dios_ioctl_token {
	uint32_t version, flags;
	uint32_t rights;                    /* mint, 0: those of the reference */
	uint32_t caveats;                   /* DIOS_CAVEAT_... */
	uint64_t offset, length;
	int64_t expiry_ns;
	uint64_t node;
	uint8_t task_id[DIOS_ID_SIZE];
	uint8_t task_name[DIOS_NAME_BYTES];
	uint32_t text_size, reserved;       /* in for narrow, out for both */
	char text[1008];                    /* the same */
};
/* revoke, M: the token in text; with text_size 0, on R, every token of the object.
 * open, M: a short alias, good for a minute: the caller's look-up of .dios/cap/ALIAS is one of the token. */
struct dios_ioctl_text {
	uint32_t version, flags;
	uint32_t text_size, reserved;
	char alias[64];                     /* out, open: ends with NUL */
	char text[1008];
};

/* delete, R; stream end, R; pause, R. */
struct dios_ioctl_plain {
	uint32_t version, flags;
	uint64_t reserved;
};

/* R, the program; or M with a path in the specification, which is in spec, or in a private buffer: items one after the other, each
 * a struct dios_spec_item and its bytes, filled up with zeros to a multiple of 8. Each kind at most once but for the first four.
 * References are the ids of the caller's handles. */
#define DIOS_SPEC_MAX 245760u               /* bytes */
#define DIOS_SPEC_REFERENCES_MAX 256u       /* inputs; outputs */
enum dios_spec_kind {
	DIOS_SPEC_ARGUMENT = 1, DIOS_SPEC_ENVIRONMENT,              /* text without NUL; KEY=value */
	DIOS_SPEC_INPUT, DIOS_SPEC_OUTPUT,                          /* id */
	DIOS_SPEC_STDIN, DIOS_SPEC_STDOUT, DIOS_SPEC_STDERR,        /* id */
	DIOS_SPEC_PATH,                                             /* text without NUL */
	DIOS_SPEC_MEMORY, DIOS_SPEC_CPU, DIOS_SPEC_NODE,            /* uint64_t: bytes; percent of a processor; node */
	DIOS_SPEC_JOB, DIOS_SPEC_GANG,                              /* name */
	DIOS_SPEC_GANG_SIZE,                                        /* uint64_t */
};
struct dios_spec_item { uint32_t kind, size; };
struct dios_ioctl_run {
	uint32_t version, flags;
	uint32_t spec_size, reserved;       /* bytes */
	uint8_t buffer[DIOS_ID_SIZE];       /* zero: it is in spec */
	uint64_t ino;                       /* out: the task's */
	uint8_t name[DIOS_NAME_BYTES];      /* out */
	uint8_t spec[DIOS_INLINE_MAX];
};

/* task control: R, a task; M with DIOS_TASK_EXIT: the calling task. */
enum dios_task_action { DIOS_TASK_KILL = 1 /* `argument` is the signal; SIGKILL: all its processes */, DIOS_TASK_EXIT /* argument 0: with success */ };
struct dios_ioctl_task {
	uint32_t version, flags;
	uint32_t action;
	int32_t argument;
	uint32_t task_state;                /* out */
	int32_t exit_status;                /* out */
	uint64_t reserved;
};

/* acquire_read and acquire_write, R. offset UINT64_MAX (streams): the handle's own position. Of data only what is not zero at the end
 * need be sent back. */
enum dios_place { DIOS_PLACE_INLINE = 0 /* in data */, DIOS_PLACE_MAP /* map the reference itself */,
	DIOS_PLACE_BUFFER /* map or read the private buffer, from 0 on */,
	DIOS_PLACE_HELD = 0x100 /* added to these: others wait for the commit, so that discarding must be said too */ };
struct dios_ioctl_acquire {
	uint32_t version, flags;
	uint64_t offset, size;              /* bytes, in and out */
	uint64_t object_version;            /* out; UINT64_MAX: of a stream */
	uint32_t place, reserved;           /* out; zero */
	uint8_t buffer[DIOS_ID_SIZE];       /* out */
	uint8_t data[DIOS_INLINE_MAX];      /* out */
};

/* commit_read, R. The private buffer, if any, is freed. */
struct dios_ioctl_commit_read {
	uint32_t version, flags;
	uint64_t object_version;
	uint8_t buffer[DIOS_ID_SIZE];
};

/* commit_write, R. The bytes are in data, or in a private buffer, which is freed unless the answer is EAGAIN or EINTR. */
struct dios_ioctl_commit_write {
	uint32_t version, flags;
	uint64_t object_version;            /* in: based on; out: made */
	uint64_t offset;
	uint64_t size;                      /* bytes */
	uint8_t buffer[DIOS_ID_SIZE];
	uint8_t data[DIOS_INLINE_MAX];
};

/* R: what poll(2) compares from now on, and what is ready. POLLIN, POLLOUT: as always; POLLHUP: ended; POLLPRI: changed;
 * POLLRDBAND: produced; POLLERR. set: DIOS_SELECT_VERSION, DIOS_SELECT_POSITION. */
enum { DIOS_SELECT_VERSION = 1, DIOS_SELECT_POSITION = 2 };
struct dios_ioctl_select {
	uint32_t version, flags;
	uint32_t set, ready;                /* in; out: enum dios_event */
	uint64_t object_version, position;
};

/* R, a stream: only the parts named in `set`. mode and position are this handle's own and need no right to write. */
enum { DIOS_SET_LIMIT = 1, DIOS_SET_TRIM_BYTES = 2, DIOS_SET_TRIM_AGE = 4, DIOS_SET_TRIM_CONSUMED = 8, DIOS_SET_MODE = 16,
	DIOS_SET_POSITION = 32 };
struct dios_ioctl_stream {
	uint32_t version, flags;
	uint32_t set, mode;
	uint64_t limit_bytes, trim_bytes;
	int64_t trim_age_ns;
	uint32_t trim_consumed, reserved;
	uint64_t position;
};

/* R: says that the object is there, or that it never will be. */
struct dios_ioctl_produced {
	uint32_t version, flags;
	uint32_t produced, reserved;
};

/* M: a private buffer of `size` zero bytes, freed with this descriptor or by DIOS_BUFFER_FREE. */
enum dios_buffer_action { DIOS_BUFFER_NEW = 1, DIOS_BUFFER_FREE };
struct dios_ioctl_buffer {
	uint32_t version, flags;
	uint32_t action, reserved;
	uint64_t size;                      /* new */
	uint8_t buffer[DIOS_ID_SIZE];       /* out of new, in of free */
};

/* The numbers are never used again. 1 to 11 are the eleven calls in their order; 11 goes on by poll(2). */
#define DIOS_IOC_CREATE _IOWR('d', 1, struct dios_ioctl_create)
#define DIOS_IOC_LOOKUP _IOWR('d', 2, struct dios_ioctl_lookup)
#define DIOS_IOC_TOKEN_MINT _IOWR('d', 3, struct dios_ioctl_token)
#define DIOS_IOC_DELETE _IOWR('d', 4, struct dios_ioctl_plain)
#define DIOS_IOC_RUN _IOWR('d', 5, struct dios_ioctl_run)
#define DIOS_IOC_PAUSE _IOWR('d', 6, struct dios_ioctl_plain)
#define DIOS_IOC_ACQUIRE_READ _IOWR('d', 7, struct dios_ioctl_acquire)
#define DIOS_IOC_COMMIT_READ _IOWR('d', 8, struct dios_ioctl_commit_read)
#define DIOS_IOC_ACQUIRE_WRITE _IOWR('d', 9, struct dios_ioctl_acquire)
#define DIOS_IOC_COMMIT_WRITE _IOWR('d', 10, struct dios_ioctl_commit_write)
#define DIOS_IOC_SELECT _IOWR('d', 11, struct dios_ioctl_select)
#define DIOS_IOC_INFO _IOWR('d', 12, struct dios_ioctl_info)
#define DIOS_IOC_NAME _IOWR('d', 13, struct dios_ioctl_name)
#define DIOS_IOC_CLONE _IOWR('d', 14, struct dios_ioctl_create)
#define DIOS_IOC_MAKE_LOCAL _IOWR('d', 15, struct dios_ioctl_plain)
#define DIOS_IOC_TOKEN_NARROW _IOWR('d', 16, struct dios_ioctl_token)
#define DIOS_IOC_TOKEN_REVOKE _IOWR('d', 17, struct dios_ioctl_text)
#define DIOS_IOC_TOKEN_OPEN _IOWR('d', 18, struct dios_ioctl_text)
#define DIOS_IOC_STREAM_END _IOWR('d', 19, struct dios_ioctl_plain)
#define DIOS_IOC_STREAM_CONFIGURE _IOWR('d', 20, struct dios_ioctl_stream)
#define DIOS_IOC_SET_PRODUCED _IOWR('d', 21, struct dios_ioctl_produced)
#define DIOS_IOC_TASK_CONTROL _IOWR('d', 22, struct dios_ioctl_task)
#define DIOS_IOC_BUFFER _IOWR('d', 23, struct dios_ioctl_buffer)
#define DIOS_IOC_COUNT 23
/* ACQUIRE_READ, ACQUIRE_WRITE or COMMIT_WRITE of a struct with `bytes` bytes of data. */
#define DIOS_IOC_SHORT(command, type, bytes) \
	_IOC(_IOC_READ | _IOC_WRITE, 'd', _IOC_NR(command), offsetof(struct type, data) + (((bytes) + 7) & ~(size_t)7))

/* The sizes are part of the numbers: a program built long ago relies on them. */
#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define DIOS_ABI_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), "the size of struct " #type " is fixed")
DIOS_ABI_SIZE(dios_ioctl_info, 344);
DIOS_ABI_SIZE(dios_ioctl_create, 1504);
DIOS_ABI_SIZE(dios_ioctl_lookup, 1048);
DIOS_ABI_SIZE(dios_ioctl_name, 1072);
DIOS_ABI_SIZE(dios_ioctl_token, 1112);
DIOS_ABI_SIZE(dios_ioctl_text, 1088);
DIOS_ABI_SIZE(dios_ioctl_plain, 16);
DIOS_ABI_SIZE(dios_ioctl_run, 12360);
DIOS_ABI_SIZE(dios_ioctl_task, 32);
DIOS_ABI_SIZE(dios_ioctl_acquire, 12344);
DIOS_ABI_SIZE(dios_ioctl_commit_read, 32);
DIOS_ABI_SIZE(dios_ioctl_commit_write, 12336);
DIOS_ABI_SIZE(dios_ioctl_select, 32);
DIOS_ABI_SIZE(dios_ioctl_stream, 56);
DIOS_ABI_SIZE(dios_ioctl_produced, 16);
DIOS_ABI_SIZE(dios_ioctl_buffer, 40);
#undef DIOS_ABI_SIZE
#endif

#endif
