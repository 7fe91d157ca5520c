/* Commands: the only way in which replicated state changes. Each is proposed to the shard that owns the slot, logged,
 * and applied by cluster/state as a pure function of (state, command): times and random values are in the command.
 *
 * Wire and log form: msgpack, [version, kind, client, seq, done_below, time, {fields}]; docs/DISK_FORMAT.md lists the fields. A
 * command carries the id of its client and a sequence number; its result is kept until the client says with done_below (at most seq)
 * that it has all results below that number, so that a retry is applied once, also across restarts. A command below what its client
 * has once called done is refused with -EALREADY: it is a late copy. seq 0: not remembered, for commands that are harmless when
 * they are applied twice. Client ids are never used again.
 *
 * An entry that can't be decoded stops every replica that meets it: a leader decodes what it was sent before it logs it.
 *
 * Slices and arrays in a decoded command borrow from the bytes it was decoded from, or from its arena. */
#ifndef DIOS_CLUSTER_COMMAND_H
#define DIOS_CLUSTER_COMMAND_H

#include "cluster/record.h"

#define COMMAND_VERSION 1
#define COMMAND_MAX (3u << 20)            /* bytes, encoded */
#define COMMAND_ROWS_MAX 65536u           /* rows in one command: 256 MiB by reference to a side file; those with bytes are bounded by COMMAND_MAX */
#define COMMAND_INODES_MAX 1024u          /* inodes in one REAP */
#define COMMAND_LIST_MAX 65536u           /* holes, patches, absorbed rows or trims, or records of a stream in one command */
#define COMMAND_TAIL_MAX 524288u          /* blocks in one tail: 2 GiB */
#define COMMAND_ENTRY_MAX 4096u           /* bytes of a name in a command: more than apply accepts, so that it is apply that refuses */
#define COMMAND_VALUE_MAX 131072u         /* bytes of an xattr's value, likewise */
#define TASK_SPEC_MAX (256u << 10)        /* bytes */
#define TASK_STATS_MAX (64u << 10)        /* bytes */
#define KEY_SEALED_MAX 4096u              /* bytes */

enum command_kind {
#define COMMAND(NAME, number, member) COMMAND_##NAME = number,
#include "cluster/command.def"
#undef COMMAND
};

/* Makes an object, and links it into a directory if parent is not 0. -ENOENT (no such directory, or removed), -ENOTDIR, -EEXIST (the
 * entry, or an object of this name), -EXDEV (the name's slot is not the directory's), -EMLINK, -ENAMETOOLONG; -EINVAL: the mode does not fit the
 * kind, or a directory, symlink or special file without a path. Mode and group are taken as they are: set-gid inheritance and
 * umask are the proposer's. The kernel checks permissions and the sticky bit for this and the other commands of the tree. */
struct command_create {
	uint64_t parent;                 /* 0: no path; the inode's slot is then the name's slot */
	struct slice entry;              /* its name in the parent */
	struct name name;                /* the object's 256-bit name; its slot must be the parent's */
	enum object_kind kind;
	uint32_t mode, uid, gid;
	uint64_t rdev;
	struct slice target;             /* symlink's text */
	enum lifecycle lifecycle;
	uint32_t flags;                  /* CREATE_... */
	uint32_t replicas;
	enum consistency read_consistency, write_consistency;
	struct name creator;
	uint64_t limit_bytes, trim_bytes; int64_t trim_age_ns; bool trim_consumed;   /* streams */
	struct slice spec;               /* tasks: opaque to the state, at most 256 KiB */
	struct name job;                 /* tasks */
	bool orphan;                     /* no path and open: freed at the last release (O_TMPFILE, unnamed objects in use) */
	bool in_place;                   /* blobs: born unsealed, with a head that is still to be made (UNSEAL) */
};

/* -EPERM: a directory; -EMLINK past 65,000. An orphan (O_TMPFILE) stops being one. */
struct command_link { uint64_t ino, parent; struct slice entry; };

/* Removes a directory entry. The inode stays as an orphan when its last link goes, until REAP (rule D5); an immortal one stays
 * under its name, as no orphan. unused: the inode that nobody has open, says who proposes; is it the one and has no head, it goes at once.
 * -EISDIR, -ENOTDIR, -ENOTEMPTY. */
struct command_unlink { uint64_t parent; struct slice entry; bool directory; uint64_t unused; };

/* As renameat2(2). What is replaced loses a link as by UNLINK; its entry's place in the order of the directory stays. -EINVAL: a directory
 * into itself or below; two links of one object: nothing changes. */
struct command_rename { uint64_t parent; struct slice entry; uint64_t new_parent; struct slice new_entry; uint32_t flags; /* RENAME_NOREPLACE, RENAME_EXCHANGE */ };

