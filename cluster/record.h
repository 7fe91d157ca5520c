/* An object's replicated metadata, as kept in the state under its inode number and as returned by commands.
 *
 * Encoded as msgpack [version, {small integer key: value}]: fields that are zero are left out, keys ascend, an older reader skips
 * keys it does not know. docs/DISK_FORMAT.md lists the keys. */
#ifndef DIOS_CLUSTER_RECORD_H
#define DIOS_CLUSTER_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buffer.h"
#include "caps/name.h"

#define BLOCK_SIZE 4096u                 /* bytes: unit of rows and checksums */
#define CRC_BLOCKS 256u                  /* blocks in one checksum entry: 1 MiB of the object */
#define INLINE_MAX_DEFAULT 65536u        /* bytes: blobs up to this are kept inside the state */
#define REALM_FIRST 1u                   /* the one realm there is so far */
#define ROOT_INO 1u                      /* the first realm's root directory: slot 0, counter 1 */
#define NAME_MAX_BYTES 255u              /* a directory entry's name */
#define SYMLINK_MAX 4095u
#define XATTR_VALUE_MAX 65536u
#define RECORD_VERSION 1
#define RECORD_SIZE_MAX 1024u            /* bytes, encoded */

/* ino = slot << 48 | counter; counters with INO_LOCAL_BIT are never given out by the state: they are this node's own
 * (the .dios folders, token look-ups, buffers, pinned versions). */
#define INO_LOCAL_BIT (1ULL << 47)
static inline uint16_t ino_slot(uint64_t ino) { return (uint16_t)(ino >> 48); }

enum object_kind { KIND_BLOB = 1, KIND_STREAM, KIND_TASK, KIND_DIRECTORY, KIND_SYMLINK, KIND_SPECIAL /* fifo, device, socket: see mode */ };
enum lifecycle { LIFECYCLE_REFCOUNTED = 0 /* goes with its last link and reference */, LIFECYCLE_SINGLE_DELETE /* one delete ends it */,
	LIFECYCLE_IMMORTAL /* never deleted */ };
enum blob_place { PLACE_INLINE = 0, PLACE_HEAD };
enum consistency { CONSISTENCY_OPTIMISTIC = 0, CONSISTENCY_NONE, CONSISTENCY_EVENTUAL, CONSISTENCY_MUTEX };
enum produced { PRODUCED_YES = 0, PRODUCED_NOT_YET, PRODUCED_FAILED };
enum task_state { TASK_WAITING = 0, TASK_RUNNING, TASK_PAUSED, TASK_EXITED, TASK_FAILED, TASK_LOST };

/* Flags of create. */
enum {
	CREATE_MEMORY_ONLY = 1,      /* not durable: gone with this node's daemon */
	CREATE_LOCAL_ONLY = 2,       /* never replicated elsewhere */
	CREATE_STREAM_DIRECT = 4,    /* stream: in memory, bounded, credit flow control */
	CREATE_STREAM_END_ON_CLOSE = 8, /* stream: ends when its last writer closes */
	CREATE_UNPRODUCED = 16,      /* a task has still to make it */
};

struct stream_state {
	uint64_t start;              /* offset of the oldest kept byte */
	uint64_t end;                /* bytes ever written */
	uint64_t consumed;           /* consume mode: offset of the first record not handed out yet */
	uint64_t records;            /* records ever written */
	uint64_t limit_bytes;        /* bound on kept bytes: writers block (or old bytes are trimmed, see trim) */
	uint64_t trim_bytes;         /* 0: never trimmed by size; else the oldest records go when more is kept */
	int64_t trim_age_ns;         /* 0: never trimmed by age */
	bool trim_consumed;          /* consumed records go */
	bool ended;                  /* no writer may append any more */
	bool broken;                 /* a direct stream whose node died: readers and writers get -EPIPE */
	uint64_t chunk;              /* offset of the stored piece (what one append brought) that holds `start` */
};

struct task_status {
	enum task_state state;
	int32_t exit_status;         /* as of waitpid: meaningful in EXITED and FAILED */
	int64_t start_ns, end_ns;
	struct name job;             /* the group of tasks it belongs to; all zero: none */
};

struct record {
	uint64_t ino;
	struct name name;
	uint32_t realm;
	enum object_kind kind;
	uint32_t mode;               /* S_IFMT and permission bits */
	uint32_t uid, gid;
	uint32_t nlink;
	uint64_t rdev;
	uint64_t size;               /* committed size, bytes */
	uint64_t blocks;             /* 512-byte blocks that hold data (holes excluded) */
	uint64_t version;            /* grows by one with each commit of content */
	int64_t atime_ns, mtime_ns, ctime_ns, btime_ns;
	enum lifecycle lifecycle;
	uint32_t flags;              /* CREATE_... */
	enum blob_place place;
	enum produced produced;
	enum consistency read_consistency, write_consistency;
	uint32_t replicas;           /* wanted; 0: the cluster's default */
	uint64_t stage_seq;          /* highest staging sequence number committed (rule D4) */
	uint64_t cap_epoch;          /* capability epoch: raised to revoke every token of the object */
	uint64_t parent;             /* directories: the directory above (for ".."); others: 0 */
	uint64_t entries, next_cookie; /* directories */
	uint64_t made;               /* index of the log entry that made it: orders objects by age */
	bool orphan;                 /* in the list of orphans: goes with the last reference (REAP) */
	uint32_t rows, trims;        /* of a blob with a head: those that the heads have not absorbed yet */
	uint32_t xattr_list_bytes;   /* of all xattr names with their NULs, as of listxattr(2); 0: it has none */
	bool in_place;               /* of a blob with a head: unsealed, written in place; the head alone says what it is (R9) */
	struct name creator;         /* the task that made it; all zero: none */
	struct stream_state stream;
	struct task_status task;
};

/* Appends; errors are the buffer's. */
void record_encode(const struct record *r, struct buffer *out);
/* -EBADMSG: not exactly one record; -ENOTSUP: of a newer version. Every claimed length is checked before it is used. */
int record_decode(struct slice data, struct record *ret_record);
/* As record_decode, for a record nested in another message. Errors are in the cursor. */
struct unpacker;
void record_unpack(struct unpacker *u, struct record *ret_record);

#endif
