/* What stat(2) says about an object. */
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "fs/session.h"

#define PREFERRED_BLOCK 65536      /* bytes: what stdio reads and writes at a time */
#define IN_PLACE_TIMEOUT_S 1.0

static struct timespec timespec_of(int64_t ns)
{
	struct timespec ts = { .tv_sec = ns / NS_PER_SECOND, .tv_nsec = ns % NS_PER_SECOND };

	if (ts.tv_nsec < 0) {
		ts.tv_sec--;
		ts.tv_nsec += NS_PER_SECOND;
	}
	return ts;
}

void attr_fill(const struct record *record, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = record->ino;
	st->st_mode = record->mode;
	st->st_nlink = record->nlink;
	/* An object that lives without a path counts as one link, so that it can be given a path. */
	if (st->st_nlink == 0 && record->lifecycle != LIFECYCLE_REFCOUNTED)
		st->st_nlink = 1;
	st->st_uid = record->uid;
	st->st_gid = record->gid;
	st->st_rdev = record->rdev;
	st->st_size = (off_t)record->size;
	st->st_blocks = (blkcnt_t)record->blocks;
	st->st_blksize = PREFERRED_BLOCK;
	st->st_atim = timespec_of(record->atime_ns);
	st->st_mtim = timespec_of(record->mtime_ns);
	st->st_ctim = timespec_of(record->ctime_ns);
	switch (record->kind) {
	case KIND_STREAM:
		st->st_size = (off_t)record->stream.end;
		st->st_blocks = (blkcnt_t)((record->stream.end - record->stream.start + 511) / 512);
		break;
	case KIND_TASK:
		st->st_size = 0;      /* a file that says how the task is; writing to it is the right to steer the task */
		break;
	case KIND_DIRECTORY:
		st->st_size = BLOCK_SIZE;
		break;
	default:
		break;
	}
}

void attr_entry(struct fs *fs, const struct attributes *a, struct fuse_entry_param *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->ino = a->record.ino;
	entry->generation = 0;      /* inode numbers are never used again */
	entry->entry_timeout = fs->timeout_s;
	entry->attr_timeout = fs->timeout_s;
	attr_fill(&a->record, &entry->attr);
	/* A stream grows, and a task's file changes, without the kernel's doing. */
	if (a->record.kind == KIND_STREAM || a->record.kind == KIND_TASK || a->written)
		entry->attr_timeout = 0;
	/* Written in place: a mapping that is left may change it still. */
	else if (a->record.in_place && entry->attr_timeout > IN_PLACE_TIMEOUT_S)
		entry->attr_timeout = IN_PLACE_TIMEOUT_S;
}

void reply_attr(fuse_req_t req, const struct attributes *a)
{
	struct fuse_entry_param entry;

	attr_entry(fs_of(req), a, &entry);
	fuse_reply_attr(req, &entry.attr, entry.attr_timeout);
}
