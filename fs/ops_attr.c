/* Attributes: stat, chmod, chown, truncate, utimens, readlink, statfs. Who may is the kernel's to check (default_permissions). */
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "fs/magic.h"
#include "fs/session.h"

static void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	struct attributes a;

	(void)fi;
	if (magic_is(node)) {
		magic_getattr(req, node);
		return;
	}
	int r = object_get(fs_of(req)->objects, node, &a);
	if (r < 0)
		reply_error(req, r);
	else
		reply_attr(req, &a);
}

static int64_t time_of(const struct timespec *ts, bool now)
{
	return now ? clock_wall_ns(&clock_system) : (int64_t)ts->tv_sec * NS_PER_SECOND + ts->tv_nsec;
}

static void change_fill(struct fs *fs, const struct stat *st, int to_set, struct attribute_change *c)
{
	memset(c, 0, sizeof(*c));
	if (to_set & FUSE_SET_ATTR_MODE)
		c->mask |= SET_MODE;
	if (to_set & FUSE_SET_ATTR_UID)
		c->mask |= SET_UID;
	if (to_set & FUSE_SET_ATTR_GID)
		c->mask |= SET_GID;
	if (to_set & FUSE_SET_ATTR_SIZE)
		c->mask |= SET_SIZE;
	if (to_set & FUSE_SET_ATTR_ATIME)
		c->mask |= SET_ATIME;
	if (to_set & FUSE_SET_ATTR_MTIME)
		c->mask |= SET_MTIME;
	c->mode = st->st_mode & 07777;
	c->uid = st->st_uid;
	c->gid = st->st_gid;
	c->size = (uint64_t)st->st_size;
	c->atime_ns = time_of(&st->st_atim, to_set & FUSE_SET_ATTR_ATIME_NOW);
	c->mtime_ns = time_of(&st->st_mtim, to_set & FUSE_SET_ATTR_MTIME_NOW);
	/* P9: an empty change, a change of owner, and a truncation that says so, clear suid, sgid and security.capability. */
	if (fs->kill_privilege_v2 && (c->mask == 0 || (c->mask & (SET_UID | SET_GID)) || request_kills_privilege()) && !(c->mask & SET_MODE))
		c->mask |= SET_KILL_PRIVILEGE;
}

static void op_setattr(fuse_req_t req, fuse_ino_t node, struct stat *st, int to_set, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct attribute_change change;
	struct attributes a;

	(void)fi;
	if (magic_is(node)) {
		magic_setattr(req, node, st, to_set);
		return;
	}
	change_fill(fs, st, to_set, &change);
	int r = object_get(fs->objects, node, &a);
	if (r == 0 && (change.mask & SET_KILL_PRIVILEGE) && !S_ISREG(a.record.mode))
		change.mask &= ~(uint32_t)SET_KILL_PRIVILEGE;
	/* A stream is not cut, no more than a pipe is. (O_TRUNC does not come here.) */
	if (r == 0 && (change.mask & SET_SIZE) && a.record.kind != KIND_BLOB)
		r = -EINVAL;
	if (r == 0 && change.mask)
		r = object_set(fs->objects, node, &change, &a);
	if (r < 0)
		reply_error(req, r);
	else
		reply_attr(req, &a);
}

static void op_readlink(fuse_req_t req, fuse_ino_t node)
{
	struct buffer target;

	buffer_init(&target, SYMLINK_MAX + 1);
	int r = magic_is(node) ? -EINVAL : object_read_link(fs_of(req)->objects, node, &target);
	if (r == 0)
		r = buffer_append(&target, "", 1);
	if (r < 0)
		reply_error(req, r);
	else
		fuse_reply_readlink(req, (const char *)target.data);
	buffer_done(&target);
}

static void op_statfs(fuse_req_t req, fuse_ino_t node)
{
	struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = NAME_MAX_BYTES };
	struct disk_space space;

	(void)node;
	int r = objects_statfs(fs_of(req)->objects, &space);
	if (r < 0) {
		reply_error(req, r);
		return;
	}
	st.f_blocks = space.total_bytes / st.f_frsize;
	st.f_bfree = st.f_bavail = space.free_bytes / st.f_frsize;
	st.f_files = space.total_inodes;
	st.f_ffree = st.f_favail = space.free_inodes;
	fuse_reply_statfs(req, &st);
}

void ops_fill_attr(struct fuse_lowlevel_ops *ops)
{
	ops->getattr = op_getattr;
	ops->setattr = op_setattr;
	ops->readlink = op_readlink;
	ops->statfs = op_statfs;
}