enum { ATTR_MODE = 1, ATTR_UID = 2, ATTR_GID = 4, ATTR_ATIME = 8, ATTR_MTIME = 16, ATTR_KILL_PRIVILEGE = 32 /* clear suid, and sgid where group-executable, and security.capability */,
	ATTR_REPLICAS = 64, ATTR_CONSISTENCY = 128, ATTR_LIFECYCLE = 256 };
/* ctime moves always. KILL_PRIVILEGE comes first, so that a mode that is set in the same command stands. */
struct command_setattr { uint64_t ino; uint32_t mask; uint32_t mode, uid, gid; int64_t atime_ns, mtime_ns; uint32_t replicas;
	enum consistency read_consistency, write_consistency; enum lifecycle lifecycle; };

/* -EEXIST, -ENODATA, -ERANGE (the name), -E2BIG (the value), -ENOSPC: the names would be more than listxattr(2) can return. */
struct command_setxattr { uint64_t ino; struct slice key, value; int flags; /* XATTR_CREATE, XATTR_REPLACE */ bool remove; };

/* A block's new content. bytes.size <= BLOCK_SIZE; the rest of the block reads as zeros. With side != 0 the bytes are in a
 * side file at side_offset instead (size bytes, checksum crc). */
struct command_row { uint64_t block; struct slice bytes; uint64_t side, side_offset; uint32_t side_size, side_crc; };
struct command_range { uint64_t block, count; };
struct command_patch { uint64_t offset; struct slice bytes; };
struct command_absorbed_row { uint64_t block, version; };
struct command_absorbed_trim { uint64_t block, count, version; };

/* Changes a blob's content: one new version. In this order: size shrinks, holes, rows, tail, size grows, inline patches.
 *
 * Refused with -EINVAL, and nothing changed, since it would be silent damage: rows that do not ascend or have bytes past the size; a tail
 * block that is neither a hole nor the block that the old size cuts (growing), or that has a row or trim not absorbed yet; a blob that
 * shrinks into the middle of a block that is there without giving it as a row or hole. Shrinking and holes leave trims for the heads where
 * blocks were. -EFBIG: inline content above 1 MiB, or a size above 2^63 - 1. */
struct command_commit {
	uint64_t ino;
	bool check_version; uint64_t base_version;   /* -ESTALE if the object's version is another */
	uint64_t size;                   /* the new size */
	int64_t mtime_ns;                /* 0: the command's time */
	uint64_t stage_seq;              /* 0: unchanged */
	bool kill_privilege;
	bool taken_in;                   /* its bytes are a program's that was told they are written, within the quota of that time: none refuses them now */
	bool to_head;                    /* the blob moves from inline to a head, whose blocks are described by the tail below */
	/* blob with a head */
	const struct command_row *rows; uint32_t row_count;
	const struct command_range *holes; uint32_t hole_count;   /* whole blocks that now read as zeros */
	uint64_t tail_block; const uint32_t *tail_crcs; uint32_t tail_count; /* blocks already in the heads and synced (R1): CRC32C over the
	                                    whole block, zero-filled past the new size */
	const uint8_t *tail_present;     /* bitmap of tail_count bits, NULL: all; an absent one is left as it is */
	/* inline blob: patches applied to the content after it was cut or zero-extended to `size` */
	const struct command_patch *patches; uint32_t patch_count;
};

/* The heads of the replicas hold these rows and trims now, synced: drop those that are still the same. Trims go first; a row stays
 * while a trim that covers its block is not absorbed, since the head takes trims before rows. */
struct command_absorbed { uint64_t ino; const struct command_absorbed_row *rows; uint32_t row_count;
	const struct command_absorbed_trim *trims; uint32_t trim_count; };

/* From here on the head is written in place and alone says what the blob is (R9): size, times, bytes. What the record and the checksums say
 * is what was sealed last. A blob without a head gets one, whose bytes, synced, are its content (R1). Done again it changes
 * nothing. -EINVAL: it has rows or trims; then COMMIT is refused with -EBUSY until SEAL. */
struct command_unseal { uint64_t ino; };

/* What the synced head holds becomes the next version. A large one comes in several commands, of which the last has `done`: blocks
 * [block, block + count) are forgotten, then those with their bit get their checksum. -EINVAL: it is sealed.
 * unchanged: the head is what was sealed last. to_inline: nothing but `content` counts, and the head goes. */
struct command_seal { uint64_t ino, size; int64_t mtime_ns; uint64_t block, count;
	struct slice crcs;               /* of blocks from `block` on, 4 bytes each, big endian: CRC32C over the whole block, zeros past the end */
	struct slice present;            /* their bitmap: those without their bit are holes */
	bool done, unchanged, to_inline; struct slice content; };

struct command_reap { const uint64_t *inos; uint32_t count; };                /* orphans that nobody has open; what is none is left alone */
/* An object without path becomes an orphan (again: nothing). -EPERM: immortal; -EBUSY: it has a path; -EISDIR. */
struct command_delete { uint64_t ino; };

/* Whole records, all or none. -EMSGSIZE: a record above limit_bytes. First everything goes that trim_age, trim_consumed and trim_bytes say, as of
 * the command's time and with the new bytes counted; then, with check_limit, -EAGAIN if more than limit_bytes would be kept. What is
 * appended is never trimmed by the same command. */
struct command_stream_append { uint64_t ino; const uint32_t *sizes; uint32_t count; struct slice bytes; bool check_limit; }; /* -EAGAIN when full, -EPIPE when ended */
/* consumed only grows; start moves up to a record's beginning, at or below what is said. Trims as an append does. */
struct command_stream_update { uint64_t ino; bool end; bool broken; bool set_consumed; uint64_t consumed; bool set_start; uint64_t start;
	bool set_limits; uint64_t limit_bytes, trim_bytes; int64_t trim_age_ns; bool trim_consumed; };

/* -EINVAL: what was produced is not taken back. */
struct command_produced { uint64_t ino; enum produced produced; };
/* Times of 0 and empty stats are left as they were. -EINVAL: a task that exited or failed gets no other state. */
struct command_task_update { uint64_t ino; enum task_state state; int32_t exit_status; int64_t start_ns, end_ns; struct slice stats; };

struct command_revoke { uint64_t ino; bool whole_object; uint8_t token_id[16]; int64_t expiry_ns; };  /* by object: raises cap_epoch; by id: ino may be 0. expiry_ns 0: never */
struct command_spend { uint8_t once_id[16]; int64_t expiry_ns; };             /* -EACCES if spent before */
struct command_key_put { uint32_t realm, key_id; struct slice sealed; };      /* -EEXIST: another key has this id */
/* Done again it changes nothing. There is realm 1 so far, with root ROOT_INO. */
struct command_realm_init { uint32_t realm; uint64_t root; uint32_t mode, uid, gid; struct name name; };
/* Limits on what all objects of a realm have together; 0: none. From then on what would grow past one is refused with -EDQUOT, whole. What is there
 * already stays, and what does not grow goes on. -ENOENT: no such realm. */
struct command_quota { uint32_t realm; uint64_t bytes, objects; };
struct command_client_gone { uint64_t client; };                              /* forget its remembered results; later commands of it: -EALREADY */

/* When a command is to be on stable storage: some time, before it is answered, or by a sync that its proposer asks for next. */
enum durability { DURABLE_LATER, DURABLE_NOW, DURABLE_NEXT };

struct command {
	enum command_kind kind;
	uint64_t client, seq, done_below;
	int64_t time_ns;
	bool sync_next;  /* DURABLE_NEXT, if not durable at once; not encoded */
	bool counts;     /* in the redo of the request that it is part of (cluster/redo.h); not encoded */
	union {
		struct command_create create;
		struct command_link link;
		struct command_unlink unlink;
		struct command_rename rename;
		struct command_setattr setattr;
		struct command_setxattr setxattr;
		struct command_commit commit;
		struct command_absorbed absorbed;
		struct command_reap reap;
		struct command_delete remove;
		struct command_stream_append stream_append;
		struct command_stream_update stream_update;
		struct command_produced produced;
		struct command_task_update task_update;
		struct command_revoke revoke;
		struct command_spend spend;
		struct command_key_put key_put;
		struct command_realm_init realm_init;
		struct command_client_gone client_gone;
		struct command_quota quota;
		struct command_unseal unseal;
		struct command_seal seal;
	};
	void *arena;     /* what decoding allocated; freed by command_done */
};

/* Appends. -EINVAL: a field or list is longer than its bound, or an enum is none; -EMSGSIZE: more than COMMAND_MAX in all; or the
 * buffer's error. Nothing is appended then. */
int command_encode(const struct command *c, struct buffer *out);
/* -EBADMSG: not exactly one command; -ENOTSUP: of a newer version or unknown kind; -ENOMEM. Nothing is to be freed then; after success
 * command_done(). What it allocates is bounded by a small multiple of data.size. */
int command_decode(struct slice data, struct command *ret_command);
void command_done(struct command *c);
const char *command_name(unsigned kind);                               /* "CREATE"; NULL: unknown */

/* What applying gave. error: 0 or the negative errno for the user; nothing changed then. */
#define RESULT_TOUCHED_MAX 6
struct result {
	int error;
	uint64_t touched[RESULT_TOUCHED_MAX]; uint32_t touched_count;   /* inodes whose records changed: caches forget these (of REAP the first few) */
	bool has_record; struct record record;       /* of the object made, changed or (unlink, rename over) unlinked */
	uint64_t orphaned;                           /* an inode whose last link went; 0: none */
	uint64_t offset;                             /* stream append: where the first record begins */
};
void result_encode(const struct result *r, struct buffer *out);            /* appends; errors are the buffer's */
int result_decode(struct slice data, struct result *ret_result);         /* -EBADMSG, -ENOTSUP */

#endif
